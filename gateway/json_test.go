package gateway

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"
	"time"

	"farcall.dev/rmi"
)

func TestResultsBecomeJSON(t *testing.T) {
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	for _, tt := range []struct {
		v    any
		want string
	}{
		{nil, "null"}, {true, "true"}, {int64(math.MinInt64), "-9223372036854775808"}, {uint64(math.MaxUint64), "18446744073709551615"}, {huge, huge.String()},
		{1.0, "1"}, {0.1, "0.1"}, {-1e-7, "-1e-07"}, {1e21, "1e+21"}, {math.NaN(), `"NaN"`}, {math.Inf(1), `"Infinity"`}, {math.Inf(-1), `"-Infinity"`},
		{"", `""`}, {"plain", `"plain"`}, {"a\"b\\\n\u2028é", `"a\"b\\\n\u2028é"`}, {[]byte{0, 0xff}, `"AP8="`}, {[]byte{}, `""`},
		{time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), `"2026-01-02T03:04:05.000000006Z"`},
		{[]any{}, "[]"}, {[]any{int64(1), nil}, "[1,null]"}, {map[string]any{}, "{}"}, {map[string]any{"b": int64(1), "a": "x"}, `{"a":"x","b":1}`},
		{map[any]any{int64(2): "b", int64(1): "a"}, `{"1":"a","2":"b"}`},
		{map[any]any{int64(1): "a", "1": "b"}, `[{"key":1,"value":"a"},{"key":"1","value":"b"}]`},
		{map[any]any{rmi.ByteKey("\xff"): true}, `[{"key":"/w==","value":true}]`},
	} {
		got, err := appendJSON(nil, tt.v)
		if err != nil || string(got) != tt.want || !json.Valid(got) {
			t.Errorf("%v: got %s, %v; want %s", tt.v, got, err, tt.want)
		}
	}
	if _, err := appendJSON(nil, make(chan int)); err == nil {
		t.Error("a channel was written")
	}
}

// scale is a method with names for its parameters.
func scale() *rmi.MethodInfo {
	return &rmi.MethodInfo{Name: "scale", Params: []rmi.ParamInfo{
		{Name: "x", Type: rmi.TypeInfo{Kind: rmi.KindInt, Bits: 64}},
		{Name: "opts", Type: rmi.TypeInfo{Kind: rmi.KindMap, Nullable: true, Key: &rmi.TypeInfo{Kind: rmi.KindString}, Elem: &rmi.TypeInfo{Kind: rmi.KindAny, Nullable: true}}},
		{Name: "more", Type: rmi.TypeInfo{Kind: rmi.KindBytes}},
	}, Variadic: true}
}

func FuzzParseArguments(f *testing.F) {
	for _, seed := range []string{
		"", "[]", "{}", `[1, null, "aGk="]`, `{"x": 1}`, `{"x": 1, "opts": {"a": [1, {"b": 2.5}]}, "more": ["", "aGk="]}`,
		`{"x": 1, "x": 2}`, `{"y": 1}`, `[`, `[1] 2`, `{"x": 1e999}`, `{"\ud800": 1}`, `[9007199254740993]`, `[[[[[[]]]]]]`, "\ufeff[]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, method := range []*rmi.MethodInfo{nil, scale()} {
			args, err := parseArguments(body, method, target{"o", "scale"})
			if err != nil {
				if e := rmi.FromError(err); e.Code != rmi.InvalidArgument || e.Execution != rmi.NotExecuted {
					t.Errorf("got %v, want INVALID_ARGUMENT of a call that was not executed", err)
				}
				continue
			}
			if _, err := rmi.EncodeArgs(args...); err != nil {
				t.Errorf("accepted %q, which cannot travel: %v", body, err)
			}
		}
	})
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("x", 1.5, int64(1), []byte("b"))
	f.Add("\xff\x00\u2028", math.NaN(), int64(math.MinInt64), []byte{})
	f.Fuzz(func(t *testing.T, s string, x float64, n int64, b []byte) {
		out, err := appendJSON(nil, map[string]any{"s": s, "l": []any{x, n, b}, s: map[any]any{n: x, x: n}})
		if err != nil || !json.Valid(out) {
			t.Errorf("got %s, %v", out, err)
		}
	})
}
