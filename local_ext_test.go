package farcall_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/meshtest"
	"farcall.dev/rmi"
)

var errTeapot = errors.New("it is a teapot")

// secretKey is a key of what a caller has in its context for itself.
type secretKey struct{}

// mirror shows its callers what its methods see.
type mirror struct {
	started chan struct{} // gets a value when Wait begins
	ended   chan error    // gets why Wait's context ended
	free    chan struct{} // lets Ignore return
	told    chan string   // gets what Tell is told
}

func newMirror() *mirror {
	return &mirror{make(chan struct{}, 10), make(chan error, 10), make(chan struct{}), make(chan string, 10)}
}

func (m *mirror) Echo(b []byte) []byte { return b }

func (m *mirror) Peer(ctx context.Context) []string {
	info, _ := rmi.CallFrom(ctx)
	return []string{string(info.Peer.Node), info.Peer.Protocol}
}

func (m *mirror) Sees(ctx context.Context) []string {
	info, _ := rmi.CallFrom(ctx)
	_, timed := ctx.Deadline()
	rmi.SetReplyMetadata(ctx, rmi.Metadata{"answer": "yes"})
	return []string{fmt.Sprint(ctx.Value(secretKey{})), info.Metadata["word"], fmt.Sprint(timed), fmt.Sprint(info.Trail.Depth)}
}

func (m *mirror) Wait(ctx context.Context) error {
	m.started <- struct{}{}
	<-ctx.Done()
	m.ended <- context.Cause(ctx)
	return nil
}

func (m *mirror) Ignore() string {
	m.started <- struct{}{}
	<-m.free
	return "late"
}

func (m *mirror) Tell(ctx context.Context, what string) error {
	m.started <- struct{}{}
	<-m.free
	if err := ctx.Err(); err != nil {
		what = err.Error()
	}
	m.told <- what
	return errTeapot
}

func (m *mirror) Boil() error                { return fmt.Errorf("cannot: %w", errTeapot) }
func (m *mirror) Break() (int, error)        { panic("broken glass") }
func (m *mirror) Leave()                     { runtime.Goexit() }
func (m *mirror) Late(context.Context) error { return context.DeadlineExceeded }
func (m *mirror) Refuse() error {
	return &rmi.Error{Code: rmi.Aborted, Message: "no", Details: map[string]string{"why": "so"}}
}

func (m *mirror) Count(to int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range to {
			if !yield(i, nil) {
				return
			}
		}
		yield(0, errTeapot)
	}
}

func (m *mirror) Sum(xs iter.Seq[int]) (sum int) {
	for x := range xs {
		sum += x
	}
	return sum
}

