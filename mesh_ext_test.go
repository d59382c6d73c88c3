package farcall_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"farcall.dev"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter counts its calls.
type counter struct{ calls atomic.Int64 }

// Add adds and counts.
func (c *counter) Add(x, y int) int {
	c.calls.Add(1)
	return x + y
}

// Wait returns when the caller gives up.
func (c *counter) Wait(ctx context.Context) error {
	c.calls.Add(1)
	<-ctx.Done()
	return ctx.Err()
}

// Missing returns an error that both sides know.
func (c *counter) Missing(path string) error {
	_, err := os.Open(path)
	return fmt.Errorf("look into it: %w", err)
}

// Break panics.
func (c *counter) Break() { panic("the spring is gone") }

// serve registers a counter as "sum" on a node of its own.
func serve(t *testing.T, tm *meshtest.Mesh, node naming.NodeID, opts farcall.RegisterOptions) (*counter, *farcall.Mesh) {
	t.Helper()
	c := new(counter)
	mesh := tm.Node(node, nil)
	if err := mesh.Register(t.Context(), "sum", c, opts); err != nil {
		t.Fatalf("register on %s: %v", node, err)
	}
	return c, mesh
}

func TestCallsReachEveryInstance(t *testing.T) {
	tm := meshtest.New(t)
	a, _ := serve(t, tm, "a", farcall.RegisterOptions{})
	b, _ := serve(t, tm, "b", farcall.RegisterOptions{})
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 2)
	for i := range 100 {
		got, err := farcall.Call[int](t.Context(), c, "sum", "add", i, 1)
		if got != i+1 || err != nil {
			t.Fatalf("add(%d, 1): got %d, %v", i, got, err)
		}
	}
	if na, nb := a.calls.Load(), b.calls.Load(); na+nb != 100 || min(na, nb) < 10 {
		t.Errorf("got %d calls on a and %d on b, want 100 in all and some on each", na, nb)
	}
}

func TestPinnedCallsGoToTheirNode(t *testing.T) {
	tm := meshtest.New(t)
	serve(t, tm, "a", farcall.RegisterOptions{})
	b, _ := serve(t, tm, "b", farcall.RegisterOptions{})
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 2)
	for range 20 {
		if _, err := rmi.Invoke(t.Context(), c.OnNode("b"), "sum", "add", 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.calls.Load(); got != 20 {
		t.Errorf("got %d calls on b, want all 20", got)
	}
	_, err := rmi.Invoke(t.Context(), c.OnNode("z"), "sum", "add", 1, 1)
	if e, ok := errors.AsType[*rmi.Error](err); !ok || e.Code != rmi.NotFound || !strings.Contains(e.Message, "it is on a, b") {
		t.Errorf("got %v, want NOT_FOUND that says where it is", err)
	}
}

func TestAnInstanceThatCannotBeReachedCostsNoCall(t *testing.T) {
	tm := meshtest.New(t)
	serve(t, tm, "a", farcall.RegisterOptions{})
	serve(t, tm, "b", farcall.RegisterOptions{})
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 2)
	tm.Net.Cut("client", "a")
	for range 50 {
		if _, err := farcall.Call[int](t.Context(), c, "sum", "add", 1, 1); err != nil {
			t.Fatalf("got %v while b answers, want no error", err)
		}
	}
	tm.Net.Cut("client", "b")
	// A call that was on its way when the connection broke may have been
	// executed, and says so; the calls after it cannot have been.
	_, err := farcall.Call[int](t.Context(), c, "sum", "add", 1, 1)
	e, ok := errors.AsType[*rmi.Error](err)
	if ok && e.Execution == rmi.Executed {
		_, err = farcall.Call[int](t.Context(), c, "sum", "add", 1, 1)
		e, ok = errors.AsType[*rmi.Error](err)
	}
	if !ok || e.Code != rmi.Unavailable || e.Execution != rmi.NotExecuted {
		t.Fatalf("got %v, want UNAVAILABLE, not executed", err)
	}
	for _, want := range []string{"2 instances tried", "node a", "node b", "a:7500"} {
		if !strings.Contains(e.Message, want) {
			t.Errorf("got message %q, want it to contain %q", e.Message, want)
		}
	}
}

func TestShutdownUnderLoadLosesNoCall(t *testing.T) {
	tm := meshtest.New(t)
	_, a := serve(t, tm, "a", farcall.RegisterOptions{})
	b, _ := serve(t, tm, "b", farcall.RegisterOptions{})
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 2)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := farcall.Call[int](t.Context(), c, "sum", "add", 1, 1); err != nil {
					t.Errorf("a call was lost: %v", err)
					return
				}
			}
		})
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Errorf("shut down: %v", err)
	}
	meshtest.Await(t, c, "sum", 1)
	before := b.calls.Load()
	for b.calls.Load() < before+100 && !t.Failed() {
		runtime.Gosched()
	}
	stop()
	wg.Wait()
}

