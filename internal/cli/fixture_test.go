package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"farcall.dev"
	"farcall.dev/internal/buildinfo"
	"farcall.dev/internal/builtin"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

var update = flag.Bool("update", false, "write the golden files and docs/cli.md anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds the waits of these tests.
const patience = 30 * time.Second

// lab is an object whose methods end in every way that a call can end.
type lab struct{ started chan struct{} }

// item is a struct that travels.
type item struct {
	SKU   string         `json:"sku"`
	Count int32          `json:"count"`
	Notes map[string]any `json:"notes,omitempty"`
}

// labError is an error of an application.
type labError struct{ what string }

func (e *labError) Error() string { return e.what }

func (*lab) Fail(message string) error             { return &labError{message} }
func (*lab) Code(code uint8, message string) error { return rmi.Errorf(rmi.Code(code), "%s", message) }
func (*lab) Panic()                                { panic("a secret") }
func (*lab) Sum(xs ...int64) (sum int64)           { return total(xs) }
func (*lab) Upper(text string) string              { return strings.ToUpper(text) }
func (*lab) Swap(b []byte) []byte                  { return bytes.ReplaceAll(b, []byte("ABC"), []byte("abc")) }
func (*lab) Nothing()                              {}
func (*lab) Two() (string, int)                    { return "two", 2 }
func (*lab) Order(it item) item                    { it.Count++; return it }
func (*lab) Later(at time.Time, by time.Duration) time.Time {
	return at.Add(by)
}
func (*lab) Scale(m map[int]float64, by float64) map[int]float64 {
	out := make(map[int]float64, len(m))
	for k, v := range m {
		out[k] = v * by
	}
	return out
}

// Wait returns when its caller gives up.
func (l *lab) Wait(ctx context.Context) error {
	select {
	case l.started <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

// total adds xs.
func total(xs []int64) (sum int64) {
	for _, x := range xs {
		sum += x
	}
	return sum
}

// fixture is a mesh of two daemons, and a way to run command lines in it.
type fixture struct {
	*meshtest.Mesh
	t     *testing.T
	lab   *lab
	nodes map[naming.NodeID]*farcall.Mesh
	env   map[string]string
}

// newFixture starts the daemons: daemon-1 hosts greeting, add, echo and lab,
// daemon-2 another greeting.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		Mesh: meshtest.New(t), t: t, env: map[string]string{},
		lab:   &lab{started: make(chan struct{}, 1)},
		nodes: map[naming.NodeID]*farcall.Mesh{},
	}
	for _, node := range []naming.NodeID{"daemon-1", "daemon-2"} {
		f.nodes[node] = f.Node(node, func(o *farcall.Options) {
			o.Tags, o.Version = []string{"blue"}, "v1"
			if node == "daemon-2" {
				o.Tags, o.Zone, o.Weight = []string{"green"}, "b", 50
			}
		})
	}
	for name, thing := range builtin.Default() {
		f.register("daemon-1", name, thing)
	}
	f.register("daemon-2", "greeting", builtin.Default()["greeting"])
	f.register("daemon-1", "lab", builtin.Thing{
		Kind: naming.KindObject, Value: f.lab, Docs: rmi.Docs{
			Doc:     "Ends calls in every way\nthat there is.",
			Methods: map[string]string{"order": "Orders one more."},
			Params:  map[string][]string{"upper": {"text"}, "order": {"item"}, "sum": {"xs"}},
		},
	})
	return f
}

// register registers thing at one of the daemons.
func (f *fixture) register(node naming.NodeID, name naming.Name, thing builtin.Thing) {
	f.t.Helper()
	opts := farcall.RegisterOptions{Docs: thing.Docs}
	register := f.nodes[node].Register
	if thing.Kind == naming.KindFunction {
		register = f.nodes[node].RegisterFunc
	}
	if err := register(f.t.Context(), name, thing.Value, opts); err != nil {
		f.t.Fatal(err)
	}
}

// join is Options.Join for a command line: into the fixture's mesh.
func (f *fixture) join(ctx context.Context, opts farcall.Options) (*farcall.Mesh, error) {
	opts.Node = "client"
	opts.Registry = f.Store.Registry()
	opts.Dial = f.Net.Dialer("client")
	return farcall.Join(ctx, opts)
}

// outcome is what came of a command line.
type outcome struct {
	stdout, stderr string
	code           ExitCode
}

// options are the Options of a command line that runs in the fixture.
func (f *fixture) options(stdout, stderr *output, stdin string, args ...string) Options {
	return Options{
		Args: args, Stdin: strings.NewReader(stdin), Stdout: stdout, Stderr: stderr, Join: f.join,
		Getenv: func(key string) string { return f.env[key] },
		Build:  buildinfo.Info{Version: "v1.2.3", Revision: "0123456789abcdef", Go: "go1.26.0", Platform: "linux/amd64"},
	}
}

// run runs a command line to its end.
func (f *fixture) run(args ...string) outcome { return f.pipe("", args...) }

// pipe runs a command line with something on standard input.
func (f *fixture) pipe(stdin string, args ...string) outcome {
	f.t.Helper()
	stdout, stderr := newOutput(), newOutput()
	code := Main(f.t.Context(), f.options(stdout, stderr, stdin, args...))
	return outcome{stdout.String(), stderr.String(), code}
}

// outlast runs a command line that calls lab's wait, with a timeout that ends
// while the method runs. One in which a busy machine does not get that far is
// doubled.
func (f *fixture) outlast(run func(timeout string) outcome) (timeout string, got outcome) {
	f.t.Helper()
	for d := 50 * time.Millisecond; d < patience; d *= 2 {
		got = run(d.String())
		select {
		case <-f.lab.started:
			return d.String(), got
		default:
		}
	}
	f.t.Fatalf("the method was never called; the last try: exit code %d and %q", got.code, got.stderr)
	return "", got
}

// want runs a command line that must succeed and print stdout, and nothing on
// standard error.
func (f *fixture) want(stdout string, args ...string) {
	f.t.Helper()
	got := f.run(args...)
	if want := (outcome{stdout: stdout}); got != want {
		f.t.Errorf("client %s:\ngot  %#v\nwant %#v", strings.Join(args, " "), got, want)
	}
}

// output is an io.Writer that tests can wait for.
type output struct {
	mu      sync.Mutex
	b       strings.Builder // guarded by mu
	changed chan struct{}   // guarded by mu; closed and replaced at each write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write keeps p.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.b.Write(p)
}

// String returns all that was written.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits until ok likes what was written.
func (o *output) await(t *testing.T, what string, ok func(string) bool) {
	t.Helper()
	give := time.NewTimer(patience)
	defer give.Stop()
	for {
		o.mu.Lock()
		text, changed := o.b.String(), o.changed
		o.mu.Unlock()
		if ok(text) {
			return
		}
		select {
		case <-changed:
		case <-give.C:
			t.Fatalf("waited in vain for %s; got %q", what, text)
		}
	}
}

// brokenWriter fails every write.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// errBroken is what a broken disk says.
var errBroken = errors.New("no space left")

// varying matches what differs from run to run: ages, revisions and digests.
var varying = regexp.MustCompile(`\S+ ago|revision \d+|digest: \S+`)

// transcript runs command lines and returns them with what came of them, as a
// terminal shows it. What goes to standard error has a mark before it.
func (f *fixture) transcript(lines ...[]string) string {
	f.t.Helper()
	var b strings.Builder
	for _, args := range lines {
		quotedArgs := make([]string, len(args))
		for i, arg := range args {
			quotedArgs[i] = quoted(arg)
		}
		got := f.run(args...)
		fmt.Fprintf(&b, "$ client %s\n%s", strings.Join(quotedArgs, " "), got.stdout)
		for line := range strings.Lines(got.stderr) {
			b.WriteString("2> " + line)
		}
		if got.code != ExitOK {
			fmt.Fprintf(&b, "exit code %d\n", got.code)
		}
		b.WriteString("\n")
	}
	return varying.ReplaceAllStringFunc(b.String(), func(s string) string {
		if word, _, _ := strings.Cut(s, " "); word == "revision" || word == "digest:" {
			return word + " N"
		}
		return "N ago"
	})
}

// golden compares got with a file of testdata, which -update writes.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; if that is meant, run the test with -update (-want +got):\n%s", path, diff)
	}
}
