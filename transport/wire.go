package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire is the connection of a session. It carries yamux's frames, to which it is
// a net.Conn, and beside them the session's [Lane], so that small messages cost
// none of what a stream does; framing.go tells them apart.
//
// Writing. yamux writes a frame's header and its body separately and waits for
// each; wire joins the two in a buffer. Messages of the lane are put together in
// another, and bulk data waits where it is. One goroutine, the flusher, writes
// whatever has come together meanwhile as soon as what it wrote before is gone:
// first messages, then yamux's frames, then one piece of bulk data. It yields once
// before it begins, so that others can join. There is no timer and nothing is ever
// held back; only the first half of a yamux frame waits for the second. A lone small
// write is tried in place, by who brings it: that spares it the change to another
// goroutine. Of messages their sender knows whether they are lone; frames of yamux
// are, unless they follow each other closely.
//
// Because its Write never waits for the network, yamux's own goroutines never
// block: a full connection cannot stop it from reading, answering or opening,
// and none of yamux's write timeouts can strike. What may wait are writers of
// data, and they wait before they enter yamux, in reserve, in turn and as long
// as their deadline allows, so that at most budget bytes of data are buffered
// here and in yamux together. Control frames, the session's and yamux's, pass
// without asking; a peer that makes us send endless control frames and reads none
// loses the connection at budget + slack. Who sends by the lane waits in Lock, or
// in Bulk.
//
// Reading. One goroutine at a time reads the connection, and gives the session and
// the receiver of the lane what is theirs on the way. The first is in listen, until
// a frame of yamux begins; then it is yamux's receiving goroutine, in Read.
type wire struct {
	net.Conn
	base time.Time    // what times below are counted from, by the monotonic clock
	tcp  *net.TCPConn // the connection, where nothing is between, such as TLS; else nil
	// cause returns why the session ended, nil until that is known, and hear gets
	// its control frames, from who reads; both nil without a session.
	cause func() error
	hear  func(controlFrame)

	mu       sync.Mutex
	buf      []byte  // guarded by mu; whole frames of yamux, and records
	spare    []byte  // guarded by mu; the other buffer, nil while it is written
	part     []byte  // guarded by mu; the beginning of a frame whose rest is to come
	frame    framing // guarded by mu; where in a frame part ends
	unsent   int     // guarded by mu; bytes of buf, part and what the flusher took of them
	reserved int     // guarded by mu; bytes that admitted writers hold in yamux
	queue    []*turn // guarded by mu; writers that wait, oldest first
	small    int     // guarded by mu; flushes in a row that needed little of the buffers
	err      error   // guarded by mu; why the connection ended, on either side's account
	dropping bool    // guarded by mu; writing failed, reading goes on

	lane      []byte        // guarded by mu; room for a record's header, and messages
	laneSpare []byte        // guarded by mu; the other buffer, nil while it is written
	laneEnd   uint64        // guarded by mu; bytes of messages appended
	laneGiven uint64        // guarded by mu; bytes of messages taken to be written
	room      chan struct{} // guarded by mu; closed when lane is taken; nil while nobody waits

	transfers []*transfer // guarded by mu; bulk data that waits, next first
	bulkSent  uint64      // guarded by mu; bytes of bulk data given to the connection
	bulkTaken uint64      // guarded by mu; of these, bytes that the peer says have arrived
	window    pathWindow  // guarded by mu; bounds their difference
	pieceSize int         // guarded by mu; the longest piece of bulk data now

	rest    []byte // guarded by mu; what an inline write has left of its record
	writing bool   // guarded by mu; the flusher or an inline write has bytes in hand
	awake   bool   // guarded by mu; the flusher was told that there is something
	inline  inline

	kick    chan struct{} // holds a token when the flusher has something to do
	flushed chan struct{} // closed when the flusher has ended
	gone    chan struct{} // closed when the connection is
	closing sync.Once
	linger  atomic.Pointer[time.Timer] // closes the connection after a failed write
	out     outgoing                   // the flusher's

	in reading // of who reads

	sent, received, writes atomic.Uint64
	sizes                  writeSizes
	lastSent, lastReceived atomic.Int64 // nanoseconds since base
	writingSince           atomic.Int64 // nanoseconds since base, 0 when the flusher is not writing
}

const (
	writeBudget = 256 << 10 // bytes of data admitted at once
	writeSlack  = 1 << 20   // bytes of control frames on top
	keepBuffer  = 16 << 10  // largest buffer that a quiet wire keeps
)

func newWire(conn net.Conn) *wire {
	w := &wire{
		Conn: conn, base: time.Now(), tcp: socketOf(conn),
		kick: make(chan struct{}, 1), flushed: make(chan struct{}), gone: make(chan struct{}),
		window: newPathWindow(), pieceSize: startPiece,
	}
	if w.tcp != nil {
		w.inline.init(w.tcp)
	}
	w.in.served = make(chan struct{})
	go w.flush()
	return w
}

