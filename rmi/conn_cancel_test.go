package rmi

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

// rawPair returns a Conn and, as its peer, the bare session.
func rawPair(t testing.TB, h Handler, opts ConnOptions) (*Conn, transport.Session) {
	t.Helper()
	sa, sb := transport.Pipe(transport.Options{}, transport.Options{Hello: transport.Hello{Node: "raw"}})
	c := NewConn(sa, h, opts)
	t.Cleanup(func() {
		c.Close()
		sb.Close()
	})
	return c, sb
}

// waiting returns a handler that waits for its context and then sends it, and a
// channel that tells when it has begun.
func waiting() (h Handler, began <-chan struct{}, ended <-chan context.Context) {
	b, e := make(chan struct{}, 100), make(chan context.Context, 100)
	return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		b <- struct{}{}
		<-ctx.Done()
		e <- ctx
		return Reply{}, ctx.Err()
	}), b, e
}

func TestConnCancelReachesTheHandler(t *testing.T) {
	for name, args := range map[string][]byte{"small": nil, "large": make([]byte, 1<<20)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, began, ended := waiting()
				a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("changed my mind")
				go func() {
					<-began
					synctest.Wait()
					cancel(why)
				}()
				_, err := a.Handle(ctx, callOf("wait", args))
				wantError(t, err, Canceled, Executed, "changed my mind")
				if !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
					t.Errorf("got %v, want it to be the context's error and its cause", err)
				}
				served := <-ended
				if served.Err() != context.Canceled || context.Cause(served) != errCallerGaveUp {
					t.Errorf("the handler's context ended with %v, %v, want canceled because the caller gave up", served.Err(), context.Cause(served))
				}
				synctest.Wait()
				if a.Busy() || b.Busy() {
					t.Errorf("a is busy: %v, b is busy: %v, want neither", a.Busy(), b.Busy())
				}
			})
		})
	}
}

func TestConnDeadlineReachesTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, ended := waiting()
		a, _ := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := a.Handle(ctx, callOf("wait", nil))
		if took := time.Since(start); took != time.Second {
			t.Errorf("the call took %v, want 1 s", took)
		}
		if e := failure(t, err); e.Code != DeadlineExceeded {
			t.Errorf("got %v, want DEADLINE_EXCEEDED", e)
		}
		served := <-ended // by its own deadline or by the caller's CANCEL, which come at once
		deadline, ok := served.Deadline()
		if !ok || !deadline.Equal(start.Add(time.Second)) || time.Since(start) != time.Second {
			t.Errorf("the handler had the deadline %v and ended after %v, want 1 s", deadline.Sub(start), time.Since(start))
		}
	})
}

// A caller must return at its deadline even when the peer reads nothing, so that
// not even the request can be written.
func TestConnDeadlineHoldsAgainstASilentPeer(t *testing.T) {
	for name, args := range map[string][]byte{"small": make([]byte, 1<<14), "large": make([]byte, 8<<20)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, _ := rawPair(t, nil, ConnOptions{})
				start := time.Now()
				const callers = 200 // more than window and buffer hold together
				errs := make(chan error, callers)
				for range callers {
					go func() {
						ctx, cancel := context.WithTimeout(t.Context(), time.Second)
						defer cancel()
						_, err := a.Handle(ctx, callOf("x", args))
						errs <- err
					}()
				}
				sent, kept := 0, 0
				for range callers {
					e := failure(t, <-errs)
					if e.Code != DeadlineExceeded {
						t.Fatalf("got %v, want DEADLINE_EXCEEDED", e)
					}
					if e.Execution == NotExecuted {
						kept++
					} else {
						sent++
					}
				}
				if took := time.Since(start); took != time.Second {
					t.Errorf("the calls took %v, want 1 s", took)
				}
				if kept == 0 || (sent == 0) != (name == "large") {
					t.Errorf("%d calls may have been executed and %d not, want of small ones both, of large ones none to be executed", sent, kept)
				}
			})
		})
	}
}

func TestConnDropsLateReplies(t *testing.T) {
	for name, size := range map[string]int{"small": 10, "large": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				h := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
					if call.Method == "late" {
						<-release
					}
					return Reply{Result: Payload{Data: make([]byte, size)}}, nil
				})
				a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := a.Handle(ctx, callOf("late", nil))
				wantError(t, err, DeadlineExceeded, Executed, "object.late")
				close(release)
				if reply, err := a.Handle(t.Context(), callOf("next", nil)); err != nil || len(reply.Result.Data) != size {
					t.Errorf("the next call: got %d bytes, %v, want %d", len(reply.Result.Data), err, size)
				}
				synctest.Wait()
				if a.Busy() || b.Busy() || a.Err() != nil {
					t.Errorf("busy %v, %v, ended %v, want neither", a.Busy(), b.Busy(), a.Err())
				}
			})
		})
	}
}

