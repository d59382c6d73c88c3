package rmi

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"farcall.dev/naming"
)

// ExportOptions say how something is exported. The zero value exports every
// method, without docs.
type ExportOptions struct {
	// Methods, when not empty, are the methods to export, named as in Go or as
	// on the wire; the others then need not be exportable.
	Methods []string
	// Docs add to what the object itself supplies as a [Describer], and go
	// before it. The "method" of a function is "".
	Docs Docs
	// Properties are the fields, and computed values, that callers may read and
	// write. A function has none.
	Properties []Property
	// Guard is held while a field is read or written, and not while Get and Set of
	// a property run; its RLocker, where it has one, while it is read. The object's
	// own methods should hold it when they use these fields. Nil: the object
	// itself, where it is a sync.Locker; else a lock of its own, which keeps only
	// callers from each other.
	Guard sync.Locker
	// Unreferenced, when not nil, is called in place of the object's own method;
	// see [Unreferencer]. It is for objects without a name: [Space.Export].
	Unreferenced func()
}

// ExportError says why something cannot be exported: every reason at once.
type ExportError struct {
	// Name is the name it was to have, Type its Go type.
	Name naming.Name
	Type string
	// Reason concerns the whole; empty when it is the methods.
	Reason string
	// Methods are the methods that cannot be exported, Properties the properties.
	Methods    []MethodProblem
	Properties []PropertyProblem

	cause error
}

// MethodProblem is why one method cannot be exported.
type MethodProblem struct {
	// Method is its Go name, or what the list calls it.
	Method string
	// Reason says why, for people.
	Reason string
}

// Error lists every reason.
func (e *ExportError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "export %q (%s)", e.Name, e.Type)
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	for i, m := range e.Methods {
		if i == 0 && len(e.Methods) > 1 {
			fmt.Fprintf(&b, ": %d methods cannot be called from afar", len(e.Methods))
		}
		sep := "\n\t"
		if len(e.Methods) == 1 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s: %s", sep, m.Method, m.Reason)
	}
	for _, p := range e.Properties {
		sep := "\n\t"
		if len(e.Properties)+len(e.Methods) == 1 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%sproperty %q: %s", sep, p.Property, p.Reason)
	}
	return b.String()
}

// Unwrap returns the error behind a whole that cannot be exported, such as a
// [*naming.InvalidNameError]; nil otherwise.
func (e *ExportError) Unwrap() error { return e.cause }

// Export makes the exported methods of v callable under name: those that its
// pointer has, too, when v is one. A v that is a [Factory] is not the object, but
// makes its instances. A method may take a context first, which
// ends when its caller gives up or the deadline passes, and tells of the call
// ([CallFrom]); then values, the last of them variadic or not; and may return
// values, and an error last.
//
// Values are booleans, numbers, strings, []byte, time.Time, time.Duration,
// big.Int, any, types with MarshalText and UnmarshalText, and pointers,
// slices, arrays, maps with scalar keys, and structs of these. Structs travel
// as maps of their exported fields, named by their `cbor` or `json` tag. What
// arrives in an any is told at [DecodeValue].
//
// Objects travel by reference where Objects has a Space: as a [*Ref], which can be
// anywhere in a value, or as a whole argument or result. Such is a pointer that
// was exported, under a name or without one; an interface with methods, whose
// receiver needs a [Proxy]; a func whose last result is an error, and a struct of
// such funcs as [Bind] takes it; and a pointer to a struct that has methods and
// no exported field. What is not exported yet is exported by itself. An object
// that comes home is itself again.
//
// A whole parameter or result may be a sequence: an iter.Seq, an iter.Seq2 of
// pairs or with an error as its second value, a receive channel, or a [*Stream],
// which is also how one is passed on. Items travel one by one, as they are wanted:
// the caller's, while the method runs, and the method's, after it has returned,
// until its caller has enough. The context of the method ends when it has
// returned and the sequences of its result have ended; who sends on a channel
// watches it, so as not to wait for ever. A parameter without a word for errors
// ends like any other when the stream breaks off, but by then the method's context
// has ended, with the stream's error as its cause; and with that error the call
// fails, whatever the method returns.
//
// A method's name on the wire is its [SnakeCase]; callers may use the Go name
// too. RMIDocs, Unreferenced and Close are not exported unless opts lists them,
// since an object's life is its owner's concern. An object with the methods of an
// embedded mutex, or with wire names that begin with "farcall_", is refused, unless
// opts lists other methods. Methods run concurrently, one goroutine for each call.
//
// Errors: an [*ExportError].
func (o *Objects) Export(name naming.Name, v any, opts ExportOptions) error {
	if err := checkName(name, v); err != nil {
		return err
	}
	obj, err := newInstance(name, v, opts, o.space, o.made)
	if err != nil {
		return err
	}
	if err := o.add(obj); err != nil || o.space == nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	obj.unname = o.space.refs.named(reflect.ValueOf(v), obj)
	return nil
}

