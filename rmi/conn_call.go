package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// pendingCall is a call of this side that waits for its reply. It is used again
// once nobody can complete it any more.
type pendingCall struct {
	done  chan struct{} // gets one value when reply and err are set
	reply Reply
	err   *Error

	// due is when its Timeout has passed, as in expiry; 0 for none. It is set
	// before the call is in the table.
	due int64
	// end is where among the lane's bytes the request ends; 0 before it was
	// appended, and pendingSent when that is not known.
	end atomic.Uint64
}

// pendingSent is the end of a request that may have been sent.
const pendingSent = 1<<64 - 1

// complete ends the call. Only who took it out of the table may.
func (p *pendingCall) complete(r Reply, err *Error) {
	p.reply, p.err = r, err
	p.done <- struct{}{}
}

// fail completes the call because the session has ended. The method may have
// run if all of the request was given to the session.
func (p *pendingCall) fail(c *Conn, cause error) {
	end := p.end.Load()
	sent := end == pendingSent || end != 0 && end <= c.lane.Given()
	err := Errorf(Unavailable, "the connection to %s broke while the call was under way: %w", c.peerName(), cause)
	if !sent {
		err = refusal(Unavailable, "the connection to %s broke before the call was sent: %w", c.peerName(), cause)
	}
	p.complete(Reply{}, err)
}

// Handle sends call to the peer and waits for the reply, for as long as ctx
// lasts, or call.Timeout when ctx has no deadline: it returns then whatever the
// peer does, and tells the peer. A call of another [Way] is not waited for, and
// its Reply is empty.
// The reply's data is the caller's. Errors are [*Error]: the peer's, or one
// with the code UNAVAILABLE, DEADLINE_EXCEEDED, CANCELED, RESOURCE_EXHAUSTED or
// INVALID_ARGUMENT made here, whose Execution says whether the peer may have
// seen the call.
func (c *Conn) Handle(ctx context.Context, call *Call) (Reply, error) {
	c.out.Add(1)
	defer c.callReturned()
	if refused := c.leave.gate.Load(); refused != nil && !c.calledBack(ctx) {
		err := *refused
		return Reply{}, &err
	}
	timeout, err := c.checkCall(ctx, call)
	if err != nil {
		return Reply{}, err
	}
	if len(call.Args.streams) > 0 {
		if call.outlets, err = c.openArgs(ctx, call); err != nil {
			return Reply{}, err
		}
		defer func() { c.closeOutlets(call.outlets) }() // if the request was not sent
	}
	c.stats.callsOut.Add(1)
	if len(call.Args.Data) > LargePayload {
		return c.callLarge(ctx, call, timeout)
	}
	if call.Way == OneWay {
		return c.sendOneWay(ctx, call, timeout)
	}
	var most time.Duration // that ctx does not bound
	if call.replyOnly {
		most = timeout
	}
	p := c.newPending()
	if most > 0 {
		p.due = c.expiry.dueAt(call.until, most)
	}
	id := c.lastID.Add(1)
	if !c.pending.put(id, p) {
		return Reply{}, c.notSent(ctx, call, c.Err())
	}
	if most > 0 {
		c.expiry.expect(p.due, c.swept)
	}
	b, lerr := c.lane.lock(ctx, most)
	if lerr != nil {
		if _, mine := c.pending.take(id); !mine {
			if <-p.done; p.err != errTimeUp {
				return c.received(p)
			}
		}
		c.reuse(p)
		return Reply{}, c.notSent(ctx, call, c.laneCause(lerr))
	}
	p.end.Store(pendingSent)
	b = append(appendRequest(b, id, timeout, call), call.Args.Data...)
	p.end.Store(c.lane.unlock(b, 1))
	if call.outlets != nil {
		c.sendArgs(call, id)
	}
	if call.keep != nil {
		call.keep.sentBy(c, id)
	}

	if !p.wait(ctx) {
		if _, mine := c.pending.take(id); !mine {
			return c.outcome(p) // the reply came at the same moment
		}
	} else if p.err != errTimeUp {
		return c.received(p)
	}
	c.reuse(p)
	c.gaveUpOn(id)
	return Reply{}, c.gaveUp(ctx, call)
}

