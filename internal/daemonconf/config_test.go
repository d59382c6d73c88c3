package daemonconf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"farcall.dev/internal/builtin"
	"farcall.dev/naming"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseReadsEveryKey(t *testing.T) {
	got, err := Parse([]byte(`
objects:
  - name: shop.greeter
    type: greeting
    options: {greeting: Moin}
    mode: exclusive
    tags: &tags [blue, eu]
    weight: 50
    version: 1.10
    methods: [get_fortune]
  - {name: 'counter of things', type: counter}
functions:
  - name: sum
    function: add
    tags: *tags
`), "daemon.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{Entries: []Entry{
		{Name: "shop.greeter", Word: "greeting", Mode: naming.ModeExclusive, Tags: []string{"blue", "eu"}, Weight: 50, Version: "1.10", Methods: []string{"get_fortune"}},
		{Name: "counter of things", Word: "counter"},
		{Name: "sum", Word: "add", Tags: []string{"blue", "eu"}},
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Entry{}, "Thing")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := got.Entries[0].Thing.Value.(*builtin.Greeting).GetFortune("x"), "Moin, x. \n"; got != want {
		t.Errorf("the greeting: got %q, want %q", got, want)
	}
}

func TestExampleShowsEveryKey(t *testing.T) {
	cfg, err := Parse([]byte(Example), "example")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Entries) != 2 {
		t.Errorf("got %d entries, want 2", len(cfg.Entries))
	}
	for _, key := range common("type", "methods", "options", "function") {
		if !strings.Contains(Example, key+": ") {
			t.Errorf("the key %s is not shown", key)
		}
	}
	for _, word := range append(builtin.ObjectTypes(), builtin.Functions()...) {
		if !strings.Contains(Example, word) {
			t.Errorf("%s is not mentioned", word)
		}
	}
}

func TestEveryProblemIsReportedAtOnceWithItsLine(t *testing.T) {
	_, err := Parse([]byte(`object: []
objects:
  - name: a
    typ: greeting
  - name: ""
    type: greeting
    weight: 0
    mode: exclusiv
  - name: b
    type: greating
    tags: blue
  - name: c
    type: greeting
    options: {greetings: Moin}
  - name: d
    type: greeting
    options:
      greeting: [a]
  - just text
functions:
  - name: c
    function: add
    function: echo
    version: {a: b}
    options: {}
  - function: ad
    tags: ["\x01"]
`), "daemon.yaml")
	want := `daemon.yaml:1: the configuration: there is no key "object" (did you mean "objects"?); there are objects, functions, attach
daemon.yaml:3: objects[0]: type is missing; there are counter, echo, greeting
daemon.yaml:4: objects[0]: there is no key "typ" (did you mean "type"?); there are type, methods, options, name, mode, tags, weight, version
daemon.yaml:5: objects[1]: invalid name "": it is empty
daemon.yaml:7: objects[1]: weight wants a whole number from 1 to 10000
daemon.yaml:8: objects[1]: mode: "exclusiv" is none of shared, exclusive, standby (did you mean "exclusive"?)
daemon.yaml:10: objects[2]: type: "greating" is none of counter, echo, greeting (did you mean "greeting"?)
daemon.yaml:11: objects[2]: tags wants a list, such as [a, b], and this is a single value
daemon.yaml:14: objects[3]: there is no option "greetings"; there is greeting
daemon.yaml:18: objects[4]: options: greeting wants a single value, and this is a list
daemon.yaml:19: objects[5] wants keys and values, and this is a single value
daemon.yaml:21: functions[0]: the name "c" is used on line 12 already
daemon.yaml:23: functions[0]: the key "function" is there twice
daemon.yaml:24: functions[0]: version wants text, and this is keys and values
daemon.yaml:25: functions[0]: there is no key "options"; there are function, name, mode, tags, weight, version
daemon.yaml:26: functions[1]: name is missing: what others call it
daemon.yaml:26: functions[1]: function: "ad" is none of add, echo (did you mean "add"?)`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(fmt.Sprint(err), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsNoConfigurationIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"empty", "", "x: it is empty"},
		{"blank", " \n\n", "x: it is empty"},
		{"comments only", "# nothing\n", "x"},
		{"null", "null\n", "x:1: the configuration wants keys and values, and this is nothing"},
		{"a list", "- a\n", "x:1: the configuration wants keys and values, and this is a list"},
		{"hosts nothing", "objects: []\nfunctions:\n", "x:1: it hosts nothing"},
		{"broken", "objects:\n  - name: [\n", "it is no YAML"},
		{"two documents", "objects: []\n---\nobjects: []\n", "it is no YAML"},
		{"no UTF-8", "objects: \xff\n", "it is no YAML"},
		{"bad tag", "functions: [{name: a, function: add, tags: [' blue']}]", `invalid tag " blue": it begins or ends with a space`},
		{"empty type", "objects: [{name: a, type: ''}]", `type: "" is none of counter, echo, greeting`},
		{"empty mode", "objects: [{name: a, type: echo, mode: ''}]", `mode: "" is none of shared, exclusive, standby`},
		{"objects of another kind", "objects: 7", "x:1: objects wants a list, and this is a single value"},
		{"list as a key", "[a]: b", "x:1: the configuration: a key must be a word, and this is a list"},
		{"alias to itself", "objects: &a [*a]", "x"},
		{"too large", strings.Repeat("#", MaxSize+1), "x: it is larger than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.data), "x")
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an Error with %q", err, tt.want)
			}
		})
	}
}

func TestTooManyEntriesAreRefused(t *testing.T) {
	_, err := Parse([]byte("x: &e {name: a, function: add}\nfunctions: ["+strings.Repeat("*e,", MaxEntries+1)+"]"), "x")
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an Error", err)
	}
	if got := strings.Count(err.Error(), "\n"); got > maxShown {
		t.Errorf("the error has %d lines, want at most %d", got+1, maxShown+1)
	}
}

func TestLoadReadsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "daemon.yaml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: got %v, want %v", err, os.ErrNotExist)
	}
	if err := os.WriteFile(path, []byte("functions: [{name: a, function: add}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(path); err != nil || len(got.Entries) != 1 {
		t.Errorf("got %v, %v; want one entry", got, err)
	}
}

func TestDefaultHostsObjectsFirst(t *testing.T) {
	var got []naming.Name
	for _, e := range Default().Entries {
		got = append(got, e.Name)
	}
	if diff := cmp.Diff([]naming.Name{"greeting", "add", "echo"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "objects: []", "objects: [{name: a, type: greeting, options: {greeting: x}}]",
		"functions: [{name: a, function: add, tags: &t [x], weight: 3, version: 1.0}]", "a: &a [*a]", "? [a]\n: b", "objects: !!binary x", "%YAML 1.2\n---\nobjects:",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse(data, "x")
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || len(e.Problems) == 0 {
				t.Errorf("got %v, want an Error with problems", err)
			}
			return
		}
		for _, e := range cfg.Entries {
			if _, err := naming.ParseName(string(e.Name)); err != nil || e.Thing.Value == nil {
				t.Errorf("accepted %+v: %v", e, err)
			}
		}
	})
}
