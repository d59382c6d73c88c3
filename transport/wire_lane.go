package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// errGivenUp is why a transfer ends whose sender waits no longer.
var errGivenUp = errors.New("given up")

var _ Lane = (*wire)(nil)

// Lock implements Lane.
func (w *wire) Lock(ctx context.Context, room int) ([]byte, error) {
	w.mu.Lock()
	for w.err == nil && len(w.lane) >= room+laneHeader {
		if w.room == nil {
			w.room = make(chan struct{})
		}
		open := w.room
		w.mu.Unlock()
		select {
		case <-open:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		w.mu.Lock()
	}
	return w.lockedLane()
}

// TryLock implements Lane.
func (w *wire) TryLock(room int) (b []byte, ok bool, err error) {
	w.mu.Lock()
	if w.err == nil && len(w.lane) >= room+laneHeader {
		w.mu.Unlock()
		return nil, false, nil
	}
	b, err = w.lockedLane()
	return b, err == nil, err
}

// lockedLane returns the lane's buffer with mu held, or why the connection has
// ended, without.
func (w *wire) lockedLane() ([]byte, error) {
	if err := w.err; err != nil {
		w.mu.Unlock()
		return nil, w.ended(err)
	}
	if len(w.lane) == 0 {
		w.lane = append(w.lane, 0, 0, 0, 0)
	}
	return w.lane, nil
}

// Unlock implements Lane.
func (w *wire) Unlock(b []byte, lone bool) (end uint64) {
	w.laneEnd += uint64(len(b) - len(w.lane))
	w.lane = b
	end = w.laneEnd
	w.push(lone)
	return end
}

// Given implements Lane.
func (w *wire) Given() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.laneGiven
}

