package source

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"farcall.dev/internal/gen"
	"farcall.dev/rmi"
)

// reservedPrefix begins the wire names that are kept for Farcall itself.
const reservedPrefix = "farcall_"

// remote is a method that callers may call.
type remote struct {
	fn   *types.Func
	word word
	// at is where the method is in l.pkg, or the type that has it from elsewhere.
	at token.Pos
}

// iface reads the type called name. It reports whether that is one that clients
// can be written for; what is wrong with its methods is noted.
func (l *loader) iface(name string) (gen.Interface, bool) {
	obj, ok := l.pkg.Types.Scope().Lookup(name).(*types.TypeName)
	if !ok {
		l.problems = append(l.problems, fmt.Errorf("%s has no type %s%s", l.opts.Dir, name, l.nearby(name)))
		return gen.Interface{}, false
	}
	fail := func(format string, args ...any) (gen.Interface, bool) {
		l.problem(obj.Pos(), "type %s: %s", name, fmt.Sprintf(format, args...))
		return gen.Interface{}, false
	}
	named, ok := types.Unalias(obj.Type()).(*types.Named)
	switch {
	case !ok:
		return fail("only types with methods can be called from afar")
	case named.TypeParams().Len() > 0 && named.TypeArgs().Len() == 0:
		return fail("it has type parameters; declare a type with arguments for them, such as: type Orders interface{ %s[Order] }", name)
	case !l.same && !obj.Exported():
		return fail("it is not exported, and the client is in another package")
	}
	i := gen.Interface{Name: strings.ToUpper(name[:1]) + name[1:], Type: l.text(named), Checked: true, Doc: l.words.of(obj).doc}
	methods, isInterface := l.methods(obj, named)
	if !isInterface {
		i.Type = "*" + i.Type
	}
	if len(methods) == 0 {
		return fail("it has no exported methods that callers may call")
	}
	wires := map[string]string{}
	i.Implements = isInterface
	for _, r := range methods {
		wire := rmi.SnakeCase(r.fn.Name())
		if other, taken := wires[wire]; taken {
			l.problem(r.at, "%s.%s: its name on the wire, %s, is that of %s too; rename one", name, r.fn.Name(), wire, other)
		}
		if strings.HasPrefix(wire, reservedPrefix) {
			l.problem(r.at, "%s.%s: names that begin with %q are reserved", name, r.fn.Name(), reservedPrefix)
		}
		wires[wire] = r.fn.Name()
		m, same := l.method(name, r)
		i.Methods = append(i.Methods, m)
		i.Implements = i.Implements && same
	}
	if isInterface && named.Underlying().(*types.Interface).NumMethods() != len(methods) {
		i.Implements = false
	}
	return i, true
}

// nearby lists the types that there are instead of name.
func (l *loader) nearby(name string) string {
	var names []string
	for _, n := range l.pkg.Types.Scope().Names() {
		obj, ok := l.pkg.Types.Scope().Lookup(n).(*types.TypeName)
		if ok && !l.generated(obj) {
			names = append(names, n)
			if strings.EqualFold(n, name) {
				return fmt.Sprintf("; did you mean %s?", n)
			}
		}
	}
	if len(names) == 0 || len(names) > 12 {
		return ""
	}
	return "; it has " + strings.Join(names, ", ")
}

// methods returns the methods of a type that callers may call, sorted by name,
// and whether it is an interface.
func (l *loader) methods(obj types.Object, named *types.Named) (methods []remote, isInterface bool) {
	set := types.NewMethodSet(types.NewPointer(named))
	if _, isInterface = named.Underlying().(*types.Interface); isInterface {
		set = types.NewMethodSet(named)
	}
	for sel := range set.Methods() {
		fn := sel.Obj().(*types.Func)
		if !fn.Exported() || ownersMethod(fn) {
			continue
		}
		r := remote{fn: fn, word: l.words.of(fn), at: fn.Pos()}
		if fn.Pkg() != l.pkg.Types {
			r.at = obj.Pos()
		}
		for _, wrong := range r.word.wrong {
			l.problem(wrong.at, "%s", wrong.text)
		}
		if r.word.skip {
			continue
		}
		if !isInterface && len(sel.Index()) > 1 && fn.Pkg() != nil && fn.Pkg().Path() == "sync" {
			l.problem(obj.Pos(), "%s.%s: it comes from an embedded type of package sync, which callers could then lock; give that field a name", obj.Name(), fn.Name())
			continue
		}
		methods = append(methods, r)
	}
	slices.SortFunc(methods, func(a, b remote) int { return strings.Compare(a.fn.Name(), b.fn.Name()) })
	return methods, isInterface
}

// ownersMethod reports whether a method is its owner's, not its callers'.
func ownersMethod(fn *types.Func) bool {
	switch fn.Name() {
	case "Close":
		return true
	case "RMIDocs":
		return has(fn, "func() farcall.dev/rmi.Docs")
	case "Unreferenced":
		return has(fn, "func()")
	}
	return false
}

