package rmi

import (
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// infoOf describes T as a parameter.
func infoOf[T any](t *testing.T) TypeInfo {
	t.Helper()
	s, err := shapeOf(reflect.TypeFor[T](), inward)
	if err != nil {
		t.Fatal(err)
	}
	return s.info()
}

func TestParseText(t *testing.T) {
	wide, _ := new(big.Int).SetString("1"+strings.Repeat("0", 30), 10)
	tests := []struct {
		word string
		typ  TypeInfo
		want any // the value, or the text of the error after "!"
	}{
		{"42", infoOf[string](t), "42"},
		{"null", infoOf[string](t), "null"},
		{"null", infoOf[*string](t), nil},
		{`"x"`, infoOf[string](t), `"x"`},
		{"42", infoOf[int](t), int64(42)},
		{" -42 ", infoOf[int8](t), int64(-42)},
		{"0x2a", infoOf[uint](t), int64(42)},
		{"1_000", infoOf[int](t), int64(1000)},
		{"010", infoOf[int](t), int64(10)},
		{"-0089", infoOf[int](t), int64(-89)},
		{"00", infoOf[int](t), int64(0)},
		{"18446744073709551615", infoOf[uint64](t), uint64(math.MaxUint64)},
		{wide.String(), infoOf[big.Int](t), wide},
		{"128", infoOf[int8](t), `!want int, got "128": it must be from -128 to 127`},
		{"-1", infoOf[uint16](t), `!want int, got "-1": it must be from 0 to 65535`},
		{"4.5", infoOf[int](t), `!want int, got "4.5": write an integer, such as 42`},
		{"four", infoOf[int](t), `!want int, got "four": write an integer, such as 42`},
		{strings.Repeat("9", 20000), infoOf[big.Int](t), `!want int, got "99`},
		{"3", infoOf[float64](t), 3.0},
		{"1e-9", infoOf[float64](t), 1e-9},
		{"NaN", infoOf[float64](t), math.NaN()},
		{"-Inf", infoOf[float32](t), math.Inf(-1)},
		{"1e999", infoOf[float64](t), `!want float, got "1e999": it is too large for a float`},
		{"1e99", infoOf[float32](t), `!want float, got "1e99": it is too large for a float`},
		{"x", infoOf[float64](t), `!want float, got "x": write a number`},
		{"true", infoOf[bool](t), true},
		{"yes", infoOf[bool](t), `!want bool, got "yes": write true or false`},
		{"aGk=", infoOf[[]byte](t), []byte("hi")},
		{"aGk", infoOf[[]byte](t), []byte("hi")},
		{"-_-_", infoOf[[]byte](t), []byte{0xfb, 0xff, 0xbf}},
		{"null", infoOf[[]byte](t), nil},
		{"a$", infoOf[[]byte](t), `!want bytes, got "a$": write bytes in base64`},
		{"aGk=", infoOf[[3]byte](t), `!want bytes, got "aGk=": it is 2 bytes, and must be 3`},
		{"2026-01-02T03:04:05.000000006+01:00", infoOf[time.Time](t), time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))},
		{"2026-01-02", infoOf[time.Time](t), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)},
		{"tomorrow", infoOf[time.Time](t), `!want time, got "tomorrow": write a time as in RFC 3339`},
		{"1m30s", infoOf[time.Duration](t), int64(90 * time.Second)},
		{"250", infoOf[time.Duration](t), int64(250)},
		{"soon", infoOf[time.Duration](t), `!want duration, got "soon": write a duration`},
		{"hello", infoOf[any](t), "hello"},
		{"42", infoOf[any](t), int64(42)},
		{"4.5", infoOf[any](t), 4.5},
		{"null", infoOf[any](t), nil},
		{`{"a":[1,true,null]}`, infoOf[any](t), map[string]any{"a": []any{int64(1), true, nil}}},
		{`{"a":`, infoOf[any](t), `{"a":`},
		{"18446744073709551616", infoOf[any](t), new(big.Int).Lsh(big.NewInt(1), 64)},
		{"[1,2.0]", infoOf[[]int](t), []any{int64(1), int64(2)}},
		{"[1,2.5]", infoOf[[]int](t), "![1]: want int, got the number 2.5: write an integer"},
		{"[1,1e400]", infoOf[[]float64](t), "![1]: want float, got the number 1e400: it is too large for a float"},
		{`["NaN",1]`, infoOf[[]float64](t), []any{math.NaN(), 1.0}},
		{`["1"]`, infoOf[[]float64](t), `![0]: want float, got a string ("1")`},
		{`["1"]`, infoOf[[]int](t), `![0]: want int, got a string ("1")`},
		{"[1]", infoOf[[2]int](t), "!want list<int>, got a list of 1: it must have 2"},
		{"1,2", infoOf[[]int](t), `!want list<int>, got "1,2": it has to be written as JSON, and is not: `},
		{"[1", infoOf[[]int](t), `!want list<int>, got "[1": it has to be written as JSON, and is not: it ends too early`},
		{"[1] [2]", infoOf[[]int](t), `!want list<int>, got "[1] [2]": it has to be written as JSON, and is not: there is more after the value`},
		{`{"1":"x"}`, infoOf[map[int]string](t), map[any]any{int64(1): "x"}},
		{`{"x":"x"}`, infoOf[map[int]string](t), `!key ["x"]: want int, got "x": write an integer, such as 42`},
		{`{"true":1}`, infoOf[map[bool]int](t), map[any]any{true: int64(1)}},
		{`{}`, infoOf[map[int]string](t), map[string]any{}},
		{`{"x":1,"y":2}`, infoOf[point](t), map[string]any{"x": int64(1), "y": int64(2)}},
		{`{"X":1}`, infoOf[point](t), map[string]any{"x": int64(1)}},
		{`{"z":1}`, infoOf[point](t), `!there is no field "z"; did you mean x or y; there are x, y`},
		{`{"x":"1"}`, infoOf[point](t), `!x: want int, got a string ("1")`},
		{`[1]`, infoOf[point](t), "!want {x: int, y: int}, got a list of 1"},
		{`{"A":1,"C":2}`, infoOf[triple](t), []any{int64(1), nil, 2.0}},
		{`{"items":[{"sku":"a","count":300}]}`, infoOf[order](t), "!items[0].count: want int, got the number 300: it must be from 0 to 255"},
		{`{"at":"2026-01-02","by":null,"notes":{"k":[1]}}`, infoOf[order](t), map[string]any{"at": time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), "by": nil, "notes": map[string]any{"k": []any{int64(1)}}}},
		{`{"value":1,"next":{"value":2,"next":{"value":"x"}}}`, infoOf[node](t), `!next.next.value: want int, got a string ("x")`},
		{`null`, infoOf[point](t), "!want {x: int, y: int}, got null"},
		{"\xff", infoOf[string](t), "!want string, got text that is not UTF-8"},
		{"x", TypeInfo{Kind: "quaternion"}, `!want quaternion, got "x": the type "quaternion" is not known here`},
		{strings.Repeat("[", 200) + strings.Repeat("]", 200), TypeInfo{Kind: KindList, Elem: &TypeInfo{Kind: KindAny}}, "![0][0]"},
	}
	for _, tt := range tests {
		got, err := ParseText(tt.word, tt.typ)
		if want, ok := tt.want.(string); ok && strings.HasPrefix(want, "!") {
			if err == nil || !strings.HasPrefix(err.Error(), want[1:]) {
				t.Errorf("%.60q as %v: got %#v, error %v; want the error %s", tt.word, tt.typ, got, err, want[1:])
			}
			continue
		}
		if err != nil {
			t.Errorf("%.60q as %v: %v", tt.word, tt.typ, err)
		} else if diff := cmp.Diff(tt.want, got, sameValue); diff != "" {
			t.Errorf("%.60q as %v (-want +got):\n%s", tt.word, tt.typ, diff)
		}
	}
}

