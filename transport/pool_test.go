package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeConn is a Pooled that a test steers.
type fakeConn struct {
	address  string
	done     *signal
	leaving  *signal
	busy     atomic.Bool
	onBusy   func() // called by Busy, unless nil; never changed
	shutdown atomic.Bool
}

var _ Pooled = (*fakeConn)(nil)

func (c *fakeConn) Done() <-chan struct{}          { return c.done.ch }
func (c *fakeConn) PeerGoingAway() <-chan struct{} { return c.leaving.ch }
func (c *fakeConn) Close() error                   { c.done.fire(); return nil }

func (c *fakeConn) Busy() bool {
	if c.onBusy != nil {
		c.onBusy()
	}
	return c.busy.Load()
}

func (c *fakeConn) Shutdown(ctx context.Context) error {
	c.shutdown.Store(true)
	for c.busy.Load() {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.Close()
}

// fakePeers is what a pool under test dials.
type fakePeers struct {
	mu     sync.Mutex
	dials  int           // guarded by mu
	fail   error         // guarded by mu; what dials return, nil to succeed
	takes  time.Duration // guarded by mu; how long a dial takes
	onBusy func()        // what connections get
}

func (f *fakePeers) dial(ctx context.Context, address string) (*fakeConn, error) {
	f.mu.Lock()
	f.dials++
	takes := f.takes
	f.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	return &fakeConn{address: address, done: newSignal(), leaving: newSignal(), onBusy: f.onBusy}, nil
}

func (f *fakePeers) set(fail error, takes time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.takes = fail, takes
}

func (f *fakePeers) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dials
}

// poolTest runs test with a pool over fake peers, inside a bubble.
func poolTest(t *testing.T, opts PoolOptions, test func(t *testing.T, f *fakePeers, p *Pool[*fakeConn])) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakePeers{takes: 10 * time.Millisecond}
		p := NewPool(f.dial, opts)
		test(t, f, p)
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

func get(t *testing.T, p *Pool[*fakeConn], address string) *fakeConn {
	t.Helper()
	c, err := p.Get(t.Context(), address)
	if err != nil {
		t.Fatalf("get %s: %v", address, err)
	}
	return c
}

func TestPoolDialsOnceForManyCallers(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		var tasks sync.WaitGroup
		for range 50 {
			tasks.Go(func() { get(t, p, "a") })
		}
		tasks.Wait()
		get(t, p, "b")
		if got := f.count(); got != 2 {
			t.Errorf("got %d dials for two addresses, want 2", got)
		}
	})
}

func TestPoolCallerWhoGivesUpDoesNotStopTheDial(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		f.set(nil, time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.Get(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "a") {
			t.Errorf("got %v, want %v that names the address", err, context.DeadlineExceeded)
		}
		get(t, p, "a")
		if got := f.count(); got != 1 {
			t.Errorf("got %d dials, want 1", got)
		}
	})
}

func TestPoolBacksOffAndAnswersAtOnceMeanwhile(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		refused := errors.New("refused")
		f.set(refused, 0)
		for failures := 1; failures <= 12; failures++ {
			_, err := p.Get(t.Context(), "a")
			dialErr, ok := errors.AsType[*DialError](err)
			if !ok || !errors.Is(err, refused) || dialErr.Address != "a" || dialErr.Failures != failures {
				t.Fatalf("got %#v, want a *DialError of a: refused, failure %d", err, failures)
			}
			full := min(100*time.Millisecond<<(failures-1), 10*time.Second)
			pause := time.Until(dialErr.Next)
			if pause < full/2 || pause > full {
				t.Errorf("failure %d: pause %v, want between %v and %v", failures, pause, full/2, full)
			}
			if !strings.Contains(err.Error(), "next try in") && pause >= 100*time.Millisecond {
				t.Errorf("%q does not say when the next try is", err)
			}
			if _, again := p.Get(t.Context(), "a"); again != err {
				t.Errorf("in backoff: got %v, want the same failure", again)
			}
			if got := f.count(); got != failures {
				t.Fatalf("got %d dials, want %d", got, failures)
			}
			pass(pause)
		}
		f.set(nil, 0)
		get(t, p, "a")
	})
}

