package rmi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"farcall.dev/transport"
)

// The defaults of [ServerOptions].
const (
	DefaultMaxSessions   = 16384
	DefaultMaxHandshakes = 256
)

// ServerOptions tune a [Server]. The zero value is good.
type ServerOptions struct {
	// Transport tunes the sessions; its Hello is what this node says of itself.
	Transport transport.Options
	// Conn tunes the calls of each session.
	Conn ConnOptions
	// MaxSessions bounds the sessions that are open. A connection beyond it is
	// closed at once, before a handshake, which its client sees as a failed
	// dial; it is logged no more than once a second. Default 16384.
	MaxSessions int
	// MaxHandshakes bounds the connections that have not said hello yet.
	// Accepting pauses at the bound; the handshake timeout of Transport ends
	// the pause. Default 256.
	MaxHandshakes int
	// Logger gets what no caller can see; nil discards it. It is also the
	// logger of Conn and Transport, where they have none.
	Logger *slog.Logger
}

// Server serves the calls of any number of sessions with one Handler. Its
// methods may be called from any number of goroutines.
type Server struct {
	handler Handler
	opts    ServerOptions
	log     *slog.Logger

	ctx    context.Context // ends when the server no longer accepts
	cancel context.CancelCauseFunc
	loops  sync.WaitGroup // Serve, handshakes, and each Conn until it has ended
	shakes chan struct{}  // one for each handshake under way

	mu        sync.Mutex
	conns     map[*Conn]struct{}        // guarded by mu
	listeners map[net.Listener]struct{} // guarded by mu
	sessions  int                       // guarded by mu; conns and handshakes
	closed    bool                      // guarded by mu
	lastFull  time.Time                 // guarded by mu; when a full server was last logged
}

// NewServer returns a server that gives the calls it gets to h.
func NewServer(h Handler, opts ServerOptions) *Server {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Conn.Logger == nil {
		opts.Conn.Logger = opts.Logger
	}
	if opts.Transport.Logger == nil {
		opts.Transport.Logger = opts.Logger
	}
	setDefault(&opts.MaxSessions, DefaultMaxSessions)
	setDefault(&opts.MaxHandshakes, DefaultMaxHandshakes)
	opts.Conn.buffers = new(buffers)
	s := &Server{
		handler: h, opts: opts, log: opts.Logger,
		shakes: make(chan struct{}, opts.MaxHandshakes),
		conns:  make(map[*Conn]struct{}), listeners: make(map[net.Listener]struct{}),
	}
	s.opts.Conn.ended = s.ended
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// Serve accepts connections from ln, such as transport.Mux.Mesh, until ln fails
// or the server is closed or shut down, and closes ln. It returns
// [transport.ErrClosed] after Close and Shutdown, and ln's error otherwise. It
// may run for several listeners at a time.
func (s *Server) Serve(ln net.Listener) error {
	if !s.begin(func() { s.listeners[ln] = struct{}{} }) {
		ln.Close()
		return transport.ErrClosed
	}
	defer s.loops.Done()
	defer ln.Close()
	defer func() {
		s.mu.Lock()
		delete(s.listeners, ln)
		s.mu.Unlock()
	}()
	for {
		select {
		case s.shakes <- struct{}{}:
		case <-s.ctx.Done():
			return transport.ErrClosed
		}
		conn, err := ln.Accept()
		if err != nil {
			<-s.shakes
			if s.ctx.Err() != nil {
				return transport.ErrClosed
			}
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				continue
			}
			return fmt.Errorf("accept sessions on %s: %w", ln.Addr(), err)
		}
		s.take(conn)
	}
}

// take makes a connection a session, on a goroutine of its own, which holds one
// of shakes for as long as that takes.
func (s *Server) take(conn net.Conn) {
	if !s.reserve() {
		<-s.shakes
		conn.Close()
		return
	}
	started := s.begin(func() {
		go func() {
			defer s.loops.Done()
			session, err := transport.Server(s.ctx, conn, s.opts.Transport)
			<-s.shakes
			if err != nil {
				conn.Close()
				s.unreserve()
				s.log.Debug("handshake failed", "peer", addrOf(conn), "err", err)
				return
			}
			s.serve(session)
		}()
	})
	if !started {
		<-s.shakes
		s.unreserve()
		conn.Close()
	}
}

