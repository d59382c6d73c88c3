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
	b, err := c.lane.lock(ctx, most)
	if err != nil {
		return Reply{}, c.notSent(ctx, call, c.laneCause(err))
	}
	c.lane.unlock(append(appendRequest(b, c.lastID.Add(1), timeout, call), call.Args.Data...), 1)
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

// refuse tells the peer that a request was refused, if it wants to know or waits
// for GRANT, and counts one whose caller is not told.
func (c *Conn) refuse(h frameHeader, refused *Error) error {
	if wayOf(h.flags) == OneWay {
		c.stats.dropped.Add(1)
		if h.flags&flagApart == 0 || h.size <= bulkAhead {
			return nil
		}
	}
	return c.lane.urgent(func(b []byte) []byte { return appendError(b, h.id, refused, false) })
}

// outlives reports whether s goes on when its connection has ended because of
// cause: the caller of a one-way call does not wait, so that its leaving means
// nothing. When it is this side that closes, everything ends.
func (s *servedCall) outlives(cause error) bool {
	return s.call.Way != Wait && !errors.Is(cause, transport.ErrClosed)
}