// checkName returns why v cannot be exported as name, if that is because of the
// name.
func checkName(name naming.Name, v any) error {
	_, err := naming.ParseName(string(name))
	if err == nil && strings.HasPrefix(string(name), refPrefix) {
		err = fmt.Errorf("names that begin with %q are those of objects without a name", refPrefix)
	}
	if err == nil {
		return nil
	}
	return &ExportError{Name: name, Type: typeName(v), Reason: err.Error(), cause: err}
}

// newInstance makes the object that v is as name, in space, which may be nil.
// Without made, v cannot be a [Factory].
func newInstance(name naming.Name, v any, opts ExportOptions, space *Space, made *instances) (*object, error) {
	fail := func(reason string) (*object, error) {
		return nil, &ExportError{Name: name, Type: typeName(v), Reason: reason}
	}
	rv := reflect.ValueOf(v)
	factory, many := v.(Factory)
	switch {
	case many && made == nil:
		return fail("a factory can only be exported under a name")
	case many && factory.check() != nil:
		return fail(factory.check().Error())
	case !rv.IsValid():
		return fail("the value is nil")
	case rv.Kind() == reflect.Func && rv.NumMethod() == 0:
		return fail("it is a function; use ExportFunc")
	case rv.Kind() == reflect.Pointer && rv.IsNil():
		return fail("the pointer is nil")
	}
	x := exporter{name: name, t: rv.Type(), v: rv, space: space}
	if many {
		x.t, v = factory.t, factory.sample()
		x.instances = &instanced{all: made, factory: factory, object: name}
	}
	x.docs = docsFor(v, opts)
	if !many && isStub(pointee(x.t)) {
		x.stub(reflect.Indirect(rv))
	} else if err := x.choose(opts.Methods); err != nil && (len(opts.Methods) > 0 || len(opts.Properties) == 0) {
		return fail(err.Error())
	}
	for _, m := range x.chosen {
		x.method(m)
	}
	for _, unknown := range x.docs.unknownIn(x.has) {
		x.problem(unknown, "docs are given for it, and there is no such method")
	}
	properties, reserved := x.properties(opts)
	if len(x.problems) > 0 || len(x.badProperties) > 0 {
		return nil, &ExportError{Name: name, Type: goName(x.t), Methods: x.problems, Properties: x.badProperties}
	}
	obj := newObject(name, naming.KindObject, goName(x.t), x.docs, x.plans)
	obj.info.Scope, obj.instances = factory.scope, x.instances
	obj.addProperties(properties, reserved)
	return obj, nil
}

// ExportFunc makes the function fn callable under name. What it may take and
// return is what a method may; see [Objects.Export], whose errors it shares.
func (o *Objects) ExportFunc(name naming.Name, fn any, opts ExportOptions) error {
	if err := checkName(name, fn); err != nil {
		return err
	}
	obj, err := newFunction(name, fn, opts, o.space)
	if err != nil {
		return err
	}
	return o.add(obj)
}

