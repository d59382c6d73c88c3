package rmi

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// breaking is a Resolver and a Dialer of one node, "b", whose connections break:
// after as many bytes as budget says of each, there and back. Negative: never.
type breaking struct {
	t              testing.TB
	client, server *Space
	// handler serves the node; callers what the caller is called by.
	handler, callers Handler
	budget           func() (there, back int64)
	// settle, when not nil, is run after the last bytes, so that they arrive.
	settle func()
	opts   ConnOptions

	mu     sync.Mutex
	conn   *Conn
	down   bool
	closed bool
	cuts   int
	conns  []*Conn
	ends   sync.WaitGroup
}

// newBreaking returns a node whose connections hold. It ends with the test.
func newBreaking(t testing.TB, h Handler) *breaking {
	b := &breaking{t: t, handler: h, budget: func() (int64, int64) { return -1, -1 },
		client: NewSpace(SpaceOptions{Node: "a", Incarnation: 1}),
		server: NewSpace(SpaceOptions{Node: "b", Incarnation: 2}),
	}
	b.client.exchanges.poison, b.server.exchanges.poison = true, true
	t.Cleanup(b.close)
	return b
}

func (b *breaking) close() {
	b.mu.Lock()
	conns := b.conns
	b.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	b.ends.Wait()
	b.client.Close()
	b.server.Close()
}

func (b *breaking) Resolve(context.Context, naming.Name) (*naming.Entry, error) {
	return entryOf(1, func(_ int, inst *naming.Instance) { inst.Node = "b" }), nil
}

func (b *breaking) Get(context.Context, string) (*Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, transport.ErrClosed
	}
	if b.down {
		return nil, refusal(Unavailable, "nobody listens")
	}
	if b.conn != nil && b.conn.Err() == nil {
		return b.conn, nil
	}
	hello := func(s *Space) transport.Options {
		return transport.Options{Hello: transport.Hello{Node: string(s.opts.Node), Incarnation: uint64(s.opts.Incarnation)}}
	}
	sa, sb := transport.Pipe(hello(b.client), hello(b.server))
	there, back := b.budget()
	var once sync.Once
	cut := func() {
		once.Do(func() {
			if b.settle != nil {
				b.settle()
			}
			b.ends.Go(func() {
				sa.Close()
				sb.Close()
			})
			b.mu.Lock()
			b.cuts++
			b.mu.Unlock()
		})
	}
	wrap := func(s transport.Session, budget int64) transport.Session {
		cs := &cutSession{Session: s, cut: cut, limited: budget >= 0}
		cs.left.Store(budget)
		return cs
	}
	oa, ob := b.opts, b.opts
	oa.Space, ob.Space = b.client, b.server
	server := NewConn(wrap(sb, back), b.handler, ob)
	b.conn = NewConn(wrap(sa, there), b.callers, oa)
	b.conns = append(b.conns, server, b.conn)
	return b.conn, nil
}

// router returns the way to the node.
func (b *breaking) router() *Router { return NewRouter(b, b, RouterOptions{}) }

// cutSession is a session that is cut after some bytes that this side sends.
type cutSession struct {
	transport.Session
	cut     func()
	limited bool
	left    atomic.Int64
}

func (s *cutSession) Lane() transport.Lane {
	if !s.limited {
		return s.Session.Lane()
	}
	return &cutLane{Lane: s.Session.Lane(), session: s}
}

// cutLane is the lane of a cutSession.
type cutLane struct {
	transport.Lane
	session *cutSession
	before  int         // bytes in the buffer when it was locked
	short   atomic.Bool // some bytes were lost on their way
}

// Given counts what was lost on its way.
func (l *cutLane) Given() uint64 {
	if l.short.Load() {
		return 1 << 62
	}
	return l.Lane.Given()
}

func (l *cutLane) Lock(ctx context.Context, room int) ([]byte, error) {
	b, err := l.Lane.Lock(ctx, room)
	l.before = len(b)
	return b, err
}

