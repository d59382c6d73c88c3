package xmlrpc

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// celsius reads itself from a number or a text.
type celsius float64

func (c *celsius) UnmarshalXMLRPC(v RawValue) error {
	switch v.Kind() {
	case KindInt, KindDouble:
		return v.Decode((*float64)(c))
	case KindString:
		var s string
		if err := v.Decode(&s); err != nil {
			return err
		}
		_, err := fmt.Sscanf(s, "%g°C", (*float64)(c))
		return err
	}
	return errors.New("neither a number nor a text")
}

type base struct {
	ID   int `xmlrpc:"id"`
	Name string
}

type record struct {
	*Base2
	base
	When  time.Time      `xmlrpc:"when"`
	Tags  []string       `xmlrpc:"tags,omitempty"`
	Next  *record        `xmlrpc:"next"`
	Any   any            `xmlrpc:"any"`
	Extra map[string]int `json:"extra"`
	Raw   RawValue       `xmlrpc:"raw"`
	Temp  celsius        `xmlrpc:"temp"`
	Key   [4]byte        `xmlrpc:"key"`
	No    string         `xmlrpc:"-"`
}

// Base2 is embedded by its pointer.
type Base2 struct {
	Deep int `xmlrpc:"deep"`
}

func TestDecodeIntoGoTypes(t *testing.T) {
	str := func(s string) *string { return &s }
	array := func(v ...string) string {
		return "<array><data><value>" + strings.Join(v, "</value><value>") + "</value></data></array>"
	}
	bigInt, _ := new(big.Int).SetString("36893488147419103232", 10)
	for _, c := range []struct {
		doc  string
		into any // a pointer
		want any
		err  string
	}{
		{"<int>3</int>", new(int8), int8(3), ""},
		{"<int>300</int>", new(int8), nil, "cannot read int 300 into Go value of type int8"},
		{"<int>300</int>", new(uint16), uint16(300), ""},
		{"<int>-1</int>", new(uint), nil, "int -1 into Go value of type uint"},
		{"<i8>5000000000</i8>", new(int64), int64(5000000000), ""},
		{"<i8>5000000000</i8>", new(int32), nil, "i8 5000000000 into"},
		{"<i8>5000000000</i8>", new(float64), 5e9, ""},
		{"<biginteger>18446744073709551615</biginteger>", new(uint64), uint64(1<<64 - 1), ""},
		{"<biginteger>18446744073709551615</biginteger>", new(int64), nil, "biginteger 18446744073709551615 into"},
		{"<biginteger>36893488147419103232</biginteger>", new(*big.Int), bigInt, ""},
		{"<int>12</int>", new(big.Int), *big.NewInt(12), ""},
		{"<int>12</int>", new(Decimal), Decimal("12"), ""},
		{"<int>12</int>", new(float32), float32(12), ""},
		{"<double>1e300</double>", new(float32), nil, "double 1e300 into Go value of type float32"},
		{"<double>1.5</double>", new(int), nil, "cannot read double into Go value of type int"},
		{"<bigdecimal>1.5</bigdecimal>", new(float64), 1.5, ""},
		{"<bigdecimal>1e999</bigdecimal>", new(float64), nil, "bigdecimal 1e999 into"},
		{"<string>12</string>", new(int), nil, "cannot read string into Go value of type int"},
		{"12", new(int), nil, "cannot read string into"},
		{"<int>1</int>", new(bool), nil, "cannot read int into Go value of type bool"},
		{"<int>1</int>", new(string), nil, "cannot read int into Go value of type string"},
		{"<string>x</string>", new(*string), str("x"), ""},
		{"<nil/>", func() **string { p := str("x"); return &p }(), (*string)(nil), ""},
		{"<nil/>", func() *int { n := 7; return &n }(), 7, ""},
		{"<nil/>", &[]int{1}, []int(nil), ""},
		{"<base64>AQID</base64>", new([]byte), []byte{1, 2, 3}, ""},
		{"<base64>AQID</base64>", new([3]byte), [3]byte{1, 2, 3}, ""},
		{"<base64>AQID</base64>", new([4]byte), nil, "base64 of 3 bytes into Go value of type [4]uint8"},
		{"<string>AQID</string>", new([]byte), nil, "cannot read string into"},
		{array("<int>1</int>", "<int>2</int>"), new([]byte), []byte{1, 2}, ""},
		{array("<int>1</int>", "<int>2</int>"), new([3]byte), [3]byte{1, 2, 0}, ""},
		{array("<int>1</int>", "<int>2</int>"), new([]int), []int{1, 2}, ""},
		{array("<int>1</int>", "<int>2</int>"), new([]float64), []float64{1, 2}, ""},
		{array("<int>1</int>", "<int>2</int>"), new([1]int), [1]int{1}, ""},
		{array("<int>1</int>", "x"), new([]int), nil, "[1]: cannot read string into Go value of type int"},
		{array("<int>1</int>", "<double>1</double>"), new([]any), []any{1, 1.}, ""},
		{array("a", "b"), &[]string{"1", "2", "3"}, []string{"a", "b"}, ""},
		{array("<struct><member><name>ID</name><value><int>9</int></value></member></struct>"), &[]base{{1, "old"}}, []base{{9, ""}}, ""},
		{array("a", "<nil/>"), new([]*string), []*string{str("a"), nil}, ""},
		{array(array("a"), array()), new([][]string), [][]string{{"a"}, {""}}, ""},
		{"<array/>", new(map[string]int), map[string]int{}, ""},
		{"<array/>", new(base), base{}, ""},
		{array("a"), new(base), nil, "cannot read array into"},
		{"<struct/>", new([]int), nil, "cannot read struct into"},
		{"<struct/>", new(map[string]any), map[string]any{}, ""},
		{"<struct><member><name>7</name><value>x</value></member></struct>", new(map[int]string), map[int]string{7: "x"}, ""},
		{"<struct><member><name>x</name><value>x</value></member></struct>", new(map[int]string), nil, "x: cannot read the name of a member into"},
		{"<struct><member><name>300</name><value>x</value></member></struct>", new(map[uint8]string), nil, "300: cannot read"},
		{"<struct><member><name>::1</name><value>x</value></member></struct>", new(map[netip.Addr]string), map[netip.Addr]string{netip.IPv6Loopback(): "x"}, ""},
		{"<struct><member><name>b</name><value>2</value></member></struct>", &map[string]string{"a": "1"}, map[string]string{"a": "1", "b": "2"}, ""},
		{"<string>10.0.0.1</string>", new(netip.Addr), netip.MustParseAddr("10.0.0.1"), ""},
		{"<string>ten</string>", new(netip.Addr), nil, "cannot read string into Go value of type netip.Addr: "},
		{"<string>21.5°C</string>", new(celsius), celsius(21.5), ""},
		{"<int>20</int>", new(celsius), celsius(20), ""},
		{"<array/>", new(celsius), nil, "cannot read array into Go value of type xmlrpc.celsius: neither a number"},
		{"<int>1</int>", new(chan int), nil, "cannot read int into Go value of type chan int"},
		{"<int>1</int>", new(fmt.Stringer), nil, "into Go value of type fmt.Stringer"},
		{"<dateTime.iso8601>19980717T14:08:55</dateTime.iso8601>", new(*time.Time), func() *time.Time {
			d := time.Date(1998, 7, 17, 14, 8, 55, 0, time.UTC)
			return &d
		}(), ""},
	} {
		err := Unmarshal([]byte("<value>"+c.doc+"</value>"), c.into)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s into %T: got error %v, want one with %q", c.doc, c.into, err, c.err)
			}
			if FaultCode(err) != CodeInvalidParams {
				t.Errorf("%s into %T: got fault code %d, want %d", c.doc, c.into, FaultCode(err), CodeInvalidParams)
			}
			continue
		}
		if got := reflect.ValueOf(c.into).Elem().Interface(); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s into %T: got %#v, %v, want %#v", c.doc, c.into, got, err, c.want)
		}
	}
}

