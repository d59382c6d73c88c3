package transport

import (
	"encoding/binary"
	"fmt"
	"net"
)

// reading is the receiving side of a wire. It belongs to who reads, but for
// served and what it guards.
type reading struct {
	first chan struct{} // closed when the first reader has left; nil without one

	// buf[start:end] has been read and not been used.
	buf        []byte
	start, end int
	little     int // reads in a row that used little of a large buffer

	yamux int  // bytes of yamux's frame under way that it has not got
	kind  byte // of the record under way
	left  int  // bytes of it that have not been used
	tag   uint64
	// bulk says that the last record was a piece of bulk data, and the next may
	// be one: little is read ahead of it, so that its data need not be copied.
	bulk bool

	arrived, said uint64 // bytes of bulk data, and how many the peer knows of

	served   chan struct{} // closed when receiver is set
	receiver Receiver
}

const (
	readStart = 1 << 10  // the first buffer, so small because many a session is idle
	readKeep  = 8 << 10  // the largest that is kept whatever is read
	readMost  = 64 << 10 // the largest
	readAhead = 1 << 10  // read at most, where bulk data is likely to follow
	// readLittle is how many small reads in a row make the buffer small again.
	readLittle = 64
	// readDirect is the shortest rest of a yamux frame that yamux reads itself.
	readDirect = 4 << 10
	// takenStep is how many bytes of bulk data arrive before the peer is told.
	takenStep = 128 << 10
)

var (
	errNoRecord = fmt.Errorf("%w: what came is neither a record nor a frame of yamux", ErrProtocol)
	errRecord   = fmt.Errorf("%w: a record is too short", ErrProtocol)
	errTaken    = fmt.Errorf("%w: it says that bulk data arrived which was not sent", ErrProtocol)
)

// Serve implements Lane.
func (w *wire) Serve(r Receiver) {
	w.in.receiver = r
	close(w.in.served)
}

// listen is the first reader: it handles what comes until a frame of yamux begins.
// Then Read goes on, which waits for that.
func (w *wire) listen() error {
	defer close(w.in.first)
	for w.in.yamux == 0 {
		if err := w.record(); err != nil {
			return err
		}
	}
	return nil
}

// Read implements net.Conn for yamux. It handles what is not yamux's until there
// is something that is.
func (w *wire) Read(p []byte) (int, error) {
	r := &w.in
	if r.first != nil {
		<-r.first
		r.first = nil
	}
	for {
		if r.yamux > 0 {
			if r.start == r.end && min(r.yamux, len(p)) >= readDirect {
				n, err := w.readConn(p[:min(r.yamux, len(p))])
				r.yamux -= n
				return n, err
			}
			if err := w.need(1); err != nil {
				return 0, err
			}
			n := copy(p, r.buf[r.start:min(r.end, r.start+r.yamux)])
			r.start += n
			r.yamux -= n
			return n, nil
		}
		if err := w.record(); err != nil {
			return 0, err
		}
	}
}

// record handles the next record, or finds that yamux's frame begins.
func (w *wire) record() error {
	r := &w.in
	if r.left == 0 {
		if err := w.need(1); err != nil {
			return err
		}
		if r.buf[r.start] == 0 {
			if err := w.need(yamuxHeader); err != nil {
				return err
			}
			r.yamux, r.bulk = yamuxHeader, false
			if r.buf[r.start+1] == 0 {
				r.yamux += int(binary.BigEndian.Uint32(r.buf[r.start+8:]))
			}
			return nil
		}
		if err := w.need(laneHeader); err != nil {
			return err
		}
		r.kind, r.left = r.buf[r.start], recordSize(r.buf[r.start:])
		r.start += laneHeader
		r.bulk = false
		switch {
		case r.kind > maxRecordKind:
			return w.refuse(errNoRecord)
		case r.kind == recordPiece:
			if r.left < 8 {
				return w.refuse(errRecord)
			}
			if err := w.need(8); err != nil {
				return err
			}
			r.tag = binary.BigEndian.Uint64(r.buf[r.start:])
			r.start += 8
			r.left -= 8
			r.bulk = true
		case r.kind == recordControl:
			return w.control()
		case r.kind == recordTaken:
			if r.left < 8 {
				return w.refuse(errRecord)
			}
			if err := w.need(8); err != nil {
				return err
			}
			if err := w.taken(binary.BigEndian.Uint64(r.buf[r.start:])); err != nil {
				return w.refuse(err)
			}
		}
		if r.kind == recordLane || r.kind == recordPiece {
			if err := w.awaitReceiver(); err != nil {
				return err
			}
		}
		if r.left == 0 {
			return nil
		}
	}
	if r.kind == recordPiece {
		return w.piece()
	}
	if err := w.need(1); err != nil {
		return err
	}
	n := min(r.left, r.end-r.start)
	if r.kind == recordLane {
		r.receiver.Receive(r.buf[r.start : r.start+n])
	}
	r.start += n
	r.left -= n
	return nil
}