func (l *cutLane) TryLock(room int) ([]byte, bool, error) {
	b, ok, err := l.Lane.TryLock(room)
	if ok {
		l.before = len(b)
	}
	return b, ok, err
}

func (l *cutLane) Unlock(b []byte, lone bool) uint64 {
	n := int64(len(b) - l.before)
	left := l.session.left.Add(-n) + n
	if left >= n {
		return l.Lane.Unlock(b, lone)
	}
	l.short.Store(true)
	end := l.Lane.Unlock(b[:l.before+int(max(left, 0))], lone)
	l.session.cut()
	return max(end, 1)
}

func (l *cutLane) Bulk(ctx context.Context, tag uint64, data []byte) error {
	n := int64(len(data))
	left := l.session.left.Add(-n) + n
	if left >= n {
		return l.Lane.Bulk(ctx, tag, data)
	}
	l.Lane.Bulk(ctx, tag, data[:max(left, 0)])
	l.session.cut()
	return transport.ErrReset
}

// countingNode returns a node whose function "count" counts its calls by an id,
// and answers with the id and how often it has had it.
func countingNode(t testing.TB) (b *breaking, executed func() map[int]int) {
	b = newBreaking(t, nil)
	var mu sync.Mutex
	calls := map[int]int{}
	b.handler = exportIn(t, b.server, "count", func(ctx context.Context, id int, ballast []byte) (int, int, []byte) {
		mu.Lock()
		defer mu.Unlock()
		calls[id]++
		return id, calls[id], ballast
	})
	return b, func() map[int]int {
		mu.Lock()
		defer mu.Unlock()
		return calls
	}
}

// counted is what count returns.
type counted struct {
	_       struct{} `cbor:",toarray"`
	ID      int
	Times   int
	Ballast []byte
}

// A call whose connection breaks after whatever byte, on the way there or back,
// is carried out once and gets its answer.
func TestRetryAfterACutAtEveryByte(t *testing.T) {
	for _, tc := range []struct {
		name        string
		size        int
		step        int64
		back, short bool // short: the last bytes do not arrive
	}{
		{"request", 10, 1, false, false},
		{"reply", 10, 1, true, false},
		{"reply that is lost whole", 10, 1, true, true},
		{"large request", LargePayload + 100, 1009, false, false},
		{"large reply", LargePayload + 100, 1009, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			points := 0
			for k, done := int64(0), false; !done; k += tc.step {
				synctest.Test(t, func(t *testing.T) {
					b, executed := countingNode(t)
					b.budget = func() (int64, int64) {
						switch {
						case b.cuts > 0:
							return -1, -1
						case tc.back:
							return -1, k
						}
						return k, -1
					}
					if !tc.short {
						b.settle = synctest.Wait
					}
					got, err := InvokeAs[counted](t.Context(), b.router(), "count", "", 7, make([]byte, tc.size))
					if err != nil || got.ID != 7 || got.Times != 1 || len(got.Ballast) != tc.size || executed()[7] != 1 {
						t.Fatalf("cut after %d bytes: got %d, %d and %d bytes, error %v, carried out %d times; want 7, 1 and %d bytes, once",
							k, got.ID, got.Times, len(got.Ballast), err, executed()[7], tc.size)
					}
					synctest.Wait()
					if b.cuts == 0 {
						done = true
					} else {
						points++
					}
					b.close()
				})
			}
			if points < 10 {
				t.Errorf("the connection was cut at %d points, want more than 10", points)
			}
		})
	}
}

