package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// request admits or refuses a call that came by a lane. It never waits for a
// handler. An error ends the session.
func (c *Conn) request(l *lane, h frameHeader, body []byte) error {
	head, payload, err := splitBody(body)
	if err != nil {
		return err
	}
	var rh requestHead
	if refused := c.admit(h, head, uint64(len(payload)), &rh); refused != nil {
		c.refuseInlets(h.id, false, rh.streams)
		return c.refuse(l.w, h, refused)
	}
	s := c.newServed(h, &rh, l.intern(rh.object), l.intern(rh.method))
	s.lane = l.w
	if rh.streams > 0 {
		if refused := c.argumentInlets(s, rh.streams); refused != nil {
			return c.refuse(l.w, h, refused)
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
			return c.refuse(l.w, h, refused)
		}
	}
	if s.args = c.buffers.copyOf(payload); s.args != nil {
		s.call.Args.Data = *s.args
	}
	way := s.call.Way // s is the worker's as soon as it has it
	c.workers.do(s)
	if way == OneWayTaken {
		return c.urgent(l.w, func(b []byte) []byte { return appendSmallFrame(b, frameTaken, h.id) })
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
	case s.Err() != nil:
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

// answerLane appends a small reply to the lane that the call came by. It waits
// for room there if it must: a peer that does not read its replies keeps its
// own calls in flight, and nobody else's.
func (c *Conn) answerLane(s *servedCall, reply *Reply, failure *Error) {
	w := s.lane
	if w == nil {
		l, err := c.answeringLane()
		if err != nil {
			return // the session has ended
		}
		w = l.w
	}
	if w.lock(c.ctx) != nil {
		return
	}
	before := len(w.buf)
	if failure != nil {
		w.buf = appendError(w.buf, s.id, failure, c.sendTrace)
	} else {
		w.buf = appendReply(w.buf, s.id, reply)
		w.buf = append(w.buf, reply.Result.Data...)
	}
	w.unlock(before, 1)
}

// answeringLane returns a lane for the answer to a call that came by a stream of
// its own: one of the peer's, or else this side's.
func (c *Conn) answeringLane() (*lane, error) {
	c.mu.Lock()
	lanes := c.lanes
	c.mu.Unlock()
	if len(lanes) > 0 {
		return lanes[0], nil
	}
	return c.outgoing(c.ctx)
}

// answerLarge sends a large result on a stream of its own. A caller that gives
// up cuts it short.
func (c *Conn) answerLarge(s *servedCall, reply *Reply) {
	select {
	case c.resultSlots <- struct{}{}:
		defer func() { <-c.resultSlots }()
	case <-c.ctx.Done():
		return
	}
	stream, err := c.session.Open(c.ctx)
	if err != nil {
		failure := Errorf(Unavailable, "the result of %s could not be sent: %w", target(&s.call), err)
		c.answerLane(s, nil, failure)
		return
	}
	defer stream.Close()
	if !s.abortWith(func() { stream.Close() }) {
		return
	}
	c.stats.largeSent.Add(1)
	c.stats.framesSent.Add(1)
	rest, ok := c.writeHead(stream, appendReply([]byte{byte(streamResult)}, s.id, reply), reply.Result.Data)
	for ok && len(rest) > 0 { // else the caller has left, or the session has ended
		n := min(len(rest), largePiece)
		ok, rest = c.write(stream, rest[:n]), rest[n:]
	}
}

// readCall takes a call that came by a stream of its own.
func (c *Conn) readCall(stream transport.Stream, r *frameReader) {
	h, head, size, err := r.nextHead()
	stream.SetReadDeadline(noDeadline)
	if err != nil || h.typ != frameRequest {
		return
	}
	var rh requestHead
	if refused := c.admit(h, head, size, &rh); refused != nil {
		c.refuseInlets(h.id, false, rh.streams)
		c.refuseLarge(stream, h, refused)
		return
	}
	s := c.newServed(h, &rh, string(rh.object), string(rh.method))
	if rh.streams > 0 {
		if refused := c.argumentInlets(s, rh.streams); refused != nil {
			c.refuseLarge(stream, h, refused)
			return
		}
	}
	if !c.serving.put(s.id, s) {
		c.release(s)
		if err := c.sameID(); err != nil {
			c.laneEnded(err)
		}
		return
	}
	var refused *Error
	if h.flags&flagKeep != 0 || len(rh.promises) > 0 {
		refused = c.build(s, h.flags, rh.promises)
	}
	if refused == nil {
		refused = c.readArguments(s, stream, r, size)
	}
	if refused != nil {
		if s.call.building != nil {
			c.built(s, new(Reply), refused)
		}
		c.serving.take(s.id)
		c.release(s)
		c.refuseLarge(stream, h, refused)
		return
	}
	c.say(stream, appendSmallFrame(nil, frameTaken, h.id))
	c.workers.do(s)
}

// say writes a small frame to the stream of a large call.
func (c *Conn) say(stream transport.Stream, frame []byte) {
	stream.SetWriteDeadline(timeAfter(c.opts.StallTimeout))
	if _, err := stream.Write(frame); err == nil {
		c.stats.framesSent.Add(1)
		c.stats.bytesSent.Add(uint64(len(frame)))
	}
}

// readArguments reads the payload of a large request, once there is memory for
// it, or returns why the call is refused.
func (c *Conn) readArguments(s *servedCall, stream transport.Stream, r *frameReader, size uint64) *Error {
	ctx, cancel := context.WithTimeout(c.ctx, c.opts.LargeWait)
	defer cancel()
	if !s.deadline.IsZero() {
		stream.SetReadDeadline(s.deadline)
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, s.deadline)
		defer stop()
	}
	if err := c.largeArgs.acquire(ctx, int64(size)); err != nil {
		return refusal(ResourceExhausted, "large arguments of this connection take up %d bytes, and there is no room for %d more", c.opts.MaxLargeMemory, size)
	}
	s.release = func() { c.largeArgs.release(int64(size)) }
	buf, room := c.buffers.takeLarge(int(size))
	if buf == nil {
		buf = new([]byte)
	}
	data, err := r.extendWithin(*buf, size, uint64(room))
	*buf = data
	switch {
	case err == nil:
		c.stats.largeReceived.Add(1)
		s.args, s.call.Args.Data = buf, data
		return nil
	case s.late():
		return refusal(DeadlineExceeded, "call %s: the deadline passed before the arguments had arrived", target(&s.call))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refusal(Canceled, "call %s: the caller gave up while it sent the arguments", target(&s.call))
	}
	return refusal(Unavailable, "call %s: the arguments broke off: %w", target(&s.call), err)
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
