package rmi

import (
	"cmp"
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"farcall.dev/transport"
)

// How item streams go by a Conn.
//
// A sequence that this side sends has an outlet: it pulls the items and writes
// them, on a goroutine that like a worker runs user code and is not waited for,
// and with a flusher and a reader of CREDIT that are. A sequence that comes has
// an inlet and no goroutine: who reads the sequence reads the stream, so what
// nobody has read yet waits in the transport, whose window holds the producer
// up. That also is what happens to one that sends more than its credit.
//
// An inlet is made with the frame that announces it, and its stream may come
// before or after. What waits for the other is in one of two tables, and gives up
// after streamHeadTimeout. So does a third table, of what is not wanted any more
// and has not come yet, so that the producer is told at once.

const (
	// itemCredit is how many items a producer may send before it gets CREDIT.
	itemCredit = 32
	// creditStep is how many items are used up before CREDIT is sent.
	creditStep = 16
	// itemBuffer is how many bytes of items wait for the flusher of a stream.
	itemBuffer = 64 << 10
)

// noDeadline takes a deadline away from a stream.
var noDeadline time.Time

// itemsKey names an item stream of a session.
type itemsKey struct {
	call uint64
	// own says that the call is one of this side's.
	own    bool
	number uint64
}

// itemStreams are the item streams of a Conn.
type itemStreams struct {
	// in and out count those of either direction, for the limits; live those
	// that are not over, for those who wait for that.
	in, out, live atomic.Int64

	mu      sync.Mutex
	waiting map[itemsKey]*inlet      // guarded by mu; their stream has not come
	early   map[itemsKey]*earlyItems // guarded by mu; their frame has not come; up to the limit
	// unwanted are those that will be closed when they come, with what forgets
	// them. Guarded by mu; up to the limit.
	unwanted map[itemsKey]*time.Timer
	ended    bool // guarded by mu
}

// earlyItems is an items stream that came before its call's frame.
type earlyItems struct {
	stream transport.Stream
	r      *frameReader
	timer  *time.Timer
}

// openOutlets opens a stream for each of sources. Its error is that of a call
// which is refused.
func (c *Conn) openOutlets(ctx context.Context, sources []itemSource) ([]*outlet, *Error) {
	n := int64(len(sources))
	if n > MaxStreamsPerCall {
		return nil, refusal(ResourceExhausted, "the call brings %d item streams, and at most %d may come along", n, MaxStreamsPerCall)
	}
	if c.items.out.Add(n) > int64(c.opts.MaxStreams) {
		c.items.out.Add(-n)
		return nil, refusal(ResourceExhausted, "%d item streams go to %s, and no more are allowed", c.opts.MaxStreams, c.peerName())
	}
	outlets := make([]*outlet, 0, n)
	for _, source := range sources {
		stream, err := c.session.Open(ctx)
		if err != nil {
			c.closeOutlets(outlets)
			c.items.out.Add(int64(len(outlets)) - n)
			code, ok := codeOf(err)
			if ended := c.Err(); ended != nil || !ok {
				code, err = Unavailable, cmp.Or(ended, err)
			}
			return nil, refusal(code, "open an item stream to %s: %w", c.peerName(), err)
		}
		c.items.live.Add(1)
		outlets = append(outlets, &outlet{c: c, stream: stream, source: source})
	}
	return outlets, nil
}

// closeOutlets gives up outlets that were not started.
func (c *Conn) closeOutlets(outlets []*outlet) {
	for _, o := range outlets {
		o.stream.Close()
		c.outletOver()
	}
}

// outletOver counts one outlet less.
func (c *Conn) outletOver() {
	c.items.out.Add(-1)
	c.itemsOver()
}

// itemsOver counts one item stream that is over.
func (c *Conn) itemsOver() {
	if c.items.live.Add(-1) == 0 {
		c.leave.changed(c)
	}
}

// startOutlets sends the sequences of a call, whose frame was sent; own says
// that the call is this side's. over, which may be nil, is called when all of
// them have ended.
func (c *Conn) startOutlets(outlets []*outlet, call uint64, own bool, over func()) {
	var left atomic.Int64
	left.Store(int64(len(outlets)))
	one := func() {
		if left.Add(-1) == 0 && over != nil {
			over()
		}
	}
	for i, o := range outlets {
		o.start(itemsKey{call, own, uint64(i)}, one)
	}
}

