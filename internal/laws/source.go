package laws

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// CheckPackageComments wants one comment on each package, in doc.go or in the
// file named like the package, that begins "Package NAME", or "Command NAME" for
// a program. Folders that hold nothing but tests need none.
func (t *Tree) CheckPackageComments() []Violation {
	var vs []Violation
	for _, pkg := range t.Packages {
		var name string
		var commented *File
		for _, f := range pkg.Files {
			if f.Test {
				continue
			}
			name = f.AST.Name.Name
			if f.AST.Doc == nil {
				continue
			}
			if commented != nil {
				vs = append(vs, t.at(f.AST.Doc.Pos(), "package %s has a second package comment; the first is in %s", name, commented.Path))
				continue
			}
			commented = f
		}
		if name == "" {
			continue
		}
		want := "Package " + name + " "
		homes := []string{"doc.go", name + ".go"}
		if name == "main" {
			want = "Command " + path.Base(pkg.Dir) + " "
		}
		switch {
		case commented == nil:
			vs = append(vs, Violation{Path: pkg.Dir, Text: "package " + name + " has no package comment"})
		case !strings.HasPrefix(commented.AST.Doc.Text(), want):
			vs = append(vs, t.at(commented.AST.Doc.Pos(), "the package comment should begin %q", want))
		case !slices.Contains(homes, path.Base(commented.Path)):
			vs = append(vs, t.at(commented.AST.Doc.Pos(), "the package comment belongs in %s", strings.Join(homes, " or ")))
		}
	}
	return sorted(vs)
}

// CheckExportedComments wants a comment on each exported type, function,
// method of an exported type, constant and variable outside tests. One comment
// may stand over a group of constants or variables. The comment on a type or
// function begins with its name, or an article and its name.
func (t *Tree) CheckExportedComments() []Violation {
	var vs []Violation
	for _, pkg := range t.Packages {
		for _, f := range pkg.Files {
			if f.Test || f.AST.Name.Name == "main" {
				continue
			}
			for _, decl := range f.AST.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if d.Name.IsExported() && exportedReceiver(d) {
						vs = append(vs, t.checkComment(d.Name, d.Doc)...)
					}
				case *ast.GenDecl:
					vs = append(vs, t.checkGroup(d)...)
				}
			}
		}
	}
	return sorted(vs)
}

// checkGroup checks the exported names of one declaration.
func (t *Tree) checkGroup(d *ast.GenDecl) []Violation {
	var vs []Violation
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() {
				doc := s.Doc
				if doc == nil && !d.Lparen.IsValid() {
					doc = d.Doc
				}
				vs = append(vs, t.checkComment(s.Name, doc)...)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
					vs = append(vs, t.at(name.Pos(), "%s has no comment", name.Name))
				}
			}
		}
	}
	return vs
}

// checkComment checks the comment on a type, function or method.
func (t *Tree) checkComment(name *ast.Ident, doc *ast.CommentGroup) []Violation {
	if doc == nil {
		return []Violation{t.at(name.Pos(), "%s has no comment", name.Name)}
	}
	words := strings.Fields(doc.Text())
	if len(words) > 0 && (words[0] == "A" || words[0] == "An" || words[0] == "The") {
		words = words[1:]
	}
	// Names that belong together may share one comment: "Reset and Close end".
	if len(words) == 0 || !strings.HasPrefix(strings.Trim(words[0], "*,"), name.Name) && !slices.Contains(words[:min(len(words), 6)], name.Name) {
		return []Violation{t.at(doc.Pos(), "the comment should begin with %q", name.Name)}
	}
	return nil
}

// exportedReceiver reports whether d is a function, or a method of an exported
// type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	exported := true
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			exported = id.IsExported()
			return false
		}
		_, index := n.(*ast.IndexExpr)
		_, indexes := n.(*ast.IndexListExpr)
		_, star := n.(*ast.StarExpr)
		return exported && (index || indexes || star)
	})
	return exported
}

