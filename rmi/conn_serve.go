package rmi

import (
	"context"
	"fmt"
	"runtime/debug"

	"farcall.dev/naming"
)

// request admits or refuses a call. It never waits for a handler. An error ends
// the session.
func (c *Conn) request(h frameHeader, body []byte) error {
	head, payload, err := splitBody(body)
	if err != nil {
		return err
	}
	apart := h.size - uint64(len(body)) // bytes of the payload that are not here
	var rh requestHead
	if refused := c.admit(h, head, uint64(len(payload))+apart, &rh); refused != nil {
		c.refuseInlets(h.id, false, rh.streams)
		return c.refuse(h, refused)
	}
	s := c.newServed(h, &rh, c.lane.intern(rh.object), c.lane.intern(rh.method))
	if rh.streams > 0 {
		if refused := c.argumentInlets(s, rh.streams); refused != nil {
			return c.refuse(h, refused)
		}
	}
	if !c.serving.put(s.id, s) {
		c.release(s)
		return c.sameID()
	}
	if h.flags&flagKeep != 0 || len(rh.promises) > 0 {
		if refused := c.build(s, h.flags, rh.promises); refused != nil {
			c.serving.take(s.id)
			c.release(s)
			return c.refuse(h, refused)
		}
	}
	if apart > 0 {
		return c.argumentsApart(s, h, apart)
	}
	if s.args = c.buffers.copyOf(payload); s.args != nil {
		s.call.Args.Data = *s.args
	}
	way := s.call.Way // s is the worker's as soon as it has it
	c.workers.do(s)
	if way == OneWayTaken {
		return c.lane.urgent(func(b []byte) []byte { return appendSmallFrame(b, frameTaken, h.id) })
	}
	return nil
}

// sameID returns why a call could not be entered in the table: nil when c has
// ended, which is nobody's fault.
func (c *Conn) sameID() error {
	if c.ctx.Err() != nil {
		return nil
	}
	return errSameID
}

// admit decodes a request's head into rh and counts the call as in flight, or
// returns why it is refused.
func (c *Conn) admit(h frameHeader, head []byte, size uint64, rh *requestHead) *Error {
	var refused *Error
	if h.flags&flagsUnknown != 0 {
		refused = refusal(Unimplemented, "the request has flags (%#x) that this version does not know", h.flags)
	} else if refused = rh.decode(head); refused == nil && size > uint64(c.opts.MaxPayload) {
		refused = refusal(ResourceExhausted, "the arguments have %d bytes, and the most this node takes is %d", size, c.opts.MaxPayload)
	}
	if refused == nil && rh.trail.Depth > MaxChain {
		refused = rh.trail.tooLong(string(rh.object), string(rh.method))
	}
	if refused == nil {
		most := int64(c.opts.MaxInFlight)
		if rh.trail.Depth > 0 {
			most *= 2 // the calls that wait for this one must not keep it out
		}
		if c.in.Add(1) <= most {
			c.stats.callsIn.Add(1)
			return nil
		}
		c.callAnswered()
		refused = refusal(ResourceExhausted, "%d calls of this connection are in flight, and no more are allowed", most)
	}
	c.stats.refused.Add(1)
	return refused
}

// newServed returns an admitted call, without its arguments.
func (c *Conn) newServed(h frameHeader, rh *requestHead, object, method string) *servedCall {
	s := &servedCall{conn: c, id: h.id, call: Call{
		Object: naming.Name(object), Method: method,
		Args: Payload{Type: rh.typ, from: c.shared}, Metadata: rh.metadata, Peer: c.peer, Way: wayOf(h.flags),
		Trail: rh.trail, token: rh.token, replyOnly: h.flags&flagReplyOnly != 0,
	}}
	if rh.timeout > 0 {
		s.deadline = timeAfter(rh.timeout)
	}
	return s
}

// release gives back what an admitted call holds.
func (c *Conn) release(s *servedCall) {
	c.buffers.release(s.args)
	c.buffers.release(s.result)
	if s.inlets != nil && !s.streaming {
		dropSources(s.inlets, errCallOver)
	}
	if s.release != nil {
		s.release()
	}
	c.callAnswered()
}

// serve runs a call and answers it. It is what workers do. A copy of a call that
// was sent before is not run: it is answered alike, when that has ended.
func (c *Conn) serve(s *servedCall) {
	if s.call.token.seq != 0 && !c.recorded(s) {
		return
	}
	if o := s.settled; o != nil {
		c.answer(s, o.reply, o.failure)
		return
	}
	returned := false
	defer func() {
		if !returned { // the handler has called runtime.Goexit
			c.answer(s, Reply{}, Errorf(Internal, "call %s: the handler ended its goroutine", target(&s.call)))
		}
	}()
	reply, err := c.invoke(s)
	returned = true
	c.answer(s, reply, err)
}

