package xmlrpc

import (
	"bytes"
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestParseRequestRefuses(t *testing.T) {
	for _, c := range []struct {
		doc  string
		code int
	}{
		{"", CodeNotWellFormed},
		{" \n", CodeNotWellFormed},
		{"hello", CodeNotWellFormed},
		{"<html><body>Log in</body></html>", CodeInvalidRequest},
		{"<!DOCTYPE html><html></html>", CodeNotWellFormed},
		{"<methodResponse><params><param><value/></param></params></methodResponse>", CodeInvalidRequest},
		{"<methodCall/>", CodeInvalidRequest},
		{"<methodCall></methodCall>", CodeInvalidRequest},
		{"<methodCall><params/></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName/></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName> </methodName></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><methodName>b</methodName></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a<b/></methodName></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><params/><params/></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName>x</methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><foo/></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><params>x</params></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><params><value/></params></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><params><param/></params></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><params><param></param></params></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><params><param><int>1</int></param></params></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName><params><param><value/><value/></param></params></methodCall>", CodeInvalidRequest},
		{"<methodCall><methodName>a</methodName></methodCall><methodCall/>", CodeNotWellFormed},
		{"<methodCall><methodName>a</methodName></methodCall>x", CodeNotWellFormed},
		{"<methodCall><methodName>a</methodName></methodCall><![CDATA[]]>", CodeNotWellFormed},
		{"x<methodCall><methodName>a</methodName></methodCall>", CodeNotWellFormed},
		{"</methodCall>", CodeNotWellFormed},
		{"<methodCall><methodName>" + strings.Repeat("a", 256) + "</methodName></methodCall>", CodeLimit},
	} {
		r, err := ParseRequest([]byte(c.doc), DecodeOptions{})
		if FaultCode(err) != c.code || r != nil {
			t.Errorf("%s: got %+v, %v, want error %d", clip([]byte(c.doc)), r, err, c.code)
		}
	}
}

func TestStrictRequests(t *testing.T) {
	for doc, ok := range map[string]bool{
		"<methodCall><methodName>a.b:c/d_9</methodName></methodCall>":        true,
		"<methodCall><methodName> a </methodName></methodCall>":              false,
		"<methodCall><methodName>gloom&amp;doom</methodName></methodCall>":   false,
		"<methodCall><params/><methodName>a</methodName></methodCall>":       false,
		"<methodCall>\n<methodName>a</methodName>\n<params/>\n</methodCall>": true,
	} {
		if _, err := ParseRequest([]byte(doc), DecodeOptions{}); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
		if _, err := ParseRequest([]byte(doc), DecodeOptions{Strict: true}); (err == nil) != ok {
			t.Errorf("%s: strict: got %v, want ok %v", doc, err, ok)
		}
	}
}

func TestParseResponse(t *testing.T) {
	const begin, end = "<methodResponse>", "</methodResponse>"
	fault := func(members string) string {
		return "<fault><value><struct>" + members + "</struct></value></fault>"
	}
	code := func(v string) string { return "<member><name>faultCode</name><value>" + v + "</value></member>" }
	text := func(v string) string { return "<member><name>faultString</name><value>" + v + "</value></member>" }
	for _, c := range []struct {
		doc    string
		want   any
		fault  *Fault
		code   int
		strict bool
	}{
		{"<params><param><value><int>7</int></value></param></params>", 7, nil, 0, true},
		{"<params/>", nil, nil, 0, false},
		{"<params></params>", nil, nil, 0, false},
		{fault(code("<int>4</int>") + text("<string>no</string>")), nil, &Fault{4, "no"}, 0, true},
		{fault(text("no") + code("<i4>-32601</i4>")), nil, &Fault{CodeMethodNotFound, "no"}, 0, true},
		{fault(code("<string> 401 </string>") + text("no")), nil, &Fault{401, "no"}, 0, false},
		{fault(code("Client") + text("no")), nil, &Fault{0, "Client: no"}, 0, false},
		{fault(code("Client")), nil, &Fault{0, "Client"}, 0, false},
		{fault(code("<int>4</int>")), nil, &Fault{4, ""}, 0, false},
		{fault(code("<int>4</int>") + text("<nil/>")), nil, &Fault{4, ""}, 0, false},
		{fault(text("no")), nil, &Fault{0, "no"}, 0, false},
		{fault(code("<int>4</int>") + text("no") + "<member><name>faultCause</name><value><base64>AA==</base64></value></member>"), nil, &Fault{4, "no"}, 0, false},
		{"<fault><struct>" + code("<int>4</int>") + text("no") + "</struct></fault>", nil, &Fault{4, "no"}, 0, false},
		{fault(code("<int>four</int>")), nil, nil, CodeInvalidRequest, false},
		{fault(""), nil, nil, CodeInvalidRequest, false},
		{"<fault><value>no</value></fault>", nil, nil, CodeInvalidRequest, false},
		{"<fault/>", nil, nil, CodeInvalidRequest, false},
		{"<fault><int>4</int></fault>", nil, nil, CodeInvalidRequest, false},
		{"", nil, nil, CodeInvalidRequest, false},
		{"<value/>", nil, nil, CodeInvalidRequest, false},
		{"<params><param><value/></param><param><value/></param></params>", nil, nil, CodeInvalidRequest, false},
		{"<params><param><value/></param></params>" + fault(code("<int>4</int>")), nil, nil, CodeInvalidRequest, false},
		{"<params><param><value>", nil, nil, CodeNotWellFormed, false},
	} {
		for _, strict := range []bool{false, true} {
			v, err := ParseResponse([]byte(begin+c.doc+end), DecodeOptions{Strict: strict})
			if strict && !c.strict {
				if f := new(Fault); err == nil || errors.As(err, &f) {
					t.Errorf("%s: strict: got %v, want it refused", c.doc, err)
				}
				continue
			}
			switch {
			case c.code != 0:
				if FaultCode(err) != c.code {
					t.Errorf("%s: got %v, want error %d", c.doc, err, c.code)
				}
			case c.fault != nil:
				if f := new(Fault); !errors.As(err, &f) || *f != *c.fault {
					t.Errorf("%s: got %v, want %v", c.doc, err, c.fault)
				}
			case err != nil || v.IsZero() != (c.want == nil):
				t.Errorf("%s: got %v, %v", c.doc, v.Kind(), err)
			case c.want != nil:
				if x, err := v.Any(); err != nil || x != c.want {
					t.Errorf("%s: got %v, %v, want %v", c.doc, x, err, c.want)
				}
			}
		}
	}
}

func TestFaultsCanAlwaysBeWritten(t *testing.T) {
	for in, want := range map[Fault]Fault{
		{1, "a <b>\r\x00\xff"}: {1, "a <b>\r\uFFFD\uFFFD"},
		{math.MaxInt, ""}:      {math.MaxInt32, ""},
		{math.MinInt, ""}:      {math.MinInt32, ""},
	} {
		_, err := ParseResponse(AppendFault(nil, &in), DecodeOptions{Strict: true})
		if f := new(Fault); !errors.As(err, &f) || *f != want {
			t.Errorf("%#v: got %#v, want %#v", in, err, want)
		}
	}
}

func TestFaultCode(t *testing.T) {
	for want, err := range map[int]error{
		4:                       &Fault{Code: 4},
		CodeUnsupportedEncoding: &SyntaxError{Code: CodeUnsupportedEncoding},
		CodeLimit:               &LimitError{Name: "Depth"},
		CodeInvalidParams:       &UnmarshalTypeError{},
		CodeInternal:            &UnsupportedTypeError{},
		CodeApplication:         context.Canceled,
	} {
		if got := FaultCode(errors.Join(err)); got != want {
			t.Errorf("%T: got %d, want %d", err, got, want)
		}
	}
	if got := FaultCode(&ArgumentError{Err: &Fault{Code: 7}}); got != 7 {
		t.Errorf("fault inside: got %d, want 7", got)
	}
}

func TestDecodeArgs(t *testing.T) {
	in := []reflect.Type{reflect.TypeFor[int](), reflect.TypeFor[*string]()}
	variadic := append(in[:1:1], reflect.TypeFor[[]string]())
	for _, c := range []struct {
		args     []any
		in       []reflect.Type
		variadic bool
		want     []any
		err      string
	}{
		{[]any{1, "a"}, in, false, []any{1, "a"}, ""},
		{[]any{1, nil}, in, false, []any{1, nil}, ""},
		{[]any{}, nil, false, []any{}, ""},
		{[]any{1}, in, false, nil, "xmlrpc: takes 2 arguments, got 1"},
		{[]any{1, "a", 2}, in, false, nil, "xmlrpc: takes 2 arguments, got 3"},
		{[]any{nil, "a"}, in, false, nil, "xmlrpc: argument 1: cannot read nil into Go value of type int"},
		{[]any{1, 2}, in, false, nil, "xmlrpc: argument 2: cannot read int into Go value of type string"},
		{[]any{1}, variadic, true, []any{1}, ""},
		{[]any{1, "a", "b"}, variadic, true, []any{1, "a", "b"}, ""},
		{[]any{}, variadic, true, nil, "xmlrpc: takes at least 1 argument, got 0"},
		{[]any{1, "a", 2}, variadic, true, nil, "xmlrpc: argument 3: cannot read int into Go value of type string"},
	} {
		doc, err := AppendRequest(nil, EncodeOptions{Dialect: Plain}, "f", c.args...)
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseRequest(doc, DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeArgs(r.Params, c.in, c.variadic)
		if c.err != "" {
			if err == nil || err.Error() != c.err || FaultCode(err) != CodeInvalidParams {
				t.Errorf("%v: got %v, want %s", c.args, err, c.err)
			}
			continue
		}
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%v: got %v, %v", c.args, got, err)
			continue
		}
		for i, v := range got {
			if v.Kind() == reflect.Pointer {
				if v = v.Elem(); !v.IsValid() {
					if c.want[i] != nil {
						t.Errorf("%v: argument %d: got nil", c.args, i)
					}
					continue
				}
			}
			if v.Interface() != c.want[i] {
				t.Errorf("%v: argument %d: got %v, want %v", c.args, i, v, c.want[i])
			}
		}
	}
}

// TestArgumentsOfInvalidTextAreNamed has a scalar that is no number: that is not
// the fault of its type.
func TestArgumentsOfInvalidTextAreNamed(t *testing.T) {
	r, err := ParseRequest([]byte("<methodCall><methodName>f</methodName><params><param><value><int>x</int></value></param></params></methodCall>"), DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = DecodeArgs(r.Params, []reflect.Type{reflect.TypeFor[int]()}, false)
	if arg := new(ArgumentError); !errors.As(err, &arg) || arg.Index != 0 || FaultCode(err) != CodeInvalidRequest {
		t.Errorf("got %v with code %d, want an ArgumentError with %d", err, FaultCode(err), CodeInvalidRequest)
	}
}

// writeOnce counts its writes.
type writeOnce struct {
	bytes.Buffer
	writes int
}

func (w *writeOnce) Write(b []byte) (int, error) {
	w.writes++
	return w.Buffer.Write(b)
}

func TestStreams(t *testing.T) {
	for name, c := range map[string]struct {
		write func(*Encoder) error
		read  func(*Decoder) (any, error)
		want  any
	}{
		"value": {
			func(e *Encoder) error { return e.Encode([]any{1, "a"}) },
			func(d *Decoder) (x any, err error) { return x, errors.Join(d.Decode(&x), nil) }, nil,
		},
		"request": {
			func(e *Encoder) error { return e.EncodeRequest("f", 1) },
			func(d *Decoder) (any, error) { r, err := d.DecodeRequest(); return r.Method, err }, "f",
		},
		"response": {
			func(e *Encoder) error { return e.EncodeResponse("x") },
			func(d *Decoder) (any, error) { v, err := d.DecodeResponse(); return v.Kind(), err }, KindString,
		},
	} {
		var w writeOnce
		e := NewEncoder(&w, EncodeOptions{})
		for range 2 { // the second one in memory of the first
			w.Reset()
			w.writes = 0
			if err := c.write(e); err != nil || w.writes != 1 {
				t.Errorf("%s: got %v in %d writes, want one", name, err, w.writes)
			}
		}
		size := w.Len()
		doc := w.String()
		if got, err := c.read(NewDecoder(&w, DecodeOptions{})); err != nil || c.want != nil && got != c.want {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, c.want)
		}
		if _, err := NewDecoder(strings.NewReader(doc), DecodeOptions{Limits: Limits{Bytes: size - 1}}).DecodeResponse(); FaultCode(err) != CodeLimit {
			t.Errorf("%s: got %v, want a LimitError", name, err)
		}
	}
	var w writeOnce
	if err := NewEncoder(&w, EncodeOptions{}).EncodeResponse([]any{"a", math.NaN()}); err == nil || w.writes != 0 {
		t.Errorf("got %v after %d writes, want an error before any", err, w.writes)
	}
	if err := NewEncoder(&w, EncodeOptions{}).EncodeFault(&Fault{1, "x"}); err != nil || w.writes != 1 {
		t.Errorf("fault: got %v after %d writes", err, w.writes)
	}
}
