package rmi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

func TestConnShutdownWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, began, release := held()
		a, b := connPair(t, h, h, ConnOptions{}, ConnOptions{})
		results := make(chan error, 3)
		for _, c := range []*Conn{a, b} {
			go func() {
				_, err := c.Handle(t.Context(), callOf("wait", nil))
				results <- err
			}()
			<-began
		}
		go func() {
			_, err := a.Handle(t.Context(), callOf("wait", make([]byte, 1<<20)))
			results <- err
		}()
		<-began
		down := make(chan error, 1)
		go func() { down <- b.Shutdown(t.Context()) }()
		<-a.PeerGoingAway()
		for _, c := range []*Conn{a, b} {
			_, err := c.Handle(t.Context(), callOf("new", nil))
			wantError(t, err, Unavailable, NotExecuted, "")
			if !errors.Is(err, transport.ErrGoAway) {
				t.Errorf("got %v, want it to be %v", err, transport.ErrGoAway)
			}
		}
		synctest.Wait()
		select {
		case err := <-down:
			t.Errorf("shutdown returned %v with calls under way", err)
		default:
		}
		close(release)
		for range 3 {
			if err := <-results; err != nil {
				t.Errorf("a call under way failed: %v", err)
			}
		}
		if err := <-down; err != nil {
			t.Errorf("shutdown: %v", err)
		}
		<-a.Done()
		if b.Err() != transport.ErrClosed || !errors.Is(a.Err(), transport.ErrPeerClosed) {
			t.Errorf("ended with %v and %v, want %v and %v", b.Err(), a.Err(), transport.ErrClosed, transport.ErrPeerClosed)
		}
	})
}

func TestConnShutdownCutsOffWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, began, ended := waiting()
		a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
		result := make(chan error, 1)
		go func() {
			_, err := a.Handle(t.Context(), callOf("wait", nil))
			result <- err
		}()
		<-began
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := b.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v, want the deadline's error after a minute", err, time.Since(start))
		}
		wantError(t, <-result, Unavailable, Executed, "broke")
		<-ended
	})
}

func TestConnShutdownOfAnIdleOrEndedConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connPair(t, nil, nil, ConnOptions{}, ConnOptions{})
		if err := a.Shutdown(t.Context()); err != nil {
			t.Errorf("idle: %v", err)
		}
		<-b.Done()
		for _, c := range []*Conn{a, b} {
			if err := c.Shutdown(t.Context()); err != nil {
				t.Errorf("ended: %v", err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
}

// Both sides may want to leave at the same moment.
func TestConnShutdownOfBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
			<-time.After(time.Second)
			return Reply{}, ctx.Err()
		})
		a, b := connPair(t, slow, slow, ConnOptions{}, ConnOptions{})
		errs := make(chan error, 4)
		for _, c := range []*Conn{a, b} {
			go func() {
				_, err := c.Handle(t.Context(), callOf("x", nil))
				errs <- err
			}()
		}
		synctest.Wait()
		for _, c := range []*Conn{a, b} {
			go func() { errs <- c.Shutdown(t.Context()) }()
		}
		for range 4 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
	})
}

// A session that goes away by itself, without GOAWAY from the peer's Conn, must
// turn new calls elsewhere too.
func TestConnHeedsTheSessionsGoAway(t *testing.T) {
	c, raw := rawPair(t, nil, ConnOptions{})
	if err := raw.GoAway(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "going away", c.PeerGoingAway())
	_, err := c.Handle(t.Context(), callOf("x", nil))
	wantError(t, err, Unavailable, NotExecuted, "node raw is going away")
}

// Callers hammer a server while it shuts down: every call must either succeed
// or be known not to have been executed, and what succeeded was executed once.
func TestConnShutdownLosesNoCall(t *testing.T) {
	for name, pair := range map[string]func(testing.TB, Handler) (a, b *Conn){
		"pipe": func(t testing.TB, h Handler) (a, b *Conn) {
			return connPair(t, h, h, ConnOptions{}, ConnOptions{})
		},
		"yamux": func(t testing.TB, h Handler) (a, b *Conn) {
			sa, sb := realSessions(t)
			a, b = NewConn(sa, h, ConnOptions{}), NewConn(sb, h, ConnOptions{})
			t.Cleanup(func() {
				a.Close()
				b.Close()
			})
			return a, b
		},
	} {
		t.Run(name, func(t *testing.T) {
			for round := range 10 {
				shutdownUnderLoad(t, pair, round%2 == 1)
			}
		})
	}
}

