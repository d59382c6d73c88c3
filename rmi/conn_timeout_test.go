package rmi

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/naming"
)

// A Timeout ends the wait as a deadline would, at the time it says, and tells the
// peer, which has had the time left.
func TestConnTimeoutBoundsTheWait(t *testing.T) {
	for name, args := range map[string][]byte{"small": nil, "large": make([]byte, 1<<20)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _, ended := waiting()
				a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
				for range 3 { // timers are used again
					start := time.Now()
					call := callOf("wait", args)
					call.Timeout = 5 * time.Second
					_, err := a.Handle(t.Context(), call)
					wantError(t, err, DeadlineExceeded, Executed, "")
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("got %v, want it to be the context's error", err)
					}
					if took := time.Since(start); took != 5*time.Second {
						t.Errorf("it took %v, want 5s", took)
					}
					served := <-ended
					if deadline, ok := served.Deadline(); !ok || deadline.After(start.Add(5*time.Second)) {
						t.Errorf("the handler had the deadline %v (%v), want the caller's", deadline, ok)
					}
					synctest.Wait()
					if a.Busy() || b.Busy() {
						t.Errorf("a is busy: %v, b is busy: %v, want neither", a.Busy(), b.Busy())
					}
				}
			})
		})
	}
}

// A context's deadline counts alone, and travels as one.
func TestConnDeadlineGoesBeforeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, raw := rawPair(t, nil, ConnOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		go func() {
			for _, ctx := range []context.Context{ctx, t.Context()} {
				call := callOf("x", nil)
				call.Timeout = time.Second
				c.Handle(ctx, call)
			}
		}()
		r := openLane(t, raw)
		for _, want := range []struct {
			left  time.Duration
			flags byte
		}{{time.Minute, 0}, {time.Second, flagReplyOnly}} {
			h, head, _ := nextFrame(t, r)
			var rh requestHead
			if err := rh.decode(head); err != nil {
				t.Fatal(err)
			}
			if rh.timeout != want.left || h.flags != want.flags {
				t.Errorf("got %v left with flags %#x, want %v with %#x", rh.timeout, h.flags, want.left, want.flags)
			}
			r.Write(appendReply(nil, h.id, &Reply{}))
		}
		synctest.Wait()
	})
}

// What a call waits for before it can be sent counts too: room on the lane.
func TestConnTimeoutBoundsTheSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := rawPair(t, nil, ConnOptions{MaxBuffered: 16 << 10})
		results := make(chan error, 40)
		for range cap(results) {
			go func() {
				call := callOf("x", make([]byte, 16<<10))
				call.Timeout = time.Second
				_, err := c.Handle(t.Context(), call)
				results <- err
			}()
		}
		start, kept := time.Now(), 0
		for range cap(results) {
			e := failure(t, <-results)
			if e.Code != DeadlineExceeded {
				t.Fatalf("got %v, want DEADLINE_EXCEEDED", e)
			}
			if e.Execution == NotExecuted {
				kept++
			}
		}
		if took := time.Since(start); took != time.Second || kept == 0 {
			t.Errorf("it took %v and %d calls were not sent, want 1s, and some", took, kept)
		}
	})
}

func TestObjectsHeedTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewObjects(ObjectsOptions{})
		if err := o.ExportFunc("wait", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := o.Handle(t.Context(), &Call{Object: "wait", Args: Payload{Data: []byte{0x80}}, Timeout: time.Second})
		wantError(t, err, DeadlineExceeded, Executed, "")
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v, want 1s", took)
		}
	})
}

// slowResolver knows everything after a while, and dials after another.
type slowResolver struct {
	takes time.Duration
	conn  *Conn
}

func (r slowResolver) wait(ctx context.Context) error {
	select {
	case <-time.After(r.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r slowResolver) Resolve(ctx context.Context, name naming.Name) (*naming.Entry, error) {
	return entryOf(1, func(_ int, inst *naming.Instance) { inst.Node = "b" }), r.wait(ctx)
}

func (r slowResolver) Get(ctx context.Context, address string) (*Conn, error) {
	return r.conn, r.wait(ctx)
}

// The time that resolving and dialling take counts.
func TestRouterTimeoutCountsAllOfTheWay(t *testing.T) {
	for _, tc := range []struct {
		takes, want time.Duration
		execution   Execution
	}{
		{time.Second, 10 * time.Second, Executed},
		{6 * time.Second, 10 * time.Second, NotExecuted},
		{time.Minute, 10 * time.Second, NotExecuted},
	} {
		t.Run(tc.takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, began, ended := waiting()
				a, _ := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
				slow := slowResolver{tc.takes, a}
				r := NewRouter(slow, slow, RouterOptions{})
				start := time.Now()
				call := callOf("wait", nil)
				_, err := r.Handle(t.Context(), call)
				wantError(t, err, DeadlineExceeded, tc.execution, "")
				if took := time.Since(start); took != tc.want {
					t.Errorf("it took %v, want %v", took, tc.want)
				}
				if call.Timeout != 0 {
					t.Errorf("the call has the timeout %v afterwards, want it as it was", call.Timeout)
				}
				if tc.execution == Executed {
					<-began
					if deadline, _ := (<-ended).Deadline(); deadline.After(start.Add(tc.want)) {
						t.Errorf("the handler had until %v, want what was left: until %v", deadline, start.Add(tc.want))
					}
				}
			})
		})
	}
}

// All timeouts of a connection have one timer: each call must end at its own time,
// whatever others were due before or after.
func TestConnTimeoutsEndEachAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := connPair(t, nil, HandlerFunc(func(ctx context.Context, _ *Call) (Reply, error) {
			<-ctx.Done()
			return Reply{}, ctx.Err()
		}), ConnOptions{}, ConnOptions{})
		var all sync.WaitGroup
		for round := range 3 {
			for _, timeout := range []time.Duration{3 * time.Second, time.Second, 5 * time.Second, 2 * time.Second, time.Second, 4 * time.Second} {
				all.Go(func() {
					start := time.Now()
					call := callOf("wait", nil)
					call.Timeout = timeout
					_, err := a.Handle(t.Context(), call)
					if took := time.Since(start); failure(t, err).Code != DeadlineExceeded || took != timeout {
						t.Errorf("round %d: a call of %v ended after %v with %v", round, timeout, took, err)
					}
				})
			}
			<-time.After(1500 * time.Millisecond)
		}
		all.Wait()
		synctest.Wait() // the last call may have been ended by the server, at the same moment
		if next := a.expiry.next.Load(); next != 0 {
			t.Errorf("the timer runs, until %v, and no call waits", time.Duration(next))
		}
	})
}
