package rmi

import (
	"reflect"
	"strings"
)

// TypeKind is the kind of a value as it travels: what a caller in any language
// has to send, or will get.
type TypeKind string

const (
	// KindAny takes and gives any value.
	KindAny TypeKind = "any"
	// KindBool is true or false.
	KindBool TypeKind = "bool"
	// KindInt is an integer; TypeInfo.Bits and Unsigned give its range.
	KindInt TypeKind = "int"
	// KindFloat is a floating-point number, NaN and the infinities included.
	KindFloat TypeKind = "float"
	// KindString is text in UTF-8.
	KindString TypeKind = "string"
	// KindBytes is a string of bytes.
	KindBytes TypeKind = "bytes"
	// KindTime is an instant with its offset from UTC, to the nanosecond.
	KindTime TypeKind = "time"
	// KindDuration is a length of time; it travels as an integer, in nanoseconds.
	KindDuration TypeKind = "duration"
	// KindList is a list of TypeInfo.Elem.
	KindList TypeKind = "list"
	// KindMap maps TypeInfo.Key to TypeInfo.Elem.
	KindMap TypeKind = "map"
	// KindReference is a reference to an object; TypeInfo.Go says what it is to
	// the program that serves the method.
	KindReference TypeKind = "reference"
	// KindFunc is a reference to a function.
	KindFunc TypeKind = "func"
	// KindStruct has named TypeInfo.Fields.
	KindStruct TypeKind = "struct"
	// KindStream is a sequence of TypeInfo.Elem, or of pairs of TypeInfo.Key and
	// TypeInfo.Elem, of which one item after another travels. A list is taken for
	// one.
	KindStream TypeKind = "stream"
)

// TypeInfo describes the type of a parameter, a result or a part of one.
type TypeInfo struct {
	// Kind is what travels.
	Kind TypeKind `json:"kind"`
	// Go is the type's name in the program that serves the method.
	Go string `json:"go,omitempty"`
	// Nullable says that null is a value of the type.
	Nullable bool `json:"nullable,omitempty"`
	// Bits is the width of an int or a float; 0 for an int without bounds.
	Bits int `json:"bits,omitempty"`
	// Unsigned says that an int is not negative.
	Unsigned bool `json:"unsigned,omitempty"`
	// Length is the length that a list or bytes must have; 0 for any.
	Length int `json:"length,omitempty"`
	// Elem is the type of a list's or a map's elements, or of a stream's items;
	// Key that of a map's keys, or of the first halves of a stream of pairs.
	Elem *TypeInfo `json:"elem,omitempty"`
	Key  *TypeInfo `json:"key,omitempty"`
	// Fields are those of a struct, in order. A struct inside itself has none
	// at its second appearance: Go names the one that is meant.
	Fields []FieldInfo `json:"fields,omitempty"`
	// Positional says that a struct travels as a list of its fields.
	Positional bool `json:"positional,omitempty"`
	// Recursive marks the second appearance of a struct inside itself.
	Recursive bool `json:"recursive,omitempty"`
}

// FieldInfo describes a field of a struct.
type FieldInfo struct {
	// Name is the field's key on the wire.
	Name string `json:"name"`
	// Type is its type.
	Type TypeInfo `json:"type"`
}

// Item returns the type of an item of the stream t: Elem, or for pairs a struct
// of Key and Elem that travels as a list.
func (t TypeInfo) Item() TypeInfo {
	switch {
	case t.Elem == nil:
		return TypeInfo{Kind: KindAny, Nullable: true}
	case t.Key == nil:
		return *t.Elem
	}
	return TypeInfo{Kind: KindStruct, Positional: true, Fields: []FieldInfo{{Name: "key", Type: *t.Key}, {Name: "value", Type: *t.Elem}}}
}

// String writes the type for people: "int", "list<string>",
// "map<string, int>", "{x: int, y: int}". A question mark says that null may
// stand in for a value that otherwise could not be null: "string?".
func (t TypeInfo) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t TypeInfo) write(b *strings.Builder) {
	switch {
	case t.Kind == KindList && t.Elem != nil:
		b.WriteString("list<")
		t.Elem.write(b)
		b.WriteByte('>')
	case t.Kind == KindMap && t.Key != nil && t.Elem != nil:
		b.WriteString("map<")
		t.Key.write(b)
		b.WriteString(", ")
		t.Elem.write(b)
		b.WriteByte('>')
	case t.Kind == KindStream && t.Elem != nil:
		b.WriteString("stream<")
		if t.Key != nil {
			t.Key.write(b)
			b.WriteString(", ")
		}
		t.Elem.write(b)
		b.WriteByte('>')
	case t.Kind == KindStruct && t.Recursive:
		b.WriteString(strings.TrimLeft(t.Go, "*"))
	case t.Kind == KindStruct:
		b.WriteByte('{')
		for i, f := range t.Fields {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.Name)
			b.WriteString(": ")
			f.Type.write(b)
		}
		b.WriteByte('}')
	default:
		b.WriteString(string(t.Kind))
	}
	switch t.Kind {
	case KindAny, KindBytes, KindList, KindMap, KindReference, KindFunc:
	default:
		if t.Nullable {
			b.WriteByte('?')
		}
	}
}

// info describes n for people.
func (n *shape) info() TypeInfo { return n.describe(map[*shape]bool{}) }

// want names what n wants, for an error.
func (n *shape) want() string { return clip(n.info().String(), 120) }

// describe is info; open holds the structs, lists and maps that n is in.
func (n *shape) describe(open map[*shape]bool) TypeInfo {
	if n.kind == kindPointer {
		t := n.elem.describe(open)
		t.Nullable = true
		if t.Go != "" {
			t.Go = "*" + t.Go
		}
		return t
	}
	t := TypeInfo{Kind: n.kind, Nullable: n.nullable, Bits: n.bits, Unsigned: n.unsigned, Length: max(n.length, 0)}
	if n.t != nil {
		t.Go = goName(n.t)
	}
	if open[n] {
		t.Recursive = true
		return t
	}
	open[n] = true
	defer delete(open, n)
	if n.elem != nil {
		e := n.elem.describe(open)
		t.Elem = &e
	}
	if n.key != nil {
		k := n.key.describe(open)
		t.Key = &k
	}
	t.Positional = n.positional
	for _, f := range n.fields {
		t.Fields = append(t.Fields, FieldInfo{Name: f.name, Type: f.shape.describe(open)})
	}
	return t
}

// goName is how a Go type is called in descriptions: as %T prints it, but
// "any" for interface {}.
func goName(t reflect.Type) string {
	return strings.ReplaceAll(t.String(), "interface {}", "any")
}
