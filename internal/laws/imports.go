package laws

import (
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// Arrow says which packages of the module the package in a folder may import.
// A pattern is a folder ("." is the root), a folder and everything below it
// ("internal/..."), or "..." for any.
type Arrow struct {
	// Imports are patterns that the package may import.
	Imports []string
	// Tests are patterns that its tests may import besides.
	Tests []string
}

// CheckArrows holds each import of one of the module's packages by another
// against arrows, which is keyed by patterns of the importing folder: the
// longest pattern that matches counts. A package without an arrow breaks the
// law, and so does an arrow without a package, unless optional lists it.
// forTests are patterns that every test may import.
func (t *Tree) CheckArrows(arrows map[string]Arrow, forTests, optional []string) []Violation {
	var vs []Violation
	used := map[string]bool{}
	for _, pkg := range t.Packages {
		key, ok := longest(arrows, pkg.Dir)
		if !ok {
			vs = append(vs, Violation{Path: pkg.Dir, Text: "no arrow says what this package may import"})
			continue
		}
		used[key] = true
		arrow := arrows[key]
		for _, imp := range t.imports(pkg) {
			dir, ours := t.dir(imp.path)
			if !ours || dir == pkg.Dir || matchAny(arrow.Imports, dir) {
				continue
			}
			if imp.test && (matchAny(arrow.Tests, dir) || matchAny(forTests, dir)) {
				continue
			}
			vs = append(vs, t.at(imp.pos, "%s may not import %s", pkg.Dir, dir))
		}
	}
	for key := range arrows {
		if !used[key] && !slices.Contains(optional, key) {
			vs = append(vs, Violation{Path: key, Text: "an arrow starts here, and no package is there"})
		}
	}
	return sorted(vs)
}

// Dependency says who alone may import the packages of another module.
type Dependency struct {
	// Importers are patterns, as in [Arrow].
	Importers []string
	// Tests are patterns of packages whose tests may import it besides.
	Tests []string
}

// CheckDependencies holds each import of a package of another module against
// deps, which is keyed by module path. modules are the paths of the modules
// that go.mod requires. A module that is imported but not in deps breaks the
// law, and so does an entry of deps that nobody imports, unless optional lists
// it. Nested modules have dependencies of their own and are not looked at.
func (t *Tree) CheckDependencies(deps map[string]Dependency, modules, optional []string) []Violation {
	var vs []Violation
	used := map[string]bool{}
	for _, pkg := range t.Packages {
		if pkg.Nested {
			continue
		}
		for _, imp := range t.imports(pkg) {
			if _, ours := t.dir(imp.path); ours || isStd(imp.path) {
				continue
			}
			module := moduleOf(imp.path, modules)
			dep, ok := deps[module]
			switch {
			case module == "":
				vs = append(vs, t.at(imp.pos, "go.mod requires no module for %s", imp.path))
			case !ok:
				vs = append(vs, t.at(imp.pos, "no law says who may import %s", module))
			case matchAny(dep.Importers, pkg.Dir), imp.test && matchAny(dep.Tests, pkg.Dir):
			default:
				vs = append(vs, t.at(imp.pos, "%s may not import %s", pkg.Dir, module))
			}
			used[module] = true
		}
	}
	for module := range deps {
		if !used[module] && !slices.Contains(optional, module) {
			vs = append(vs, Violation{Path: module, Text: "a law names this module, and nobody imports it"})
		}
	}
	return sorted(vs)
}

// Direct returns the modules among modules that the tree's main module
// imports, sorted.
func (t *Tree) Direct(modules []string) []string {
	var direct []string
	for _, pkg := range t.Packages {
		if pkg.Nested {
			continue
		}
		for _, imp := range t.imports(pkg) {
			if m := moduleOf(imp.path, modules); m != "" && !slices.Contains(direct, m) {
				direct = append(direct, m)
			}
		}
	}
	slices.Sort(direct)
	return direct
}

// imported is one import declaration.
type imported struct {
	path string
	pos  token.Pos
	test bool
}

// imports returns the import declarations of pkg.
func (t *Tree) imports(pkg *Package) []imported {
	var is []imported
	for _, f := range pkg.Files {
		for _, spec := range f.AST.Imports {
			if p, err := strconv.Unquote(spec.Path.Value); err == nil {
				is = append(is, imported{path: p, pos: spec.Pos(), test: f.Test})
			}
		}
	}
	return is
}

// dir returns the folder of the package importPath, and whether it is in the
// tree's module at all.
func (t *Tree) dir(importPath string) (string, bool) {
	if importPath == t.Module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.Module+"/")
}

// isStd reports whether importPath is in the standard library: those have no
// dot in their first element.
func isStd(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// moduleOf returns the longest of modules that contains importPath, or "".
func moduleOf(importPath string, modules []string) string {
	best := ""
	for _, m := range modules {
		if (importPath == m || strings.HasPrefix(importPath, m+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}

// match reports whether pattern covers dir.
func match(pattern, dir string) bool {
	if pattern == "..." {
		return true
	}
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == parent || strings.HasPrefix(dir, parent+"/")
	}
	return pattern == dir
}

// matchAny reports whether one of patterns covers dir.
func matchAny(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, dir) })
}

// longest returns the longest key of m that covers dir; a folder's own name
// counts for more than a pattern.
func longest[V any](m map[string]V, dir string) (string, bool) {
	if _, ok := m[dir]; ok {
		return dir, true
	}
	best, found := "", false
	for key := range m {
		if match(key, dir) && (!found || len(key) > len(best)) {
			best, found = key, true
		}
	}
	return best, found
}

// sorted sorts vs by place.
func sorted(vs []Violation) []Violation {
	slices.SortFunc(vs, func(a, b Violation) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Text, b.Text)
	})
	return vs
}
