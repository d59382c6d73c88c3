package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// MuxOptions tune a [Mux]. The zero MuxOptions serves plain connections.
type MuxOptions struct {
	// TLS terminates TLS, and what is inside is told apart in its turn; nil
	// closes connections that begin with TLS.
	TLS *tls.Config
	// PrefaceTimeout is how long a connection may take to show what it speaks,
	// a TLS handshake included, and to be accepted then; default 5 s.
	PrefaceTimeout time.Duration
	// MaxPending bounds the connections that have not yet shown what they speak
	// or that nobody has accepted; default 1024. At the bound the oldest is
	// closed, since a peer that means well is quick.
	MaxPending int
	// MaxConns bounds the connections that are open, whatever they speak;
	// default 16384. At the bound new ones are closed.
	MaxConns int
	// Logger gets why connections were closed, as warnings, at most one a second,
	// and at Debug level what came for a listener that had been closed, as some
	// does whenever a server stops; nil discards it.
	Logger *slog.Logger
}

// Mux tells the protocols on one listening port apart by their first bytes and
// gives each connection, with those bytes still to be read, to the listener of
// its protocol. A protocol whose listener nobody has asked for is unknown, and
// a connection that speaks none of them is closed.
//
// Ask for listeners before Serve. Closing a listener that a Mux gave out closes
// what still comes for it; closing the Mux closes them all. Connections that
// were accepted belong to who accepted them.
type Mux struct {
	ln   net.Listener
	opts MuxOptions
	log  limiter

	mu        sync.Mutex
	listeners map[protocol]*muxListener // guarded by mu
	pending   []*pendingConn            // guarded by mu, oldest first
	open      int                       // guarded by mu; connections not closed
	closed    bool                      // guarded by mu

	tasks sync.WaitGroup // connections being told apart
	done  chan struct{}  // closed by Close
}

// NewMux returns a Mux over ln, which it owns. Nothing is accepted before
// [Mux.Serve].
func NewMux(ln net.Listener, opts MuxOptions) *Mux {
	setDuration(&opts.PrefaceTimeout, 5*time.Second)
	if opts.MaxPending <= 0 {
		opts.MaxPending = 1024
	}
	if opts.MaxConns <= 0 {
		opts.MaxConns = 16384
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Mux{
		ln: ln, opts: opts, log: limiter{log: opts.Logger, every: time.Second},
		listeners: make(map[protocol]*muxListener), done: make(chan struct{}),
	}
}

// Mesh returns the listener of connections that begin with Farcall's preface,
// to be given to [Server].
func (m *Mux) Mesh() net.Listener { return m.listen(protocolMesh) }

// HTTP returns the listener of connections that begin with an HTTP method.
func (m *Mux) HTTP() net.Listener { return m.listen(protocolHTTP) }

// Pyro returns the listener of connections that begin with "PYRO".
func (m *Mux) Pyro() net.Listener { return m.listen(protocolPyro) }

func (m *Mux) listen(p protocol) net.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.listeners[p]; l != nil && !l.closed.fired() {
		return l
	}
	l := &muxListener{mux: m, protocol: p, conns: make(chan net.Conn), closed: newSignal()}
	if m.closed {
		l.closed.fire()
	} else {
		m.listeners[p] = l
	}
	return l
}

// Addr is the address of the port.
func (m *Mux) Addr() net.Addr { return m.ln.Addr() }

// Serve accepts connections until Close, and then returns nil. It returns an
// error when the port fails for good.
func (m *Mux) Serve() error {
	var pause time.Duration
	for {
		conn, err := m.ln.Accept()
		switch {
		case err == nil:
			pause = 0
			m.admit(conn)
		case m.isClosed():
			return nil
		case isTemporary(err): // such as too many open files; what is open goes on
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			m.log.warn("accept failed", "error", err, "pause", pause)
			m.sleep(pause)
		default:
			return fmt.Errorf("accept on %s: %w", m.ln.Addr(), err)
		}
	}
}

// Close closes the port, every listener, and the connections that nobody has
// accepted. It waits for Mux's goroutines, except Serve, and may be called
// twice.
func (m *Mux) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		m.tasks.Wait()
		return nil
	}
	m.closed = true
	listeners, pending := m.listeners, m.pending
	m.listeners, m.pending = nil, nil
	m.mu.Unlock()
	close(m.done)
	err := m.ln.Close()
	for _, l := range listeners {
		l.closed.fire()
	}
	for _, p := range pending {
		p.drop(net.ErrClosed)
	}
	m.tasks.Wait()
	m.log.stop()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

func (m *Mux) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

func (m *Mux) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-m.done:
	}
}

// pendingConn is a connection that is being told apart.
type pendingConn struct {
	conn   *countedConn
	cancel context.CancelCauseFunc
}

// drop ends the telling apart; sort closes the connection and says why.
func (p *pendingConn) drop(why error) { p.cancel(why) }

