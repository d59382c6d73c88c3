package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// errCut is what a flow answers after its session ended; the stream puts the
// session's cause in its place.
var errCut = errors.New("flow was cut off")

// flow is one direction of a stream of a Pipe: a bounded buffer with one end
// for writing and one for reading, each with a deadline.
type flow struct {
	mu      sync.Mutex
	changed sync.Cond // on mu: anything below changed, or a deadline passed

	buf       []byte // guarded by mu; what was written and not yet read
	limit     int
	ended     bool // guarded by mu; the writer is done: EOF after buf
	unwanted  bool // guarded by mu; the reader is closed
	cut       bool // guarded by mu; the session ended
	readTill  deadline
	writeTill deadline
}

// deadline wakes a flow when it passes. It is guarded by the flow's mu.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newFlow(limit int) *flow {
	f := &flow{limit: limit}
	f.changed.L = &f.mu
	return f
}

// read takes what is there, and waits while there is nothing.
func (f *flow) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.unwanted:
			return 0, net.ErrClosed
		case f.readTill.passed():
			return 0, os.ErrDeadlineExceeded
		case len(f.buf) > 0:
			n := copy(p, f.buf)
			f.buf = f.buf[n:]
			if len(f.buf) == 0 {
				f.buf = nil
			}
			f.changed.Broadcast()
			return n, nil
		case f.ended:
			return 0, io.EOF
		case f.cut:
			return 0, errCut
		case len(p) == 0:
			return 0, nil
		}
		f.changed.Wait()
	}
}

// write adds p in pieces, and waits while there is no room. It tells count how
// long each piece was.
func (f *flow) write(p []byte, count func(int)) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	written := 0
	for {
		switch {
		case f.ended:
			return written, net.ErrClosed
		case f.cut:
			return written, errCut
		case f.unwanted:
			return written, ErrReset
		case f.writeTill.passed():
			return written, os.ErrDeadlineExceeded
		case len(p) == 0:
			return written, nil
		}
		if n := min(len(p), f.limit-len(f.buf), MaxPiece); n > 0 {
			f.buf = append(f.buf, p[:n]...)
			p = p[n:]
			written += n
			count(n)
			f.changed.Broadcast()
			continue
		}
		f.changed.Wait()
	}
}

// closeWrite lets the reader come to an end.
func (f *flow) closeWrite() { f.change(func() { f.ended = true }) }

// closeRead drops what is there and refuses more.
func (f *flow) closeRead() { f.change(func() { f.unwanted, f.buf = true, nil }) }

// cutOff ends both sides; what was written can still be read.
func (f *flow) cutOff() {
	f.change(func() {
		f.cut = true
		f.readTill.stop()
		f.writeTill.stop()
	})
}

func (f *flow) setReadDeadline(t time.Time)  { f.change(func() { f.readTill.set(t, f.wake) }) }
func (f *flow) setWriteDeadline(t time.Time) { f.change(func() { f.writeTill.set(t, f.wake) }) }

func (f *flow) wake() { f.change(func() {}) }

func (f *flow) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	f.changed.Broadcast()
}

// set makes t the deadline and has wake called when it passes; the zero time
// means none.
func (d *deadline) set(t time.Time, wake func()) {
	d.stop()
	d.at = t
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), wake)
	}
}

// stop ends the timer and leaves the deadline as it is.
func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }
