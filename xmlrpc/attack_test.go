package xmlrpc

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// An attack is a document that is meant to cost much.
type attack struct {
	name string
	doc  func() []byte
	o    DecodeOptions
	code int // 0 if it is read
	// most is how many bytes may be allocated for each byte of the document, with
	// 64 KiB for free.
	most float64
}

// call is a call with one parameter.
func call(value string) string {
	return "<?xml version='1.0'?><methodCall><methodName>f</methodName><params><param>" + value + "</param></params></methodCall>"
}

// docOf makes a document of parts, the second one n times.
func docOf(begin, part string, n int, end string) func() []byte {
	return func() []byte { return []byte(begin + strings.Repeat(part, n) + end) }
}

// each makes a document with n parts, which differ.
func each(begin, format string, n int, end string) func() []byte {
	return func() []byte {
		b := bytes.NewBufferString(begin)
		for i := range n {
			fmt.Fprintf(b, format, i)
		}
		b.WriteString(end)
		return b.Bytes()
	}
}

func attacks() []attack {
	const (
		head = "<methodCall><methodName>f</methodName><params><param>"
		tail = "</param></params></methodCall>"
		mega = 1 << 20
	)
	lol := `<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>`
	nest := func(open, end string, n int) func() []byte {
		return func() []byte {
			return []byte(head + strings.Repeat(open, n) + "<value/>" + strings.Repeat(end, n) + tail)
		}
	}
	const (
		inArray, outArray   = "<value><array><data>", "</data></array></value>"
		inStruct, outStruct = "<value><struct><member><name>a</name>", "</member></struct></value>"
	)
	all := DecodeOptions{Limits: Limits{Bytes: -1, Depth: -1, Elements: -1, Text: -1, Number: -1}}
	large := DecodeOptions{Limits: Limits{Bytes: 256 << 20}}
	return []attack{
		// Entities.
		{"billion laughs", docOf(lol, "", 0, call("<value>&c;</value>")), DecodeOptions{}, CodeNotWellFormed, 1},
		{"quadratic blow-up", docOf(`<!DOCTYPE a [<!ENTITY a "`, "x", mega, `">]>`+head+"<value>"+strings.Repeat("&a;", 1000)+"</value>"+tail), DecodeOptions{}, CodeNotWellFormed, .1},
		{"entity without a DOCTYPE", docOf(head+"<value>", "&a;", 1000, "</value>"+tail), DecodeOptions{}, CodeNotWellFormed, 1},
		{"parameter entity", docOf(`<!DOCTYPE a [<!ENTITY % p SYSTEM "http://192.0.2.1/x"> %p;]>`, "", 0, call("<value/>")), DecodeOptions{}, CodeNotWellFormed, 1},
		{"external entity", docOf(`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>`, "", 0, call("<value>&x;</value>")), DecodeOptions{}, CodeNotWellFormed, 1},
		{"external subset", docOf(`<!DOCTYPE a SYSTEM "http://192.0.2.1/x">`, "", 0, call("<value/>")), DecodeOptions{}, CodeNotWellFormed, 1},
		{"large internal subset", docOf("<!DOCTYPE a [", "<!-- x -->", mega/10, "]>"+call("<value/>")), DecodeOptions{}, CodeNotWellFormed, .1},
		{"DOCTYPE without a subset", docOf("<!DOCTYPE methodCall>", "", 0, call("<value/>")), DecodeOptions{}, CodeNotWellFormed, 1},
		{"DOCTYPE inside", docOf(head+"<!DOCTYPE x>", "", 0, "<value/>"+tail), DecodeOptions{}, CodeNotWellFormed, 1},

		// Nesting. The value in the middle counts as well.
		{"64 arrays", nest(inArray, outArray, 63), DecodeOptions{}, 0, 10},
		{"65 arrays", nest(inArray, outArray, 64), DecodeOptions{}, CodeLimit, 10},
		{"64 structs", nest(inStruct, outStruct, 63), DecodeOptions{}, 0, 10},
		{"65 structs", nest(inStruct, outStruct, 64), DecodeOptions{}, CodeLimit, 10},
		{"65 of both", nest(inArray+inStruct, outStruct+outArray, 32), DecodeOptions{}, CodeLimit, 10},
		{"10k arrays", nest(inArray, outArray, 10_000), DecodeOptions{}, CodeLimit, 1},
		{"1M unclosed arrays", docOf(head, inArray, 300_000, ""), DecodeOptions{}, CodeLimit, .1},
		{"1001 arrays without a limit", nest(inArray, outArray, 1000), all, CodeLimit, 20},
		{"1000 arrays without a limit", nest(inArray, outArray, 999), all, 0, 20},
		{"10k unknown elements", docOf(head+"<value>", "<a>", 10_000, ""), DecodeOptions{}, CodeInvalidRequest, 1},
		{"10k levels of embedded XML", docOf(head+"<value><ex:dom>", "<a>", 10_000, ""), DecodeOptions{Opaque: true}, CodeLimit, 1},

		// Size.
		{"17 MB string", docOf(head+"<value>", "0123456789abcdef", mega+1, "</value>"+tail), DecodeOptions{}, CodeLimit, .01},
		{"17 MB name", docOf(head+"<value><struct><member><name>", "0123456789abcdef", mega+1, "</name><value/></member></struct></value>"+tail), DecodeOptions{}, CodeLimit, .01},
		{"100 MB comment where it is allowed", docOf("<!--", "0123456789", 10*mega, "-->"+head+"<value/>"+tail), large, 0, .01},
		{"1 MB comment of dashes", docOf("<!--", "-", mega, "-->"+call("<value/>")), DecodeOptions{}, CodeNotWellFormed, .1},
		{"unclosed comments", docOf(head, "<!--", mega, ""), DecodeOptions{}, CodeNotWellFormed, .1},
		{"unclosed CDATA", docOf(head+"<value>", "<![CDATA[", 500_000, ""), DecodeOptions{}, CodeNotWellFormed, .1},
		{"unclosed instructions", docOf(head, "<?a ", mega, ""), DecodeOptions{}, CodeNotWellFormed, .1},
		{"10 MB attribute", docOf("<methodCall a='", "0123456789", mega, "'><methodName>f</methodName></methodCall>"), DecodeOptions{}, 0, .01},
		{"long string with its own limit", docOf(head+"<value>", "x", 1001, "</value>"+tail), DecodeOptions{Limits: Limits{Text: 1000}}, CodeLimit, 1},
		{"long mixed string with its own limit", docOf(head+"<value>&lt;", "x", 1000, "</value>"+tail), DecodeOptions{Limits: Limits{Text: 1000}}, CodeLimit, 10},
		{"long name with its own limit", docOf(head+"<value><struct><member><name>", "x", 1001, "</name><value/></member></struct></value>"+tail), DecodeOptions{Limits: Limits{Text: 1000}}, CodeLimit, 1},

		// Number.
		{"200k attributes", each("<methodCall", " a%d=''", 200_000, "><methodName>f</methodName></methodCall>"), DecodeOptions{}, 0, 20},
		{"1M attributes", docOf("<methodCall", " a=''", mega, ">"), DecodeOptions{Limits: Limits{Elements: 1000}}, CodeLimit, 1},
		{"twice among 100k attributes", each("<methodCall", " a%d=''", 100_000, " a7=''>"), DecodeOptions{}, CodeNotWellFormed, 20},
		{"1M declarations of namespaces", docOf("<methodCall", " xmlns:a='x'", mega, ">"), DecodeOptions{}, CodeLimit, 1},
		{"declarations on every level", each(head, "<value xmlns:a%d='x' xmlns:b='x'><array><data>", 60, ""), DecodeOptions{}, CodeLimit, 10},
		{"1M values", docOf(head+"<value><array><data>", "<value/>", mega, "</data></array></value>"+tail), DecodeOptions{}, 0, 20},
		{"1M values under a limit", docOf(head+"<value><array><data>", "<value/>", mega, "</data></array></value>"+tail), DecodeOptions{Limits: Limits{Elements: mega}}, CodeLimit, 20},
		{"2M values", docOf(head+"<value><array><data>", "<value/>", 2_000_000, "</data></array></value>"+tail), DecodeOptions{}, CodeLimit, 20},
		{"100k members with one beginning", each(head+"<value><struct>", "<member><name>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%d</name><value/></member>", 100_000, "</struct></value>"+tail), DecodeOptions{}, 0, 10},
		{"100k members of the same name", docOf(head+"<value><struct>", "<member><name>a</name><value/></member>", 100_000, "</struct></value>"+tail), DecodeOptions{}, CodeInvalidRequest, 10},
		{"1M empty params", docOf("<methodCall><methodName>f</methodName><params>", "<param/>", mega, "</params></methodCall>"), DecodeOptions{}, CodeInvalidRequest, .1},
		{"300k params", docOf("<methodCall><methodName>f</methodName><params>", "<param><value/></param>", 300_000, "</params></methodCall>"), DecodeOptions{}, 0, 10},
		{"1M comments", docOf(head, "<!---->", mega, "<value/>"+tail), DecodeOptions{}, 0, .1},
		{"1M comments in a text", docOf(head+"<value>", "x<!---->", mega, "</value>"+tail), DecodeOptions{}, 0, 3},
		{"1M CDATA sections in a text", docOf(head+"<value>", "<![CDATA[x]]>", mega, "</value>"+tail), DecodeOptions{}, 0, 3},
		{"3M references", docOf(head+"<value>", "&lt;", 3*mega, "</value>"+tail), DecodeOptions{}, 0, 3},
		{"10 MB of brackets", docOf(head+"<value>", "]]", 5*mega, "</value>"+tail), DecodeOptions{}, 0, 3},

		// Scalars.
		{"base64 with a blank after every byte", docOf(head+"<value><base64>", "A A A A ", mega, "</base64></value>"+tail), DecodeOptions{}, 0, 3},
		{"base64 without padding", docOf(head+"<value><base64>", "AAAA", mega, "A</base64></value>"+tail), DecodeOptions{}, CodeInvalidRequest, 3},
		{"base64 after its padding", docOf(head+"<value><base64>AA==", "AAAA", mega, "</base64></value>"+tail), DecodeOptions{}, CodeInvalidRequest, 3},
		{"int of 1M digits", docOf(head+"<value><int>", "1", mega, "</int></value>"+tail), DecodeOptions{}, CodeLimit, .1},
		{"double of 1M digits", docOf(head+"<value><double>", "1", mega, "</double></value>"+tail), DecodeOptions{}, CodeLimit, .1},
		{"big integer of 1M digits", docOf(head+"<value><ex:biginteger>", "1", mega, "</ex:biginteger></value>"+tail), DecodeOptions{}, CodeLimit, .1},
		{"double with a large exponent", docOf(head+"<value><double>1e", "9", 900, "</double></value>"+tail), DecodeOptions{}, CodeInvalidRequest, 10},
		{"decimal with a large exponent", docOf(head+"<value><ex:bigdecimal>1E", "9", 900, "</ex:bigdecimal></value>"+tail), DecodeOptions{}, 0, 10},
		{"reference of 1M digits", docOf(head+"<value>&#", "0", mega, "65;</value>"+tail), DecodeOptions{}, 0, 3},
		{"date of 1M digits", docOf(head+"<value><dateTime.iso8601>", "1", mega, "</dateTime.iso8601></value>"+tail), DecodeOptions{}, CodeInvalidRequest, 3},

		// Names of methods.
		{"method name of 1 MB", docOf("<methodCall><methodName>", "x", mega, "</methodName></methodCall>"), DecodeOptions{}, CodeLimit, .1},
		{"method name with a NUL", docOf("<methodCall><methodName>a\x00b</methodName></methodCall>", "", 0, ""), DecodeOptions{}, CodeInvalidCharacter, 1},
	}
}