// admit starts to tell conn apart, within the limits.
func (m *Mux) admit(conn net.Conn) {
	m.mu.Lock()
	if m.closed || m.open >= m.opts.MaxConns {
		closed := m.closed
		m.mu.Unlock()
		conn.Close()
		if !closed {
			m.log.warn("connection closed: too many are open", "peer", conn.RemoteAddr().String(), "limit", m.opts.MaxConns)
		}
		return
	}
	m.open++
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &pendingConn{&countedConn{Conn: conn, mux: m}, cancel}
	m.pending = append(m.pending, p)
	var oldest *pendingConn
	if len(m.pending) > m.opts.MaxPending {
		oldest = m.pending[0]
		m.pending = m.pending[1:]
	}
	m.tasks.Go(func() { m.sort(ctx, p) })
	m.mu.Unlock()
	if oldest != nil {
		oldest.drop(fmt.Errorf("too many connections have not shown what they speak (limit %d)", m.opts.MaxPending))
	}
}

// sort tells p apart and hands it on, or closes it and says why.
func (m *Mux) sort(ctx context.Context, p *pendingConn) {
	defer p.cancel(nil)
	defer m.forget(p)
	ctx, cancel := context.WithTimeoutCause(ctx, m.opts.PrefaceTimeout,
		fmt.Errorf("nothing to tell its protocol by within %v", m.opts.PrefaceTimeout))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { p.conn.SetDeadline(past) })
	defer stop()

	closed := m.log.warn
	conn, proto, err := m.tell(p.conn)
	l := m.listener(proto)
	if err == nil && l == nil {
		err = fmt.Errorf("nobody serves %v here", proto)
	}
	if err == nil && stop() {
		conn.SetDeadline(time.Time{})
		select {
		case l.conns <- conn:
			return
		case <-ctx.Done():
			err = fmt.Errorf("nobody accepted it as %v: %w", proto, context.Cause(ctx))
		case <-l.closed.ch:
			err = fmt.Errorf("nobody serves %v here any more", proto)
			closed = m.opts.Logger.Debug // the peer could not know
		}
	} else if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	p.conn.Close()
	if !m.isClosed() {
		closed("connection closed", "peer", p.conn.RemoteAddr().String(), "error", err)
	}
}

// tell reads as much of conn as it takes to know what it speaks, inside TLS
// too. The connection it returns begins with what was read.
func (m *Mux) tell(conn net.Conn) (net.Conn, protocol, error) {
	conn, proto, err := peek(conn)
	if err != nil || proto != protocolTLS {
		return conn, proto, err
	}
	if m.opts.TLS == nil {
		return conn, proto, errors.New("it speaks TLS, which is not set up here")
	}
	conn, proto, err = peek(tls.Server(conn, m.opts.TLS))
	switch {
	case err != nil:
		err = fmt.Errorf("in TLS: %w", err)
	case proto == protocolTLS:
		err = errors.New("it speaks TLS in TLS")
	}
	return conn, proto, err
}

// listener returns the listener of proto, nil when there is none.
func (m *Mux) listener(proto protocol) *muxListener {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.listeners[proto]
}

// forget takes p out of the pending.
func (m *Mux) forget(p *pendingConn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, q := range m.pending {
		if q == p {
			m.pending = append(m.pending[:i], m.pending[i+1:]...)
			return
		}
	}
}

// peek reads until it knows what conn speaks, and returns a connection from
// which all of it can be read.
func peek(conn net.Conn) (net.Conn, protocol, error) {
	head := make([]byte, 0, maxHead)
	for {
		n, err := conn.Read(head[len(head):maxHead])
		head = head[:len(head)+n]
		proto, decided := classify(head)
		switch {
		case decided && proto == protocolUnknown:
			return conn, proto, fmt.Errorf("it began with %q, which is no protocol spoken here", head)
		case decided:
			return &peekedConn{Conn: conn, head: head}, proto, nil
		case err != nil:
			return conn, proto, fmt.Errorf("it began with %q and then: %w", head, err)
		}
	}
}

// muxListener is the net.Listener of one protocol of a Mux.
type muxListener struct {
	mux      *Mux
	protocol protocol
	conns    chan net.Conn
	closed   *signal
}

var _ net.Listener = (*muxListener)(nil)

// Accept implements net.Listener.
func (l *muxListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed.ch:
	default:
		select {
		case c := <-l.conns:
			return c, nil
		case <-l.closed.ch:
		}
	}
	return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
}

// Close implements net.Listener. The port stays open for other protocols.
func (l *muxListener) Close() error {
	l.closed.fire()
	return nil
}

// Addr implements net.Listener: it is the port's.
func (l *muxListener) Addr() net.Addr { return l.mux.Addr() }

// peekedConn is a connection some of whose bytes have been read already.
type peekedConn struct {
	net.Conn
	head []byte // read by one reader at a time, as Conn is
}

// Read implements net.Conn.
func (c *peekedConn) Read(p []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.head)
	c.head = c.head[n:]
	return n, nil
}

// NetConn returns the connection underneath, as [tls.Conn.NetConn] does, for
// those who look for a [*tls.Conn] or close at once.
func (c *peekedConn) NetConn() net.Conn { return c.Conn }

// countedConn tells its Mux when it is closed.
type countedConn struct {
	net.Conn
	mux    *Mux
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.mux.mu.Lock()
		c.mux.open--
		c.mux.mu.Unlock()
	}
	return c.Conn.Close()
}

// isTemporary reports whether accepting may work again after a while.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}
