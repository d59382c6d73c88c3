package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

const (
	// writeChunk is the largest single write, but for a piece of bulk data, so that
	// progress can be seen.
	writeChunk = 64 << 10
	// joinMost is up to how many bytes are copied together for a connection that
	// cannot write several slices at once.
	joinMost = 16 << 10

	// inlineMost is the largest write that is tried inline.
	inlineMost = 16 << 10
	// inlinePause is the time between two writes below which they are taken for
	// a burst, which the flusher merges better; the next inlineBurst go by it.
	inlinePause = int64(3 * time.Microsecond)
	inlineBurst = 64
)

// inline is what a write in place needs. It is guarded by the wire's mu, but for
// out and sent, which belong to who has set writing.
type inline struct {
	raw     syscall.RawConn // the socket; nil where it cannot be written to in place
	write   func(fd uintptr) bool
	out     []byte
	sent    int
	backlog int   // writes that still go by the flusher
	last    int64 // when the last one ended
}

func (i *inline) init(conn *net.TCPConn) {
	i.raw, _ = conn.SyscallConn()
	i.write = func(fd uintptr) bool {
		if n, err := syscall.Write(int(fd), i.out); err == nil {
			i.sent = n
		}
		return true // whatever it was, the flusher tries again and waits
	}
}

// seldomLocked reports whether a frame that comes now is a lone one.
func (i *inline) seldomLocked(now int64) bool {
	if i.backlog > 0 {
		i.backlog--
		return false
	}
	if i.last != 0 && now-i.last < inlinePause {
		i.backlog = inlineBurst
		return false
	}
	return true
}

// inlineLocked tries to write what is in the buffers right here, without waiting,
// and reports whether nothing is left for the flusher. mu is released while the
// kernel takes the bytes.
func (w *wire) inlineLocked() bool {
	messages := len(w.lane) > laneHeader
	if w.inline.raw == nil || w.err != nil || messages && len(w.buf) > 0 || len(w.rest) > 0 ||
		len(w.transfers) > 0 || len(w.lane) > inlineMost || len(w.buf) > inlineMost {
		return false
	}
	i := &w.inline
	var b []byte
	if messages {
		b = w.takeLaneLocked()
	} else {
		b = w.buf
		w.buf, w.spare = w.spare[:0], nil
	}
	w.writing = true
	w.mu.Unlock()
	i.out, i.sent = b, 0
	i.raw.Write(i.write)
	w.mu.Lock()
	n := i.sent
	w.writing, i.out = false, nil
	i.last = w.now()
	if n > 0 {
		w.wrote(n)
		w.lastSent.Store(i.last)
	}
	switch {
	case n < len(b):
		w.rest = b[n:]
	case messages:
		w.laneSpare = b
	default:
		w.spare = b
	}
	if !messages {
		w.unsent -= len(b)
		w.grantLocked()
	}
	return w.err == nil && len(w.rest) == 0 && len(w.buf) == 0 && len(w.lane) <= laneHeader && len(w.transfers) == 0
}

// outgoing is what the flusher has in hand.
type outgoing struct {
	// parts are what is left to be written, one after another: the rest of an
	// inline write, messages, yamux's frames, and a piece's header and data.
	parts [5][]byte
	vec   [5][]byte
	slots net.Buffers // of vec
	join  []byte

	yamux   []byte // the whole of yamux's frames, to be used again
	lane    []byte // the whole of the messages
	piece   *transfer
	began   int64 // when the piece's write began
	header  [pieceHeader]byte
	private []byte // a copy of the piece's data, where that cannot be written in place
}

const (
	partRest = iota
	partLane
	partYamux
	partHeader
	partPiece
)

// flush writes what there is until the connection fails or is closed.
func (w *wire) flush() {
	defer close(w.flushed)
	for range w.kick {
		runtime.Gosched()
		for holds := false; ; holds = true {
			some, err := w.take(holds)
			if err == nil && some {
				err = w.writeOut()
			}
			if err != nil {
				w.putDown(err)
				w.drop(err)
				return
			}
			if !some {
				break
			}
		}
	}
}

// take gives the flusher all there is; holds says that it has written something
// just now. It returns why the connection has ended.
func (w *wire) take(holds bool) (some bool, err error) {
	o := &w.out
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing && !holds {
		w.awake = false
		return false, nil // an inline write is under way, and looks again
	}
	if holds {
		w.putBackLocked(nil)
	}
	if w.err != nil {
		w.writing = false
		return false, w.err
	}
	if len(w.rest) > 0 {
		o.parts[partRest], w.rest = w.rest, nil
		some = true
	}
	if len(w.lane) > laneHeader {
		o.lane = w.takeLaneLocked()
		o.parts[partLane] = o.lane
		some = true
	}
	if len(w.buf) > 0 {
		o.yamux = w.buf
		w.buf, w.spare = w.spare[:0], nil
		o.parts[partYamux] = o.yamux
		some = true
	}
	if w.takePieceLocked() {
		some = true
	}
	w.writing = some
	if !some {
		w.awake = false
		w.shrinkLocked()
	}
	return some, nil
}

