package rmi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"farcall.dev/transport"
)

// leave is how the two sides part without losing a call. The side that wants to
// leave says GOAWAY(soon). From then on neither starts a call, but
// for those that a method which is still running makes on its caller, without
// which it could not end. Each says GOAWAY(done) once all the calls it has sent
// are answered, and those that it has received too, since they may still call
// back; that a request crossed the GOAWAY on the wire does no harm, it is served
// like any other. When the leaver has heard the other's done, and has none of its
// own calls and none of the other's under way, nothing can get lost, and it ends
// the session.
type leave struct {
	// gate, once set, refuses new calls of this side.
	gate atomic.Pointer[Error]
	// peer is closed when the peer wants to leave; ours when this side does.
	peer, ours         chan struct{}
	peerOnce, oursOnce sync.Once
	// forGood says that the peer's process ends.
	forGood atomic.Bool
	// peerDone says that the peer has no calls under way; told that we said so.
	peerDone, told atomic.Bool

	mu     sync.Mutex
	notify chan struct{} // guarded by mu; closed at the next change
}

// newLeave returns a leave in which nobody has left.
func newLeave() leave {
	return leave{peer: make(chan struct{}), ours: make(chan struct{}), notify: make(chan struct{})}
}

// changed wakes those who wait for calls to finish, if there are any.
func (l *leave) changed(c *Conn) {
	if l.gate.Load() == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.notify)
	l.notify = make(chan struct{})
}

// change returns what is closed at the next change.
func (l *leave) change() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notify
}

// shut makes err the answer to new calls of this side, if there is none yet.
func (c *Conn) shut(err *Error) {
	err.Execution = NotExecuted
	c.leave.gate.CompareAndSwap(nil, err)
}

// PeerGoingAway is closed when the peer has asked for no more calls. New calls
// are then refused here, with UNAVAILABLE and not executed, but for those that a
// running method makes on its caller, with its context.
func (c *Conn) PeerGoingAway() <-chan struct{} { return c.leave.peer }

// cutOff reports whether c has ended without either side asking for it.
func (c *Conn) cutOff() bool {
	select {
	case <-c.leave.peer:
		return false
	case <-c.leave.ours:
		return false
	default:
		return !errors.Is(c.Err(), transport.ErrClosed)
	}
}

// peerLeaves handles a GOAWAY frame.
func (c *Conn) peerLeaves(what leaving) {
	switch what {
	case leavingSoon:
		c.peerGoesAway()
	case leavingDone:
		c.leave.peerDone.Store(true)
		c.leave.changed(c)
	case leavingForGood:
		c.leave.forGood.Store(true)
	}
}

// peerGoesAway notes that the peer wants to leave.
func (c *Conn) peerGoesAway() {
	c.leave.peerOnce.Do(func() {
		c.shut(Errorf(Unavailable, "%s is going away: %w", c.peerName(), transport.ErrGoAway))
		close(c.leave.peer)
	})
}

// watch is the watcher: when either side wants to leave, it says when this side
// needs the session no more.
func (c *Conn) watch() {
	select {
	case <-c.session.PeerGoingAway():
		c.peerGoesAway()
	case <-c.leave.peer:
	case <-c.leave.ours:
	case <-c.ctx.Done():
		return
	}
	for {
		change := c.leave.change()
		if c.quiet() {
			break
		}
		select {
		case <-change:
		case <-c.ctx.Done():
			return
		}
	}
	if c.sendGoAway(c.ctx, leavingDone) == nil {
		c.leave.told.Store(true)
		c.leave.changed(c)
	}
}

// quiet reports whether no call of either side, and no item stream, is under way.
// A method that runs counts among the peer's until nothing that it calls can
// begin any more, so those are looked at first; and an item stream counts before
// its call does no more.
func (c *Conn) quiet() bool {
	return c.in.Load() == 0 && c.out.Load() == 0 && c.items.live.Load() == 0
}

// calledBack reports whether ctx belongs to a call of the peer that still runs,
// so that what is called with it is part of what the peer waits for.
func (c *Conn) calledBack(ctx context.Context) bool {
	s, _ := ctx.Value(servedKey{}).(*servedCall)
	return s != nil && s.conn == c && s.running()
}

// sendGoAway sends a GOAWAY frame.
func (c *Conn) sendGoAway(ctx context.Context, what leaving) error {
	return c.lane.send(ctx, func(b []byte) ([]byte, int) { return appendGoAway(b, what), 1 })
}

// Shutdown leaves in peace: it refuses new calls here, asks the peer to send no
// more, waits until the calls of both sides have been answered and their item
// streams have ended, and ends the session. Calls that the peer sent before it
// learnt of it are served too, and what a running method calls on its caller,
// with its context. When
// ctx ends first, what is left is cut off and ctx's error returned. A session
// that ends otherwise meanwhile is no error here: its calls have failed, and
// Err says why.
func (c *Conn) Shutdown(ctx context.Context) error {
	c.shut(Errorf(Unavailable, "the connection to %s is being closed here: %w", c.peerName(), transport.ErrGoAway))
	c.leave.oursOnce.Do(func() { close(c.leave.ours) })
	err := c.sendGoAway(ctx, leavingSoon)
	if err == nil && c.opts.Space.isLeaving() {
		err = c.sendGoAway(ctx, leavingForGood)
	}
	for err == nil {
		change := c.leave.change()
		if c.parted() {
			break
		}
		select {
		case <-change:
		case <-c.ctx.Done():
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	ended := c.Err() != nil || c.session.Err() != nil // which c learns of a moment later
	c.Close()
	if err == nil || ended {
		return nil
	}
	return fmt.Errorf("shut down the connection to %s: %w", c.peerName(), err)
}

// parted reports whether neither side needs the session any more, or it has
// ended.
func (c *Conn) parted() bool {
	if c.ctx.Err() != nil {
		return true
	}
	return c.leave.told.Load() && c.leave.peerDone.Load() && c.quiet()
}