func TestCoerceFitsTheMethod(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	shop, _ := o.Interface("shop")
	add, _ := o.Interface("add")
	tests := []struct {
		m     MethodInfo
		words []string
		want  []any
		err   string
	}{
		{add.Methods[0], []string{"3", "4"}, []any{int64(3), int64(4)}, ""},
		{add.Methods[0], []string{"3"}, nil, "got 1 argument"},
		{add.Methods[0], []string{"3", "x"}, nil, `argument 2: want int, got "x": write an integer, such as 42`},
		{method(t, shop, "get_fortune"), []string{"42"}, []any{"42"}, ""},
		{method(t, shop, "sum"), []string{"1"}, []any{int64(1)}, ""},
		{method(t, shop, "sum"), []string{"1", "2", "3"}, []any{int64(1), int64(2), int64(3)}, ""},
		{method(t, shop, "sum"), []string{"1", "2", "x"}, nil, `argument 3: want int, got "x"`},
		{method(t, shop, "sum"), nil, nil, "got 0 arguments"},
		{method(t, shop, "nothing"), nil, []any{}, ""},
	}
	for _, tt := range tests {
		got, err := Coerce(tt.m, tt.words)
		if tt.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("%s %q: got %v, want %s", tt.m.Name, tt.words, err, tt.err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s %q: error %v (-want +got):\n%s", tt.m.Name, tt.words, err, diff)
		}
	}
}

func method(t *testing.T, info InterfaceInfo, name string) MethodInfo {
	t.Helper()
	m, ok := info.Method(name)
	if !ok {
		t.Fatalf("no method %s", name)
	}
	return m
}