// A server must stop sending a large result that nobody wants any more, and a
// caller that does not read must hold up nothing but its own result.
func TestConnCutsOffALargeResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := HandlerFunc(func(context.Context, *Call) (Reply, error) {
			return Reply{Result: Payload{Data: make([]byte, 8<<20)}}, nil
		})
		c, raw := rawPair(t, h, ConnOptions{})
		lane := openLane(t, raw)
		lane.Write(appendRequest(nil, 5, 0, callOf("big", nil)))
		synctest.Wait()
		if got := c.Stats().InFlightIn; got != 1 || len(lane.data(resultTag(5))) != bulkAhead {
			t.Fatalf("%d calls are in flight, with %d bytes of the result here, want 1, and %d before they were granted", got, len(lane.data(resultTag(5))), bulkAhead)
		}
		lane.Write(appendSmallFrame(nil, frameCancel, 5))
		synctest.Wait()
		if got := c.Stats().InFlightIn; got != 0 {
			t.Errorf("after CANCEL %d calls are in flight, want 0", got)
		}
	})
}

func TestConnRefusesWhatHasEndedBefore(t *testing.T) {
	var executed atomic.Int32
	h := HandlerFunc(func(context.Context, *Call) (Reply, error) {
		executed.Add(1)
		return Reply{}, nil
	})
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Handle(ctx, callOf("x", nil))
	wantError(t, err, Canceled, NotExecuted, "not sent")
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = a.Handle(ctx, callOf("x", nil))
	wantError(t, err, DeadlineExceeded, NotExecuted, "not sent")

	// On the server: the time was up, or the caller left, while the call waited.
	late := &servedCall{conn: b, deadline: time.Now().Add(-time.Second)}
	_, failed := b.invoke(late)
	wantError(t, failed, DeadlineExceeded, NotExecuted, "before the call could start")
	left := &servedCall{conn: b}
	left.end(errCallerGaveUp)
	_, failed = b.invoke(left)
	wantError(t, failed, Canceled, NotExecuted, "gave up")
	if n := executed.Load(); n != 0 {
		t.Errorf("%d calls were executed, want 0", n)
	}
}

// What a handler gets must be a context in every respect, though it is made on
// demand.
func TestServedCallIsAContext(t *testing.T) {
	type key struct{}
	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
	}
	run("untouched", func(t *testing.T) {
		s := &servedCall{}
		if s.Err() != nil || s.Value(key{}) != nil || context.Cause(s) != nil {
			t.Errorf("got %v, %v, want none", s.Err(), context.Cause(s))
		}
		if !s.finish() || s.Err() != context.Canceled {
			t.Errorf("after the call: got %v, want canceled", s.Err())
		}
		<-s.Done()
	})
	run("deadline without Done", func(t *testing.T) {
		s := &servedCall{deadline: time.Now().Add(time.Second)}
		time.AfterFunc(time.Second, func() {
			if s.Err() != context.DeadlineExceeded || context.Cause(s) != context.DeadlineExceeded {
				t.Errorf("got %v, %v, want deadline exceeded", s.Err(), context.Cause(s))
			}
			s.finish()
		})
		synctest.Wait()
		<-time.After(2 * time.Second)
	})
	run("children", func(t *testing.T) {
		s := &servedCall{deadline: time.Now().Add(time.Hour)}
		ctx, cancel := context.WithTimeout(context.WithValue(s, key{}, 1), time.Minute)
		defer cancel()
		called := make(chan struct{})
		context.AfterFunc(ctx, func() { close(called) })
		s.end(errCallerGaveUp)
		<-called
		if ctx.Err() != context.Canceled || context.Cause(ctx) != errCallerGaveUp || ctx.Value(key{}) != 1 {
			t.Errorf("got %v, %v, want canceled because the caller gave up", ctx.Err(), context.Cause(ctx))
		}
		if s.finish() {
			t.Error("the caller that gave up is to be answered")
		}
	})
	run("deadline", func(t *testing.T) {
		s := &servedCall{deadline: time.Now().Add(time.Second)}
		start := time.Now()
		<-s.Done()
		if s.Err() != context.DeadlineExceeded || time.Since(start) != time.Second {
			t.Errorf("got %v after %v, want deadline exceeded after 1 s", s.Err(), time.Since(start))
		}
		s.finish()
	})
}

func TestConnHandlerContextEndsWithTheCall(t *testing.T) {
	kept := make(chan context.Context, 1)
	h := HandlerFunc(func(ctx context.Context, _ *Call) (Reply, error) {
		kept <- ctx
		if CallerConn(ctx).Peer().Node != "a" {
			return Reply{}, errors.New("the caller's connection is not in the context")
		}
		return Reply{}, nil
	})
	a, _ := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
	if _, err := a.Handle(t.Context(), callOf("x", nil)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the context's end", (<-kept).Done())
	if CallerConn(t.Context()) != nil {
		t.Error("a context of no call has a connection")
	}
}

func TestConnErrorsNameTheCallAndThePeer(t *testing.T) {
	a, _ := connPair(t, nil, echo, ConnOptions{}, ConnOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Handle(ctx, &Call{Object: "add"})
	if text := err.Error(); !strings.Contains(text, "call add on node b") {
		t.Errorf("got %q, want it to name add and node b", text)
	}
}