// newFunction makes the object that the function fn is as name, in space, which
// may be nil.
func newFunction(name naming.Name, fn any, opts ExportOptions, space *Space) (*object, error) {
	fail := func(reason string) (*object, error) {
		return nil, &ExportError{Name: name, Type: typeName(fn), Reason: reason}
	}
	v := reflect.ValueOf(fn)
	switch {
	case !v.IsValid() || v.Kind() == reflect.Func && v.IsNil():
		return fail("the function is nil")
	case v.Kind() != reflect.Func:
		return fail("it is not a function; use Export")
	case len(opts.Methods) > 0 || len(opts.Properties) > 0:
		return fail("a function has no methods to choose from, and no properties")
	}
	p, err := newPlan(space, name, "", v)
	if err != nil {
		return fail(reasons(err))
	}
	docs := docsFor(fn, opts)
	if unknown := docs.unknownIn(func(m string) bool { return m == "" }); len(unknown) > 0 {
		return fail(fmt.Sprintf("docs are given for %q, and the docs of a function go under the name \"\"", unknown[0]))
	}
	if err := p.setDocs(docs); err != nil {
		return fail(err.Error())
	}
	p.idempotent = slices.Contains(docs.Idempotent, "")
	return newObject(name, naming.KindFunction, typeName(fn), docs, []*plan{p}), nil
}

// newObject puts plans together.
func newObject(name naming.Name, kind naming.Kind, goType string, docs Docs, plans []*plan) *object {
	slices.SortFunc(plans, func(a, b *plan) int { return strings.Compare(a.name, b.name) })
	obj := &object{
		info:    InterfaceInfo{Name: name, Kind: kind, Doc: docs.Doc, Go: goType},
		methods: make(map[string]*plan, 2*len(plans)),
		plans:   plans,
	}
	for _, p := range plans {
		obj.methods[p.name] = p
		obj.methods[p.goName] = p
		p.info.Name, p.info.Idempotent = p.name, p.idempotent
		obj.info.Methods = append(obj.info.Methods, p.info)
	}
	obj.info.Digest = digest(obj.info.Methods, nil)
	return obj
}

// exporter gathers the plans of an object's methods, and what is wrong with
// them.
type exporter struct {
	name naming.Name
	// t is the object's type, or an interface.
	t reflect.Type
	// v is the object. It is not valid where t alone is looked at; where there are
	// instances, each is one, and v is not used.
	v         reflect.Value
	instances *instanced

	docs     Docs
	space    *Space // may be nil
	chosen   []reflect.Method
	plans    []*plan
	problems []MethodProblem

	badProperties []PropertyProblem
}

func (x *exporter) problem(method, reason string) {
	x.problems = append(x.problems, MethodProblem{Method: method, Reason: reason})
}

// has reports whether the object has the method, exported or not: its own docs
// may tell of more than is chosen.
func (x *exporter) has(method string) bool {
	if hasMethod(x.t, method) {
		return true
	}
	return slices.ContainsFunc(x.plans, func(p *plan) bool { return p.name == method || p.goName == method })
}

// stub makes plans of the funcs in a struct of them, as [Bind] would fill it.
func (x *exporter) stub(v reflect.Value) {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		tag, err := parseStubTag(f)
		switch {
		case f.Tag.Get("rmi") == "-", f.Name == "_", f.Type == refType:
			continue
		case f.Type.Kind() == reflect.Struct:
			x.stub(field)
			continue
		case field.IsNil():
			err = errors.New("the func is nil")
		}
		var p *plan
		if err == nil {
			p, err = newPlan(x.space, x.name, f.Name, field)
		}
		if err == nil {
			p.name, p.idempotent = tag.method, tag.idempotent
			err = p.setDocs(x.docs)
		}
		if err != nil {
			x.problem(f.Name, reasons(err))
			continue
		}
		x.plans = append(x.plans, p)
	}
}

// choose fills x.chosen: the methods that list names, or all. Its error
// concerns the whole.
func (x *exporter) choose(list []string) error {
	t := x.t
	var names []string
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	if len(list) == 0 {
		for i := range t.NumMethod() {
			if m := t.Method(i); m.IsExported() && !ownersMethod(t, m.Name) {
				x.chosen = append(x.chosen, m)
			}
		}
	}
	if len(names) == 0 || len(list) == 0 && len(x.chosen) == 0 {
		if t.Kind() != reflect.Pointer && reflect.PointerTo(t).NumMethod() > 0 {
			return fmt.Errorf("its methods are those of a pointer to it; export &%s{…}", t.Name())
		}
		return errors.New("it has no exported methods")
	}
	for _, want := range list {
		at := slices.IndexFunc(names, func(n string) bool { return n == want || SnakeCase(n) == want })
		if at < 0 {
			reason := "there is no such method" + strings.TrimSuffix(didYouMean(SnakeCase(want), snakes(names)), "?")
			if reflect.PointerTo(t).Kind() == reflect.Pointer && hasMethod(reflect.PointerTo(t), want) {
				reason = fmt.Sprintf("it is a method of a pointer; export &%s{…}", t.Name())
			}
			x.problem(want, reason)
			continue
		}
		if m := t.Method(at); !slices.ContainsFunc(x.chosen, func(c reflect.Method) bool { return c.Name == m.Name }) {
			x.chosen = append(x.chosen, m)
		}
	}
	return nil
}

