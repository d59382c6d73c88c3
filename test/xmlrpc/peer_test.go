package xmlrpc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds each program: long, because a busy machine is slow.
const patience = 60 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A peer is somebody else's implementation, in one of its two parts.
type peer struct {
	name     string // of the subtest, and in the table
	language string
	// packages are Debian's; the first is the library, whose version counts.
	packages []string
	// run returns the command that starts the peer's program; it may build it
	// first, in the test's folder.
	run func(t *testing.T) []string
	// reads has the kinds that programs get as another kind.
	reads map[string]string
	// differences are what is known to be otherwise than it should be.
	differences []difference
}

// A difference is something known about a peer that is not as it should be.
type difference struct {
	name string // short, with hyphens
	text string // what it is, for the documentation
	mark mark
	// cases are the cases that show it, and what comes of each.
	cases map[string]expectation
}

// A mark says how bad a difference is.
type mark string

const (
	trait  mark = "yes" // another form of the same value
	defect mark = "no"  // a wrong value, or an error
	absent mark = "–"   // the library does not have it
)

// An expectation is what comes of a case, in the form of value.String. What is
// empty is as it should be. A last … stands for any rest.
type expectation struct{ sent, got string }

// An outcome is what came of a case.
type outcome struct{ sent, got value }

// need fails or skips the test if a package is missing.
func (p *peer) need(t *testing.T) {
	t.Helper()
	for _, pkg := range p.packages {
		if version(pkg) != "" {
			continue
		}
		hint := fmt.Sprintf("%s is missing: scripts/need.sh xmlrpc-peers installs it, and `make test` runs that", pkg)
		if os.Getenv("FARCALL_REQUIRE_ALL") != "" || os.Getenv("CI") != "" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
}

// version is that of an installed package, as its authors number it; empty if it
// is not installed.
func version(pkg string) string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status} ${source:Upstream-Version}", pkg).Output()
	v, ok := strings.CutPrefix(string(out), "installed ")
	if err != nil || !ok {
		return ""
	}
	return v
}

// judge compares an outcome with what should be, or with what is known to be.
func (p *peer) judge(t *testing.T, c testCase, o, should outcome) {
	t.Helper()
	want := expectation{sent: should.sent.String(), got: should.got.String()}
	for _, d := range p.differences {
		e, ok := d.cases[c.name]
		if !ok {
			continue
		}
		if e.sent != "" {
			want.sent = e.sent
		}
		if e.got != "" {
			want.got = e.got
		}
		if d.mark == absent {
			want = expectation{sent: "nothing", got: "lacks"}
		}
	}
	sent, got := o.sent.String(), o.got.String()
	if !agrees(sent, want.sent) {
		t.Errorf("%s: sent %s, want %s (%s)", c.name, sent, want.sent, p.cell(c))
	}
	if !agrees(got, want.got) {
		t.Errorf("%s: got %s, want %s (%s)", c.name, got, want.got, p.cell(c))
	}
}

// agrees reports whether got is what is expected.
func agrees(got, want string) bool {
	if start, ok := strings.CutSuffix(want, "…"); ok {
		return strings.HasPrefix(got, start)
	}
	return got == want
}

// TestExpectations looks for expectations that cannot come to anything.
func TestExpectations(t *testing.T) {
	for _, p := range slices.Concat(clients, servers) {
		seen := make(map[string]string)
		for _, d := range p.differences {
			if len(d.cases) == 0 {
				t.Errorf("%s: %s has no cases", p.name, d.name)
			}
			for name := range d.cases {
				if !slices.ContainsFunc(cases, func(c testCase) bool { return c.name == name }) {
					t.Errorf("%s: %s has a case %q that is none", p.name, d.name, name)
				}
				if other, ok := seen[name]; ok {
					t.Errorf("%s: %s and %s both have the case %q", p.name, other, d.name, name)
				}
				seen[name] = d.name
			}
		}
	}
}

// program runs a file of peers/ by an interpreter. That is named by its whole
// path: the packages are for the system's own, not for another one on the PATH.
func program(interpreter, file string) func(*testing.T) []string {
	return func(*testing.T) []string { return []string{interpreter, filepath.Join("peers", file)} }
}

// compiled builds a file of peers/ into the test's folder by the command, in which
// OUT and SRC stand for the two.
func compiled(file string, command ...string) func(*testing.T) []string {
	return func(t *testing.T) []string {
		t.Helper()
		out := filepath.Join(t.TempDir(), "peer")
		build(t, out, file, command)
		return []string{out}
	}
}

func build(t *testing.T, out, file string, command []string) {
	t.Helper()
	args := slices.Clone(command)
	for i := range args {
		args[i] = strings.NewReplacer("OUT", out, "SRC", filepath.Join("peers", file)).Replace(args[i])
	}
	if msg, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, msg)
	}
}

// environment is that of the peers: no proxies, UTF-8, and a zone far from UTC, in
// which a date that is taken for an instant is seen.
func environment() []string {
	env := []string{"LC_ALL=C.UTF-8", "TZ=FAR-05:30", "PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1"}
	for _, name := range []string{"HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
