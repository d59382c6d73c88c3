package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"farcall.dev/transport"
)

// errNoItems is why a sequence ends that was announced and did not come.
var errNoItems = fmt.Errorf("its items did not begin to come within %v", streamHeadTimeout)

// inlet is a sequence that the peer sends. It is read by who wants its items.
type inlet struct {
	c   *Conn
	key itemsKey
	due time.Time // when its stream must be there
	// arrived is closed when stream is set, or never will be.
	arrived chan struct{}

	mu     sync.Mutex
	stream transport.Stream   // guarded by mu; set once
	r      *frameReader       // guarded by mu; set with stream, and then the reader's
	cause  error              // guarded by mu; why no more items are wanted
	busy   context.CancelFunc // guarded by mu; ends the reader's wait for memory

	// What follows is the reader's.
	err   error // the last word
	used  int   // items that no CREDIT was sent for
	h     frameHeader
	begun bool // h was read, and not all of its body
	body  []byte
	held  int64 // of the budget, for a large item
}

var _ itemSource = (*inlet)(nil)

// attach gives in its stream.
func (in *inlet) attach(stream transport.Stream, r *frameReader) {
	in.mu.Lock()
	unwanted := in.cause != nil
	if !unwanted {
		in.stream, in.r = stream, r
		close(in.arrived)
	}
	in.mu.Unlock()
	if unwanted {
		stream.Close()
	}
}

// lose ends in because its stream will never come.
func (in *inlet) lose(cause error) { in.finish(in.broken(cause)) }

// stop implements itemSource.
func (in *inlet) stop(cause error) {
	stream, first := in.finish(streamError(cause))
	switch {
	case !first:
	case stream != nil:
		stream.Close()
	case in.c.forgetInlet(in):
		in.c.refuseItems(in.key)
	}
}

// finish ends in because of cause, if nothing has before, and returns its stream,
// if that has come.
func (in *inlet) finish(cause *Error) (stream transport.Stream, first bool) {
	in.mu.Lock()
	if in.cause != nil {
		in.mu.Unlock()
		return nil, false
	}
	in.cause = cause
	stream, busy := in.stream, in.busy
	if stream == nil {
		close(in.arrived)
	}
	in.mu.Unlock()
	if busy != nil {
		busy()
	}
	in.c.items.in.Add(-1)
	in.c.itemsOver()
	return stream, true
}

// next implements itemSource.
func (in *inlet) next(ctx context.Context) ([]byte, error) {
	if in.err != nil {
		return nil, in.err
	}
	item, err := in.item(ctx)
	switch {
	case err == nil:
		return item, nil
	case errors.Is(err, errWaited):
		return nil, waitError(ctx)
	}
	in.release()
	in.mu.Lock()
	if in.cause != nil && err != io.EOF {
		err = in.cause // the reason behind the reason
	}
	in.mu.Unlock()
	in.err = err
	in.stop(err)
	return nil, err
}

// errWaited is that the context of a wait ended, which is not the end of the
// sequence.
var errWaited = errors.New("the wait was given up")

// item returns the next item. Any error but errWaited is the last.
func (in *inlet) item(ctx context.Context) ([]byte, error) {
	if err := in.await(ctx); err != nil {
		return nil, err
	}
	if in.used >= creditStep {
		in.grant()
	}
	defer in.interruptedBy(ctx)()
	for {
		err := in.frame(ctx)
		switch {
		case err == nil:
		case errors.Is(err, errWaited), err == io.EOF:
			return nil, err
		case errors.Is(err, os.ErrDeadlineExceeded) && in.alive():
			return nil, errWaited
		default:
			return nil, in.broken(err)
		}
		in.begun = false
		switch in.h.typ {
		case frameItem:
			in.used++
			item := in.body
			in.body = nil
			in.release()
			return item, nil
		case frameEnd:
			return nil, io.EOF
		case frameError:
			head, _, err := splitBody(in.body)
			if err != nil {
				return nil, in.broken(err)
			}
			return nil, decodeError(head)
		}
	}
}

