package laws

import (
	"strings"
	"testing"
	"testing/fstest"
)

// load makes a tree of files, given as path and content in turn, and loads it.
func load(t *testing.T, files ...string) (*Tree, fstest.MapFS) {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	tree, err := Load(fsys, "example.com/m", "out")
	if err != nil {
		t.Fatal(err)
	}
	return tree, fsys
}

// want fails unless got is, in order, the violations that begin with each of
// prefixes.
func want(t *testing.T, got []Violation, prefixes ...string) {
	t.Helper()
	if len(got) != len(prefixes) {
		t.Fatalf("got %d violations %v, want %d: %q", len(got), got, len(prefixes), prefixes)
	}
	for i, p := range prefixes {
		if !strings.HasPrefix(got[i].String(), p) {
			t.Errorf("violation %d: got %q, want it to begin %q", i, got[i], p)
		}
	}
}

func TestLoadLeavesOutWhatIsNotSource(t *testing.T) {
	tree, _ := load(t,
		"a/a.go", "package a",
		"a/testdata/x/broken.go", "not go at all",
		".git/x.go", "not go either",
		"out/x.go", "nor this",
		".ci/run", "#!/bin/sh",
		"nested/go.mod", "module x",
		"nested/deep/n.go", "package n",
		"bin.dat", "\x00",
	)
	var dirs, texts []string
	for _, p := range tree.Packages {
		d := p.Dir
		if p.Nested {
			d += " nested"
		}
		dirs = append(dirs, d)
	}
	for _, x := range tree.Texts {
		texts = append(texts, x.Path)
	}
	if got, want := strings.Join(dirs, ","), "a,nested/deep nested"; got != want {
		t.Errorf("packages: got %q, want %q", got, want)
	}
	if got, want := strings.Join(texts, ","), ".ci/run,a/a.go,a/testdata/x/broken.go,nested/deep/n.go,nested/go.mod"; got != want {
		t.Errorf("texts: got %q, want %q", got, want)
	}
}

func TestLoadReportsAFileThatDoesNotParse(t *testing.T) {
	_, err := Load(fstest.MapFS{"a/a.go": {Data: []byte("package")}}, "example.com/m")
	if err == nil || !strings.Contains(err.Error(), "a/a.go") {
		t.Fatalf("got %v, want an error that names a/a.go", err)
	}
}

func TestArrows(t *testing.T) {
	tree, _ := load(t,
		"go.go", "package m\nimport _ \"example.com/m/a\"",
		"a/a.go", "package a\nimport (\n_ \"fmt\"\n_ \"example.com/m/b\"\n)",
		"a/a_test.go", "package a\nimport (\n_ \"example.com/m/testkit\"\n_ \"example.com/m/cmd/x\"\n_ \"example.com/m/extra\"\n)",
		"b/b.go", "package b\nimport _ \"example.com/m\"",
		"cmd/x/x.go", "package main\nimport _ \"example.com/m/b\"",
		"extra/e.go", "package extra",
		"lone/l.go", "package lone",
		"testkit/t.go", "package testkit",
	)
	arrows := map[string]Arrow{
		".":       {Imports: []string{"a"}},
		"a":       {Imports: []string{"b"}, Tests: []string{"extra"}},
		"b":       {},
		"cmd/...": {Imports: []string{"..."}},
		"extra":   {},
		"gone":    {},
		"later":   {},
		"testkit": {},
	}
	want(t, tree.CheckArrows(arrows, []string{"testkit"}, []string{"later"}),
		"a/a_test.go:4: a may not import cmd/x",
		"b/b.go:2: b may not import .",
		"gone: an arrow starts here",
		"lone: no arrow says",
	)
}