func TestACallerThatGivesUpEndsTheMethod(t *testing.T) {
	tm := meshtest.New(t)
	sum, served := serve(t, tm, "a", farcall.RegisterOptions{})
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := rmi.Invoke(ctx, c.Handler(), "sum", "wait")
		ended <- err
	}()
	for sum.calls.Load() == 0 {
		runtime.Gosched()
	}
	cancel()
	err := <-ended
	if e, ok := errors.AsType[*rmi.Error](err); !ok || e.Code != rmi.Canceled || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want CANCELED that is a context.Canceled", err)
	}
	// Shutdown waits for the method, so that it ends shows that the method has.
	if err := served.Shutdown(t.Context()); err != nil {
		t.Errorf("shut down: %v", err)
	}
}

func TestAKnownErrorIsRecognisedAcrossTheWire(t *testing.T) {
	tm := meshtest.New(t)
	serve(t, tm, "a", farcall.RegisterOptions{})
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 1)
	_, err := rmi.Invoke(t.Context(), c.Handler(), "sum", "missing", "/no/such/file")
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want an os.ErrNotExist", err)
	}
	if e, ok := errors.AsType[*rmi.Error](err); !ok || !e.Remote || !strings.Contains(e.Message, "look into it") {
		t.Errorf("got %v, want the remote text", err)
	}
}

func TestAPanicIsLoggedOnceForTheOperatorAndHiddenFromTheCaller(t *testing.T) {
	tm := meshtest.New(t)
	var log strings.Builder
	a := tm.Node("a", func(o *farcall.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	})
	if err := a.Register(t.Context(), "sum", new(counter), farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 1)
	_, err := c.Invoke(t.Context(), "sum", "break")
	if e, ok := errors.AsType[*rmi.Error](err); !ok || e.Code != rmi.Internal || e.Trace != "" || strings.Contains(e.Message, "spring") {
		t.Errorf("got %#v, want INTERNAL without a detail", err)
	}
	if err := a.Shutdown(t.Context()); err != nil { // nobody writes to the log after it
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), `panic="the spring is gone"`); n != 1 || !strings.Contains(log.String(), "Break") {
		t.Errorf("the log tells of the panic %d times, want once and with its stack:\n%s", n, log.String())
	}
}

func TestStandbyTakesOverAnExclusiveName(t *testing.T) {
	tm := meshtest.New(t)
	_, a := serve(t, tm, "a", farcall.RegisterOptions{Mode: naming.ModeExclusive})
	b, _ := serve(t, tm, "b", farcall.RegisterOptions{Mode: naming.ModeStandby})
	third := tm.Node("third", nil)
	err := third.Register(t.Context(), "sum", new(counter), farcall.RegisterOptions{Mode: naming.ModeExclusive})
	if taken, ok := errors.AsType[*naming.TakenError](err); !ok || taken.Owner != "a" {
		t.Errorf("got %v, want a TakenError that names a", err)
	}
	if third.Objects().Remove("sum") {
		t.Error("the object of a failed registration is still exported")
	}
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 1)
	if err := a.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range c.Resolver().Changes(t.Context(), "sum") {
		entry, err := c.Resolver().Resolve(t.Context(), "sum")
		if err == nil && len(entry.Callable()) == 1 && entry.Callable()[0].Node == "b" {
			break
		}
	}
	if _, err := farcall.Call[int](t.Context(), c, "sum", "add", 1, 1); err != nil || b.calls.Load() != 1 {
		t.Errorf("got %v and %d calls on the standby, want it to have taken over", err, b.calls.Load())
	}
}

