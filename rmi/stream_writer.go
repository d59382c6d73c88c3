package rmi

import (
	"context"
	"runtime"
	"sync"

	"farcall.dev/transport"
)

// writer merges what many goroutines send on one stream into few writes, with
// no timer: a frame is appended to a buffer; the first one to come wakes the
// flusher, which lets everybody who is ready append too, by yielding once, and
// then writes until the buffer is empty. The busier the stream, the larger the
// writes; a lone frame leaves at once.
//
// To send, call lock, append to buf, and call unlock. Nobody but the flusher
// ever waits for the stream, so that a peer that stops reading cannot hold a
// caller beyond the end of its context.
type writer struct {
	stream transport.Stream
	stats  *counters
	max    int
	wake   chan struct{} // holds one; tells the flusher that buf has something
	closed chan struct{} // closed with err set

	mu sync.Mutex
	// What follows is guarded by mu.
	buf      []byte        // frames that wait for the next write
	spare    []byte        // the buffer of the last write, to be used again
	oversize int           // writes in a row that used little of a large buffer
	writing  bool          // the flusher is awake
	room     chan struct{} // closed when buf was taken; nil while nobody waits
	err      error
}

const (
	// writerKeep is the capacity up to which an idle buffer is kept.
	writerKeep = 64 << 10
	// writerOversize is how many small writes in a row shrink a larger one.
	writerOversize = 16
)

// newWriter returns a writer for stream whose buffer holds up to limit bytes.
// What begins the stream is given as first. Its flusher is run, which the
// caller starts.
func newWriter(stream transport.Stream, limit int, stats *counters, first ...byte) *writer {
	return &writer{
		stream: stream, stats: stats, max: limit,
		wake: make(chan struct{}, 1), closed: make(chan struct{}),
		buf: first,
	}
}

// lock waits until there is room in the buffer and returns with mu held, or
// returns ctx's error, or why the writer is closed, without it.
func (w *writer) lock(ctx context.Context) error {
	w.mu.Lock()
	for w.err == nil && len(w.buf) >= w.max {
		room := w.roomLocked()
		w.mu.Unlock()
		select {
		case <-room:
		case <-w.closed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		w.mu.Lock()
	}
	return w.lockedErr()
}

// lockedErr releases mu and returns why the writer is closed, if it is.
func (w *writer) lockedErr() error {
	if w.err != nil {
		err := w.err
		w.mu.Unlock()
		return err
	}
	return nil
}

// roomLocked returns what is closed when the buffer is taken next.
func (w *writer) roomLocked() <-chan struct{} {
	if w.room == nil {
		w.room = make(chan struct{})
	}
	return w.room
}

// unlock releases mu after frames, a number of them, were appended to buf, and sees
// to it that they are sent.
func (w *writer) unlock(frames int) {
	wake := !w.writing
	w.writing = true
	w.mu.Unlock()
	if wake {
		w.wake <- struct{}{}
	}
	w.stats.framesSent.Add(uint64(frames))
}

// run is the flusher. It ends when the writer is closed.
func (w *writer) run() {
	for {
		select {
		case <-w.wake:
		case <-w.closed:
			return
		}
		runtime.Gosched()
		for w.flush() {
		}
	}
}

// flush writes what the buffer holds, and reports whether there was anything.
func (w *writer) flush() bool {
	w.mu.Lock()
	if len(w.buf) == 0 || w.err != nil {
		w.writing = false
		w.mu.Unlock()
		return false
	}
	out := w.buf
	w.buf, w.spare = w.spare[:0], nil
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	w.mu.Unlock()

	_, err := w.stream.Write(out)
	if err != nil {
		w.close(err)
		return false
	}
	w.mu.Lock()
	w.keepLocked(out)
	w.mu.Unlock()
	return true
}

// keepLocked keeps b for the next write, unless it has become too large for
// what is written now.
func (w *writer) keepLocked(b []byte) {
	switch {
	case cap(b) <= writerKeep:
	case len(b) > cap(b)/4:
		w.oversize = 0
	default:
		if w.oversize++; w.oversize > writerOversize {
			return // the next large buffer is given up at once
		}
	}
	w.spare = b
}

// close ends the writer: what has not been handed to the stream never will be.
func (w *writer) close(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	w.err = err
	w.buf, w.spare = nil, nil
	close(w.closed)
}

// cause returns why the writer is closed; nil while it is open.
func (w *writer) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
