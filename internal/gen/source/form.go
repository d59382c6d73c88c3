package source

import (
	"errors"
	"fmt"
	"go/types"

	"farcall.dev/internal/gen"
)

// rmiPath is the path of package rmi.
const rmiPath = "farcall.dev/rmi"

// form is how a whole parameter or result travels.
type form int

const (
	// asValue is copied.
	asValue form = iota
	// asStream is a sequence of items.
	asStream
	// asReference is an object, or a func, that stays where it is.
	asReference
)

// whole returns how a parameter (inward) or a result (outward) of type t travels,
// or why it cannot. The rules and the words are those of package rmi, which has
// them on types of package reflect; a test holds the two together.
func whole(t types.Type, dir direction) (form, error) { return wholeAt(t, dir, 0) }

// maxFuncDepth bounds how far funcs that take funcs are looked into: they may
// take themselves.
const maxFuncDepth = 8

// wholeAt is whole inside of so many funcs.
func wholeAt(t types.Type, dir direction, depth int) (form, error) {
	if s, ok := streamOf(t); ok {
		return asStream, s.check(dir)
	}
	if isReference(t) {
		sig, ok := t.Underlying().(*types.Signature)
		if !ok || depth == maxFuncDepth {
			return asReference, nil
		}
		return asReference, checkFunc(sig, dir, depth+1)
	}
	return asValue, travels(t, dir)
}

// stream is a sequence.
type stream struct {
	t types.Type
	// elem is the type of an item; key, when not nil, that of the first half of a
	// pair.
	elem, key types.Type
	// fallible says that its reader learns that it broke off.
	fallible bool
}

// streamOf returns how t is a sequence, or false.
func streamOf(t types.Type) (stream, bool) {
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		n, ok := types.Unalias(p.Elem()).(*types.Named)
		if ok && isNamed(n, rmiPath, "Stream") && n.TypeArgs().Len() == 1 {
			return stream{t: t, elem: n.TypeArgs().At(0), fallible: true}, true
		}
		return stream{}, false
	}
	switch u := t.Underlying().(type) {
	case *types.Chan:
		return stream{t: t, elem: u.Elem()}, u.Dir() == types.RecvOnly
	case *types.Signature:
		yield, ok := yieldOf(u)
		switch {
		case !ok:
		case yield.Params().Len() == 1:
			return stream{t: t, elem: yield.Params().At(0).Type()}, true
		case isError(yield.Params().At(1).Type()):
			return stream{t: t, elem: yield.Params().At(0).Type(), fallible: true}, true
		default:
			return stream{t: t, elem: yield.Params().At(1).Type(), key: yield.Params().At(0).Type()}, true
		}
	}
	return stream{}, false
}

// yieldOf returns the type of yield when sig is that of an iter.Seq or iter.Seq2.
func yieldOf(sig *types.Signature) (*types.Signature, bool) {
	if sig.Params().Len() != 1 || sig.Results().Len() != 0 || sig.Variadic() {
		return nil, false
	}
	yield, ok := sig.Params().At(0).Type().Underlying().(*types.Signature)
	if !ok || yield.Results().Len() != 1 || yield.Variadic() || yield.Params().Len() < 1 || yield.Params().Len() > 2 {
		return nil, false
	}
	return yield, types.Identical(yield.Results().At(0).Type(), types.Typ[types.Bool])
}

// check returns why the items of s cannot travel.
func (s stream) check(dir direction) error {
	for _, item := range []types.Type{s.elem, s.key} {
		if item == nil {
			continue
		}
		if _, ok := streamOf(item); ok {
			return fmt.Errorf("%s is a sequence of sequences, which cannot travel", short(s.t))
		}
		if isReference(item) {
			continue
		}
		if err := travels(item, dir); err != nil {
			return fmt.Errorf("an item of %s: %w", short(s.t), err)
		}
	}
	return nil
}