// wait waits until the call is complete, or reports false when ctx ends before.
func (p *pendingCall) wait(ctx context.Context) bool {
	gaveUp := ctx.Done()
	if gaveUp == nil {
		<-p.done
		return true
	}
	select {
	case <-p.done:
		return true
	case <-gaveUp:
		return false
	}
}

// laneCause returns why the lane cannot be sent on, given what it said: the
// session's cause, once that is known.
func (c *Conn) laneCause(err error) error {
	if cause := c.Err(); cause != nil {
		return cause
	}
	return c.sessionCause(err)
}

// Ping sends a small frame to the part of the peer that reads calls, and
// returns how long the answer took: unlike the session's own round trip it says
// that the peer's call path is alive. Errors are as those of Handle.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	call := &Call{Object: "ping"}
	p := c.newPending()
	id := c.lastID.Add(1)
	if !c.pending.put(id, p) {
		return 0, c.notSent(ctx, call, c.Err())
	}
	p.end.Store(pendingSent)
	c.lane.force(framePing, id)
	select {
	case <-p.done:
	case <-ctx.Done():
		if _, mine := c.pending.take(id); mine {
			c.reuse(p)
			return 0, c.gaveUp(ctx, call)
		}
		<-p.done
	}
	_, err := c.received(p)
	return time.Since(start), err
}

// checkCall returns the time that call has left, 0 for no limit, or why it
// cannot be sent. It notes in call whether that time is its Timeout.
func (c *Conn) checkCall(ctx context.Context, call *Call) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, c.notSent(ctx, call, context.Cause(ctx))
	}
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		if timeout = time.Until(deadline); timeout <= 0 {
			return 0, c.notSent(ctx, call, context.DeadlineExceeded)
		}
		call.replyOnly = false
	} else {
		timeout = max(call.Timeout, 0)
		call.replyOnly = timeout > 0
	}
	switch {
	case len(call.uses()) > 0 && !call.buildsOn(c):
		return 0, refusal(FailedPrecondition, "call %s: not sent: %w", target(call), errNotThere)
	case call.Way != Wait && len(call.Args.streams) > 0:
		return 0, refusal(InvalidArgument, "call %s: a one-way call cannot bring sequences, since nobody would wait until they have been read", target(call))
	case len(call.Object) > MaxObjectLen:
		return 0, refusal(InvalidArgument, "the object's name has %d bytes, and the longest allowed is %d", len(call.Object), MaxObjectLen)
	case len(call.Method) > MaxMethodLen:
		return 0, refusal(InvalidArgument, "the method's name has %d bytes, and the longest allowed is %d", len(call.Method), MaxMethodLen)
	case len(call.Args.Data) > c.opts.MaxPayload:
		return 0, refusal(ResourceExhausted, "the arguments of %s have %d bytes, and the most this node sends is %d", target(call), len(call.Args.Data), c.opts.MaxPayload)
	}
	if err := checkMetadata(call.Metadata); err != nil {
		return 0, err
	}
	if call.Trail.Depth > MaxChain {
		return 0, call.Trail.tooLong(string(call.Object), call.Method)
	}
	return timeout, nil
}

// newPending returns a pendingCall for a request that was not sent yet.
func (c *Conn) newPending() *pendingCall {
	p, ok := c.waiters.Get().(*pendingCall)
	if !ok {
		p = &pendingCall{done: make(chan struct{}, 1)}
	}
	p.end.Store(0)
	return p
}

// reuse keeps p for another call. Nobody may be able to complete it any more.
func (c *Conn) reuse(p *pendingCall) {
	p.reply, p.err, p.due = Reply{}, nil, 0
	c.waiters.Put(p)
}

// outcome waits for p, which another goroutine completes, and returns what came
// of it.
func (c *Conn) outcome(p *pendingCall) (Reply, error) {
	<-p.done
	return c.received(p)
}

// received returns what came of p, whose done has been read.
func (c *Conn) received(p *pendingCall) (Reply, error) {
	reply, err := p.reply, p.err
	c.reuse(p)
	if err == errTimeUp {
		own := *err
		err = &own
	}
	if err != nil {
		return Reply{}, err
	}
	return reply, nil
}

