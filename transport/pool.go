package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Pooled is what a [Pool] keeps: a connection to a peer, such as one over a
// [Session].
type Pooled interface {
	// Done is closed when the connection has ended.
	Done() <-chan struct{}
	// PeerGoingAway is closed when it should not be used for anything new.
	PeerGoingAway() <-chan struct{}
	// Busy reports whether something is under way on it.
	Busy() bool
	// Shutdown lets what is under way finish, until ctx ends, and closes.
	Shutdown(ctx context.Context) error
	// Close ends it now.
	Close() error
}

// PoolOptions tune a [Pool]. The zero PoolOptions has every default.
type PoolOptions struct {
	// DialTimeout bounds one dial, handshake included; default 10 s.
	DialTimeout time.Duration
	// BackoffMin and BackoffMax bound the pause between failed dials of an
	// address, which doubles with each and is cut by up to a half at random;
	// default 0.1 s and 10 s.
	BackoffMin, BackoffMax time.Duration
	// IdleTimeout is how long a connection may be neither asked for nor busy
	// before it is closed, give or take a quarter; default 5 min.
	IdleTimeout time.Duration
	// MaxAge is how old a connection gets, give or take a tenth, before
	// another takes its place; default 1 h.
	MaxAge time.Duration
	// DrainTimeout is how long a connection that was replaced may finish what
	// is under way; default 30 s.
	DrainTimeout time.Duration
	// MaxPeers bounds the addresses known at once; default 4096.
	MaxPeers int
	// Logger gets what no caller can see; nil discards it.
	Logger *slog.Logger
}

// Pool keeps one connection per address for any number of callers. It dials an
// address when it is first asked for, once however many wait, and no sooner
// after a failure than its backoff allows; it replaces connections whose peer
// is leaving and those that are old, and closes those that nobody uses. Its
// methods may be called from any number of goroutines.
//
// Each address has a record and one goroutine, its keeper, which alone dials
// and decides; callers take the connection from an atomic, or wait for the
// keeper's current attempt. Lock order: Pool.mu, then peer.mu. No user code
// runs under either.
type Pool[C Pooled] struct {
	dial func(ctx context.Context, address string) (C, error)
	opts PoolOptions

	// peers is the records by address: a map that is never changed, only
	// replaced, under mu, so that Get reads it without a lock.
	peers atomic.Pointer[map[string]*peer[C]]

	mu     sync.Mutex
	closed bool // guarded by mu

	life  context.Context // ends when Close is called
	end   context.CancelFunc
	grace context.Context // ends when Close is out of patience
	cut   context.CancelFunc
	tasks sync.WaitGroup // keepers and drains
}

// NewPool returns an empty pool that dials with dial. dial runs in a goroutine
// of the pool, under a context that no caller's patience ends.
func NewPool[C Pooled](dial func(ctx context.Context, address string) (C, error), opts PoolOptions) *Pool[C] {
	setDuration(&opts.DialTimeout, 10*time.Second)
	setDuration(&opts.BackoffMin, 100*time.Millisecond)
	setDuration(&opts.BackoffMax, max(10*time.Second, opts.BackoffMin))
	setDuration(&opts.IdleTimeout, 5*time.Minute)
	setDuration(&opts.MaxAge, time.Hour)
	setDuration(&opts.DrainTimeout, 30*time.Second)
	if opts.MaxPeers <= 0 {
		opts.MaxPeers = 4096
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pool[C]{dial: dial, opts: opts}
	p.life, p.end = context.WithCancel(context.Background())
	p.grace, p.cut = context.WithCancel(context.Background())
	p.peers.Store(&map[string]*peer[C]{})
	return p
}

// Get returns the connection to address, and dials when there is none. While
// the address is in backoff it returns the last failure at once. Errors: a
// [*DialError]; [ErrTooManyPeers]; [ErrClosed]; ctx's error, and then the dial
// goes on for others.
func (p *Pool[C]) Get(ctx context.Context, address string) (C, error) {
	if c, ok := p.Live(address); ok {
		return c, nil
	}
	return p.get(ctx, address, false)
}

// Live returns the connection to address if there is one now, as Get would. It
// neither dials nor waits.
func (p *Pool[C]) Live(address string) (none C, ok bool) {
	if r := (*p.peers.Load())[address]; r != nil {
		return r.live()
	}
	return none, false
}

// Wait is Get for callers who rather wait than get a [*DialError]: it waits
// through backoff and further dials until one succeeds or ctx ends.
func (p *Pool[C]) Wait(ctx context.Context, address string) (C, error) {
	return p.get(ctx, address, true)
}

// Healthy reports whether a live connection to address is at hand. It neither
// dials nor counts as use.
func (p *Pool[C]) Healthy(address string) bool {
	r := (*p.peers.Load())[address]
	if r == nil {
		return false
	}
	c := r.current.Load()
	return c != nil && !ended(*c)
}

// Forget drains the connection to address, if there is one, and forgets its
// failures. Who waits for a dial of address gets an [ErrClosed].
func (p *Pool[C]) Forget(address string) {
	if r := (*p.peers.Load())[address]; r != nil {
		r.cancel()
		p.remove(r)
	}
}

// Range calls fn with each live connection, in no order, until fn returns
// false.
func (p *Pool[C]) Range(fn func(address string, c C) bool) {
	for address, r := range *p.peers.Load() {
		if c := r.current.Load(); c != nil && !ended(*c) && !fn(address, *c) {
			return
		}
	}
}

// Close drains every connection, cuts off what is left when ctx ends, and waits
// for the pool's goroutines. It returns ctx's error when it had to cut. It may
// be called twice.
func (p *Pool[C]) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end()
	stop := context.AfterFunc(ctx, p.cut)
	p.tasks.Wait()
	if !stop() {
		return ctx.Err()
	}
	p.cut()
	return nil
}

