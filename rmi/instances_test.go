package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// cart is an object with instances.
type cart struct {
	id    int
	store *cartStore
	mu    sync.Mutex
	items []string
	uses  atomic.Int64
}

// Add puts an item into the cart and returns its instance's number, and how many
// items there are.
func (c *cart) Add(item string) (id, items int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.items = append(c.items, item)
	return c.id, len(c.items)
}

// Wait returns when its context ends.
func (c *cart) Wait(ctx context.Context) error {
	c.uses.Add(1)
	defer c.uses.Add(-1)
	c.store.waiting <- c.id
	<-ctx.Done()
	<-c.store.goOn
	return context.Cause(ctx)
}

// Sum has a variadic parameter.
func (c *cart) Sum(xs ...int) int { return len(xs) + c.id }

// Panic panics.
func (c *cart) Panic() { panic("cart") }

// Close tells the store, with a negative number if a call is in progress.
func (c *cart) Close() error {
	if c.uses.Load() != 0 {
		c.store.closed <- -c.id
	}
	c.store.closed <- c.id
	if c.store.closePanics.Load() {
		panic("no close")
	}
	return errors.New("closed badly")
}

// cartStore makes carts, numbered from 1, and is told of their ends.
type cartStore struct {
	made        atomic.Int64
	before      func(ctx context.Context) error // called first; may be nil
	closePanics atomic.Bool
	closed      chan int
	waiting     chan int
	goOn        chan struct{}
}

func newCartStore() *cartStore {
	s := &cartStore{closed: make(chan int, 4096), waiting: make(chan int, 16), goOn: make(chan struct{})}
	close(s.goOn)
	return s
}

func (s *cartStore) new(ctx context.Context) (*cart, error) {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return nil, err
		}
	}
	return &cart{id: int(s.made.Add(1)), store: s}, nil
}

// wantClosed fails the test unless the next cart that is closed is id.
func (s *cartStore) wantClosed(t *testing.T, id int) {
	t.Helper()
	if got := waitFor(t, "a cart to be closed", s.closed); got != id {
		t.Errorf("cart %d was closed, want %d", got, id)
	}
}

// served is a process that exports objects, and connects others to them.
type served struct {
	t       *testing.T
	space   *Space
	objects *Objects
}

