package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// Client makes conn a session, as the side that dialled: it speaks first. The
// session owns conn, which is closed when Client fails. Errors are
// [*HandshakeError]s, which are [ErrHandshake]s, or say which option is wrong.
func Client(ctx context.Context, conn net.Conn, opts Options) (Session, error) {
	return establish(ctx, conn, opts, true)
}

// Server makes conn a session, as the side that was dialled. It is as [Client]
// otherwise.
func Server(ctx context.Context, conn net.Conn, opts Options) (Session, error) {
	return establish(ctx, conn, opts, false)
}

// yamuxSession is a Session over yamux.
//
// What ends it: Close and Shutdown here; the peer's close frame; the pulse's
// verdict; the connection or yamux failing, which who reads the connection knows
// after it has read whatever came before; a peer that breaks the protocol.
// Whichever is first sets the cause, wakes every stream, and starts the one
// goroutine that takes the session down (end).
//
// Its goroutines: wire's flusher and the first reader of the connection. With the
// first stream, whoever opens it, come yamux's two and the acceptor, who also learns
// when yamux ends; they stay when the last stream is closed. One of yamux's takes
// over from the first reader when the peer's first frame of yamux begins. The pulse
// is a timer. So a session that has had no stream, as most have not, costs little.
//
// Traps of yamux, and where they are closed:
//   - Its two writes per frame, its blocking send queue and write timeouts: wire.
//   - Opening blocks when AcceptBacklog streams are not yet acknowledged, with no
//     way to cancel, and StreamOpenTimeout then kills the session: the backlog is
//     the agreed limit of streams on both sides, Open counts before it opens, the
//     acceptor acknowledges without waiting for anybody, the timeout is off.
//   - GoAway tells the peer nothing until it opens, and resets streams that cross
//     it: not used; a control frame says it, and Shutdown waits until it is
//     settled.
//   - Close drops what is queued and tells nobody: a control frame says it first,
//     and the connection is closed when the peer closes it, or after a short
//     while.
//   - Readers of a session that died get io.EOF, as if the data were complete:
//     yamuxStream.readError.
//   - Close of a stream is a half close, a local reader stays blocked, the peer's
//     writer stalls, and StreamCloseTimeout cuts off streams that are rightly half
//     closed for long: yamuxStream.Close and the stop frame; the timeout is off.
//   - Write deadlines hold only where the window is closed: yamuxStream.Write.
//   - Keep-alives queue behind data and take 40 s: off; pulse.
//   - A stream id is never reused and ids run out: rotateAt.
//   - It logs to standard error: yamuxLog.
type yamuxSession struct {
	*ending
	mux         atomic.Pointer[yamux.Session] // nil before the first stream; see multiplex
	wire        *wire
	client      bool
	opts        Options
	hello       Hello  // the peer's
	limit       int    // streams open at once, agreed
	rotateAt    uint32 // the stream id at which to ask for a replacement
	established time.Time
	log         *slog.Logger

	streams  roster[uint32, *yamuxStream]
	accepted *backlog[*yamuxStream]
	early    stops
	opening  sync.Mutex // held from the checks of Open until the SYN is sent

	leaving  *signal // this side said GoAway
	rotating *signal // the peer said GoAway, or ids run out
	refused  atomic.Bool
	settled  *signal     // the peer has heard our GoAway and opens nothing more
	parted   *signal     // the peer has said close, or is gone
	complete atomic.Bool // the peer closed when no stream was left: every EOF is true

	pulse     pulse // used by the timer's callback only
	timer     *time.Timer
	roundTrip atomic.Int64

	mu   sync.Mutex
	over bool // guarded by mu; neither yamux nor the timer may start any more

	tasks      sync.WaitGroup // the first reader and the acceptor
	terminated chan struct{}  // closed when nothing of the session is left
}

var _ Session = (*yamuxSession)(nil)

const (
	// rotateAt is the stream id at which a session asks to be replaced: half of
	// the 2^31 ids that a side has are used.
	rotateAt = 1 << 31
	// closeLinger is how long Close waits for the peer to have seen the close,
	// and shutdownLinger how long Shutdown does, which has lost nothing yet and
	// would rather keep it so.
	closeLinger    = 250 * time.Millisecond
	shutdownLinger = 2 * time.Second
)