// newInlets returns the n sequences that a frame of a call announces; own says
// that the call is this side's.
func (c *Conn) newInlets(call uint64, own bool, n int) ([]itemSource, *Error) {
	if c.items.in.Add(int64(n)) > int64(c.opts.MaxStreams) {
		c.items.in.Add(int64(-n))
		c.refuseInlets(call, own, n)
		return nil, refusal(ResourceExhausted, "%d item streams come from %s, and no more are allowed", c.opts.MaxStreams, c.peerName())
	}
	sources := make([]itemSource, n)
	for i := range sources {
		c.items.live.Add(1)
		in := &inlet{c: c, key: itemsKey{call, own, uint64(i)}, arrived: make(chan struct{})}
		in.due = timeAfter(streamHeadTimeout)
		sources[i] = in
		c.announce(in)
	}
	return sources, nil
}

// refuseInlets has the n sequences that a frame announces closed when they come:
// nobody will read them.
func (c *Conn) refuseInlets(call uint64, own bool, n int) {
	for i := range n {
		c.refuseItems(itemsKey{call, own, uint64(i)})
	}
}

// refuseItems has an items stream closed that has not come, when it does.
func (c *Conn) refuseItems(key itemsKey) {
	t := &c.items
	t.mu.Lock()
	e := t.early[key]
	_, known := t.unwanted[key]
	switch {
	case t.ended:
	case e != nil:
		delete(t.early, key)
	case !known && len(t.unwanted) < c.opts.MaxStreams: // else it waits as if it were early
		if t.unwanted == nil {
			t.unwanted = make(map[itemsKey]*time.Timer)
		}
		t.unwanted[key] = time.AfterFunc(streamHeadTimeout, func() { c.cameUnwanted(key) })
	}
	t.mu.Unlock()
	if e != nil {
		e.timer.Stop()
		e.stream.Close()
	}
}

// cameUnwanted reports whether the items stream key is to be closed, which it is
// once.
func (c *Conn) cameUnwanted(key itemsKey) bool {
	t := &c.items
	t.mu.Lock()
	defer t.mu.Unlock()
	timer, unwanted := t.unwanted[key]
	if unwanted {
		timer.Stop()
		delete(t.unwanted, key)
	}
	return unwanted
}

// announce enters an inlet, or gives it its stream if that is there.
func (c *Conn) announce(in *inlet) {
	t := &c.items
	t.mu.Lock()
	ended := t.ended
	e := t.early[in.key]
	_, twice := t.waiting[in.key]
	switch {
	case ended || twice:
	case e != nil:
		delete(t.early, in.key)
	default:
		if t.waiting == nil {
			t.waiting = make(map[itemsKey]*inlet)
		}
		t.waiting[in.key] = in
	}
	t.mu.Unlock()
	switch {
	case ended:
		in.lose(c.Err())
	case twice: // the peer has used the call's id twice in a short while
		in.lose(errSameID)
	case e != nil:
		e.timer.Stop()
		in.attach(e.stream, e.r)
	}
}

// forgetInlet takes an inlet whose stream has not come out of the table, and
// reports whether it was there.
func (c *Conn) forgetInlet(in *inlet) bool {
	t := &c.items
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting[in.key] != in {
		return false
	}
	delete(t.waiting, in.key)
	return true
}

// readItems takes an items stream of the peer: it reads what the stream says of
// itself, and gives it to the inlet that waits for it.
func (c *Conn) readItems(stream transport.Stream, r *frameReader) {
	key, err := r.itemsKey()
	if err != nil {
		stream.Close()
		return
	}
	stream.SetReadDeadline(noDeadline)
	if c.cameUnwanted(key) {
		stream.Close()
		return
	}
	t := &c.items
	t.mu.Lock()
	in := t.waiting[key]
	refused := t.ended || t.early[key] != nil || len(t.early) >= c.opts.MaxStreams
	switch {
	case in != nil:
		delete(t.waiting, key)
	case !refused:
		if t.early == nil {
			t.early = make(map[itemsKey]*earlyItems)
		}
		e := &earlyItems{stream: stream, r: r}
		e.timer = time.AfterFunc(streamHeadTimeout, func() { c.expireItems(key, e) })
		t.early[key] = e
	}
	t.mu.Unlock()
	switch {
	case in != nil:
		in.attach(stream, r)
	case refused:
		c.stats.refused.Add(1)
		stream.Close()
	}
}

