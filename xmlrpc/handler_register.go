package xmlrpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A RegisterError says why something cannot be registered: every reason at once.
// Nothing of it is registered then.
type RegisterError struct {
	// Name is the name it was to have, and Type its Go type.
	Name, Type string
	// Problems are the reasons.
	Problems []RegisterProblem
}

// A RegisterProblem is one reason why something cannot be registered.
type RegisterProblem struct {
	// Method is the method that it is about; empty if it is the whole.
	Method string
	// Reason says what is wrong and what helps.
	Reason string
}

// Error lists every problem, one to a line if there are several.
func (e *RegisterError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "xmlrpc: register %q (%s)", e.Name, e.Type)
	for _, p := range e.Problems {
		b.WriteString("\n\t")
		if len(e.Problems) == 1 {
			b.Reset()
			fmt.Fprintf(&b, "xmlrpc: register %q (%s): ", e.Name, e.Type)
		}
		if p.Method != "" {
			b.WriteString(p.Method + ": ")
		}
		b.WriteString(p.Reason)
	}
	return b.String()
}

// ObjectOptions say how an object is registered. The zero ObjectOptions register
// all its methods.
type ObjectOptions struct {
	// Methods, if there are any, are those to register, by their Go names or by
	// those on the wire. The others need not be fit to be called then.
	Methods []string
	// Help says what methods do, named likewise, in plain text.
	Help map[string]string
}

// Func registers the function fn as the method name.
//
// It may take a context.Context first, which is that of the request; then values
// of any types that can be read, of which the last may be variadic; and it may
// return values of any types that can be written, and an error last. Several
// values are an array for the caller, and none are true, or nil in a [Dialect]
// that has it.
//
// help says what the function does, in plain text; its lines are joined.
//
// Errors: a [*RegisterError].
func (h *Handler) Func(name string, fn any, help ...string) error {
	e := &RegisterError{Name: name, Type: fmt.Sprintf("%T", fn)}
	v := reflect.ValueOf(fn)
	switch {
	case !v.IsValid() || v.Kind() == reflect.Func && v.IsNil():
		e.add("", "the function is nil")
	case v.Kind() != reflect.Func:
		e.add("", "it is no function; use Object")
	}
	if len(e.Problems) > 0 {
		return e
	}
	m := newMethod(e, name, "", v, h.opts.Encode.Dialect)
	m.help = strings.Join(help, "\n")
	return h.register(e, []*method{m})
}

// Object registers the exported methods of v, as those of the object name: under
// names such as "greeting.get_fortune" for the method GetFortune, and
// "greeting.GetFortune", which is not listed, as well. With an empty name there is
// no dot. Only what is registered can be called: names are looked up as they are,
// and never lead into fields. What methods may take and return is told at Func. A
// method Close is its owner's concern, and registered only if Methods has it.
//
// Errors: a [*RegisterError].
func (h *Handler) Object(name string, v any, o ObjectOptions) error {
	e := &RegisterError{Name: name, Type: fmt.Sprintf("%T", v)}
	rv := reflect.ValueOf(v)
	switch {
	case !rv.IsValid():
		e.add("", "the object is nil")
	case rv.Kind() == reflect.Pointer && rv.IsNil():
		e.add("", "the pointer is nil")
	case rv.Kind() == reflect.Func && rv.NumMethod() == 0:
		e.add("", "it is a function; use Func")
	}
	if len(e.Problems) > 0 {
		return e
	}
	prefix := name
	if prefix != "" {
		prefix += "."
	}
	t := rv.Type()
	var methods []*method
	for _, i := range chooseMethods(e, t, o.Methods) {
		goName := t.Method(i).Name
		m := newMethod(e, prefix+snakeCase(goName), goName, rv.Method(i), h.opts.Encode.Dialect)
		m.alias = prefix + goName
		for _, key := range []string{goName, snakeCase(goName)} {
			if help := o.Help[key]; help != "" {
				m.help = help
			}
		}
		methods = append(methods, m)
	}
	for _, key := range slices.Sorted(maps.Keys(o.Help)) {
		if findMethod(t, key) < 0 {
			e.add(key, "help is given for it, and there is no such method")
		}
	}
	return h.register(e, methods)
}

// add notes a problem.
func (e *RegisterError) add(method, reason string) {
	e.Problems = append(e.Problems, RegisterProblem{method, reason})
}

// chooseMethods returns the indexes of the methods of t that list names, or of all
// of them that are to be registered.
func chooseMethods(e *RegisterError, t reflect.Type, list []string) []int {
	var chosen []int
	for _, want := range list {
		switch i := findMethod(t, want); {
		case i < 0:
			e.add(want, "there is no such method")
		case !slices.Contains(chosen, i):
			chosen = append(chosen, i)
		}
	}
	if len(list) > 0 {
		return chosen
	}
	for i := range t.NumMethod() {
		if t.Method(i).Name != "Close" {
			chosen = append(chosen, i)
		}
	}
	if len(chosen) == 0 {
		reason := "it has no exported methods"
		if t.Kind() != reflect.Pointer && reflect.PointerTo(t).NumMethod() > 0 {
			reason = "its methods are those of a pointer to it; register a pointer"
		}
		e.add("", reason)
	}
	return chosen
}

// findMethod returns the index of the method of t that has the name, in Go or on
// the wire, or -1.
func findMethod(t reflect.Type, name string) int {
	for i := range t.NumMethod() {
		if n := t.Method(i).Name; n == name || snakeCase(n) == name {
			return i
		}
	}
	return -1
}

