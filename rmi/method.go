package rmi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"farcall.dev/naming"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// plan is a method, or a function, made ready to be called: everything that
// reflection has to find out was found out when it was exported.
type plan struct {
	object naming.Name
	// name is the wire name, empty for a function.
	name   string
	goName string
	fn     reflect.Value
	// params are the shapes of the parameters, without the context; of a
	// variadic one, that of an element.
	params     []*rootShape
	results    []*rootShape
	hasContext bool
	variadic   bool
	fails      bool
	idempotent bool
	// streams says that a parameter or a result is a sequence.
	streams bool
	info    MethodInfo
	// direct, when not nil, does the whole call for a common signature without
	// reflection. It gets the arguments after their head.
	direct directCall
	slots  sync.Pool // of *argSlots
	// instances, when not nil, has the object that a call is for, and bind makes of
	// that the function to call; fn then only says what type it has.
	instances *instanced
	bind      func(reflect.Value) reflect.Value
	// handler, when not nil, carries out the calls, and fn is not used.
	handler Handler

	calls, errs atomic.Uint64
	inFlight    atomic.Int64
}

// argSlots are the variables that a call's arguments are decoded into. They
// are reused: they are zeroed after each call, so that nothing that a method
// keeps is ever written to again.
type argSlots struct {
	// in is what the function is called with: the context, then params.
	in []reflect.Value
	// params are the variables, and ptrs point to them.
	params []reflect.Value
	ptrs   []any
	ctx    *context.Context
}

// newPlan makes a plan of fn, which is called in space, if not nil. Its error
// lists every reason why fn cannot be
// called from afar.
func newPlan(space *Space, object naming.Name, goName string, fn reflect.Value) (*plan, error) {
	t := fn.Type()
	p := &plan{object: object, goName: goName, fn: fn, variadic: t.IsVariadic()}
	var reasons []error
	first := 0
	if t.NumIn() > 0 && t.In(0) == contextType {
		p.hasContext, first = true, 1
	}
	for i := first; i < t.NumIn(); i++ {
		in := t.In(i)
		if p.variadic && i == t.NumIn()-1 {
			in = in.Elem()
		}
		s, err := paramShape(space, in)
		if err != nil {
			reasons = append(reasons, fmt.Errorf("parameter %d: %w", i-first+1, err))
			continue
		}
		if s.stream != nil {
			p.streams = true
			if p.variadic && i == t.NumIn()-1 {
				reasons = append(reasons, fmt.Errorf("parameter %d: %v is a sequence, and one cannot be variadic", i-first+1, in))
			}
		}
		p.params = append(p.params, s)
		p.info.Params = append(p.info.Params, ParamInfo{Type: s.info()})
	}
	n := t.NumOut()
	if n > 0 && t.Out(n-1) == errorType {
		p.fails = true
		n--
	}
	for i := range n {
		s, err := resultShape(space, t.Out(i))
		if err != nil {
			reasons = append(reasons, fmt.Errorf("result %d: %w", i+1, err))
			continue
		}
		p.streams = p.streams || s.stream != nil
		p.results = append(p.results, s)
		p.info.Results = append(p.info.Results, s.info())
	}
	if len(reasons) > 0 {
		return nil, errors.Join(reasons...)
	}
	p.info.Go, p.info.Variadic, p.info.Fails = goName, p.variadic, p.fails
	p.slots.New = func() any { return p.newSlots() }
	p.direct = directFor(p)
	return p, nil
}

// newInstancePlan makes a plan of a function of type t that bind makes of each
// instance.
func newInstancePlan(space *Space, object naming.Name, goName string, t reflect.Type, in *instanced, bind func(reflect.Value) reflect.Value) (*plan, error) {
	p, err := newPlan(space, object, goName, reflect.Zero(t))
	if err != nil {
		return nil, err
	}
	p.direct, p.instances, p.bind = nil, in, bind
	return p, nil
}

// paramShape is shapeOf for a parameter, with words for the usual mistakes.
func paramShape(space *Space, t reflect.Type) (*rootShape, error) {
	if t == contextType {
		return nil, errors.New("context.Context can only be the first parameter")
	}
	return space.shapeOf(t, inward)
}

// resultShape is shapeOf for a result, with words for the usual mistakes.
func resultShape(space *Space, t reflect.Type) (*rootShape, error) {
	if t == errorType {
		return nil, errors.New("error can only be the last result")
	}
	return space.shapeOf(t, outward)
}

// setDocs fills in what only the method's author knows.
func (p *plan) setDocs(d Docs) error {
	p.info.Doc = d.Methods[p.name]
	names, ok := d.Params[p.name]
	if !ok {
		return nil
	}
	if len(names) != len(p.params) {
		return fmt.Errorf("its docs name %s, and it takes %d", plural(len(names), "parameter"), len(p.params))
	}
	for i, name := range names {
		p.info.Params[i].Name = name
	}
	return nil
}

// newSlots makes the variables for one call.
func (p *plan) newSlots() *argSlots {
	t := p.fn.Type()
	s := &argSlots{in: make([]reflect.Value, t.NumIn())}
	for i := range s.in {
		ptr := reflect.New(t.In(i))
		s.in[i] = ptr.Elem()
		if i == 0 && p.hasContext {
			s.ctx = ptr.Interface().(*context.Context)
			continue
		}
		s.params = append(s.params, ptr.Elem())
		s.ptrs = append(s.ptrs, ptr.Interface())
	}
	return s
}

// clear makes s ready for the next call.
func (s *argSlots) clear() {
	for _, v := range s.in {
		v.SetZero()
	}
}

// String names the method as messages do: "greeting.get_fortune", or "add" for
// a function.
func (p *plan) String() string {
	if p.name == "" {
		return string(p.object)
	}
	return string(p.object) + "." + p.name
}

// badArgs makes a call's failure of what is wrong with its arguments.
func (p *plan) badArgs(err error) *Error {
	var count *ArgumentCountError
	var arg *ArgumentError
	var b strings.Builder
	b.WriteString(p.String())
	b.WriteString(": ")
	switch {
	case errors.As(err, &count):
		b.WriteString(p.countMessage(count.Got))
	case errors.As(err, &arg):
		fmt.Fprintf(&b, "argument %d", arg.Index)
		at := arg.Index - 1
		if p.variadic {
			at = min(at, len(p.params)-1)
		}
		if at >= 0 && at < len(p.info.Params) && p.info.Params[at].Name != "" {
			fmt.Fprintf(&b, " (%s)", p.info.Params[at].Name)
		}
		fmt.Fprintf(&b, ": %v", arg.Err)
	default:
		b.WriteString(err.Error())
	}
	return &Error{Code: errorCode(err, InvalidArgument), Message: b.String(), Execution: NotExecuted, cause: err}
}

// countMessage says that got arguments are too many or too few.
func (p *plan) countMessage(got int) string {
	takes := plural(len(p.params), "argument")
	if p.variadic {
		takes = "at least " + plural(len(p.params)-1, "argument")
	}
	m := p.info
	if m.Name == "" {
		m.Name = string(p.object)
	}
	return fmt.Sprintf("it takes %s and got %d: %s", takes, got, m.Signature())
}
