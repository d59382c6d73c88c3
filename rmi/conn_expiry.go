package rmi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// errTimeUp completes a call whose Timeout has passed.
var errTimeUp = Errorf(DeadlineExceeded, "no reply before the deadline: %w", context.DeadlineExceeded)

// expiry ends the waits of a Conn's calls that are bounded by a Timeout. It has one
// timer for all of them, which goes off when the first is due: a timer for each
// would cost more than all else of a wait, and hardly any ever goes off. Times are
// nanoseconds since base.
type expiry struct {
	base time.Time
	// next is when the timer goes off, or earlier; 0 when it does not run.
	next atomic.Int64

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil before the first use
	over  bool        // guarded by mu
}

// due returns the time d from now.
func (e *expiry) due(d time.Duration) int64 { return int64(time.Since(e.base) + d) }

// dueAt returns the time until, or, where that is zero, the time d from now.
func (e *expiry) dueAt(until time.Time, d time.Duration) int64 {
	if until.IsZero() {
		return e.due(d)
	}
	return int64(until.Sub(e.base))
}

// expect has sweep called at the time at, or before. The call must be in its table.
func (e *expiry) expect(at int64, sweep func()) {
	if next := e.next.Load(); next != 0 && next <= at {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if next := e.next.Load(); e.over || next != 0 && next <= at {
		return
	}
	e.next.Store(at)
	wait := time.Duration(at) - time.Since(e.base)
	if e.timer == nil {
		e.timer = time.AfterFunc(wait, sweep)
	} else {
		e.timer.Reset(wait)
	}
}

// end stops the timer for good.
func (e *expiry) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	if e.timer != nil {
		e.timer.Stop()
	}
}

// sweep completes the calls that are due. Calls that begin meanwhile see that the
// timer does not run, or are seen.
func (c *Conn) sweep() {
	c.expiry.next.Store(0)
	now := c.expiry.due(0)
	first := int64(0)
	var late []*pendingCall
	c.pending.sweep(func(p *pendingCall) (remove bool) {
		switch {
		case p.due == 0:
		case p.due <= now:
			late = append(late, p)
			return true
		case first == 0 || p.due < first:
			first = p.due
		}
		return false
	})
	for _, p := range late {
		p.complete(Reply{}, errTimeUp)
	}
	if first != 0 {
		c.expiry.expect(first, c.swept)
	}
}
