package xmlrpc

// ParseResponse reads a methodResponse document: the result of a call, or a
// [*Fault] as the error. The result is the zero RawValue if the response has none,
// which is not what the specification says but what methods without a result
// sometimes get. It refers to data, which must not be changed as long as it is used.
// Other errors are a [*SyntaxError] and a [*LimitError].
func ParseResponse(data []byte, o DecodeOptions) (RawValue, error) {
	s, err := newScanner(data, &o)
	if err != nil {
		return RawValue{}, err
	}
	defer s.free()
	fault, ok := s.responseDocument()
	if !ok {
		return RawValue{}, s.err
	}
	d, ok := s.finish(false)
	if !ok {
		return RawValue{}, s.err
	}
	if len(d.nodes) == 0 {
		return RawValue{}, nil
	}
	v := RawValue{doc: d}
	if !fault {
		return v, nil
	}
	f, err := v.fault()
	if err != nil {
		return RawValue{}, err
	}
	return RawValue{}, f
}

// AppendResponse appends a methodResponse document with the result to dst. If
// there is an error dst is returned as it was; it is an [*UnsupportedValueError] or
// an [*UnsupportedTypeError].
func AppendResponse(dst []byte, result any, o EncodeOptions) ([]byte, error) {
	e := newEncoder(dst, &o)
	e.begin("methodResponse")
	e.string("<params><param><value>")
	if err := e.any(result); err != nil {
		return dst, inside(err, "result")
	}
	e.string("</value></param></params></methodResponse>")
	return e.buf, nil
}

// AppendFault appends a methodResponse document with the fault to dst.
func AppendFault(dst []byte, f *Fault) []byte {
	e := newEncoder(dst, &EncodeOptions{})
	e.begin("methodResponse")
	e.string("<fault><value>")
	e.fault(f)
	e.string("</value></fault></methodResponse>")
	return e.buf
}
