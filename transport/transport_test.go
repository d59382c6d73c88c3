package transport

import (
	"context"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"farcall.dev/internal/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen before it gives up. It
// is no assertion about time, and long because a busy machine is slow.
const patience = time.Minute

// eventually waits until done reports true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// pass lets d pass on the clock of a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// wait waits for a channel to be closed.
func wait(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case <-ch:
	case <-deadline.C:
		t.Fatalf("waited %v in vain for %s", patience, what)
	}
}

// soon returns a context that ends with the test or when patience does.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// maker makes a session and returns its two ends, closed when the test ends.
type maker func(t testing.TB, a, b Options) (Session, Session)

// makers are the kinds of sessions that must keep the contract.
var makers = []struct {
	name string
	make maker
}{
	{"pipe", func(t testing.TB, a, b Options) (Session, Session) { return keep(t)(Pipe(a, b)) }},
	{"memnet", func(t testing.TB, a, b Options) (Session, Session) {
		near, far := memConn(t, memnet.New(memnet.Options{}))
		return join(t, near, far, a, b)
	}},
	{"tcp", func(t testing.TB, a, b Options) (Session, Session) {
		near, far := tcpConn(t)
		return join(t, near, far, a, b)
	}},
}

func eachMaker(t *testing.T, test func(t *testing.T, make maker)) {
	t.Helper()
	for _, m := range makers {
		t.Run(m.name, func(t *testing.T) { test(t, m.make) })
	}
}

// keep closes sessions when the test ends.
func keep(t testing.TB) func(a, b Session) (Session, Session) {
	return func(a, b Session) (Session, Session) {
		t.Cleanup(func() {
			a.Close()
			b.Close()
		})
		return a, b
	}
}

// join makes the two ends of a connection a session.
func join(t testing.TB, near, far net.Conn, a, b Options) (Session, Session) {
	t.Helper()
	type result struct {
		s   Session
		err error
	}
	served := make(chan result, 1)
	go func() {
		s, err := Server(context.Background(), far, b)
		served <- result{s, err}
	}()
	c, err := Client(context.Background(), near, a)
	r := <-served
	if err != nil || r.err != nil {
		t.Fatalf("client: %v; server: %v", err, r.err)
	}
	return keep(t)(c, r.s)
}

// memConn returns a connection from host a to host b of n.
func memConn(t testing.TB, n *memnet.Network) (near, far net.Conn) {
	t.Helper()
	l, err := n.Listen("b:0")
	if err != nil {
		t.Fatal(err)
	}
	near, err = n.Dial(context.Background(), "a", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// tcpConn returns a connection over the loopback interface.
func tcpConn(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// openPair opens a stream at a and returns both ends of it.
func openPair(t testing.TB, a, b Session) (near, far Stream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	near, err := a.Open(ctx)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	far, err = b.Accept(ctx)
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	return near, far
}
