package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

// oneWay returns callOf with a Way.
func oneWay(way Way, method string, args []byte) *Call {
	call := callOf(method, args)
	call.Way = way
	return call
}

func TestOneWayReturnsBeforeTheMethodAndGetsNoAnswer(t *testing.T) {
	for _, way := range []Way{OneWay, OneWayTaken} {
		for _, size := range []int{0, 100, LargePayload + 1, 1 << 20} {
			t.Run(fmt.Sprint(way, "/", size), func(t *testing.T) {
				release := make(chan struct{})
				got := make(chan Call, 1)
				h := HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
					<-release
					own := *call
					own.Args.Data = bytes.Clone(call.Args.Data)
					got <- own
					return Reply{Result: Payload{Data: make([]byte, 2*LargePayload)}}, errors.New("nobody hears this")
				})
				a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
				args := bytes.Repeat([]byte{7}, size)
				reply, err := a.Handle(t.Context(), oneWay(way, "x", args))
				if err != nil || reply.Result.Data != nil {
					t.Fatalf("got %v, %v, want an empty reply", reply, err)
				}
				close(release)
				call := waitFor(t, "the method", got)
				if !bytes.Equal(call.Args.Data, args) || call.Way != way {
					t.Errorf("the method got %d bytes and way %d, want %d and %d", len(call.Args.Data), call.Way, size, way)
				}
				waitUntil(t, "the call's end", func() bool { return !a.Busy() && !b.Busy() })
				if _, err := a.Ping(t.Context()); err != nil { // whatever was answered came before
					t.Fatal(err)
				}
				want := uint64(1) // PONG
				if way == OneWayTaken {
					want++ // TAKEN
				}
				if size > bulkAhead {
					want++ // GRANT
				}
				if got, s := a.Stats().FramesReceived, b.Stats(); got != want || s.InFlightIn != 0 || s.LargeSent != 0 {
					t.Errorf("the server sent %d frames and has %d calls in flight, want %d and 0", got, s.InFlightIn, want)
				}
			})
		}
	}
}

func TestOneWayTakenLearnsOfARefusal(t *testing.T) {
	h, began, release := held()
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{MaxInFlight: 1})
	defer close(release)
	if _, err := a.Handle(t.Context(), oneWay(OneWayTaken, "wait", nil)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the call", began)
	for _, size := range []int{0, LargePayload + 1} {
		_, err := a.Handle(t.Context(), oneWay(OneWayTaken, "more", make([]byte, size)))
		wantError(t, err, ResourceExhausted, NotExecuted, "1 calls of this connection are in flight")
	}
	if s := b.Stats(); s.Refused != 2 || s.Dropped != 0 {
		t.Errorf("got %d refused and %d dropped, want 2 and 0", s.Refused, s.Dropped)
	}
}

// A large one-way call that is refused does not wait for the rest to be asked for.
func TestOneWayLargeEndsWhenRefused(t *testing.T) {
	h, began, release := held()
	for name, opts := range map[string]ConnOptions{
		"too many":  {MaxInFlight: 1},
		"too large": {MaxInFlight: 2, MaxPayload: bulkAhead},
		"no memory": {MaxInFlight: 2, MaxPayload: 2 * bulkAhead, MaxLargeMemory: 2 * bulkAhead, LargeWait: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := connPair(t, nil, h, ConnOptions{}, opts)
			if _, err := a.Handle(t.Context(), oneWay(OneWay, "wait", make([]byte, bulkAhead))); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the call", began)
			for range 2 {
				sent := make(chan error, 1)
				go func() {
					_, err := a.Handle(t.Context(), oneWay(OneWay, "more", make([]byte, 2*bulkAhead)))
					sent <- err
				}()
				if err := waitFor(t, "the refused call", sent); err != nil {
					t.Errorf("got %v, want none: nobody is told", err)
				}
			}
			if got := b.Stats().Dropped; got != 2 {
				t.Errorf("got %d dropped, want 2", got)
			}
		})
	}
	close(release)
}

