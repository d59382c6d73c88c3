package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"

	"farcall.dev/transport"
)

var (
	// errItemsSent closes the writer of a sequence that has ended.
	errItemsSent = errors.New("the items were sent")
	// errConsumerLeft is why a sequence ends that the peer wants no more of.
	errConsumerLeft = fmt.Errorf("the receiver wants no more items: %w", context.Canceled)
)

// itemPiece is how much of an item is appended to what is to be written at a time.
const itemPiece = 128 << 10

// maxCredit bounds what one CREDIT frame may grant.
const maxCredit = 1 << 31

// outlet sends one sequence to the peer.
type outlet struct {
	c      *Conn
	stream transport.Stream
	source itemSource
	w      *writer

	// ctx ends when the peer wants no more, or is lost.
	ctx    context.Context
	cancel context.CancelCauseFunc

	credit atomic.Int64
	more   chan struct{} // holds one; tells the pump of new credit
}

// start sends the sequence. When it has ended, over is called.
func (o *outlet) start(key itemsKey, over func()) {
	o.ctx, o.cancel = context.WithCancelCause(context.Background())
	o.more = make(chan struct{}, 1)
	o.credit.Store(itemCredit)
	o.w = newWriter(o.stream, itemBuffer, &o.c.stats, appendItemsKey(nil, key)...)
	if !o.c.start(o.write, o.read) {
		o.source.stop(o.lost(o.c.Err()))
		o.stream.Close()
		o.c.outletOver()
		over()
		return
	}
	if o.w.lock(o.ctx) == nil {
		o.w.unlock(0) // the first bytes go at once
	}
	go o.pump(over)
}

// write is the flusher's goroutine.
func (o *outlet) write() {
	o.w.run()
	if cause := o.w.cause(); cause != errItemsSent {
		o.end(o.lost(cause))
	}
}

// read handles what the consumer says until it has ended the stream, which it
// does after the last item, or before. Until then the stream stays open: what
// was sent must reach a slow reader, too.
func (o *outlet) read() {
	err := o.readCredit()
	if o.c.ctx.Err() != nil || o.c.session.Err() != nil {
		o.end(o.lost(o.c.sessionCause(o.c.Err())))
	} else if err == nil || errors.Is(err, io.EOF) {
		o.end(errConsumerLeft)
	} else {
		o.end(o.lost(err))
	}
	o.stream.Close()
	o.c.outletOver()
}

// readCredit reads frames until CANCEL or an error.
func (o *outlet) readCredit() error {
	r := newFrameReader(o.stream, &o.c.stats)
	for {
		h, _, err := r.next()
		switch {
		case err != nil:
			return err
		case h.typ == frameCancel:
			return nil
		case h.typ == frameCredit && h.id > maxCredit:
			return wireError("it gives too much credit")
		case h.typ == frameCredit:
			o.credit.Add(int64(h.id))
			select {
			case o.more <- struct{}{}:
			default:
			}
		}
	}
}

// lost is why the sequence ends when the way to the consumer is lost.
func (o *outlet) lost(cause error) error {
	return Errorf(Unavailable, "the items cannot be sent to %s: %w", o.c.peerName(), cause)
}

// end ends everything because of cause: nobody gets more items.
func (o *outlet) end(cause error) {
	o.cancel(cause)
	o.source.stop(cause)
	o.w.close(cause)
}

// pump sends the items, and how the sequence ended.
func (o *outlet) pump(over func()) {
	defer over()
	err := errors.New("the sequence ended its goroutine")
	defer func() {
		if v := recover(); v != nil {
			trace := string(debug.Stack())
			o.c.log.Error("sequence panicked", "peer", o.c.peerName(), "panic", fmt.Sprint(v), "trace", trace)
			err = &Error{Code: Internal, Message: "the sequence panicked", Trace: trace}
		}
		o.source.stop(errCallOver)
		o.finish(err)
	}()
	err = o.each()
}

// each sends the items until the sequence has ended, which is nil, or broke off.
func (o *outlet) each() error {
	var failed error
	send := func(item []byte) bool {
		failed = o.send(item)
		return failed == nil && o.mayGoOn()
	}
	if p, ok := o.source.(pushedSource); ok {
		err := p.each(send)
		if failed != nil {
			err = failed
		}
		return err
	}
	for {
		item, err := o.source.next(o.ctx)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case !send(item):
			return failed
		}
	}
}

// mayGoOn waits for credit, and reports false when nobody wants more items.
func (o *outlet) mayGoOn() bool {
	for o.credit.Load() <= 0 {
		select {
		case <-o.more:
		case <-o.ctx.Done():
			return false
		}
	}
	return o.ctx.Err() == nil
}

// send appends one item to what is to be written.
func (o *outlet) send(item []byte) error {
	if len(item) > o.c.opts.MaxPayload {
		return Errorf(ResourceExhausted, "an item of the stream has %d bytes, and the most this node sends is %d", len(item), o.c.opts.MaxPayload)
	}
	o.credit.Add(-1)
	if err := o.w.lock(o.ctx); err != nil {
		return err
	}
	o.w.buf = appendFrameHeader(o.w.buf, frameHeader{typ: frameItem, size: uint64(len(item))})
	for {
		n := min(len(item), itemPiece)
		o.w.buf = append(o.w.buf, item[:n]...)
		o.w.unlock(1)
		if item = item[n:]; len(item) == 0 {
			return nil
		}
		if err := o.w.lock(o.ctx); err != nil {
			return err
		}
	}
}

// finish says how the sequence ended; nil is by itself. The consumer then ends
// the stream.
func (o *outlet) finish(err error) {
	if o.ctx.Err() != nil || o.w.lock(o.ctx) != nil {
		return // nobody wants to know
	}
	if err == nil {
		o.w.buf = appendSmallFrame(o.w.buf, frameEnd, 0)
	} else {
		o.w.buf = appendError(o.w.buf, 0, streamError(err), o.c.sendTrace)
	}
	taken := o.w.roomLocked()
	o.w.unlock(1)
	select {
	case <-taken:
	case <-o.w.closed:
	}
	o.w.close(errItemsSent)
}
