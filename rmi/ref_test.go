package rmi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// refNode is a process of a test: a Space, what it serves, and its way to others.
type refNode struct {
	t       testing.TB
	space   *Space
	objects *Objects
	hello   transport.Hello
	conns   map[naming.NodeID]*Conn
}

// newRefNode returns a process without connections. Edit may be nil.
func newRefNode(t testing.TB, name naming.NodeID, edit func(*SpaceOptions)) *refNode {
	t.Helper()
	n := &refNode{t: t, conns: make(map[naming.NodeID]*Conn), hello: transport.Hello{Node: string(name), Incarnation: 1}}
	opts := SpaceOptions{Node: name, Incarnation: 1}
	if edit != nil {
		edit(&opts)
	}
	n.hello.Incarnation = uint64(opts.Incarnation)
	n.space = NewSpace(opts)
	n.space.exchanges.poison = true
	n.objects = NewObjects(ObjectsOptions{Space: n.space})
	t.Cleanup(n.space.Close)
	return n
}

// connect connects n to m, and returns both ends.
func (n *refNode) connect(m *refNode) (*Conn, *Conn) {
	n.t.Helper()
	sn, sm := transport.Pipe(transport.Options{Hello: n.hello}, transport.Options{Hello: m.hello})
	a := NewConn(sn, n.objects, ConnOptions{Space: n.space})
	b := NewConn(sm, m.objects, ConnOptions{Space: m.space})
	n.conns[m.space.opts.Node], m.conns[n.space.opts.Node] = a, b
	n.t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

// export exports v as name.
func (n *refNode) export(name naming.Name, v any) {
	n.t.Helper()
	if err := n.objects.Export(name, v, ExportOptions{}); err != nil {
		n.t.Fatal(err)
	}
}

// to returns the way from n to m, which are connected.
func (n *refNode) to(m *refNode) Handler { return n.conns[m.space.opts.Node] }

// refPair returns a client that is connected to a server.
func refPair(t testing.TB, edit func(*SpaceOptions)) (client, server *refNode) {
	t.Helper()
	client, server = newRefNode(t, "client", edit), newRefNode(t, "server", edit)
	client.connect(server)
	return client, server
}

// counter is an object with nothing to travel as a value.
type counter struct {
	mu    sync.Mutex
	n     int
	ended chan struct{} // may be nil
}

func (c *counter) Add(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	return c.n
}

func (c *counter) Unreferenced() {
	if c.ended != nil {
		c.ended <- struct{}{}
	}
}

// adder is a counter to those who use it.
type adder interface{ Add(n int) (int, error) }

// localAdder implements adder here.
type localAdder struct{ counter }

func (l *localAdder) Add(n int) (int, error) { return l.counter.Add(n), nil }

// adderProxy implements adder for one elsewhere.
type adderProxy struct{ ref *Ref }

func (p adderProxy) Ref() *Ref { return p.ref }

func (p adderProxy) Add(n int) (int, error) {
	return InvokeAs[int](context.Background(), p.ref, p.ref.Object(), "add", n)
}

func withAdder(o *SpaceOptions) {
	o.Proxies = []Proxy{ProxyOf[adder](func(r *Ref) adder { return adderProxy{r} })}
}

// stubAdder is an adder as a struct of funcs.
type stubAdder struct {
	Handle *Ref
	Add    func(ctx context.Context, n int) (int, error)
}

// holder carries references inside values.
type holder struct {
	Name  string
	One   *Ref
	Many  []*Ref
	ByKey map[string]*Ref
	Any   any
}

// bench is the object that the tests of references call.
type bench struct {
	space *Space
	mu    sync.Mutex
	own   *counter
	last  any
}

func (b *bench) keep(v any) { b.mu.Lock(); b.last = v; b.mu.Unlock() }

func (b *bench) Own() *counter                                      { return b.own }
func (b *bench) IsOwn(c *counter) bool                              { b.keep(c); return c == b.own }
func (b *bench) IsOwnAny(v any) bool                                { b.keep(v); return v == any(b.own) }
func (b *bench) OwnInside() holder                                  { return b.inside(b.own) }
func (b *bench) NewRef() (*Ref, error)                              { return b.space.Export(&counter{}, ExportOptions{}) }
func (b *bench) TakeRef(r *Ref) string                              { b.keep(r); return r.String() }
func (b *bench) TakeHolder(h holder) holder                         { b.keep(h); return h }
func (b *bench) TakeAny(v any) string                               { b.keep(v); return fmt.Sprintf("%T", v) }
func (b *bench) Echo(r *Ref) *Ref                                   { return r }
func (b *bench) AddTo(a adder) (int, error)                         { b.keep(a); return a.Add(5) }
func (b *bench) Adder() adder                                       { return new(localAdder) }
func (b *bench) NoAdder() adder                                     { return nil }
func (b *bench) Func() func(string) error                           { return func(s string) error { b.keep(s); return nil } }
func (b *bench) Stub(ctx context.Context, s stubAdder) (int, error) { return s.Add(ctx, 7) }

func (b *bench) Call(ctx context.Context, f func(context.Context, string) (string, error)) (string, error) {
	return f(ctx, "hello")
}

func (b *bench) AllAdd(adders ...adder) (sum int, err error) {
	for _, a := range adders {
		n, err := a.Add(1)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func (b *bench) inside(c *counter) holder {
	ref, err := b.space.Export(c, ExportOptions{})
	if err != nil {
		panic(err)
	}
	return holder{Name: "h", One: ref, Many: []*Ref{ref, nil}, ByKey: map[string]*Ref{"k": ref}, Any: ref}
}

// benchPair returns a client and a server that serves a bench.
func benchPair(t testing.TB) (client, server *refNode, b *bench) {
	t.Helper()
	client, server = refPair(t, withAdder)
	b = &bench{space: server.space, own: &counter{ended: make(chan struct{}, 8)}}
	server.export("bench", b)
	return client, server, b
}

// call calls a method of bench on m.
func call[T any](t testing.TB, n, m *refNode, method string, args ...any) T {
	t.Helper()
	v, err := InvokeAs[T](t.Context(), n.to(m), "bench", method, args...)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return v
}

func TestRefResultIsCalled(t *testing.T) {
	client, server, b := benchPair(t)
	ref := call[*Ref](t, client, server, "own")
	if ref.Node() != "server" || ref.Type() != "*rmi.counter" || ref.String() != "<reference to *rmi.counter on server>" {
		t.Errorf("got %v on %s, want a *rmi.counter on server", ref, ref.Node())
	}
	for want := int64(2); want <= 4; want += 2 {
		if got, err := ref.Invoke(t.Context(), "add", 2); err != nil || got != want {
			t.Errorf("got %v, %v, want %d", got, err, want)
		}
	}
	var stub stubAdder
	if err := ref.Bind(&stub); err != nil {
		t.Fatal(err)
	}
	if got, err := stub.Add(t.Context(), 1); err != nil || got != 5 || b.own.n != 5 {
		t.Errorf("got %d, %v, the counter has %d, want 5", got, err, b.own.n)
	}
	if again := call[any](t, client, server, "own"); again != any(ref) || stub.Handle != ref {
		t.Errorf("got another Ref for the same object, want one: %p, %p and %p", ref, again, stub.Handle)
	}
}

func TestRefComesHomeAsItself(t *testing.T) {
	client, server, b := benchPair(t)
	ref := call[*Ref](t, client, server, "own")
	for _, method := range []string{"is_own", "is_own_any"} {
		if !call[bool](t, client, server, method, ref) {
			t.Errorf("%s: got %#v, want the object itself", method, b.last)
		}
	}
	if got := call[string](t, client, server, "take_any", map[string]any{"x": []any{ref}}); got != "map[string]interface {}" ||
		b.last.(map[string]any)["x"].([]any)[0] != any(b.own) {
		t.Errorf("got %#v, want the object itself inside", b.last)
	}
	if got := call[string](t, client, server, "take_ref", ref); got != ref.String() || b.last.(*Ref).space != server.space {
		t.Errorf("got %v, want the server's own Ref", b.last)
	}
	_, err := Invoke(t.Context(), client.to(server), "bench", "is_own", &counter{})
	wantError(t, err, InvalidArgument, NotExecuted, "only an object of this process fits")
	_, err = Invoke(t.Context(), client.to(server), "bench", "is_own", "text")
	wantError(t, err, InvalidArgument, NotExecuted, "want reference, got a string")
}

func TestRefsTravelInsideValues(t *testing.T) {
	client, server, _ := benchPair(t)
	h := call[holder](t, client, server, "own_inside")
	if h.One == nil || h.Many[0] != h.One || h.Many[1] != nil || h.ByKey["k"] != h.One || h.Any != any(h.One) || h.Name != "h" {
		t.Errorf("got %+v, want the same Ref everywhere", h)
	}
	back := call[holder](t, client, server, "take_holder", h)
	if back.One != h.One || back.Many[0] != h.One || back.ByKey["k"] != h.One {
		t.Errorf("got %+v, want what was sent", back)
	}
	all := call[map[string]any](t, client, server, "own_inside")
	if all["One"] != any(h.One) || all["Any"] != any(h.One) {
		t.Errorf("got %+v, want the same Ref everywhere", all)
	}
}

func TestInterfaceTravelsByReference(t *testing.T) {
	client, server, b := benchPair(t)
	mine := new(localAdder)
	if got := call[int](t, client, server, "add_to", adder(mine)); got != 5 || mine.n != 5 {
		t.Errorf("got %d, and the adder has %d, want 5", got, mine.n)
	}
	if p, ok := b.last.(adderProxy); !ok || p.ref.Node() != "client" {
		t.Errorf("got a %T, want a proxy", b.last)
	}
	if got := call[int](t, client, server, "all_add", mine, mine, new(localAdder)); got != 6+7+1 {
		t.Errorf("got %d, want 14", got)
	}
	theirs := call[adder](t, client, server, "adder")
	for want := 3; want <= 6; want += 3 {
		if got, err := theirs.Add(3); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	if got := call[int](t, client, server, "add_to", theirs); got != 11 {
		t.Errorf("got %d, want 11", got)
	}
	if p, ok := b.last.(*localAdder); !ok || p.n != 11 {
		t.Errorf("got a %T, want the server's own object", b.last)
	}
	if got := call[adder](t, client, server, "no_adder"); got != nil {
		t.Errorf("got %v, want nil", got)
	}
}

// byName stands for an object elsewhere by its name, and so has no reference.
type byName struct{ localAdder }

func (*byName) Ref() *Ref { return nil }

func TestWhatCallsByNameIsPassedOnAsAnObject(t *testing.T) {
	client, server, _ := benchPair(t)
	var stub struct {
		AddTo func(ctx context.Context, a adder) (int, error)
	}
	if err := Bind(client.to(server), "bench", &stub); err != nil {
		t.Fatal(err)
	}
	if got, err := stub.AddTo(t.Context(), new(byName)); got != 5 || err != nil {
		t.Errorf("as an interface: got %d, %v, want 5", got, err)
	}
	_, err := Invoke(t.Context(), client.to(server), "bench", "add_to", new(byName))
	wantError(t, err, InvalidArgument, NotExecuted, "it calls by a name; pass the name")
}

func TestFuncsTravelByReference(t *testing.T) {
	client, server, b := benchPair(t)
	got := call[string](t, client, server, "call", func(ctx context.Context, s string) (string, error) {
		if info, ok := CallFrom(ctx); !ok || info.Peer.Node != "server" {
			return "", fmt.Errorf("called by %v", info.Peer)
		}
		return s + " back", nil
	})
	if got != "hello back" {
		t.Errorf("got %q, want %q", got, "hello back")
	}
	_, err := Invoke(t.Context(), client.to(server), "bench", "call", func(string) (string, error) { return "", errors.New("no") })
	wantError(t, err, Unknown, Executed, "no")
	f := call[func(context.Context, string) error](t, client, server, "func")
	if err := f(t.Context(), "called"); err != nil || b.last != "called" {
		t.Errorf("got %v, the func saw %v, want called", err, b.last)
	}
}

func TestStructsOfFuncsTravelByReference(t *testing.T) {
	client, server, _ := benchPair(t)
	mine := stubAdder{Add: func(_ context.Context, n int) (int, error) { return n * 2, nil }}
	if got := call[int](t, client, server, "stub", mine); got != 14 {
		t.Errorf("got %d, want 14", got)
	}
	if got := call[int](t, client, server, "stub", &mine); got != 14 {
		t.Errorf("got %d, want 14", got)
	}
	theirs := call[*Ref](t, client, server, "own")
	var bound stubAdder
	if err := theirs.Bind(&bound); err != nil {
		t.Fatal(err)
	}
	if back := call[*Ref](t, client, server, "echo", bound); back != theirs {
		t.Errorf("got %v, want the reference that the stub calls", back)
	}
}

func TestNamedObjectTravelsByReference(t *testing.T) {
	client, server, b := benchPair(t)
	type named struct{ *counter }
	server.export("counter", b.own)
	ref := call[*Ref](t, client, server, "own")
	if got, err := ref.Invoke(t.Context(), "add", 3); err != nil || got != int64(3) {
		t.Errorf("got %v, %v, want 3", got, err)
	}
	if s := server.space.Stats(); s.Exported != 2 || s.Waiting != 0 {
		t.Errorf("got %+v, want two objects that are kept by their names", s)
	}
	if err := server.objects.Export("#AAAAAAAAAAAAAAAA", &named{}, ExportOptions{}); err == nil || !strings.Contains(err.Error(), "objects without a name") {
		t.Errorf("got %v, want that the name is refused", err)
	}
}

func TestCallbackWhileTheCallRuns(t *testing.T) {
	client, server := refPair(t, nil)
	// Each side calls the other's object while the other waits for it.
	server.export("bench", &pingPong{server.space})
	client.export("other", &pingPong{client.space})
	mine, err := client.space.Export(&pingPong{client.space}, ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, depth := range []int{0, 1, 2, 20} {
		if got := call[int](t, client, server, "down", mine, depth); got != depth {
			t.Errorf("got %d, want %d", got, depth)
		}
	}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			got, err := InvokeAs[int](t.Context(), client.to(server), "bench", "down", mine, 12)
			if err != nil || got != 12 {
				t.Errorf("got %d, %v, want 12", got, err)
			}
		})
	}
	all.Wait()
}

// pingPong calls back until the depth is reached.
type pingPong struct{ space *Space }

func (p *pingPong) Down(ctx context.Context, back *Ref, depth int) (int, error) {
	if depth == 0 {
		return 0, nil
	}
	n, err := InvokeAs[int](ctx, back, "", "down", p, depth-1)
	return n + 1, err
}

func TestCancelFollowsTheChain(t *testing.T) {
	client, server := refPair(t, nil)
	began, ended := make(chan struct{}), make(chan error, 1)
	server.export("bench", &pingPong{server.space})
	f := func(ctx context.Context, _ any, _ int) (int, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return 0, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Invoke(ctx, client.to(server), "bench", "down", waiter(f), 1)
		done <- err
	}()
	<-began
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the callback's context ended with %v, want canceled", err)
	}
}

func TestDeadlineFollowsTheChain(t *testing.T) {
	client, server := refPair(t, nil)
	server.export("bench", &pingPong{server.space})
	until := make(chan time.Time, 1)
	f := func(ctx context.Context, _ any, _ int) (int, error) {
		deadline, _ := ctx.Deadline()
		until <- deadline
		return 7, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := Invoke(ctx, client.to(server), "bench", "down", waiter(f), 1); err != nil {
		t.Fatal(err)
	}
	want, _ := ctx.Deadline()
	if got := <-until; got.Before(want.Add(-time.Minute)) || got.After(want.Add(time.Minute)) {
		t.Errorf("the callback has until %v, want %v, as its caller", got, want)
	}
}

// waiter is a method Down.
type waiterStub struct {
	Down func(ctx context.Context, back any, depth int) (int, error)
}

func waiter(f func(context.Context, any, int) (int, error)) waiterStub { return waiterStub{f} }