// control gives the session a control frame.
func (w *wire) control() error {
	r := &w.in
	if r.left > maxControl {
		return w.refuse(errControl)
	}
	if err := w.need(r.left); err != nil {
		return err
	}
	f, err := parseControl(r.buf[r.start : r.start+r.left])
	if err != nil {
		return w.refuse(err)
	}
	w.hear(f)
	r.start += r.left
	r.left = 0
	return nil
}

// piece puts what is left of a piece of bulk data where it belongs.
func (w *wire) piece() error {
	r := &w.in
	for r.left > 0 {
		dst := r.receiver.Place(r.tag, r.left)
		n := min(len(dst), r.left)
		if n == 0 { // nobody wants it
			if err := w.need(1); err != nil {
				return err
			}
			n = min(r.left, r.end-r.start)
			r.start += n
		} else {
			k := copy(dst[:n], r.buf[r.start:r.end])
			r.start += k
			for k < n {
				m, err := w.readConn(dst[k:n])
				if err != nil && m == 0 {
					return err
				}
				k += m
			}
			r.receiver.Placed(r.tag)
		}
		r.left -= n
		if r.arrived += uint64(n); r.arrived-r.said >= takenStep {
			r.said = r.arrived
			w.sayTaken(r.arrived)
		}
	}
	return nil
}

// awaitReceiver waits until there is somebody to give the lane's data to.
func (w *wire) awaitReceiver() error {
	select {
	case <-w.in.served:
		return nil
	default:
	}
	select {
	case <-w.in.served:
		return nil
	case <-w.gone:
		return net.ErrClosed
	}
}

// refuse ends the connection because of what came.
func (w *wire) refuse(err error) error {
	w.fail(err)
	return err
}

// need sees to it that at least n bytes are in the buffer, at most readStart.
func (w *wire) need(n int) error {
	r := &w.in
	for r.end-r.start < n {
		if r.start == r.end {
			r.start, r.end = 0, 0
			r.shrink()
		} else if r.start+n > len(r.buf) {
			r.end = copy(r.buf, r.buf[r.start:r.end])
			r.start = 0
		}
		most := len(r.buf)
		if r.bulk {
			most = min(most, r.end+readAhead)
		}
		k, err := w.readConn(r.buf[r.end:most])
		r.end += k
		if r.end == len(r.buf) && len(r.buf) < readMost {
			r.grow()
		}
		if k > len(r.buf)/4 {
			r.little = 0
		}
		if k == 0 && err != nil {
			return err
		}
	}
	return nil
}

// grow doubles a buffer that a read has filled.
func (r *reading) grow() {
	buf := make([]byte, min(2*len(r.buf), readMost))
	r.end = copy(buf, r.buf[r.start:r.end])
	r.start, r.buf = 0, buf
}

// shrink makes sure that there is a buffer, and no larger one than it takes.
func (r *reading) shrink() {
	if r.buf == nil {
		r.buf = make([]byte, readStart)
	}
	if len(r.buf) <= readKeep {
		return
	}
	if r.little++; r.little > readLittle {
		r.little = 0
		r.buf = make([]byte, readStart)
	}
}

// readConn reads from the connection.
func (w *wire) readConn(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.received.Add(uint64(n))
		w.lastReceived.Store(w.now())
	}
	if err != nil {
		w.mu.Lock()
		w.noteLocked(err)
		w.mu.Unlock()
	}
	return n, err
}