// ServeSession serves the calls of a session, which the server owns from now
// on, and returns the Conn; or [transport.ErrClosed] when the server accepts no
// more, or a RESOURCE_EXHAUSTED [*Error] when it is full, with the session
// closed.
func (s *Server) ServeSession(session transport.Session) (*Conn, error) {
	if s.ctx.Err() != nil {
		session.Close()
		return nil, transport.ErrClosed
	}
	if !s.reserve() {
		session.Close()
		return nil, refusal(ResourceExhausted, "serve a session: %d are open, and no more are allowed", s.opts.MaxSessions)
	}
	c := s.serve(session)
	if c == nil {
		return nil, transport.ErrClosed
	}
	return c, nil
}

// serve makes a Conn of a session that is reserved; nil when the server is
// closed.
func (s *Server) serve(session transport.Session) *Conn {
	var c *Conn
	if !s.begin(func() {
		c = NewConn(session, s.handler, s.opts.Conn)
		s.conns[c] = struct{}{}
	}) {
		s.unreserve()
		session.Close()
		return nil
	}
	s.log.Debug("session opened", "peer", c.peerName(), "addr", session.RemoteAddr())
	return c
}

// ended notes that a Conn of serve has ended.
func (s *Server) ended(c *Conn) {
	defer s.loops.Done()
	s.mu.Lock()
	delete(s.conns, c)
	s.sessions--
	s.mu.Unlock()
	s.log.Debug("session ended", "peer", c.peerName(), "addr", c.session.RemoteAddr(), "err", c.Err())
}

// Conns returns the sessions that are open.
func (s *Server) Conns() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// Shutdown stops accepting, asks all peers at once to send no more calls, waits
// until the calls under way have been answered, and ends the sessions; see
// [Conn.Shutdown]. When ctx ends first, what is left is cut off and ctx's error
// returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	var all sync.WaitGroup
	errs := make(chan error, 1)
	for _, c := range s.Conns() {
		all.Go(func() {
			if err := c.Shutdown(ctx); err != nil && ctx.Err() != nil {
				select {
				case errs <- err: // one stands for all
				default:
				}
			}
		})
	}
	all.Wait()
	s.Close()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// Close stops accepting and ends every session now. It waits for what the
// server has started, except handlers, and may be called twice.
func (s *Server) Close() error {
	s.stop()
	for _, c := range s.Conns() {
		c.fail(transport.ErrClosed)
	}
	s.loops.Wait()
	return nil
}

// stop ends accepting and the handshakes under way.
func (s *Server) stop() {
	s.cancel(transport.ErrClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for ln := range s.listeners {
		ln.Close()
	}
}

// begin counts one more goroutine and runs f, with mu held, unless the server is
// closed. What begins so ends with loops.Done.
func (s *Server) begin(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.loops.Add(1)
	f()
	return true
}

// reserve takes one of MaxSessions, and logs, now and then, that there is none.
func (s *Server) reserve() bool {
	s.mu.Lock()
	if s.sessions < s.opts.MaxSessions {
		s.sessions++
		s.mu.Unlock()
		return true
	}
	now := time.Now()
	tell := now.Sub(s.lastFull) >= time.Second
	if tell {
		s.lastFull = now
	}
	s.mu.Unlock()
	if tell {
		s.log.Warn("connections are turned away: too many sessions are open", "limit", s.opts.MaxSessions)
	}
	return false
}

// unreserve gives back what reserve took.
func (s *Server) unreserve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions--
}

// addrOf returns who conn is to.
func addrOf(conn net.Conn) string {
	if addr := conn.RemoteAddr(); addr != nil {
		return addr.String()
	}
	return "unknown"
}
