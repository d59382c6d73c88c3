package rmi

import (
	"context"
	"sync"
)

// arrival is a large payload that is on its way here.
type arrival struct {
	tag    uint64
	size   int
	memory *budget
	pool   *buffers // where its memory comes from; nil: it is made
	// whole is called when all of it is here, and lost when it will not come
	// because the connection has ended. The part of the budget is whole's to give
	// back.
	whole func(buf *[]byte)
	lost  func()
	stop  context.CancelFunc // ends the wait for memory; nil when there was none

	// What follows is guarded by the mu of the arrivals.
	buf      *[]byte
	room     int  // the memory that buf will have in the end
	placed   int  // bytes that are being written behind buf
	admitted bool // it has its part of the budget
}

// arrivals are the large payloads on their way here, by tag. Who takes one out is
// who ends it.
type arrivals struct {
	mu     sync.Mutex
	m      map[uint64]*arrival // guarded by mu
	closed bool                // guarded by mu
}

// add enters a, and reports false when there are too many.
func (as *arrivals) add(a *arrival) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.closed || len(as.m) >= maxArrivals {
		return false
	}
	if as.m == nil {
		as.m = make(map[uint64]*arrival)
	}
	as.m[a.tag] = a
	return true
}

// admit notes that a has its part of the budget. It reports false when a has
// ended meanwhile, and else whether all of it is here already.
func (as *arrivals) admit(a *arrival) (lives, whole bool) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.m[a.tag] != a {
		return false, false
	}
	a.admitted = true
	return true, as.wholeLocked(a)
}

// wholeLocked takes a out when nothing more is to come of it.
func (as *arrivals) wholeLocked(a *arrival) bool {
	if !a.admitted || a.buf == nil || len(*a.buf) < a.size {
		return false
	}
	delete(as.m, a.tag)
	return true
}

// drop ends the arrival of tag, and reports false when there is none.
func (as *arrivals) drop(tag uint64) bool {
	as.mu.Lock()
	a := as.m[tag]
	delete(as.m, tag)
	as.mu.Unlock()
	if a == nil {
		return false
	}
	a.end()
	return true
}

// end gives back what a has. Its memory may be written to still, so it is not
// used again.
func (a *arrival) end() {
	if a.admitted { // which does not change any more
		a.memory.release(int64(a.size))
	}
	if a.stop != nil {
		a.stop()
	}
}

// close ends all arrivals, and lets none begin.
func (as *arrivals) close() {
	as.mu.Lock()
	all := as.m
	as.m, as.closed = nil, true
	as.mu.Unlock()
	for _, a := range all {
		a.end()
		a.lost()
	}
}

// count returns how many there are.
func (as *arrivals) count() int {
	as.mu.Lock()
	defer as.mu.Unlock()
	return len(as.m)
}

// place returns where up to n bytes of tag are to be written: nothing when nobody
// wants them. Its error is how the peer broke the protocol.
func (as *arrivals) place(tag uint64, n int) ([]byte, error) {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.m[tag]
	if a == nil {
		return nil, nil
	}
	most := a.size
	if !a.admitted {
		most = min(most, bulkAhead)
	}
	a.growLocked(most)
	b := *a.buf
	if len(b) == most {
		return nil, errNotGranted
	}
	a.placed = min(n, most-len(b), cap(b)-len(b))
	return b[len(b) : len(b)+a.placed], nil
}

// growLocked sees to it that there is memory for more bytes, of most. Unless it is
// of the pool it grows as they arrive, so that a peer has to send what it makes us
// set aside.
func (a *arrival) growLocked(most int) {
	if a.buf == nil {
		a.room = a.size
		if a.pool != nil {
			a.buf, a.room = a.pool.takeLarge(a.size)
		}
		if a.buf == nil {
			b := make([]byte, 0, min(a.room, max(most, bulkAhead), payloadStep))
			a.buf = &b
		}
	}
	if b := *a.buf; len(b) == cap(b) && len(b) < most {
		*a.buf = appendBytes(make([]byte, 0, min(a.room, payloadGrowth*cap(b))), b)
	}
}

// written takes note that what place returned has been written. It returns the
// arrival when that was the last of it.
func (as *arrivals) written(tag uint64) *arrival {
	as.mu.Lock()
	defer as.mu.Unlock()
	a := as.m[tag]
	if a == nil {
		return nil
	}
	*a.buf = (*a.buf)[:len(*a.buf)+a.placed]
	if !as.wholeLocked(a) {
		return nil
	}
	return a
}

