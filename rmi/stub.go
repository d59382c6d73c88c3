package rmi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"farcall.dev/naming"
)

// BindError lists every field of a stub that cannot be bound.
type BindError struct {
	// Object is the name that was to be bound, Type the stub's Go type.
	Object naming.Name
	Type   string
	// Reason concerns the whole; empty when it is the fields.
	Reason string
	// Fields are the fields that cannot be bound.
	Fields []FieldProblem
}

// FieldProblem is why one field of a stub cannot be bound.
type FieldProblem struct {
	// Field is its Go name, with those of the structs that it is in.
	Field string
	// Reason says why, for people.
	Reason string
}

// Error lists every reason.
func (e *BindError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "bind %q to %s", e.Object, e.Type)
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	for _, f := range e.Fields {
		sep := "\n\t"
		if len(e.Fields) == 1 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%sfield %s: %s", sep, f.Field, f.Reason)
	}
	return b.String()
}

// Bind fills a stub, so that its funcs call the methods of an object by h:
//
//	var greeting struct {
//		GetFortune func(ctx context.Context, name string) (string, error)
//		Greet      func(name string) error `rmi:"say_hello,idempotent"`
//	}
//	err := rmi.Bind(h, "greeting", &greeting)
//
// A field's method is the [SnakeCase] of its name, or what its tag `rmi` says;
// "idempotent" in the tag sets [Call.Idempotent], "oneway" and "taken" the
// [Way] of the call to OneWay and OneWayTaken, for funcs that return an error
// only; and the tag "-" leaves the field alone. A func may take a context first, and its last result must be an
// error: a call can always fail. A stream arrives as an iter.Seq2[T, error] or a
// [*Stream]; other forms of a result could not say that it broke off. Several results take a method's several, in
// order; none take whatever comes. A func whose only result is a *[Future] begins
// the call and returns at once. Embedded structs are filled as well. A
// pointer to a func instead of a struct binds a function.
//
// Nothing is sent: whether the object has those methods shows when they are
// called. The funcs may be called from any number of goroutines. Errors: a
// [*BindError], and then nothing was filled in.
func Bind(h Handler, object naming.Name, stub any) error {
	fail := func(reason string) error {
		return &BindError{Object: object, Type: typeName(stub), Reason: reason}
	}
	if _, err := naming.ParseName(string(object)); err != nil {
		return fail(err.Error())
	}
	v := reflect.ValueOf(stub)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct && v.Elem().Kind() != reflect.Func {
		return fail("the stub must be a pointer to a struct of funcs, or to a func")
	}
	b := binder{h: h, object: object}
	if v.Elem().Kind() == reflect.Func {
		f, err := b.bind(v.Elem().Type(), stubTag{})
		if err != nil {
			return fail(err.Error())
		}
		v.Elem().Set(f)
		return nil
	}
	b.fields("", v.Elem())
	switch {
	case len(b.problems) > 0:
		return &BindError{Object: object, Type: typeName(stub), Fields: b.problems}
	case len(b.set) == 0:
		return fail("it has no func to fill")
	}
	for _, set := range b.set {
		set()
	}
	return nil
}

// binder gathers the funcs for a stub's fields, and what is wrong with them.
type binder struct {
	h        Handler
	object   naming.Name
	set      []func()
	problems []FieldProblem
}

// stubTag is what a field's tag says.
type stubTag struct {
	method     string
	idempotent bool
	way        Way
}

// fields prepares the fields of the struct v; path leads to it.
func (b *binder) fields(path string, v reflect.Value) {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		tag, err := parseStubTag(f)
		switch {
		case f.Tag.Get("rmi") == "-":
		case f.Type == refType && field.CanSet():
			if ref, ok := b.h.(*Ref); ok {
				b.set = append(b.set, func() { field.Set(reflect.ValueOf(ref)) })
			}
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			b.fields(path+f.Name+".", field)
		case f.Name == "_" || !f.IsExported() && f.Type.Kind() != reflect.Func:
		case err != nil:
			b.problem(path+f.Name, err.Error())
		case f.Type.Kind() != reflect.Func:
			b.problem(path+f.Name, fmt.Sprintf("it is a %v and not a func; the tag `rmi:\"-\"` leaves it alone", f.Type))
		case !field.CanSet():
			b.problem(path+f.Name, "it is not exported, so it cannot be set")
		default:
			fn, err := b.bind(f.Type, tag)
			if err != nil {
				b.problem(path+f.Name, err.Error())
				continue
			}
			b.set = append(b.set, func() { field.Set(fn) })
		}
	}
}

