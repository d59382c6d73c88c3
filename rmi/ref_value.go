package rmi

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// refAs is in which form Go code has a reference.
type refAs uint8

const (
	// asRef is a *Ref.
	asRef refAs = 1 + iota
	// asInterface is an interface with methods: a local object, or a proxy.
	asInterface
	// asFunc is a func, and asStub a struct of funcs, or a pointer to one.
	asFunc
	asStub
	// asObject is a pointer to something with methods and nothing that could
	// travel as a value: only the object itself fits.
	asObject
)

// referenceShape returns the shape of a whole parameter or result whose type
// travels by reference; nil for other types.
func referenceShape(t reflect.Type) *rootShape {
	s := &shape{t: t, kind: KindReference, nullable: true, opaque: true, length: -1}
	root := &rootShape{shape: s, largest: anySize}
	switch base := pointee(t); {
	case t == refType:
		root.as = asRef
	case t.Kind() == reflect.Interface && t.NumMethod() > 0 && t != errorType && t != contextType && !hasHidden(t):
		root.as = asInterface
	case t.Kind() == reflect.Func && !isSequence(t):
		root.as, s.kind = asFunc, KindFunc
	case isStub(base):
		root.as = asStub
	case t != base && isObject(t, base):
		root.as = asObject
	default:
		return nil
	}
	return root
}

// pointee returns what t points to, or t.
func pointee(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// hasHidden reports whether interface t has methods that another package cannot
// call.
func hasHidden(t reflect.Type) bool {
	for i := range t.NumMethod() {
		if !t.Method(i).IsExported() {
			return true
		}
	}
	return false
}

// isSequence reports whether t has the form of an iter.Seq or iter.Seq2.
func isSequence(t reflect.Type) bool {
	if t.NumIn() != 1 || t.NumOut() != 0 || t.In(0).Kind() != reflect.Func {
		return false
	}
	yield := t.In(0)
	return yield.NumOut() == 1 && yield.Out(0).Kind() == reflect.Bool
}

// isStub reports whether t is a struct of funcs as [Bind] takes it.
func isStub(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	funcs := 0
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Tag.Get("rmi") == "-", f.Name == "_", f.Type == refType:
		case f.Anonymous && isStub(f.Type):
			funcs++
		case f.IsExported() && f.Type.Kind() == reflect.Func && !isSequence(f.Type):
			funcs++
		default:
			return false
		}
	}
	return funcs > 0
}

// isObject reports whether nothing of what t points to could travel as a value,
// and it has methods.
func isObject(t, base reflect.Type) bool {
	if base.Kind() != reflect.Struct || t.NumMethod() == 0 || t.Implements(errorType) || base == timeType || base == bigIntType ||
		base == refType.Elem() || marshalsItself(base) || unmarshalsItself(base) {
		return false
	}
	fields, _ := wireFields(base)
	return len(fields) == 0
}

// appendReference appends v, whose shape is r, as a reference.
func (r *rootShape) appendReference(dst []byte, v reflect.Value, vc *valueContext) ([]byte, error) {
	ref, err := r.refOf(v, vc)
	switch {
	case err != nil:
		return nil, err
	case ref == nil:
		return append(dst, cborSimple<<5|infoNull), nil
	}
	return ref.appendTo(dst)
}

// refOf returns the reference to v, which is exported if need be; nil for nil.
func (r *rootShape) refOf(v reflect.Value, vc *valueContext) (*Ref, error) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Func:
		if v.IsNil() {
			return nil, nil
		}
	}
	if known, ok := v.Interface().(Referencer); ok {
		if ref := known.Ref(); ref != nil || r.as != asInterface {
			return ref, nil
		} // else it calls by a name, and is passed on as an object of this process
	}
	if r.as == asStub {
		if ref := stubRef(v); ref != nil {
			return ref, nil
		}
	}
	if vc == nil || vc.space == nil {
		return nil, fmt.Errorf("a value of type %v travels by reference, and the call is made without a Space", r.t)
	}
	if r.as == asInterface {
		return vc.space.exportAs(v.Elem(), r.t)
	}
	return vc.space.Export(v.Interface(), ExportOptions{})
}

// stubRef returns the reference that a stub calls by, as [Ref.Bind] has noted.
func stubRef(v reflect.Value) *Ref {
	if v = reflect.Indirect(v); v.Kind() != reflect.Struct {
		return nil
	}
	for i := range v.NumField() {
		if f := v.Field(i); f.Type() == refType && f.CanInterface() {
			return f.Interface().(*Ref)
		}
	}
	return nil
}

