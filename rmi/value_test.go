package rmi

import (
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// point and order are what the tests send.
type point struct {
	X int `json:"x"`
	Y int `json:"y"`
}

type order struct {
	ID    string           `cbor:"id"`
	Items []item           `cbor:"items,omitempty"`
	Notes map[string]any   `cbor:"notes,omitempty"`
	Ratio float64          `cbor:"ratio"`
	At    time.Time        `cbor:"at"`
	By    *string          `cbor:"by"`
	Tally map[int32]uint16 `cbor:"tally"`
	//lint:ignore U1000 fields that are not exported do not travel
	skip int
}

type item struct {
	SKU   string `cbor:"sku"`
	Count uint8  `cbor:"count"`
}

type node struct {
	Value int   `cbor:"value"`
	Next  *node `cbor:"next"`
}

type triple struct {
	_ struct{} `cbor:",toarray"`
	A int
	B string
	C float64
}

// sameValue compares with NaN equal to itself, times by instant and offset,
// and big integers by value.
var sameValue = cmp.Options{
	cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }),
	cmp.Comparer(func(a, b time.Time) bool {
		_, ao := a.Zone()
		_, bo := b.Zone()
		return a.Equal(b) && ao == bo
	}),
	cmp.Comparer(func(a, b *big.Int) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.AllowUnexported(order{}, triple{}),
}

func TestValuesComeBackInTheirTypes(t *testing.T) {
	name := "letian"
	wide := new(big.Int).Lsh(big.NewInt(1), 100)
	values := []any{
		true, int(-1), int8(math.MinInt8), int16(math.MaxInt16), int32(7), int64(math.MinInt64),
		uint(1), uint8(255), uint16(65535), uint32(math.MaxUint32), uint64(math.MaxUint64),
		float32(0.1), float64(0.1), math.NaN(), math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64,
		"", "grüße", []byte(nil), []byte{}, []byte{0, 255}, [3]byte{1, 2, 3}, [2]int{1, 2},
		[]int(nil), []int{}, []string{"a"}, [][]float64{{1}, nil, {2.5, 3}},
		map[string]int(nil), map[string]int{"a": 1}, map[int8]string{-1: "x"}, map[bool]int{true: 1},
		map[float64]string{1.5: "x"}, map[uint64]bool{math.MaxUint64: true}, map[[2]byte]int{{1, 2}: 3}, map[ByteKey]int{"\xff": 1},
		map[netip.Addr]int{netip.MustParseAddr("10.0.0.1"): 1},
		time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.FixedZone("", 3600)), time.Time{}, time.Duration(-5),
		wide, new(big.Int).Neg(wide), big.NewInt(5), &name, (*string)(nil), netip.MustParseAddr("::1"),
		point{1, 2}, &point{1, 2}, []point{{1, 2}}, triple{A: 1, B: "b", C: 2.5}, node{1, &node{2, nil}},
		order{ID: "7", Items: []item{{"a", 1}}, Notes: map[string]any{"n": int64(1), "deep": []any{nil, "x"}},
			Ratio: 2, At: time.Unix(1, 1).UTC(), By: &name, Tally: map[int32]uint16{-4: 9}},
	}
	for _, v := range values {
		p, err := EncodeValue(v)
		if err != nil {
			t.Errorf("encode %T(%v): %v", v, v, err)
			continue
		}
		got := reflect.New(reflect.TypeOf(v))
		if err := DecodeValue(p, got.Interface()); err != nil {
			t.Errorf("decode %T(%v): %v", v, v, err)
			continue
		}
		if diff := cmp.Diff(v, got.Elem().Interface(), sameValue); diff != "" {
			t.Errorf("%T (-sent +got):\n%s", v, diff)
		}
	}
}

