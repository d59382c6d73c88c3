package source

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
)

// directive begins the comments that are for this program.
const directive = "//farcall:"

// word is what the source says of a type or a method beside its signature.
type word struct {
	// doc is its comment, without directives.
	doc string
	// idempotent, way and skip are what the directives say.
	idempotent, skip bool
	way              string
	// wrong are the directives that were not understood.
	wrong []misread
}

// misread is a directive that was not understood.
type misread struct {
	at   token.Pos
	text string
}

// words finds the comments of declarations, in whichever package they are: the
// compiler's output has only their places.
type words struct {
	fset  *token.FileSet
	files map[string]map[place]*ast.CommentGroup
}

// place identifies a declaration in a file.
type place struct {
	line int
	name string
}

func newWords(fset *token.FileSet) *words {
	return &words{fset: fset, files: map[string]map[place]*ast.CommentGroup{}}
}

// of returns what is said of obj; nothing when its source is not there.
func (w *words) of(obj types.Object) word {
	p := w.fset.Position(obj.Pos())
	if p.Filename == "" {
		return word{}
	}
	groups, ok := w.files[p.Filename]
	if !ok {
		groups = w.read(p.Filename)
		w.files[p.Filename] = groups
	}
	group := groups[place{p.Line, obj.Name()}]
	if group == nil {
		return word{}
	}
	said := word{doc: strings.TrimSpace(group.Text())}
	for _, c := range group.List {
		if text, ok := strings.CutPrefix(c.Text, directive); ok {
			said.obey(strings.TrimSpace(text), obj.Pos())
		}
	}
	return said
}

// obey takes in one directive.
func (w *word) obey(text string, at token.Pos) {
	switch strings.Join(strings.Fields(text), " ") {
	case "idempotent":
		w.idempotent = true
	case "skip":
		w.skip = true
	case "oneway":
		w.way = "OneWay"
	case "oneway taken":
		w.way = "OneWayTaken"
	default:
		w.wrong = append(w.wrong, misread{at, fmt.Sprintf("there is no directive %s%s; there are idempotent, oneway, oneway taken and skip", directive, text)})
	}
}

// read returns the comments of the declarations in a file.
func (w *words) read(name string) map[place]*ast.CommentGroup {
	groups := map[place]*ast.CommentGroup{}
	file, err := parser.ParseFile(w.fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
	if file == nil || err != nil && len(file.Decls) == 0 {
		return groups
	}
	put := func(id *ast.Ident, gs ...*ast.CommentGroup) {
		for _, g := range gs {
			if g != nil {
				groups[place{w.fset.Position(id.Pos()).Line, id.Name}] = g
				return
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			put(n.Name, n.Doc)
			return false
		case *ast.GenDecl:
			for _, spec := range n.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok {
					doc := t.Doc
					if doc == nil && !n.Lparen.IsValid() {
						doc = n.Doc
					}
					put(t.Name, doc, t.Comment)
				}
			}
		case *ast.InterfaceType:
			for _, f := range n.Methods.List {
				for _, id := range f.Names {
					put(id, f.Doc, f.Comment)
				}
			}
		}
		return true
	})
	return groups
}