// recorded enters a numbered call in the session's records, and reports whether
// the worker has something to do for it.
func (c *Conn) recorded(s *servedCall) bool {
	token := s.call.token
	s.call.token = callToken{} // a handler may pass the call on
	if c.shared == nil || s.call.Way != Wait {
		return true
	}
	if o := c.opts.Space.objects.Load(); o != nil && o.Idempotent(s.call.Object, s.call.Method) {
		c.shared.records.pass(token)
		return true
	}
	run, o := c.shared.records.begin(s, token)
	if run {
		s.numbered = true
		return true
	}
	if o == nil {
		return false // who carries out the call it is a copy of has it answered
	}
	s.settled = o
	return true
}

// lose ends a call that cannot be answered any more, because of cause, unless it
// goes on for a copy of it.
func (c *Conn) lose(s *servedCall, cause error) {
	if c.shared == nil || !c.shared.records.orphan(s, orphanGrace) {
		s.end(cause)
	}
}

// giveUp ends a call whose caller wants no answer any more.
func (c *Conn) giveUp(s *servedCall) {
	s.end(errCallerGaveUp)
	if c.shared == nil {
		return
	}
	if running := c.shared.records.runner(s); running != nil && running != s {
		running.end(errCallerGaveUp)
	}
}

// invoke runs the handler: for a batch, once for each of its calls.
func (c *Conn) invoke(s *servedCall) (reply Reply, failure *Error) {
	switch {
	case s.late():
		return Reply{}, refusal(DeadlineExceeded, "call %s: the deadline passed before the call could start", target(&s.call))
	case s.unwanted():
		return Reply{}, refusal(Canceled, "call %s: the caller gave up before the call could start", target(&s.call))
	case c.handler == nil:
		return Reply{}, refusal(Unimplemented, "call %s: this node serves nothing on this connection", target(&s.call))
	}
	if len(s.call.uses()) > 0 {
		if failure := c.fulfil(s); failure != nil {
			return Reply{}, failure
		}
	}
	if s.call.Args.Type == ContentBatch {
		reply, err := splitter{HandlerFunc(c.guarded), c.opts.MaxPayload, c.sendTrace}.Handle(s, &s.call)
		return reply, FromError(err)
	}
	reply, err := c.guarded(s, &s.call)
	return reply, FromError(err)
}

// guarded has the handler carry out call. A panic becomes an INTERNAL error.
func (c *Conn) guarded(ctx context.Context, call *Call) (reply Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			trace := string(debug.Stack())
			c.log.Error("handler panicked", "peer", c.peerName(), "object", string(call.Object), "method", call.Method, "panic", fmt.Sprint(p), "trace", trace)
			reply, err = Reply{}, &Error{Code: Internal, Message: fmt.Sprintf("call %s: the handler panicked", target(call)), Trace: trace}
		}
	}()
	return c.handler.Handle(ctx, call)
}

// answer sends the outcome of a call to the peer, if it still wants it, and
// gives back what the call holds.
func (c *Conn) answer(s *servedCall, reply Reply, failure *Error) {
	if s.numbered {
		if failure == nil {
			failure = c.checkReply(s, &reply)
		}
		c.shared.records.end(s, &reply, failure)
	}
	if s.call.building != nil {
		c.built(s, &reply, failure)
	}
	wanted := s.finish()
	if s.call.Way != Wait {
		reply.Result.drop(errNobodyWaits)
		if failure != nil && failure.Execution == NotExecuted {
			c.stats.dropped.Add(1)
		}
		wanted = false
	}
	if len(reply.Result.streams) > 0 {
		c.answerStreaming(s, &reply, failure, wanted)
	} else if wanted {
		if failure == nil {
			failure = c.checkReply(s, &reply)
		}
		if failure == nil && len(reply.Result.Data) > LargePayload {
			c.answerLarge(s, &reply)
		} else {
			c.answerLane(s, &reply, failure)
		}
	}
	c.serving.take(s.id)
	c.release(s)
}

// checkReply returns why a reply cannot be sent, or nil.
func (c *Conn) checkReply(s *servedCall, reply *Reply) *Error {
	if n := len(reply.Result.Data); n > c.opts.MaxPayload {
		return Errorf(ResourceExhausted, "the result of %s has %d bytes, and the most this node sends is %d", target(&s.call), n, c.opts.MaxPayload)
	}
	if err := checkMetadata(reply.Metadata); err != nil {
		err.Message, err.Execution = "the reply of "+target(&s.call)+": "+err.Message, Executed
		return err
	}
	return nil
}

// answerLane sends a small reply. It waits for room on the lane if it must: a peer
// that does not read its replies keeps its own calls in flight, and nobody else's.
func (c *Conn) answerLane(s *servedCall, reply *Reply, failure *Error) {
	b, err := c.lane.lock(c.ctx, 0)
	if err != nil {
		return
	}
	if failure != nil {
		b = appendError(b, s.id, failure, c.sendTrace)
	} else {
		b = append(appendReply(b, s.id, reply), reply.Result.Data...)
	}
	c.lane.unlock(b, 1)
}

// callAnswered counts a call of the peer as finished.
func (c *Conn) callAnswered() {
	if c.in.Add(-1) == 0 {
		c.leave.changed(c)
	}
}

// callReturned counts a call of this side as finished.
func (c *Conn) callReturned() {
	if c.out.Add(-1) == 0 {
		c.leave.changed(c)
	}
}