func TestPoolWaitOutlastsBackoff(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		f.set(errors.New("refused"), 0)
		go func() {
			pass(time.Minute)
			f.set(nil, 0)
		}()
		if _, err := p.Wait(t.Context(), "a"); err != nil {
			t.Errorf("wait: %v", err)
		}
		f.set(errors.New("refused"), 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := p.Wait(ctx, "b")
		if _, ok := errors.AsType[*DialError](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the last failure and %v", err, context.DeadlineExceeded)
		}
	})
}

func TestPoolForgetsOldFailures(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		f.set(errors.New("refused"), 0)
		p.Get(t.Context(), "a")
		pass(time.Minute)
		if got := len(*p.peers.Load()); got != 0 {
			t.Errorf("%d records are left, want 0", got)
		}
	})
}

func TestPoolReplacesWhatWasLost(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		first := get(t, p, "a")
		pass(time.Minute)
		if !p.Healthy("a") {
			t.Error("a is not healthy")
		}
		first.Close()
		if p.Healthy("a") {
			t.Error("a is healthy with its connection gone")
		}
		if second := get(t, p, "a"); second == first {
			t.Error("got the connection that was lost")
		}
	})
}

func TestPoolDoesNotDialInALoopWhenConnectionsDoNotLast(t *testing.T) {
	for _, end := range []string{"lost", "going away"} {
		t.Run(end, func(t *testing.T) {
			poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				for ctx.Err() == nil {
					if c, err := p.Wait(ctx, "a"); err == nil {
						if end == "lost" {
							c.done.fire()
						} else {
							c.leaving.fire()
						}
						synctest.Wait()
					}
				}
				if got := f.count(); got > 20 {
					t.Errorf("got %d dials in 10 s, want backoff", got)
				}
			})
		})
	}
}

func TestPoolRotatesOnGoAwayAndDrainsTheOld(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		first := get(t, p, "a")
		first.busy.Store(true)
		pass(time.Minute)
		first.leaving.fire()
		synctest.Wait()
		second := get(t, p, "a")
		if second == first {
			t.Error("got the connection whose peer is leaving")
		}
		if ended(first) {
			t.Error("the old connection was cut off while busy")
		}
		first.busy.Store(false)
		pass(2 * time.Second)
		if !ended(first) || !first.shutdown.Load() {
			t.Error("the old connection was not drained")
		}
	})
}

func TestPoolRotatesOnAgeWithoutAGap(t *testing.T) {
	poolTest(t, PoolOptions{MaxAge: time.Hour}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		first := get(t, p, "a")
		first.busy.Store(true)
		f.set(errors.New("refused"), 0)
		pass(67 * time.Minute)
		if got := get(t, p, "a"); got != first {
			t.Error("the old connection was given up before there was another")
		}
		f.set(nil, 5*time.Second)
		for range 60 {
			pass(time.Second)
			get(t, p, "a") // never fails and never waits: the clock stands still in Get
		}
		if got := get(t, p, "a"); got == first {
			t.Error("the old connection is still in use")
		}
	})
}

func TestPoolClosesTheIdleAndKeepsTheBusy(t *testing.T) {
	poolTest(t, PoolOptions{IdleTimeout: time.Minute, MaxAge: 24 * time.Hour}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		idle, busy, used := get(t, p, "idle"), get(t, p, "busy"), get(t, p, "used")
		busy.busy.Store(true)
		for range 20 {
			pass(30 * time.Second)
			get(t, p, "used")
		}
		if !ended(idle) || !idle.shutdown.Load() {
			t.Error("the idle connection is still there")
		}
		if ended(busy) || ended(used) {
			t.Errorf("ended: busy %v, used %v; want neither", ended(busy), ended(used))
		}
		if got := len(*p.peers.Load()); got != 2 {
			t.Errorf("%d records are left, want 2", got)
		}
		busy.busy.Store(false)
	})
}

// A caller who gets a connection at the moment at which it is found idle must
// not have it closed under its hands.
func TestPoolKeepsWhatIsAskedForWhileItIsFoundIdle(t *testing.T) {
	poolTest(t, PoolOptions{IdleTimeout: time.Minute, MaxAge: 24 * time.Hour}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		looks := 0
		f.onBusy = func() { // the keeper has just looked at the mark
			if looks++; looks%4 == 0 { // for the last time before it closes
				get(t, p, "a")
			}
		}
		c := get(t, p, "a")
		pass(time.Hour)
		if ended(c) || !p.Healthy("a") {
			t.Error("the connection was closed although it was asked for all the time")
		}
	})
}