// answered completes the call that a REPLY or ERROR frame belongs to. A reply
// that comes too late is dropped.
func (c *Conn) answered(h frameHeader, body []byte) error {
	head, payload, err := splitBody(body)
	if err != nil {
		return err
	}
	c.grants.say(argsTag(h.id), false) // if it is an answer to a request under way
	if apart := h.size - uint64(len(body)); apart > 0 {
		c.answeredApart(h, head, apart)
		return nil
	}
	p, ok := c.pending.take(h.id)
	if !ok {
		if len(payload) > 0 {
			c.unwanted(h, head)
		}
		return nil
	}
	reply, streams, failure := c.decodeAnswer(h, head)
	if failure == nil {
		if len(payload) > c.opts.MaxPayload {
			failure = c.resultTooBig(uint64(len(payload)))
		} else {
			reply.Result.Data = bytes.Clone(payload)
		}
	}
	if streams > 0 {
		reply.Result.streams, failure = c.resultInlets(h.id, streams, failure)
	}
	p.complete(reply, failure)
	return nil
}

// answeredApart is answered for a reply whose payload, of size bytes, comes apart.
func (c *Conn) answeredApart(h frameHeader, head []byte, size uint64) {
	if _, ok := c.pending.get(h.id); !ok {
		c.unwanted(h, head)
		return
	}
	reply, streams, failure := c.decodeAnswer(h, head)
	if failure == nil && size > uint64(c.opts.MaxPayload) {
		failure = c.resultTooBig(size)
	}
	if failure == nil {
		c.resultApart(h, reply, streams, size)
		return
	}
	c.refuseInlets(h.id, true, streams)
	c.lane.force(frameCancel, h.id) // nobody takes what follows
	if p, ok := c.pending.take(h.id); ok {
		p.complete(Reply{}, failure)
	}
}

// unwanted has the sequences closed that come with an answer that nobody waits
// for.
func (c *Conn) unwanted(h frameHeader, head []byte) {
	if _, streams, _ := c.decodeAnswer(h, head); streams > 0 {
		c.refuseInlets(h.id, true, streams)
	}
}

// decodeAnswer reads the head of a REPLY or ERROR frame; streams is how many
// sequences come with it.
func (c *Conn) decodeAnswer(h frameHeader, head []byte) (reply Reply, streams int, err *Error) {
	if h.flags&flagsCritical&^flagApart != 0 || h.flags&flagApart != 0 && h.typ != frameReply {
		return Reply{}, 0, Errorf(Internal, "%s answered in a form (flags %#x) that this version does not know", c.peerName(), h.flags)
	}
	if h.typ == frameError {
		return Reply{}, 0, decodeError(head)
	}
	var rh replyHead
	if err := rh.decode(head); err != nil {
		err.Execution = Executed
		return Reply{}, 0, err
	}
	return Reply{Result: Payload{Type: rh.typ, from: c.shared}, Metadata: rh.metadata}, rh.streams, nil
}

// resultTooBig is the error of a call whose result is over the limit.
func (c *Conn) resultTooBig(n uint64) *Error {
	return Errorf(ResourceExhausted, "the result has %d bytes, and the most this node takes is %d", n, c.opts.MaxPayload)
}

// notSent is the error of a call that was certainly not executed because of
// err.
func (c *Conn) notSent(ctx context.Context, call *Call, err error) error {
	return refusal(c.notSentCode(ctx, err), "call %s on %s: not sent: %w", target(call), c.peerName(), err)
}

// notSentCode returns the code for err, which is ctx's if ctx has ended.
func (c *Conn) notSentCode(ctx context.Context, err error) Code {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded
	case ctx.Err() == nil:
		if code, ok := codeOf(err); ok && code == ResourceExhausted {
			return code
		}
		return Unavailable
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return DeadlineExceeded
	}
	return Canceled
}

// gaveUp is the error of a call that was sent and whose ctx has ended, or, when
// that goes on, whose time is up.
func (c *Conn) gaveUp(ctx context.Context, call *Call) error {
	err := ctx.Err()
	code, why := Canceled, "the caller gave up"
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		code, why = DeadlineExceeded, "no reply before the deadline"
	}
	if err == nil {
		return Errorf(code, "call %s on %s: %s: %w", target(call), c.peerName(), why, context.DeadlineExceeded)
	}
	if cause := context.Cause(ctx); cause != err {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return Errorf(code, "call %s on %s: %s: %w", target(call), c.peerName(), why, err)
}

// target returns what a call calls, for messages.
func target(call *Call) string {
	if call.Method == "" {
		return string(call.Object)
	}
	return fmt.Sprintf("%s.%s", call.Object, call.Method)
}
