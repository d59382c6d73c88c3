package rmi

import (
	"context"
	"errors"
	"sync"
	"time"

	"farcall.dev/naming"
)

// Why a session ended; the cause of [Session.Context].
var (
	errSpaceClosed = errors.New("this process has left")
	errLeaseOver   = errors.New("the peer was gone for longer than the lease")
	errPeerLeft    = errors.New("the peer has left")
	errPeerAgain   = errors.New("the peer has started anew")
)

// Session is what this process and one start of another have with each other,
// across the connections between them: it begins with the first, and ends when
// there has been none for longer than the lease, or the peer has left. Values can be kept in it, and
// objects with one instance for each session live as long as it does. Its
// methods may be called from any number of goroutines.
type Session struct {
	space *Space
	peer  peerID

	ctx    context.Context
	cancel context.CancelCauseFunc

	// numbers are those of this process's calls to the peer, records of the
	// peer's calls to it.
	numbers numbers
	records records

	mu sync.Mutex
	// What follows is guarded by mu.
	conns map[*Conn]struct{}
	// lease runs while there is no connection.
	lease  *time.Timer
	ended  bool
	left   bool // the peer's process has said that it ends
	values map[any]any
	// atEnd are called, newest first, when the session has ended.
	atEnd []func()

	// lent is what the peer holds of this process's objects. Guarded by
	// references.mu.
	lent lending
}

// newSession returns a session without connections.
func newSession(s *Space, peer peerID) *Session {
	sess := &Session{space: s, peer: peer, conns: make(map[*Conn]struct{})}
	sess.ctx, sess.cancel = context.WithCancelCause(s.ctx)
	return sess
}

// sessionKey is what a method's context answers to with the session of its
// caller.
type sessionKey struct{}

// SessionFrom returns the session that the call of a method's context came in;
// nil when the call came by another protocol, from this process, or from a peer
// that does not say who it is.
func SessionFrom(ctx context.Context) *Session {
	s, _ := ctx.Value(sessionKey{}).(*Session)
	return s
}

// Node returns who the peer is.
func (s *Session) Node() naming.NodeID { return s.peer.node }

// Incarnation returns which start of the peer it is.
func (s *Session) Incarnation() naming.Incarnation { return s.peer.incarnation }

// Context ends with the session; its cause says why.
func (s *Session) Context() context.Context { return s.ctx }

// Value returns what [Session.SetValue] has kept for key; nil when it has not.
// Keys are compared as in context.WithValue, and should have a type of one's own
// for the same reason.
func (s *Session) Value(key any) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// SetValue keeps value for key until the session ends; nil removes it. A session
// keeps at most 1024 values: SetValue returns RESOURCE_EXHAUSTED for one more,
// and FAILED_PRECONDITION when the session has ended.
func (s *Session) SetValue(key, value any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, had := s.values[key]
	switch {
	case s.ended:
		return refusal(FailedPrecondition, "the session with %v has ended: %w", s.peer, context.Cause(s.ctx))
	case value == nil:
		delete(s.values, key)
		return nil
	case !had && len(s.values) >= DefaultMaxValues:
		return refusal(ResourceExhausted, "the session with %v keeps %d values, and no more are allowed", s.peer, DefaultMaxValues)
	case s.values == nil:
		s.values = make(map[any]any)
	}
	s.values[key] = value
	return nil
}

// AtEnd has f called on a goroutine of its own when the session has ended, the
// last f first; at once when it has ended already.
func (s *Session) AtEnd(f func()) {
	if !s.onEnd(f) {
		go f()
	}
}

// onEnd has f called when the session has ended, and reports whether it could:
// not when the session has ended already.
func (s *Session) onEnd(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.atEnd = append(s.atEnd, f)
	return true
}

// connected adds a connection, and reports whether it could: not when the
// session has ended.
func (s *Session) connected(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	if s.lease != nil {
		s.lease.Stop()
		s.lease = nil
	}
	c.shared = s // before others find c
	s.conns[c] = struct{}{}
	return true
}

// disconnected takes a connection that has ended away. After the last one the
// lease begins to run.
func (s *Session) disconnected(c *Conn) {
	last, left := s.lost(c)
	if left {
		s.end(errPeerLeft)
	}
	s.space.refs.disconnected(s, c, last)
}

// lost is disconnected, and reports whether c was the last of a session that has
// not ended, and whether the peer has left for good.
func (s *Session) lost(c *Conn) (last, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.left = s.left || c.leave.forGood.Load()
	if len(s.conns) > 0 || s.ended || s.left {
		return false, s.left && len(s.conns) == 0
	}
	var timer *time.Timer
	timer = time.AfterFunc(s.space.opts.Lease, func() {
		s.mu.Lock()
		over := s.lease == timer
		s.mu.Unlock()
		if over {
			s.end(errLeaseOver)
		}
	})
	s.lease = timer
	return true, false
}

// conn returns a connection of the session that takes calls; nil when there is
// none.
func (s *Session) conn() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.leave.gate.Load() == nil {
			return c
		}
	}
	return nil
}

// end ends the session because of cause. It does not wait for what AtEnd has
// been given; Space.Close does.
func (s *Session) end(cause error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	if s.lease != nil {
		s.lease.Stop()
		s.lease = nil
	}
	atEnd := s.atEnd
	s.atEnd, s.values = nil, nil
	s.mu.Unlock()
	defer s.space.loops.Done()
	last, seen := s.numbers.close(), s.records.close(cause)
	s.space.forget(s, last, seen)
	s.cancel(cause)
	s.space.refs.sessionEnded(s)
	if len(atEnd) > 0 {
		s.space.goEnd(func() {
			for i := len(atEnd) - 1; i >= 0; i-- {
				atEnd[i]()
			}
		})
	}
}