// expireItems closes a stream whose frame did not come in time.
func (c *Conn) expireItems(key itemsKey, e *earlyItems) {
	t := &c.items
	t.mu.Lock()
	mine := t.early[key] == e
	if mine {
		delete(t.early, key)
	}
	t.mu.Unlock()
	if mine {
		e.stream.Close()
	}
}

// endItems ends what waits, because the session has ended.
func (c *Conn) endItems(cause error) {
	t := &c.items
	t.mu.Lock()
	t.ended = true
	waiting, early, unwanted := t.waiting, t.early, t.unwanted
	t.waiting, t.early, t.unwanted = nil, nil, nil
	t.mu.Unlock()
	for _, timer := range unwanted {
		timer.Stop()
	}
	for _, in := range waiting {
		in.lose(cause)
	}
	for _, e := range early {
		e.timer.Stop()
		e.stream.Close()
	}
}

// itemsKey reads what an items stream says of itself, seen from the side that it
// comes to.
func (r *frameReader) itemsKey() (itemsKey, error) {
	var numbers [3]uint64
	for i := range numbers {
		x, err := r.number()
		if err != nil {
			return itemsKey{}, err
		}
		numbers[i] = x
	}
	if numbers[1] > 1 {
		return itemsKey{}, wireError("an item stream belongs to neither side's call")
	}
	return itemsKey{call: numbers[0], own: numbers[1] == 1, number: numbers[2]}, nil
}

// appendItemsKey appends what begins an items stream, from the side that opens
// it.
func appendItemsKey(b []byte, key itemsKey) []byte {
	b = append(b, byte(streamItems))
	b = binary.AppendUvarint(b, key.call)
	if key.own {
		b = append(b, 0)
	} else {
		b = append(b, 1)
	}
	return binary.AppendUvarint(b, key.number)
}

// openArgs opens the streams for the sequences of call's arguments.
func (c *Conn) openArgs(ctx context.Context, call *Call) ([]*outlet, error) {
	if call.Way != Wait {
		return nil, oneWaySequence(call)
	}
	outlets, err := c.openOutlets(ctx, call.Args.streams)
	if err != nil {
		err.Message = "call " + target(call) + ": " + err.Message
		return nil, err
	}
	return outlets, nil
}

// sendArgs sends the sequences of call's arguments, after the request with id.
func (c *Conn) sendArgs(call *Call, id uint64) {
	outlets := call.outlets
	call.outlets, call.argsSent = nil, true
	c.startOutlets(outlets, id, true, nil)
}

// argumentInlets makes inlets for the n sequences that s brings, or refuses and
// releases it.
func (c *Conn) argumentInlets(s *servedCall, n int) *Error {
	inlets, refused := c.newInlets(s.id, false, n)
	if refused != nil {
		c.stats.refused.Add(1)
		c.release(s)
		return refused
	}
	s.inlets, s.call.Args.streams = inlets, inlets
	return nil
}

// resultInlets makes inlets for the n sequences of the answer to a call of this
// side, or says why it fails, if it has not failed already.
func (c *Conn) resultInlets(call uint64, n int, failure *Error) ([]itemSource, *Error) {
	if failure != nil {
		c.refuseInlets(call, true, n)
		return nil, failure
	}
	inlets, refused := c.newInlets(call, true, n)
	if refused != nil {
		refused.Execution = Executed
	}
	return inlets, refused
}

// answerStreaming answers a call whose result brings sequences, and begins to
// send these; or drops them.
func (c *Conn) answerStreaming(s *servedCall, reply *Reply, failure *Error, wanted bool) {
	sources := reply.Result.streams
	if !wanted || failure != nil {
		dropSources(sources, errCallerGaveUp)
		if wanted {
			c.answerLane(s, nil, failure)
		}
		return
	}
	var outlets []*outlet
	if failure = c.checkReply(s, reply); failure == nil {
		if outlets, failure = c.openOutlets(c.ctx, sources); failure != nil {
			failure.Message, failure.Execution = "the result of "+target(&s.call)+": "+failure.Message, Executed
		}
	}
	if failure != nil {
		dropSources(sources, failure)
		c.answerLane(s, nil, failure)
		return
	}
	if len(reply.Result.Data) > LargePayload {
		c.answerLarge(s, reply)
	} else {
		c.answerLane(s, reply, nil)
	}
	s.streaming = true
	c.startOutlets(outlets, s.id, false, func() { dropSources(s.inlets, errCallOver) })
}
