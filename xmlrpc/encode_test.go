package xmlrpc

import (
	"encoding/base64"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"
)

type upper string

func (u upper) MarshalXMLRPC() (any, error) {
	if u == "" {
		return nil, errors.New("nothing to say")
	}
	return strings.ToUpper(string(u)), nil
}

// byPointer writes itself only where it has an address.
type byPointer struct{ N int }

func (p *byPointer) MarshalXMLRPC() (any, error) { return -p.N, nil }

type loop struct{}

func (loop) MarshalXMLRPC() (any, error) { return loop{}, nil }

type embedded struct {
	A int
	B int `xmlrpc:"b"`
}

type outer struct {
	embedded
	A       string `json:"A"`
	Skipped int    `xmlrpc:"-"`
	Other   int    `xmlrpc:"other" json:"ignored"`
	private int
}

func TestEncode(t *testing.T) {
	seven, big64 := 7, new(big.Int).Lsh(big.NewInt(1), 70)
	var none *int
	var noMap map[string]int
	var noSlice []int
	deep := any("x")
	for range 64 {
		deep = []any{deep}
	}
	cycle := map[string]any{}
	cycle["self"] = cycle
	var circle any
	circle = &circle
	type named struct {
		Name string `xmlrpc:"a\x00b"`
	}
	zone := time.FixedZone("", -3600)
	noon := time.Date(2020, 2, 29, 12, 0, 0, 5, time.UTC)
	for _, c := range []struct {
		name string
		v    any
		o    EncodeOptions
		want string // without <value>; "" for an error
		err  string // a part of it
	}{
		{"int8", int8(-8), EncodeOptions{}, "<int>-8</int>", ""},
		{"uint", uint(8), EncodeOptions{}, "<int>8</int>", ""},
		{"i4", 8, EncodeOptions{I4: true}, "<i4>8</i4>", ""},
		{"int64 that fits", int64(math.MinInt32), EncodeOptions{}, "<int>-2147483648</int>", ""},
		{"int beyond 32 bits", int64(1) << 31, EncodeOptions{}, "", "2147483648 does not fit into 32 bits"},
		{"int below 32 bits", -1<<31 - 1, EncodeOptions{}, "", "does not fit"},
		{"i8", 1 << 31, EncodeOptions{Dialect: Plain}, "<i8>2147483648</i8>", ""},
		{"i8 of Apache", 1 << 31, EncodeOptions{Dialect: Apache}, "<ex:i8>2147483648</ex:i8>", ""},
		{"uint64 beyond 64 bits", uint64(math.MaxUint64), EncodeOptions{Dialect: Plain}, "", "64 bits"},
		{"uint64 as a big integer", uint64(math.MaxUint64), EncodeOptions{Dialect: Apache}, "<ex:biginteger>18446744073709551615</ex:biginteger>", ""},
		{"big that fits", big.NewInt(5), EncodeOptions{}, "<int>5</int>", ""},
		{"big", big64, EncodeOptions{}, "", "71 bits"},
		{"big of Apache", big64, EncodeOptions{Dialect: Apache}, "<ex:biginteger>1180591620717411303424</ex:biginteger>", ""},
		{"pointers to a big", []*big.Int{big.NewInt(5)}, EncodeOptions{}, "<array><data><value><int>5</int></value></data></array>", ""},
		{"big in a struct", struct{ V big.Int }{*big.NewInt(5)}, EncodeOptions{}, "<struct><member><name>V</name><value><int>5</int></value></member></struct>", ""},
		{"float64", 0.1, EncodeOptions{}, "<double>0.1</double>", ""},
		{"float32", float32(0.1), EncodeOptions{}, "<double>0.1</double>", ""},
		{"large float", 1e22, EncodeOptions{}, "<double>10000000000000000000000</double>", ""},
		{"small float", 5e-7, EncodeOptions{}, "<double>0.0000005</double>", ""},
		{"NaN", math.NaN(), EncodeOptions{}, "", "NaN"},
		{"Inf", math.Inf(-1), EncodeOptions{Dialect: Apache}, "", "-Inf"},
		{"decimal", Decimal("1.50"), EncodeOptions{}, "<double>1.50</double>", ""},
		{"decimal with an exponent", Decimal("1e5"), EncodeOptions{}, "", "exponent"},
		{"decimal that is none", Decimal("<x>"), EncodeOptions{Dialect: Apache}, "", "no number"},
		{"text", "a<b>&\r\n\t\"'", EncodeOptions{}, "<string>a&lt;b&gt;&amp;&#13;\n\t\"'</string>", ""},
		{"NUL", "a\x00b", EncodeOptions{}, "", "U+0000"},
		{"control", "\x1f", EncodeOptions{}, "", "U+001F"},
		{"noncharacter", "\uFFFE", EncodeOptions{}, "", "U+FFFE"},
		{"no UTF-8", "a\xff", EncodeOptions{}, "", "0xFF"},
		{"surrogate", "\xed\xa0\x80", EncodeOptions{}, "", "0xED"},
		{"long and bad", strings.Repeat("x", 100) + "\x01", EncodeOptions{}, "", "U+0001"},
		{"replaced", "a\x00b\xffc\uFFFF", EncodeOptions{BadText: ReplaceBadText}, "<string>a\uFFFDb\uFFFDc\uFFFD</string>", ""},
		{"as base64", "a\x00b", EncodeOptions{BadText: Base64BadText}, "<base64>YQBi</base64>", ""},
		{"name as base64", map[string]int{"a\x00b": 1}, EncodeOptions{BadText: Base64BadText}, "", "name of a member"},
		{"replacement character itself", "\uFFFD", EncodeOptions{}, "<string>\uFFFD</string>", ""},
		{"bad field", named{}, EncodeOptions{}, "", "name of a member"},
		{"bytes", []byte("hello"), EncodeOptions{}, "<base64>aGVsbG8=</base64>", ""},
		{"no bytes", []byte(nil), EncodeOptions{}, "<base64></base64>", ""},
		{"array of bytes", [3]byte{1, 2, 3}, EncodeOptions{}, "<base64>AQID</base64>", ""},
		{"time", noon, EncodeOptions{}, "<dateTime.iso8601>20200229T12:00:00</dateTime.iso8601>", ""},
		{"pointer to a time", &noon, EncodeOptions{}, "<dateTime.iso8601>20200229T12:00:00</dateTime.iso8601>", ""},
		{"time elsewhere", noon, EncodeOptions{Location: zone}, "<dateTime.iso8601>20200229T11:00:00</dateTime.iso8601>", ""},
		{"exact time", noon, EncodeOptions{ExactTime: true}, "", "fraction"},
		{"exact whole time", noon.Truncate(time.Second), EncodeOptions{ExactTime: true}, "<dateTime.iso8601>20200229T12:00:00</dateTime.iso8601>", ""},
		{"zero time", time.Time{}, EncodeOptions{}, "<dateTime.iso8601>00010101T00:00:00</dateTime.iso8601>", ""},
		{"year 12345", time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC), EncodeOptions{}, "", "year 12345"},
		{"year -1", time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), EncodeOptions{}, "", "year -1"},
		{"nil", nil, EncodeOptions{}, "", "no nil"},
		{"plain nil", nil, EncodeOptions{Dialect: Plain}, "<nil/>", ""},
		{"Apache's nil", none, EncodeOptions{Dialect: Apache}, "<ex:nil/>", ""},
		{"nil pointer", none, EncodeOptions{}, "", "no nil"},
		{"pointer", &seven, EncodeOptions{}, "<int>7</int>", ""},
		{"nil slice", noSlice, EncodeOptions{}, "<array><data></data></array>", ""},
		{"nil map", noMap, EncodeOptions{}, "<struct></struct>", ""},
		{"sorted map", map[string]any{"b": 1, "a": 2, "c<": 3}, EncodeOptions{}, "<struct><member><name>a</name><value><int>2</int></value></member><member><name>b</name><value><int>1</int></value></member><member><name>c&lt;</name><value><int>3</int></value></member></struct>", ""},
		{"keys of integers", map[int8]bool{-1: true}, EncodeOptions{}, "<struct><member><name>-1</name><value><boolean>1</boolean></value></member></struct>", ""},
		{"keys with a text", map[netip.Addr]int{netip.MustParseAddr("::1"): 1}, EncodeOptions{}, "<struct><member><name>::1</name><value><int>1</int></value></member></struct>", ""},
		{"keys of floats", map[float64]int{}, EncodeOptions{}, "", "map[float64]int"},
		{"text marshaler", netip.MustParseAddr("10.0.0.1"), EncodeOptions{}, "<string>10.0.0.1</string>", ""},
		{"marshaler", []upper{"a"}, EncodeOptions{}, "<array><data><value><string>A</string></value></data></array>", ""},
		{"marshaler that fails", []upper{"a", ""}, EncodeOptions{}, "", "[1]: cannot write xmlrpc.upper: nothing to say"},
		{"marshaler by pointer", &byPointer{3}, EncodeOptions{}, "<int>-3</int>", ""},
		{"marshaler by address", &[]byPointer{{3}}, EncodeOptions{}, "<array><data><value><int>-3</int></value></data></array>", ""},
		{"marshaler without address", byPointer{3}, EncodeOptions{}, "<struct><member><name>N</name><value><int>3</int></value></member></struct>", ""},
		{"marshaler of itself", loop{}, EncodeOptions{}, "", "leads back"},
		{"embedded", outer{embedded: embedded{1, 2}, A: "x", Other: 3, private: 4}, EncodeOptions{}, "<struct><member><name>b</name><value><int>2</int></value></member><member><name>A</name><value><string>x</string></value></member><member><name>other</name><value><int>3</int></value></member></struct>", ""},
		{"channel", map[string]any{"x": []any{make(chan int)}}, EncodeOptions{}, "", "x[0]: cannot write Go type chan int"},
		{"function", func() {}, EncodeOptions{}, "", "func()"},
		{"complex", 1i, EncodeOptions{}, "", "complex128"},
		{"64 deep", deep.([]any)[0], EncodeOptions{}, strings.Repeat("<array><data><value>", 63) + "<string>x</string>" + strings.Repeat("</value></data></array>", 63), ""},
		{"65 deep", deep, EncodeOptions{}, "", "nested too deeply"},
		{"66 deep", []any{deep}, EncodeOptions{}, "", "nested too deeply"},
		{"66 deep if wanted", []any{deep}, EncodeOptions{MaxDepth: 66}, strings.Repeat("<array><data><value>", 65) + "<string>x</string>" + strings.Repeat("</value></data></array>", 65), ""},
		{"cycle", cycle, EncodeOptions{MaxDepth: 1 << 30}, "", "nested too deeply"},
		{"cycle of pointers", circle, EncodeOptions{}, "", "leads back"},
		{"no value", RawValue{}, EncodeOptions{}, "", "no value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst := []byte("before")
			got, err := AppendValue(dst, c.v, c.o)
			if c.want == "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %s, %v, want an error with %q", got, err, c.err)
				}
				if FaultCode(err) != CodeInternal {
					t.Errorf("fault code: got %d, want %d", FaultCode(err), CodeInternal)
				}
				if string(got) != "before" {
					t.Errorf("got %q beside the error, want nothing added", got)
				}
				return
			}
			begin := "before<value>"
			if c.o.Dialect == Apache {
				begin = "before<value" + apacheDeclaration + ">"
			}
			if want := begin + c.want + "</value>"; err != nil || string(got) != want {
				t.Fatalf("got %s, %v, want %s", got, err, want)
			}
			if _, err := ParseValue(got[len("before"):], DecodeOptions{Limits: Limits{Depth: 100}}); err != nil {
				t.Errorf("what was written cannot be read: %v", err)
			}
		})
	}
}