// newYamuxSession makes a session of a connection after the hellos.
func newYamuxSession(conn net.Conn, opts Options, peer greeting, client bool) *yamuxSession {
	s := &yamuxSession{
		ending: newEnding(), wire: newWire(conn), client: client, opts: opts, hello: peer.Hello, established: time.Now(),
		limit: int(min(uint64(opts.MaxStreams), peer.maxStreams)), rotateAt: rotateAt,
		log:      opts.Logger.With("peer", conn.RemoteAddr().String(), "node", peer.Node),
		accepted: newBacklog[*yamuxStream](),
		leaving:  newSignal(), rotating: newSignal(), settled: newSignal(), parted: newSignal(),
		pulse:      pulse{interval: opts.KeepAliveInterval, silence: opts.PeerTimeout, stall: opts.WriteTimeout},
		terminated: make(chan struct{}),
	}
	s.wire.cause, s.wire.hear, s.wire.in.first = s.Err, s.hear, make(chan struct{})
	// The first reader may end the session before the timer runs, and what takes
	// it down stops the timer.
	s.timer = time.AfterFunc(time.Hour, s.beat)
	s.tasks.Go(s.listen)
	s.mu.Lock()
	if !s.over {
		s.timer.Reset(0)
	}
	s.mu.Unlock()
	return s
}

// listen is the first reader of the connection, until yamux has something to read:
// the peer's first stream, or its answer to this side's.
func (s *yamuxSession) listen() {
	err := s.wire.listen()
	if err == nil {
		_, err = s.multiplex()
	}
	if err != nil {
		s.fail(err)
	}
}