// Write implements net.Conn for yamux: it takes p and returns.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	switch err := w.err; {
	case w.dropping:
		w.mu.Unlock()
		return len(p), nil
	case err != nil:
		w.mu.Unlock()
		return 0, err
	}
	if err := w.countLocked(len(p)); err != nil {
		w.mu.Unlock()
		w.fail(err)
		return 0, err
	}
	w.frame.advance(p)
	if !w.frame.whole() {
		w.part = append(w.part, p...)
		w.mu.Unlock()
		return len(p), nil
	}
	w.buf = append(append(w.buf, w.part...), p...)
	w.part = w.part[:0]
	w.push(w.inline.seldomLocked(w.now()))
	return len(p), nil
}

// post sends b, whole records, between yamux's frames. It does not wait. With lone,
// it is sent in place if that is possible and seems right.
func (w *wire) post(b []byte, lone bool) {
	w.mu.Lock()
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	if err := w.countLocked(len(b)); err != nil {
		w.mu.Unlock()
		w.fail(err)
		return
	}
	w.buf = append(w.buf, b...)
	w.push(lone && w.inline.seldomLocked(w.now()))
}

// countLocked counts n bytes more, or says that the peer makes them too many.
func (w *wire) countLocked(n int) error {
	if w.unsent+n > writeBudget+writeSlack {
		return fmt.Errorf("%w: it makes this side answer and does not read the answers", ErrPeerSilent)
	}
	w.unsent += n
	return nil
}

// push sees to it that what was put into the buffers is written, in place if lone
// and possible, and releases mu.
func (w *wire) push(lone bool) {
	if w.writing || w.awake || lone && w.inlineLocked() { // who writes looks again
		w.mu.Unlock()
		return
	}
	w.awake = true
	w.mu.Unlock()
	w.wake()
}

// Close implements net.Conn for yamux. It closes the connection under TLS, if
// that is what this is: TLS would wait up to 5 s to say goodbye, yamux's readers
// spin meanwhile, and this package says goodbye by itself.
func (w *wire) Close() error {
	w.fail(net.ErrClosed)
	<-w.flushed
	if t := w.linger.Load(); t != nil {
		t.Stop()
	}
	return nil
}

// drop ends writing, for the reason err, and leaves reading a moment for what
// the peer has said before it went: the end of a reply, or that it closes.
// yamux would close the connection at once if it were told.
func (w *wire) drop(err error) {
	w.mu.Lock()
	w.noteLocked(err)
	w.dropping = true
	w.letGoLocked()
	closed := errors.Is(w.err, net.ErrClosed)
	w.mu.Unlock()
	if !closed {
		w.linger.Store(time.AfterFunc(closeLinger, func() { w.fail(err) }))
	}
}

// fail ends the connection for the reason err, unless it has ended already.
func (w *wire) fail(err error) {
	w.mu.Lock()
	w.noteLocked(err)
	w.dropping = false
	w.letGoLocked()
	w.mu.Unlock()
	w.closing.Do(func() {
		close(w.gone)
		innermost(w.Conn).Close()
	})
	w.wake()
}

// letGoLocked lets those who wait find out that the connection has ended.
func (w *wire) letGoLocked() {
	w.grantLocked()
	w.openRoomLocked()
	w.cutTransfersLocked()
}

// ended is the error of who comes too late: the session's cause, or, before that
// is known, what became of the connection.
func (w *wire) ended(err error) error {
	if w.cause != nil {
		if cause := w.cause(); cause != nil {
			return cause
		}
	}
	return err
}

// noteLocked keeps the first reason.
func (w *wire) noteLocked(err error) {
	if w.err == nil {
		w.err = err
	}
}

// broken returns what the network did to end the connection, nil when this side
// closed it.
func (w *wire) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == net.ErrClosed { // ours; the network's own are wrapped
		return nil
	}
	return w.err
}

func (w *wire) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

func (w *wire) now() int64 { return int64(time.Since(w.base)) }

// socketOf returns the socket that conn writes to as it is; nil where there is
// more between, such as TLS, or another kind of connection.
func socketOf(conn net.Conn) *net.TCPConn {
	for {
		switch c := conn.(type) {
		case *net.TCPConn:
			return c
		case *peekedConn:
			conn = c.Conn
		case *countedConn:
			conn = c.Conn
		default:
			return nil
		}
	}
}

// innermost returns the connection under layers such as TLS.
func innermost(conn net.Conn) net.Conn {
	for {
		layer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return conn
		}
		conn = layer.NetConn()
	}
}
