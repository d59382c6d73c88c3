package rmi

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"farcall.dev/transport"
)

// largePiece is how much of a large request is given to its stream at a time. A
// request of which only the last piece is missing may have reached the peer.
const largePiece = 128 << 10

// errCallerGaveUp is the cause of a handler's context whose caller has left.
var errCallerGaveUp = fmt.Errorf("the caller gave up: %w", context.Canceled)

// noDeadline takes a deadline away from a stream.
var noDeadline time.Time

// longAgo is a deadline that interrupts whoever uses a stream.
var longAgo = time.Unix(1, 0)

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
	p := c.newPending(nil)
	p.given.Store(false) // p may have been used before
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
	if !c.start(func() {
		c.readTaken(id, stream, way, &taken)
		stream.Close() // ends the writing of a request that was refused
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
	sent := c.sendLarge(ctx, stream, id, p, timeout, call)
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

// sendLarge writes a large request to its stream, and reports whether all of it
// was written before ctx ended or the stream was closed: because the peer has
// answered, or the session has ended. It does not use the arguments any more when
// it returns.
func (c *Conn) sendLarge(ctx context.Context, stream transport.Stream, id uint64, p *pendingCall, timeout time.Duration, call *Call) bool {
	stop := context.AfterFunc(ctx, func() { stream.SetWriteDeadline(longAgo) })
	defer stop()
	c.stats.framesSent.Add(1)
	head := appendRequest([]byte{byte(streamCall)}, id, timeout, call)
	p.given.Store(len(call.Args.Data) <= largePiece)
	rest, ok := c.writeHead(stream, head, call.Args.Data)
	if !ok {
		return false
	}
	if call.outlets != nil {
		c.sendArgs(call, id)
	}
	for len(rest) > 0 {
		n := min(len(rest), largePiece)
		if n == len(rest) {
			p.given.Store(true)
		}
		if !c.write(stream, rest[:n]) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// writeHead writes the head of a large request or reply with as much of its
// payload as goes in the same piece, and returns the rest. A first piece of a few
// bytes would have the peer's multiplexer begin with a buffer for these, and make
// a larger one again and again.
func (c *Conn) writeHead(stream transport.Stream, head, payload []byte) (rest []byte, ok bool) {
	n := min(len(payload), max(0, transport.MaxPiece-len(head)))
	buf := c.buffers.take(len(head) + n)
	defer c.buffers.release(buf)
	*buf = append(append(*buf, head...), payload[:n]...)
	return payload[n:], c.write(stream, *buf)
}

// write writes b to the stream of a large call, and reports whether all of it
// was written.
func (c *Conn) write(stream transport.Stream, b []byte) bool {
	n, _ := stream.Write(b)
	c.stats.flushed(n)
	return n == len(b)
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
