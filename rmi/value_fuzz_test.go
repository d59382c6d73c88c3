package rmi

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seedValues adds encodings of the usual values, and a few broken ones.
func seedValues(f *testing.F) {
	name := "x"
	for _, v := range []any{
		nil, true, 1, -1, uint64(math.MaxUint64), 1.5, math.NaN(), "text", []byte{1},
		[]any{1, "a", nil}, map[string]any{"a": 1}, map[any]any{1: 2, "b": 3}, map[[1]byte]int{{1}: 1},
		point{1, 2}, triple{A: 1}, node{1, &node{2, nil}}, order{ID: "1", By: &name, Notes: map[string]any{"n": 1}},
	} {
		p, err := EncodeValue(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Data)
	}
	for _, s := range []string{"", "\x81", "\x9f\xff", "\xc0\x61x", "\xc2\x41\x01", "\xfb", "\x5b\xff\xff\xff\xff\xff\xff\xff\xff", "\xd9\xd9\xf7\x01"} {
		f.Add([]byte(s))
	}
}

// Whatever arrives decodes or is refused; what decodes into an any can be
// encoded and comes back the same.
func FuzzDecodeValue(f *testing.F) {
	seedValues(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := Payload{Data: data}
		for _, into := range []any{new(order), new([]any), new(map[any]any), new(node), new(triple),
			new([2]float32), new([]byte), new(string), new(int8), new(*float64), new(map[int]point)} {
			_ = DecodeValue(p, into)
		}
		var v, again any
		if DecodeValue(p, &v) != nil {
			return
		}
		sent, err := EncodeValue(v)
		if err != nil {
			return // what came was allowed one level more than what goes
		}
		if err := DecodeValue(sent, &again); err != nil {
			t.Fatalf("decoded %#v, encoded it, and could not decode it: %v", v, err)
		}
		resent, err := EncodeValue(again)
		if err != nil || !bytes.Equal(resent.Data, sent.Data) {
			t.Errorf("%#v was encoded as %x, and what that decodes to as %x, error %v", v, sent.Data, resent.Data, err)
		}
	})
}

// The lengths that the decoder works with are those of the library.
func FuzzItemLen(f *testing.F) {
	seedValues(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var raw any
		rest, err := cborFirst(data, &raw)
		if err != nil {
			itemLen(data)
			return
		}
		if n, err := itemLen(data); err != nil || n != len(data)-len(rest) {
			t.Errorf("itemLen(%x) = %d, %v; want %d", data, n, err, len(data)-len(rest))
		}
		describeItem(data)
		wideInt(data)
	})
}

// Arguments decode into a method's types, or the error says which one does not.
func FuzzDecodeArgs(f *testing.F) {
	for _, args := range [][]any{{}, {"a", 1, point{1, 2}}, {"a", 1.0, nil, 1, 2, 3}, {1, 2, 3}} {
		p, err := EncodeArgs(args...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p.Data)
	}
	f.Add([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	called := 0
	fn := func(string, int, *point, ...any) { called++ }
	p, err := newPlan(nil, "fuzz", "", reflect.ValueOf(fn))
	if err != nil {
		f.Fatal(err)
	}
	clean := p.newSlots()
	f.Fuzz(func(t *testing.T, data []byte) {
		DecodeArgs(Payload{Data: data})
		s := p.newSlots()
		if err := p.decodeArgs(data, s, nil); err != nil {
			if p.badArgs(err).Message == "" {
				t.Error("the error has no text")
			}
		}
		s.clear()
		for i := range s.params {
			if !s.params[i].IsZero() || s.params[i].Type() != clean.params[i].Type() {
				t.Errorf("parameter %d is not cleared", i+1)
			}
		}
	})
}

// Whatever is typed becomes an argument that travels, or is refused.
func FuzzCoerce(f *testing.F) {
	for _, s := range []string{"", "42", "-1", "0x1f", "1e999", "NaN", "true", "null", "AQI=", "2026-01-02", "1m30s",
		`{"id":"a","items":[{"sku":"x","count":3}]}`, `[1,2.5,"x",null]`, `{"value":1,"next":{"value":2,"next":null}}`, `[[[[]]]]`, "\xff"} {
		f.Add(s)
	}
	types := []reflect.Type{reflect.TypeFor[any](), reflect.TypeFor[string](), reflect.TypeFor[int8](), reflect.TypeFor[uint64](),
		reflect.TypeFor[float32](), reflect.TypeFor[bool](), reflect.TypeFor[[]byte](), reflect.TypeFor[order](), reflect.TypeFor[node](),
		reflect.TypeFor[triple](), reflect.TypeFor[map[int]point](), reflect.TypeFor[[2]int](), timeType, durationType, bigIntType}
	f.Fuzz(func(t *testing.T, word string) {
		for _, typ := range types {
			s, err := shapeOf(typ, inward)
			if err != nil {
				t.Fatal(err)
			}
			v, err := ParseText(word, s.info())
			if err != nil {
				continue
			}
			p, err := EncodeValue(v)
			if err != nil {
				t.Fatalf("%q as %v gave %#v, which cannot travel: %v", word, typ, v, err)
			}
			into := reflect.New(typ)
			if err := DecodeValue(p, into.Interface()); err != nil && typ != timeType && typ != reflect.TypeFor[order]() {
				t.Errorf("%q as %v gave %#v, which is refused: %v", word, typ, v, err)
			}
			if typ == reflect.TypeFor[string]() && !cmp.Equal(into.Elem().Interface(), any(word)) {
				t.Errorf("the string %q became %q", word, into.Elem().Interface())
			}
		}
	})
}