// takeLaneLocked swaps the lane's buffers and returns the full one, a whole
// record, or several where one cannot hold all.
func (w *wire) takeLaneLocked() []byte {
	b := w.lane
	if len(b) <= laneHeader+maxRecordBody {
		putRecord(b, recordLane, len(b)-laneHeader)
	} else {
		b = laneRecords(b[laneHeader:])
	}
	w.lane, w.laneSpare = w.laneSpare[:0], nil
	w.laneGiven = w.laneEnd
	w.openRoomLocked()
	return b
}

// laneRecords returns messages as records.
func laneRecords(messages []byte) []byte {
	b := make([]byte, 0, len(messages)+(len(messages)/maxRecordBody+1)*laneHeader)
	for len(messages) > 0 {
		n := min(len(messages), maxRecordBody)
		b = append(b, make([]byte, laneHeader)...)
		putRecord(b[len(b)-laneHeader:], recordLane, n)
		b = append(b, messages[:n]...)
		messages = messages[n:]
	}
	return b
}

// putBackLocked gives back what the flusher has written.
func (w *wire) putBackLocked(err error) {
	o := &w.out
	if o.yamux != nil {
		w.spare, o.yamux = o.yamux, nil
	}
	if o.lane != nil {
		w.laneSpare, o.lane = o.lane, nil
	}
	if o.piece != nil {
		w.pieceWrittenLocked(err)
	}
	o.parts = [5][]byte{}
}

// putDown has the flusher give up what it has in hand.
func (w *wire) putDown(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(err)
	w.putBackLocked(w.err)
}

// shrinkLocked lets go of large buffers after a run of flushes that did not
// need them.
func (w *wire) shrinkLocked() {
	if cap(w.buf) <= keepBuffer && cap(w.spare) <= keepBuffer && cap(w.lane) <= keepBuffer && cap(w.laneSpare) <= keepBuffer {
		return
	}
	if w.small++; len(w.spare) > keepBuffer || len(w.laneSpare) > keepBuffer {
		w.small = 0
	}
	if w.small >= 16 {
		w.buf, w.spare, w.lane, w.laneSpare, w.small = nil, nil, nil, nil, 0
	}
}

// writeOut writes all that the flusher has in hand.
func (w *wire) writeOut() error {
	o := &w.out
	for {
		n, parts := 0, 0
		for i := range o.parts {
			p := o.parts[i]
			if i < partHeader {
				p = p[:min(len(p), writeChunk-n)]
			}
			if len(p) > 0 && n < writeChunk {
				o.vec[parts] = p
				n += len(p)
				parts++
			}
		}
		if n == 0 {
			return nil
		}
		now := w.now()
		w.writingSince.Store(now)
		if o.piece != nil && o.began == 0 {
			o.began = now
		}
		k, err := w.writeVec(o.vec[:parts])
		w.writingSince.Store(0)
		w.wrote(k)
		w.lastSent.Store(w.now())
		w.advance(k)
		if errors.Is(err, os.ErrDeadlineExceeded) && w.resume() {
			continue
		}
		if err == nil && k < n {
			err = io.ErrShortWrite
		}
		if err != nil {
			return err
		}
	}
}

// writeVec writes some slices, in one piece where that is possible.
func (w *wire) writeVec(vec [][]byte) (int, error) {
	o := &w.out
	switch {
	case len(vec) == 1:
		return w.Conn.Write(vec[0])
	case w.tcp != nil:
		o.slots = vec
		n, err := o.slots.WriteTo(w.tcp)
		return int(n), err
	}
	total := 0
	for len(vec) > 0 {
		o.join = o.join[:0]
		for len(vec) > 0 && len(o.join)+len(vec[0]) <= joinMost {
			o.join = append(o.join, vec[0]...)
			vec = vec[1:]
		}
		b := o.join
		if len(b) == 0 {
			b, vec = vec[0], vec[1:]
		}
		n, err := w.Conn.Write(b)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// advance takes note that n more bytes are written.
func (w *wire) advance(n int) {
	o := &w.out
	yamux := 0
	for i := range o.parts {
		k := min(n, len(o.parts[i]))
		o.parts[i] = o.parts[i][k:]
		n -= k
		if i == partYamux {
			yamux = k
		}
	}
	if yamux > 0 {
		w.mu.Lock()
		w.unsent -= yamux
		w.grantLocked()
		w.mu.Unlock()
	}
}

// wrote counts a write of n bytes.
func (w *wire) wrote(n int) {
	if n == 0 {
		return
	}
	w.writes.Add(1)
	w.sent.Add(uint64(n))
	w.sizes.count(n)
}
