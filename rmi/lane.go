package rmi

import (
	"context"
	"time"

	"farcall.dev/transport"
)

// lane is one long-lived stream that all small calls of one side share.
type lane struct {
	stream transport.Stream
	w      *writer
	r      *frameReader
	// names holds the names that requests on this lane have used, so that the
	// same name is not allocated for each call. Only the lane's reader uses it.
	names map[string]string
}

// intern returns b as a string.
func (l *lane) intern(b []byte) string {
	if s, ok := l.names[string(b)]; ok {
		return s
	}
	if l.names == nil || len(l.names) >= maxInterned {
		l.names = make(map[string]string)
	}
	s := string(b)
	l.names[s] = s
	return s
}

// outgoing returns this side's lane, and opens it when there is none.
func (c *Conn) outgoing(ctx context.Context) (*lane, error) {
	if l := c.lane.Load(); l != nil {
		return l, nil
	}
	select {
	case c.opening <- struct{}{}:
		defer func() { <-c.opening }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.ctx.Done():
		return nil, context.Cause(c.ctx)
	}
	if l := c.lane.Load(); l != nil {
		return l, nil
	}
	stream, err := c.session.Open(ctx)
	if err != nil {
		return nil, err
	}
	l := &lane{
		stream: stream,
		w:      newWriter(stream, c.opts.MaxBuffered, &c.stats, byte(streamLane)),
		r:      newFrameReader(stream, &c.stats),
	}
	if !c.startLane(l) {
		stream.Close()
		return nil, context.Cause(c.ctx)
	}
	c.lane.Store(l)
	return l, nil
}

// outgoingWithin is outgoing for no longer than d; 0 means no bound but ctx.
func (c *Conn) outgoingWithin(ctx context.Context, d time.Duration) (*lane, error) {
	if l := c.lane.Load(); l != nil || d == 0 {
		return c.outgoing(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return c.outgoing(ctx)
}

// sendFrames appends frames, whose number f returns, to this side's lane, which it
// opens if need be. It waits for room as long as ctx lasts.
func (c *Conn) sendFrames(ctx context.Context, f func([]byte) ([]byte, int)) error {
	l, err := c.outgoing(ctx)
	if err != nil {
		return err
	}
	if err := l.w.lock(ctx); err != nil {
		return err
	}
	before := len(l.w.buf)
	var n int
	l.w.buf, n = f(l.w.buf)
	l.w.unlock(before, n)
	return nil
}

// startLane starts the goroutines of a lane, unless c has ended.
func (c *Conn) startLane(l *lane) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.lanes = append(c.lanes, l)
	c.stats.lanes.Add(1)
	c.loops.Go(func() {
		l.w.run()
		c.laneEnded(l.w.cause())
	})
	c.loops.Go(func() { c.readLane(l) })
	return true
}

// readLane handles what a lane brings until it ends, and with it the session.
func (c *Conn) readLane(l *lane) {
	for {
		h, body, err := l.r.next()
		if err == nil {
			err = c.frame(l, h, body)
		}
		if err != nil {
			c.laneEnded(err)
			return
		}
	}
}
