package rmi

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// direction says whether a type is decoded into or encoded from: a type may
// have its own method for only one of them.
type direction bool

const (
	inward  direction = false // a parameter, or what a caller decodes into
	outward direction = true  // a result, or a stub's parameter
)

// shape is what a Go type looks like on the wire, worked out once: it serves
// the decoder, the check of arguments, and the description for people.
// The nodes of a recursive type form a cycle.
type shape struct {
	t        reflect.Type
	kind     TypeKind
	nullable bool
	// direct shapes are scalars that are decoded without the library.
	direct bool
	// opaque shapes are read or written by a method of their own.
	opaque   bool
	bits     int
	unsigned bool
	// length is that of an array; -1 for any other list or bytes.
	length    int
	elem, key *shape
	fields    []shapeField
	// positional structs travel as a list of their fields.
	positional bool
	// anyInside says that it is an any or a reference, or has one in it: what
	// naturalize has to look at.
	anyInside bool
}

// shapeField is a field of a struct as it travels.
type shapeField struct {
	// name is the key in the map that the struct travels as.
	name string
	// number says that the key is the integer that name spells.
	number bool
	index  []int
	shape  *shape
}

// rootShape is the shape of a whole parameter or result, with what is true of
// any of its parts.
type rootShape struct {
	*shape
	// exact: the library would take more than fits into an array in it. floats:
	// a float is in it, not as the whole. deep: it has no bound to its depth.
	exact, floats, deep bool
	// largest is the size of the largest element of a list or a map in it.
	largest int
	// stream, when not nil, says that it is a sequence.
	stream *streamForm
	// as, when not 0, says in which form it is a reference.
	as refAs
}

// kindPointer is the kind of a node that stands for a pointer; what it points to
// is its elem. People do not see it.
const kindPointer TypeKind = "pointer"

// shapeKey identifies a memoized shape.
type shapeKey struct {
	t   reflect.Type
	dir direction
}

// shapes remembers the answers of shapeOf, which depend on the type alone. It
// grows no larger than the program has types.
var shapes sync.Map // of shapeKey to *rootShape

// shapeOf returns t's shape, or an error that says what in t cannot travel.
func shapeOf(t reflect.Type, dir direction) (*rootShape, error) {
	if s, ok := shapes.Load(shapeKey{t, dir}); ok {
		return s.(*rootShape), nil
	}
	if root, err := streamShape(t, dir); root != nil || err != nil {
		if err == nil {
			shapes.Store(shapeKey{t, dir}, root)
		}
		return root, err
	}
	if root := referenceShape(t); root != nil {
		shapes.Store(shapeKey{t, dir}, root)
		return root, nil
	}
	b := shapeBuilder{dir: dir, nodes: map[reflect.Type]*shape{}}
	node, err := b.build(t)
	if err != nil {
		return nil, err
	}
	for _, n := range b.nodes {
		n.anyInside = n.reachesAny(map[*shape]bool{})
	}
	root := &rootShape{shape: node}
	root.largest = anySize
	root.survey(node, map[*shape]visit{})
	shapes.Store(shapeKey{t, dir}, root)
	return root, nil
}

// reachesAny reports whether n is an any or a reference, or has one in it; seen are the nodes
// that were looked at.
func (n *shape) reachesAny(seen map[*shape]bool) bool {
	if n == nil || seen[n] {
		return false
	}
	seen[n] = true
	if n.kind == KindAny || n.kind == KindReference || n.elem.reachesAny(seen) || n.key.reachesAny(seen) {
		return true
	}
	for _, f := range n.fields {
		if f.shape.reachesAny(seen) {
			return true
		}
	}
	return false
}

// visit is how far survey has come with a node.
type visit uint8

const (
	visiting visit = 1 + iota
	visited
)

// survey gathers into r what is true of n and its parts.
func (r *rootShape) survey(n *shape, seen map[*shape]visit) {
	switch seen[n] {
	case visiting:
		r.deep = true
		return
	case visited:
		return
	}
	seen[n] = visiting
	switch {
	case n.kind == KindAny:
		r.deep = true
	case n.length >= 0 && !n.opaque:
		r.exact = true
	case n.kind == KindFloat && n != r.shape:
		r.floats = true
	}
	if n.elem != nil {
		r.largest = max(r.largest, n.elem.sizeOf())
		r.survey(n.elem, seen)
	}
	if n.key != nil {
		r.survey(n.key, seen)
	}
	for _, f := range n.fields {
		r.survey(f.shape, seen)
	}
	seen[n] = visited
}

