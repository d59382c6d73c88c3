package xmlrpc

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// benchCases are the calls that are measured.
func benchCases() []struct {
	name string
	args []any
} {
	array := make([]any, 1000)
	for i := range array {
		array[i] = i
	}
	// 100 records of 100 members: 10 000 values with names.
	records := make(map[string]any, 100)
	for i := range 100 {
		record := make(map[string]any, 100)
		for k := range 100 {
			name := fmt.Sprintf("member_%02d", k)
			switch k % 4 {
			case 0:
				record[name] = i * k
			case 1:
				record[name] = fmt.Sprintf("text %d of %d", k, i)
			case 2:
				record[name] = float64(k) / 8
			case 3:
				record[name] = k%8 == 3
			}
		}
		records[fmt.Sprintf("record_%02d", i)] = record
	}
	bytes := make([]byte, 768<<10)
	for i := range bytes {
		bytes[i] = byte(i * 7)
	}
	return []struct {
		name string
		args []any
	}{
		{"add", []any{3, 4}},
		{"array1000", []any{array}},
		{"members10000", []any{records}},
		{"string1MB", []any{strings.Repeat("all work and no play makes a dull text. ", 1<<20/40)}},
		{"base64_1MB", []any{bytes}},
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchCases() {
		doc, err := AppendRequest(nil, EncodeOptions{}, "add", c.args...)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name+"/xmlrpc", func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decodeCall(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/encoding-xml", func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := xmlDecodeCall(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func decodeCall(doc []byte) ([]any, error) {
	r, err := ParseRequest(doc, DecodeOptions{})
	if err != nil {
		return nil, err
	}
	args := make([]any, len(r.Params))
	for i, p := range r.Params {
		if args[i], err = p.Any(); err != nil {
			return nil, err
		}
	}
	return args, nil
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range benchCases() {
		b.Run(c.name+"/xmlrpc", func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				var err error
				if buf, err = AppendRequest(buf[:0], EncodeOptions{}, "add", c.args...); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(buf)))
		})
		b.Run(c.name+"/encoding-xml", func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				var err error
				if buf, err = xmlEncodeCall("add", c.args...); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkDecodeTyped is for arguments whose types are declared.
func BenchmarkDecodeTyped(b *testing.B) {
	type point struct {
		X    int     `xmlrpc:"x"`
		Y    float64 `xmlrpc:"y"`
		Name string  `xmlrpc:"name"`
	}
	points := make([]point, 1000)
	for i := range points {
		points[i] = point{i, float64(i) / 4, "point"}
	}
	for _, c := range []struct {
		name string
		args []any
		in   []reflect.Type
	}{
		{"add", []any{3, 4}, []reflect.Type{reflect.TypeFor[int](), reflect.TypeFor[int]()}},
		{"points1000", []any{points}, []reflect.Type{reflect.TypeFor[[]point]()}},
	} {
		doc, err := AppendRequest(nil, EncodeOptions{}, "add", c.args...)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := ParseRequest(doc, DecodeOptions{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := DecodeArgs(r.Params, c.in, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
