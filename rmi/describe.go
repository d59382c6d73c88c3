package rmi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"farcall.dev/naming"
)

// InterfaceInfo describes what can be called under one name.
type InterfaceInfo struct {
	// Name is what it is called.
	Name naming.Name `json:"name"`
	// Kind is object or function.
	Kind naming.Kind `json:"kind"`
	// Doc says what it is; empty when the object supplies nothing.
	Doc string `json:"doc,omitempty"`
	// Go is the Go type that serves it.
	Go string `json:"go"`
	// Digest is a digest of the methods' names, parameter and result types, and of
	// the properties, in hexadecimal: equal digests mean equal interfaces. Names of parameters,
	// docs and Go types do not enter it.
	Digest string `json:"digest"`
	// Scope says how many instances of the object there are; empty for one that
	// was exported itself.
	Scope Scope `json:"scope,omitempty"`
	// Methods are sorted by name. A function has one, whose name is empty.
	Methods []MethodInfo `json:"methods"`
	// Properties are sorted by name; see [Property].
	Properties []PropertyInfo `json:"properties,omitempty"`
}

// MethodInfo describes one method.
type MethodInfo struct {
	// Name is the name on the wire, such as "get_fortune"; empty for a function.
	Name string `json:"name"`
	// Go is the method's name in Go, which callers may use too.
	Go string `json:"go,omitempty"`
	// Doc says what it does; empty when the object supplies nothing.
	Doc string `json:"doc,omitempty"`
	// Params are the parameters, without the context.
	Params []ParamInfo `json:"params,omitempty"`
	// Variadic says that the last parameter may be given any number of times.
	Variadic bool `json:"variadic,omitempty"`
	// Results are the results, without the error. None arrive as null, several
	// as a list.
	Results []TypeInfo `json:"results,omitempty"`
	// Fails says that the method can return an error of its own.
	Fails bool `json:"fails,omitempty"`
	// Idempotent says that the owner declares that calling the method twice
	// does no harm, so that callers may try again.
	Idempotent bool `json:"idempotent,omitempty"`
}

// ParamInfo describes a parameter. Of a variadic one, it is the type of each
// argument.
type ParamInfo struct {
	// Name is empty when the object does not supply it.
	Name string `json:"name,omitempty"`
	// Type is its type.
	Type TypeInfo `json:"type"`
}

// Method returns the method that a caller means by name, be it the wire name
// or the Go name.
func (i InterfaceInfo) Method(name string) (MethodInfo, bool) {
	for _, m := range i.Methods {
		if m.Name == name || m.Go == name && name != "" {
			return m, true
		}
	}
	return MethodInfo{}, false
}

// Property returns the property that a caller means by name, be it the wire name
// or the Go name.
func (i InterfaceInfo) Property(name string) (PropertyInfo, bool) {
	for _, p := range i.Properties {
		if p.Name == SnakeCase(name) || p.Go == name && name != "" {
			return p, true
		}
	}
	return PropertyInfo{}, false
}

// Signature writes the method for people:
// "get_fortune(name: string) -> string". Parameters without a name are written
// as their type, a variadic one ends in "...".
func (m MethodInfo) Signature() string {
	var b strings.Builder
	b.WriteString(m.Name)
	b.WriteByte('(')
	for i, p := range m.Params {
		if i > 0 {
			b.WriteString(", ")
		}
		if p.Name != "" {
			b.WriteString(p.Name)
			b.WriteString(": ")
		}
		p.Type.write(&b)
		if m.Variadic && i == len(m.Params)-1 {
			b.WriteString("...")
		}
	}
	b.WriteByte(')')
	switch len(m.Results) {
	case 0:
	case 1:
		b.WriteString(" -> ")
		m.Results[0].write(&b)
	default:
		b.WriteString(" -> (")
		for i, r := range m.Results {
			if i > 0 {
				b.WriteString(", ")
			}
			r.write(&b)
		}
		b.WriteByte(')')
	}
	return b.String()
}

// Docs is what only its author knows of an object: names and words for people,
// shown by describe. Methods are named as in Go or as on the wire.
type Docs struct {
	// Doc says what the object is.
	Doc string
	// Methods says what each method does.
	Methods map[string]string
	// Params names each method's parameters, in order, without the context.
	Params map[string][]string
	// Idempotent names the methods that may be called twice without harm.
	Idempotent []string
}

// Describer is implemented by objects that bring their own docs. Its method is
// not exported to callers.
type Describer interface {
	// RMIDocs returns the docs; it is called once, when the object is exported.
	RMIDocs() Docs
}

// digest returns the digest of methods and properties, which are sorted.
func digest(methods []MethodInfo, properties []PropertyInfo) string {
	var b strings.Builder
	for _, m := range methods {
		fmt.Fprintf(&b, "%s(", m.Name)
		for _, p := range m.Params {
			p.Type.writeExact(&b)
		}
		fmt.Fprintf(&b, ")%t(", m.Variadic)
		for _, r := range m.Results {
			r.writeExact(&b)
		}
		b.WriteString(")\n")
	}
	for _, p := range properties {
		fmt.Fprintf(&b, "property %s %t ", p.Name, p.ReadOnly)
		p.Type.writeExact(&b)
		b.WriteString("\n")
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}

// writeExact writes everything of t that decides what travels.
func (t TypeInfo) writeExact(b *strings.Builder) {
	fmt.Fprintf(b, "%s/%d/%t/%t/%d/%t/%t{", t.Kind, t.Bits, t.Unsigned, t.Nullable, t.Length, t.Positional, t.Recursive)
	if t.Key != nil {
		t.Key.writeExact(b)
	}
	if t.Elem != nil {
		t.Elem.writeExact(b)
	}
	for _, f := range t.Fields {
		fmt.Fprintf(b, "%q:", f.Name)
		f.Type.writeExact(b)
	}
	b.WriteByte('}')
}

// docsFor gathers the docs of an object: its own, overridden by those that
// were given with it.
func docsFor(v any, opts ExportOptions) Docs {
	var d Docs
	if own, ok := v.(Describer); ok {
		d = own.RMIDocs()
	}
	if opts.Docs.Doc != "" {
		d.Doc = opts.Docs.Doc
	}
	d.Methods = merged(d.Methods, opts.Docs.Methods)
	d.Params = merged(d.Params, opts.Docs.Params)
	d.Idempotent = slices.Concat(d.Idempotent, opts.Docs.Idempotent)
	return d
}

// merged returns the union of two maps with their keys as wire names; over
// wins.
func merged[V any](under, over map[string]V) map[string]V {
	out := make(map[string]V, len(under)+len(over))
	for _, m := range []map[string]V{under, over} {
		for k, v := range m {
			out[SnakeCase(k)] = v
		}
	}
	return out
}

// unknownIn returns the names in d that methods lacks, as d spells them.
func (d Docs) unknownIn(known func(string) bool) []string {
	var out []string
	for name := range d.Methods {
		if !known(name) {
			out = append(out, name)
		}
	}
	for name := range d.Params {
		if !known(name) {
			out = append(out, name)
		}
	}
	for _, name := range d.Idempotent {
		if !known(SnakeCase(name)) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
