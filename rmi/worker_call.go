package rmi

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// servedCall is one call of the peer from its request to its reply. It is the
// context that the handler gets, and holds the Call, so that both are one
// allocation. It is not used again: a handler may have given the context away.
//
// As a context it is made from the standard library's on demand: a handler that
// never asks for Done costs no timer and no channel.
type servedCall struct {
	// conn is what the call came by; nil for a call of this process to itself,
	// which is local, and home its Space.
	conn  *Conn
	local *localCall
	home  *Space

	id   uint64
	call Call
	args *[]byte // what call.Args is kept in; nil when it has memory of its own
	// result is what a large result was encoded into; nil when it has other memory.
	// Only the worker uses it.
	result *[]byte
	// inlets are the sequences of the arguments. They end with the call, or,
	// when it is streaming, with the sequences of the result.
	inlets    []itemSource
	streaming bool

	// release gives back what the call holds besides args; may be nil.
	release func()

	deadline time.Time // zero for none

	// chain is the call's place in its chain, for handlers that call on without
	// a method's context.
	chain atomic.Pointer[chain]

	// numbered says that it is recorded; only its worker uses that.
	numbered bool
	// record is that of the call, and lost says that its connection has broken.
	// Both are guarded by the mu of the session's records.
	lost   bool
	record *record
	// settled, when not nil, is the answer, and the call is not carried out. It is
	// set before a worker gets the call.
	settled *answer

	mu       sync.Mutex
	std      context.Context         // guarded by mu; nil until somebody needs it
	cancel   context.CancelCauseFunc // guarded by mu; ends std
	finished bool                    // guarded by mu; the handler has returned
	silent   bool                    // guarded by mu; the peer wants no reply
	abort    func()                  // guarded by mu; stops the sending of a large result
}

var _ context.Context = (*servedCall)(nil)

// connKey is the key under which a call's context holds its Conn.
type connKey struct{}

// servedKey is the key under which a call's context holds its servedCall.
type servedKey struct{}

// CallerConn returns the connection that the call of a handler's context came
// by, on which the caller can be called back while it waits; nil when the call
// came by another protocol or from this process.
func CallerConn(ctx context.Context) *Conn {
	c, _ := ctx.Value(connKey{}).(*Conn)
	return c
}

// Deadline implements context.Context.
func (s *servedCall) Deadline() (time.Time, bool) { return s.deadline, !s.deadline.IsZero() }

// Done implements context.Context.
func (s *servedCall) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stdLocked().Done()
}

// Err implements context.Context.
func (s *servedCall) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.std == nil && !s.finished && !s.late() {
		return nil
	}
	return s.stdLocked().Err()
}

// Value implements context.Context.
func (s *servedCall) Value(key any) any {
	switch key.(type) {
	case connKey:
		return s.conn
	case sessionKey:
		if s.conn == nil {
			return nil
		}
		return s.conn.shared
	case servedKey, chainKey:
		return s
	}
	s.mu.Lock()
	std := s.std
	if std == nil && (s.finished || s.late()) {
		std = s.stdLocked()
	}
	s.mu.Unlock()
	if std == nil {
		return nil // the standard context would have no other values either
	}
	return std.Value(key)
}

// onward returns the trail of what the handler calls.
func (s *servedCall) onward() Trail {
	if s.chain.Load() == nil {
		s.chain.CompareAndSwap(nil, &chain{trail: s.call.Trail})
	}
	return s.chain.Load().onward(func() string { return stepOf(&s.call, s.space()) })
}

// space returns the Space that the call is served in; nil without one.
func (s *servedCall) space() *Space {
	if s.conn == nil {
		return s.home
	}
	return s.conn.opts.Space
}

// running reports whether the handler has not returned yet.
func (s *servedCall) running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.finished
}

// late reports whether the deadline has passed.
func (s *servedCall) late() bool {
	return !s.deadline.IsZero() && !time.Now().Before(s.deadline)
}

// giveArgs gives the memory of the arguments away, and reports whether args, the
// arguments as a method gets them, are in it and nothing else is. Only the worker
// may call it.
func (s *servedCall) giveArgs(args []byte) bool {
	if s.args == nil || len(*s.args) == 0 || len(args) == 0 || &(*s.args)[len(*s.args)-1] != &args[len(args)-1] {
		return false
	}
	s.args = nil
	return true
}

// unwanted reports whether the peer wants no reply any more.
func (s *servedCall) unwanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent
}

// stdLocked returns the standard context behind s.
func (s *servedCall) stdLocked() context.Context {
	if s.std != nil {
		return s.std
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	s.std, s.cancel = ctx, cancel
	if !s.deadline.IsZero() {
		timed, stop := context.WithDeadline(ctx, s.deadline)
		s.std = timed
		s.cancel = func(cause error) {
			cancel(cause)
			stop()
		}
	}
	if s.finished {
		s.cancel(context.Canceled)
	}
	return s.std
}

// end cancels the context because of cause: the peer wants no reply any more,
// or cannot get one.
func (s *servedCall) end(cause error) {
	s.mu.Lock()
	s.silent = true
	abort := s.abort
	if !s.finished {
		s.stdLocked()
	}
	cancel := s.cancel
	s.mu.Unlock()
	if abort != nil {
		abort()
	}
	if cancel != nil {
		cancel(cause) // runs what others hung on the context
	}
}

// abortWith has abort called when the peer does not want the reply that is
// being sent, and reports whether it still wants it.
func (s *servedCall) abortWith(abort func()) (wanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.abort = abort
	return !s.silent
}

// finish ends the context after the handler has returned, and reports whether
// the peer wants a reply.
func (s *servedCall) finish() (answer bool) {
	s.mu.Lock()
	s.finished = true
	cancel, silent := s.cancel, s.silent
	s.mu.Unlock()
	if cancel != nil {
		cancel(context.Canceled)
	}
	return !silent
}