// shutdownUnderLoad is one round of TestConnShutdownLosesNoCall. With both,
// both sides call and both leave.
func shutdownUnderLoad(t *testing.T, pair func(testing.TB, Handler) (a, b *Conn), both bool) {
	var executed, succeeded, refused atomic.Int64
	h := HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
		executed.Add(1)
		return Reply{Result: call.Args}, nil
	})
	a, b := pair(t, h)
	callers := []*Conn{a}
	if both {
		callers = append(callers, b)
	}
	var all sync.WaitGroup
	for i := range 64 {
		c := callers[i%len(callers)]
		size := 16
		if i%16 == 0 {
			size = LargePayload + 1
		}
		all.Go(func() {
			for {
				_, err := c.Handle(t.Context(), callOf("x", make([]byte, size)))
				if err != nil {
					refused.Add(1)
					if e := failure(t, err); e.Code != Unavailable || e.Execution != NotExecuted {
						t.Errorf("a call failed with %v (execution %d), want UNAVAILABLE, not executed", e, e.Execution)
					}
					return
				}
				succeeded.Add(1)
			}
		})
	}
	waitUntil(t, "calls under way", func() bool { return succeeded.Load() > 500 })
	for _, c := range append(callers, b) {
		all.Go(func() {
			if c == a && !both {
				return
			}
			if err := c.Shutdown(t.Context()); err != nil {
				t.Errorf("shutdown: %v", err)
			}
		})
	}
	all.Wait()
	if s, e, r := succeeded.Load(), executed.Load(), refused.Load(); s != e || r != 64 {
		t.Errorf("%d calls succeeded and %d were executed, %d callers were refused; want as many, and 64", s, e, r)
	}
	if t.Failed() {
		t.Fatal(fmt.Sprint("both sides: ", both))
	}
}

// A method that runs when either side leaves can still call its caller back,
// without which it could not end; once it has ended, nothing made with its
// context is let through.
func TestConnShutdownLetsCallbacksThrough(t *testing.T) {
	for name, leaver := range map[string]int{"caller leaves": 0, "server leaves": 1} {
		for size, args := range map[string][]byte{"small": nil, "large": make([]byte, 1<<20)} {
			t.Run(name+", "+size, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { shutdownAmongCallbacks(t, leaver, args) })
			})
		}
	}
}

// shutdownAmongCallbacks is one case of TestConnShutdownLetsCallbacksThrough.
func shutdownAmongCallbacks(t *testing.T, leaver int, args []byte) {
	began, proceed := make(chan context.Context, 1), make(chan struct{})
	nested := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		if call.Method == "first" {
			began <- ctx
			<-proceed
		}
		if call.Method == "last" {
			return Reply{}, nil
		}
		next := map[string]string{"first": "second", "second": "third", "third": "last"}[call.Method]
		return CallerConn(ctx).Handle(ctx, callOf(next, args))
	})
	a, b := connPair(t, nested, nested, ConnOptions{}, ConnOptions{})
	result := make(chan error, 1)
	go func() {
		_, err := a.Handle(t.Context(), callOf("first", args))
		result <- err
	}()
	served := <-began
	down := make(chan error, 1)
	go func() { down <- []*Conn{a, b}[leaver].Shutdown(t.Context()) }()
	synctest.Wait()
	for _, c := range []*Conn{a, b} {
		_, err := c.Handle(t.Context(), callOf("new", nil))
		wantError(t, err, Unavailable, NotExecuted, "")
	}
	close(proceed)
	if err := <-result; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	_, err := b.Handle(context.WithoutCancel(served), callOf("late", nil))
	wantError(t, err, Unavailable, NotExecuted, "")
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	<-a.Done()
	<-b.Done()
}

// Calls that call back, and those that call again, while both sides leave: each
// that was carried out was answered.
func TestConnShutdownLosesNoCallback(t *testing.T) {
	for range 10 {
		var executed, answered, refused atomic.Int64
		h := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
			executed.Add(1)
			if n := len(call.Args.Data); n > 0 {
				if _, err := CallerConn(ctx).Handle(ctx, callOf("x", call.Args.Data[:n-1])); err != nil {
					t.Errorf("a call back failed: %v", err)
				}
				answered.Add(1)
			}
			return Reply{}, nil
		})
		a, b := connPair(t, h, h, ConnOptions{}, ConnOptions{})
		var all sync.WaitGroup
		for i := range 32 {
			c := []*Conn{a, b}[i%2]
			all.Go(func() {
				for {
					if _, err := c.Handle(t.Context(), callOf("x", make([]byte, 3))); err != nil {
						refused.Add(1)
						if e := failure(t, err); e.Code != Unavailable || e.Execution != NotExecuted {
							t.Errorf("a call failed with %v (execution %d), want UNAVAILABLE, not executed", e, e.Execution)
						}
						return
					}
					answered.Add(1)
				}
			})
		}
		waitUntil(t, "calls under way", func() bool { return answered.Load() > 500 })
		for _, c := range []*Conn{a, b} {
			all.Go(func() {
				if err := c.Shutdown(t.Context()); err != nil {
					t.Errorf("shutdown: %v", err)
				}
			})
		}
		all.Wait()
		if e, s := executed.Load(), answered.Load(); e != s {
			t.Errorf("%d calls were carried out and %d answered, want as many", e, s)
		}
	}
}
