package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"farcall.dev/internal/gen"
)

// Options say what to read and for whom.
type Options struct {
	// Dir is the folder of the package that declares the types.
	Dir string
	// Types are the names of the types, in the order in which clients for them
	// are written.
	Types []string
	// Out is the path of the file that will be written. A package of another
	// folder imports the types.
	Out string
	// Package is the name of the package that Out is in. Empty means that of the
	// types, or of Out's folder where that is another one.
	Package string
	// Server says that functions which register objects are written, too.
	Server bool
	// Base is the folder from which the places of problems are told; empty means
	// the current one.
	Base string
}

// Problem is something in the source that keeps a client from being written.
type Problem struct {
	// Pos is where it is.
	Pos token.Position
	// Text says what it is.
	Text string
}

// Error begins with the file and line, as compilers have it.
func (p *Problem) Error() string { return fmt.Sprintf("%v: %s", p.Pos, p.Text) }

// Load returns the file to write. Its error joins a [*Problem] for each thing
// that is wrong with the types. Other errors in the package do no harm: code that
// uses the client may be there before the client is.
func Load(ctx context.Context, opts Options) (gen.File, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return gen.File{}, err
	}
	out, err := filepath.Abs(opts.Out)
	if err != nil {
		return gen.File{}, err
	}
	const need = packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
		packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedModule
	pkgs, err := packages.Load(&packages.Config{Context: ctx, Mode: need, Dir: dir}, ".")
	if err != nil {
		return gen.File{}, fmt.Errorf("load the package in %s: %w", opts.Dir, err)
	}
	if len(pkgs) != 1 || pkgs[0].Types == nil || len(pkgs[0].Syntax) == 0 {
		for _, p := range pkgs {
			for _, e := range p.Errors {
				return gen.File{}, fmt.Errorf("load the package in %s: %w", opts.Dir, e)
			}
		}
		return gen.File{}, fmt.Errorf("there is no Go package in %s", opts.Dir)
	}
	l := loader{opts: opts, pkg: pkgs[0], out: out, same: filepath.Dir(out) == dir, words: newWords(pkgs[0].Fset)}
	return l.file()
}

// loader makes a file of one package.
type loader struct {
	opts Options
	pkg  *packages.Package
	// out is the file to be written, and same says that it is in pkg.
	out   string
	same  bool
	words *words

	imports  *gen.Imports
	problems []error
}

// file makes the file.
func (l *loader) file() (gen.File, error) {
	f := gen.File{Package: l.opts.Package, Server: l.opts.Server}
	self, taken := "", []string(nil)
	if l.same {
		self = l.pkg.PkgPath
		for _, name := range l.pkg.Types.Scope().Names() {
			if !l.generated(l.pkg.Types.Scope().Lookup(name)) {
				taken = append(taken, name)
			}
		}
	}
	if f.Package == "" {
		f.Package = l.pkg.Name
		if !l.same {
			f.Package = strings.ReplaceAll(filepath.Base(filepath.Dir(l.out)), "-", "_")
		}
	}
	switch {
	case l.same && f.Package != l.pkg.Name:
		return gen.File{}, fmt.Errorf("%s is in package %s, and the client cannot be in a package %s of the same folder", l.opts.Dir, l.pkg.Name, f.Package)
	case !l.same && l.pkg.Name == "main":
		return gen.File{}, fmt.Errorf("%s is a program, whose types no other package can import; write the client into the same folder", l.opts.Dir)
	case !token.IsIdentifier(f.Package):
		return gen.File{}, fmt.Errorf("%q cannot be the name of a package; say one with -package", f.Package)
	}
	l.imports = gen.NewImports(self, taken...)
	f.Imports = l.imports
	for _, name := range l.opts.Types {
		i, ok := l.iface(name)
		if !ok {
			continue
		}
		for _, made := range gen.Declared(i.Name, l.opts.Server) {
			if slices.Contains(taken, made) {
				l.problem(l.pkg.Types.Scope().Lookup(made).Pos(), "%s is declared here, and is what a part of the client for %s is to be called", made, name)
			}
		}
		f.Interfaces = append(f.Interfaces, i)
	}
	slices.SortStableFunc(l.problems, byPlace)
	return f, errors.Join(l.problems...)
}

// generated reports whether obj is declared in the file that will be written.
func (l *loader) generated(obj types.Object) bool {
	return l.pkg.Fset.Position(obj.Pos()).Filename == l.out
}

// problem notes what is wrong at pos.
func (l *loader) problem(pos token.Pos, format string, args ...any) {
	l.problems = append(l.problems, &Problem{l.position(pos), fmt.Sprintf(format, args...)})
}

// position is where pos is, as seen from the base.
func (l *loader) position(pos token.Pos) token.Position {
	p := l.pkg.Fset.Position(pos)
	if base, err := filepath.Abs(l.opts.Base); err == nil {
		if rel, err := filepath.Rel(base, p.Filename); err == nil && !strings.HasPrefix(rel, "..") {
			p.Filename = rel
		}
	}
	return p
}

// byPlace orders problems as the source is read; those without a place come
// first.
func byPlace(a, b error) int {
	p, _ := errors.AsType[*Problem](a)
	q, _ := errors.AsType[*Problem](b)
	if p == nil || q == nil {
		return cmp.Compare(btoi(p != nil), btoi(q != nil))
	}
	return cmp.Or(strings.Compare(p.Pos.Filename, q.Pos.Filename), cmp.Compare(p.Pos.Line, q.Pos.Line), cmp.Compare(p.Pos.Column, q.Pos.Column))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// text writes a type as the file has it, and imports what that needs.
func (l *loader) text(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string { return l.imports.Name(p.Path(), p.Name()) })
}