// result returns the type that the client of a method returns for s, whose
// reader must learn that it broke off.
func (l *loader) result(s stream) string {
	if s.fallible {
		return l.text(s.t)
	}
	elem := l.text(s.elem)
	if s.key != nil {
		elem = fmt.Sprintf("%s[%s, %s]", gen.Dot(l.imports.Name(rmiPath, "rmi"), "Pair"), l.text(s.key), elem)
	}
	return fmt.Sprintf("%s[%s, error]", gen.Dot(l.imports.Name("iter", "iter"), "Seq2"), elem)
}

// isReference reports whether t travels by reference as a whole parameter or
// result.
func isReference(t types.Type) bool {
	t = types.Unalias(t)
	base := t
	p, pointer := t.Underlying().(*types.Pointer)
	if pointer {
		base = types.Unalias(p.Elem())
	}
	if pointer && isNamed(base, rmiPath, "Ref") {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Interface:
		return u.NumMethods() > 0 && !isError(t) && !isContext(t) && !hasHidden(u)
	case *types.Signature:
		return !looksLikeSequence(u)
	}
	return isStub(base) || pointer && isObject(t, base)
}

// checkFunc returns why a func, which is a parameter (inward) or a result, cannot
// be called by the other side.
func checkFunc(sig *types.Signature, dir direction, depth int) error {
	results := sig.Results()
	n := results.Len()
	fails := n > 0 && isError(results.At(n-1).Type())
	if dir == inward && !fails {
		return errors.New("its last result must be an error, since a call can fail")
	}
	if fails {
		n--
	}
	for i := range sig.Params().Len() {
		t := sig.Params().At(i).Type()
		if i == 0 && isContext(t) {
			continue
		}
		if sig.Variadic() && i == sig.Params().Len()-1 {
			t = t.(*types.Slice).Elem()
		}
		if _, err := wholeAt(t, !dir, depth); err != nil {
			return fmt.Errorf("parameter %d: %w", i+1, err)
		}
	}
	for i := range n {
		if _, err := wholeAt(results.At(i).Type(), dir, depth); err != nil {
			return fmt.Errorf("result %d: %w", i+1, err)
		}
	}
	return nil
}

// hasHidden reports whether an interface has methods that another package cannot
// call.
func hasHidden(i *types.Interface) bool {
	for m := range i.Methods() {
		if !m.Exported() {
			return true
		}
	}
	return false
}

// looksLikeSequence reports whether a func has about the form of an iter.Seq.
func looksLikeSequence(sig *types.Signature) bool {
	if sig.Params().Len() != 1 || sig.Results().Len() != 0 {
		return false
	}
	yield, ok := sig.Params().At(0).Type().Underlying().(*types.Signature)
	if !ok || yield.Results().Len() != 1 {
		return false
	}
	b, ok := yield.Results().At(0).Type().Underlying().(*types.Basic)
	return ok && b.Kind() == types.Bool
}

// isStub reports whether t is a struct of funcs, as rmi.Bind takes it.
func isStub(t types.Type) bool {
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return false
	}
	funcs := 0
	for i := range s.NumFields() {
		f := s.Field(i)
		sig, isFunc := f.Type().Underlying().(*types.Signature)
		p, isPointer := f.Type().(*types.Pointer)
		switch {
		case tagged(s.Tag(i), "rmi") == "-", f.Name() == "_", isPointer && isNamed(p.Elem(), rmiPath, "Ref"):
		case f.Embedded() && isStub(f.Type()):
			funcs++
		case f.Exported() && isFunc && !looksLikeSequence(sig):
			funcs++
		default:
			return false
		}
	}
	return funcs > 0
}

// isObject reports whether t, a pointer to base, has methods, and nothing that
// could travel as a value.
func isObject(t, base types.Type) bool {
	s, ok := base.Underlying().(*types.Struct)
	if !ok || isNamed(base, "time", "Time") || isNamed(base, "math/big", "Int") || isNamed(base, rmiPath, "Ref") {
		return false
	}
	for _, dir := range []direction{inward, outward} {
		if c := (checker{dir: dir}); c.writesItself(base) {
			return false
		}
	}
	exported := false
	for m := range types.NewMethodSet(t).Methods() {
		exported = exported || m.Obj().Exported()
	}
	return exported && len(wireFields(s)) == 0
}
