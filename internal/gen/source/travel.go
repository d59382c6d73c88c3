package source

import (
	"errors"
	"fmt"
	"go/types"
	"reflect"
	"strings"
)

// direction says whether a type is decoded into or encoded from, as in package
// rmi.
type direction bool

const (
	inward  direction = false
	outward direction = true
)

// travels returns why a value of type t cannot travel as a part of a parameter
// (inward) or a result (outward).
func travels(t types.Type, dir direction) error {
	c := checker{dir: dir, nodes: map[string]*node{}}
	_, err := c.check(t)
	return err
}

// checker checks one type and all that is in it.
type checker struct {
	dir direction
	// nodes are the types that were looked at, by their names.
	nodes map[string]*node
}

// node is what is known of one type.
type node struct {
	kind kind
	// elem is what a pointer points to.
	elem *node
}

// kind is what a type travels as, as far as the keys of maps depend on it.
type kind int

const (
	other kind = iota
	scalar
	bigInt
	pointer
)

// short writes a type as package reflect does, but for any.
func short(t types.Type) string {
	return types.TypeString(types.Unalias(t), (*types.Package).Name)
}

// check returns what is known of t, or why it cannot travel.
func (c *checker) check(t types.Type) (*node, error) {
	t = types.Unalias(t)
	key := types.TypeString(t, (*types.Package).Path)
	if n, ok := c.nodes[key]; ok {
		return n, nil
	}
	if _, ok := streamOf(t); ok {
		return nil, fmt.Errorf("%s is a sequence, and one can only be a whole parameter or result", short(t))
	}
	n := new(node)
	c.nodes[key] = n
	if c.special(t, n) {
		return n, nil
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return n, c.basic(t, u, n)
	case *types.Slice:
		return n, c.list(u.Elem(), n)
	case *types.Array:
		return n, c.list(u.Elem(), n)
	case *types.Map:
		return n, c.mapping(t, u)
	case *types.Struct:
		return n, c.structure(t, u)
	case *types.Pointer:
		n.kind = pointer
		elem, err := c.check(u.Elem())
		if err != nil {
			return nil, err
		}
		n.elem = elem
		for p := elem; p != nil && p.kind == pointer; p = p.elem {
			if p == n {
				return nil, fmt.Errorf("%s points to itself", short(t))
			}
		}
		return n, nil
	case *types.Interface:
		if u.NumMethods() > 0 {
			return nil, fmt.Errorf("%s is an interface, and the receiver could not know what is in it; use a concrete type or any", short(t))
		}
		n.kind = scalar
		return n, nil
	case *types.Chan:
		return nil, fmt.Errorf("%s is a channel, which cannot travel", short(t))
	case *types.Signature:
		return nil, fmt.Errorf("%s is a function, which cannot travel", short(t))
	}
	return nil, fmt.Errorf("%s cannot travel", short(t))
}

// special fills in n where t is a type with a meaning of its own.
func (c *checker) special(t types.Type, n *node) bool {
	switch {
	case isNamed(t, "time", "Time"):
		return true
	case isNamed(t, "time", "Duration"), isNamed(t, "github.com/fxamacker/cbor/v2", "RawMessage"):
		n.kind = scalar
		return true
	case isNamed(t, "math/big", "Int"):
		n.kind = bigInt
		return true
	}
	switch t.Underlying().(type) {
	case *types.Interface, *types.Pointer:
		return false
	}
	if c.writesItself(t) {
		n.kind = scalar
		return true
	}
	return false
}

// writesItself reports whether t, or a pointer to it, has a method of its own to
// be read or written by.
func (c *checker) writesItself(t types.Type) bool {
	p := types.NewPointer(t)
	if c.dir == outward {
		return hasMethod(p, "MarshalCBOR", "func() ([]byte, error)") || hasMethod(p, "MarshalText", "func() ([]byte, error)")
	}
	return hasMethod(p, "UnmarshalCBOR", "func([]byte) error") || hasMethod(p, "UnmarshalText", "func([]byte) error")
}

// hasMethod reports whether t has the method with the signature.
func hasMethod(t types.Type, name, signature string) bool {
	sel := types.NewMethodSet(t).Lookup(nil, name)
	if sel == nil {
		return false
	}
	sig := sel.Type().(*types.Signature)
	var in, out []*types.Var
	for v := range sig.Params().Variables() {
		in = append(in, types.NewParam(0, nil, "", v.Type()))
	}
	for v := range sig.Results().Variables() {
		out = append(out, types.NewParam(0, nil, "", v.Type()))
	}
	plain := types.NewSignatureType(nil, nil, nil, types.NewTuple(in...), types.NewTuple(out...), sig.Variadic())
	return strings.ReplaceAll(types.TypeString(plain, nil), "uint8", "byte") == signature
}

