package rmi

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// heavy takes 8 KiB and can be sent as one byte.
type heavy struct {
	Many [1000]int `cbor:"many"`
}

// A payload cannot make the decoder take many times its own size.
func TestMemoryIsBoundedByWhatWasSent(t *testing.T) {
	const n = 1 << 20
	list := func(each string) []byte {
		return append(appendHead(nil, cborList, n), bytes.Repeat([]byte(each), n)...)
	}
	for _, tt := range []struct {
		name string
		data []byte
		into any
	}{
		{"structs without fields", list("\xa0"), new([]heavy)},
		{"null structs", list("\xf6"), new([]heavy)},
		{"pointers to structs", list("\xa0"), new([]*heavy)},
		{"in a struct", slices.Concat([]byte("\xa1\x61l"), list("\xa0")), new(struct {
			L []heavy `cbor:"l"`
		})},
		{"empty maps into any", list("\xa0"), new(any)},
		{"empty maps into a list of any", list("\xa0"), new([]any)},
		{"empty maps in a map", slices.Concat([]byte("\xa1\x61l"), list("\xa0")), new(map[string]any)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := DecodeValue(Payload{Data: tt.data}, tt.into)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "would take more than 48 MiB of memory") {
			t.Errorf("%s: got %v, want it refused", tt.name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
			t.Errorf("%s: %d MiB were allocated", tt.name, took>>20)
		}
	}
}

func TestVariadicArgumentsAreBoundedByWhatWasSent(t *testing.T) {
	p, err := newPlan(nil, "f", "", reflect.ValueOf(func(...heavy) {}))
	if err != nil {
		t.Fatal(err)
	}
	data := append(appendHead(nil, cborList, 1<<20), bytes.Repeat([]byte{0xa0}, 1<<20)...)
	if err := p.decodeArgs(data, p.newSlots(), nil); err == nil || !strings.Contains(err.Error(), "MiB of memory") {
		t.Errorf("got %v, want it refused", err)
	}
}

// What people really send is within the budget, however large.
func TestLargeOrdinaryValuesPass(t *testing.T) {
	orders := make([]order, 5_000)
	for i := range orders {
		orders[i] = order{ID: "some id", Items: make([]item, 3), Tally: map[int32]uint16{1: 1, 2: 2}}
	}
	small := make([]int, 300_000)
	for _, v := range []any{orders, small, make([]string, 300_000), make([][]byte, 300_000), make([]float64, 300_000),
		make([]triple, 30_000), struct {
			S []int  `cbor:"s"`
			H *heavy `cbor:"h"`
		}{small, new(heavy)}} {
		p, err := EncodeValue(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := DecodeValue(p, reflect.New(reflect.TypeOf(v)).Interface()); err != nil {
			t.Errorf("%T of %d bytes: %v", v, len(p.Data), err)
		}
		var some any
		if err := DecodeValue(p, &some); err != nil {
			t.Errorf("%T of %d bytes into any: %v", v, len(p.Data), err)
		}
	}
	var ve *ValueError
	if err := overBudget(1 << 20); !errors.As(err, &ve) {
		t.Errorf("got %T", err)
	}
}