// shapeBuilder builds the shapes of one type and of all that is in it.
type shapeBuilder struct {
	dir   direction
	nodes map[reflect.Type]*shape
}

// build returns t's shape. Its errors read on from the name of the thing that
// has the type: "chan int is a channel, which cannot travel".
func (b *shapeBuilder) build(t reflect.Type) (*shape, error) {
	if n, ok := b.nodes[t]; ok {
		return n, nil
	}
	if err := nestedStream(t); err != nil {
		return nil, err
	}
	n := &shape{t: t, length: -1}
	b.nodes[t] = n
	if b.special(n) {
		return n, nil
	}
	switch k := t.Kind(); k {
	case reflect.Bool:
		n.kind, n.direct = KindBool, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.kind, n.bits, n.direct = KindInt, t.Bits(), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.kind, n.bits, n.unsigned, n.direct = KindInt, t.Bits(), true, true
	case reflect.Float32, reflect.Float64:
		n.kind, n.bits, n.direct = KindFloat, t.Bits(), true
	case reflect.String:
		n.kind, n.direct = KindString, true
	case reflect.Slice, reflect.Array:
		return n, b.list(n)
	case reflect.Map:
		return n, b.mapping(n)
	case reflect.Struct:
		return n, b.structure(n)
	case reflect.Pointer:
		n.kind, n.nullable = kindPointer, true
		elem, err := b.build(t.Elem())
		if err != nil {
			return nil, err
		}
		n.elem = elem
		for p := elem; p != nil && p.kind == kindPointer; p = p.elem {
			if p == n {
				return nil, fmt.Errorf("%v points to itself", t)
			}
		}
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return nil, fmt.Errorf("%v is an interface, and the receiver could not know what is in it; use a concrete type or any", t)
		}
		n.kind, n.nullable = KindAny, true
	default:
		return nil, fmt.Errorf("%v is %s, which cannot travel", t, unfit(k))
	}
	return n, nil
}

// special fills in n where its type is one with a meaning of its own.
func (b *shapeBuilder) special(n *shape) bool {
	p := reflect.PointerTo(n.t)
	switch {
	case n.t == refType:
		n.kind, n.nullable = KindReference, true
	case n.t == timeType:
		n.kind = KindTime
	case n.t == durationType:
		n.kind, n.bits, n.direct = KindDuration, 64, true
	case n.t == bigIntType:
		n.kind = KindInt
	case n.t == rawType:
		n.kind, n.nullable = KindAny, true
	case n.t.Kind() == reflect.Pointer || n.t.Kind() == reflect.Interface:
		return false
	case b.dir == inward && p.Implements(valueUnmarshal), b.dir == outward && p.Implements(valueMarshal):
		n.kind = KindAny
	case b.dir == inward && p.Implements(textUnmarshal), b.dir == outward && p.Implements(textMarshal):
		n.kind = KindString
	default:
		return false
	}
	n.opaque = !n.direct
	return true
}

func (b *shapeBuilder) list(n *shape) error {
	if n.t.Elem().Kind() == reflect.Uint8 && !b.ownMethod(n.t.Elem()) {
		n.kind = KindBytes
		n.nullable = n.t.Kind() == reflect.Slice
		n.direct = n.nullable
	} else {
		elem, err := b.build(n.t.Elem())
		if err != nil {
			return err
		}
		n.kind, n.elem = KindList, elem
		n.nullable = n.t.Kind() == reflect.Slice
	}
	if n.t.Kind() == reflect.Array {
		n.length = n.t.Len()
	}
	return nil
}

func (b *shapeBuilder) mapping(n *shape) error {
	key, err := b.build(n.t.Key())
	if err != nil {
		return err
	}
	switch key.kind {
	case KindString, KindInt, KindFloat, KindBool, KindDuration, KindAny, KindBytes:
	default:
		return fmt.Errorf("%v has keys of type %v, and a key has to be a scalar", n.t, n.t.Key())
	}
	if key.kind == KindInt && key.bits == 0 {
		return fmt.Errorf("%v has keys of type %v, whose equality is not that of their values", n.t, n.t.Key())
	}
	elem, err := b.build(n.t.Elem())
	if err != nil {
		return err
	}
	n.kind, n.nullable, n.key, n.elem = KindMap, true, key, elem
	return nil
}