func TestAnyGetsNaturalTypes(t *testing.T) {
	wide := new(big.Int).Lsh(big.NewInt(1), 64)
	tests := []struct{ in, want any }{
		{nil, nil}, {true, true}, {int8(-3), int64(-3)}, {uint64(7), int64(7)},
		{uint64(math.MaxInt64), int64(math.MaxInt64)}, {uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{int64(math.MinInt64), int64(math.MinInt64)}, {wide, wide}, {new(big.Int).Neg(wide), new(big.Int).Neg(wide)},
		{float32(1.5), 1.5}, {math.NaN(), math.NaN()}, {"s", "s"}, {[]byte{1}, []byte{1}},
		{time.Unix(5, 6).UTC(), time.Unix(5, 6).UTC()}, {time.Duration(9), int64(9)},
		{[]int{1, 2}, []any{int64(1), int64(2)}}, {[]uint64{math.MaxUint64}, []any{uint64(math.MaxUint64)}},
		{map[string]int{"a": 1}, map[string]any{"a": int64(1)}}, {map[string]int{}, map[string]any{}},
		{map[int]string{1: "x"}, map[any]any{int64(1): "x"}},
		{map[any]any{"a": 1, 2: map[string]any{"b": []any{map[any]any{"c": uint64(math.MaxUint64)}}}},
			map[any]any{"a": int64(1), int64(2): map[string]any{"b": []any{map[string]any{"c": uint64(math.MaxUint64)}}}}},
		{map[[1]byte]int{{65}: 1}, map[any]any{ByteKey("A"): int64(1)}},
		{map[ByteKey]int{"\xff": 1}, map[any]any{ByteKey("\xff"): int64(1)}},
		{map[uint64]int{math.MaxUint64: 1}, map[any]any{uint64(math.MaxUint64): int64(1)}},
		{point{1, 2}, map[string]any{"x": int64(1), "y": int64(2)}}, {triple{A: 1}, []any{int64(1), "", 0.0}},
		{[]any{map[int]int{1: 2}, map[string]any{}}, []any{map[any]any{int64(1): int64(2)}, map[string]any{}}},
	}
	for _, tt := range tests {
		p, err := EncodeValue(tt.in)
		if err != nil {
			t.Errorf("encode %v: %v", tt.in, err)
			continue
		}
		var got any
		if err := DecodeValue(p, &got); err != nil {
			t.Errorf("decode %v: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got, sameValue); diff != "" {
			t.Errorf("%T (-want +got):\n%s", tt.in, diff)
		}
	}
}

// An any inside another type gets the same types as one on its own.
func TestAnyInsideOtherTypesGetsNaturalTypes(t *testing.T) {
	type holder struct {
		V  any            `cbor:"v"`
		L  []any          `cbor:"l"`
		M  map[any]string `cbor:"m"`
		A  [1]any         `cbor:"a"`
		P  *any           `cbor:"p"`
		MM map[string]any `cbor:"mm"`
	}
	var inner any = uint64(math.MaxUint64)
	in := holder{V: map[int]int{1: 2}, L: []any{uint64(1)}, M: map[any]string{uint8(1): "x", [1]byte{66}: "y"},
		A: [1]any{[]int{1}}, P: &inner, MM: map[string]any{"k": map[bool]int{true: 1}}}
	p, err := EncodeValue(in)
	if err != nil {
		t.Fatal(err)
	}
	var got holder
	if err := DecodeValue(p, &got); err != nil {
		t.Fatal(err)
	}
	want := holder{V: map[any]any{int64(1): int64(2)}, L: []any{int64(1)}, M: map[any]string{int64(1): "x", ByteKey("B"): "y"},
		A: [1]any{[]any{int64(1)}}, P: &inner, MM: map[string]any{"k": map[any]any{true: int64(1)}}}
	if diff := cmp.Diff(want, got, sameValue); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNumbersConvertWhereNothingIsLost(t *testing.T) {
	tests := []struct {
		in   any
		into any // a pointer
		want any // what it points to, or the text of the error
	}{
		{3, new(float64), 3.0},
		{int64(1 << 53), new(float64), float64(1 << 53)},
		{int64(1<<53 + 1), new(float64), "want float, got an integer (9007199254740993): no float holds it exactly"},
		{3.0, new(int), 3},
		{-3.0, new(uint8), "want int, got a float (-3): uint8 holds 0 to 255"},
		{3.5, new(int), "want int, got a float (3.5): it has a fraction"},
		{math.NaN(), new(int), "want int, got a float (NaN)"},
		{1e300, new(int64), "want int, got a float (1e+300)"},
		{300, new(uint8), "want int, got an integer (300): uint8 holds 0 to 255"},
		{-1, new(uint), "want int, got an integer (-1): uint holds 0 to 18446744073709551615"},
		{uint64(math.MaxUint64), new(int64), "want int, got an integer (18446744073709551615): int64 holds -9223372036854775808 to 9223372036854775807"},
		{0.1, new(float32), float32(0.1)},
		{1e300, new(float32), "want float, got a float (1e+300): too large for a float32"},
		{big.NewInt(7), new(int), 7},
		{7, new(*big.Int), big.NewInt(7)},
		{7, new(time.Duration), time.Duration(7)},
		{[]float64{1, 2}, new([]int), []int{1, 2}},
		{[]any{1, 2.0, 2.5}, new([]int), "[2]: want int, got a float (2.5): it has a fraction"},
		{[]any{1, int64(1<<53 + 1)}, new([]float64), "[1]: want float, got an integer (9007199254740993): no float holds it exactly"},
		{map[string]any{"id": "a", "items": []any{map[string]any{"sku": "x", "count": 300}}}, new(order),
			"items[0].count: want int, got an integer (300): uint8 holds 0 to 255"},
		{map[string]any{"ratio": 2, "tally": map[string]int{"x": 1}}, new(order), `tally.key ["x"]: want int, got a string ("x")`},
		{map[string]any{"RATIO": "no"}, new(order), `RATIO: want float, got a string ("no")`},
		{[]int{1, 2}, new([3]int), "want list<int>, got a list of 2: [3]int has 3"},
		{[]byte{1, 2, 3, 4}, new([3]byte), "want bytes, got bytes (4 of them): [3]uint8 has 3"},
		{[]int{1, 255}, new([]byte), []byte{1, 255}},
		{[]int{1, 256}, new([]byte), "[1]: want int, got an integer (256): uint8 holds 0 to 255"},
		{"x", new([]byte), `want bytes, got a string ("x")`},
		{[]byte("x"), new(string), "want string, got bytes (1 of them)"},
		{nil, new(string), "want string, got null"},
		{nil, new(point), "want {x: int, y: int}, got null"},
		{nil, new(*point), (*point)(nil)},
		{nil, new([]int), []int(nil)},
		{1, new(bool), "want bool, got an integer (1)"},
		{true, new(int), "want int, got a bool (true)"},
		{[]int{}, new(map[string]int), "want map<string, int>, got a list of 0"},
		{[]any{1, "b"}, new(triple), "want {A: int, B: string, C: float}, got a list of 2: rmi.triple has 3 fields"},
		{[]any{1, "b", 3}, new(triple), triple{A: 1, B: "b", C: 3}},
		{[]any{1, 2, 3}, new(triple), "B: want string, got an integer (2)"},
		{"nonsense", new(netip.Addr), `want string, got a string ("nonsense"): cannot unmarshal text for *netip.Addr: ParseAddr("nonsense"): unable to parse IP`},
		{"nonsense", new(time.Time), "want time, got a string"},
	}
	for _, tt := range tests {
		p, err := EncodeValue(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		err = DecodeValue(p, tt.into)
		if err != nil {
			if want, _ := tt.want.(string); !strings.HasPrefix(err.Error(), want) || want == "" {
				t.Errorf("%T(%v) into %T:\n got error %q\nwant       %q", tt.in, tt.in, tt.into, err, tt.want)
			}
			continue
		}
		got := reflect.ValueOf(tt.into).Elem().Interface()
		if diff := cmp.Diff(tt.want, got, sameValue); diff != "" {
			t.Errorf("%T(%v) into %T (-want +got):\n%s", tt.in, tt.in, tt.into, diff)
		}
	}
}

func TestEncodingIsDeterministic(t *testing.T) {
	m := map[any]any{}
	for i := range 50 {
		m[i], m[strings.Repeat("k", i)] = i, i
	}
	first, err := EncodeValue(m)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		again, err := EncodeValue(m)
		if err != nil || string(again.Data) != string(first.Data) {
			t.Fatalf("got another encoding, error %v", err)
		}
	}
}

func TestWhatCannotTravelIsRefusedBySender(t *testing.T) {
	self := map[string]any{}
	self["self"] = self
	ring := &node{Value: 1}
	ring.Next = ring
	var loop any
	loop = &loop
	deep := any(1)
	for range MaxDepth + 1 {
		deep = []any{deep}
	}
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"map in itself", self, "contains itself"},
		{"ring of pointers", ring, "contains itself"},
		{"pointer to itself", loop, "contains itself"},
		{"too deep", deep, "deeper than 64"},
		{"channel", make(chan int), "is a sequence, and none can travel here"},
		{"channel to send to", make(chan<- int), "unsupported type: chan<- int"},
		{"channel inside", []any{func() {}}, "unsupported type: func()"},
	}
	for _, tt := range tests {
		if _, err := EncodeValue(tt.in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	if _, err := EncodeArgs(1, self); err == nil || !strings.HasPrefix(err.Error(), "argument 2: ") {
		t.Errorf("got %v, want the error to name argument 2", err)
	}
	for i, v := 0, any(1); i < MaxDepth; i++ {
		v = []any{v}
		p, err := EncodeValue(v)
		if err != nil {
			t.Fatalf("depth %d: %v", i+1, err)
		}
		if err := DecodeValue(p, new(any)); err != nil {
			t.Fatalf("depth %d: %v", i+1, err)
		}
	}
}

func TestHostileValuesAreRefused(t *testing.T) {
	list := func(major byte, n uint64) []byte { return appendHead(nil, major, n) }
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "ends in the middle"},
		{"cut text", []byte{0x63, 'a'}, "ends in the middle"},
		{"text too long for memory", list(cborText, math.MaxUint64), "ends in the middle"},
		{"list longer than the data", list(cborList, 1<<40), "element"},
		{"list longer than allowed", append(list(cborList, MaxListLen+1), make([]byte, MaxListLen+1)...), "exceeded max number of elements"},
		{"map longer than allowed", append(list(cborMap, MaxMapLen+1), make([]byte, 2*MaxMapLen+2)...), "exceeded max number of key-value pairs"},
		{"nested too deep", append([]byte(strings.Repeat("\x81", 1<<16)), 0), "max nested level"},
		{"tags nested too deep", append([]byte(strings.Repeat("\xc6", 1<<16)), 0), "max nested level"},
		{"indefinite", []byte{0x9f, 0xff}, "indefinite"},
		{"indefinite text", []byte{0x7f, 0x61, 'a', 0xff}, "indefinite"},
		{"reserved", []byte{0x1c}, "reserved"},
		{"text that is not UTF-8", []byte{0x61, 0xff}, "not valid UTF-8"},
		{"text inside that is not UTF-8", []byte{0x81, 0x61, 0xff}, "UTF-8"},
		{"a key twice", []byte{0xa2, 0x61, 'a', 1, 0x61, 'a', 2}, "duplicate map key"},
		{"a key that is a list", []byte{0xa1, 0x81, 1, 1}, "key"},
		{"an unassigned simple value", []byte{0xe5}, "simple value"},
		{"a time that is none", []byte{0xc0, 0x61, 'x'}, "time"},
		{"a bignum that is none", []byte{0xc2, 0x61, 'x'}, "tag"},
		{"two values", []byte{1, 2}, "data after its end"},
	}
	for _, tt := range tests {
		for _, into := range []any{new(any), new([]any), new(order), new(map[string]any), new(string), new([4]int)} {
			err := DecodeValue(Payload{Data: tt.data}, into)
			if err == nil {
				t.Errorf("%s: decoded into %T", tt.name, into)
			}
			if _, ok := into.(*any); ok && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
			}
		}
	}
}

func TestDecodeRefusesOtherContentAndTargets(t *testing.T) {
	p, _ := EncodeValue(1)
	if err := DecodeValue(Payload{Type: ContentXMLRPC, Data: p.Data}, new(int)); err == nil || err.Error() != "content type 1 cannot be read here" {
		t.Errorf("got %v", err)
	}
	for _, into := range []any{nil, 1, (*int)(nil), new(chan int)} {
		if err := DecodeValue(p, into); err == nil {
			t.Errorf("decoded into %T", into)
		}
	}
}