func (b *binder) problem(field, reason string) {
	b.problems = append(b.problems, FieldProblem{Field: field, Reason: reason})
}

// parseStubTag reads the tag of f.
func parseStubTag(f reflect.StructField) (stubTag, error) {
	method, options, _ := strings.Cut(f.Tag.Get("rmi"), ",")
	t := stubTag{method: method}
	if method == "" {
		t.method = SnakeCase(f.Name)
	}
	for _, o := range strings.Split(options, ",") {
		switch strings.TrimSpace(o) {
		case "":
		case "idempotent":
			t.idempotent = true
		case "oneway":
			t.way = OneWay
		case "taken":
			t.way = OneWayTaken
		default:
			return t, fmt.Errorf("its tag has the word %q, and those known are idempotent, oneway and taken", o)
		}
	}
	return t, nil
}

// stubFunc is what one func of a stub does.
type stubFunc struct {
	binder
	tag        stubTag
	hasContext bool
	variadic   bool
	params     []*rootShape
	results    []reflect.Type // the error included
	shapes     []*rootShape   // of the results without the error
	future     reflect.Type   // what the *Future that it returns points to; nil for none
}

// bind makes a func of type t that calls the method.
func (b *binder) bind(t reflect.Type, tag stubTag) (reflect.Value, error) {
	s := &stubFunc{binder: binder{h: b.h, object: b.object}, tag: tag, variadic: t.IsVariadic()}
	space := spaceOf(b.h)
	var problems []error
	for i := range t.NumIn() {
		in := t.In(i)
		if i == 0 && in == contextType {
			s.hasContext = true
			continue
		}
		if s.variadic && i == t.NumIn()-1 {
			in = in.Elem()
		}
		shape, err := space.shapeOf(in, outward)
		if err != nil {
			problems = append(problems, fmt.Errorf("parameter %d: %w", len(s.params)+1, err))
		} else if shape.stream != nil && s.variadic && i == t.NumIn()-1 {
			problems = append(problems, fmt.Errorf("parameter %d: %v is a sequence, and one cannot be variadic", len(s.params)+1, in))
		}
		s.params = append(s.params, shape)
	}
	if f := futureType(t); f != nil {
		s.future = t.Out(0).Elem()
		if _, err := space.shapeOf(f.resultType(), inward); err != nil {
			problems = append(problems, fmt.Errorf("result 1: %w", err))
		}
	}
	for i := range t.NumOut() {
		if s.future != nil {
			break
		}
		out := t.Out(i)
		s.results = append(s.results, out)
		if out == errorType && i == t.NumOut()-1 {
			continue
		}
		shape, err := space.shapeOf(out, inward)
		if err == nil {
			err = shape.readable()
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("result %d: %w", i+1, err))
		}
		s.shapes = append(s.shapes, shape)
	}
	if len(s.shapes) == len(s.results) && s.future == nil {
		problems = append(problems, errors.New("its last result must be an error, since a call can fail"))
	}
	if tag.way != Wait && len(s.results) != 1 {
		problems = append(problems, errors.New("a one-way call returns nothing but an error"))
	}
	if len(problems) > 0 {
		return reflect.Value{}, errors.New(reasons(errors.Join(problems...)))
	}
	return reflect.MakeFunc(t, s.call), nil
}

// futureType returns the future that a func of type t returns; nil when it
// returns something else.
func futureType(t reflect.Type) anyFuture {
	if t.NumOut() != 1 || t.Out(0).Kind() != reflect.Pointer {
		return nil
	}
	f, _ := reflect.New(t.Out(0).Elem()).Interface().(anyFuture)
	return f
}

