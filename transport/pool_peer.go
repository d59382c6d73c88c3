package transport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// peer is a Pool's record of one address.
type peer[C Pooled] struct {
	pool    *Pool[C]
	address string
	cancel  context.CancelFunc // ends the keeper
	wanted  chan struct{}      // holds a token when somebody asked for a dial

	current atomic.Pointer[C] // what Get returns; nil when it must wait
	used    atomic.Bool       // somebody asked since the keeper last looked

	mu      sync.Mutex
	try     *attempt[C] // guarded by mu; the dial under way or asked for, or nil
	failure *DialError  // guarded by mu; the last dial's, nil after a success
	retired bool        // guarded by mu; the keeper has ended or is about to
}

// attempt is a dial that any number of callers wait for.
type attempt[C Pooled] struct {
	done chan struct{}
	conn C     // read after done
	err  error // read after done
}

func newAttempt[C Pooled]() *attempt[C] { return &attempt[C]{done: make(chan struct{})} }

// errShortLived is why an address whose connections do not last is in backoff.
var errShortLived = errors.New("the peer ended the connection as soon as it was made")

// shortLife is the age under which a connection that ends counts as a failed
// dial, so that a peer that accepts and hangs up is not dialled in a loop.
const shortLife = time.Second

// live returns the current connection and marks the record as used. The mark
// comes first: the keeper, who takes an idle connection away, does so before it
// looks at the mark a last time, so that one of the two notices the other.
func (r *peer[C]) live() (none C, ok bool) {
	if !r.used.Load() {
		r.used.Store(true)
	}
	c := r.current.Load()
	if c == nil || ended(*c) {
		return none, false
	}
	return *c, true
}

// attempt returns the dial to wait for, and asks for one if need be; or the
// failure that forbids it for now; or neither when the record is retired.
func (r *peer[C]) attempt() (*attempt[C], *DialError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.retired:
		return nil, nil
	case r.try != nil:
		return r.try, nil
	case r.failure != nil && time.Now().Before(r.failure.Next):
		return nil, r.failure
	}
	r.try = newAttempt[C]()
	select {
	case r.wanted <- struct{}{}:
	default:
	}
	return r.try, nil
}

// rest waits until next, or returns why it did not.
func (r *peer[C]) rest(ctx context.Context, next time.Time) error {
	t := time.NewTimer(time.Until(next))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.pool.life.Done():
		return ErrClosed
	}
}

// keep is the keeper: it dials when asked, looks after the connection, and ends
// when ctx does or nothing is left to keep.
func (r *peer[C]) keep(ctx context.Context) {
	defer r.pool.remove(r)
	for {
		c, err := r.connect(ctx)
		if err == nil {
			err = r.tend(ctx, c)
		}
		if ctx.Err() != nil {
			r.retire()
			return
		}
		if err != nil {
			if r.idleAfterFailure(ctx) {
				continue
			}
			return
		}
		if r.retireIf(func() bool { return r.try == nil }) {
			return
		}
	}
}

// connect dials and settles the attempt. The connection is current then.
func (r *peer[C]) connect(ctx context.Context) (C, error) {
	r.mu.Lock()
	if r.try == nil {
		r.try = newAttempt[C]()
	}
	r.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, r.pool.opts.DialTimeout)
	c, err := r.pool.dial(limited, r.address)
	cancel()
	switch {
	case err == nil && ctx.Err() != nil:
		c.Close()
		fallthrough
	case ctx.Err() != nil:
		err = fmt.Errorf("connect to %s: %w", r.address, ErrClosed)
	case err != nil:
		err = r.failed(err)
	default:
		r.current.Store(&c)
	}
	r.settle(c, err)
	return c, err
}

// settle gives whoever waits for an attempt its outcome.
func (r *peer[C]) settle(c C, err error) {
	r.mu.Lock()
	a := r.try
	r.try = nil
	r.mu.Unlock()
	if a != nil {
		a.conn, a.err = c, err
		close(a.done)
	}
}

// failed notes a failure and when to dial again.
func (r *peer[C]) failed(err error) *DialError {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &DialError{Address: r.address, Err: err, Failures: 1}
	if r.failure != nil {
		e.Failures += r.failure.Failures
	}
	pause := r.pool.opts.BackoffMax
	if doublings := e.Failures - 1; doublings < 30 {
		pause = min(pause, r.pool.opts.BackoffMin<<doublings)
	}
	pause -= time.Duration(rand.Int64N(int64(pause/2) + 1))
	e.Next = time.Now().Add(pause)
	r.failure = e
	return e
}

// idleAfterFailure waits until somebody asks for a dial, and reports true; or
// until the failure is not worth remembering or ctx ends, retires and reports
// false.
func (r *peer[C]) idleAfterFailure(ctx context.Context) bool {
	r.mu.Lock()
	next := r.failure.Next
	r.mu.Unlock()
	forget := time.NewTimer(time.Until(next) + r.pool.opts.BackoffMax)
	defer forget.Stop()
	for {
		select {
		case <-r.wanted:
			r.mu.Lock()
			asked := r.try != nil
			r.mu.Unlock()
			if asked {
				return true
			}
		case <-forget.C:
			if r.retireIf(func() bool { return r.try == nil }) {
				return false
			}
			return true
		case <-ctx.Done():
			r.retire()
			return false
		}
	}
}

// tend looks after c until it is gone: lost, idle, or given up because ctx
// ended. It returns an error when c did not last long enough to count as
// a success.
func (r *peer[C]) tend(ctx context.Context, c C) error {
	opts := &r.pool.opts
	born := time.Now()
	idle := time.NewTicker(max(opts.IdleTimeout/4, 1))
	defer idle.Stop()
	age := time.NewTimer(around(opts.MaxAge))
	defer age.Stop()
	quiet := 0
	for {
		select {
		case <-c.Done():
			r.current.Store(nil)
			r.pool.drain(c) // frees what it holds
			return r.outcome(born)
		case <-c.PeerGoingAway():
			r.current.Store(nil)
			r.pool.drain(c)
			if err := r.outcome(born); err != nil {
				return err
			}
			if !r.used.Swap(false) && quiet > 0 {
				return nil
			}
			next, err := r.connect(ctx)
			if err != nil {
				return err
			}
			c, born, quiet = next, time.Now(), 0
			age.Reset(around(opts.MaxAge))
		case <-age.C:
			next, err := r.connect(ctx)
			if err != nil { // the old one still serves
				age.Reset(opts.BackoffMax)
				continue
			}
			r.pool.drain(c)
			c, born, quiet = next, time.Now(), 0
			age.Reset(around(opts.MaxAge))
		case <-idle.C:
			if quiet++; r.used.Swap(false) || c.Busy() {
				quiet = 0
			}
			if quiet < 4 {
				continue
			}
			r.current.Store(nil)
			if r.used.Load() { // somebody has just asked, and may hold c
				r.current.Store(&c)
				quiet = 0
				continue
			}
			r.pool.drain(c)
			return nil
		case <-ctx.Done():
			r.current.Store(nil)
			r.retire()
			r.pool.finish(c)
			return nil
		}
	}
}

// outcome judges a connection that ended: one that lasted clears the record of
// failures, one that did not adds to it, and fails whoever has asked since.
func (r *peer[C]) outcome(born time.Time) error {
	if time.Since(born) < shortLife {
		var none C
		err := r.failed(errShortLived)
		r.settle(none, err)
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = nil
	return nil
}

// retireIf retires the record when cond, called under mu, says so.
func (r *peer[C]) retireIf(cond func() bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retired || !cond() {
		return false
	}
	r.retired = true
	return true
}

// retire retires the record, and fails whoever waits for it.
func (r *peer[C]) retire() {
	r.mu.Lock()
	r.retired = true
	r.mu.Unlock()
	var none C
	r.settle(none, fmt.Errorf("connect to %s: %w", r.address, ErrClosed))
}

// ended reports whether c has ended.
func ended[C Pooled](c C) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// around returns d give or take a tenth, so that connections made together do
// not end together.
func around(d time.Duration) time.Duration {
	return d - d/10 + time.Duration(rand.Int64N(int64(d/5)+1))
}