func TestAttacks(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			doc := a.doc()
			var err error
			got := allocated(func() { err = readAll(doc, a.o) })
			switch {
			case a.code == 0 && err != nil:
				t.Errorf("got %v, want it read", err)
			case a.code != 0 && (err == nil || FaultCode(err) != a.code):
				t.Errorf("got error %v, want one of %d", err, a.code)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if most := uint64(a.most*float64(len(doc))) + 64<<10; got > most {
				t.Errorf("%d bytes allocated for a document of %d, want at most %d", got, len(doc), most)
			}
		})
	}
}

// readAll reads a call and all of its parameters.
func readAll(doc []byte, o DecodeOptions) error {
	r, err := ParseRequest(doc, o)
	if err != nil {
		return err
	}
	for _, p := range r.Params {
		if _, err := p.Any(); err != nil {
			return err
		}
	}
	return nil
}

// allocated is how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestInvalidUTF8AtEveryPosition breaks a document byte by byte.
func TestInvalidUTF8AtEveryPosition(t *testing.T) {
	doc := []byte(call("<value><struct><member><name>ä</name><value><string>ö&#252;<!-- é --></string></value></member></struct></value>"))
	if err := readAll(doc, DecodeOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"\xff", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x80\x80\xaf", "\x00", "\x1b", "\uFFFE"} {
		for i := range doc {
			broken := bytes.Join([][]byte{doc[:i], doc[i:]}, []byte(bad))
			if err := readAll(broken, DecodeOptions{}); FaultCode(err) != CodeInvalidCharacter {
				t.Fatalf("%q at %d: got %v, want error %d", bad, i, err, CodeInvalidCharacter)
			}
		}
	}
}

