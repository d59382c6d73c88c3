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
// verdict; the connection or yamux failing, which the control reader is the
// first to know for sure, because it has read whatever came before; a peer that
// breaks the protocol. Whichever is first sets the cause, wakes every stream,
// and starts the one goroutine that takes the session down (end).
//
// Its goroutines: yamux's two, wire's flusher, the acceptor, the control reader,
// and the control writer while it has something to say. The pulse is a timer.
//
// Traps of yamux, and where they are closed:
//   - Its two writes per frame, its blocking send queue and write timeouts: wire.
//   - Opening blocks when AcceptBacklog streams are not yet acknowledged, with no
//     way to cancel, and StreamOpenTimeout then kills the session: the backlog is
//     the agreed limit of streams on both sides, Open counts before it opens, the
//     acceptor acknowledges without waiting for anybody, the timeout is off.
//   - GoAway tells the peer nothing until it opens, and resets streams that cross
//     it: not used; the control stream says it, and Shutdown waits until it is
//     settled.
//   - Close drops what is queued and tells nobody: the control stream says it
//     first, and the connection is closed when the peer closes it, or after
//     a short while.
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
	mux         *yamux.Session
	wire        *wire
	control     *yamux.Stream
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

	mu       sync.Mutex
	outbox   outbox // guarded by mu
	speaking bool   // guarded by mu; the control writer runs
	muted    bool   // guarded by mu; it must not start again

	tasks      sync.WaitGroup // acceptor, control reader and writer
	acceptDone chan struct{}  // closed when the acceptor has ended
	acceptErr  error          // why; read after acceptDone
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

// newYamuxSession makes a session of a connection after the hellos. ctx bounds
// the wait for the client's control stream.
func newYamuxSession(ctx context.Context, conn net.Conn, opts Options, peer greeting, client bool) (*yamuxSession, error) {
	s := &yamuxSession{
		ending: newEnding(), wire: newWire(conn), opts: opts, hello: peer.Hello, established: time.Now(),
		limit: int(min(uint64(opts.MaxStreams), peer.maxStreams)), rotateAt: rotateAt,
		log:      opts.Logger.With("peer", conn.RemoteAddr().String(), "node", peer.Node),
		accepted: newBacklog[*yamuxStream](),
		leaving:  newSignal(), rotating: newSignal(), settled: newSignal(), parted: newSignal(),
		pulse:      pulse{interval: opts.KeepAliveInterval, silence: opts.PeerTimeout, stall: opts.WriteTimeout},
		acceptDone: make(chan struct{}), terminated: make(chan struct{}),
	}
	s.wire.cause = s.Err
	config := &yamux.Config{
		AcceptBacklog:          s.limit + 1, // and the control stream
		KeepAliveInterval:      time.Hour,   // unused, and must not be zero
		ConnectionWriteTimeout: time.Hour,   // never reached: wire does not block
		MaxStreamWindowSize:    uint32(opts.StreamWindow),
		Logger:                 yamuxLog{s.log},
	}
	start := yamux.Server
	if client {
		start = yamux.Client
		s.wire.opening = true // the control stream comes first
	}
	var err error
	if s.mux, err = start(s.wire, config); err != nil {
		s.wire.Close()
		return nil, err
	}
	if client {
		s.control, err = s.mux.OpenStream()
	} else {
		s.control, err = s.mux.AcceptStreamWithContext(ctx)
	}
	if err == nil && s.control.StreamID() != 1 {
		err = fmt.Errorf("%w: its first stream has id %d, and the control stream has 1", ErrProtocol, s.control.StreamID())
	}
	if err != nil {
		s.mux.Close()
		return nil, fmt.Errorf("open control stream: %w", err)
	}
	// Each of the two may end the session before the other has begun, and what
	// takes it down waits for both and stops the timer.
	s.timer = time.AfterFunc(time.Hour, s.beat)
	s.tasks.Add(2)
	for _, task := range [...]func(){s.accept, s.listen} {
		go func() {
			defer s.tasks.Done()
			task()
		}()
	}
	s.mu.Lock()
	if !s.muted {
		s.timer.Reset(0)
	}
	s.mu.Unlock()
	return s, nil
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
	case s.mux.NumStreams() > s.limit: // the control stream is one of them
		return nil, ErrTooManyStreams
	}
	y, err := s.mux.OpenStream()
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
	s.tell(func(o *outbox) { o.goAway = true })
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
		said := make(chan struct{})
		s.tell(func(o *outbox) { o.bye, o.complete, o.said = true, bye.complete, said })
		select {
		case <-said:
			select {
			case <-s.parted.ch:
			case <-linger.C:
			}
		case <-s.parted.ch:
		case <-linger.C:
		}
		linger.Stop()
	}
	s.mu.Lock()
	s.muted = true
	s.timer.Stop()
	s.mu.Unlock()
	s.mux.Close()
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
	if err == nil || s.mux.IsClosed() || errors.Is(err, yamux.ErrSessionShutdown) {
		<-s.done
		return s.err
	}
	return err
}

// accept acknowledges the peer's streams as they come and never waits for the
// application.
func (s *yamuxSession) accept() {
	defer close(s.acceptDone)
	for {
		y, err := s.mux.AcceptStream()
		if err != nil {
			s.acceptErr = err // for the control reader, which says why
			return
		}
		if s.mux.NumStreams() > 2*s.limit+1 {
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

// cause says why the connection is of no use any more, err being what reading
// the control stream gave.
func (s *yamuxSession) cause(err error) error {
	switch lost := s.wire.broken(); {
	case !s.mux.IsClosed():
		return fmt.Errorf("%w: control stream: %w", ErrProtocol, noEOF(err))
	case lost == nil: // then yamux found fault with what came
		<-s.acceptDone
		return fmt.Errorf("%w: %w", ErrProtocol, s.acceptErr)
	case errors.Is(lost, io.EOF): // a peer that means to go says so
		return fmt.Errorf("connection to %s: %w", s.RemoteAddr(), io.ErrUnexpectedEOF)
	default:
		return fmt.Errorf("connection to %s: %w", s.RemoteAddr(), lost)
	}
}