// Who asks after a connection was lost, and before it is known that it did not
// last, shares in the failure and does not cause a dial without backoff.
func TestPoolShortLifeFailsWhoHasAskedSince(t *testing.T) {
	p := NewPool((&fakePeers{}).dial, PoolOptions{})
	defer p.Close(t.Context())
	r := &peer[*fakeConn]{pool: p, address: "a", wanted: make(chan struct{}, 1)}
	a, _ := r.attempt()
	err := r.outcome(time.Now())
	wait(t, "the attempt's outcome", a.done)
	if err == nil || a.err != err {
		t.Errorf("got outcome %v and attempt's error %v, want one failure", err, a.err)
	}
}

func TestPoolBoundsItsPeers(t *testing.T) {
	poolTest(t, PoolOptions{MaxPeers: 2}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		get(t, p, "a")
		f.set(errors.New("refused"), 0)
		p.Get(t.Context(), "b")
		f.set(nil, 0)
		get(t, p, "c") // takes the place of b, which has but a failure
		if _, err := p.Get(t.Context(), "d"); !errors.Is(err, ErrTooManyPeers) {
			t.Errorf("got %v, want %v", err, ErrTooManyPeers)
		}
		get(t, p, "a")
	})
}

func TestPoolForget(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		first := get(t, p, "a")
		p.Forget("a")
		p.Forget("nobody")
		synctest.Wait()
		if !first.shutdown.Load() {
			t.Error("the connection was not drained")
		}
		f.set(nil, time.Hour)
		result := make(chan error)
		go func() {
			_, err := p.Get(context.Background(), "b")
			result <- err
		}()
		synctest.Wait()
		p.Forget("b")
		if err := <-result; !errors.Is(err, ErrClosed) {
			t.Errorf("who waited for a forgotten address got %v, want %v", err, ErrClosed)
		}
	})
}

func TestPoolRange(t *testing.T) {
	poolTest(t, PoolOptions{}, func(t *testing.T, f *fakePeers, p *Pool[*fakeConn]) {
		for i := range 3 {
			get(t, p, fmt.Sprint(i))
		}
		get(t, p, "0").Close()
		seen := map[string]bool{}
		p.Range(func(address string, c *fakeConn) bool {
			seen[address] = c.address == address
			return true
		})
		if len(seen) != 2 || !seen["1"] || !seen["2"] {
			t.Errorf("got %v, want 1 and 2", seen)
		}
		calls := 0
		p.Range(func(string, *fakeConn) bool { calls++; return false })
		if calls != 1 {
			t.Errorf("Range went on after false: %d calls, want 1", calls)
		}
	})
}

func TestPoolCloseDrainsWaitsAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakePeers{}
		p := NewPool(f.dial, PoolOptions{})
		idle, stuck := get(t, p, "idle"), get(t, p, "stuck")
		stuck.busy.Store(true)
		f.set(nil, time.Hour)
		dialled := make(chan error)
		go func() {
			_, err := p.Get(context.Background(), "slow")
			dialled <- err
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		closed := make(chan error, 1)
		go func() { closed <- p.Close(ctx) }()
		if err := <-dialled; !errors.Is(err, ErrClosed) {
			t.Errorf("who waited for a dial got %v, want %v", err, ErrClosed)
		}
		if err := <-closed; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: got %v, want %v", err, context.DeadlineExceeded)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("close took %v, want its context's 5s", took)
		}
		if !ended(idle) || !ended(stuck) {
			t.Errorf("ended: idle %v, stuck %v; want both", ended(idle), ended(stuck))
		}
		if _, err := p.Get(t.Context(), "idle"); !errors.Is(err, ErrClosed) {
			t.Errorf("get: got %v, want %v", err, ErrClosed)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestPoolGetDoesNotAllocate(t *testing.T) {
	f := &fakePeers{}
	p := NewPool(f.dial, PoolOptions{})
	defer p.Close(t.Context())
	get(t, p, "a")
	ctx := t.Context()
	if got := testing.AllocsPerRun(100, func() { p.Get(ctx, "a") }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkPoolGet(b *testing.B) {
	f := &fakePeers{}
	p := NewPool(f.dial, PoolOptions{})
	defer p.Close(context.Background())
	p.Get(context.Background(), "a")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.Get(context.Background(), "a")
		}
	})
}
