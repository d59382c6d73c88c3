package rmi

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"farcall.dev/transport"
)

// largePiece is how much of a large payload is appended to a writer at a time,
// and largeBuffer how much of it waits there: enough to keep the flusher busy.
const (
	largePiece  = 64 << 10
	largeBuffer = 128 << 10
)

// errAnswered closes the writer of a large request that the peer has taken, or
// has refused before it was all there.
var errAnswered = errors.New("the request was taken or refused already")

// errCallerGaveUp is the cause of a handler's context whose caller has left.
var errCallerGaveUp = fmt.Errorf("the caller gave up: %w", context.Canceled)

// noDeadline takes a deadline away from a stream.
var noDeadline time.Time

// timeAfter returns the time d from now.
func timeAfter(d time.Duration) time.Time { return time.Now().Add(d) }

// callLarge is Handle for a call that needs a stream of its own.
//
// The stream is held for as long as the request is on its way, and no longer:
// if calls held one while they run, nested calls, of which each waits for the
// next, would wait for each other's streams for ever.
func (c *Conn) callLarge(ctx context.Context, call *Call, timeout time.Duration) (Reply, error) {
	if call.replyOnly {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	select {
	case c.callSlots <- struct{}{}:
	case <-ctx.Done():
		return Reply{}, c.notSent(ctx, call, context.Cause(ctx))
	case <-c.ctx.Done():
		return Reply{}, c.notSent(ctx, call, c.Err())
	}
	stream, err := c.session.Open(ctx)
	if err != nil {
		<-c.callSlots
		return Reply{}, c.notSent(ctx, call, err)
	}
	call.keep = nil // calls on a lane could arrive before it
	w := newWriter(stream, largeBuffer, &c.stats, byte(streamCall))
	p := c.newPending(w)
	id := c.lastID.Add(1)
	way, oneWay := call.Way, call.Way == OneWay
	if !oneWay && !c.pending.put(id, p) {
		stream.Close()
		<-c.callSlots
		return Reply{}, c.notSent(ctx, call, c.Err())
	}
	var taken atomic.Bool
	if oneWay {
		c.out.Add(1) // until the peer has it all, which the caller does not wait for
	}
	if !c.start(w.run, func() {
		c.readTaken(id, stream, way, &taken)
		w.close(errAnswered)
		stream.Close()
		<-c.callSlots
		if oneWay {
			c.callReturned()
		}
	}) {
		stream.Close()
		<-c.callSlots
		if oneWay {
			c.callReturned()
			return Reply{}, c.notSent(ctx, call, c.Err())
		}
		return c.outcome(p) // the keeper completes it
	}
	c.stats.largeSent.Add(1)
	sent := c.feed(ctx, id, p, timeout, call)
	if oneWay {
		return c.sentLargeOneWay(ctx, call, stream, sent)
	}
	select {
	case <-p.done:
		return c.received(p)
	case <-ctx.Done():
	}
	if _, mine := c.pending.take(id); !mine {
		return c.outcome(p)
	}
	c.reuse(p)
	if !sent {
		stream.Close() // the peer drops a request that breaks off
		return Reply{}, c.notSent(ctx, call, context.Cause(ctx))
	}
	if taken.Load() {
		c.cancelTaken(id)
	} // else the peer does not know the call yet, and readTaken will cancel it
	return Reply{}, c.gaveUp(ctx, call)
}

// sentLargeOneWay is the end of callLarge for a call of the way OneWay, all of
// which was sent or not.
func (c *Conn) sentLargeOneWay(ctx context.Context, call *Call, stream transport.Stream, sent bool) (Reply, error) {
	switch {
	case sent:
		return Reply{}, nil
	case ctx.Err() != nil:
		stream.Close() // the peer drops a request that breaks off
		return Reply{}, c.notSent(ctx, call, context.Cause(ctx))
	case c.ctx.Err() != nil:
		return Reply{}, c.notSent(ctx, call, c.Err())
	}
	return Reply{}, nil // the peer has refused it, which nobody wants to know
}

// cancelTaken sends CANCEL for a call that the peer has taken.
func (c *Conn) cancelTaken(id uint64) {
	if l, err := c.outgoing(c.ctx); err == nil {
		l.w.force(frameCancel, id)
	}
}

// feed appends a large request to its writer, and reports whether all of it
// went in before ctx ended or the writer was closed: because the peer has
// answered, or the session has ended.
func (c *Conn) feed(ctx context.Context, id uint64, p *pendingCall, timeout time.Duration, call *Call) bool {
	w := p.w
	if w.lock(ctx) != nil {
		return false
	}
	before := len(w.buf)
	w.buf = appendRequest(w.buf, id, timeout, call)
	w.unlock(before, 1)
	if call.outlets != nil {
		c.sendArgs(call, id)
	}
	for rest := call.Args.Data; len(rest) > 0; {
		if w.lock(ctx) != nil {
			return false
		}
		n := min(len(rest), largePiece)
		before := len(w.buf)
		w.buf = append(w.buf, rest[:n]...)
		rest = rest[n:]
		if len(rest) == 0 {
			p.end = w.appended + uint64(len(w.buf)-before)
		}
		w.unlock(before, 0)
	}
	return true
}

// readTaken waits until the peer has taken a large request, or refuses it.
func (c *Conn) readTaken(id uint64, stream transport.Stream, way Way, taken *atomic.Bool) {
	r := newFrameReader(stream, &c.stats)
	for {
		h, body, err := r.next()
		if err == nil && h.typ == frameError && h.id == id {
			err = c.answered(h, body)
		}
		if err != nil {
			if c.Err() != nil || c.session.Err() != nil {
				return // the keeper completes the call
			}
			if p, ok := c.pending.take(id); ok {
				p.fail(c, fmt.Errorf("the stream of the call ended: %w", err))
			}
			return
		}
		switch h.typ {
		case frameError:
			return
		case frameTaken:
			taken.Store(true)
			switch way {
			case OneWay:
				return
			case OneWayTaken:
				if p, waits := c.pending.take(id); waits {
					p.complete(Reply{}, nil)
					return
				}
			}
			if _, waits := c.pending.get(id); !waits {
				c.cancelTaken(id) // the caller gave up; or the reply is here, and it does no harm
			}
			return
		}
	}
}

// readResult reads a large result from the stream that the peer opened for it,
// and completes the call, if that still waits.
func (c *Conn) readResult(stream transport.Stream, r *frameReader) {
	h, head, size, err := r.nextHead()
	stream.SetReadDeadline(noDeadline)
	if err != nil || h.typ != frameReply {
		return
	}
	if _, ok := c.pending.get(h.id); !ok {
		return
	}
	reply, streams, failure := c.decodeAnswer(h, head)
	if failure == nil && size > uint64(c.opts.MaxPayload) {
		failure = c.resultTooBig(size)
	}
	if failure == nil && size > 0 {
		if c.largeResults.acquire(c.ctx, int64(size)) != nil {
			return // the keeper completes the call
		}
		defer c.largeResults.release(int64(size))
		c.stats.largeReceived.Add(1)
		data, err := r.payload(size)
		if err != nil {
			if c.Err() != nil || c.session.Err() != nil {
				return
			}
			failure = Errorf(Unavailable, "the result broke off while %s sent it: %w", c.peerName(), err)
		}
		reply.Result.Data = data
	}
	p, ok := c.pending.take(h.id)
	if !ok {
		c.refuseInlets(h.id, true, streams)
		return
	}
	if streams > 0 {
		reply.Result.streams, failure = c.resultInlets(h.id, streams, failure)
	}
	p.complete(reply, failure)
}