func TestDecodeStruct(t *testing.T) {
	in := record{
		Base2: &Base2{4}, base: base{7, "x"}, When: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC),
		Tags: []string{"a"}, Any: []any{1, "b"}, Extra: map[string]int{"n": 1}, Temp: 3, Key: [4]byte{1, 2, 3, 4}, No: "no",
	}
	var err error
	if in.Raw, err = ParseValue([]byte("<value><i4>9</i4></value>"), DecodeOptions{}); err != nil {
		t.Fatal(err)
	}
	in.Next = &record{base: base{Name: "y"}, Raw: in.Raw, Any: 1}
	doc, err := AppendValue(nil, in, EncodeOptions{Dialect: Plain})
	if err != nil {
		t.Fatal(err)
	}
	doc = []byte(strings.Replace(string(doc), "<struct>", "<struct><member><name>unknown</name><value><array><data><value>x</value></data></array></value></member>", 1))
	var got record
	if err := Unmarshal(doc, &got); err != nil {
		t.Fatal(err)
	}
	if x, err := got.Raw.Any(); err != nil || x != 9 {
		t.Errorf("raw: got %v, %v, want 9", x, err)
	}
	in.Raw, in.No, got.Raw, in.Next.Raw, got.Next.Raw = RawValue{}, "", RawValue{}, RawValue{}, RawValue{}
	in.Next.Extra = map[string]int{}
	if !reflect.DeepEqual(got, in) {
		t.Errorf("got %+v, want %+v", got, in)
	}
}

