package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Pipe returns the two ends of a session in memory, without a connection, a
// multiplexer or a goroutine: what is written at one end is there at the other
// at once. It keeps every promise of [Session], back-pressure by
// Options.StreamWindow and the limit of streams included, blocks only in ways
// that testing/synctest can see, and so is what tests of time are written
// with. The timeouts of Options mean nothing to it. Options out of bounds
// panic: they are the test's own mistake.
func Pipe(a, b Options) (Session, Session) {
	a, errA := a.withDefaults()
	b, errB := b.withDefaults()
	if err := errors.Join(errA, errB); err != nil {
		panic(err)
	}
	p := &pipe{limit: min(a.MaxStreams, b.MaxStreams)}
	x, y := newPipeEnd(p, a, b.Hello, "pipe-a"), newPipeEnd(p, b, a.Hello, "pipe-b")
	x.peer, y.peer = y, x
	return x, y
}

// pipe is what the two ends of a Pipe share. Lock order: pipe.mu, then the
// locks of rosters, backlogs and flows, of which nobody holds two.
type pipe struct {
	mu    sync.Mutex
	live  int // guarded by mu; streams that not both ends have closed
	limit int
}

// pipeEnd is one end of a Pipe.
type pipeEnd struct {
	*ending
	pipe        *pipe
	peer        *pipeEnd
	opts        Options
	hello       Hello // the peer's
	addr        pipeAddr
	established time.Time
	leaving     *signal // this end said GoAway
	peerLeaving *signal // the peer did
	accepted    *backlog[*pipeStream]
	streams     roster[*pipeStream, *pipeStream]
	lane        *pipeLane
	sent        atomic.Uint64
	received    atomic.Uint64
	writes      atomic.Uint64
	last        atomic.Int64 // when the last byte arrived, Unix nanoseconds
}

var _ Session = (*pipeEnd)(nil)

func newPipeEnd(p *pipe, opts Options, peer Hello, addr pipeAddr) *pipeEnd {
	e := &pipeEnd{
		ending: newEnding(), pipe: p, opts: opts, hello: peer.clone(), addr: addr, established: time.Now(),
		leaving: newSignal(), peerLeaving: newSignal(), accepted: newBacklog[*pipeStream](),
	}
	e.lane = newPipeLane(e)
	return e
}

// Open implements Session.
func (e *pipeEnd) Open(ctx context.Context) (Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	switch {
	case e.Err() != nil:
		return nil, e.Err()
	case e.leaving.fired() || e.peerLeaving.fired():
		return nil, ErrGoAway
	case e.pipe.live >= e.pipe.limit:
		return nil, ErrTooManyStreams
	}
	there, back := newFlow(e.peer.opts.StreamWindow), newFlow(e.opts.StreamWindow)
	mine := &pipeStream{end: e, in: back, out: there}
	theirs := &pipeStream{end: e.peer, in: there, out: back}
	mine.ends = new(atomic.Int32)
	theirs.ends = mine.ends
	e.streams.add(mine, mine)
	e.peer.streams.add(theirs, theirs)
	e.pipe.live++
	e.peer.accepted.push(theirs)
	return mine, nil
}

// Accept implements Session.
func (e *pipeEnd) Accept(ctx context.Context) (Stream, error) {
	s, err := e.accepted.pop(ctx, e.ending)
	if err != nil {
		return nil, err // a nil *pipeStream must not become a Stream
	}
	return s, nil
}

// Peer implements Session.
func (e *pipeEnd) Peer() Hello { return e.hello.clone() }

// LocalAddr implements Session.
func (e *pipeEnd) LocalAddr() net.Addr { return e.addr }

// RemoteAddr implements Session.
func (e *pipeEnd) RemoteAddr() net.Addr { return e.peer.addr }

// Established implements Session.
func (e *pipeEnd) Established() time.Time { return e.established }