// exportAs returns the Ref of v, of whose methods those of iface can be called.
// Their plans are made when one is first called.
func (s *Space) exportAs(v reflect.Value, iface reflect.Type) (*Ref, error) {
	methods := make([]string, iface.NumMethod())
	for i := range methods {
		methods[i] = iface.Method(i).Name
	}
	if ref := s.refs.lookup(keyOf(v, nil)); ref != nil {
		if obj, err := ref.own.object(); err == nil && obj.hasAll(methods) {
			return ref, nil
		}
	}
	key := keyOf(v, iface)
	if ref := s.refs.lookup(key); ref != nil {
		return ref, nil
	}
	if err := s.admitsInterface(iface, outward, nil); err != nil {
		return nil, err
	}
	id := newRefID()
	e := &export{v: v, key: key, object: sync.OnceValues(func() (*object, error) {
		return newInstance(id.name(), v.Interface(), ExportOptions{Methods: methods}, s, nil)
	})}
	return s.refs.add(id, refTypeName(goName(iface)), e)
}

// hasAll reports whether obj has all methods, which are named as in Go.
func (obj *object) hasAll(methods []string) bool {
	for _, m := range methods {
		if _, ok := obj.methods[m]; !ok {
			return false
		}
	}
	return true
}

// reference returns the reference that v, which somebody passes as an any,
// travels as; nil when it travels as a value.
func (vc *valueContext) reference(v any) (*Ref, error) {
	if known, ok := v.(Referencer); ok {
		if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
			return nil, nil
		}
		ref := known.Ref()
		if ref == nil {
			return nil, fmt.Errorf("a %T without a reference cannot travel: it calls by a name; pass the name", v)
		}
		return ref, nil
	}
	if vc == nil || vc.space == nil {
		return nil, nil
	}
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Pointer:
		if ref := vc.space.refs.lookup(keyOf(rv, nil)); ref != nil {
			return ref, nil
		}
	case reflect.Func, reflect.Struct:
	default:
		return nil, nil
	}
	if s, err := shapeOf(rv.Type(), outward); err == nil && s.as != 0 {
		return s.refOf(rv, vc)
	}
	return nil, nil
}

// arrive returns the Ref for tag, which is part of what is being decoded.
func (vc *valueContext) arrive(tag refTag) (*Ref, error) {
	if vc == nil || vc.space == nil {
		return nil, fmt.Errorf("a reference to an object of %v came, and what reads it has no Space to keep it in", tag.owner)
	}
	if ref := vc.taken.find(tag); ref != nil {
		return ref, nil
	}
	var from peerID
	if vc.from != nil {
		from = vc.from.peer
	}
	return vc.space.refs.arrive(tag, from)
}

// decodeReference decodes a reference, or null, at the start of data into v,
// whose shape is r.
func (r *rootShape) decodeReference(data []byte, h itemHead, v reflect.Value, vc *valueContext) ([]byte, error) {
	if h.isNull() {
		v.SetZero()
		return data[h.size:], nil
	}
	if h.major != cborTag || h.arg != tagReference {
		n, err := itemLen(data)
		if err != nil {
			return nil, err
		}
		return nil, misfit(r.shape, data[:n])
	}
	tag, rest, err := readReference(data)
	if err != nil {
		return nil, err
	}
	ref, err := vc.arrive(tag)
	if err != nil {
		return nil, err
	}
	return rest, r.set(v, ref)
}

// set makes v what stands for ref: the object itself, where that is here and
// fits.
func (r *rootShape) set(v reflect.Value, ref *Ref) error {
	if r.as == asRef {
		v.Set(reflect.ValueOf(ref))
		return nil
	}
	if _, here := ref.Local(); here {
		switch own := ref.own.v; {
		case own.Type().AssignableTo(r.t):
			v.Set(own)
			return nil
		case own.Kind() == reflect.Pointer && own.Type().Elem() == r.t:
			v.Set(own.Elem())
			return nil
		}
	}
	switch r.as {
	case asInterface:
		of, ok := ref.space.proxies[r.t]
		if !ok {
			return errors.New(noProxy(r.t))
		}
		v.Set(reflect.ValueOf(of(ref)))
		return nil
	case asFunc:
		b := binder{h: ref, object: ref.Object()}
		f, err := b.bind(r.t, stubTag{})
		if err == nil {
			v.Set(f)
		}
		return err
	case asStub:
		if r.t.Kind() == reflect.Pointer {
			v.Set(reflect.New(r.t.Elem()))
			return ref.Bind(v.Interface())
		}
		return ref.Bind(v.Addr().Interface())
	}
	return &ValueError{Want: goName(r.t), Got: ref.String(),
		Reason: "only an object of this process fits; to take others too, take a *rmi.Ref, an interface, or a struct of funcs"}
}