// call carries out one call of the func.
func (s *stubFunc) call(in []reflect.Value) []reflect.Value {
	if s.future != nil {
		v := reflect.New(s.future)
		f, _ := v.Interface().(anyFuture)
		call := new(Call)
		ctx, err := s.prepare(call, make([]byte, 0, 64), in, &valueContext{space: spaceOf(s.h)})
		f.begin(ctx, s.h, call, err)
		return []reflect.Value{v}
	}
	out := make([]reflect.Value, len(s.results))
	for i, t := range s.results {
		out[i] = reflect.New(t).Elem()
	}
	if err := s.exchange(in, out); err != nil {
		for _, v := range out {
			v.SetZero() // nothing half decoded
		}
		out[len(out)-1].Set(reflect.ValueOf(&err).Elem())
	}
	return out
}

// exchange sends the arguments in and decodes the result into out.
func (s *stubFunc) exchange(in, out []reflect.Value) error {
	x := newExchange(s.h)
	vc := valueContext{space: x.space}
	ctx, err := s.prepare(&x.call, x.args[:0], in, &vc)
	if err != nil {
		return err
	}
	x.args = x.call.Args.Data
	reply, err := x.send(ctx, s.h)
	switch {
	case err != nil:
		return err
	case len(s.shapes) == 0:
		reply.drop(errUnread)
	case len(s.shapes) == 1 && reply.decodePlain(out[0].Addr().Interface()):
	default:
		vc.ctx = ctx
		if err := s.decode(reply, out, &vc); err != nil {
			return badReply(s.object, s.tag.method, err)
		}
	}
	x.over(&reply)
	return nil
}

// prepare makes call, which is zero, one with the arguments in, which are appended
// to buf, and returns its context.
func (s *stubFunc) prepare(call *Call, buf []byte, in []reflect.Value, vc *valueContext) (context.Context, error) {
	ctx := context.Background()
	if s.hasContext {
		if c, _ := in[0].Interface().(context.Context); c != nil {
			ctx = c
		}
		in = in[1:]
	}
	call.begin(ctx, s.object, s.tag.method)
	call.Idempotent, call.Way = s.tag.idempotent, s.tag.way
	var err error
	if call.Args, err = s.encode(buf, in, vc); err != nil {
		vc.drop(err)
		return ctx, &Error{Code: InvalidArgument, Message: fmt.Sprintf("%s: %v", called(call), err), Execution: NotExecuted, cause: err}
	}
	return ctx, nil
}

// decode decodes a result into out.
func (s *stubFunc) decode(p Payload, out []reflect.Value, vc *valueContext) error {
	vc.streams, vc.claimed, vc.from = p.streams, 0, p.from
	defer vc.dropUnclaimed()
	if p.Type != ContentCBOR {
		return &ContentError{Type: p.Type}
	}
	data := p.Data
	if len(s.shapes) > 1 {
		h, err := readHead(data)
		switch {
		case err != nil:
			return err
		case h.major != cborList || h.arg != uint64(len(s.shapes)):
			return &ValueError{Want: plural(len(s.shapes), "result"), Got: describeItem(data)}
		}
		data = data[h.size:]
	}
	for i, shape := range s.shapes {
		var err error
		if data, err = shape.decode(data, out[i], out[i].Addr().Interface(), vc); err != nil {
			if len(s.shapes) > 1 {
				err = within(err, fmt.Sprintf("[%d]", i))
			}
			return err
		}
	}
	if len(data) > 0 {
		return errTrailing
	}
	return nil
}

// encode appends the encoded arguments of a call to dst.
func (s *stubFunc) encode(dst []byte, in []reflect.Value, vc *valueContext) (Payload, error) {
	if s.variadic {
		rest := in[len(in)-1]
		in = in[: len(in)-1 : len(in)-1]
		for i := range rest.Len() {
			in = append(in, rest.Index(i))
		}
	}
	dst = appendHead(dst, cborList, uint64(len(in)))
	for i, v := range in {
		var err error
		if dst, err = s.params[min(i, len(s.params)-1)].append(dst, v, vc); err != nil {
			return Payload{}, &ArgumentError{Index: i + 1, Err: err}
		}
	}
	return vc.payload(dst), nil
}
