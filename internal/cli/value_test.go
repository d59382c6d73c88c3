package cli

import (
	"bytes"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"
)

// huge is an integer that no machine word holds.
func huge() *big.Int { return new(big.Int).Lsh(big.NewInt(1), 100) }

func TestResultsAreWrittenInEveryFormat(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7, time.UTC)
	for _, tt := range []struct {
		name             string
		value            any
		text, json, yaml string
	}{
		{"nothing", nil, "", "null\n", "null\n"},
		{"string", "hi", "hi\n", "\"hi\"\n", "hi\n"},
		{"string that ends its line", "Hello, letian. \n", "Hello, letian. \n", "\"Hello, letian. \\n\"\n", "|\n  Hello, letian. \n"},
		{"string of two line ends", "a\n\n", "a\n\n", "\"a\\n\\n\"\n", "|+\n  a\n\n"},
		{"empty string", "", "\n", "\"\"\n", "''\n"},
		{"markup", "<a&b>", "<a&b>\n", "\"<a&b>\"\n", "<a&b>\n"},
		{"string that looks like a number", "42", "42\n", "\"42\"\n", "'42'\n"},
		{"bytes", []byte{0, 0xff, 'x'}, "\x00\xffx", "\"AP94\"\n", "AP94\n"},
		{"bool", true, "true\n", "true\n", "true\n"},
		{"int", int64(-7), "-7\n", "-7\n", "-7\n"},
		{"int beyond a double", int64(math.MaxInt64), "9223372036854775807\n", "9223372036854775807\n", "9223372036854775807\n"},
		{"unsigned", uint64(math.MaxUint64), "18446744073709551615\n", "18446744073709551615\n", "18446744073709551615\n"},
		{"big int", huge(), "1267650600228229401496703205376\n", "1267650600228229401496703205376\n", "1267650600228229401496703205376\n"},
		{"float", 3.5, "3.5\n", "3.5\n", "3.5\n"},
		{"whole float", 3.0, "3\n", "3\n", "3\n"},
		{"tiny float", 1e-9, "1e-09\n", "1e-9\n", "1e-9\n"},
		{"NaN", math.NaN(), "NaN\n", "\"NaN\"\n", "NaN\n"},
		{"infinity", math.Inf(1), "Infinity\n", "\"Infinity\"\n", "Infinity\n"},
		{"minus infinity", math.Inf(-1), "-Infinity\n", "\"-Infinity\"\n", "-Infinity\n"},
		{"time", at, "2026-02-03T04:05:06.000000007Z\n", "\"2026-02-03T04:05:06.000000007Z\"\n", "'2026-02-03T04:05:06.000000007Z'\n"},
		{"list", []any{int64(1), "two", nil}, "[\n  1,\n  \"two\",\n  null\n]\n", "[\n  1,\n  \"two\",\n  null\n]\n", "- 1\n- two\n- null\n"},
		{"list of simple values", []any{int64(1), "two", 2.5, true}, "1\ntwo\n2.5\ntrue\n", "[\n  1,\n  \"two\",\n  2.5,\n  true\n]\n", "- 1\n- two\n- 2.5\n- true\n"},
		{"list of strings with lines", []any{"a\nb"}, "[\n  \"a\\nb\"\n]\n", "[\n  \"a\\nb\"\n]\n", "- |-\n  a\n  b\n"},
		{"empty list", []any{}, "", "[]\n", "[]\n"},
		{"map", map[string]any{"b": []any{}, "a": huge()}, "{\n  \"a\": 1267650600228229401496703205376,\n  \"b\": []\n}\n", "{\n  \"a\": 1267650600228229401496703205376,\n  \"b\": []\n}\n", "a: 1267650600228229401496703205376\nb: []\n"},
		{"map of numbers", map[any]any{int64(1): "x", false: []byte("y")}, "{\n  \"1\": \"x\",\n  \"false\": \"eQ==\"\n}\n", "{\n  \"1\": \"x\",\n  \"false\": \"eQ==\"\n}\n", "'1': x\n'false': eQ==\n"},
		{"map with keys that look alike", map[any]any{int64(1): "n", "1": "s"},
			"[\n  {\n    \"key\": 1,\n    \"value\": \"n\"\n  },\n  {\n    \"key\": \"1\",\n    \"value\": \"s\"\n  }\n]\n",
			"[\n  {\n    \"key\": 1,\n    \"value\": \"n\"\n  },\n  {\n    \"key\": \"1\",\n    \"value\": \"s\"\n  }\n]\n",
			"- key: 1\n  value: n\n- key: '1'\n  value: s\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, f := range []struct {
				format, want string
				write        func(*bytes.Buffer) error
			}{
				{"text", tt.text, func(b *bytes.Buffer) error { return writeText(b, tt.value, false) }},
				{"json", tt.json, func(b *bytes.Buffer) error { return writeJSON(b, tt.value, true) }},
				{"yaml", tt.yaml, func(b *bytes.Buffer) error { return writeYAML(b, tt.value) }},
			} {
				var b bytes.Buffer
				if err := f.write(&b); err != nil {
					t.Errorf("%s: %v", f.format, err)
				}
				if got := b.String(); got != f.want {
					t.Errorf("%s: got %q, want %q", f.format, got, f.want)
				}
			}
		})
	}
}

func TestBytesThatAreNoTextAreDumpedOnATerminal(t *testing.T) {
	var b bytes.Buffer
	if err := writeText(&b, []byte{0x1b, '[', '2', 'J'}, true); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.HasPrefix(got, "00000000  1b 5b 32 4a") || strings.Contains(got, "\x1b") {
		t.Errorf("got %q, want a hex dump", got)
	}
	b.Reset()
	if err := writeText(&b, []byte("plain\n"), true); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "plain\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatPeersSayCannotSteerATerminal(t *testing.T) {
	if got, want := clean("a\x1b[2Jb\tc\n\xff"), "a\\u001b[2Jb\tc\n\uFFFD"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := cleanLine("a\nb"), `a\nb`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