func TestFieldsAreFoundWithoutRegardToCase(t *testing.T) {
	var got struct {
		UserName string
		Username string `xmlrpc:"exact"`
		ID       int
	}
	const doc = "<value><struct><member><name>username</name><value>a</value></member>" +
		"<member><name>EXACT</name><value>b</value></member><member><name>id</name><value><int>1</int></value></member></struct></value>"
	if err := Unmarshal([]byte(doc), &got); err != nil || got.UserName != "a" || got.Username != "b" || got.ID != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

type (
	left   struct{ X, Y, Z int }
	right  struct{ X, Z int }
	tagged struct {
		W int `xmlrpc:"Z"`
	}
	torn struct {
		left
		right
		tagged
	}
)

// TestEmbeddedFieldsWithOneName has X twice, which is nobody's then, and Z three
// times, which is whose tag says so.
func TestEmbeddedFieldsWithOneName(t *testing.T) {
	doc, err := Marshal(torn{left{1, 2, 3}, right{4, 5}, tagged{6}})
	const want = "<value><struct><member><name>Y</name><value><int>2</int></value></member><member><name>Z</name><value><int>6</int></value></member></struct></value>"
	if err != nil || string(doc) != want {
		t.Errorf("got %s, %v, want %s", doc, err, want)
	}
	var got torn
	if err := Unmarshal([]byte(strings.ReplaceAll(want, "Y", "X")), &got); err != nil || got != (torn{tagged: tagged{6}}) {
		t.Errorf("got %+v, %v, want only Z", got, err)
	}
}

func TestUnmarshalNeedsAPointer(t *testing.T) {
	for _, v := range []any{nil, 1, (*int)(nil)} {
		err := Unmarshal([]byte("<value/>"), v)
		if bad := new(InvalidUnmarshalError); !errors.As(err, &bad) {
			t.Errorf("%#v: got %v, want an InvalidUnmarshalError", v, err)
		}
	}
}

func TestAnyWithAPointerInItIsDecodedInto(t *testing.T) {
	n := 0
	v := any(&n)
	if err := Unmarshal([]byte("<value><int>5</int></value>"), &v); err != nil || n != 5 {
		t.Errorf("got %d, %v, want 5", n, err)
	}
}

// TestNothingRefersToTheDocument overwrites what was read from, and reads another
// document into the same memory.
func TestNothingRefersToTheDocument(t *testing.T) {
	const inner = "<struct><member><name>key &lt;</name><value>text &amp; more</value></member><member><name>b</name><value><base64>aGVsbG8=</base64></value></member></struct>"
	doc := []byte("<value>" + inner + "</value>")
	var x any
	var raw RawValue
	var kept keeper
	// One that keeps what it should not must not see other documents, though its
	// own may change.
	var careless struct {
		Key any      `xmlrpc:"key <"`
		B   careless `xmlrpc:"b"`
	}
	if err := Unmarshal([]byte("<value>"+inner+"</value>"), &careless); err != nil {
		t.Fatal(err)
	}
	for _, p := range []any{&x, &raw, &kept} {
		if err := Unmarshal(doc, p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range doc {
		doc[i] = '#'
	}
	for range 10 {
		if err := Unmarshal([]byte("<value><struct><member><name>&gt;&gt;&gt;</name><value>&lt;&lt;&lt;&lt;</value></member><member><name>c</name><value><array/></value></member></struct></value>"), new(any)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := careless.B.v.Any(); err != nil || !reflect.DeepEqual(b, []byte("hello")) {
		t.Errorf("kept without Clone: got %#v, %v", b, err)
	}
	want := map[string]any{"key <": "text & more", "b": []byte("hello")}
	fromRaw, err := raw.Any()
	if err != nil {
		t.Fatal(err)
	}
	fromKept, err := kept.v.Any()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]any{"any": x, "RawValue": fromRaw, "Unmarshaler": fromKept} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %#v, want %#v", name, got, want)
		}
	}
}

// keeper keeps a clone of its value.
type keeper struct{ v RawValue }

func (k *keeper) UnmarshalXMLRPC(v RawValue) error {
	k.v = v.Clone()
	return nil
}

// careless keeps its value as it is.
type careless struct{ v RawValue }

func (c *careless) UnmarshalXMLRPC(v RawValue) error {
	c.v = v
	return nil
}

func TestRawValueWalks(t *testing.T) {
	v, err := ParseValue([]byte("<value><struct><member><name>a</name><value><array><data><value><int>1</int></value><value><array/></value><value>x</value></data></array></value></member><member><name>b</name><value>y</value></member></struct></value>"), DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range v.Members() {
		names = append(names, name)
	}
	if !reflect.DeepEqual(names, []string{"a", "b"}) || v.Len() != 2 || v.Kind() != KindStruct {
		t.Errorf("got %v of %d in a %v", names, v.Len(), v.Kind())
	}
	a, ok := v.Member("a")
	if !ok || a.Len() != 3 {
		t.Fatalf("member a: got %v of %d", ok, a.Len())
	}
	var kinds []Kind
	for e := range a.Elems() {
		kinds = append(kinds, e.Kind())
	}
	if !reflect.DeepEqual(kinds, []Kind{KindInt, KindArray, KindString}) {
		t.Errorf("elements: got %v", kinds)
	}
	for range a.Elems() {
		break
	}
	if b, ok := v.Member("b"); !ok || b.Kind() != KindString || b.Len() != 0 {
		t.Errorf("member b: got %v", b.Kind())
	}
	if _, ok := v.Member("c"); ok {
		t.Error("there is a member c")
	}
	var none RawValue
	if !none.IsZero() || none.Kind() != KindInvalid || none.Len() != 0 || !none.Clone().IsZero() {
		t.Error("the zero RawValue is something")
	}
	if err := none.Decode(new(any)); err == nil {
		t.Error("the zero RawValue can be decoded")
	}
}

// TestConcurrentUse decodes one document by many goroutines, with types that have
// never been seen. The race detector judges.
func TestConcurrentUse(t *testing.T) {
	type fresh struct {
		N    int
		Next *fresh
		L    []map[string]fresh
	}
	v, err := ParseValue([]byte("<value><struct><member><name>n</name><value><int>1</int></value></member></struct></value>"), DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var f fresh
			if err := v.Decode(&f); err != nil || f.N != 1 {
				t.Errorf("got %+v, %v", f, err)
			}
			if _, err := AppendValue(nil, f, EncodeOptions{Dialect: Plain}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestTypeName(t *testing.T) {
	for want, types := range map[string][]reflect.Type{
		"int":              {reflect.TypeFor[int](), reflect.TypeFor[uint8](), reflect.TypeFor[*int64](), reflect.TypeFor[*big.Int]()},
		"boolean":          {reflect.TypeFor[bool]()},
		"double":           {reflect.TypeFor[float32](), reflect.TypeFor[Decimal]()},
		"string":           {reflect.TypeFor[string](), reflect.TypeFor[netip.Addr]()},
		"dateTime.iso8601": {reflect.TypeFor[time.Time](), reflect.TypeFor[*time.Time]()},
		"base64":           {reflect.TypeFor[[]byte](), reflect.TypeFor[[4]byte]()},
		"array":            {reflect.TypeFor[[]int](), reflect.TypeFor[[2]string](), reflect.TypeFor[[]any]()},
		"struct":           {reflect.TypeFor[map[string]int](), reflect.TypeFor[record]()},
		"nil":              {nil},
		"undef":            {reflect.TypeFor[any](), reflect.TypeFor[RawValue](), reflect.TypeFor[upper](), reflect.TypeFor[celsius](), reflect.TypeFor[error]()},
	} {
		for _, typ := range types {
			if got := TypeName(typ); got != want {
				t.Errorf("%v: got %s, want %s", typ, got, want)
			}
		}
	}
}
