package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"farcall.dev/transport"
)

// echo answers a call with its arguments and metadata.
var echo = HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
	return Reply{Result: call.Args, Metadata: call.Metadata}, nil
})

// connPair returns two Conns on a session in memory; they are closed when the
// test ends.
func connPair(t testing.TB, ha, hb Handler, oa, ob ConnOptions) (a, b *Conn) {
	t.Helper()
	sa, sb := transport.Pipe(
		transport.Options{Hello: transport.Hello{Node: "a", Incarnation: 1}},
		transport.Options{Hello: transport.Hello{Node: "b", Incarnation: 2}})
	oa.buffers, ob.buffers = &buffers{poison: true}, &buffers{poison: true}
	a, b = NewConn(sa, ha, oa), NewConn(sb, hb, ob)
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

// callOf returns a call of object.method with args.
func callOf(method string, args []byte) *Call {
	return &Call{Object: "object", Method: method, Args: Payload{Data: args}}
}

// failure returns err as an *Error, or fails the test when it is none.
func failure(t testing.TB, err error) *Error {
	t.Helper()
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("got the error %#v, want an *Error", err)
	}
	return e
}

// wantError fails the test unless err is an *Error with this code, execution,
// and text in its message.
func wantError(t testing.TB, err error, code Code, execution Execution, text string) {
	t.Helper()
	e := failure(t, err)
	if e.Code != code || e.Execution != execution || !strings.Contains(e.Message, text) {
		t.Errorf("got %v (execution %d), want code %v, execution %d and %q in the text", e, e.Execution, code, execution, text)
	}
}

func TestConnEchoesEverySize(t *testing.T) {
	a, _ := connPair(t, nil, echo, ConnOptions{}, ConnOptions{})
	for _, n := range []int{0, 1, 16, 255, 256, 257, 4096, 1 << 14, LargePayload - 1, LargePayload, LargePayload + 1, 1 << 20, 3<<20 + 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			args := bytes.Repeat([]byte{byte(n), 7, 3}, n/3+1)[:n]
			call := callOf("echo", args)
			call.Args.Type = ContentXMLRPC
			call.Metadata = Metadata{"trace-id": "abc", "b": ""}
			reply, err := a.Handle(t.Context(), call)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(reply.Result.Data, args) || reply.Result.Type != ContentXMLRPC {
				t.Errorf("got %d bytes of type %d, want the %d bytes sent", len(reply.Result.Data), reply.Result.Type, n)
			}
			if got, want := fmt.Sprint(reply.Metadata), fmt.Sprint(call.Metadata); got != want {
				t.Errorf("got metadata %s, want %s", got, want)
			}
		})
	}
	if s := a.Stats(); s.InFlightOut != 0 || s.LargeSent != 3 || s.LargeReceived != 3 {
		t.Errorf("got %+v, want nothing in flight, and 3 large payloads each way", s)
	}
}

func TestConnTellsTheHandlerWhoCalls(t *testing.T) {
	got := make(chan Call, 1)
	h := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		got <- *call
		return Reply{}, nil
	})
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
	if _, err := a.Handle(t.Context(), &Call{Object: "shop.cart", Method: "add"}); err != nil {
		t.Fatal(err)
	}
	call := <-got
	if call.Object != "shop.cart" || call.Method != "add" || call.Peer != b.Peer() || call.Peer.Node != "a" || call.Peer.Incarnation != 1 || call.Peer.Protocol != "mesh" {
		t.Errorf("got %+v, want shop.cart.add by a, incarnation 1", call)
	}
}

func TestConnKeepsConcurrentCallsApart(t *testing.T) {
	a, b := connPair(t, echo, echo, ConnOptions{}, ConnOptions{})
	var all sync.WaitGroup
	for i := range 1000 {
		c := a
		if i%2 == 1 {
			c = b
		}
		all.Go(func() {
			for j := range 10 {
				want := fmt.Sprintf("call %d.%d", i, j)
				reply, err := c.Handle(t.Context(), callOf("echo", []byte(want)))
				if err != nil || string(reply.Result.Data) != want {
					t.Errorf("got %q, %v, want %q", reply.Result.Data, err, want)
				}
			}
		})
	}
	all.Wait()
	for _, c := range []*Conn{a, b} {
		if s := c.Stats(); s.CallsOut != 5000 || s.CallsIn != 5000 || s.InFlightOut != 0 {
			t.Errorf("got %+v, want 5000 calls each way and none in flight", s)
		}
	}
}

func TestConnErrorsTravel(t *testing.T) {
	sent := &Error{
		Code: NotFound, Message: "no such thing", Type: "*shop.Error", Trace: "secret",
		Details: map[string]string{"id": "7", "kind": "thing"}, Execution: NotExecuted,
	}
	h := HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
		switch call.Method {
		case "ours":
			return Reply{}, fmt.Errorf("look it up: %w", sent)
		case "canceled":
			return Reply{}, fmt.Errorf("inside: %w", context.Canceled)
		}
		return Reply{}, errors.New("plain")
	})
	for _, withTrace := range []bool{false, true} {
		a, _ := connPair(t, nil, h, ConnOptions{}, ConnOptions{SendTrace: func(Peer) bool { return withTrace }})
		_, err := a.Handle(t.Context(), callOf("ours", nil))
		wantError(t, err, NotFound, NotExecuted, "look it up: no such thing")
		e := failure(t, err)
		if e.Type != sent.Type || !e.Remote || fmt.Sprint(e.Details) != fmt.Sprint(sent.Details) || (e.Trace != "") != withTrace {
			t.Errorf("got %+v, want all of %+v, with a trace: %v", e, sent, withTrace)
		}
		_, err = a.Handle(t.Context(), callOf("canceled", nil))
		wantError(t, err, Canceled, Executed, "inside")
		_, err = a.Handle(t.Context(), callOf("", nil))
		wantError(t, err, Unknown, Executed, "plain")
		if e := failure(t, err); e.Type != "*errors.errorString" {
			t.Errorf("got the type %q, want the Go type", e.Type)
		}
	}
}

func TestConnWithoutHandlerRefuses(t *testing.T) {
	a, _ := connPair(t, nil, nil, ConnOptions{}, ConnOptions{})
	_, err := a.Handle(t.Context(), callOf("x", nil))
	wantError(t, err, Unimplemented, NotExecuted, "object.x")
}

func TestConnPing(t *testing.T) {
	a, b := connPair(t, nil, nil, ConnOptions{}, ConnOptions{})
	if rtt, err := a.Ping(t.Context()); err != nil || rtt <= 0 {
		t.Errorf("got %v, %v, want a round trip", rtt, err)
	}
	b.Close()
	<-a.Done()
	_, err := a.Ping(t.Context())
	wantError(t, err, Unavailable, NotExecuted, "peer closed")
}

// patience is how long a test waits for what must happen before it gives up. It
// is no assertion about time, and long because a busy machine is slow.
const patience = time.Minute

// waitFor returns what comes on ch, or fails the test after a while.
func waitFor[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// waitUntil waits until ok says so, and fails the test after a while.
func waitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}