// Place implements transport.Receiver.
func (l *lane) Place(tag uint64, n int) []byte {
	b, err := l.c.arrivals.place(tag, n)
	if err != nil && !l.broken {
		l.fail(err)
	}
	return b
}

// Placed implements transport.Receiver.
func (l *lane) Placed(tag uint64) {
	if a := l.c.arrivals.written(tag); a != nil {
		a.whole(a.buf)
	}
}

// await lets a come as soon as there is memory for it, for which it waits as long
// as ctx lasts; refused is called when there is none until then.
func (c *Conn) await(ctx context.Context, a *arrival, refused func()) {
	c.stats.largeReceived.Add(1)
	if a.memory.tryAcquire(int64(a.size)) {
		a.stop()
		c.admitted(a)
		return
	}
	c.start(func() { // else the keeper ends a
		defer a.stop()
		if a.memory.acquire(ctx, int64(a.size)) == nil {
			c.admitted(a)
		} else if c.arrivals.drop(a.tag) {
			refused()
		}
	})
}

// admitted goes on with a, which has its part of the budget.
func (c *Conn) admitted(a *arrival) {
	size, tag := a.size, a.tag
	lives, whole := c.arrivals.admit(a)
	switch {
	case !lives:
		a.memory.release(int64(size))
	case whole:
		a.whole(a.buf)
	case size > bulkAhead:
		if err := c.lane.urgent(func(b []byte) []byte { return appendGrant(b, tag) }); err != nil {
			c.laneEnded(err)
		}
	}
}

// argumentsApart begins to take the payload of an admitted request.
func (c *Conn) argumentsApart(s *servedCall, h frameHeader, size uint64) error {
	way := s.call.Way // s is the worker's as soon as it has it
	a := &arrival{
		tag: argsTag(s.id), size: int(size), memory: &c.largeArgs, pool: c.buffers,
		whole: func(buf *[]byte) {
			s.args, s.call.Args.Data = buf, *buf
			s.release = func() { c.largeArgs.release(int64(size)) }
			c.workers.do(s)
			if way == OneWayTaken {
				c.lane.force(frameTaken, h.id)
			}
		},
		lost: func() { c.forsake(s) },
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.opts.LargeWait)
	a.stop = cancel
	if !c.arrivals.add(a) {
		cancel()
		c.forsake(s)
		return c.refuse(h, refusal(ResourceExhausted, "%d large payloads are on their way on this connection, and no more are allowed", maxArrivals))
	}
	c.await(ctx, a, func() {
		c.forsake(s)
		err := c.refuse(h, refusal(ResourceExhausted, "large arguments of this connection take up %d bytes, and there is no room for %d more", c.opts.MaxLargeMemory, size))
		if err != nil {
			c.laneEnded(err)
		}
	})
	return nil
}

// forsake gives up an admitted call that no worker has.
func (c *Conn) forsake(s *servedCall) {
	if s.call.building != nil {
		c.built(s, new(Reply), refusal(Unavailable, "call %s: its arguments did not arrive", target(&s.call)))
	}
	c.serving.take(s.id)
	c.release(s)
}

// resultApart begins to take the payload of the reply to a call that waits.
func (c *Conn) resultApart(h frameHeader, reply Reply, streams int, size uint64) {
	a := &arrival{
		tag: resultTag(h.id), size: int(size), memory: &c.largeResults, lost: func() {},
		whole: func(buf *[]byte) {
			c.largeResults.release(int64(size))
			p, ok := c.pending.take(h.id)
			if !ok {
				c.refuseInlets(h.id, true, streams)
				return
			}
			reply.Result.Data = *buf
			var failure *Error
			if streams > 0 {
				reply.Result.streams, failure = c.resultInlets(h.id, streams, nil)
			}
			p.complete(reply, failure)
		},
	}
	ctx, cancel := context.WithCancel(c.ctx)
	a.stop = cancel
	if !c.arrivals.add(a) {
		cancel()
		c.lane.force(frameCancel, h.id)
		if p, ok := c.pending.take(h.id); ok {
			p.complete(Reply{}, Errorf(ResourceExhausted, "%d large payloads are on their way on this connection, and no more are allowed", maxArrivals))
		}
		return
	}
	c.await(ctx, a, func() {})
	if _, waits := c.pending.get(h.id); !waits {
		c.arrivals.drop(a.tag) // the caller gave up before there was an arrival to end
	}
}