// A flood of one-way calls costs the server no more than its limit allows.
func TestOneWayFloodIsDroppedAndCounted(t *testing.T) {
	const n, limit, size = 30_000, 100, 1024
	release := make(chan struct{})
	var ran atomic.Int64
	h := HandlerFunc(func(context.Context, *Call) (Reply, error) {
		<-release
		ran.Add(1)
		return Reply{}, nil
	})
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{MaxInFlight: limit})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	call := oneWay(OneWay, "flood", make([]byte, size))
	for range n {
		if _, err := a.Handle(t.Context(), call); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Ping(t.Context()); err != nil { // every call has been read
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > n*size/4 {
		t.Errorf("%d calls hold %d bytes", n, grown)
	}
	if s := b.Stats(); s.InFlightIn != limit || s.Dropped != uint64(n-limit) {
		t.Errorf("got %d in flight and %d dropped, want %d and %d", s.InFlightIn, s.Dropped, limit, n-limit)
	}
	close(release)
	waitUntil(t, "the calls that were admitted", func() bool { return !b.Busy() })
	if got := int(ran.Load()); got != limit {
		t.Errorf("%d calls ran, want the %d admitted", got, limit)
	}
}

// A flood over a real connection: while methods do not return, and while they do,
// both ends together hold no more than what is in flight and in the buffers, and
// every call is carried out or counted as dropped.
func TestOneWayFloodStaysWithinItsMemory(t *testing.T) {
	const most = 64 << 20 // 4096 calls in flight, with a stack of 8 KiB each, and buffers
	release := make(chan struct{})
	var ran atomic.Uint64
	h := HandlerFunc(func(context.Context, *Call) (Reply, error) {
		<-release
		ran.Add(1)
		return Reply{}, nil
	})
	sa, sb := realSessions(t)
	a, b := NewConn(sa, nil, ConnOptions{}), NewConn(sb, h, ConnOptions{})
	defer b.Close()
	defer a.Close()
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := held()
	call := oneWay(OneWay, "flood", make([]byte, 16))
	for i := range floodCalls {
		if _, err := a.Handle(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		switch {
		case i == floodCalls/2:
			close(release)
		case i%(floodCalls/10) == 0:
			if grown := held() - before; grown > most {
				t.Fatalf("after %d calls %d bytes are held, want at most %d", i, grown, most)
			}
		}
	}
	if _, err := a.Ping(t.Context()); err != nil { // every call has been read
		t.Fatal(err)
	}
	waitUntil(t, "the calls that were admitted", func() bool { return !b.Busy() })
	if s := b.Stats(); s.CallsIn != ran.Load() || s.CallsIn+s.Dropped != floodCalls || s.CallsIn < DefaultMaxInFlight {
		t.Errorf("of %d calls %d were admitted, %d carried out and %d dropped", floodCalls, s.CallsIn, ran.Load(), s.Dropped)
	}
}

func TestOneWayIsFinishedBeforeParting(t *testing.T) {
	for _, size := range []int{10, LargePayload + 1} {
		for _, leaver := range []string{"caller", "server"} {
			t.Run(fmt.Sprint(leaver, size), func(t *testing.T) {
				release, ran := make(chan struct{}), make(chan error, 1)
				h := HandlerFunc(func(ctx context.Context, _ *Call) (Reply, error) {
					<-release
					ran <- ctx.Err()
					return Reply{}, nil
				})
				a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
				if _, err := a.Handle(t.Context(), oneWay(OneWay, "x", make([]byte, size))); err != nil {
					t.Fatal(err)
				}
				c, left := a, make(chan error, 1)
				if leaver == "server" {
					waitUntil(t, "the call", func() bool { return b.Stats().CallsIn == 1 })
					c = b
				}
				go func() { left <- c.Shutdown(t.Context()) }()
				if leaver == "server" {
					<-a.PeerGoingAway()
				} else {
					<-b.PeerGoingAway()
				}
				close(release)
				if err := waitFor(t, "the method", ran); err != nil {
					t.Errorf("the method's context ended: %v", err)
				}
				if err := waitFor(t, "the parting", left); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// Nobody waits for a one-way call, so that a caller that is gone does not end
// it; a server that closes does.
func TestOneWayOutlivesItsCaller(t *testing.T) {
	for _, closer := range []string{"caller", "server"} {
		synctest.Test(t, func(t *testing.T) {
			h, began, ended := waiting()
			a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			start := time.Now()
			if _, err := a.Handle(ctx, oneWay(OneWayTaken, "x", nil)); err != nil {
				t.Fatal(err)
			}
			<-began
			want := time.Duration(0)
			if closer == "caller" {
				a.Close()
				<-b.Done()
				want = time.Hour
			} else {
				b.Close()
			}
			served := <-ended
			if got := time.Since(start); got != want {
				t.Errorf("closed by the %s: the context ended after %v with %v, want %v", closer, got, context.Cause(served), want)
			}
		})
	}
}

// TAKEN may get lost with the connection: the caller learns that the call may
// have been executed.
func TestOneWayTakenBreaks(t *testing.T) {
	a, raw := rawPair(t, nil, ConnOptions{})
	result := make(chan error, 1)
	go func() {
		_, err := a.Handle(t.Context(), oneWay(OneWayTaken, "x", nil))
		result <- err
	}()
	if h, _, _ := nextFrame(t, openLane(t, raw)); h.flags != flagOneWay|flagTaken {
		t.Errorf("got the flags %#x, want one way and taken", h.flags)
	}
	raw.Close()
	wantError(t, waitFor(t, "the call", result), Unavailable, Executed, "broke while the call was under way")
	_, err := a.Handle(t.Context(), oneWay(OneWay, "x", nil))
	wantError(t, err, Unavailable, NotExecuted, transport.ErrPeerClosed.Error())
}

func TestOneWayOnObjectsOfThisProcess(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	release, got := make(chan struct{}), make(chan CallInfo, 1)
	var ctxErr error
	method := func(ctx context.Context, text string) {
		<-release
		ctxErr = ctx.Err()
		info, _ := CallFrom(ctx)
		got <- info
		panic(text)
	}
	if err := o.ExportFunc("f", method, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := InvokeOneWay(ctx, o, "f", "", "text"); err != nil {
		t.Fatal(err)
	}
	cancel()
	close(release)
	if info := waitFor(t, "the method", got); info.Way != OneWay || ctxErr != nil {
		t.Errorf("the method learnt %+v, %v, want the way and a context that lives", info, ctxErr)
	}
	waitUntil(t, "the end", func() bool { return o.oneWay.Load() == 0 })
	o.oneWay.Store(MaxLocalOneWay)
	wantError(t, InvokeTaken(t.Context(), o, "f", "", "text"), ResourceExhausted, NotExecuted, "4096 one-way calls")
	if got := o.oneWay.Load(); got != MaxLocalOneWay {
		t.Errorf("a refused call left the count at %d", got)
	}
}

func TestOneWayStubs(t *testing.T) {
	o, got := NewObjects(ObjectsOptions{}), make(chan Way, 2)
	err := o.ExportFunc("f", func(ctx context.Context, _ string) (string, error) {
		info, _ := CallFrom(ctx)
		got <- info.Way
		return "", errors.New("nobody hears this")
	}, ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	for tag, way := range map[string]Way{"oneway": OneWay, "taken": OneWayTaken} {
		var f func(string) error
		v, err := (&binder{h: a, object: "f"}).bind(reflect.TypeOf(f), stubTag{way: way})
		if err != nil {
			t.Fatal(err)
		}
		f = v.Interface().(func(string) error)
		if err := f("x"); err != nil {
			t.Errorf("%s: %v", tag, err)
		}
		if got := waitFor(t, "the method", got); got != way {
			t.Errorf("%s: the method got way %d, want %d", tag, got, way)
		}
	}
	var stub struct {
		Fine func() error           `rmi:"fine,oneway"`
		Bad  func() (string, error) `rmi:"bad,taken"`
	}
	err = Bind(a, "f", &stub)
	want := `bind "f" to *struct { Fine func() error "rmi:\"fine,oneway\""; Bad func() (string, error) "rmi:\"bad,taken\"" }: field Bad: a one-way call returns nothing but an error`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