// has reports whether fn has the signature.
func has(fn *types.Func, signature string) bool {
	sig := fn.Signature()
	plain := types.NewSignatureType(nil, nil, nil, sig.Params(), sig.Results(), sig.Variadic())
	return types.TypeString(plain, (*types.Package).Path) == signature
}

// method reads one method. same says that the client's has the same signature.
func (l *loader) method(owner string, r remote) (m gen.Method, same bool) {
	name := owner + "." + r.fn.Name()
	sig := r.fn.Signature()
	m = gen.Method{Go: r.fn.Name(), Wire: rmi.SnakeCase(r.fn.Name()), Doc: r.word.doc, Variadic: sig.Variadic(),
		Idempotent: r.word.idempotent, Way: r.word.way}
	params, results := slices.Collect(sig.Params().Variables()), slices.Collect(sig.Results().Variables())

	same = len(params) > 0 && isContext(params[0].Type())
	if same {
		params = params[1:]
	}
	for n, p := range params {
		t := p.Type()
		if m.Variadic && n == len(params)-1 {
			t = t.(*types.Slice).Elem()
		}
		if !l.mentionable(name, p, t) {
			continue
		}
		if isContext(t) {
			l.problem(l.at(r, p), "%s: parameter %d: context.Context can only be the first parameter", name, n+1)
			continue
		}
		how, err := whole(t, inward)
		if err == nil && how == asStream && m.Variadic && n == len(params)-1 {
			err = fmt.Errorf("%s is a sequence, and one cannot be variadic", short(t))
		}
		if err != nil {
			l.problem(l.at(r, p), "%s: parameter %d: %v", name, n+1, err)
			continue
		}
		param := gen.Param{Name: p.Name(), Type: l.text(t), Typed: how != asValue}
		if param.Name == "_" {
			param.Name = ""
		}
		m.Params = append(m.Params, param)
	}
	fails := len(results) > 0 && isError(results[len(results)-1].Type())
	if fails {
		results = results[:len(results)-1]
	}
	same = same && fails
	for n, v := range results {
		if !l.mentionable(name, v, v.Type()) {
			continue
		}
		if isError(v.Type()) {
			l.problem(l.at(r, v), "%s: result %d: error can only be the last result", name, n+1)
			continue
		}
		how, err := whole(v.Type(), outward)
		if err != nil {
			l.problem(l.at(r, v), "%s: result %d: %v", name, n+1, err)
			continue
		}
		text := l.text(v.Type())
		if how == asStream {
			s, _ := streamOf(v.Type())
			text, same = l.result(s), same && s.fallible
		}
		m.Results = append(m.Results, text)
	}
	if m.Way != "" && len(results) > 0 {
		l.problem(r.at, "%s: it is one-way, and its caller cannot get what it returns", name)
	}
	return m, same
}

// at is where v is, if that is in the package; else where r is.
func (l *loader) at(r remote, v *types.Var) token.Pos {
	if v.Pkg() == l.pkg.Types && v.Pos().IsValid() {
		return v.Pos()
	}
	return r.at
}

// mentionable reports whether the generated file can name t, and notes why not.
func (l *loader) mentionable(name string, v *types.Var, t types.Type) bool {
	ok := true
	seen := map[types.Type]bool{}
	var visit func(t types.Type)
	visit = func(t types.Type) {
		if seen[t] || !ok {
			return
		}
		seen[t] = true
		switch t := t.(type) {
		case *types.Basic:
			if t.Kind() == types.Invalid {
				ok = false
				l.problem(v.Pos(), "%s: the type of %s is not known%s", name, quotedOr(v.Name(), "a result"), l.firstError(v.Pos()))
			}
		case *types.Alias:
			visit(types.Unalias(t))
		case *types.Named:
			if !l.same && !t.Obj().Exported() && t.Obj().Pkg() != nil {
				ok = false
				l.problem(v.Pos(), "%s: %s is not exported, and the client is in another package", name, t.Obj().Name())
			}
			for a := range t.TypeArgs().Types() {
				visit(a)
			}
		case *types.Pointer:
			visit(t.Elem())
		case *types.Slice:
			visit(t.Elem())
		case *types.Array:
			visit(t.Elem())
		case *types.Chan:
			visit(t.Elem())
		case *types.Map:
			visit(t.Key())
			visit(t.Elem())
		}
	}
	visit(t)
	return ok
}

// firstError returns what the compiler says on the line of pos.
func (l *loader) firstError(pos token.Pos) string {
	p := l.pkg.Fset.Position(pos)
	for _, e := range l.pkg.TypeErrors {
		if at := l.pkg.Fset.Position(e.Pos); at.Filename == p.Filename && at.Line == p.Line {
			return ": " + e.Msg
		}
	}
	return ""
}

func quotedOr(name, other string) string {
	if name == "" {
		return other
	}
	return name
}

// isContext reports whether t is context.Context.
func isContext(t types.Type) bool { return isNamed(t, "context", "Context") }

// isError reports whether t is error.
func isError(t types.Type) bool { return types.Identical(t, types.Universe.Lookup("error").Type()) }

// isNamed reports whether t is the type called name of the package with path.
func isNamed(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && n.Obj().Name() == name
}