// CheckFileSizes wants at most max lines in a Go file and at most maxTest in a
// test.
func (t *Tree) CheckFileSizes(max, maxTest int) []Violation {
	var vs []Violation
	for _, text := range t.Texts {
		if !strings.HasSuffix(text.Path, ".go") || inTestdata(text.Path) {
			continue
		}
		limit := max
		if strings.HasSuffix(text.Path, "_test.go") {
			limit = maxTest
		}
		if n := text.Lines(); n > limit {
			vs = append(vs, Violation{Path: text.Path, Text: strconv.Itoa(n) + " lines, and the most allowed is " + strconv.Itoa(limit) + ": give a concept of it a file of its own"})
		}
	}
	return sorted(vs)
}

// CheckNoInit wants no function named init: what a program needs it
// constructs, so that two of anything fit into one process.
func (t *Tree) CheckNoInit() []Violation {
	var vs []Violation
	t.eachFunc(func(f *File, d *ast.FuncDecl) {
		if d.Recv == nil && d.Name.Name == "init" {
			vs = append(vs, t.at(d.Pos(), "init runs behind the caller's back: use a constructor"))
		}
	})
	return sorted(vs)
}

// CheckNoSleepInTests wants no time.Sleep in a test, nor in the packages named
// in support, which exist for tests: they wait for a condition.
func (t *Tree) CheckNoSleepInTests(support []string) []Violation {
	var vs []Violation
	for _, pkg := range t.Packages {
		for _, f := range pkg.Files {
			if !f.Test && !matchAny(support, pkg.Dir) {
				continue
			}
			local := importName(f.AST, "time")
			ast.Inspect(f.AST, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" && isIdent(sel.X, local) {
					vs = append(vs, t.at(n.Pos(), "a test that sleeps is slow or wrong: wait for the condition"))
				}
				return true
			})
		}
	}
	return sorted(vs)
}

// CheckLeakTests wants goleak in the tests of each package that starts
// goroutines and has tests. Programs are tested from outside and are left out.
func (t *Tree) CheckLeakTests() []Violation {
	var vs []Violation
	for _, pkg := range t.Packages {
		var start token.Pos
		tests, leak := false, false
		for _, f := range pkg.Files {
			tests = tests || f.Test
			leak = leak || f.Test && importName(f.AST, "go.uber.org/goleak") != ""
			if f.Test || f.AST.Name.Name == "main" {
				continue
			}
			ast.Inspect(f.AST, func(n ast.Node) bool {
				if !start.IsValid() && startsGoroutine(n) {
					start = n.Pos()
				}
				return true
			})
		}
		if start.IsValid() && tests && !leak {
			vs = append(vs, t.at(start, "%s starts goroutines, and no test of it looks for leaks: add goleak to TestMain", pkg.Dir))
		}
	}
	return sorted(vs)
}

// startsGoroutine reports whether n is a go statement, or a call of a
// method named Go, as sync.WaitGroup has.
func startsGoroutine(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		return true
	case *ast.CallExpr:
		sel, ok := n.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Go" && len(n.Args) == 1
	}
	return false
}

// eachFunc calls visit for each function and method of the tree.
func (t *Tree) eachFunc(visit func(*File, *ast.FuncDecl)) {
	for _, pkg := range t.Packages {
		for _, f := range pkg.Files {
			for _, decl := range f.AST.Decls {
				if d, ok := decl.(*ast.FuncDecl); ok {
					visit(f, d)
				}
			}
		}
	}
}

// importName returns what file calls the package importPath, or "" when it
// does not import it.
func importName(file *ast.File, importPath string) string {
	for _, spec := range file.Imports {
		if spec.Path.Value != strconv.Quote(importPath) {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// isIdent reports whether e is the identifier name, which is not empty.
func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && name != "" && id.Name == name
}