func TestDependencies(t *testing.T) {
	tree, _ := load(t,
		"a/a.go", "package a\nimport (\n_ \"x.org/mux/sub\"\n_ \"x.org/leak\"\n_ \"net/http\"\n)",
		"b/b.go", "package b\nimport (\n_ \"x.org/mux\"\n_ \"x.org/new\"\n_ \"x.org/none\"\n)",
		"b/b_test.go", "package b\nimport _ \"x.org/leak\"",
		"nested/go.mod", "module n",
		"nested/n.go", "package n\nimport _ \"x.org/whatever\"",
	)
	modules := []string{"x.org/mux", "x.org/leak", "x.org/new", "x.org/unused"}
	deps := map[string]Dependency{
		"x.org/mux":    {Importers: []string{"a"}},
		"x.org/leak":   {Tests: []string{"..."}},
		"x.org/unused": {Importers: []string{"..."}},
	}
	want(t, tree.CheckDependencies(deps, modules, nil),
		"a/a.go:4: a may not import x.org/leak",
		"b/b.go:3: b may not import x.org/mux",
		"b/b.go:4: no law says who may import x.org/new",
		"b/b.go:5: go.mod requires no module for x.org/none",
		"x.org/unused: a law names this module",
	)
	if got, want := strings.Join(tree.Direct(modules), " "), "x.org/leak x.org/mux x.org/new"; got != want {
		t.Errorf("direct modules: got %q, want %q", got, want)
	}
}

func TestPackageComments(t *testing.T) {
	tree, _ := load(t,
		"good/doc.go", "// Package good is fine.\npackage good",
		"named/named.go", "// Package named is fine too.\npackage named",
		"bare/b.go", "package bare",
		"wrong/doc.go", "// This is wrong.\npackage wrong",
		"place/p.go", "// Package place is in the wrong file.\npackage place",
		"twice/doc.go", "// Package twice is here.\npackage twice",
		"twice/t.go", "// Package twice is there.\npackage twice",
		"cmd/tool/main.go", "// Command tool works.\npackage main",
		"only/x_test.go", "package only",
	)
	want(t, tree.CheckPackageComments(),
		"bare: package bare has no package comment",
		"place/p.go:1: the package comment belongs in doc.go",
		"twice/t.go:1: package twice has a second package comment",
		"wrong/doc.go:1: the package comment should begin",
	)
}

func TestExportedComments(t *testing.T) {
	tree, _ := load(t, "a/a.go", `package a

// Good is fine.
type Good struct{}

// A Better is fine too.
type Better[T any] struct{}

type Bad struct{}

// Something else entirely.
func Wrong() {}

func Bare() {}

func (g *Good) Bare() {}

func (b *Better[T]) Bare() {}

type hidden struct{}

func (h hidden) Exported() {}

// Group of constants.
const (
	One = 1
	Two = 2
)

var Loose int

func unexported() {}
`, "a/a_test.go", "package a\nfunc Helper() {}")
	want(t, tree.CheckExportedComments(),
		"a/a.go:9: Bad has no comment",
		"a/a.go:11: the comment should begin",
		"a/a.go:14: Bare has no comment",
		"a/a.go:16: Bare has no comment",
		"a/a.go:18: Bare has no comment",
		"a/a.go:30: Loose has no comment",
	)
}

func TestFileSizes(t *testing.T) {
	tree, _ := load(t,
		"a/long.go", "package a\n\n\n//\n",
		"a/ok.go", "package a\n\n",
		"a/long_test.go", "package a\n\n\n\n//\n",
		"a/ok_test.go", "package a\n\n\n//\n",
		"a/testdata/x.go", "\n\n\n\n\n\n\n",
	)
	want(t, tree.CheckFileSizes(3, 4), "a/long.go: 4 lines", "a/long_test.go: 5 lines")
}

func TestNoInit(t *testing.T) {
	tree, _ := load(t, "a/a.go", "package a\ntype t struct{}\nfunc (t) init() {}\nfunc init() {}\n")
	want(t, tree.CheckNoInit(), "a/a.go:4: init runs")
}

func TestNoSleepInTests(t *testing.T) {
	tree, _ := load(t,
		"a/a.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }",
		"a/a_test.go", "package a\nimport clock \"time\"\nfunc g() { clock.Sleep(1) }",
		"a/b_test.go", "package a\nimport \"example.com/time2\"\nfunc h() { time2.Sleep(1) }",
		"kit/k.go", "package kit\nimport \"time\"\nvar sleep = time.Sleep",
	)
	want(t, tree.CheckNoSleepInTests([]string{"kit"}), "a/a_test.go:3: a test that sleeps", "kit/k.go:3: a test that sleeps")
}