func TestBase64IsThatOfTheStandardLibrary(t *testing.T) {
	data := make([]byte, 300)
	for i := range data {
		data[i] = byte(i*i>>3 + i)
	}
	for n := range data {
		got := string(appendBase64([]byte("x"), data[:n]))
		if want := "x" + base64.StdEncoding.EncodeToString(data[:n]); got != want {
			t.Fatalf("%d bytes: got %s, want %s", n, got, want)
		}
	}
}

// TestTextOfAnyLength puts what needs care at every place of texts that are
// written in different ways because of their length.
func TestTextOfAnyLength(t *testing.T) {
	for _, special := range []string{"<", ">", "&", "\r", "\n", "\t", "ä", "😀", "=", "?", "\x7f", "\u0085"} {
		for _, n := range []int{1, 8, chunk, chunk + 1, chunk + 9, 200} {
			for at := range n {
				s := strings.Repeat("x", at) + special + strings.Repeat("y", n-at-1)
				doc, err := Marshal(s)
				if err != nil {
					t.Fatalf("%q: %v", s, err)
				}
				var got string
				if err := Unmarshal(doc, &got); err != nil || got != s {
					t.Fatalf("got %q, %v, want %q", got, err, s)
				}
			}
		}
	}
	for _, bad := range []string{"\x00", "\x1f", "\xff", "\xed\xa0\x80", "\uFFFE", "\uFFFF"} {
		for _, n := range []int{1, chunk, 100} {
			for at := range n {
				s := strings.Repeat("x", at) + bad + strings.Repeat("y", n-at-1)
				if doc, err := Marshal(s); err == nil {
					t.Fatalf("%q: got %s, want an error", s, doc)
				}
			}
		}
	}
}