// Many callers while connections are cut anywhere: each call is carried out once
// and gets its own answer, and nothing but the last answers is kept.
func TestRetryAmongRandomCuts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	b, executed := countingNode(t)
	b.budget = func() (int64, int64) { return 200 + random.Int64N(20_000), 200 + random.Int64N(20_000) }
	r := b.router()
	const callers, calls = 16, 50
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := range calls {
				id := caller*calls + i
				size := 10
				if i%10 == 0 {
					size = 3000
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				got, err := InvokeAs[counted](ctx, r, "count", "", id, make([]byte, size))
				for err != nil && failure(t, err).Execution == NotExecuted { // and there is no other instance
					got, err = InvokeAs[counted](ctx, r, "count", "", id, make([]byte, size))
				}
				cancel()
				if err != nil || got.ID != id || got.Times != 1 {
					t.Errorf("call %d: got %d, %d, %v, want its own answer, and that it was carried out once", id, got.ID, got.Times, err)
				}
			}
		})
	}
	all.Wait()
	for id := range callers * calls {
		if n := executed()[id]; n != 1 {
			t.Errorf("call %d was carried out %d times, want once", id, n)
		}
	}
	if b.cuts < 10 {
		t.Errorf("connections were cut %d times, want more than 10", b.cuts)
	}
	t.Logf("%d cuts", b.cuts)
	if s := b.server.Stats(); s.Records > callers || s.Sessions != 1 {
		t.Errorf("got %+v, want one session and no more records than callers", s)
	}
}

// callAndCut makes a call of b with ctx and, when it has begun, runs after and cuts
// its connection. began has the context of the method, and of each further time
// that it is carried out; it returns when released.
func callAndCut(ctx context.Context, t *testing.T, b *breaking, after func()) (result chan error, began chan context.Context, release chan struct{}) {
	result, began, release = make(chan error, 1), make(chan context.Context, 10), make(chan struct{})
	b.handler = exportIn(t, b.server, "work", func(ctx context.Context) (string, error) {
		began <- ctx
		select {
		case <-release:
			return "done", nil
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	})
	go func() {
		got, err := InvokeAs[string](ctx, b.router(), "work", "")
		if err == nil && got != "done" {
			err = fmt.Errorf("got %q", got)
		}
		result <- err
	}()
	served := <-began
	synctest.Wait()
	after()
	b.conn.session.Close()
	began <- served
	return result, began, release
}

// A method goes on while its caller's connection is away, and the copy of the
// call gets what it returns.
func TestRetryWaitsForACallThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaking(t, nil)
		result, began, release := callAndCut(t.Context(), t, b, func() {})
		ctx := <-began
		<-time.After(time.Second) // connected again
		if ctx.Err() != nil {
			t.Errorf("the method's context ended: %v", context.Cause(ctx))
		}
		close(release)
		if err := <-result; err != nil {
			t.Error(err)
		}
		if len(began) > 0 {
			t.Error("the call was carried out twice")
		}
		b.close()
	})
}

// A caller that gives up while it waits by a copy ends the method.
func TestRetryGivenUpEndsTheMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaking(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		result, began, _ := callAndCut(ctx, t, b, func() {})
		served := <-began
		<-time.After(time.Second) // connected again
		start := time.Now()
		cancel()
		wantError(t, <-result, Canceled, Executed, "")
		<-served.Done()
		if took := time.Since(start); took != 0 || context.Cause(served) != errCallerGaveUp {
			t.Errorf("the method's context ended after %v because of %v, want at once because the caller gave up", took, context.Cause(served))
		}
		b.close()
	})
}

// A node that cannot be reached again: the caller learns that the call may have
// been executed, and the method ends when nobody has come for it.
func TestRetryEndsWhenTheNodeIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaking(t, nil)
		result, began, _ := callAndCut(t.Context(), t, b, func() { b.mu.Lock(); b.down = true; b.mu.Unlock() })
		start := time.Now()
		err := <-result
		wantError(t, err, Unavailable, Executed, "call work may have been executed: the connection to node b broke while the call was under way")
		wantError(t, err, Unavailable, Executed, "the node could not be reached again within 3s: nobody listens")
		if took := time.Since(start); took != DefaultReconnect {
			t.Errorf("it took %v, want %v", took, DefaultReconnect)
		}
		<-(<-began).Done()
		if took := time.Since(start); took > orphanGrace {
			t.Errorf("the method went on for %v, want %v", took, orphanGrace)
		}
		b.close()
	})
}

