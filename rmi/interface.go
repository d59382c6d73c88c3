package rmi

import (
	"reflect"
	"sync"

	"farcall.dev/naming"
)

// Interface is what a client was compiled against: the methods of a Go type,
// with what its author says of them. It is worked out when it is first asked
// for. Its methods may be called from any number of goroutines.
type Interface struct {
	opts ExportOptions
	info func() (InterfaceInfo, error)
}

// NewInterface returns the interface of T, which is a Go interface or the type
// of an object; opts are those with which such an object is exported. Nothing of
// T is looked at yet.
func NewInterface[T any](opts ExportOptions) *Interface {
	return &Interface{opts: opts, info: sync.OnceValues(func() (InterfaceInfo, error) { return InterfaceOf[T](opts) })}
}

// Info describes the interface. Its errors are those of [InterfaceOf]. The
// result is shared and read-only.
func (i *Interface) Info() (InterfaceInfo, error) { return i.info() }

// Options returns how an object with the interface is exported. What they hold is
// shared and read-only.
func (i *Interface) Options() ExportOptions { return i.opts }

// anySpace stands for whichever Space an object will be served in: what the other
// has no Proxy for is told there. Nothing but its address is used.
var anySpace = new(Space)

// InterfaceOf describes what [Objects.Export] would make of a T, which may be
// an interface, too: its methods, with the digest that the registry shows. It
// has no name, and the docs are those of opts alone. Errors: an [*ExportError].
func InterfaceOf[T any](opts ExportOptions) (InterfaceInfo, error) {
	t := reflect.TypeFor[T]()
	x := exporter{t: t, docs: docsFor(nil, opts), space: anySpace}
	if err := x.choose(opts.Methods); err != nil {
		return InterfaceInfo{}, &ExportError{Type: goName(t), Reason: err.Error()}
	}
	for _, m := range x.chosen {
		x.method(m)
	}
	for _, unknown := range x.docs.unknownIn(x.has) {
		x.problem(unknown, "docs are given for it, and there is no such method")
	}
	if len(x.problems) > 0 {
		return InterfaceInfo{}, &ExportError{Type: goName(t), Methods: x.problems}
	}
	return newObject("", naming.KindObject, goName(t), x.docs, x.plans).info, nil
}

// With returns d with what over adds or says otherwise. Methods are then named
// as on the wire. Neither is changed.
func (d Docs) With(over Docs) Docs {
	return docsFor(given(d), ExportOptions{Docs: over})
}

// given are docs as an object's own.
type given Docs

// RMIDocs returns the docs.
func (g given) RMIDocs() Docs { return Docs(g) }
