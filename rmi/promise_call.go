package rmi

import (
	"context"
	"errors"
	"sync"
)

// promiseDetail is the key in Error.Details by which a node says that a call was
// not executed because of the result of another that it builds on.
const promiseDetail = "farcall-promise"

// errNotThere is why a call that builds on promises was not sent: their results
// are not kept where it would go.
var errNotThere = errors.New("the results that the call builds on are kept elsewhere")

// started is a call of this side whose result others may build on.
type started struct {
	h    Handler
	name string // for messages

	// placed is closed when the request is with a connection; done when the call
	// has ended, with what follows it set.
	placed, done chan struct{}
	result       Payload
	refs         takenRefs // those in result
	err          *Error

	mu sync.Mutex
	// What follows is guarded by mu.
	conn     *Conn  // that the request went by, the last if there were several
	id       uint64 // of the request there; 0 before, and when it was forgotten
	users    int    // calls that build on it and have not been answered
	released bool
	unhook   func() bool // frees the context of the release at its end
}

// run carries out the call.
func (s *started) run(ctx context.Context, call *Call) {
	err := panicsTo(call, func() error {
		var err error
		if s.result, err = sendCall(ctx, s.h, call); err == nil {
			s.refs, err = takeReferences(spaceOf(s.h), &s.result)
		}
		return err
	})
	if len(s.result.streams) > 0 {
		s.result.drop(errPromisedStream)
		err = Errorf(Unimplemented, "%s: %w", called(call), errPromisedStream)
	}
	if err != nil {
		s.err = FromError(err)
	}
	close(s.done)
}

// errPromisedStream says that a sequence cannot be promised: there is only one
// reader of it.
var errPromisedStream = errors.New("a promise cannot hold sequences; call the method by Invoke")

// value returns the result, or a part of it. The call must have ended.
func (s *started) value(part int) (Payload, error) {
	if s.err != nil {
		return Payload{}, s.err
	}
	value := Payload{Type: s.result.Type, Data: s.result.Data}
	if part > 0 {
		var err error
		if value.Data, err = elementOf(value.Data, part); err != nil {
			return Payload{}, Errorf(InvalidArgument, "%s(): %w", s.name, err)
		}
	}
	return value, nil
}

// sentBy notes where the request has gone. Calls that are sent by c from now on
// follow it.
func (s *started) sentBy(c *Conn, id uint64) {
	s.mu.Lock()
	before, old := s.conn, s.id
	s.conn, s.id = c, id
	forget := s.unwantedLocked()
	s.mu.Unlock()
	if before == nil {
		close(s.placed)
	} else {
		before.forget(old)
	}
	forget()
}

// place returns where the result is kept; nil where it is not.
func (s *started) place() (*Conn, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id == 0 || s.conn.Err() != nil {
		return nil, 0
	}
	return s.conn, s.id
}

// release says that no more calls will build on s before it has ended.
func (s *started) release() {
	s.mu.Lock()
	s.released = true
	unhook := s.unhook
	forget := s.unwantedLocked()
	s.mu.Unlock()
	forget()
	if unhook != nil {
		unhook()
	}
}

// releaseAfter releases s when ctx ends.
func (s *started) releaseAfter(ctx context.Context) {
	unhook := context.AfterFunc(ctx, s.release)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unhook = unhook
}

// unuse ends a use by a call.
func (s *started) unuse() {
	s.mu.Lock()
	s.users--
	forget := s.unwantedLocked()
	s.mu.Unlock()
	forget()
}

// unwantedLocked returns what tells the node that nobody needs the result any
// more, if that is so.
func (s *started) unwantedLocked() (forget func()) {
	if !s.released || s.users > 0 || s.id == 0 {
		return func() {}
	}
	c, id := s.conn, s.id
	s.id = 0
	return func() { c.forget(id) }
}

// forget tells the peer that the result of a call need not be kept.
func (c *Conn) forget(id uint64) {
	if id != 0 {
		c.lane.force(frameForget, id)
	}
}

