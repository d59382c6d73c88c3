package xmlrpc

import (
	"fmt"
	"math"
)

// A Fault is the error that a server answers a call with.
type Fault struct {
	// Code is the server's own, or one of the Code constants. It is written as a
	// 32-bit integer, the nearest one if it is beyond that.
	Code int `xmlrpc:"faultCode"`
	// String is the message. When it is written, what XML cannot carry is replaced,
	// so that a fault can always be told.
	String string `xmlrpc:"faultString"`
}

// Error gives the code and the message.
func (f *Fault) Error() string { return fmt.Sprintf("xmlrpc: fault %d: %s", f.Code, f.String) }

var _ error = (*Fault)(nil)

// fault appends the struct of a fault, which has its two members and no more.
func (e *encoder) fault(f *Fault) {
	e.string("<struct><member><name>faultCode</name><value>")
	_ = e.int(int64(max(math.MinInt32, min(f.Code, math.MaxInt32)))) // fits
	e.string("</value></member><member><name>faultString</name><value><string>")
	e.buf, _ = appendText(e.buf, f.String, true)
	e.string("</string></value></member></struct>")
}

// fault reads the value of a fault. Some servers have texts as codes: a number is
// taken for one, and of any other the code is 0 and the text precedes the message.
// A missing message is empty, and other members are ignored.
func (v RawValue) fault() (*Fault, error) {
	d := v.doc
	if v.Kind() != KindStruct {
		return nil, d.invalid(v.at, "a fault is a "+v.Kind().String()+", not a struct")
	}
	code, coded := v.Member("faultCode")
	text, texted := v.Member("faultString")
	if !coded && !texted {
		return nil, d.invalid(v.at, "a fault has neither a code nor a message")
	}
	if d.set.strict && (v.Len() != 2 || code.Kind() != KindInt || text.Kind() != KindString) {
		return nil, d.invalid(v.at, "a fault is not exactly an int faultCode and a string faultString")
	}
	f := &Fault{}
	if text.Kind() == KindString {
		f.String = string(d.text(&d.nodes[text.at]))
	}
	switch code.Kind() {
	case KindInt, KindI8:
		n, err := d.integer(code.at)
		if err != nil {
			return nil, inMember(err, "faultCode")
		}
		f.Code = int(n)
	case KindString:
		b := d.text(&d.nodes[code.at])
		n, fits, ok := parseInt(trimBlanks(b))
		switch {
		case ok && fits:
			f.Code = int(n)
		case f.String == "":
			f.String = string(b)
		default:
			f.String = string(b) + ": " + f.String
		}
	}
	return f, nil
}
