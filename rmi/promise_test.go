package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// promising exports "slow", which waits for the gate and returns its argument,
// "pair", which returns two values, "add", "fail" and "blob".
func promising(t testing.TB) (o *Objects, gate chan struct{}) {
	t.Helper()
	o, gate = NewObjects(ObjectsOptions{}), make(chan struct{})
	for name, f := range map[string]any{
		"slow": func(ctx context.Context, v any) (any, error) {
			select {
			case <-gate:
				return v, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
		"pair": func() (string, int) { return "two", 2 },
		"add":  func(a, b int) int { return a + b },
		"fail": func() error { return refusal(PermissionDenied, "not you") },
		"blob": func(n int) []byte { return make([]byte, n) },
		"size": func(b []byte) int { return len(b) },
	} {
		if err := o.ExportFunc(naming.Name(name), f, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return o, gate
}

// keptBy returns how many results c keeps for its peer, and their bytes.
func keptBy(c *Conn) (n int, size int64) {
	c.kept.mu.Lock()
	defer c.kept.mu.Unlock()
	return len(c.kept.byCall), c.kept.bytes
}

func TestPromisesAreArgumentsBeforeTheyAreThere(t *testing.T) {
	o, gate := promising(t)
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	p := Start(t.Context(), a, "slow", "", 5)
	q := Start(t.Context(), a, "add", "", p, 1)
	f := Go[int](t.Context(), a, "add", "", q, p)
	pair := Start(t.Context(), a, "pair", "")
	g := Go[int](t.Context(), a, "add", "", pair.Part(2), q)
	waitUntil(t, "all requests", func() bool { return b.Stats().CallsIn == 5 })
	if got := a.Stats().FramesReceived; got > 1 {
		t.Errorf("%d replies came before the first call ended, want no more than that of pair", got)
	}
	close(gate)
	if got, err := f.Wait(t.Context()); got != 11 || err != nil {
		t.Errorf("got %d, %v, want 11", got, err)
	}
	if got, err := g.Wait(t.Context()); got != 8 || err != nil {
		t.Errorf("got %d, %v, want 8", got, err)
	}
	if got, err := Await[float64](t.Context(), q); got != 6 || err != nil {
		t.Errorf("got %v, %v, want 6", got, err)
	}
	if got, err := Await[string](t.Context(), pair.Part(1)); got != "two" || err != nil {
		t.Errorf("got %q, %v, want two", got, err)
	}
	_, err := Await[string](t.Context(), pair.Part(3))
	wantError(t, err, InvalidArgument, Executed, "pair(): want result 3, got 2 results")
	_, err = Invoke(t.Context(), a, "add", "", pair.Part(3), 1)
	wantError(t, err, InvalidArgument, NotExecuted, "want result 3, got 2 results")
	_, err = Invoke(t.Context(), a, "add", "", []any{p}, 1)
	wantError(t, err, InvalidArgument, NotExecuted, "a Promise can only be an argument by itself")
	if got, err := Invoke(t.Context(), a, "add", "", p, 1); got != int64(6) || err != nil {
		t.Errorf("with a result that is there: got %v, %v", got, err)
	}
}

func TestPromisesFailTogether(t *testing.T) {
	o, gate := promising(t)
	close(gate)
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	failed := Start(t.Context(), a, "fail", "")
	second := Start(t.Context(), a, "add", "", failed, 1)
	_, err := Invoke(t.Context(), a, "add", "", 1, second)
	wantError(t, err, PermissionDenied, NotExecuted, "call add: not executed: add, whose result it needs, failed: call add: not executed: fail, whose result it needs, failed: not you")
	bad := Start(t.Context(), a, "add", "", func() {})
	_, err = Invoke(t.Context(), a, "add", "", 1, bad)
	wantError(t, err, InvalidArgument, NotExecuted, "add, whose result it needs, failed: add: argument 1")
	_, err = Await[int](t.Context(), Start(t.Context(), a, "slow", "", 1).Start(t.Context(), "name"))
	wantError(t, err, FailedPrecondition, NotExecuted, "call slow().name: not executed: the result of slow is not an object that can be called")
	for _, c := range o.Counters() {
		if c.Object == "add" && c.Calls > 0 {
			t.Errorf("add was called %d times", c.Calls)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Await[int](ctx, Start(t.Context(), a, "slow", "", 1)); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("got %v, want the end of the wait", err)
	}
	waitUntil(t, "the end", func() bool { return !b.Busy() })
}

// Where a call cannot follow the one that it builds on, it waits for the value.
func TestPromisesFallBackToValues(t *testing.T) {
	o, gate := promising(t)
	close(gate)
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	other, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	cache := HandlerFunc(func(context.Context, *Call) (Reply, error) { return Reply{Result: Payload{Data: []byte{2}}}, nil })
	for name, p := range map[string]*Promise{
		"objects of this process": Start(t.Context(), o, "slow", "", 2),
		"another connection":      Start(t.Context(), other, "slow", "", 2),
		"middleware that answers": Start(t.Context(), cache, "slow", "", 2),
		"the same connection":     Start(t.Context(), a, "slow", "", 2),
	} {
		if got, err := Invoke(t.Context(), a, "add", "", p, 1); got != int64(3) || err != nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		if got, err := Invoke(t.Context(), o, "add", "", p, 1); got != int64(3) || err != nil {
			t.Errorf("%s, to objects of this process: got %v, %v", name, got, err)
		}
		p.Release()
		if got, err := Invoke(t.Context(), a, "add", "", 3, p); got != int64(5) || err != nil {
			t.Errorf("%s, released: got %v, %v", name, got, err)
		}
	}
	large := make([]byte, 2*LargePayload)
	p := Start(t.Context(), a, "slow", "", large)
	if got, err := Invoke(t.Context(), a, "size", "", p); got != int64(len(large)) || err != nil {
		t.Errorf("a large call: got %v, %v", got, err)
	}
	q := Start(t.Context(), a, "blob", "", len(large))
	if got, err := Invoke(t.Context(), a, "size", "", q); got != int64(len(large)) || err != nil {
		t.Errorf("a large result: got %v, %v", got, err)
	}
	r := Start(t.Context(), a, "slow", "", 1)
	if got, err := Invoke(t.Context(), a, "slow", "", append(large[:0:0], large...)); len(got.([]byte)) != len(large) || err != nil {
		t.Error(err)
	}
	_, err := Invoke(t.Context(), a, "add", "", r, large)
	wantError(t, err, InvalidArgument, NotExecuted, "argument 2")
	if n, _ := keptBy(b); n == 0 {
		t.Error("nothing was kept, so that nothing was tested")
	}
}

func TestPromisesAreForgotten(t *testing.T) {
	o, gate := promising(t)
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	forgotten := func(what string) {
		t.Helper()
		waitUntil(t, what, func() bool {
			n, size := keptBy(b)
			return n == 0 && size == 0
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	p, q := Start(t.Context(), a, "blob", "", 1000), Start(ctx, a, "blob", "", 500)
	<-p.Done()
	<-q.Done()
	if n, size := keptBy(b); n != 2 || size != 1506 {
		t.Errorf("%d results are kept with %d bytes, want 2 with 1506", n, size)
	}
	p.Release()
	p.Release()
	cancel()
	forgotten("a release")

	slow := Start(t.Context(), a, "slow", "", 1)
	f := Go[int](t.Context(), a, "add", "", slow, 1)
	slow.Release() // before the calls have been sent, perhaps
	waitUntil(t, "both calls", func() bool { return b.Stats().InFlightIn == 2 })
	close(gate)
	if got, err := f.Wait(t.Context()); got != 2 || err != nil {
		t.Errorf("a call that builds on what was released: got %d, %v", got, err)
	}
	forgotten("the call that builds on it")

	func() {
		part := Start(t.Context(), a, "pair", "").Part(1)
		runtime.GC()
		if _, err := Await[string](t.Context(), part); err != nil {
			t.Error(err)
		}
	}()
	waitUntil(t, "the collector", func() bool {
		runtime.GC()
		n, _ := keptBy(b)
		return n == 0
	})
	p = Start(t.Context(), a, "blob", "", 1000)
	<-p.Done()
	a.Close()
	<-b.Done()
	forgotten("the end of the connection")
}

func TestPromiseLimits(t *testing.T) {
	o, gate := promising(t)
	close(gate)
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{MaxPayload: 5000, MaxLargeMemory: 5000})
	all := make([]*Promise, maxKept)
	for i := range all {
		all[i] = Start(t.Context(), a, "slow", "", 1)
	}
	for _, p := range all {
		if _, err := Await[int](t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Await[int](t.Context(), Start(t.Context(), a, "slow", "", 1))
	wantError(t, err, ResourceExhausted, NotExecuted, "1024 results are kept")
	if _, err := Invoke(t.Context(), a, "add", "", all[0], all[1]); err != nil {
		t.Errorf("a call that keeps nothing: %v", err)
	}
	for _, p := range all {
		p.Release()
	}
	waitUntil(t, "the release", func() bool { n, _ := keptBy(b); return n == 0 })

	p, q := Start(t.Context(), a, "blob", "", 3000), Start(t.Context(), a, "blob", "", 3000)
	<-p.Done()
	<-q.Done()
	for _, p := range []*Promise{p, q} { // one is kept, the other sent along
		if got, err := Invoke(t.Context(), a, "size", "", p); got != int64(3000) || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if n, size := keptBy(b); n != 2 || size != 3003 {
		t.Errorf("%d results are kept with %d bytes, want 2 with 3003", n, size)
	}
	_, err = Invoke(t.Context(), a, "size", "", p, p)
	wantError(t, err, ResourceExhausted, NotExecuted, "the most this node takes is 5000")
	args := make([]any, maxPromiseUses)
	for i := range args {
		args[i] = p
	}
	_, err = Invoke(t.Context(), a, "size", "", args...)
	wantError(t, err, InvalidArgument, NotExecuted, "16 promises are arguments")
	p.Release()
	q.Release()
	waitUntil(t, "the release", func() bool { n, size := keptBy(b); return n == 0 && size == 0 })
}

// What a peer may say of promises that is wrong costs its own call only.
func TestPromisesOfAHostilePeer(t *testing.T) {
	o, gate := promising(t)
	close(gate)
	c, raw := rawPair(t, o, ConnOptions{})
	r := openLane(t, raw)
	send := func(id uint64, object string, args []byte, keep bool, uses ...promiseUse) {
		t.Helper()
		call := &Call{Object: naming.Name(object), Args: Payload{Data: args}, building: &building{uses: uses}}
		if keep {
			call.keep = new(started)
		}
		r.Write(append(appendRequest(nil, id, 0, call), args...))
	}
	refused := func(id uint64, code Code, text string) {
		t.Helper()
		h, head, _ := nextFrame(t, r)
		if h.typ != frameError || h.id != id {
			t.Fatalf("got %v of call %d, want an ERROR of %d", h.typ, h.id, id)
		}
		wantError(t, decodeError(head), code, NotExecuted, text)
	}
	two := []byte{0x82, 0xf6, 0x01}
	send(1, "add", two, false, promiseUse{arg: 1, call: 99})
	refused(1, FailedPrecondition, "the result of call 99, which it builds on, is not kept here")
	send(2, "add", two, true, promiseUse{arg: 1, call: 2})
	refused(2, FailedPrecondition, "the result of call 2")
	send(3, "slow", []byte{0x81, 0x05}, true)
	if h, _, payload := nextFrame(t, r); h.typ != frameReply || !bytes.Equal(payload, []byte{5}) {
		t.Fatalf("got %v with % x", h.typ, payload)
	}
	waitUntil(t, "call 3 to be over", func() bool { // its id is taken as long as it is not
		_, ok := c.serving.get(3)
		return !ok
	})
	send(3, "slow", []byte{0x81, 0x05}, true)
	refused(3, InvalidArgument, "its id is that of an earlier call")
	send(4, "add", two, false, promiseUse{arg: 3, call: 3})
	refused(4, InvalidArgument, "a promise stands for argument 3, and there are 2")
	send(5, "add", two, false, promiseUse{arg: 2, call: 3})
	refused(5, InvalidArgument, "argument 2: want null, where a promise stands, got an integer (1)")
	send(6, "add", two, false, promiseUse{arg: 1, call: 3}, promiseUse{arg: 1, call: 3})
	refused(6, InvalidArgument, "two promises stand for argument 1")
	send(7, "add", two, false, promiseUse{arg: 1, call: 3, result: 1})
	refused(7, InvalidArgument, "want 1 result, got an integer (5)")
	send(8, "add", []byte{0x82, 0xf6}, false, promiseUse{arg: 1, call: 3})
	refused(8, InvalidArgument, "ends in the middle")
	send(9, "add", two, false, promiseUse{arg: 1, call: 3})
	if h, _, payload := nextFrame(t, r); h.typ != frameReply || !bytes.Equal(payload, []byte{6}) {
		t.Errorf("got %v with % x, want the reply", h.typ, payload)
	}
	r.Write(appendSmallFrame(nil, frameForget, 3))
	r.Write(appendSmallFrame(nil, frameForget, 77))
	send(10, "add", two, false, promiseUse{arg: 1, call: 3})
	refused(10, FailedPrecondition, "is not kept here")
	if n, size := keptBy(c); n != 0 || size != 0 || c.Err() != nil {
		t.Errorf("%d results are kept with %d bytes, %v; want none", n, size, c.Err())
	}
}

// A call that was refused by one node and went to another takes those along that
// build on it.
func TestPromisesFollowACallElsewhere(t *testing.T) {
	o, gate := promising(t)
	full, began, release := held()
	defer close(release)
	first, server := connPair(t, nil, full, ConnOptions{}, ConnOptions{MaxInFlight: 1})
	second, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	go first.Handle(t.Context(), callOf("fill", nil))
	waitFor(t, "the first node to be full", began)
	elsewhere := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		reply, err := first.Handle(ctx, call)
		if e := FromError(err); e != nil && e.Execution == NotExecuted && call.building == nil {
			return second.Handle(ctx, call)
		}
		return reply, err
	})
	p := Start(t.Context(), elsewhere, "slow", "", 1)
	f := Go[int](t.Context(), elsewhere, "add", "", p, 1)
	waitUntil(t, "the refusal", func() bool { return server.Stats().Refused > 0 })
	close(gate)
	if got, err := f.Wait(t.Context()); got != 2 || err != nil {
		t.Errorf("got %d, %v, want 2", got, err)
	}
}

// Promises under connections that are cut end, each way, with what they were
// asked for or an error, and leave nothing behind.
func TestPromisesWithCuts(t *testing.T) {
	o, gate := promising(t)
	close(gate)
	for round := range 40 {
		sa, sb := transport.Pipe(transport.Options{}, transport.Options{})
		a, b := NewConn(sa, nil, ConnOptions{}), NewConn(sb, o, ConnOptions{})
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				for j := range 10 {
					p := Start(ctx, a, "slow", "", i)
					q := Start(ctx, a, "add", "", p, 1)
					if j%3 == 0 {
						p.Release()
					}
					got, err := Await[int](ctx, Start(ctx, a, "add", "", q, q))
					if err == nil && got != 2*(i+1) {
						t.Errorf("got %d, want %d", got, 2*(i+1))
					}
					if code := FromError(err); err != nil && code.Code != Unavailable {
						t.Errorf("got %v, want UNAVAILABLE", err)
					}
				}
			})
		}
		if round%2 == 0 {
			waitUntil(t, "some calls", func() bool { return b.Stats().CallsIn > uint64(round) })
			sa.Close()
		}
		all.Wait()
		a.Close()
		b.Close()
		waitUntil(t, "the end", func() bool { n, size := keptBy(b); return n == 0 && size == 0 && !b.Busy() && !a.Busy() })
	}
}

func FuzzSplice(f *testing.F) {
	f.Add([]byte{0x82, 0xf6, 0x01}, 1, []byte{0x18, 0x2a}, 2)
	f.Add([]byte{0x83, 0xf6, 0x61, 'x', 0xf6}, 3, []byte{0x82, 1, 2}, 1)
	f.Fuzz(func(t *testing.T, args []byte, arg int, item []byte, part int) {
		if n, err := itemLen(item); err != nil || n != len(item) {
			return
		}
		out, err := splice(args, []argValue{{arg, item}})
		if err != nil {
			return
		}
		n, rest, err := argsHead(out)
		if err != nil {
			t.Fatal(err)
		}
		was, _, _ := argsHead(args)
		if n != was {
			t.Errorf("got %d arguments, want %d", n, was)
		}
		for i := 1; i <= n; i++ {
			size, err := itemLen(rest)
			if err != nil {
				t.Fatal(err)
			}
			if i == arg && !bytes.Equal(rest[:size], item) {
				t.Errorf("argument %d is % x, want % x", i, rest[:size], item)
			}
			rest = rest[size:]
		}
		if len(rest) > 0 {
			t.Errorf("% x is left", rest)
		}
		if part > 0 {
			elementOf(out, part)
		}
	})
}

func TestPromiseNames(t *testing.T) {
	p := &Promise{of: &started{name: "greeting.friend"}}
	if got, want := fmt.Sprint(p.Part(2)), "greeting.friend()[2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := EncodeArgs(p); err == nil || !strings.Contains(err.Error(), "by itself") {
		t.Errorf("got %v, want that a promise has no value", err)
	}
}
