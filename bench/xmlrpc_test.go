package bench

import (
	"fmt"
	"strings"
	"testing"

	kolo "github.com/kolo/xmlrpc"

	"farcall.dev/xmlrpc"
)

// documents are the values that are measured, from the smallest call to ones
// of a megabyte.
func documents() []struct {
	name  string
	value any
} {
	array := make([]any, 1000)
	for i := range array {
		array[i] = i
	}
	records := make(map[string]any, 100) // of 100 members each
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
	blob := make([]byte, 768<<10)
	for i := range blob {
		blob[i] = byte(i * 7)
	}
	return []struct {
		name  string
		value any
	}{
		{"int", 7},
		{"array1000", array},
		{"members10000", records},
		{"string1MB", strings.Repeat("all work and no play makes a dull text. ", 1<<20/40)},
		{"base64_1MB", blob},
	}
}

// BenchmarkXMLRPCDecode reads the response document that holds one value, into
// an any.
func BenchmarkXMLRPCDecode(b *testing.B) {
	for _, d := range documents() {
		doc, err := xmlrpc.AppendResponse(nil, d.value, xmlrpc.EncodeOptions{})
		if err != nil {
			b.Fatal(err)
		}
		contestants := []struct {
			name   string
			decode func() error
		}{
			{"farcall", func() error {
				v, err := xmlrpc.ParseResponse(doc, xmlrpc.DecodeOptions{})
				if err == nil {
					_, err = v.Any()
				}
				return err
			}},
			{"kolo", func() error {
				var v any
				return kolo.Response(doc).Unmarshal(&v)
			}},
		}
		for _, c := range contestants {
			b.Run(d.name+"/"+c.name, func(b *testing.B) {
				b.SetBytes(int64(len(doc)))
				b.ReportAllocs()
				for b.Loop() {
					if err := c.decode(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkXMLRPCEncode writes the request document of a call with one value.
func BenchmarkXMLRPCEncode(b *testing.B) {
	for _, d := range documents() {
		koloValue := d.value
		if blob, ok := d.value.([]byte); ok {
			koloValue = kolo.Base64(blob) // which it takes for encoded already
		}
		var buf []byte
		contestants := []struct {
			name   string
			encode func() (int, error)
		}{
			{"farcall", func() (int, error) {
				var err error
				buf, err = xmlrpc.AppendRequest(buf[:0], xmlrpc.EncodeOptions{}, "echo", d.value)
				return len(buf), err
			}},
			{"kolo", func() (int, error) {
				doc, err := kolo.EncodeMethodCall("echo", koloValue)
				return len(doc), err
			}},
		}
		for _, c := range contestants {
			b.Run(d.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					var err error
					if n, err = c.encode(); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(n))
			})
		}
	}
}
