package rmi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// newAccessor makes one of fn, which reads a property of object, or sets it.
func newAccessor(fn any, object reflect.Type, set bool) (*accessor, error) {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return nil, fmt.Errorf("a value of type %s is not a function", typeName(fn))
	}
	a, t, i := &accessor{fn: v}, v.Type(), 0
	if i < t.NumIn() && t.In(i) == object && (!set || t.NumIn() > 1) {
		a.takesObject = true
		i++
	}
	if i < t.NumIn() && t.In(i) == contextType {
		a.takesContext = true
		i++
	}
	results := t.NumOut()
	if results > 0 && t.Out(results-1) == errorType {
		results--
	}
	switch {
	case t.IsVariadic():
	case set && t.NumIn() == i+1 && results == 0:
		a.value = t.In(i)
		return a, nil
	case !set && t.NumIn() == i && results == 1:
		a.value = t.Out(0)
		return a, nil
	}
	want := "func() T"
	if set {
		want = "func(T)"
	}
	return nil, fmt.Errorf("a %s does not fit: it must be a %s, with %s and a context before, if need be, and an error as its last result", goName(t), want, goName(object))
}

// property makes what is listed as p ready, or notes why it cannot be.
func (x *exporter) property(ps *properties, listed Property) {
	p, err := x.newProperty(listed)
	if err == nil && (ps.byName[p.info.Name] != nil) {
		err = errors.New("it is listed twice")
	}
	if err != nil {
		x.badProperties = append(x.badProperties, PropertyProblem{Property: listed.Name, Reason: reasons(err)})
		return
	}
	ps.byName[p.info.Name], ps.byName[p.info.Go] = p, p
	ps.infos = append(ps.infos, p.info)
}

func (x *exporter) newProperty(listed Property) (*property, error) {
	p := &property{info: PropertyInfo{Name: SnakeCase(listed.Name), Go: listed.Name, Doc: listed.Doc, ReadOnly: listed.ReadOnly}}
	if len(listed.Name) == 0 || len(listed.Name) > MaxMethodLen {
		return nil, fmt.Errorf("a name has 1 to %d bytes", MaxMethodLen)
	}
	var err error
	if listed.Get != nil {
		if p.get, err = newAccessor(listed.Get, x.t, false); err != nil {
			return nil, fmt.Errorf("Get: %w", err)
		}
		p.t = p.get.value
		p.info.ReadOnly = p.info.ReadOnly || listed.Set == nil
	} else if err := x.findField(p, listed.Name); err != nil {
		return nil, err
	}
	if listed.Set != nil {
		p.set, err = newAccessor(listed.Set, x.t, true)
		switch {
		case err != nil:
			return nil, fmt.Errorf("Set: %w", err)
		case listed.ReadOnly:
			return nil, errors.New("it is read-only and has a Set")
		case p.set.value != p.t:
			return nil, fmt.Errorf("its type is %s, and Set takes %s", goName(p.t), goName(p.set.value))
		}
	}
	if p.out, err = x.space.shapeOf(p.t, outward); err == nil && !p.info.ReadOnly {
		p.in, err = x.space.shapeOf(p.t, inward)
	}
	if err != nil {
		return nil, err
	}
	p.info.Type = p.out.info()
	return p, nil
}

// findField finds the field of the name.
func (x *exporter) findField(p *property, name string) error {
	t := x.t
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("%s has no fields; one that is computed needs a Get", goName(x.t))
	}
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if f.Name != name && SnakeCase(f.Name) != p.info.Name {
			if f.IsExported() {
				names = append(names, SnakeCase(f.Name))
			}
			continue
		}
		found, ok := t.FieldByName(f.Name)
		switch {
		case !ok:
			return errors.New("several embedded structs have such a field")
		case !found.IsExported():
			return errors.New("the field is not exported")
		case x.t.Kind() != reflect.Pointer:
			return fmt.Errorf("fields are those of a pointer to it; export &%s{…}", t.Name())
		}
		p.info.Go, p.field, p.t = found.Name, found.Index, found.Type
		return nil
	}
	return fmt.Errorf("there is no such field%s one that is computed needs a Get", strings.Replace(didYouMean(p.info.Name, names)+";", "?;", "?", 1))
}

// properties makes the plans of the methods by which the properties are reached.
func (x *exporter) properties(opts ExportOptions) (*properties, []*plan) {
	if len(opts.Properties) == 0 {
		return nil, nil
	}
	ps := &properties{object: x.name, byName: make(map[string]*property), guard: opts.Guard}
	if ps.guard == nil && !x.t.Implements(reflect.TypeFor[sync.Locker]()) {
		ps.guard = new(sync.RWMutex)
	}
	for _, listed := range opts.Properties {
		x.property(ps, listed)
	}
	slices.SortFunc(ps.infos, func(a, b PropertyInfo) int { return strings.Compare(a.Name, b.Name) })
	get := func(obj reflect.Value) any {
		return func(ctx context.Context, name string) (any, error) { return ps.read(ctx, obj, name) }
	}
	set := func(obj reflect.Value) any {
		return func(ctx context.Context, name string, value any) error { return ps.write(ctx, obj, name, value) }
	}
	list := func() []PropertyInfo { return ps.infos }
	plans := []*plan{
		x.reserved(GetMethod, get, "name"), x.reserved(SetMethod, set, "name", "value"),
		mustPlan(newPlan(x.space, x.name, PropertiesMethod, reflect.ValueOf(list))).named(PropertiesMethod),
	}
	plans[0].idempotent, plans[2].idempotent = true, true
	return ps, plans
}

// reserved makes the plan of one of our own methods, a function that bind makes
// of the object.
func (x *exporter) reserved(name string, bind func(reflect.Value) any, params ...string) *plan {
	if x.instances == nil {
		return mustPlan(newPlan(x.space, x.name, name, reflect.ValueOf(bind(x.v)))).named(name, params...)
	}
	return mustPlan(newInstancePlan(x.space, x.name, name, reflect.TypeOf(bind(reflect.Value{})), x.instances,
		func(v reflect.Value) reflect.Value { return reflect.ValueOf(bind(v)) })).named(name, params...)
}

// mustPlan returns the plan of a function of ours, whose types are known.
func mustPlan(p *plan, err error) *plan {
	if err != nil {
		panic(err)
	}
	return p
}

// named gives p its name on the wire, and those of its parameters.
func (p *plan) named(name string, params ...string) *plan {
	p.name, p.info.Name = name, name
	for i := range params {
		p.info.Params[i].Name = params[i]
	}
	return p
}

// addProperties makes the properties callable.
func (obj *object) addProperties(ps *properties, plans []*plan) {
	if ps == nil {
		return
	}
	obj.info.Properties = ps.infos
	obj.info.Digest = digest(obj.info.Methods, ps.infos)
	for _, p := range plans {
		obj.methods[p.name] = p
	}
	obj.plans = append(obj.plans, plans...)
}
