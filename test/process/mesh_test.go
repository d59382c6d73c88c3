package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// TestGreetingFromAnotherProcess is the main job, as the README shows it.
func TestGreetingFromAnotherProcess(t *testing.T) {
	ns := startNameServer(t)
	startDaemon(t, ns, "one")
	for _, test := range []struct{ args, want string }{
		{"invoke greeting get_fortune letian", "Hello, letian. \n"},
		{"invoke greeting GetFortune letian", "Hello, letian. \n"},
		{"invoke greeting get_fortune 42", "Hello, 42. \n"},
		{"call add 3 4", "7\n"},
		{"call add -3 4", "1\n"},
	} {
		got, stderr, code := client(t, ns, strings.Fields(test.args)...)
		if got != test.want || code != 0 {
			t.Errorf("client %s: got %q, exit %d, want %q, exit 0; stderr: %s", test.args, got, code, test.want, stderr)
		}
	}
}

// served counts the calls of one method that each node has carried out.
func served(t *testing.T, m *farcall.Mesh, d *daemon) uint64 {
	t.Helper()
	c, err := counters(t, m, d, "greeting", "get_fortune")
	if err != nil {
		t.Fatalf("counters of %s: %v", d.node, err)
	}
	return c.Calls
}

// counters asks a daemon for the counters of one method.
func counters(t *testing.T, m *farcall.Mesh, d *daemon, object naming.Name, method string) (rmi.MethodCounters, error) {
	all, err := rmi.InvokeAs[rmi.NodeCounters](t.Context(), m.OnNode(d.node), rmi.NodeObject, "counters")
	for _, c := range all.Methods {
		if c.Object == object && c.Method == method {
			return c, err
		}
	}
	return rmi.MethodCounters{}, err
}

func TestTwoDaemonsShareTheCallsOfOneName(t *testing.T) {
	ns := startNameServer(t)
	a, b := startDaemon(t, ns, "a"), startDaemon(t, ns, "b")
	m := join(t, ns)
	instances(t, m, "greeting", 2)
	const calls = 400
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range calls / 8 {
				if _, err := farcall.Call[string](t.Context(), m, "greeting", "get_fortune", "x"); err != nil {
					t.Errorf("call: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	na, nb := served(t, m, a), served(t, m, b)
	if na+nb != calls || min(na, nb) < calls/5 {
		t.Errorf("got %d calls on a and %d on b, want %d in all and a fair share on each", na, nb, calls)
	}
}

// load calls a name from many goroutines until it is told to stop.
type load struct {
	wg       sync.WaitGroup
	stopping context.CancelFunc
	ok       atomic.Int64
	failed   chan error
}

// startLoad starts callers that each call in a loop.
func startLoad(t *testing.T, m *farcall.Mesh, callers int) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stopping: cancel, failed: make(chan error, 10000)}
	for range callers {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				got, err := farcall.Call[string](t.Context(), m, "greeting", "get_fortune", "x")
				if err == nil && got != "Hello, x. \n" {
					err = fmt.Errorf("got %q", got)
				}
				if err != nil {
					l.failed <- err
					continue
				}
				l.ok.Add(1)
			}
		})
	}
	t.Cleanup(func() { cancel(); l.wg.Wait() })
	return l
}

// more waits until n further calls have succeeded.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.ok.Load()
	eventually(t, fmt.Sprintf("%d more calls succeed", n), func() error {
		if got := l.ok.Load() - from; got < n {
			return fmt.Errorf("%d did", got)
		}
		return nil
	})
}

// stop ends the load and returns the errors it met.
func (l *load) stop() []error {
	l.stopping()
	l.wg.Wait()
	close(l.failed)
	var errs []error
	for err := range l.failed {
		errs = append(errs, err)
	}
	return errs
}

func TestKillCostsAtMostTheCallsInFlightThere(t *testing.T) {
	ns := startNameServer(t)
	a := startDaemon(t, ns, "a", "--lease-ttl", "3s")
	startDaemon(t, ns, "b")
	m := join(t, ns)
	instances(t, m, "greeting", 2)
	const callers = 8
	l := startLoad(t, m, callers)
	l.more(t, 200)
	a.signal(t, syscall.SIGKILL)
	a.wait(t)
	l.more(t, 500)
	errs := l.stop()
	if len(errs) > callers {
		t.Errorf("got %d failed calls, want at most the %d in flight; the last: %v", len(errs), callers, errs[len(errs)-1])
	}
	for _, err := range errs {
		if fe, ok := errors.AsType[*rmi.Error](err); !ok || fe.Code != rmi.Unavailable || fe.Execution != rmi.Executed {
			t.Errorf("got %v, want UNAVAILABLE that says it may have been executed", err)
		}
	}
	t.Logf("%d calls succeeded, %d failed", l.ok.Load(), len(errs))
	instances(t, m, "greeting", 1) // once the lease has ended
}