// multiplex returns yamux, started if need be.
func (s *yamuxSession) multiplex() (*yamux.Session, error) {
	if mux := s.mux.Load(); mux != nil {
		return mux, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if mux := s.mux.Load(); mux != nil {
		return mux, nil
	}
	if s.over {
		return nil, yamux.ErrSessionShutdown
	}
	start := yamux.Server
	if s.client {
		start = yamux.Client
	}
	mux, err := start(s.wire, &yamux.Config{
		AcceptBacklog:          s.limit,
		KeepAliveInterval:      time.Hour, // unused, and must not be zero
		ConnectionWriteTimeout: time.Hour, // never reached: wire does not block
		MaxStreamWindowSize:    uint32(s.opts.StreamWindow),
		Logger:                 yamuxLog{s.log},
	})
	if err != nil {
		return nil, err
	}
	s.mux.Store(mux)
	s.tasks.Go(func() { s.accept(mux) }) // they are waited for once over is set
	return mux, nil
}

// Open implements Session. It does not block: see wire.
func (s *yamuxSession) Open(ctx context.Context) (Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	switch {
	case s.Err() != nil:
		return nil, s.Err()
	case s.leaving.fired() || s.refused.Load():
		return nil, ErrGoAway
	}
	mux, err := s.multiplex()
	if err != nil {
		return nil, s.lost(err)
	}
	if mux.NumStreams() >= s.limit {
		return nil, ErrTooManyStreams
	}
	y, err := mux.OpenStream()
	if errors.Is(err, yamux.ErrStreamsExhausted) {
		return nil, ErrGoAway
	}
	if err != nil {
		return nil, s.lost(err)
	}
	if y.StreamID() >= s.rotateAt {
		s.rotating.fire()
	}
	m := newYamuxStream(s, y)
	if !s.streams.add(y.StreamID(), m) {
		return nil, s.lost(nil)
	}
	if s.early.take(y.StreamID()) {
		m.refuse()
	}
	return m, nil
}

// Accept implements Session.
func (s *yamuxSession) Accept(ctx context.Context) (Stream, error) {
	m, err := s.accepted.pop(ctx, s.ending)
	if err != nil {
		return nil, err // a nil *yamuxStream must not become a Stream
	}
	return m, nil
}

// Lane implements Session.
func (s *yamuxSession) Lane() Lane { return s.wire }

// Peer implements Session.
func (s *yamuxSession) Peer() Hello { return s.hello.clone() }

// LocalAddr implements Session.
func (s *yamuxSession) LocalAddr() net.Addr { return s.wire.LocalAddr() }

// RemoteAddr implements Session.
func (s *yamuxSession) RemoteAddr() net.Addr { return s.wire.RemoteAddr() }

// Established implements Session.
func (s *yamuxSession) Established() time.Time { return s.established }

// GoAway implements Session.
func (s *yamuxSession) GoAway() error {
	if err := s.Err(); err != nil {
		return err
	}
	s.leaving.fire()
	s.say(controlFrame{typ: frameGoAway})
	return nil
}

// PeerGoingAway implements Session.
func (s *yamuxSession) PeerGoingAway() <-chan struct{} { return s.rotating.ch }

// Shutdown implements Session. Before it counts the streams it waits until the
// peer has settled, so that none is on its way.
func (s *yamuxSession) Shutdown(ctx context.Context) error {
	if err := s.GoAway(); err != nil {
		<-s.terminated
		return nil
	}
	var err error
	select {
	case <-s.settled.ch:
		err = s.streams.wait(ctx, s.ending)
	case <-s.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.end(ErrClosed, &farewell{complete: err == nil})
	<-s.terminated
	return err
}

// Close implements Session.
func (s *yamuxSession) Close() error {
	s.end(ErrClosed, &farewell{})
	<-s.terminated
	return nil
}

// Stats implements Session.
func (s *yamuxSession) Stats() Stats {
	open, total := s.streams.counts()
	stats := Stats{
		BytesSent: s.wire.sent.Load(), BytesReceived: s.wire.received.Load(), Writes: s.wire.writes.Load(), WriteSizes: s.wire.sizes.load(),
		StreamsOpened: total, StreamsOpen: open, RoundTrip: time.Duration(s.roundTrip.Load()),
	}
	if at := s.wire.lastReceived.Load(); at != 0 {
		stats.LastReceived = s.wire.base.Add(time.Duration(at))
	}
	return stats
}

func (s *yamuxSession) sealed() {}

// farewell is how to take leave of a peer that is still there.
type farewell struct {
	complete bool // no stream is left
}

// end makes cause the session's, wakes whoever waits in it, and has it taken
// down. Only the first call counts.
func (s *yamuxSession) end(cause error, bye *farewell) {
	if !s.set(cause) {
		return
	}
	for _, m := range s.streams.seal() {
		m.wake() // before yamux ends, whose readers would spin until the connection is closed
	}
	go s.terminate(bye)
}

// terminate takes leave, closes, and waits for every goroutine.
func (s *yamuxSession) terminate(bye *farewell) {
	defer close(s.terminated)
	if bye != nil {
		linger := time.NewTimer(closeLinger)
		if bye.complete {
			linger.Reset(shutdownLinger)
		}
		s.say(controlFrame{typ: frameClose, done: bye.complete})
		select {
		case <-s.parted.ch:
		case <-linger.C:
		}
		linger.Stop()
	}
	s.mu.Lock()
	s.over = true
	s.timer.Stop()
	s.mu.Unlock()
	if mux := s.mux.Load(); mux != nil {
		mux.Close()
	}
	s.wire.Close()
	s.tasks.Wait()
	s.log.Debug("session ended", "cause", s.Err())
}

// lost is the answer to a call that failed with err because the session ends:
// the cause. Where yamux knows sooner than this session, it waits for the
// moment that takes.
func (s *yamuxSession) lost(err error) error {
	select {
	case <-s.done:
		return s.err
	default:
	}
	if mux := s.mux.Load(); err == nil || mux != nil && mux.IsClosed() || errors.Is(err, yamux.ErrSessionShutdown) {
		<-s.done
		return s.err
	}
	return err
}

// accept acknowledges the peer's streams as they come and never waits for the
// application.
func (s *yamuxSession) accept(mux *yamux.Session) {
	for {
		y, err := mux.AcceptStream()
		if err != nil {
			s.fail(err)
			return
		}
		if mux.NumStreams() > 2*s.limit {
			s.end(fmt.Errorf("%w: more than %d streams are open", ErrProtocol, 2*s.limit), nil)
			return
		}
		m := newYamuxStream(s, y)
		if !s.streams.add(y.StreamID(), m) {
			return
		}
		if s.early.take(y.StreamID()) {
			m.refuse()
		}
		s.accepted.push(m)
	}
}

// fail ends the session because the connection is of no use any more, err being
// what its first reader or yamux says.
func (s *yamuxSession) fail(err error) {
	s.parted.fire()
	switch lost := s.wire.broken(); {
	case lost == nil: // then yamux found fault with what came
		err = fmt.Errorf("%w: %w", ErrProtocol, err)
	case errors.Is(lost, io.EOF): // a peer that means to go says so
		err = fmt.Errorf("connection to %s: %w", s.RemoteAddr(), io.ErrUnexpectedEOF)
	default:
		err = fmt.Errorf("connection to %s: %w", s.RemoteAddr(), lost)
	}
	s.end(err, nil)
}