// twoWays returns a mirror on node a, and the ways to it from a itself and from
// another process.
func twoWays(t *testing.T, edit func(*farcall.Options)) (m *mirror, here, there *farcall.Mesh) {
	t.Helper()
	known, err := rmi.NewErrors(rmi.Sentinel("teapot", errTeapot))
	if err != nil {
		t.Fatal(err)
	}
	net := meshtest.New(t)
	both := func(o *farcall.Options) {
		o.Errors = known
		if edit != nil {
			edit(o)
		}
	}
	here, there = net.Node("a", both), net.Node("b", both)
	m = newMirror()
	if err := here.Register(t.Context(), "mirror", m, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	meshtest.Await(t, there, "mirror", 1)
	return m, here, there
}

func TestOwnObjectIsCalledWithoutAConnection(t *testing.T) {
	var asked, served atomic.Int32
	count := func(n *atomic.Int32) rmi.Middleware {
		return func(next rmi.Handler) rmi.Handler {
			return rmi.HandlerFunc(func(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
				n.Add(1)
				return next.Handle(ctx, call)
			})
		}
	}
	_, here, there := twoWays(t, func(o *farcall.Options) {
		if o.Node == "a" {
			o.CallWith, o.ServeWith = []rmi.Middleware{count(&asked)}, []rmi.Middleware{count(&served)}
		}
	})
	got, err := farcall.Call[[]string](t.Context(), here, "mirror", "peer")
	if want := []string{"a", "local"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("the method sees as its peer %v, %v, want %v", got, err, want)
	}
	if got := len(here.Space().Sessions()); got != 0 {
		t.Errorf("the process has %d sessions after calling itself, want 0", got)
	}
	if asked.Load() != 1 || served.Load() != 1 {
		t.Errorf("the middleware of calls ran %d times and that of serving %d, want 1 and 1", asked.Load(), served.Load())
	}
	if got, err := farcall.Call[[]string](t.Context(), there, "mirror", "peer"); err != nil || !slices.Equal(got, []string{"b", "mesh"}) {
		t.Errorf("from another process: got %v, %v, want [b mesh]", got, err)
	}
}

// What a caller gets does not depend on where the object is.
func TestOwnObjectAnswersAsFromAfar(t *testing.T) {
	_, here, there := twoWays(t, nil)
	type outcome struct {
		code            rmi.Code
		message, typ    string
		details         string
		executed        rmi.Execution
		remote, teapot  bool
		deadline, trace bool
	}
	of := func(mesh *farcall.Mesh, method string, args ...any) outcome {
		_, err := mesh.Invoke(t.Context(), "mirror", method, args...)
		e, ok := errors.AsType[*rmi.Error](err)
		if !ok {
			t.Fatalf("%s: got %v, want an error of package rmi", method, err)
		}
		return outcome{e.Code, e.Message, e.Type, fmt.Sprint(e.Details), e.Execution, e.Remote,
			errors.Is(err, errTeapot), errors.Is(err, context.DeadlineExceeded), e.Trace != ""}
	}
	for _, c := range []struct {
		method string
		args   []any
	}{{"boil", nil}, {"break", nil}, {"leave", nil}, {"late", nil}, {"refuse", nil}, {"nothing", nil}, {"echo", nil}, {"echo", []any{7}}} {
		if got, want := of(here, c.method, c.args...), of(there, c.method, c.args...); got != want {
			t.Errorf("%s%v:\n got %+v\nwant %+v", c.method, c.args, got, want)
		}
	}

	for _, mesh := range []*farcall.Mesh{here, there} {
		var back rmi.Metadata
		ctx := context.WithValue(t.Context(), secretKey{}, "mine")
		ctx = rmi.WithReplyMetadata(rmi.WithMetadata(ctx, rmi.Metadata{"word": "said"}), &back)
		got, err := farcall.Call[[]string](ctx, mesh, "mirror", "sees")
		if want := []string{"<nil>", "said", "true", "0"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("from %s the method sees %v, %v, want %v", mesh.Node(), got, err, want)
		}
		if back["answer"] != "yes" {
			t.Errorf("from %s the reply brings %v, want the method's answer", mesh.Node(), back)
		}
	}
}

func TestOwnObjectStreams(t *testing.T) {
	_, here, there := twoWays(t, nil)
	for _, mesh := range []*farcall.Mesh{here, there} {
		if got, err := farcall.Call[int](t.Context(), mesh, "mirror", "sum", slices.Values([]int{1, 2, 3})); err != nil || got != 6 {
			t.Errorf("from %s: the sum is %d, %v, want 6", mesh.Node(), got, err)
		}
		seq, err := farcall.Call[iter.Seq2[int, error]](t.Context(), mesh, "mirror", "count", 3)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		var end error
		for x, err := range seq {
			if end = err; err == nil {
				got = append(got, x)
			}
		}
		if !slices.Equal(got, []int{0, 1, 2}) || end == nil {
			t.Errorf("from %s: got %v and %v, want [0 1 2] and an error", mesh.Node(), got, end)
		}
	}
}

func TestOwnObjectCallerIsNeverHeld(t *testing.T) {
	m, here, _ := twoWays(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-m.started; cancel() }()
	if _, err := here.Invoke(ctx, "mirror", "ignore"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gives up gets %v, want %v", err, context.Canceled)
	}
	close(m.free)

	ctx, cancel = context.WithCancel(t.Context())
	go func() { <-m.started; cancel() }()
	if _, err := here.Invoke(ctx, "mirror", "wait"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gives up gets %v, want %v", err, context.Canceled)
	}
	if err := <-m.ended; err == nil {
		t.Error("the method's context has no cause, want one")
	}

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := here.Invoke(ctx, "mirror", "wait")
	if e, ok := errors.AsType[*rmi.Error](err); !ok || e.Code != rmi.DeadlineExceeded {
		t.Errorf("a caller whose time is up gets %v, want DEADLINE_EXCEEDED", err)
	}
}

func TestOwnObjectOneWay(t *testing.T) {
	came := make(chan error, 1)
	m, here, _ := twoWays(t, func(o *farcall.Options) {
		o.ServeWith = []rmi.Middleware{func(next rmi.Handler) rmi.Handler {
			return rmi.HandlerFunc(func(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
				reply, err := next.Handle(ctx, call)
				came <- err
				return reply, err
			})
		}}
	})
	ctx, cancel := context.WithCancel(t.Context())
	call, err := rmi.NewCall(ctx, "mirror", "tell", "news")
	if err != nil {
		t.Fatal(err)
	}
	call.Way = rmi.OneWay
	if _, err := here.Handler().Handle(ctx, call); err != nil {
		t.Fatal(err)
	}
	<-m.started
	cancel()
	clear(call.Args.Data) // the caller's again
	close(m.free)
	if got := <-m.told; got != "news" {
		t.Errorf("the method was told %q, want %q", got, "news")
	}
	if err := <-came; !errors.Is(err, errTeapot) {
		t.Errorf("the middleware of serving sees %v, want what the method returned", err)
	}
}

func TestOwnObjectIsOneOfSeveral(t *testing.T) {
	net := meshtest.New(t)
	here, there := net.Node("a", nil), net.Node("b", nil)
	for _, mesh := range []*farcall.Mesh{here, there} {
		if err := mesh.Register(t.Context(), "where", whereabouts(mesh.Node()), farcall.RegisterOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	meshtest.Await(t, here, "where", 2)
	got := map[string]int{}
	for range 200 {
		node, err := farcall.Call[string](t.Context(), here, "where", "node")
		if err != nil {
			t.Fatal(err)
		}
		got[node]++
	}
	if got["a"] < 50 || got["b"] < 50 {
		t.Errorf("of 200 calls went %v, want about half to each", got)
	}
}

// whereabouts tells which node it is on.
type whereabouts string

func (w whereabouts) Node() string { return string(w) }

func TestOwnObjectWhileLeaving(t *testing.T) {
	m, here, _ := twoWays(t, nil)
	answered := make(chan error, 1)
	go func() {
		_, err := here.Invoke(t.Context(), "mirror", "ignore")
		answered <- err
	}()
	<-m.started
	left := make(chan error, 1)
	go func() { left <- here.Shutdown(t.Context()) }()
	for { // until it has begun to leave
		_, err := here.Invoke(t.Context(), "mirror", "echo", []byte{1})
		if e, ok := errors.AsType[*rmi.Error](err); ok && e.Code == rmi.Unavailable && e.Execution == rmi.NotExecuted {
			break
		} else if err != nil {
			t.Fatalf("a call while it leaves: got %v, want UNAVAILABLE, not executed", err)
		}
	}
	select {
	case err := <-left:
		t.Fatalf("it has left (%v) while a call was under way", err)
	default:
	}
	close(m.free)
	if err := <-answered; err != nil {
		t.Errorf("the call under way: got %v, want its answer", err)
	}
	if err := <-left; err != nil {
		t.Errorf("Shutdown: got %v, want nil", err)
	}
}

// BenchmarkOwnObject is a call by name to an object of the caller's own process.
func BenchmarkOwnObject(b *testing.B) {
	mesh := meshtest.New(b).Node("a", nil)
	if err := mesh.Register(b.Context(), "mirror", newMirror(), farcall.RegisterOptions{}); err != nil {
		b.Fatal(err)
	}
	var stub struct {
		Echo func(context.Context, []byte) ([]byte, error)
	}
	if err := mesh.Bind("mirror", &stub); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := stub.Echo(b.Context(), []byte("hello")); err != nil {
			b.Fatal(err)
		}
	}
}