// table is what a Handler has registered. It is never changed, but replaced.
type table struct {
	methods map[string]*method // by every name that it can be called by
}

// names are the names of the methods that are listed, sorted.
func (t *table) names() []string {
	var names []string
	for name, m := range t.methods {
		if name == m.name {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// method is a function that is made ready to be called.
type method struct {
	name, alias string // alias is accepted and not listed
	help        string
	signatures  [][]string

	fn         reflect.Value
	in         []reflect.Type // without the context
	hasContext bool
	variadic   bool
	fails      bool // the last result is an error

	// system is in place of fn, for methods of the Handler's own. batch marks
	// system.multicall, which has neither.
	system func(ctx context.Context, call *Call) (any, error)
	batch  bool
}

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// newMethod makes fn ready, or notes in e what is wrong with it.
func newMethod(e *RegisterError, name, goName string, fn reflect.Value, d Dialect) *method {
	t := fn.Type()
	m := &method{name: name, fn: fn, variadic: t.IsVariadic()}
	if err := ValidMethod(name); err != nil {
		e.add(goName, trimPrefix(err))
	} else if strings.HasPrefix(name, "system.") {
		e.add(goName, `names that begin with "system." are the server's own`)
	}
	first := 0
	if t.NumIn() > 0 && t.In(0) == contextType {
		m.hasContext, first = true, 1
	}
	for i := first; i < t.NumIn(); i++ {
		m.in = append(m.in, t.In(i))
		if err := checkType(t.In(i), true); err != nil {
			e.add(goName, fmt.Sprintf("parameter %d: %v", i-first+1, err))
		}
	}
	n := t.NumOut()
	if n > 0 && t.Out(n-1) == errorType {
		m.fails = true
		n--
	}
	for i := range n {
		if err := checkType(t.Out(i), false); err != nil {
			e.add(goName, fmt.Sprintf("result %d: %v", i+1, err))
		}
	}
	m.sign(t, n, d)
	return m
}

// sign makes the signatures of a function of type t with n results.
func (m *method) sign(t reflect.Type, n int, d Dialect) {
	result := KindArray.String()
	switch {
	case n == 1:
		result = TypeName(t.Out(0))
	case n == 0 && d == Standard:
		result = KindBoolean.String()
	case n == 0:
		result = KindNil.String()
	}
	one := []string{result}
	for i, in := range m.in {
		if m.variadic && i == len(m.in)-1 {
			m.signatures = append(m.signatures, slices.Clone(one))
			in = in.Elem()
		}
		one = append(one, TypeName(in))
	}
	m.signatures = append(m.signatures, one)
}

// checkType reports why values of the type cannot be read, if they are to be read,
// or written otherwise.
func checkType(t reflect.Type, read bool) error {
	if t == contextType {
		return errors.New("a context.Context can only be the first parameter")
	}
	if t == errorType && !read {
		return errors.New("an error can only be the last result")
	}
	return checkInfo(typeInfoOf(t), read, map[*typeInfo]bool{})
}

// checkInfo is checkType for the type of info; seen has those that are being
// checked already.
func checkInfo(info *typeInfo, read bool, seen map[*typeInfo]bool) error {
	if seen[info] {
		return nil
	}
	seen[info] = true
	if read && (info.ptrUnmarshaler || info.ptrTextUnmarshaler) ||
		!read && (info.marshaler || info.ptrMarshaler || info.textMarshaler || info.ptrTextMarshaler) {
		return nil
	}
	switch {
	case info.op == opNone:
		return fmt.Errorf("XML-RPC has nothing for %s", info.t)
	case info.op == opInterface && read:
		return fmt.Errorf("a value cannot be read into the interface %s, only into any", info.t)
	}
	if info.elem != nil {
		if err := checkInfo(info.elem, read, seen); err != nil {
			return err
		}
	}
	for _, f := range info.fields {
		if err := checkInfo(f.info, read, seen); err != nil {
			return fmt.Errorf("field %s of %s: %w", f.name, info.t, err)
		}
	}
	return nil
}

// register adds the methods, unless e has problems or their names are taken.
func (h *Handler) register(e *RegisterError, methods []*method) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := &table{methods: maps.Clone(h.table.Load().methods)}
	for _, m := range methods {
		for _, name := range []string{m.name, m.alias} {
			if name == "" {
				continue
			}
			if other := next.methods[name]; other != nil && other != m {
				e.add(strings.TrimPrefix(m.alias, e.Name+"."), fmt.Sprintf("there is a method %q already", name))
				continue
			}
			next.methods[name] = m
		}
	}
	if len(e.Problems) > 0 {
		return e
	}
	h.table.Store(next)
	return nil
}

// snakeCase is the name on the wire of a Go name: its words in lower case, joined
// by underscores. A run of capitals is one word, with the s of its plural: GetURLs
// is get_urls. A digit belongs to the word before it.
func snakeCase(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if isUpper(c) {
			if i > 0 && name[i-1] != '_' && (!isUpper(name[i-1]) || wordAfter(name[i+1:])) {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteByte(c)
	}
	return b.String()
}

// wordAfter reports whether a capital that other capitals precede begins a word,
// because rest follows it: lower-case letters other than the s of a plural.
func wordAfter(rest string) bool {
	if rest == "" || !isLower(rest[0]) {
		return false
	}
	return rest[0] != 's' || len(rest) > 1 && isLower(rest[1])
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