func TestJoinRefusesWhatCannotWork(t *testing.T) {
	store := naming.NewMemory()
	for _, test := range []struct {
		name string
		opts farcall.Options
		want string
	}{
		{"a bad node id", farcall.Options{Node: "a\nb"}, `invalid node id "a\nb"`},
		{"a wildcard without an address to publish", farcall.Options{Listen: ":0"}, "set Advertise"},
		{"an address without a port", farcall.Options{Listen: "127.0.0.1:0", Advertise: "host"}, `advertise "host": want host:port`},
		{"an address that is not here", farcall.Options{Listen: "203.0.113.1:1"}, "203.0.113.1:1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.opts.Registry = store.Registry()
			m, err := farcall.Join(t.Context(), test.opts)
			if err == nil {
				m.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestAClientCannotRegister(t *testing.T) {
	c := meshtest.New(t).Client("client")
	err := c.Register(t.Context(), "sum", new(counter), farcall.RegisterOptions{})
	if err == nil || !strings.Contains(err.Error(), "set Options.Listen") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
}

func TestUnregisteredNamesAreGone(t *testing.T) {
	tm := meshtest.New(t)
	_, a := serve(t, tm, "a", farcall.RegisterOptions{})
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 1)
	if _, err := farcall.Call[int](t.Context(), c, "sum", "add", 1, 1); err != nil {
		t.Fatal(err) // now there is a connection that speaks for the instance
	}
	if err := a.Unregister(t.Context(), "sum"); err != nil {
		t.Fatal(err)
	}
	meshtest.Await(t, c, "sum", 0)
	if _, err := farcall.Call[int](t.Context(), c, "sum", "add", 1, 1); !errors.Is(err, naming.ErrNotFound) {
		t.Errorf("got %v, want a naming.ErrNotFound", err)
	}
	if err := a.Unregister(t.Context(), "sum"); !errors.Is(err, naming.ErrNotFound) {
		t.Errorf("unregister again: got %v, want a naming.ErrNotFound", err)
	}
}

func TestOnePortServesHTTPToo(t *testing.T) {
	tm := meshtest.New(t)
	tm.Node("a", func(o *farcall.Options) {
		o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "you asked for "+r.URL.Path) })
	})
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return tm.Net.Dial(ctx, "browser", "a:7500")
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://a/some/page")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "you asked for /some/page" {
		t.Errorf("got %q, want the handler's answer", body)
	}
}

func TestDescribeAsksTheObjectItself(t *testing.T) {
	tm := meshtest.New(t)
	serve(t, tm, "a", farcall.RegisterOptions{Docs: rmi.Docs{Params: map[string][]string{"add": {"x", "y"}}}})
	c := tm.Client("client")
	meshtest.Await(t, c, "sum", 1)
	info, err := c.Describe(t.Context(), "sum", "")
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := info.Method("add"); !ok || m.Signature() != "add(x: int, y: int) -> int" {
		t.Errorf("got %v, want add(x: int, y: int) -> int", m.Signature())
	}
	if _, err := c.Describe(t.Context(), "sum", "z"); err == nil || !strings.Contains(err.Error(), "node z") {
		t.Errorf("got %v, want an error that names node z", err)
	}
}

func TestLimitsOfAProcessHold(t *testing.T) {
	mesh := meshtest.New(t)
	node := mesh.Node("node", func(o *farcall.Options) {
		o.Limits = farcall.Limits{CallsInFlight: 7, Payload: 1000, Streams: 1, References: 1, Instances: 1}
	})
	streamer := func() iter.Seq[int] {
		return func(yield func(int) bool) {
			for i := 0; yield(i); i++ {
			}
		}
	}
	hold, held := make(chan struct{}), make(chan struct{})
	for name, f := range map[naming.Name]any{
		"size":  func(s string) int { return len(s) },
		"count": streamer,
		"hold":  func() { held <- struct{}{}; <-hold },
	} {
		if err := node.RegisterFunc(t.Context(), name, f, farcall.RegisterOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	cart := rmi.NewFactory(rmi.PerSession, func(context.Context) (*listener, error) { return new(listener), nil })
	if err := node.Register(t.Context(), "cart", cart, farcall.RegisterOptions{Methods: []string{"say"}}); err != nil {
		t.Fatal(err)
	}
	ann, bob := mesh.Client("ann"), mesh.Client("bob")
	refused := func(what string, err error) {
		t.Helper()
		if e, ok := errors.AsType[*rmi.Error](err); !ok || e.Code != rmi.ResourceExhausted {
			t.Errorf("%s: got %v, want RESOURCE_EXHAUSTED", what, err)
		}
	}
	_, err := ann.Invoke(t.Context(), "size", "", strings.Repeat("x", 2000))
	refused("2000 bytes", err)

	first, err := farcall.Call[*rmi.Stream[int]](t.Context(), ann, "count", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = ann.Invoke(t.Context(), "count", "")
	refused("a second stream", err)
	first.Close()

	if _, err := rmi.Invoke(t.Context(), ann, "cart", "say", "ann", "hello"); err != nil {
		t.Fatal(err)
	}
	_, err = rmi.Invoke(t.Context(), bob, "cart", "say", "bob", "hello")
	refused("a second instance", err)

	var holding sync.WaitGroup
	for range 7 {
		holding.Go(func() { ann.Invoke(t.Context(), "hold", "") })
		<-held
	}
	_, err = ann.Invoke(t.Context(), "size", "", "")
	refused("an eighth call", err)
	close(hold)
	holding.Wait()

	if _, err := node.Space().Export(new(listener), rmi.ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = node.Space().Export(new(listener), rmi.ExportOptions{})
	refused("a second object that nobody has taken", err)
}