// Who leaves waits for nobody: when this side's session has ended, or it dials no
// more, a call in doubt fails at once.
func TestRetryEndsWithThisSide(t *testing.T) {
	for name, leave := range map[string]func(*breaking){
		"space closed": func(b *breaking) { b.client.Close() },
		"pool closed":  func(b *breaking) { b.mu.Lock(); b.closed = true; b.mu.Unlock() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaking(t, nil)
				start := time.Now()
				result, _, _ := callAndCut(t.Context(), t, b, func() { leave(b) })
				wantError(t, <-result, Unavailable, Executed, "call work may have been executed")
				if took := time.Since(start); took > 2*resendMin {
					t.Errorf("it took %v, want no longer than the first pause", took)
				}
				b.close()
			})
		})
	}
}

// A node that has started anew knows nothing of the call: nothing is sent to it.
func TestRetryDoesNotGoToAnotherIncarnation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaking(t, nil)
		again := NewSpace(SpaceOptions{Node: "b", Incarnation: 3})
		old := b.server
		result, began, _ := callAndCut(t.Context(), t, b, func() { b.mu.Lock(); b.server = again; b.mu.Unlock() })
		<-began
		err := <-result
		wantError(t, err, Unavailable, Executed, "call work may have been executed: the connection to node b broke while the call was under way")
		wantError(t, err, Unavailable, Executed, "the node has started anew since")
		if len(began) > 0 {
			t.Error("the call was carried out by the new start of the node")
		}
		old.Close()
		b.close()
	})
}

// Two sides need not think alike of when their session ended: a call that was
// carried out in one that the server has given up is not carried out again, and
// the calls that follow are.
func TestRetryOutlivesNoSessionOfTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, executed := countingNode(t)
		r := b.router()
		if _, err := Invoke(t.Context(), r, "count", "", 1, []byte{}); err != nil {
			t.Fatal(err)
		}
		b.settle = func() {
			for _, s := range b.server.Sessions() {
				s.end(errLeaseOver)
			}
		}
		b.conn.Close()
		before := b.cuts
		b.budget = func() (int64, int64) { // the next reply is lost, and the session with it
			if b.cuts == before {
				return -1, 0
			}
			return -1, -1
		}
		_, err := Invoke(t.Context(), r, "count", "", 2, []byte{})
		wantError(t, err, FailedPrecondition, Executed, "call count may have been executed, and cannot be answered again")
		for _, s := range b.client.Sessions() {
			s.end(errLeaseOver)
		}
		b.conn.Close()
		for id := 3; id < 6; id++ {
			if _, err := Invoke(t.Context(), r, "count", "", id, []byte{}); err != nil {
				t.Errorf("call %d: %v", id, err)
			}
		}
		for id := 1; id < 6; id++ {
			if n := executed()[id]; n != 1 {
				t.Errorf("call %d was carried out %d times, want once", id, n)
			}
		}
		b.close()
	})
}

// What the owner declared idempotent is not recorded, and what the caller did
// has no number and is sent again to the same node when there is no other.
func TestRetryOfIdempotentCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, byOwner := range []bool{true, false} {
			b := newBreaking(t, nil)
			o := NewObjects(ObjectsOptions{Space: b.server})
			calls := 0
			f := func() int { calls++; return calls }
			if err := o.ExportFunc("read", f, ExportOptions{Docs: Docs{Idempotent: map[bool][]string{true: {""}}[byOwner]}}); err != nil {
				t.Fatal(err)
			}
			b.handler, b.settle = o, synctest.Wait
			b.budget = func() (int64, int64) {
				if b.cuts == 0 {
					return -1, 0
				}
				return -1, -1
			}
			call, err := NewCall(t.Context(), "read", "")
			if err != nil {
				t.Fatal(err)
			}
			call.Idempotent = !byOwner
			reply, err := b.router().Handle(t.Context(), call)
			if err != nil || calls != 2 || len(reply.Result.Data) != 1 || reply.Result.Data[0] != 2 {
				t.Errorf("declared by the owner: %v: got %x, %v after %d calls, want 2 after two", byOwner, reply.Result.Data, err, calls)
			}
			if s := b.server.Stats(); s.Records != 0 {
				t.Errorf("declared by the owner: %v: got %+v, want nothing recorded", byOwner, s)
			}
			b.close()
		}
	})
}

