package xmlrpc

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seedFuzz gives a fuzzer all documents that the other tests have, if they are
// small.
func seedFuzz(f *testing.F, request bool) {
	for _, c := range goldenFiles(f, "request") {
		f.Add(c.doc)
	}
	for _, a := range attacks() {
		if doc := a.doc(); len(doc) < 4096 {
			f.Add(doc)
		}
	}
	for _, c := range shapeCases {
		if request {
			f.Add([]byte(call("<value>" + c.doc + "</value>")))
		} else {
			f.Add([]byte("<value>" + c.doc + "</value>"))
		}
	}
}

// checkError makes sure that err is one that a document may cause.
func checkError(t *testing.T, data []byte, err error) {
	t.Helper()
	if bad := new(SyntaxError); errors.As(err, &bad) {
		if bad.Code > CodeInvalidRequest || bad.Code < CodeInvalidCharacter || bad.Msg == "" || bad.Offset < 0 || bad.Offset > 2*len(data)+4 || bad.Line < 0 {
			t.Fatalf("got %#v", bad)
		}
		return
	}
	if limit := new(LimitError); errors.As(err, &limit) && limitNouns[limit.Name] != "" {
		return
	}
	t.Fatalf("got %T %v, want a SyntaxError or a LimitError", err, err)
}

// FuzzRequest reads requests under every option. What is read can be written and
// read again, and is the same.
func FuzzRequest(f *testing.F) {
	seedFuzz(f, true)
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		for _, o := range []DecodeOptions{{}, {Strict: true}, {LastWins: true, Opaque: true, Charset: "windows-1252", Limits: Limits{Depth: 8, Elements: 500, Text: 100, Number: 20}}} {
			r, err := ParseRequest(data, o)
			if err != nil {
				checkError(t, data, err)
				continue
			}
			if !utf8.ValidString(r.Method) || r.Method == "" {
				t.Fatalf("method %q", r.Method)
			}
			args := make([]any, 0, len(r.Params))
			for _, p := range r.Params {
				x, err := p.Any()
				if err != nil {
					checkError(t, data, err)
					return
				}
				args = append(args, x)
				if y, err := p.Clone().Any(); err != nil || !equal(x, y) {
					t.Fatalf("clone: got %#v, %v, want %#v", y, err, x)
				}
				var typed struct {
					A []map[string]string
					B *int
					C RawValue
				}
				_ = p.Decode(&typed) // for the panics
			}
			again, err := AppendRequest(nil, EncodeOptions{Dialect: Apache}, r.Method, args...)
			if err != nil {
				// Nothing but years of five digits cannot be written.
				if bad := new(UnsupportedValueError); errors.As(err, &bad) && strings.Contains(bad.Reason, "year") {
					continue
				}
				t.Fatal(err)
			}
			r2, err := ParseRequest(again, DecodeOptions{})
			if err != nil {
				t.Fatalf("%s: %v", again, err)
			}
			if r2.Method != r.Method || len(r2.Params) != len(args) {
				t.Fatalf("got %s with %d params, want %s with %d", r2.Method, len(r2.Params), r.Method, len(args))
			}
			for i, p := range r2.Params {
				if x, err := p.Any(); err != nil || !equal(x, args[i]) {
					t.Fatalf("param %d: got %#v, %v, want %#v", i, x, err, args[i])
				}
			}
		}
		if !bytes.Equal(data, before) {
			t.Fatal("the document was changed")
		}
	})
}

// equal compares what was read with what it is read as once it was written, which
// loses fractions of seconds.
func equal(a, b any) bool {
	switch a := a.(type) {
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Truncate(time.Second).Equal(b.Truncate(time.Second))
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name := range a {
			if y, ok := b[name]; !ok || !equal(a[name], y) {
				return false
			}
		}
		return true
	case *big.Int:
		// One that fits into 64 bits is written as an i8 or an int.
		switch b := b.(type) {
		case int:
			return a.IsInt64() && a.Int64() == int64(b)
		case *big.Int:
			return a.Cmp(b) == 0
		}
		return false
	}
	return same(a, b)
}

// FuzzResponse reads responses; a fault that is read can be written.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("<methodResponse><params><param><value>x</value></param></params></methodResponse>"))
	f.Add(AppendFault(nil, &Fault{4, "x"}))
	f.Add([]byte("<methodResponse><fault><struct><member><name>faultCode</name><value>Client</value></member></struct></fault></methodResponse>"))
	seedFuzz(f, true)
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := ParseResponse(data, DecodeOptions{})
		if fault := new(Fault); errors.As(err, &fault) {
			_, err := ParseResponse(AppendFault(nil, fault), DecodeOptions{Strict: true})
			if again := new(Fault); !errors.As(err, &again) || again.String != fault.String {
				t.Fatalf("got %v, want %v", err, fault)
			}
			return
		}
		if err != nil {
			checkError(t, data, err)
		} else if !v.IsZero() {
			_, _ = v.Any()
		}
	})
}