func (c *checker) basic(t types.Type, b *types.Basic, n *node) error {
	switch b.Kind() {
	case types.Complex64, types.Complex128:
		return fmt.Errorf("%s is a complex number, which cannot travel", short(t))
	case types.Uintptr, types.UnsafePointer:
		return fmt.Errorf("%s is an address, which cannot travel", short(t))
	}
	n.kind = scalar
	return nil
}

func isByte(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Kind() == types.Uint8
}

func (c *checker) list(elem types.Type, n *node) error {
	if isByte(elem) && !c.writesItself(elem) {
		n.kind = scalar
		return nil
	}
	_, err := c.check(elem)
	return err
}

func (c *checker) mapping(t types.Type, m *types.Map) error {
	key, err := c.check(m.Key())
	if err != nil {
		return err
	}
	switch key.kind {
	case other, pointer:
		return fmt.Errorf("%s has keys of type %s, and a key has to be a scalar", short(t), short(m.Key()))
	case bigInt:
		return fmt.Errorf("%s has keys of type %s, whose equality is not that of their values", short(t), short(m.Key()))
	}
	_, err = c.check(m.Elem())
	return err
}

// fieldError is why a struct cannot travel: one of its fields.
type fieldError struct {
	owner string
	path  string
	err   error
}

func (e *fieldError) Error() string {
	return fmt.Sprintf("%s: field %s: %v (the tag `cbor:\"-\"` leaves a field out)", e.owner, e.path, e.err)
}

func (e *fieldError) Unwrap() error { return e.err }

func (c *checker) structure(t types.Type, s *types.Struct) error {
	fields := wireFields(s)
	if len(fields) == 0 && s.NumFields() > 0 {
		return fmt.Errorf("%s has no exported fields, so nothing of it would travel; export some, or give it MarshalText and UnmarshalText", short(t))
	}
	for _, f := range fields {
		if _, err := c.check(f.t); err != nil {
			if inner := new(fieldError); errors.As(err, &inner) {
				inner.owner, inner.path = short(t), f.name+"."+inner.path
				return err
			}
			return &fieldError{owner: short(t), path: f.name, err: err}
		}
	}
	return nil
}

// wireField is a field of a struct that travels.
type wireField struct {
	name   string
	tagged bool
	depth  int
	t      types.Type
}

// wireFields returns the fields of s that travel, as package rmi chooses them:
// those of embedded structs without a tag count as its own, where no shallower
// one has their name.
func wireFields(s *types.Struct) []wireField {
	var all []wireField
	seen := map[*types.Struct]bool{}
	var visit func(s *types.Struct, depth int)
	visit = func(s *types.Struct, depth int) {
		if seen[s] {
			return
		}
		seen[s] = true
		for i := range s.NumFields() {
			f := s.Field(i)
			tag := tagged(s.Tag(i), "cbor")
			if tag == "" {
				tag = tagged(s.Tag(i), "json")
			}
			name, _, _ := strings.Cut(tag, ",")
			if tag == "-" {
				continue
			}
			base := f.Type()
			for {
				p, ok := base.Underlying().(*types.Pointer)
				if !ok {
					break
				}
				base = p.Elem()
			}
			if inner, ok := base.Underlying().(*types.Struct); ok && f.Embedded() && name == "" && !isNamed(base, "time", "Time") {
				visit(inner, depth+1)
				continue
			}
			if !f.Exported() {
				continue
			}
			w := wireField{name: name, tagged: name != "", depth: depth, t: f.Type()}
			if name == "" {
				w.name = f.Name()
			}
			all = keep(all, w)
		}
	}
	visit(s, 1)
	return all
}

// keep adds w to fields, unless one that goes before it has its name.
func keep(fields []wireField, w wireField) []wireField {
	for i, f := range fields {
		if f.name != w.name {
			continue
		}
		if w.depth < f.depth || w.depth == f.depth && w.tagged && !f.tagged {
			fields[i] = w
		}
		return fields
	}
	return append(fields, w)
}

// tagged returns what the tag of a field says under key.
func tagged(tag, key string) string { return reflect.StructTag(tag).Get(key) }
