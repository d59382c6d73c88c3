package rmi

import (
	"context"
	"reflect"
	"sync"

	"farcall.dev/naming"
)

// The methods by which the properties of an object are reached. They are there,
// for every protocol, middleware and metric as methods are, when the owner lists
// properties, and are not listed in [InterfaceInfo.Methods].
const (
	// GetMethod takes the name of a property and returns its value.
	GetMethod = reservedPrefix + "get"
	// SetMethod takes the name of a property and a value, and sets it.
	SetMethod = reservedPrefix + "set"
	// PropertiesMethod returns the list of [PropertyInfo].
	PropertiesMethod = reservedPrefix + "properties"
)

// Property is a value of an object that callers may read and write: an exported
// field, or what functions compute.
type Property struct {
	// Name is that of the field, in Go or as its [SnakeCase], which is the name on
	// the wire; or any name for a property that is computed.
	Name string
	// ReadOnly says that it cannot be set. One that has Get and no Set is.
	ReadOnly bool
	// Doc says what it is; may be empty.
	Doc string
	// Get, when not nil, returns the value, and there need not be a field: a
	// func() T, or with an error as its last result. It may take the object first,
	// as a method expression such as (*Shop).Total does, which it needs for objects
	// that a [Factory] makes; then a context, which is that of a method.
	Get any
	// Set, when not nil, is given the value: a func(T), which may take the same
	// before, and return an error. With a field and without Get, the field is read
	// as it is.
	Set any
}

// PropertyInfo describes a property.
type PropertyInfo struct {
	// Name is the name on the wire.
	Name string `json:"name"`
	// Go is the name in Go, which callers may use too.
	Go string `json:"go,omitempty"`
	// Type is the type of the value.
	Type TypeInfo `json:"type"`
	// ReadOnly says that it cannot be set.
	ReadOnly bool `json:"read_only,omitempty"`
	// Doc says what it is; empty when the owner supplies nothing.
	Doc string `json:"doc,omitempty"`
}

// PropertyProblem is why one property cannot be exported.
type PropertyProblem struct {
	// Property is its name as it is listed.
	Property string
	// Reason says why, for people.
	Reason string
}

// properties are those of an exported object. They do not change.
type properties struct {
	object naming.Name
	byName map[string]*property // by both names
	infos  []PropertyInfo       // sorted by name
	guard  sync.Locker          // nil: the object is its own
}

// property is one, ready to be read and written.
type property struct {
	info PropertyInfo
	t    reflect.Type
	// field leads to the field in the struct; nil when there is none.
	field    []int
	get, set *accessor
	// in is how a value arrives, nil when none may; out how one leaves.
	in, out *rootShape
}

// accessor is a function that reads or writes a property.
type accessor struct {
	fn                        reflect.Value
	takesObject, takesContext bool
	value                     reflect.Type
}

// find returns the property that a caller means by name.
func (ps *properties) find(name string) (*property, error) {
	p := ps.byName[name]
	if p == nil {
		p = ps.byName[SnakeCase(name)]
	}
	if p != nil {
		return p, nil
	}
	names := make([]string, len(ps.infos))
	for i, info := range ps.infos {
		names[i] = info.Name
	}
	hint := didYouMean(SnakeCase(name), names)
	if hint == "" {
		hint = ";"
	}
	return nil, Errorf(NotFound, "%s has no property %s%s it has: %s", ps.object, clip(name, 64), hint, listed(names))
}

// read returns the value of a property of obj.
func (ps *properties) read(ctx context.Context, obj reflect.Value, name string) (any, error) {
	p, err := ps.find(name)
	if err != nil {
		return nil, err
	}
	if p.get != nil {
		return p.get.call(ctx, obj, nil)
	}
	data, err := ps.encoded(obj, p)
	if err != nil {
		return nil, err
	}
	var value any
	_, err = decodeAny(data, &value, nil)
	return value, err
}

// encoded returns the field of p as it travels: with the guard held, since what
// it leads to may change as well.
func (ps *properties) encoded(obj reflect.Value, p *property) ([]byte, error) {
	guard := ps.guardOf(obj)
	if rw, ok := guard.(interface{ RLocker() sync.Locker }); ok {
		guard = rw.RLocker()
	}
	guard.Lock()
	defer guard.Unlock()
	field, err := obj.Elem().FieldByIndexErr(p.field)
	if err != nil {
		return nil, Errorf(FailedPrecondition, "%s.%s: the struct that it is in is not there: %w", ps.object, p.info.Name, err)
	}
	data, err := p.out.append(nil, field, nil)
	if err != nil {
		return nil, Errorf(Internal, "%s.%s cannot be sent: %w", ps.object, p.info.Name, err)
	}
	return data, nil
}

// write sets a property of obj.
func (ps *properties) write(ctx context.Context, obj reflect.Value, name string, value any) error {
	p, err := ps.find(name)
	if err != nil {
		return err
	}
	if p.info.ReadOnly {
		return Errorf(FailedPrecondition, "%s.%s is read-only", ps.object, p.info.Name)
	}
	data, err := appendValue(nil, value, nil)
	ptr := reflect.New(p.t)
	if err == nil {
		_, err = p.in.decode(data, ptr.Elem(), ptr.Interface(), nil)
	}
	if err != nil {
		return Errorf(InvalidArgument, "%s.%s: %w", ps.object, p.info.Name, err)
	}
	if p.set != nil {
		_, err := p.set.call(ctx, obj, []reflect.Value{ptr.Elem()})
		return err
	}
	guard := ps.guardOf(obj)
	guard.Lock()
	defer guard.Unlock()
	field, err := obj.Elem().FieldByIndexErr(p.field)
	if err != nil {
		return Errorf(FailedPrecondition, "%s.%s: the struct that it is in is not there: %w", ps.object, p.info.Name, err)
	}
	field.Set(ptr.Elem())
	return nil
}

// guardOf returns what is held while a field of obj is read or written.
func (ps *properties) guardOf(obj reflect.Value) sync.Locker {
	if ps.guard != nil {
		return ps.guard
	}
	return obj.Interface().(sync.Locker)
}

// call calls the function.
func (a *accessor) call(ctx context.Context, obj reflect.Value, value []reflect.Value) (any, error) {
	in := make([]reflect.Value, 0, 3)
	if a.takesObject {
		in = append(in, obj)
	}
	if a.takesContext {
		in = append(in, reflect.ValueOf(ctx))
	}
	out := a.fn.Call(append(in, value...))
	var err error
	if n := len(out); n > 0 && out[n-1].Type() == errorType {
		err, _ = out[n-1].Interface().(error)
	}
	if err != nil || len(out) == 0 || value != nil {
		return nil, err
	}
	return out[0].Interface(), nil
}
