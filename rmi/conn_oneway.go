package rmi

import (
	"context"
	"errors"
	"time"

	"farcall.dev/transport"
)

// errNobodyWaits is why the sequences in the result of a one-way call end.
var errNobodyWaits = errors.New("the call was one-way")

// sendOneWay is Handle for a small call of the way OneWay: it returns when the
// request is in the lane's buffer.
func (c *Conn) sendOneWay(ctx context.Context, call *Call, timeout time.Duration) (Reply, error) {
	var most time.Duration // that ctx does not bound
	if call.replyOnly {
		most = timeout
	}
	l, err := c.outgoingWithin(ctx, most)
	if err == nil {
		err = l.w.lockWithin(ctx, most)
	}
	if err != nil {
		return Reply{}, c.notSent(ctx, call, err)
	}
	before := len(l.w.buf)
	l.w.buf = appendRequest(l.w.buf, c.lastID.Add(1), timeout, call)
	l.w.buf = append(l.w.buf, call.Args.Data...)
	l.w.unlock(before, 1)
	return Reply{}, nil
}

// wayOf returns what the sender of a request with these flags waits for.
func wayOf(flags byte) Way {
	switch {
	case flags&flagOneWay == 0:
		return Wait
	case flags&flagTaken == 0:
		return OneWay
	}
	return OneWayTaken
}

// refuse tells the peer by w that a small request was refused, if it wants to
// know, and counts it if not.
func (c *Conn) refuse(w *writer, h frameHeader, refused *Error) error {
	if wayOf(h.flags) == OneWay {
		c.stats.dropped.Add(1)
		return nil
	}
	return c.urgent(w, func(b []byte) []byte { return appendError(b, h.id, refused, false) })
}

// refuseLarge is refuse for a request that had a stream of its own.
func (c *Conn) refuseLarge(stream transport.Stream, h frameHeader, refused *Error) {
	if wayOf(h.flags) == OneWay {
		c.stats.dropped.Add(1)
		return
	}
	c.say(stream, appendError(nil, h.id, refused, false))
}

// outlives reports whether s goes on when its connection has ended because of
// cause: the caller of a one-way call does not wait, so that its leaving means
// nothing. When it is this side that closes, everything ends.
func (s *servedCall) outlives(cause error) bool {
	return s.call.Way != Wait && !errors.Is(cause, transport.ErrClosed)
}
