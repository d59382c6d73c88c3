package gen

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Imports are the packages that a file uses, each under a name of its own.
type Imports struct {
	// self is the path of the file's own package, whose names need no prefix.
	self string
	// names holds the name of each path.
	names map[string]string
}

// NewImports returns the imports of a file in the package with path self; taken
// are names that the package declares, which no import may have, nor one that
// generated functions give their parameters.
func NewImports(self string, taken ...string) *Imports {
	i := &Imports{self: self, names: map[string]string{}}
	for n, name := range append([]string{"c", "ctx", "err", "args", "v", "m", "name", "impl", "opts", "h", "ref"}, taken...) {
		i.names[fmt.Sprintf(" %d", n)] = name // no path begins with a space
	}
	return i
}

// Name returns what the package with that path is called in the file, which then
// imports it; empty for the file's own. name is what the package calls itself.
func (i *Imports) Name(importPath, name string) string {
	if importPath == i.self {
		return ""
	}
	if have, ok := i.names[importPath]; ok {
		return have
	}
	chosen := name
	for n := 2; slices.Contains(slices.Collect(maps.Values(i.names)), chosen); n++ {
		chosen = fmt.Sprintf("%s%d", name, n)
	}
	i.names[importPath] = chosen
	return chosen
}

// Names returns every name that an import has.
func (i *Imports) Names() []string {
	var names []string
	for p, name := range i.names {
		if !strings.HasPrefix(p, " ") {
			names = append(names, name)
		}
	}
	return names
}

// write writes the import declaration: the standard library first.
func (i *Imports) write(b *strings.Builder) {
	var std, others []string
	for p, name := range i.names {
		if strings.HasPrefix(p, " ") {
			continue
		}
		line := fmt.Sprintf("%q", p)
		if path.Base(p) != name && p != facadePath {
			line = name + " " + line // also where the package's name is just not in its path
		}
		if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") {
			others = append(others, line)
		} else {
			std = append(std, line)
		}
	}
	byPath := func(a, b string) int {
		return strings.Compare(a[strings.Index(a, `"`):], b[strings.Index(b, `"`):])
	}
	slices.SortFunc(std, byPath)
	slices.SortFunc(others, byPath)
	b.WriteString("import (\n")
	for _, line := range std {
		b.WriteString("\t" + line + "\n")
	}
	if len(std) > 0 && len(others) > 0 {
		b.WriteString("\n")
	}
	for _, line := range others {
		b.WriteString("\t" + line + "\n")
	}
	b.WriteString(")\n\n")
}