// GoAway implements Session.
func (e *pipeEnd) GoAway() error {
	e.pipe.mu.Lock()
	defer e.pipe.mu.Unlock()
	if err := e.Err(); err != nil {
		return err
	}
	e.leaving.fire()
	e.peer.peerLeaving.fire()
	return nil
}

// PeerGoingAway implements Session.
func (e *pipeEnd) PeerGoingAway() <-chan struct{} { return e.peerLeaving.ch }

// Shutdown implements Session.
func (e *pipeEnd) Shutdown(ctx context.Context) error {
	if err := e.GoAway(); err != nil {
		return nil // it has ended already, and nothing is left to cut off
	}
	err := e.streams.wait(ctx, e.ending)
	e.Close()
	return err
}

// Close implements Session.
func (e *pipeEnd) Close() error {
	e.pipe.mu.Lock()
	e.set(ErrClosed)
	e.peer.set(ErrPeerClosed)
	cut := append(e.streams.seal(), e.peer.streams.seal()...)
	e.pipe.mu.Unlock()
	for _, s := range cut {
		s.in.cutOff()
		s.out.cutOff()
	}
	return nil
}

// Stats implements Session.
func (e *pipeEnd) Stats() Stats {
	open, total := e.streams.counts()
	s := Stats{
		BytesSent: e.sent.Load(), BytesReceived: e.received.Load(), Writes: e.writes.Load(),
		StreamsOpened: total, StreamsOpen: open,
	}
	if at := e.last.Load(); at != 0 {
		s.LastReceived = time.Unix(0, at)
	}
	return s
}

func (e *pipeEnd) sealed() {}

// count enters n bytes that went from e to its peer.
func (e *pipeEnd) count(n int) {
	if n == 0 {
		return
	}
	e.sent.Add(uint64(n))
	e.writes.Add(1)
	e.peer.received.Add(uint64(n))
	e.peer.last.Store(time.Now().UnixNano())
}

// pipeStream is one end of a stream of a Pipe.
type pipeStream struct {
	end     *pipeEnd
	in, out *flow
	closed  atomic.Bool
	ends    *atomic.Int32 // how many of the two ends are closed; shared by them
}

var _ Stream = (*pipeStream)(nil)

// Read implements Stream.
func (s *pipeStream) Read(p []byte) (int, error) {
	n, err := s.in.read(p)
	if err == errCut {
		err = s.end.Err()
	}
	return n, err
}

// Write implements Stream.
func (s *pipeStream) Write(p []byte) (int, error) {
	n, err := s.out.write(p, s.end.count)
	if err == errCut {
		err = s.end.Err()
	}
	return n, err
}

// CloseWrite implements Stream.
func (s *pipeStream) CloseWrite() error {
	s.out.closeWrite()
	return nil
}

// Close implements Stream.
func (s *pipeStream) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.out.closeWrite()
	s.in.closeRead()
	s.out.setWriteDeadline(time.Time{})
	s.in.setReadDeadline(time.Time{})
	if s.ends.Add(1) == 2 {
		s.end.pipe.mu.Lock()
		s.end.pipe.live--
		s.end.pipe.mu.Unlock()
	}
	s.end.streams.remove(s)
	return nil
}

// SetDeadline implements Stream.
func (s *pipeStream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline implements Stream.
func (s *pipeStream) SetReadDeadline(t time.Time) error {
	if s.closed.Load() {
		return net.ErrClosed
	}
	s.in.setReadDeadline(t)
	return nil
}

// SetWriteDeadline implements Stream.
func (s *pipeStream) SetWriteDeadline(t time.Time) error {
	if s.closed.Load() {
		return net.ErrClosed
	}
	s.out.setWriteDeadline(t)
	return nil
}

// pipeAddr is the address of one end of a Pipe.
type pipeAddr string

// Network implements net.Addr.
func (pipeAddr) Network() string { return "pipe" }

// String implements net.Addr.
func (a pipeAddr) String() string { return string(a) }
