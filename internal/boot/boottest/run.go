package boottest

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"farcall.dev/internal/boot"
)

// patience is how long a test waits for a command before it fails.
const patience = time.Minute

// Run is a command that runs.
type Run struct {
	t       testing.TB
	signals chan os.Signal
	done    chan struct{}

	// Stdout and Stderr are what the command has written so far.
	Stdout, Stderr *Output
	code           boot.ExitCode // set before done is closed
}

// Start runs p with the arguments in this process. The environment is env
// alone, as NAME=value. What runs at the end of the test is stopped, and fails
// the test when it does not stop in order.
func Start(t testing.TB, p boot.Program, env []string, args ...string) *Run {
	t.Helper()
	vars := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		vars[name] = value
	}
	r := &Run{t: t, signals: make(chan os.Signal, 3), done: make(chan struct{}), Stdout: newOutput(), Stderr: newOutput()}
	go func() {
		defer close(r.done)
		r.code = boot.Main(p, boot.Process{
			Args: append([]string{}, args...), Stdout: r.Stdout, Stderr: r.Stderr, Signals: r.signals,
			LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
			Exit:      func(code int) { t.Errorf("%s was ended by force with status %d", p.Name, code) },
		})
	}()
	t.Cleanup(func() {
		select {
		case <-r.done:
		default:
			r.Signal(os.Interrupt)
			if code := r.Wait(); code != boot.ExitOK {
				t.Errorf("%s stopped with status %d; it wrote:\n%s", p.Name, code, r.Stderr)
			}
		}
	})
	return r
}

// Signal sends sig to the command.
func (r *Run) Signal(sig os.Signal) { r.signals <- sig }

// Wait waits until the command has ended and returns its status.
func (r *Run) Wait() boot.ExitCode {
	r.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-r.done:
		return r.code
	case <-timer.C:
		r.t.Fatalf("the command still runs after %v; it wrote:\n%s\n%s", patience, r.Stdout, r.Stderr)
		return 0
	}
}

// Await waits until the command has written text to out, which is Stdout or
// Stderr, and returns the rest of that line. It fails the test when the command
// ends before that.
func (r *Run) Await(out *Output, text string) string {
	r.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		rest, found, changed := out.after(text)
		if found {
			return rest
		}
		select {
		case <-changed:
		case <-r.done:
			if rest, found, _ := out.after(text); found {
				return rest
			}
			r.t.Fatalf("the command ended with status %d and did not write %q, but:\n%s\n%s", r.code, text, r.Stdout, r.Stderr)
		case <-timer.C:
			r.t.Fatalf("the command has not written %q in %v, but:\n%s\n%s", text, patience, r.Stdout, r.Stderr)
		}
	}
}

// Output collects what a command writes.
type Output struct {
	mu      sync.Mutex
	text    strings.Builder // guarded by mu
	changed chan struct{}   // guarded by mu; closed and replaced by each Write
}

// newOutput returns an empty Output.
func newOutput() *Output { return &Output{changed: make(chan struct{})} }

// Write adds p.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

// String returns what has been written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// after returns what follows text on its line, once the line is complete, and
// a channel that is closed when more is written.
func (o *Output) after(text string) (rest string, found bool, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, rest, found = strings.Cut(o.text.String(), text)
	rest, _, complete := strings.Cut(rest, "\n")
	return rest, found && complete, o.changed
}