func TestTermUnderLoadLosesNoCall(t *testing.T) {
	ns := startNameServer(t)
	a := startDaemon(t, ns, "a")
	startDaemon(t, ns, "b")
	m := join(t, ns)
	instances(t, m, "greeting", 2)
	l := startLoad(t, m, 16)
	l.more(t, 200)
	a.signal(t, syscall.SIGTERM)
	if code := a.wait(t); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	l.more(t, 500)
	if errs := l.stop(); len(errs) > 0 {
		t.Errorf("got %d failed calls of %d, want none; the first: %v", len(errs), l.ok.Load(), errs[0])
	}
	instances(t, m, "greeting", 1)
}

func TestRollingRestartLosesNoCall(t *testing.T) {
	ns := startNameServer(t)
	daemons := []*daemon{startDaemon(t, ns, "a"), startDaemon(t, ns, "b")}
	m := join(t, ns)
	instances(t, m, "greeting", 2)
	l := startLoad(t, m, 8)
	l.more(t, 100)
	for _, d := range daemons {
		d.signal(t, syscall.SIGTERM)
		d.wait(t)
		startDaemon(t, ns, string(d.node)) // same name, another port
		instances(t, m, "greeting", 2)
		l.more(t, 100)
	}
	if errs := l.stop(); len(errs) > 0 {
		t.Errorf("got %d failed calls of %d, want none; the first: %v", len(errs), l.ok.Load(), errs[0])
	}
}

func TestNameServerRestartedFindsEveryDaemonAgain(t *testing.T) {
	ns := startNameServer(t)
	startDaemon(t, ns, "a")
	startDaemon(t, ns, "b")
	m := join(t, ns)
	instances(t, m, "greeting", 2)
	l := startLoad(t, m, 4)
	l.more(t, 50)

	ns.signal(t, syscall.SIGTERM)
	if code := ns.wait(t); code != 0 {
		t.Errorf("got exit code %d of the name server, want 0", code)
	}
	l.more(t, 200) // calls go on without it
	ns.process = start(t, "nameserver", ns.args...)
	ready(t, ns.http)

	// A fresh client sees what the restarted name server knows.
	fresh := join(t, ns)
	instances(t, fresh, "greeting", 2)
	instances(t, fresh, "add", 2)
	if errs := l.stop(); len(errs) > 0 {
		t.Errorf("got %d failed calls while the name server was away, want none; the first: %v", len(errs), errs[0])
	}
	// New names reach old clients: their watch has recovered.
	startDaemon(t, ns, "c")
	instances(t, m, "greeting", 3)
}

func TestSecondSignalAborts(t *testing.T) {
	ns := startNameServer(t)
	config := filepath.Join(t.TempDir(), "daemon.yaml")
	if err := os.WriteFile(config, []byte("objects:\n  - {name: sleeper, type: echo}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, ns, "a", "--grace", "1h", "--config", config)
	m := join(t, ns)
	// A call that does not return keeps the drain waiting.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := rmi.Invoke(ctx, m.Handler(), "sleeper", "sleep", patience.Seconds())
		ended <- err
	}()
	eventually(t, "the call has begun", func() error {
		c, err := counters(t, m, d, "sleeper", "sleep")
		if err == nil && c.InFlight == 0 {
			err = errors.New("not in flight")
		}
		return err
	})
	d.signal(t, syscall.SIGTERM)
	eventually(t, "the daemon drains", func() error {
		entry, err := m.Resolver().Resolve(t.Context(), "sleeper")
		if err == nil && entry.Instances[0].State != naming.StateDraining {
			err = fmt.Errorf("it is %s", entry.Instances[0].State)
		}
		return err
	})
	d.signal(t, syscall.SIGTERM)
	if code := d.wait(t); code == 0 {
		t.Error("got exit code 0, want another: the drain was cut off")
	}
	if err := <-ended; err == nil {
		t.Error("the call succeeded, want an error: it was cut off")
	}
}