func (b *shapeBuilder) structure(n *shape) error {
	fields, positional := wireFields(n.t)
	if len(fields) == 0 && n.t.NumField() > 0 {
		return fmt.Errorf("%v has no exported fields, so nothing of it would travel; export some, or give it MarshalText and UnmarshalText", n.t)
	}
	n.kind, n.positional = KindStruct, positional
	for _, f := range fields {
		s, err := b.build(f.t)
		if err != nil {
			if inner := new(fieldError); errors.As(err, &inner) {
				inner.owner, inner.path = n.t, f.name+"."+inner.path
				return err
			}
			return &fieldError{owner: n.t, path: f.name, err: err}
		}
		n.fields = append(n.fields, shapeField{name: f.name, number: f.number, index: f.index, shape: s})
	}
	return nil
}

// ownMethod reports whether t reads or writes itself in b's direction.
func (b *shapeBuilder) ownMethod(t reflect.Type) bool {
	if b.dir == outward {
		return marshalsItself(t)
	}
	return unmarshalsItself(t)
}

// fieldError is why a struct cannot travel: one of its fields.
type fieldError struct {
	owner reflect.Type
	path  string
	err   error
}

func (e *fieldError) Error() string {
	return fmt.Sprintf("%v: field %s: %v (the tag `cbor:\"-\"` leaves a field out)", e.owner, e.path, e.err)
}

func (e *fieldError) Unwrap() error { return e.err }

// unfit says what a kind that cannot travel is.
func unfit(k reflect.Kind) string {
	switch k {
	case reflect.Chan:
		return "a channel"
	case reflect.Func:
		return "a function"
	case reflect.Complex64, reflect.Complex128:
		return "a complex number"
	case reflect.Uintptr, reflect.UnsafePointer:
		return "an address"
	}
	return "of kind " + k.String()
}

// wireField is a field of a struct that travels, as its tag names it.
type wireField struct {
	name   string
	number bool
	tagged bool
	depth  int
	index  []int
	t      reflect.Type
}

// wireFields returns the fields of struct type t that travel, in the order of
// their declaration, by the rules of encoding/json: the tag is `cbor`, or
// `json` where there is none, and the fields of an embedded struct without a
// tag count as t's own where no shallower one has their name.
func wireFields(t reflect.Type) (fields []wireField, positional bool) {
	if f, ok := t.FieldByName("_"); ok {
		positional = strings.Contains(f.Tag.Get("cbor"), ",toarray")
	}
	byName := map[string]int{} // index into all, or -1 where two are as good
	var all []wireField
	for _, f := range reflect.VisibleFields(t) {
		tag, ok := f.Tag.Lookup("cbor")
		if !ok || tag == "" {
			tag = f.Tag.Get("json")
		}
		name, rest, _ := strings.Cut(tag, ",")
		base := f.Type
		for base.Kind() == reflect.Pointer {
			base = base.Elem()
		}
		embedded := f.Anonymous && name == "" && base.Kind() == reflect.Struct && base != timeType
		if tag == "-" || embedded || !f.IsExported() || hiddenBy(t, f.Index) {
			continue
		}
		w := wireField{name: name, tagged: name != "", depth: len(f.Index), index: f.Index, t: f.Type,
			number: strings.Contains(","+rest+",", ",keyasint,")}
		if name == "" {
			w.name = f.Name
		}
		at, taken := byName[w.name]
		switch {
		case !taken:
			byName[w.name] = len(all)
			all = append(all, w)
		case w.depth < all[at].depth || w.depth == all[at].depth && w.tagged && !all[at].tagged:
			all[at] = w
		}
	}
	return all, positional
}

// hiddenBy reports whether the field at index of t lies in an embedded field
// that travels under a name of its own, or not at all.
func hiddenBy(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("cbor")
		if !ok || tag == "" {
			tag = f.Tag.Get("json")
		}
		if name, _, _ := strings.Cut(tag, ","); name != "" {
			return true
		}
		t = f.Type
	}
	return false
}