// method makes the plan of m, or notes why there is none.
func (x *exporter) method(m reflect.Method) {
	wire := SnakeCase(m.Name)
	for _, other := range x.chosen {
		if other.Name != m.Name && SnakeCase(other.Name) == wire {
			x.problem(m.Name, fmt.Sprintf("its name on the wire, %s, is that of %s too; rename one, or list the methods to export", wire, other.Name))
			return
		}
	}
	if strings.HasPrefix(wire, reservedPrefix) {
		x.problem(m.Name, fmt.Sprintf("names that begin with %q are reserved", reservedPrefix))
		return
	}
	if from := lockFrom(x.t, m.Name); from != "" {
		x.problem(m.Name, fmt.Sprintf("it comes from the embedded %s, which callers could then lock; give that field a name, or list the methods to export", from))
		return
	}
	p, err := x.plan(m)
	if err != nil {
		x.problem(m.Name, reasons(err))
		return
	}
	p.name = wire
	if err := p.setDocs(x.docs); err != nil {
		x.problem(m.Name, err.Error())
		return
	}
	p.idempotent = slices.ContainsFunc(x.docs.Idempotent, func(n string) bool { return SnakeCase(n) == wire })
	x.plans = append(x.plans, p)
}

// plan makes the plan of m, without its names.
func (x *exporter) plan(m reflect.Method) (*plan, error) {
	switch {
	case x.instances == nil && x.v.IsValid():
		return newPlan(x.space, x.name, m.Name, x.v.Method(m.Index))
	case x.instances == nil:
		return newPlan(x.space, x.name, m.Name, reflect.Zero(Factory{t: x.t}.methodType(m)))
	}
	bind := func(v reflect.Value) reflect.Value { return v.Method(m.Index) }
	if x.t.Kind() == reflect.Interface {
		bind = func(v reflect.Value) reflect.Value { return v.MethodByName(m.Name) }
	}
	return newInstancePlan(x.space, x.name, m.Name, x.instances.factory.methodType(m), x.instances, bind)
}

// ownersMethod reports whether a method of t is its owner's, not its callers'.
func ownersMethod(t reflect.Type, name string) bool {
	switch name {
	case "RMIDocs":
		return t.Implements(reflect.TypeFor[Describer]())
	case "Unreferenced":
		return t.Implements(reflect.TypeFor[Unreferencer]())
	case "Close":
		return true
	}
	return false
}

// lockFrom returns the type of package sync that t's method is promoted from,
// or "".
func lockFrom(t reflect.Type, method string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return ""
	}
	own, _ := reflect.PointerTo(t).MethodByName(method)
	for i := range t.NumField() {
		f := t.Field(i)
		base := f.Type
		for base.Kind() == reflect.Pointer {
			base = base.Elem()
		}
		if !f.Anonymous || base.PkgPath() != "sync" {
			continue
		}
		// A method of t's own by that name will take other things.
		m, ok := reflect.PointerTo(base).MethodByName(method)
		if ok && m.Type.NumIn() == own.Type.NumIn() && m.Type.NumOut() == own.Type.NumOut() {
			return base.String()
		}
	}
	return ""
}

// hasMethod reports whether t has the method, named as in Go or on the wire.
func hasMethod(t reflect.Type, name string) bool {
	for i := range t.NumMethod() {
		if n := t.Method(i).Name; n == name || SnakeCase(n) == name {
			return true
		}
	}
	return false
}

// snakes returns the wire names of names.
func snakes(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = SnakeCase(n)
	}
	return out
}

// reasons writes joined errors on one line.
func reasons(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