// A callback over the caller's own connection is numbered by the other side.
func TestRetryOfCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaking(t, nil)
		calls := 0
		b.callers = exportIn(t, b.client, "back", func() int { calls++; return calls })
		b.settle = synctest.Wait
		b.handler = exportIn(t, b.server, "work", func(ctx context.Context) (int, error) {
			s := SessionFrom(ctx)
			get := func(ctx context.Context) (*Conn, error) {
				if c := s.conn(); c != nil {
					return c, nil
				}
				return nil, refusal(Unavailable, "no connection")
			}
			call, err := NewCall(ctx, "back", "")
			if err != nil {
				return 0, err
			}
			reply, err := sendTo(ctx, call, s.peer, get)
			if err != nil {
				return 0, err
			}
			return int(reply.Result.Data[0]), nil
		})
		b.budget = func() (int64, int64) {
			if b.cuts == 0 {
				return 60, -1 // the answer to the callback is lost
			}
			return -1, -1
		}
		got, err := InvokeAs[int](t.Context(), b.router(), "work", "")
		if err != nil || got != 1 || calls != 1 {
			t.Errorf("got %d, %v after %d calls back, want 1 after one", got, err, calls)
		}
		b.close()
	})
}

// A callback to a peer that its connection is being left by, for which no other
// would be given, goes by that connection.
func TestCallbackWhileTheConnectionIsLeft(t *testing.T) {
	for _, byServer := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaking(t, nil)
			b.callers = exportIn(t, b.client, "back", func() string { return "called" })
			down := make(chan error, 1)
			b.handler = exportIn(t, b.server, "work", func(ctx context.Context) (string, error) {
				leaver := b.conn
				if byServer {
					leaver = CallerConn(ctx)
				}
				go func() { down <- leaver.Shutdown(t.Context()) }()
				synctest.Wait()
				call, err := NewCall(ctx, "back", "")
				if err != nil {
					return "", err
				}
				reply, err := sendTo(ctx, call, SessionFrom(ctx).peer, func(context.Context) (*Conn, error) {
					return nil, refusal(Unavailable, "no connection")
				})
				if err != nil {
					return "", err
				}
				return string(reply.Result.Data[1:]), nil
			})
			got, err := InvokeAs[string](t.Context(), b.router(), "work", "")
			if err != nil || got != "called" {
				t.Errorf("left by the server: %v: got %q, %v, want it to be called back", byServer, got, err)
			}
			if err := <-down; err != nil {
				t.Errorf("shutdown: %v", err)
			}
			b.close()
		})
	}
}

// A Conn by itself numbers nothing, and neither does a Router that has calls
// which cannot be sent twice.
func TestRetryNumbersOnlyWhatCanBeSentAgain(t *testing.T) {
	b, _ := countingNode(t)
	c, err := b.Get(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]*Call{
		"idempotent": {Idempotent: true}, "one way": {Way: OneWay},
		"kept": {keep: new(started)}, "promises": {building: new(building)},
		"streams": {Args: Payload{streams: make([]itemSource, 1)}},
	} {
		if n := c.number(call); n != nil || call.token.seq != 0 {
			t.Errorf("%s: it has a number, want none", name)
		}
	}
	if err := InvokeInto(t.Context(), c, nil, "count", "", 1, []byte{}); err != nil {
		t.Fatal(err)
	}
	if s := b.server.Stats(); s.Records != 0 {
		t.Errorf("a call by a Conn itself: got %+v, want nothing recorded", s)
	}
}