func TestLeakTests(t *testing.T) {
	leak := "package a\nimport \"go.uber.org/goleak\"\nvar _ = goleak.VerifyTestMain"
	tree, _ := load(t,
		"good/a.go", "package a\nfunc f() { go f() }",
		"good/a_test.go", leak,
		"bad/a.go", "package a\nfunc f() {\ngo f() }",
		"bad/a_test.go", "package a",
		"group/a.go", "package a\nimport \"sync\"\nfunc f() { var wg sync.WaitGroup\nwg.Go(f) }",
		"group/a_test.go", "package a",
		"still/a.go", "package a\nfunc f() {}",
		"still/a_test.go", "package a",
		"untested/a.go", "package a\nfunc f() { go f() }",
	)
	want(t, tree.CheckLeakTests(), "bad/a.go:3: bad starts goroutines", "group/a.go:4: group starts goroutines")
}

func TestMetrics(t *testing.T) {
	tree, _ := load(t, "a/a.go", `package a

import "prometheus"

const ns = "app"

var _ = []any{
	prometheus.CounterOpts{Namespace: ns, Subsystem: "rmi", Name: "calls_total"},
	prometheus.CounterOpts{Namespace: ns, Subsystem: "rmi", Name: "calls"},
	prometheus.GaugeOpts{Name: "app_rmi_open_total"},
	prometheus.HistogramOpts{Name: "app_rmi_call_" + "duration_seconds"},
	prometheus.HistogramOpts{Name: "app_rmi_call_duration"},
	prometheus.GaugeOpts{Name: "other_rmi_open_calls"},
	prometheus.GaugeOpts{Name: "app_nobody_open_calls"},
	prometheus.GaugeOpts{Name: "app_rmi_Open"},
	prometheus.GaugeOpts{Name: "app_rmi_open_count"},
	prometheus.BuildFQName(ns, "zebra", "open_calls"),
	"app_zebra_open_calls",
	"app_rmi",
}
`, "a/a_test.go", "package a\nvar _ = \"app_zebra_in_test\"")
	want(t, tree.CheckMetrics("app_", []string{"rmi"}),
		`a/a.go:9: metric "app_rmi_calls": a counter ends in _total`,
		`a/a.go:10: metric "app_rmi_open_total": only a counter`,
		`a/a.go:12: metric "app_rmi_call_duration": a histogram ends in a base unit`,
		`a/a.go:13: metric "other_rmi_open_calls": it does not begin with app_`,
		`a/a.go:14: metric "app_nobody_open_calls": its second word`,
		`a/a.go:15: metric "app_rmi_Open": it is not lower-case`,
		`a/a.go:16: metric "app_rmi_open_count": it ends in count`,
		`a/a.go:17: metric "app_zebra_open_calls": its second word`,
		`a/a.go:18: metric "app_zebra_open_calls": its second word`,
	)
}

func TestUnfinished(t *testing.T) {
	word := "TO" + "DO"
	tree, _ := load(t, "a/a.go", "package a\n// "+word+": more", "b.md", "all of it, TODOS too\nFIX"+"ME\n")
	want(t, tree.CheckUnfinished(), "a/a.go:2: ", "b.md:2: ")
}

func TestMachinePaths(t *testing.T) {
	home := "/ho" + "me/"
	tree, _ := load(t, "a.md", "see "+home+"somebody/x\nhttps://example.com"+home+"page\n~"+home+"x\nnot "+home+" alone\n", "b.md", home+"x")
	want(t, tree.CheckMachinePaths([]string{"b.md"}), "a.md:1: ", "a.md:3: ")
}

func TestLinks(t *testing.T) {
	tree, fsys := load(t,
		"README.md", "[a](docs/a.md) [b](docs/b.md#part)\n[web](https://x.org/y) [here](#top)\n```\n[c](nowhere)\n```\n",
		"docs/a.md", "[up](../README.md) ![no](../pic.png \"title\")",
	)
	want(t, tree.CheckLinks(fsys), "README.md:1: the link leads nowhere: docs/b.md", "docs/a.md:1: the link leads nowhere: ../pic.png")
}

func TestMentioned(t *testing.T) {
	tree, _ := load(t, "d.md", "`--one` and --two")
	want(t, tree.CheckMentioned("d.md", []string{"--one", "--two"}), "d.md: `--two` is not mentioned")
	want(t, tree.CheckMentioned("e.md", nil), "e.md: the file is missing")
}