// TestEveryDepthUnclosed ends a document in the middle at each depth.
func TestEveryDepthUnclosed(t *testing.T) {
	for _, open := range []string{"<value><array><data>", "<value><struct><member><name>a</name>"} {
		for n := range 64 {
			doc := "<methodCall><methodName>f</methodName><params><param>" + strings.Repeat(open, n)
			err := readAll([]byte(doc), DecodeOptions{})
			if bad := new(SyntaxError); !errors.As(err, &bad) || bad.Code != CodeNotWellFormed || bad.Offset != len(doc) {
				t.Errorf("%d times %s: got %v", n, open, err)
			}
		}
	}
}

// TestSmallDocumentsAllocateLittle pins what a small call costs. The pools may
// lose what they have at any time, so a few more are allowed.
func TestSmallDocumentsAllocateLittle(t *testing.T) {
	doc, err := AppendRequest(nil, EncodeOptions{}, "add", 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(100, func() {
		if _, err := decodeCall(doc); err != nil {
			t.Error(err)
		}
	}); got > 10 {
		t.Errorf("decoding add(3, 4): got %v allocations, want at most 10", got)
	}
	args := []any{3, 4}
	buf := make([]byte, 0, 1024)
	if got := testing.AllocsPerRun(100, func() {
		if _, err := AppendRequest(buf, EncodeOptions{}, "add", args...); err != nil {
			t.Error(err)
		}
	}); got > 2 {
		t.Errorf("encoding add(3, 4): got %v allocations, want at most 2", got)
	}
	// The names of the members are made once, and not for each of the structs.
	row := map[string]any{"name": true, "address": true, "telephone": true, "birthday": true}
	if doc, err = AppendRequest(nil, EncodeOptions{}, "f", []any{row, row, row, row, row, row, row, row, row, row}); err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(100, func() {
		if _, err := decodeCall(doc); err != nil {
			t.Error(err)
		}
	}); got > 40 {
		t.Errorf("decoding 10 structs of 4 members: got %v allocations, want at most 40", got)
	}
}
