package rmi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

// Scope says how many instances of an object there are.
type Scope string

const (
	// Shared is one instance for all callers, made for the first call. It lives
	// until its name is taken back.
	Shared Scope = "shared"
	// PerSession is one instance for each [Session], made for its first call. It
	// lives until the session ends, or its name is taken back. Calls from this
	// process have one together, which lives as long as the name. Other callers
	// have no session and are refused with FAILED_PRECONDITION: those by XML-RPC
	// and JSON, and peers that do not say who they are.
	PerSession Scope = "session"
	// PerCall is one instance for each call, which ends with it.
	PerCall Scope = "call"
)

// Factory makes the instances of an object; [NewFactory] returns one. It is
// exported, by [Objects.Export], in place of an object.
type Factory struct {
	scope Scope
	t     reflect.Type
	make  func(ctx context.Context) (any, error)
}

// NewFactory returns a factory of objects of type T, mostly a pointer to a
// struct, whose methods are exported as those of a single object would be.
//
// New makes an instance. It runs once at a time for each instance there is to be;
// the calls that need that one wait for it, each for as long as its context
// lasts. Its ctx ends with the instance, so that what the instance starts can end
// with it, too; for an instance per call it is that call's. [SessionFrom] tells
// whose instance it is. An error of New fails the calls that wait, as an error of
// their method would, and the next call tries again; so does a panic, which is
// logged.
//
// When the life of an instance is over, its method Close is called, if it has one
// that takes nothing and returns nothing or an error: after the calls in progress
// have ended. The contexts of these end first when the session does. What Close
// fails or panics with is logged.
func NewFactory[T any](scope Scope, new func(ctx context.Context) (T, error)) Factory {
	f := Factory{scope: scope, t: reflect.TypeFor[T]()}
	if new != nil {
		f.make = func(ctx context.Context) (any, error) { return new(ctx) }
	}
	return f
}

// check returns what is wrong with f.
func (f Factory) check() error {
	switch {
	case f.t == nil || f.make == nil:
		return errors.New("the factory has no function that makes an instance; use NewFactory")
	case f.scope != Shared && f.scope != PerSession && f.scope != PerCall:
		return fmt.Errorf("the factory's scope is %q, and must be Shared, PerSession or PerCall", f.scope)
	}
	return nil
}

// sample returns a value of the type that is made, for its docs; nil for an
// interface.
func (f Factory) sample() any {
	if f.t.Kind() == reflect.Pointer {
		return reflect.New(f.t.Elem()).Interface()
	}
	return reflect.Zero(f.t).Interface()
}

// methodType returns the type of the method m of f's objects, without the
// receiver.
func (f Factory) methodType(m reflect.Method) reflect.Type {
	if f.t.Kind() == reflect.Interface {
		return m.Type
	}
	var in, out []reflect.Type
	for i := 1; i < m.Type.NumIn(); i++ {
		in = append(in, m.Type.In(i))
	}
	for i := range m.Type.NumOut() {
		out = append(out, m.Type.Out(i))
	}
	return reflect.FuncOf(in, out, m.Type.IsVariadic())
}
