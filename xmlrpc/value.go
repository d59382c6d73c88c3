package xmlrpc

import (
	"iter"
	"reflect"
)

// A RawValue is a value of a document whose structure has been checked, but whose
// text has not been read: it can be decoded later, more than once, into different
// types, and be written into another document. The zero RawValue is no value.
//
// A RawValue refers to the document that it is from, which must not be changed as
// long as it is used; a Clone has its own memory. It may be used by several
// goroutines at a time.
//
// As a field or variable to decode into it takes any value.
type RawValue struct {
	doc *document
	at  uint32
}

// Kind is the type of the value.
func (v RawValue) Kind() Kind {
	if v.doc == nil {
		return KindInvalid
	}
	return v.doc.nodes[v.at].kind
}

// IsZero reports whether v is no value at all, as the result of a method that has
// none.
func (v RawValue) IsZero() bool { return v.doc == nil }

// Len is the number of elements of an array or members of a struct, and 0 for
// anything else.
func (v RawValue) Len() int {
	if k := v.Kind(); k != KindArray && k != KindStruct {
		return 0
	}
	return int(v.doc.nodes[v.at].end)
}

// Elems are the elements of an array, and none of anything else.
func (v RawValue) Elems() iter.Seq[RawValue] {
	return func(yield func(RawValue) bool) {
		if v.Kind() != KindArray {
			return
		}
		at := v.at + 1
		for range v.Len() {
			if !yield(RawValue{v.doc, at}) {
				return
			}
			at = v.doc.after(at)
		}
	}
}

// Members are the members of a struct in the order of the document, and none of
// anything else.
func (v RawValue) Members() iter.Seq2[string, RawValue] {
	return func(yield func(string, RawValue) bool) {
		if v.Kind() != KindStruct {
			return
		}
		at := v.at + 1
		for range v.Len() {
			if !yield(string(v.doc.text(&v.doc.nodes[at])), RawValue{v.doc, at + 1}) {
				return
			}
			at = v.doc.after(at + 1)
		}
	}
}

// Member is the member of a struct that has the name, the last one if
// DecodeOptions.LastWins admitted several.
func (v RawValue) Member(name string) (RawValue, bool) {
	var found RawValue
	if v.Kind() != KindStruct {
		return found, false
	}
	at := v.at + 1
	for range v.Len() {
		if string(v.doc.text(&v.doc.nodes[at])) == name {
			found = RawValue{v.doc, at + 1}
		}
		at = v.doc.after(at + 1)
	}
	return found, found.doc != nil
}

// Decode reads the value into what p points to, as [Unmarshal] does.
func (v RawValue) Decode(p any) error {
	rv := reflect.ValueOf(p)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return &InvalidUnmarshalError{Type: reflect.TypeOf(p)}
	}
	if v.doc == nil {
		return errNoValue
	}
	if p, ok := p.(*any); ok && *p == nil {
		x, err := v.doc.any(v.at)
		if err == nil {
			*p = x
		}
		return err
	}
	return v.DecodeValue(rv.Elem())
}

// DecodeValue reads the value into rv, which must be settable.
func (v RawValue) DecodeValue(rv reflect.Value) error {
	if !rv.CanSet() {
		e := &InvalidUnmarshalError{}
		if rv.IsValid() {
			e.Type = rv.Type()
		}
		return e
	}
	if v.doc == nil {
		return errNoValue
	}
	info := typeInfoOf(rv.Type())
	return v.doc.into(v.at, rv, info)
}

// Any is the value as it is decoded into a variable of type any.
func (v RawValue) Any() (any, error) {
	if v.doc == nil {
		return nil, errNoValue
	}
	return v.doc.any(v.at)
}

// Clone is a copy of the value that refers to no document.
func (v RawValue) Clone() RawValue {
	if v.doc == nil {
		return v
	}
	return RawValue{doc: v.doc.clone(v.at)}
}

var errNoValue = &SyntaxError{Code: CodeInvalidRequest, Msg: "there is no value"}

// Unmarshal reads data, a document that is a single <value> element, into what v
// points to, by the zero [DecodeOptions]. The error is a [*SyntaxError], a
// [*LimitError], an [*UnmarshalTypeError] or an [*InvalidUnmarshalError]; v may
// have been changed in part when it is one of the last three. Nothing of v refers to
// data afterwards.
func Unmarshal(data []byte, v any) error { return unmarshal(data, v, &DecodeOptions{}) }

// unmarshal decodes out of the memory of a scanner, which it uses again unless an
// Unmarshaler has seen it.
func unmarshal(data []byte, v any, o *DecodeOptions) error {
	s, err := newScanner(data, o)
	if err != nil {
		return err
	}
	if !s.valueDocument() {
		err := s.err
		s.free()
		return err
	}
	d, ok := s.finish(true)
	if !ok {
		err := s.err
		s.free()
		return err
	}
	err = RawValue{doc: d}.Decode(v)
	if !d.kept {
		s.free()
	}
	return err
}

// ParseValue reads a document that is a single <value> element. The RawValue
// refers to data, which must not be changed as long as it is used.
func ParseValue(data []byte, o DecodeOptions) (RawValue, error) {
	s, err := newScanner(data, &o)
	if err != nil {
		return RawValue{}, err
	}
	defer s.free()
	if !s.valueDocument() {
		return RawValue{}, s.err
	}
	d, ok := s.finish(false)
	if !ok {
		return RawValue{}, s.err
	}
	return RawValue{doc: d}, nil
}

// An Unmarshaler reads itself from a value, of which the wire chose the kind. The
// RawValue is good for the time of the call; its Clone may be kept. The error
// becomes that of an [*UnmarshalTypeError].
type Unmarshaler interface{ UnmarshalXMLRPC(RawValue) error }

// A Marshaler chooses what is written in its place: any value that can be written,
// but not one that leads back to itself.
type Marshaler interface{ MarshalXMLRPC() (any, error) }