// natural returns what stands for a in an any.
func (a arrivedRef) natural(vc *valueContext) (any, error) {
	ref, err := vc.arrive(a.refTag)
	if err != nil {
		return nil, err
	}
	if v, here := ref.Local(); here {
		return v, nil
	}
	return ref, nil
}

// settle replaces the *Ref in v, which the library has made, by the one of the
// Space.
func settle(v reflect.Value, vc *valueContext) error {
	raw, _ := v.Interface().(*Ref)
	if raw == nil {
		return nil
	}
	ref, err := vc.arrive(raw.refTag)
	if err == nil {
		v.Set(reflect.ValueOf(ref))
	}
	return err
}

// noProxy says that values of interface t cannot come from elsewhere, and what
// to do.
func noProxy(t reflect.Type) string {
	return fmt.Sprintf("%v is an interface, and the Space has no Proxy for it; give it one (SpaceOptions.Proxies, which farcall-gen writes), or take a *rmi.Ref, a func, or a struct of funcs", t)
}

// admits returns why values of shape r cannot travel by reference in dir; nil
// when they can, or travel as values. s may be nil.
func (s *Space) admits(r *rootShape, dir direction) error {
	if r == nil || r.as == 0 || r.as == asRef || s == anySpace || r.as == asObject && s != nil {
		return nil
	}
	switch {
	case s != nil:
	case r.as == asFunc:
		return fmt.Errorf("%v is %s, which cannot travel", r.t, unfit(reflect.Func))
	case r.as == asInterface:
		return fmt.Errorf("%v is an interface, and the receiver could not know what is in it; use a concrete type or any", r.t)
	default:
		return fmt.Errorf("%v travels by reference, for which a Space is needed", r.t)
	}
	switch r.as {
	case asInterface:
		return s.admitsInterface(r.t, dir, nil)
	case asFunc:
		return s.admitsFunc(r.t, dir, nil)
	}
	return s.admitsStub(pointee(r.t), dir)
}

// admitsInterface is admits for an interface. seen are those that are being
// looked at.
func (s *Space) admitsInterface(t reflect.Type, dir direction, seen []reflect.Type) error {
	if dir == inward {
		if _, ok := s.proxies[t]; !ok {
			return errors.New(noProxy(t))
		}
		return nil
	}
	for _, open := range seen {
		if open == t {
			return nil
		}
	}
	for i := range t.NumMethod() {
		m := t.Method(i)
		if err := s.admitsFunc(m.Type, outward, append(seen, t)); err != nil {
			return fmt.Errorf("%v: method %s: %w", t, m.Name, err)
		}
	}
	return nil
}

// admitsFunc is admits for a func.
func (s *Space) admitsFunc(t reflect.Type, dir direction, seen []reflect.Type) error {
	if dir == inward {
		b := binder{h: caller{space: s}}
		_, err := b.bind(t, stubTag{})
		return err
	}
	for i := range t.NumIn() {
		in := t.In(i)
		if i == 0 && in == contextType {
			continue
		}
		if t.IsVariadic() && i == t.NumIn()-1 {
			in = in.Elem()
		}
		if _, err := paramShape(s, in); err != nil {
			return fmt.Errorf("parameter %d: %w", i+1, err)
		}
	}
	for i := range t.NumOut() {
		out := t.Out(i)
		if out == errorType && i == t.NumOut()-1 {
			continue
		}
		var err error
		if root := referenceShape(out); root != nil && root.as == asInterface {
			err = s.admitsInterface(out, outward, seen)
		} else {
			_, err = resultShape(s, out)
		}
		if err != nil {
			return fmt.Errorf("result %d: %w", i+1, err)
		}
	}
	return nil
}

// admitsStub is admits for a struct of funcs.
func (s *Space) admitsStub(t reflect.Type, dir direction) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("rmi") == "-" || f.Type == refType {
			continue
		}
		var err error
		if f.Type.Kind() == reflect.Struct {
			err = s.admitsStub(f.Type, dir)
		} else {
			err = s.admitsFunc(f.Type, dir, nil)
		}
		if err != nil {
			return fmt.Errorf("%v: field %s: %w", t, f.Name, err)
		}
	}
	return nil
}

// shapeOf is shapeOf for a whole parameter or result that travels in s, which may
// be nil.
func (s *Space) shapeOf(t reflect.Type, dir direction) (*rootShape, error) {
	root, err := shapeOf(t, dir)
	if err == nil && root.as != 0 {
		err = s.admits(root, dir)
	}
	return root, err
}

// errorCode returns the code of the [*Error] in err's chain, or other.
func errorCode(err error, other Code) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return other
}
