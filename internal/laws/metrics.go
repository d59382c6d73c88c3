package laws

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Metric is a metric whose name is written in the source.
type Metric struct {
	// Name is the full name.
	Name string
	// Kind is Counter, Gauge, Histogram or Summary, as far as the source tells;
	// empty when it does not.
	Kind string

	pos token.Pos
}

// metricName is what every metric's name looks like.
var metricName = regexp.MustCompile(`^[a-z]+(_[a-z0-9]+){2,}$`)

// baseUnits are the units that a histogram or summary may be in.
var baseUnits = []string{"seconds", "bytes", "ratio", "calls", "frames", "streams", "sessions"}

// Metrics returns the metrics that the tree's main module declares outside
// tests: literals of the Opts types of Prometheus's client library, and every
// other string that is a whole metric name beginning with prefix.
func (t *Tree) Metrics(prefix string) []Metric {
	var ms []Metric
	for _, pkg := range t.Packages {
		if pkg.Nested {
			continue
		}
		consts := stringConsts(pkg)
		for _, f := range pkg.Files {
			if f.Test {
				continue
			}
			ast.Inspect(f.AST, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CompositeLit:
					if m, ok := metricOf(n, consts); ok {
						ms = append(ms, m)
						return false
					}
				case *ast.CallExpr:
					if m, ok := builtName(n, consts); ok {
						ms = append(ms, m)
						return false
					}
				case *ast.BasicLit:
					if s, ok := stringOf(n, nil); ok && strings.HasPrefix(s, prefix) && metricName.MatchString(s) {
						ms = append(ms, Metric{Name: s, pos: n.Pos()})
					}
				}
				return true
			})
		}
	}
	return ms
}

// CheckMetrics holds the name of each metric against
// PREFIX_<package>_<noun>_<unit>[_total]: the package is one of packages; a
// counter ends in _total and nothing else does; a histogram or summary ends in
// a base unit; nothing ends in a suffix that the exposition format adds itself.
func (t *Tree) CheckMetrics(prefix string, packages []string) []Violation {
	var vs []Violation
	for _, m := range t.Metrics(prefix) {
		if why := m.wrong(prefix, packages); why != "" {
			vs = append(vs, t.at(m.pos, "metric %q: %s", m.Name, why))
		}
	}
	return sorted(vs)
}

// wrong returns what is wrong with m's name, or "".
func (m Metric) wrong(prefix string, packages []string) string {
	rest, ok := strings.CutPrefix(m.Name, prefix)
	if !ok {
		return "it does not begin with " + prefix
	}
	if !metricName.MatchString(m.Name) {
		return "it is not lower-case words joined by underscores"
	}
	pkg, _, _ := strings.Cut(rest, "_")
	if !slices.Contains(packages, pkg) {
		return "its second word is not one of " + strings.Join(packages, ", ")
	}
	last := m.Name[strings.LastIndexByte(m.Name, '_')+1:]
	switch {
	case slices.Contains([]string{"count", "sum", "bucket", "milliseconds", "ms", "kilobytes", "percent"}, last):
		return "it ends in " + last + ", which is no base unit or is added by the exposition format"
	case m.Kind == "Counter" && last != "total":
		return "a counter ends in _total"
	case m.Kind != "Counter" && m.Kind != "" && last == "total":
		return "only a counter ends in _total"
	case (m.Kind == "Histogram" || m.Kind == "Summary") && !slices.Contains(baseUnits, last):
		return "a " + strings.ToLower(m.Kind) + " ends in a base unit: " + strings.Join(baseUnits, ", ")
	}
	return ""
}

// metricOf returns the metric that lit declares, when lit is one of the Opts
// types with a name that can be read off the source.
func metricOf(lit *ast.CompositeLit, consts map[string]string) (Metric, bool) {
	sel, ok := lit.Type.(*ast.SelectorExpr)
	if !ok {
		return Metric{}, false
	}
	kind, ok := strings.CutSuffix(sel.Sel.Name, "Opts")
	if !ok || !slices.Contains([]string{"Counter", "Gauge", "Histogram", "Summary"}, kind) {
		return Metric{}, false
	}
	fields := map[string]string{}
	for _, elt := range lit.Elts {
		kv, ok := elt.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := kv.Key.(*ast.Ident); ok {
			if s, ok := stringOf(kv.Value, consts); ok {
				fields[key.Name] = s
			}
		}
	}
	name := join(fields["Namespace"], fields["Subsystem"], fields["Name"])
	return Metric{Name: name, Kind: kind, pos: lit.Pos()}, fields["Name"] != ""
}

// builtName returns the metric whose name call, a BuildFQName, puts together.
func builtName(call *ast.CallExpr, consts map[string]string) (Metric, bool) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "BuildFQName" {
		return Metric{}, false
	}
	var parts []string
	for _, arg := range call.Args {
		s, ok := stringOf(arg, consts)
		if !ok {
			return Metric{}, false
		}
		parts = append(parts, s)
	}
	return Metric{Name: join(parts...), pos: call.Pos()}, true
}

// join joins the parts that are not empty by underscores.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "_")
}

// stringConsts returns the package-level string constants of pkg.
func stringConsts(pkg *Package) map[string]string {
	consts := map[string]string{}
	for _, f := range pkg.Files {
		for _, decl := range f.AST.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.CONST {
				continue
			}
			for _, spec := range d.Specs {
				s := spec.(*ast.ValueSpec)
				for i, name := range s.Names {
					if i < len(s.Values) {
						if v, ok := stringOf(s.Values[i], consts); ok {
							consts[name.Name] = v
						}
					}
				}
			}
		}
	}
	return consts
}

// stringOf returns the value of e when it is a string literal, one of consts,
// or a sum of such.
func stringOf(e ast.Expr, consts map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.Ident:
		s, ok := consts[e.Name]
		return s, ok
	case *ast.BinaryExpr:
		x, okX := stringOf(e.X, consts)
		y, okY := stringOf(e.Y, consts)
		return x + y, okX && okY && e.Op == token.ADD
	}
	return "", false
}