func TestRawValuesAreWrittenAnew(t *testing.T) {
	doc := `<value xmlns:q="` + apacheNamespace + `"><struct a='1'>
	 <member><value> <int> 1 </int> </value><name>n&#13;</name></member>
	 <member><name>l</name><value><array/></value></member>
	 <member><name>s</name><value>a<!-- b -->&lt;</value></member>
	 <member><name>d</name><value><double>1e2</double></value></member>
	 <member><name>b</name><value><boolean>true</boolean></value></member>
	 <member><name>z</name><value><q:nil/></value></member>
	 <member><name>m</name><value><q:bigdecimal>1.50</q:bigdecimal></value></member>
	 <member><name>i</name><value><q:biginteger>12</q:biginteger></value></member>
	</struct></value>`
	v, err := ParseValue([]byte(doc), DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const want = "<value><struct><member><name>n&#13;</name><value><int>1</int></value></member>" +
		"<member><name>l</name><value><array><data></data></array></value></member>" +
		"<member><name>s</name><value><string>a&lt;</string></value></member>" +
		"<member><name>d</name><value><double>100</double></value></member>" +
		"<member><name>b</name><value><boolean>1</boolean></value></member>" +
		"<member><name>z</name><value><nil/></value></member>" +
		"<member><name>m</name><value><double>1.50</double></value></member>" +
		"<member><name>i</name><value><int>12</int></value></member></struct></value>"
	for name, v := range map[string]RawValue{"original": v, "clone": v.Clone()} {
		if got, err := AppendValue(nil, v, EncodeOptions{Dialect: Plain}); err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, want)
		}
	}
	if _, err := Marshal(v); err == nil || !strings.Contains(err.Error(), "z: ") {
		t.Errorf("standard dialect: got %v, want an error about z", err)
	}
}

func TestValidMethod(t *testing.T) {
	for name, ok := range map[string]bool{
		"add": true, "a.b:c/d_e": true, "gloom&doom": true, "größe": true, strings.Repeat("a", 255): true,
		"": false, " a": false, "a\n": false, "a\x00": false, "\xff": false, strings.Repeat("a", 256): false,
	} {
		if err := ValidMethod(name); (err == nil) != ok {
			t.Errorf("%q: got %v, want ok %v", name, err, ok)
		}
		if doc, err := AppendRequest(nil, EncodeOptions{}, name); (err == nil) != ok {
			t.Errorf("%q: got %s, %v, want ok %v", name, doc, err, ok)
		} else if ok {
			if r, err := ParseRequest(doc, DecodeOptions{}); err != nil || r.Method != name {
				t.Errorf("%q: got %v, %v", name, r, err)
			}
		}
	}
}