// openRoomLocked lets those look again who wait for room.
func (w *wire) openRoomLocked() {
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

// transfer is bulk data that is being sent.
type transfer struct {
	tag  uint64
	data []byte // what no piece was made of yet
	// What follows is guarded by the wire's mu.
	inHand   bool // the flusher has a piece of it
	canceled bool // nobody waits for it
	err      error
	done     chan struct{} // closed when data is not used any more
}

// The bounds of a piece of bulk data, and how long writing one should take: the
// time that a message which comes at the wrong moment waits for it. On a slow path
// that is long, and the least piece small.
const (
	minPiece    = 64 << 10
	slowPiece   = 16 << 10
	startPiece  = 128 << 10
	maxPiece    = 256 << 10
	pieceQuick  = int64(100 * time.Microsecond)
	pieceTooBig = int64(500 * time.Microsecond)
	pieceSlow   = int64(10 * time.Millisecond)
)

// Bulk implements Lane.
func (w *wire) Bulk(ctx context.Context, tag uint64, data []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t := &transfer{tag: tag, data: data, done: make(chan struct{})}
	w.mu.Lock()
	if err := w.err; err != nil {
		w.mu.Unlock()
		return w.ended(err)
	}
	if len(data) == 0 {
		w.mu.Unlock()
		return nil
	}
	w.transfers = append(w.transfers, t)
	w.push(false)
	select {
	case <-t.done:
		return w.transferred(ctx, t)
	case <-ctx.Done():
	}
	w.mu.Lock()
	for i, q := range w.transfers {
		if q == t {
			w.transfers = append(w.transfers[:i], w.transfers[i+1:]...)
			w.mu.Unlock()
			return context.Cause(ctx)
		}
	}
	if t.inHand {
		t.canceled = true
		if w.tcp == nil {
			w.mu.Unlock()
			return context.Cause(ctx) // the piece is a copy
		}
		// The write is interrupted, and goes on with a copy; see resume.
		w.tcp.SetWriteDeadline(past)
	}
	w.mu.Unlock()
	<-t.done
	return w.transferred(ctx, t)
}

// transferred returns what came of t.
func (w *wire) transferred(ctx context.Context, t *transfer) error {
	switch t.err {
	case nil:
		return nil
	case errGivenUp:
		return context.Cause(ctx)
	}
	return w.ended(t.err)
}

// takePieceLocked gives the flusher the next piece of bulk data, if there is one
// and the path has room for it.
func (w *wire) takePieceLocked() bool {
	if len(w.transfers) == 0 {
		return false
	}
	under := int64(w.bulkSent - w.bulkTaken)
	t := w.transfers[0]
	n := min(len(t.data), w.pieceSize)
	if under > 0 && under+int64(n) > w.window.size {
		w.window.limited = true
		return false
	}
	w.transfers[0] = nil
	w.transfers = w.transfers[1:]
	t.inHand = true
	o := &w.out
	o.piece, o.began = t, 0
	data := t.data[:n]
	t.data = t.data[n:]
	if w.tcp == nil {
		o.private = append(o.private[:0], data...)
		data = o.private
	}
	putRecord(o.header[:], recordPiece, pieceHeader-laneHeader+n)
	binary.BigEndian.PutUint64(o.header[laneHeader:], t.tag)
	o.parts[partHeader], o.parts[partPiece] = o.header[:], data
	w.bulkSent += uint64(n)
	w.window.sent(w.now(), w.bulkSent, w.bulkTaken)
	return true
}

// pieceWrittenLocked gives back the transfer of a piece that was written, or, with
// err, not.
func (w *wire) pieceWrittenLocked(err error) {
	o := &w.out
	t := o.piece
	o.piece = nil
	if cap(o.private) > keepBuffer && len(w.transfers) == 0 && len(t.data) == 0 {
		o.private = nil
	}
	switch took := w.now() - o.began; {
	case took < pieceQuick:
		w.pieceSize = min(2*w.pieceSize, maxPiece)
	case took > pieceSlow:
		w.pieceSize = max(w.pieceSize/2, slowPiece)
	case took > pieceTooBig:
		w.pieceSize = max(w.pieceSize/2, min(w.pieceSize, minPiece))
	}
	t.inHand = false
	switch {
	case err != nil:
		t.endLocked(err)
	case len(t.data) == 0:
		t.endLocked(nil)
	case t.canceled:
		t.endLocked(errGivenUp)
	case w.err != nil:
		t.endLocked(w.err)
	default:
		w.transfers = append(w.transfers, t)
	}
}

// resume goes on after a write was interrupted: what is left of a piece whose
// sender waits no longer becomes a copy, so that he can have his memory back. It
// reports whether there is a connection to go on with.
func (w *wire) resume() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.tcp == nil {
		return false
	}
	o := &w.out
	if t := o.piece; t != nil && t.canceled {
		o.parts[partPiece] = append([]byte(nil), o.parts[partPiece]...)
		t.inHand = false
		if len(t.data) == 0 {
			t.endLocked(nil)
		} else {
			t.endLocked(errGivenUp)
		}
		o.piece = nil
	}
	return w.tcp.SetWriteDeadline(time.Time{}) == nil
}

// endLocked tells who waits for t what came of it.
func (t *transfer) endLocked(err error) {
	t.data, t.err = nil, err
	close(t.done)
}

// cutTransfersLocked ends what waits to be sent.
func (w *wire) cutTransfersLocked() {
	for _, t := range w.transfers {
		t.endLocked(w.err)
	}
	w.transfers = nil
}

// taken hears that the peer has got so many bytes of bulk data.
func (w *wire) taken(total uint64) error {
	w.mu.Lock()
	if total < w.bulkTaken || total > w.bulkSent {
		w.mu.Unlock()
		return errTaken
	}
	w.bulkTaken = total
	w.window.taken(w.now(), total)
	if len(w.transfers) > 0 {
		w.push(false)
		return nil
	}
	w.mu.Unlock()
	return nil
}

// sayTaken tells the peer how many bytes of bulk data have arrived.
func (w *wire) sayTaken(total uint64) {
	var b [laneHeader + 8]byte
	putRecord(b[:], recordTaken, 8)
	binary.BigEndian.PutUint64(b[laneHeader:], total)
	w.post(b[:], false)
}
