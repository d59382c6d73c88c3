package laws

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Violation is one place that breaks a law.
type Violation struct {
	// Path is the file or folder, relative to the root of the tree.
	Path string
	// Line is counted from 1; 0 means the whole of Path.
	Line int
	// Text says what is wrong and what to do.
	Text string
}

// String formats v as compilers do, so that editors can jump to it.
func (v Violation) String() string {
	if v.Line == 0 {
		return v.Path + ": " + v.Text
	}
	return v.Path + ":" + strconv.Itoa(v.Line) + ": " + v.Text
}

// Tree is a source tree, parsed. It is read-only once loaded.
type Tree struct {
	// Module is the path of the module at the root.
	Module string
	// Packages are all packages of the tree, nested modules' included, sorted
	// by folder.
	Packages []*Package
	// Texts are all files that hold text, Go files included, sorted by path.
	Texts []Text

	fset *token.FileSet
}

// Package is the Go files of one folder, tests included.
type Package struct {
	// Dir is the folder, relative to the root; "." is the root itself.
	Dir string
	// Nested says that the folder belongs to a module of its own, so that its
	// dependencies are not the main module's.
	Nested bool
	// Files are sorted by path.
	Files []*File
}

// File is one Go file.
type File struct {
	// Path is relative to the root.
	Path string
	// Test says that the name ends in _test.go.
	Test bool
	// AST is the parsed file, comments included.
	AST *ast.File
}

// Text is one file as it stands.
type Text struct {
	// Path is relative to the root.
	Path string
	// Data is the content.
	Data []byte
}

// Lines counts the lines of t.
func (t Text) Lines() int {
	n := bytes.Count(t.Data, []byte{'\n'})
	if len(t.Data) > 0 && t.Data[len(t.Data)-1] != '\n' {
		n++
	}
	return n
}

// maxText is the size, in bytes, above which a file is not held against the
// laws for texts: such a file is data.
const maxText = 1 << 20

// Load reads the tree at the root of fsys, whose module path is module. Folders
// that begin with a dot, and the folders named in skip (relative to the root),
// are left out. Go files under a testdata folder are texts, not packages. Load
// fails when a Go file does not parse.
func Load(fsys fs.FS, module string, skip ...string) (*Tree, error) {
	t := &Tree{Module: module, fset: token.NewFileSet()}
	packages := map[string]*Package{}
	nested := map[string]bool{}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && (slices.Contains(skip, p) || strings.HasPrefix(d.Name(), ".") && d.Name() != ".ci") {
				return fs.SkipDir
			}
			if p != "." {
				_, err := fs.Stat(fsys, path.Join(p, "go.mod"))
				nested[p] = err == nil || nested[path.Dir(p)]
			}
			return nil
		}
		if !d.Type().IsRegular() || d.Name() == ".git" { // the file that a linked work tree has
			return nil
		}
		data, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		if len(data) <= maxText && !bytes.ContainsRune(data, 0) {
			t.Texts = append(t.Texts, Text{Path: p, Data: data})
		}
		if !strings.HasSuffix(p, ".go") || inTestdata(p) {
			return nil
		}
		file, err := parser.ParseFile(t.fset, p, data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", p, err)
		}
		dir := path.Dir(p)
		pkg := packages[dir]
		if pkg == nil {
			pkg = &Package{Dir: dir, Nested: nested[dir]}
			packages[dir] = pkg
			t.Packages = append(t.Packages, pkg)
		}
		pkg.Files = append(pkg.Files, &File{Path: p, Test: strings.HasSuffix(p, "_test.go"), AST: file})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load the source tree: %w", err)
	}
	slices.SortFunc(t.Packages, func(a, b *Package) int { return strings.Compare(a.Dir, b.Dir) })
	return t, nil
}

// inTestdata reports whether p lies under a folder that the go command ignores.
func inTestdata(p string) bool {
	return slices.Contains(strings.Split(path.Dir(p), "/"), "testdata")
}

// at returns a violation at pos.
func (t *Tree) at(pos token.Pos, format string, args ...any) Violation {
	p := t.fset.Position(pos)
	return Violation{Path: p.Filename, Line: p.Line, Text: fmt.Sprintf(format, args...)}
}