func newServed(t *testing.T, opts ObjectsOptions) *served {
	s := &served{t: t, space: NewSpace(SpaceOptions{Node: "server", Incarnation: 9, Lease: 1})}
	opts.Space = s.space
	s.objects = NewObjects(opts)
	t.Cleanup(func() {
		s.space.Close()
		if err := s.objects.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// export exports a factory as "cart".
func (s *served) export(scope Scope, store *cartStore, opts ExportOptions) {
	s.t.Helper()
	if err := s.objects.Export("cart", NewFactory(scope, store.new), opts); err != nil {
		s.t.Fatal(err)
	}
}

// client connects a process.
func (s *served) client(node string) *Conn {
	s.t.Helper()
	sa, sb := transport.Pipe(
		transport.Options{Hello: transport.Hello{Node: node, Incarnation: 1}},
		transport.Options{Hello: transport.Hello{Node: "server", Incarnation: 9}})
	a, b := NewConn(sa, nil, ConnOptions{}), NewConn(sb, s.objects, ConnOptions{Space: s.space})
	s.t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a
}

// add adds an item and returns the cart's number and how many items it has.
func add(t *testing.T, h Handler) [2]int {
	t.Helper()
	got, err := InvokeAs[[]int](t.Context(), h, "cart", "add", "x")
	if err != nil {
		t.Fatal(err)
	}
	return [2]int{got[0], got[1]}
}

func TestEachSessionHasItsInstance(t *testing.T) {
	s, store := newServed(t, ObjectsOptions{}), newCartStore()
	s.export(PerSession, store, ExportOptions{})
	alice, again, bob := s.client("alice"), s.client("alice"), s.client("bob")
	for i, tt := range []struct {
		who  Handler
		want [2]int
	}{
		{alice, [2]int{1, 1}}, {bob, [2]int{2, 1}}, {alice, [2]int{1, 2}}, {again, [2]int{1, 3}}, {bob, [2]int{2, 2}},
		{s.objects, [2]int{3, 1}}, {s.objects, [2]int{3, 2}},
	} {
		if got := add(t, tt.who); got != tt.want {
			t.Errorf("call %d: got cart and items %v, want %v", i, got, tt.want)
		}
	}
	if got, err := InvokeAs[int](t.Context(), bob, "cart", "sum", 1, 2, 3); err != nil || got != 5 {
		t.Errorf("got %d, %v, want 5", got, err)
	}
	alice.Close()
	if got := add(t, again); got != [2]int{1, 4} {
		t.Errorf("with one of two connections gone: got %v, want the same cart", got)
	}
	again.Close()
	store.wantClosed(t, 1)
	if got := add(t, s.client("alice")); got != [2]int{4, 1} {
		t.Errorf("after the session's end: got %v, want a new cart", got)
	}
	s.objects.Remove("cart")
	for range 3 { // those of alice, bob and this process
		waitFor(t, "a cart to be closed", store.closed)
	}
	if _, err := Invoke(t.Context(), bob, "cart", "add", "x"); FromError(err).Code != NotFound {
		t.Errorf("got %v, want NOT_FOUND", err)
	}
}

func TestEachCallHasItsInstance(t *testing.T) {
	s, store := newServed(t, ObjectsOptions{}), newCartStore()
	s.export(PerCall, store, ExportOptions{})
	alice := s.client("alice")
	for i := 1; i <= 3; i++ {
		if got := add(t, alice); got != [2]int{i, 1} {
			t.Errorf("got %v, want a cart of its own", got)
		}
		store.wantClosed(t, i)
	}
	if _, err := Invoke(t.Context(), alice, "cart", "panic"); FromError(err).Code != Internal {
		t.Errorf("got %v, want INTERNAL", err)
	}
	store.wantClosed(t, 4)
	if _, err := Invoke(t.Context(), alice, "cart", "add", 7); FromError(err).Code != InvalidArgument || store.made.Load() != 4 {
		t.Errorf("got %v and %d carts, want INVALID_ARGUMENT and none made", err, store.made.Load())
	}
}

func TestASharedInstanceIsMadeOnce(t *testing.T) {
	s, store := newServed(t, ObjectsOptions{}), newCartStore()
	s.export(Shared, store, ExportOptions{})
	clients := []Handler{s.client("alice"), s.client("bob"), s.objects}
	gate := make(chan struct{})
	store.before = func(context.Context) error { <-gate; return nil }
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			if got, err := InvokeAs[[]int](t.Context(), clients[i%3], "cart", "add", "x"); err != nil || got[0] != 1 {
				t.Errorf("got %v, %v, want cart 1", got, err)
			}
		})
	}
	close(gate)
	all.Wait()
	if got := add(t, s.objects); got != [2]int{1, 31} || store.made.Load() != 1 {
		t.Errorf("got %v, and %d carts were made; want one with 31 items", got, store.made.Load())
	}
	if err := s.objects.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	store.wantClosed(t, 1)
	_, err := Invoke(t.Context(), s.objects, "cart", "add", "x")
	wantError(t, err, Unavailable, NotExecuted, "cart: this process has stopped serving")
	if err := s.objects.Shutdown(t.Context()); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

// A caller that gives up while the instance is made leaves it to those who wait.
func TestWhoeverMakesTheInstanceMayGiveUp(t *testing.T) {
	s, store := newServed(t, ObjectsOptions{}), newCartStore()
	s.export(PerSession, store, ExportOptions{})
	making, gate := make(chan context.Context, 1), make(chan struct{})
	store.before = func(ctx context.Context) error {
		making <- ctx
		<-gate
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := Invoke(ctx, s.objects, "cart", "add", "x")
		first <- err
	}()
	waitFor(t, "the factory", making)
	cancel()
	wantError(t, waitFor(t, "the first caller", first), Canceled, NotExecuted, "cart: its instance was not made in time")
	close(gate)
	if got := add(t, s.objects); got != [2]int{1, 1} {
		t.Errorf("got %v, want the cart that was being made", got)
	}
}

func TestAFactoryThatFailsIsAskedAgain(t *testing.T) {
	var log lockedBuffer
	for _, scope := range []Scope{Shared, PerSession, PerCall} {
		s, store := newServed(t, ObjectsOptions{Logger: slog.New(slog.NewTextHandler(&log, nil)), Errors: shopErrors(t)}), newCartStore()
		s.export(scope, store, ExportOptions{})
		h := Chain(s.client("alice"), shopErrors(t).Restore)

		store.before = func(context.Context) error { return fmt.Errorf("no cart: %w", errSoldOut) }
		for range 3 {
			_, err := Invoke(t.Context(), h, "cart", "add", "x")
			wantError(t, err, Unknown, Executed, "no cart: sold out")
			if !errors.Is(err, errSoldOut) {
				t.Errorf("%s: got %v, want errSoldOut", scope, err)
			}
		}
		store.before = func(context.Context) error { panic("a secret") }
		_, err := Invoke(t.Context(), h, "cart", "add", "x")
		wantError(t, err, Internal, Executed, "cart: its factory panicked")
		if e := failure(t, err); e.Trace != "" || strings.Contains(e.Message, "secret") || !strings.Contains(log.String(), "a secret") {
			t.Errorf("%s: got %+v and the log %q, want the reason in the log alone", scope, e, log.String())
		}
		store.before = nil
		if got := add(t, h); got != [2]int{1, 1} {
			t.Errorf("%s: got %v, want the first cart", scope, got)
		}
	}
	o := NewObjects(ObjectsOptions{})
	for name, f := range map[naming.Name]Factory{
		"pointer":   NewFactory(Shared, func(context.Context) (*cart, error) { return nil, nil }),
		"interface": NewFactory(PerCall, func(context.Context) (interface{ Sum(...int) int }, error) { return nil, nil }),
	} {
		if err := o.Export(name, f, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := Invoke(t.Context(), o, name, "sum")
		wantError(t, err, Internal, Executed, "its factory made nothing")
	}
}

func TestInstancesOfAnInterfaceAndOfAStruct(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	var made atomic.Int64
	f := NewFactory(PerCall, func(context.Context) (interface{ Sum(...int) int }, error) {
		return &cart{id: int(made.Add(10)), store: newCartStore()}, nil
	})
	if err := o.Export("sum", f, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := o.Export("order", NewFactory(Shared, func(context.Context) (errno, error) { return 7, nil }), ExportOptions{Methods: []string{"error"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := InvokeAs[int](t.Context(), o, "sum", "sum", 1, 2); err != nil || got != 12 {
		t.Errorf("got %d, %v, want 12", got, err)
	}
	if got, err := InvokeAs[string](t.Context(), o, "order", "error"); err != nil || got != "errno 7" {
		t.Errorf("got %q, %v", got, err)
	}
	info, _ := o.Interface("sum")
	if info.Scope != PerCall || len(info.Methods) != 1 || info.Methods[0].Signature() != "sum(int...) -> int" {
		t.Errorf("got %+v, want the scope and the one method", info)
	}
	if err := o.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// Calls in progress get their context ended, and the instance is closed after
// they have returned.
func TestTheEndOfASessionWaitsForItsCalls(t *testing.T) {
	for name, end := range map[string]func(s *served, c *Conn){
		"lease":    func(_ *served, c *Conn) { c.Close() },
		"space":    func(s *served, _ *Conn) { s.space.Close() },
		"shutdown": func(s *served, _ *Conn) { go s.objects.Shutdown(s.t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			s, store := newServed(t, ObjectsOptions{}), newCartStore()
			store.goOn = make(chan struct{})
			s.export(PerSession, store, ExportOptions{})
			alice := s.client("alice")
			result := make(chan error, 1)
			go func() {
				_, err := Invoke(t.Context(), alice, "cart", "wait")
				result <- err
			}()
			waitFor(t, "the method", store.waiting)
			end(s, alice)
			store.goOn <- struct{}{} // taken once the context has ended
			if err := waitFor(t, "the caller", result); err == nil {
				t.Error("the call succeeded")
			}
			store.wantClosed(t, 1)
		})
	}
}

func TestRemovingANameLetsItsCallsGoOn(t *testing.T) {
	s, store := newServed(t, ObjectsOptions{}), newCartStore()
	s.export(Shared, store, ExportOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := Invoke(ctx, s.objects, "cart", "wait")
		result <- err
	}()
	waitFor(t, "the method", store.waiting)
	if !s.objects.Remove("cart") || s.objects.Remove("cart") {
		t.Error("the name was not removed once")
	}
	s.export(Shared, store, ExportOptions{})
	if got := add(t, s.objects); got != [2]int{2, 1} {
		t.Errorf("got %v, want a cart of the new name", got)
	}
	if len(result) != 0 || len(store.closed) != 0 {
		t.Error("the call was cut off")
	}
	cancel()
	waitFor(t, "the call", result)
	store.wantClosed(t, 1)

	expired, stop := context.WithCancel(t.Context())
	stop()
	store.goOn = make(chan struct{})
	go Invoke(t.Context(), s.objects, "cart", "wait")
	waitFor(t, "the method", store.waiting)
	if err := s.objects.Shutdown(expired); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "close the instances") {
		t.Errorf("got %v, want the context's error", err)
	}
	close(store.goOn)
}

func TestCallersWithoutASessionAreToldWhatToDo(t *testing.T) {
	s, store := newServed(t, ObjectsOptions{}), newCartStore()
	s.export(PerSession, store, ExportOptions{})
	for _, tt := range []struct {
		peer     Peer
		metadata Metadata
		want     string
	}{
		{Peer{Protocol: "xmlrpc"}, nil, "a call by xmlrpc has none"},
		{Peer{Protocol: "json"}, nil, "a call by json has none"},
		{Peer{Protocol: "mesh"}, nil, "the caller did not say who it is"},
		{Peer{Protocol: "mesh"}, Metadata{metadataForwarded: "json 1.2.3.4"}, "a call that a gateway passes on has none"},
	} {
		call, err := NewCall(t.Context(), "cart", "add", "x")
		if err != nil {
			t.Fatal(err)
		}
		call.Peer, call.Metadata = tt.peer, tt.metadata
		_, err = s.objects.Handle(t.Context(), call)
		wantError(t, err, FailedPrecondition, NotExecuted, "cart has an instance for each session, and "+tt.want+"; call it by RMI")
	}
	if store.made.Load() != 0 {
		t.Errorf("%d carts were made, want none", store.made.Load())
	}
}

func TestInstancesAreBounded(t *testing.T) {
	t.Run("in all", func(t *testing.T) {
		for _, scope := range []Scope{PerSession, PerCall} {
			s, store := newServed(t, ObjectsOptions{MaxInstances: 2}), newCartStore()
			s.export(scope, store, ExportOptions{})
			alice, bob := s.client("alice"), s.client("bob")
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 2)
			for _, h := range []Handler{alice, bob} {
				go func() {
					_, err := Invoke(ctx, h, "cart", "wait")
					ended <- err
				}()
				waitFor(t, "the method", store.waiting)
			}
			carol := s.client("carol")
			_, err := Invoke(t.Context(), carol, "cart", "add", "x")
			wantError(t, err, ResourceExhausted, NotExecuted, "cart: this node has 2 instances of objects, and no more are allowed")
			cancel()
			waitFor(t, "the calls", ended)
			alice.Close()
			waitFor(t, "a cart to be closed", store.closed)
			waitUntil(t, "room for another", func() bool {
				_, err := Invoke(t.Context(), carol, "cart", "add", "x")
				return err == nil
			})
		}
	})
	t.Run("in a session", func(t *testing.T) {
		s, store := newServed(t, ObjectsOptions{}), newCartStore()
		for i := range MaxSessionInstances + 1 {
			if err := s.objects.Export(naming.Name(fmt.Sprint("cart", i)), NewFactory(PerSession, store.new), ExportOptions{Methods: []string{"sum"}}); err != nil {
				t.Fatal(err)
			}
		}
		alice := s.client("alice")
		for i := range MaxSessionInstances {
			if _, err := Invoke(t.Context(), alice, naming.Name(fmt.Sprint("cart", i)), "sum"); err != nil {
				t.Fatal(err)
			}
		}
		last := naming.Name(fmt.Sprint("cart", MaxSessionInstances))
		_, err := Invoke(t.Context(), alice, last, "sum")
		wantError(t, err, ResourceExhausted, NotExecuted, "this session has an instance of 1024 objects")
		if _, err := Invoke(t.Context(), s.client("bob"), last, "sum"); err != nil {
			t.Errorf("another session: %v", err)
		}
	})
}

// What Close fails or panics with is in the log, and costs nothing else.
func TestACloseThatFailsIsLogged(t *testing.T) {
	var log lockedBuffer
	s, store := newServed(t, ObjectsOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}), newCartStore()
	s.export(PerCall, store, ExportOptions{})
	for i, want := range []string{"closed badly", "no close"} {
		store.closePanics.Store(i == 1)
		add(t, s.objects)
		waitUntil(t, "the log", func() bool { return strings.Contains(log.String(), want) })
	}
	if !strings.Contains(log.String(), "object=cart") {
		t.Errorf("got the log %q, want the object's name", log.String())
	}
}

func TestTheFactoryLearnsWhoseInstanceItMakes(t *testing.T) {
	s, store := newServed(t, ObjectsOptions{}), newCartStore()
	s.export(PerSession, store, ExportOptions{})
	ctxs := make(chan context.Context, 1)
	store.before = func(ctx context.Context) error {
		ctxs <- ctx
		return nil
	}
	alice := s.client("alice")
	add(t, alice)
	ctx := waitFor(t, "the factory", ctxs)
	if sess := SessionFrom(ctx); sess == nil || sess.Node() != "alice" || ctx.Err() != nil {
		t.Errorf("got %v, %v, want the session of alice, and a context that lives", sess, ctx.Err())
	}
	alice.Close()
	waitFor(t, "the instance's end", ctx.Done())
	if cause := context.Cause(ctx); !errors.Is(cause, errLeaseOver) {
		t.Errorf("got the cause %v, want the lease", cause)
	}
}

func TestExportErrorsOfFactories(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	for want, f := range map[string]Factory{
		"use NewFactory": {},
		"must be Shared": NewFactory("many", newCartStore().new),
		"no function":    NewFactory[*cart](Shared, nil),
		"no exported methods": NewFactory(Shared, func(context.Context) (*bytes.Reader, error) {
			return nil, nil
		}),
	} {
		opts := ExportOptions{}
		if want == "no exported methods" {
			f = NewFactory(Shared, func(context.Context) (struct{}, error) { return struct{}{}, nil })
		}
		if err := o.Export("x", f, opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
