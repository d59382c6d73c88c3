package gen

import (
	"fmt"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// Stub returns a Go file with the interface that info describes, the structs that
// it speaks of, and a client. name names the package; empty means one after what
// the object is called.
//
// The types are those that travel: a type of the object's own that is a string on
// the wire is a string here.
func Stub(info rmi.InterfaceInfo, name string) File {
	words := strings.FieldsFunc(string(info.Name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	last := "object"
	if len(words) > 0 {
		last = words[len(words)-1]
	}
	if name == "" {
		name = strings.ToLower(last)
		if !token.IsIdentifier(name) {
			name = "object"
		}
	}
	s := stub{imports: NewImports(""), structs: map[string]string{}}
	i := Interface{Name: exported(last), Declare: true, Checked: info.Kind != naming.KindFunction, Implements: true, Doc: info.Doc}
	i.Type = s.reserve(i.Name)
	i.Name = i.Type
	for _, name := range Declared(i.Name, false) {
		s.reserve(name)
	}
	if i.Doc == "" {
		i.Doc = fmt.Sprintf("%s is what can be called as %q.", i.Type, string(info.Name))
	}
	var names []string
	for _, m := range info.Methods {
		method := s.method(m)
		for slices.Contains(names, method.Go) {
			method.Go += "2"
		}
		names = append(names, method.Go)
		if rmi.SnakeCase(method.Go) != method.Wire {
			i.Checked = false // its own names on the wire are not those of a Go type
		}
		i.Methods = append(i.Methods, method)
	}
	return File{Package: name, Imports: s.imports, Types: s.types, Interfaces: []Interface{i},
		Doc: fmt.Sprintf("Package %s calls %q.", name, string(info.Name))}
}

// stub makes Go of descriptions.
type stub struct {
	imports *Imports
	// taken are the names that are declared, and structs the name of each type
	// by what it consists of.
	taken   []string
	structs map[string]string
	types   []string
	// open are the types being written that may be inside themselves.
	open []openType
}

// openType is a type that is being written.
type openType struct {
	goName, name string
	used         bool
}

// method makes the client's method.
func (s *stub) method(m rmi.MethodInfo) Method {
	out := Method{Go: m.Go, Wire: m.Name, Doc: m.Doc, Variadic: m.Variadic, Idempotent: m.Idempotent}
	switch {
	case m.Name == "":
		out.Go = "Call"
	case !token.IsExported(m.Go) || !token.IsIdentifier(m.Go):
		out.Go = exported(m.Name)
	}
	for n, p := range m.Params {
		out.Params = append(out.Params, Param{Name: unexported(p.Name), Type: s.whole(p.Type, fmt.Sprintf("%sArg%d", out.Go, n+1), false)})
	}
	for n, r := range m.Results {
		out.Results = append(out.Results, s.whole(r, fmt.Sprintf("%sResult%d", out.Go, n+1), true))
	}
	return out
}

// whole returns the Go type of a whole parameter or result, which may be a
// sequence. Who reads one learns that it broke off.
func (s *stub) whole(t rmi.TypeInfo, hint string, read bool) string {
	if t.Kind != rmi.KindStream || t.Elem == nil {
		return s.typ(t, hint)
	}
	seq, elem := s.imports.Name("iter", "iter"), s.typ(*t.Elem, hint+"Item")
	switch {
	case t.Key == nil && read:
		return fmt.Sprintf("%s.Seq2[%s, error]", seq, elem)
	case t.Key == nil:
		return fmt.Sprintf("%s.Seq[%s]", seq, elem)
	}
	key := s.typ(*t.Key, hint+"Key")
	if read {
		return fmt.Sprintf("%s.Seq2[%s[%s, %s], error]", seq, Dot(s.imports.Name(rmiPath, "rmi"), "Pair"), key, elem)
	}
	return fmt.Sprintf("%s.Seq2[%s, %s]", seq, key, elem)
}

// typ returns the Go type of t, which is declared if need be; hint names one that
// has no name of its own.
func (s *stub) typ(t rmi.TypeInfo, hint string) string {
	text := s.bare(t, hint)
	switch {
	case !t.Nullable || strings.HasPrefix(text, "*") || text == "any":
		return text
	case (t.Kind == rmi.KindList || t.Kind == rmi.KindBytes) && t.Length == 0, t.Kind == rmi.KindMap:
		return text
	}
	return "*" + text
}

// bare is typ for a value that is not null.
func (s *stub) bare(t rmi.TypeInfo, hint string) string {
	if t.Recursive {
		for n, o := range slices.Backward(s.open) {
			if o.goName == strings.TrimLeft(t.Go, "*") {
				s.open[n].used = true
				return o.name
			}
		}
		return "any"
	}
	switch t.Kind {
	case rmi.KindBool, rmi.KindString:
		return string(t.Kind)
	case rmi.KindInt:
		if t.Bits == 0 {
			return "*" + Dot(s.imports.Name("math/big", "big"), "Int")
		}
		return number(t)
	case rmi.KindFloat:
		return fmt.Sprintf("float%d", max(t.Bits, 32))
	case rmi.KindBytes:
		return sized(t.Length, "byte")
	case rmi.KindTime:
		return Dot(s.imports.Name("time", "time"), "Time")
	case rmi.KindDuration:
		return Dot(s.imports.Name("time", "time"), "Duration")
	case rmi.KindList, rmi.KindMap, rmi.KindStruct:
		return s.composite(t, hint)
	}
	return "any"
}

// number is the Go type of an integer.
func number(t rmi.TypeInfo) string {
	if t.Unsigned {
		return fmt.Sprintf("uint%d", t.Bits)
	}
	return fmt.Sprintf("int%d", t.Bits)
}

// sized is the Go type of a list, whose length is 0 for any.
func sized(length int, elem string) string {
	if length > 0 {
		return fmt.Sprintf("[%d]%s", length, elem)
	}
	return "[]" + elem
}

// composite returns the Go type of a list, map or struct. Structs get a name, and
// so do lists and maps that are inside themselves.
func (s *stub) composite(t rmi.TypeInfo, hint string) string {
	goName := strings.TrimLeft(t.Go, "*")
	name := localName(goName)
	if name == "" {
		name = hint
	}
	id := fmt.Sprintf("%s %#v", goName, identity(t))
	if have, ok := s.structs[id]; ok {
		return have
	}
	before := len(s.taken)
	name = s.reserve(name)
	s.open = append(s.open, openType{goName: goName, name: name})
	var decl string
	switch {
	case t.Kind == rmi.KindStruct:
		decl = s.fields(t, name)
	case t.Kind == rmi.KindList && t.Elem != nil:
		decl = sized(t.Length, s.typ(*t.Elem, hint+"Item"))
	case t.Kind == rmi.KindMap && t.Elem != nil && t.Key != nil:
		decl = fmt.Sprintf("map[%s]%s", s.typ(*t.Key, hint+"Key"), s.typ(*t.Elem, hint+"Value"))
	default:
		decl = "any"
	}
	used := s.open[len(s.open)-1].used
	s.open = s.open[:len(s.open)-1]
	if t.Kind != rmi.KindStruct && !used {
		s.taken = slices.Delete(s.taken, before, before+1)
		return decl
	}
	s.structs[id] = name
	doc := fmt.Sprintf("%s has no name at the object.", name)
	if localName(goName) != "" {
		doc = fmt.Sprintf("%s is what the object calls %s.", name, goName)
	}
	var b strings.Builder
	comment(&b, "", doc)
	s.types = append(s.types, b.String()+"type "+name+" "+decl)
	return name
}

// identity is t without what does not decide its Go type.
func identity(t rmi.TypeInfo) string {
	var b strings.Builder
	var visit func(t rmi.TypeInfo)
	visit = func(t rmi.TypeInfo) {
		fmt.Fprintf(&b, "%s %s %t %d %t %d %t %t{", t.Kind, t.Go, t.Nullable, t.Bits, t.Unsigned, t.Length, t.Positional, t.Recursive)
		for _, part := range []*rmi.TypeInfo{t.Key, t.Elem} {
			if part != nil {
				visit(*part)
			}
		}
		for _, f := range t.Fields {
			fmt.Fprintf(&b, "%q", f.Name)
			visit(f.Type)
		}
		b.WriteString("}")
	}
	t.Go, t.Nullable = strings.TrimLeft(t.Go, "*"), false
	visit(t)
	return b.String()
}

// fields returns the struct type of t.
func (s *stub) fields(t rmi.TypeInfo, owner string) string {
	var b strings.Builder
	b.WriteString("struct {\n")
	if t.Positional {
		b.WriteString("\t_ struct{} `cbor:\",toarray\"`\n")
	}
	var names []string
	for _, f := range t.Fields {
		name := exported(f.Name)
		for slices.Contains(names, name) {
			name += "2"
		}
		names = append(names, name)
		tag := fmt.Sprintf("json:%q", f.Name)
		switch {
		case f.Name == "-":
			tag = `json:"-,"`
		case strings.Trim(f.Name, "0123456789") == "" || strings.HasPrefix(f.Name, "-") && strings.Trim(f.Name[1:], "0123456789") == "":
			tag = fmt.Sprintf("cbor:%q", f.Name+",keyasint")
		}
		fmt.Fprintf(&b, "\t%s %s", name, s.typ(f.Type, owner+name))
		switch {
		case t.Positional || name == f.Name:
		case strconv.CanBackquote(tag):
			fmt.Fprintf(&b, " `%s`", tag)
		default:
			fmt.Fprintf(&b, " %q", tag)
		}
		b.WriteString("\n")
	}
	b.WriteString("}")
	return b.String()
}

// reserve returns name, or one like it that is still free.
func (s *stub) reserve(name string) string {
	free := name
	for n := 2; slices.Contains(s.taken, free); n++ {
		free = fmt.Sprintf("%s%d", name, n)
	}
	s.taken = append(s.taken, free)
	return free
}

// localName makes a name of the name of a type elsewhere: "shop.Page[int]"
// becomes PageInt. It is empty for a type without one.
func localName(goName string) string {
	if goName == "" || strings.ContainsAny(goName, "{} ") || strings.HasPrefix(goName, "[") || strings.HasPrefix(goName, "map[") {
		return ""
	}
	head, args, _ := strings.Cut(goName, "[")
	name := exported(head[strings.LastIndexByte(head, '.')+1:])
	for arg := range strings.SplitSeq(strings.Trim(args, "[]"), ",") {
		if arg != "" {
			name += exported(arg[strings.LastIndexAny(arg, "./")+1:])
		}
	}
	return name
}

// exported makes an exported Go name of a name on the wire: "get_fortune" becomes
// GetFortune.
func exported(name string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		b.WriteString(upperFirst(word))
	}
	out := b.String()
	if !token.IsExported(out) || !token.IsIdentifier(out) {
		return "X" + out // letters without case, a digit first, or nothing
	}
	return out
}

// unexported makes the name of a parameter.
func unexported(name string) string {
	if name == "" || token.IsIdentifier(name) {
		return name
	}
	return lowerFirst(exported(name))
}