// alive reports whether items are still wanted.
func (in *inlet) alive() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.cause == nil
}

// await waits for the stream.
func (in *inlet) await(ctx context.Context) error {
	select {
	case <-in.arrived:
	default:
		timer := time.NewTimer(time.Until(in.due))
		defer timer.Stop()
		select {
		case <-in.arrived:
		case <-ctx.Done():
			return errWaited
		case <-timer.C:
			if in.c.forgetInlet(in) {
				in.lose(errNoItems)
			}
			<-in.arrived
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.cause
}

// interruptedBy has reads end when ctx does, until the returned function is
// called.
func (in *inlet) interruptedBy(ctx context.Context) func() {
	if ctx.Done() == nil {
		return func() {}
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		in.stream.SetReadDeadline(time.Unix(1, 0))
		close(done)
	})
	return func() {
		if !stop() {
			<-done
			in.stream.SetReadDeadline(noDeadline)
		}
	}
}

// grant sends CREDIT for the items that were used up.
func (in *inlet) grant() {
	frame := appendSmallFrame(nil, frameCredit, uint64(in.used))
	in.used = 0
	in.stream.SetWriteDeadline(timeAfter(in.c.opts.StallTimeout))
	if _, err := in.stream.Write(frame); err == nil {
		in.c.stats.framesSent.Add(1)
	} // else reading tells why
}

// frame reads the next frame into h and body. After an error that is not the
// last it goes on where it was.
func (in *inlet) frame(ctx context.Context) error {
	if !in.begun {
		h, err := in.r.header()
		if err != nil {
			return unexpected(err)
		}
		in.h, in.begun, in.body = h, true, nil
	}
	n := in.h.size
	switch {
	case in.h.typ == frameItem && n > uint64(in.c.opts.MaxPayload):
		return Errorf(ResourceExhausted, "an item of the stream has %d bytes, and the most this node takes is %d", n, in.c.opts.MaxPayload)
	case n <= maxFrame:
		body, err := in.r.take(int(n))
		in.body = body
		return err
	case in.h.typ != frameItem:
		return errFrameTooBig
	}
	if in.held == 0 {
		if err := in.acquire(ctx, int64(n)); err != nil {
			return err
		}
		in.held = int64(n)
	}
	var err error
	in.body, err = in.r.extend(in.body, n)
	return err
}

// acquire waits for the memory of a large item.
func (in *inlet) acquire(ctx context.Context, n int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in.mu.Lock()
	in.busy = cancel
	err := in.cause
	in.mu.Unlock()
	if err == nil {
		defer context.AfterFunc(in.c.ctx, cancel)()
		if in.budget().acquire(ctx, n) != nil {
			err = errWaited
		}
	}
	in.mu.Lock()
	in.busy = nil
	if in.cause != nil {
		err = in.cause
	}
	in.mu.Unlock()
	return err
}

// budget is where the memory of a large item comes from.
func (in *inlet) budget() *budget {
	if in.key.own {
		return &in.c.largeResults
	}
	return &in.c.largeArgs
}

// release gives the memory of a large item back: from here on it is held by who
// reads, like a result.
func (in *inlet) release() {
	if in.held > 0 {
		in.budget().release(in.held)
		in.held = 0
	}
}

// broken makes an [*Error] of why the items stopped to come.
func (in *inlet) broken(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	peer := in.c.peerName()
	switch cause := in.c.session.Err(); {
	case cause != nil, in.c.Err() != nil:
		return Errorf(Unavailable, "the connection to %s broke while the stream was under way: %w", peer, in.c.sessionCause(in.c.Err()))
	case isWireError(err):
		return Errorf(Internal, "the stream from %s cannot be read: %w", peer, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Errorf(Unavailable, "the stream broke off: %s ended it before its end", peer)
	}
	return Errorf(Unavailable, "the stream from %s broke off: %w", peer, err)
}
