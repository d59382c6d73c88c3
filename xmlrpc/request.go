package xmlrpc

import "strconv"

// A Request is a call: what is in a methodCall document.
type Request struct {
	// Method is the name of the method, without blanks around it. It has 1 to 255
	// bytes, of any characters that XML has.
	Method string
	// Params are the parameters. They are read when they are decoded, once their
	// types are known.
	Params []RawValue
}

// ParseRequest reads a methodCall document. The Params refer to data, which must
// not be changed as long as they are used. The error is a [*SyntaxError] or a
// [*LimitError].
func ParseRequest(data []byte, o DecodeOptions) (*Request, error) {
	s, err := newScanner(data, &o)
	if err != nil {
		return nil, err
	}
	defer s.free()
	method, ok := s.callDocument()
	if !ok {
		return nil, s.err
	}
	d, ok := s.finish(false)
	if !ok {
		return nil, s.err
	}
	r := &Request{Method: method}
	if len(s.starts) > 0 {
		r.Params = make([]RawValue, len(s.starts))
		for i, at := range s.starts {
			r.Params[i] = RawValue{doc: d, at: at}
		}
	}
	return r, nil
}

// AppendRequest appends a methodCall document to dst. The arguments may be
// RawValues. If there is an error dst is returned as it was; it is an
// [*UnsupportedValueError] or an [*UnsupportedTypeError].
func AppendRequest(dst []byte, o EncodeOptions, method string, args ...any) ([]byte, error) {
	if err := ValidMethod(method); err != nil {
		return dst, err
	}
	e := newEncoder(dst, &o)
	e.begin("methodCall")
	e.string("<methodName>")
	e.buf, _ = appendText(e.buf, method, false)
	e.string("</methodName><params>")
	for i, arg := range args {
		e.string("<param><value>")
		if err := e.any(arg); err != nil {
			return dst, inside(err, "params["+strconv.Itoa(i)+"]")
		}
		e.string("</value></param>")
	}
	e.string("</params></methodCall>")
	return e.buf, nil
}

// ValidMethod returns an [*UnsupportedValueError] if name cannot be sent as that of
// a method: it must have 1 to 255 bytes, only characters that XML has, and no
// blanks around it. The specification has letters, digits and _.:/ only, but nobody
// enforces that.
func ValidMethod(name string) error {
	reason := ""
	switch {
	case name == "":
		reason = "the method name is empty"
	case len(name) > maxMethod:
		reason = "the method name has more than " + strconv.Itoa(maxMethod) + " bytes"
	case isBlank(name[0]) || isBlank(name[len(name)-1]):
		reason = "the method name " + quote(name) + " has blanks around it"
	case legalText([]byte(name)) < len(name):
		reason = "the method name has " + badText(name) + ", which XML cannot carry"
	default:
		return nil
	}
	return &UnsupportedValueError{Reason: reason}
}

// begin appends the declaration and the start tag of a document.
func (e *encoder) begin(root string) {
	e.string(declaration)
	e.string("<")
	e.string(root)
	if e.o.Dialect == Apache {
		e.string(apacheDeclaration)
	}
	e.string(">")
}

// declaration names the encoding because one implementation takes UTF-8 for
// something else otherwise.
const declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
