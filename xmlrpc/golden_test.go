package xmlrpc

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what is read from the golden documents beside them")

type golden struct {
	name string
	doc  []byte
}

// goldenFiles are documents as real implementations send them.
func goldenFiles(t testing.TB, dir string) (all []golden) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", dir, "*.xml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden documents in %s: %v", dir, err)
	}
	for _, name := range names {
		doc, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, golden{strings.TrimSuffix(filepath.Base(name), ".xml"), doc})
	}
	return all
}

// TestGoldenRequests reads the requests of real clients. What they are read as is
// in the file .txt beside each.
func TestGoldenRequests(t *testing.T) {
	for _, c := range goldenFiles(t, "request") {
		t.Run(c.name, func(t *testing.T) {
			r, err := ParseRequest(c.doc, DecodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			fmt.Fprintf(&got, "%s\n", r.Method)
			for _, p := range r.Params {
				x, err := p.Any()
				if err != nil {
					t.Fatal(err)
				}
				describe(&got, x)
				got.WriteByte('\n')
			}
			checkGolden(t, filepath.Join("testdata", "request", c.name+".txt"), got.String())
		})
	}
}

func checkGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// describe writes a value with its type.
func describe(b *strings.Builder, x any) {
	switch x := x.(type) {
	case []any:
		b.WriteString("[")
		for i, e := range x {
			if i > 0 {
				b.WriteString(", ")
			}
			describe(b, e)
		}
		b.WriteString("]")
	case map[string]any:
		names := make([]string, 0, len(x))
		for name := range x {
			names = append(names, name)
		}
		slices.Sort(names)
		b.WriteString("{")
		for i, name := range names {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(b, "%q: ", name)
			describe(b, x[name])
		}
		b.WriteString("}")
	case string, []byte:
		fmt.Fprintf(b, "%T %q", x, x)
	case time.Time:
		fmt.Fprintf(b, "time %s", x.Format(time.RFC3339Nano))
	default:
		fmt.Fprintf(b, "%T %v", x, x)
	}
}

// TestGoldenDocuments pins every byte that is written.
func TestGoldenDocuments(t *testing.T) {
	args := []any{
		3, -2147483648, true, false, -12.5, 1e21, "a <b> & \r\n'\"", "ä€😀", []byte{0, 1, 2, 255},
		time.Date(1998, 7, 17, 14, 8, 55, 999, time.UTC), []any{}, map[string]any{},
		map[string]any{"b": []int{1, 2}, "a": "x"},
		struct {
			Lower int    `xmlrpc:"lowerBound"`
			None  string `xmlrpc:"none,omitempty"`
			Upper int
		}{18, "", 139},
		[]string{""},
	}
	for _, c := range []struct {
		name string
		make func() ([]byte, error)
	}{
		{"request_none", func() ([]byte, error) { return AppendRequest(nil, EncodeOptions{}, "ping") }},
		{"request_all", func() ([]byte, error) { return AppendRequest(nil, EncodeOptions{}, "sample.<all>", args...) }},
		{"request_plain", func() ([]byte, error) {
			return AppendRequest(nil, EncodeOptions{Dialect: Plain}, "f", nil, 1<<40)
		}},
		{"request_apache", func() ([]byte, error) {
			return AppendRequest(nil, EncodeOptions{Dialect: Apache}, "f", nil, 1<<40, Decimal("1.5"))
		}},
		{"response", func() ([]byte, error) { return AppendResponse(nil, 7, EncodeOptions{I4: true}) }},
		{"fault", func() ([]byte, error) { return AppendFault(nil, &Fault{4, "Too many parameters: \x00 <&>"}), nil }},
	} {
		got, err := c.make()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		checkGolden(t, filepath.Join("testdata", "written", c.name+".xml"), string(got))
	}
}