// sendPromised has h carry out a call that builds on promises: at once where
// their results are kept at the other end of one connection that the call goes
// by, and otherwise when they are there.
func sendPromised(ctx context.Context, h Handler, call *Call) (Reply, error) {
	uses := call.uses()
	defer unuse(uses)
	call.building = nil
	if ahead := pipelined(ctx, call, uses); ahead != nil {
		reply, err := h.Handle(ctx, ahead)
		switch {
		case err == nil, !isUnfulfilled(err), ahead.argsSent:
			return reply, err
		case ctx.Err() != nil:
			return Reply{}, refusal(contextCode(ctx.Err()), "call %s: not executed: %w", target(call), context.Cause(ctx))
		}
	}
	return sendFulfilled(ctx, h, call, uses)
}

// unuse ends uses.
func unuse(uses []promiseUse) {
	for _, u := range uses {
		u.of.unuse()
	}
}

// isUnfulfilled reports whether err says that a call was not executed because of
// the results that it builds on, or by a node that had no room for it: the calls
// before it may then have gone elsewhere.
func isUnfulfilled(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Execution != NotExecuted {
		return false
	}
	return e.Code == Unavailable || e.Code == ResourceExhausted || e.Details[promiseDetail] != "" || errors.Is(err, errNotThere)
}

// pipelined returns call as it goes ahead of the results in uses, once their
// calls have been sent; nil when it cannot.
func pipelined(ctx context.Context, call *Call, uses []promiseUse) *Call {
	if len(call.Args.Data) > LargePayload {
		return nil // so much is not sent before it is known that it is of use
	}
	ahead := *call
	ahead.building = &building{uses: make([]promiseUse, len(uses))}
	var conn *Conn
	for i, u := range uses {
		select {
		case <-u.of.placed:
		case <-u.of.done:
			if u.of.err != nil {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
		c, id := u.of.place()
		if c == nil || conn != nil && c != conn {
			return nil
		}
		conn = c
		ahead.building.uses[i] = promiseUse{arg: u.arg, call: id, result: u.result, of: u.of}
	}
	return &ahead
}

// buildsOn reports whether the results that call builds on are kept by the peer
// of c.
func (call *Call) buildsOn(c *Conn) bool {
	for _, u := range call.uses() {
		if at, id := u.of.place(); at != c || id != u.call {
			return false
		}
	}
	return len(call.Args.Data) <= LargePayload
}

// bound reports whether call has to go by one connection, because its object is
// kept at the other end, and returns that; nil when it has ended.
func (call *Call) bound() (*Conn, bool) {
	for _, u := range call.uses() {
		if u.arg == 0 && u.of != nil {
			c, _ := u.of.place()
			return c, true
		}
	}
	return nil, false
}

// sendFulfilled waits for the results that call builds on, and sends it with
// them in it.
func sendFulfilled(ctx context.Context, h Handler, call *Call, uses []promiseUse) (Reply, error) {
	values := make([]argValue, 0, len(uses))
	var object *Payload
	var objects takenRefs // in the result that holds the object
	for _, u := range uses {
		select {
		case <-u.of.done:
		case <-ctx.Done():
			return Reply{}, refusal(contextCode(ctx.Err()), "call %s: not executed: no result of %s, which it needs: %w", target(call), u.of.name, context.Cause(ctx))
		}
		if u.of.err != nil {
			return Reply{}, needed(call, u.of.name, u.of.err)
		}
		value, err := u.of.value(u.result)
		if err == nil && u.arg > 0 {
			value, err = passOn(spaceOf(h), value, u.of.refs)
		}
		if err != nil {
			return Reply{}, refusal(InvalidArgument, "call %s: not executed: %w", target(call), err)
		}
		if u.arg == 0 {
			object, objects = &value, u.of.refs
		} else {
			values = append(values, argValue{u.arg, value.Data})
		}
	}
	sent := *call
	if len(values) > 0 {
		var err error
		if sent.Args.Data, err = splice(call.Args.Data, values); err != nil {
			return Reply{}, refusal(InvalidArgument, "call %s: not executed: %w", target(call), err)
		}
	}
	if object == nil {
		return h.Handle(ctx, &sent)
	}
	ref, err := referenceIn(spaceOf(h), object.Data, objects)
	if err != nil {
		return Reply{}, refusal(FailedPrecondition, "call %s: not executed: the result is not an object that can be called: %w", target(call), err)
	}
	return ref.Handle(ctx, &sent)
}

// needed is the failure of a call that builds on the result of another, name,
// which has failed.
func needed(call *Call, name string, cause *Error) *Error {
	e := refusal(cause.Code, "call %s: not executed: %s, whose result it needs, failed: %s", target(call), name, cause.Message)
	e.cause = cause
	return e
}
