package rmi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A large payload is bulk data of the lane. The frame that it belongs to goes
// first, with [flagApart]; then come the first bulkAhead bytes, and the rest when
// the receiver has said GRANT, because it has memory for all of it.

const (
	// bulkAhead is how many bytes of a large payload are sent before GRANT.
	bulkAhead = 256 << 10
	// lastPart is how many bytes at the end of a large request are sent by
	// themselves: until then the peer has certainly not carried it out.
	lastPart = 64 << 10
)

// errCallerGaveUp is the cause of a handler's context whose caller has left.
var errCallerGaveUp = fmt.Errorf("the caller gave up: %w", context.Canceled)

// errRefused is why a large request is not sent to its end: an answer has come.
var errRefused = errors.New("refused")

// timeAfter returns the time d from now.
func timeAfter(d time.Duration) time.Time { return time.Now().Add(d) }

// argsTag and resultTag return the mark of the bulk data that belongs to a request
// and to its reply.
func argsTag(id uint64) uint64   { return id << 1 }
func resultTag(id uint64) uint64 { return id<<1 | 1 }

// grants are the large payloads that wait for the peer's GRANT, by tag.
type grants struct {
	n  atomic.Int64 // how many there are
	mu sync.Mutex
	m  map[uint64]chan bool // guarded by mu; each gets one value: whether it may go on
}

// expect returns what will hear of tag; nil for a payload that needs no GRANT.
func (g *grants) expect(tag uint64, size int) chan bool {
	if size <= bulkAhead {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.m == nil {
		g.m = make(map[uint64]chan bool)
	}
	heard := make(chan bool, 1)
	g.m[tag] = heard
	g.n.Add(1)
	return heard
}

// say tells who waits for tag whether to go on; it is no news to others.
func (g *grants) say(tag uint64, goOn bool) {
	if g.n.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if heard, ok := g.m[tag]; ok {
		delete(g.m, tag)
		g.n.Add(-1)
		heard <- goOn
	}
}

// sendApart sends a large payload after its frame. heard is what expect returned,
// and before is called when all but the last part is sent; it may be nil.
func (c *Conn) sendApart(ctx context.Context, tag uint64, data []byte, heard chan bool, before func()) error {
	if heard != nil {
		defer c.grants.say(tag, false)
		if err := c.lane.Bulk(ctx, tag, data[:bulkAhead]); err != nil {
			return err
		}
		data = data[bulkAhead:]
		select {
		case goOn := <-heard:
			if !goOn {
				return errRefused
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
	if before != nil {
		if n := len(data) - lastPart; n > 0 {
			if err := c.lane.Bulk(ctx, tag, data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		before()
	}
	return c.lane.Bulk(ctx, tag, data)
}

// callLarge is Handle for a call with a large payload. It does not use the
// arguments any more when it returns.
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
	holds := true
	giveBack := func() {
		if holds {
			holds = false
			<-c.callSlots
		}
	}
	defer giveBack()
	p := c.newPending()
	id := c.lastID.Add(1)
	if call.Way != OneWay && !c.pending.put(id, p) {
		return Reply{}, c.notSent(ctx, call, c.Err())
	}
	tag := argsTag(id)
	heard := c.grants.expect(tag, len(call.Args.Data))
	b, err := c.lane.lock(ctx, 0)
	if err != nil {
		c.grants.say(tag, false)
		if _, mine := c.pending.take(id); !mine && call.Way != OneWay {
			return c.outcome(p)
		}
		c.reuse(p)
		return Reply{}, c.notSent(ctx, call, err)
	}
	c.lane.unlock(appendRequestApart(b, id, timeout, call), 1)
	c.stats.largeSent.Add(1)
	if call.outlets != nil {
		c.sendArgs(call, id)
	}
	if call.keep != nil {
		call.keep.sentBy(c, id)
	}
	err = c.sendApart(ctx, tag, call.Args.Data, heard, func() { p.end.Store(pendingSent) })
	giveBack()
	if call.Way == OneWay {
		c.reuse(p)
		return c.sentOneWay(ctx, call, id, err)
	}
	if p.wait(ctx) {
		return c.received(p)
	}
	if _, mine := c.pending.take(id); !mine {
		return c.outcome(p)
	}
	c.reuse(p)
	c.gaveUpOn(id)
	if err != nil {
		return Reply{}, c.notSent(ctx, call, context.Cause(ctx)) // the peer drops a request that breaks off
	}
	return Reply{}, c.gaveUp(ctx, call)
}

// sentOneWay is the end of callLarge for a call of the way OneWay, whose payload
// was sent with err.
func (c *Conn) sentOneWay(ctx context.Context, call *Call, id uint64, err error) (Reply, error) {
	switch {
	case err == nil, errors.Is(err, errRefused): // which nobody wants to know
		return Reply{}, nil
	case c.ctx.Err() != nil:
		return Reply{}, c.notSent(ctx, call, c.Err())
	}
	c.lane.force(frameCancel, id)
	return Reply{}, c.notSent(ctx, call, err)
}

// gaveUpOn tells the peer that nobody waits for the answer to a call any more,
// and drops what has come of it.
func (c *Conn) gaveUpOn(id uint64) {
	c.lane.force(frameCancel, id)
	c.arrivals.drop(resultTag(id))
}

// answerLarge sends a large result. A caller that gives up cuts it short.
func (c *Conn) answerLarge(s *servedCall, reply *Reply) {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	if !s.abortWith(cancel) {
		return
	}
	select {
	case c.resultSlots <- struct{}{}:
		defer func() { <-c.resultSlots }()
	case <-ctx.Done():
		return
	}
	tag := resultTag(s.id)
	heard := c.grants.expect(tag, len(reply.Result.Data))
	b, err := c.lane.lock(ctx, 0)
	if err != nil {
		c.grants.say(tag, false)
		return
	}
	c.lane.unlock(appendReplyApart(b, s.id, reply), 1)
	c.stats.largeSent.Add(1)
	c.sendApart(ctx, tag, reply.Result.Data, heard, nil) // else the caller has left, or the session has ended
}
