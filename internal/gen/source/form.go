package source

import (
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
)

// whole returns how a parameter (inward) or a result (outward) of type t travels,
// or why it cannot. The rules and the words are those of package rmi, which has
// them on types of package reflect; a test holds the two together.
func whole(t types.Type, dir direction) (form, error) {
	if s, ok := streamOf(t); ok {
		return asStream, s.check(dir)
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