// get is Get without the short way.
func (p *Pool[C]) get(ctx context.Context, address string, patient bool) (none C, err error) {
	for {
		r, err := p.record(address)
		if err != nil {
			return none, err
		}
		if c, ok := r.live(); ok {
			return c, nil
		}
		a, failure := r.attempt()
		switch {
		case failure != nil && !patient:
			return none, failure
		case failure != nil:
			if err := r.rest(ctx, failure.Next); err != nil {
				return none, fmt.Errorf("%w (%w)", failure, err)
			}
			continue
		case a == nil: // the record was just removed
			continue
		}
		select {
		case <-a.done:
			if a.err == nil {
				return a.conn, nil
			}
			if _, ok := errors.AsType[*DialError](a.err); !ok || !patient {
				return none, a.err
			}
		case <-ctx.Done():
			return none, fmt.Errorf("connect to %s: %w", address, ctx.Err())
		}
	}
}

// record returns the record of address, and makes one, with a keeper that
// dials, when there is none.
func (p *Pool[C]) record(address string) (*peer[C], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fmt.Errorf("connect to %s: pool: %w", address, ErrClosed)
	}
	known := *p.peers.Load()
	if r := known[address]; r != nil {
		return r, nil
	}
	if len(known) >= p.opts.MaxPeers && !p.evictLocked() {
		return nil, fmt.Errorf("connect to %s: %w (limit %d)", address, ErrTooManyPeers, p.opts.MaxPeers)
	}
	ctx, cancel := context.WithCancel(p.life)
	r := &peer[C]{pool: p, address: address, cancel: cancel, wanted: make(chan struct{}, 1), try: newAttempt[C]()}
	p.replaceLocked(func(m map[string]*peer[C]) { m[address] = r })
	p.tasks.Go(func() {
		defer cancel()
		r.keep(ctx)
	})
	return r, nil
}

// evictLocked removes a record that has nothing but a failure, and reports
// whether it found one.
func (p *Pool[C]) evictLocked() bool {
	for address, r := range *p.peers.Load() {
		if r.retireIf(func() bool { return r.try == nil && r.failure != nil }) {
			r.cancel()
			p.replaceLocked(func(m map[string]*peer[C]) { delete(m, address) })
			return true
		}
	}
	return false
}

// remove takes r out of the pool.
func (p *Pool[C]) remove(r *peer[C]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if (*p.peers.Load())[r.address] == r {
		p.replaceLocked(func(m map[string]*peer[C]) { delete(m, r.address) })
	}
}

func (p *Pool[C]) replaceLocked(change func(map[string]*peer[C])) {
	m := maps.Clone(*p.peers.Load())
	change(m)
	p.peers.Store(&m)
}

// drain lets c finish in a goroutine of its own.
func (p *Pool[C]) drain(c C) {
	p.tasks.Go(func() { p.finish(c) })
}

// finish lets c finish, within DrainTimeout and the grace of Close.
func (p *Pool[C]) finish(c C) {
	ctx, cancel := context.WithTimeout(p.grace, p.opts.DrainTimeout)
	defer cancel()
	c.Shutdown(ctx) // what had to be cut off, its callers know
	c.Close()
}

// DialError is why an address cannot be reached: the failure of the last dial,
// or a connection that did not last.
type DialError struct {
	// Address is what was dialled.
	Address string
	// Err is why it failed.
	Err error
	// Failures counts the failures in a row.
	Failures int
	// Next is when the pool dials again at the earliest.
	Next time.Time
}

// Error names the address, the reason and when the next try is possible.
func (e *DialError) Error() string {
	text := fmt.Sprintf("connect to %s: %v", e.Address, e.Err)
	if e.Failures > 1 {
		text += fmt.Sprintf(" (failure %d in a row)", e.Failures)
	}
	if in := time.Until(e.Next).Round(100 * time.Millisecond); in > 0 {
		text += fmt.Sprintf("; next try in %v", in)
	}
	return text
}

// Unwrap returns Err.
func (e *DialError) Unwrap() error { return e.Err }