// FuzzOracle compares the scanner with encoding/xml: it accepts what the oracle
// accepts, and reads the same.
func FuzzOracle(f *testing.F) {
	seedFuzz(f, false)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		text, bad := toUTF8(data, "", defaultBytes)
		if bad != nil {
			return
		}
		v, err := ParseValue(data, DecodeOptions{})
		root, oracleErr := oracleTree(text)
		if errors.Is(oracleErr, errOracleUnsure) {
			return
		}
		if oracleErr == nil && (root.prefixed() || bytes.Contains(text, []byte("xmlns"))) {
			return // namespaces are resolved differently, and have their own tests
		}
		var want any
		if oracleErr == nil {
			want, oracleErr = root.value()
		}
		if err == nil && oracleErr != nil {
			// encoding/xml knows the names of an older edition, and no joined surrogates.
			if !ascii(text) || bytes.Contains(text, []byte("&#")) {
				return
			}
			t.Fatalf("%q: it is accepted, and the oracle says %v", data, oracleErr)
		}
		if err != nil {
			if oracleErr == nil && FaultCode(err) != CodeLimit && !strictReason(text, err) {
				t.Fatalf("%q: got %v, and the oracle reads %#v", data, err, want)
			}
			return
		}
		if bytes.Contains(text, []byte("&#")) && bytes.Contains([]byte(fmtOracle(want)), []byte("\uFFFD")) {
			return // joined surrogates
		}
		if err := sameAsOracle(v, want); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
	})
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// fmtOracle is all text that the oracle read.
func fmtOracle(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case oracleScalar:
		return v.text
	case []any:
		s := ""
		for _, e := range v {
			s += fmtOracle(e)
		}
		return s
	case map[string]any:
		s := ""
		for name, e := range v {
			s += name + fmtOracle(e)
		}
		return s
	}
	return ""
}

// strictReason reports whether the scanner is right to refuse what encoding/xml
// accepts although XML does not have it.
func strictReason(text []byte, err error) bool {
	msg := err.Error()
	for _, known := range []string{
		"a tag has a character that names do not have", // no blank between attributes
		"the XML declaration",                          // encoding/xml hardly looks at it
		"there is something after the end",             // encoding/xml has stopped there
		"half of a surrogate pair",                     // encoding/xml makes it U+FFFD
		"a character that XML does not have",           // as does it with these
		"an XML declaration is not at the",             // as <?XML?>
		"a processing instruction has",                 // <?a=?>
		"< begins neither a tag nor a comment",         // names of the older edition
		"an attribute has no name",
		"there is text outside of the document", // CDATA
	} {
		if strings.Contains(msg, known) {
			return true
		}
	}
	return false
}

// FuzzText writes texts, which are read as they were or are refused for good.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a<b>&\r\n", "\x00", "\xff", "\uFFFE", "ä😀", strings.Repeat("x", 60) + "\r\x01"} {
		f.Add(s, 1.5, int64(3))
	}
	f.Fuzz(func(t *testing.T, s string, x float64, n int64) {
		in := map[string]any{s: []any{s, []byte(s), time.Unix(n%(1<<37), 0).UTC()}}
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			in["double"] = x
		}
		in["int"] = int(n)
		doc, err := AppendValue(nil, in, EncodeOptions{Dialect: Plain})
		if legal := legalText([]byte(s)) == len(s); legal != (err == nil) {
			if bad := new(UnsupportedValueError); legal && errors.As(err, &bad) && strings.Contains(bad.Reason, "year") {
				return
			}
			t.Fatalf("%q: got %v", s, err)
		}
		if err != nil {
			return
		}
		var got any
		if err := Unmarshal(doc, &got); err != nil || !equal(got, in) {
			t.Fatalf("got %#v, %v, want %#v", got, err, in)
		}
		if root, err := oracleTree(doc); err != nil {
			t.Fatalf("%s: the oracle says %v", doc, err)
		} else if _, err := root.value(); err != nil {
			t.Fatalf("%s: the oracle says %v", doc, err)
		}
		replaced, err := AppendValue(nil, s, EncodeOptions{BadText: ReplaceBadText})
		if err != nil {
			t.Fatal(err)
		}
		if err := Unmarshal(replaced, &got); err != nil {
			t.Fatalf("%s: %v", replaced, err)
		}
	})
}
