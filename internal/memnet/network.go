package memnet

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Options tune a Network.
type Options struct {
	// Buffer is how many bytes a connection holds in each direction; default
	// 64 KiB.
	Buffer int
	// Latency is how long each byte takes from one host to another; default 0.
	Latency time.Duration
}

// Network is a set of hosts that can reach each other until a test says
// otherwise. A host is whatever stands before the colon of an address; it needs
// no setting up. Its methods may be called from any number of goroutines.
type Network struct {
	opts Options

	mu        sync.Mutex
	healed    sync.Cond            // on mu: a fault ended, or the network closed
	listeners map[string]*listener // guarded by mu, by address
	conns     map[*conn]struct{}   // guarded by mu; both ends of each
	faults    map[route]fault      // guarded by mu
	nextPort  int                  // guarded by mu
	closed    bool                 // guarded by mu
}

// route is the way from one host to another.
type route struct{ from, to string }

// fault is what is wrong with a route.
type fault struct {
	held  bool // nothing is delivered
	deaf  bool // nor does a dial get an answer
	sever bool // dials are refused
}

// New returns a network without listeners and without faults.
func New(opts Options) *Network {
	if opts.Buffer <= 0 {
		opts.Buffer = 64 << 10
	}
	n := &Network{
		opts: opts, listeners: make(map[string]*listener), conns: make(map[*conn]struct{}),
		faults: make(map[route]fault), nextPort: 40000,
	}
	n.healed.L = &n.mu
	return n
}

// Listen returns a listener at address, "host:port". Port 0 asks for a free one.
func (n *Network) Listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", address, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == "0" {
		n.nextPort++
		address = net.JoinHostPort(host, strconv.Itoa(n.nextPort))
	}
	switch {
	case n.closed:
		return nil, opError("listen", address, net.ErrClosed)
	case n.listeners[address] != nil:
		return nil, opError("listen", address, syscall.EADDRINUSE)
	}
	l := &listener{net: n, addr: Addr(address), queue: make(chan *conn, 128), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

// Dial connects host from to the listener at address. It hangs until ctx ends
// where a packet would be lost, and is refused where nobody listens.
func (n *Network) Dial(ctx context.Context, from, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, opError("dial", address, err)
	}
	stop := context.AfterFunc(ctx, n.wake)
	defer stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		there, back := n.faults[route{from, host}], n.faults[route{host, from}]
		l := n.listeners[address]
		switch {
		case ctx.Err() != nil:
			return nil, opError("dial", address, ctx.Err())
		case n.closed:
			return nil, opError("dial", address, net.ErrClosed)
		case there.deaf || back.deaf:
			n.healed.Wait()
			continue
		case there.sever || back.sever || l == nil:
			return nil, opError("dial", address, syscall.ECONNREFUSED)
		}
		n.nextPort++
		local := Addr(net.JoinHostPort(from, strconv.Itoa(n.nextPort)))
		near, far := n.pairLocked(local, l.addr)
		select {
		case l.queue <- far:
			return near, nil
		default: // the backlog is full
			delete(n.conns, near)
			delete(n.conns, far)
			return nil, opError("dial", address, syscall.ECONNREFUSED)
		}
	}
}

// Dialer returns a function that dials from host.
func (n *Network) Dialer(host string) func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) { return n.Dial(ctx, host, address) }
}

// Cut resets every connection between hosts a and b and has dials between them
// refused until [Network.Heal].
func (n *Network) Cut(a, b string) {
	for _, c := range n.set(a, b, fault{sever: true}, fault{sever: true}) {
		c.in.reset()
		c.out.reset()
	}
}

// Partition loses every packet between hosts a and b, silently, until
// [Network.Heal]: connections stay up and carry nothing, writers block when
// buffers are full, dials hang. What was written arrives after Heal, as TCP
// sends it again.
func (n *Network) Partition(a, b string) {
	lost := fault{held: true, deaf: true}
	n.set(a, b, lost, lost)
}

// Stall keeps what host from sends to host to undelivered until [Network.Heal],
// as when the process there has stopped reading. The other direction goes on,
// and new connections are made.
func (n *Network) Stall(from, to string) { n.set(from, to, fault{held: true}, fault{}) }

// Heal ends every fault between hosts a and b.
func (n *Network) Heal(a, b string) {
	n.set(a, b, fault{}, fault{})
	n.wake()
}

// Close resets every connection and closes every listener. It may be called
// twice.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	listeners := n.listeners
	n.listeners = map[string]*listener{}
	conns := n.conns
	n.conns = map[*conn]struct{}{}
	n.mu.Unlock()
	n.wake()
	for _, l := range listeners {
		l.Close()
	}
	for c := range conns {
		c.in.reset()
	}
	return nil
}

// set gives the two routes between a and b their faults and returns the
// connections' ends that are on them.
func (n *Network) set(a, b string, there, back fault) []*conn {
	n.mu.Lock()
	n.faults[route{a, b}], n.faults[route{b, a}] = there, back
	var on []*conn
	for c := range n.conns {
		if r := c.outward(); r == (route{a, b}) || r == (route{b, a}) {
			on = append(on, c)
		}
	}
	n.mu.Unlock()
	for _, c := range on {
		c.out.hold(n.fault(c.outward()).held)
	}
	return on
}

func (n *Network) fault(r route) fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.faults[r]
}

// pairLocked makes a connection and returns its two ends.
func (n *Network) pairLocked(local, remote Addr) (near, far *conn) {
	there := newHalf(n.opts, n.faults[route{local.host(), remote.host()}].held)
	back := newHalf(n.opts, n.faults[route{remote.host(), local.host()}].held)
	near = &conn{net: n, in: back, out: there, local: local, remote: remote}
	far = &conn{net: n, in: there, out: back, local: remote, remote: local}
	n.conns[near], n.conns[far] = struct{}{}, struct{}{}
	return near, far
}

func (n *Network) forget(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

func (n *Network) wake() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.healed.Broadcast()
}

// listener is a net.Listener of a Network.
type listener struct {
	net    *Network
	addr   Addr
	queue  chan *conn
	once   sync.Once
	closed chan struct{}
}

var _ net.Listener = (*listener)(nil)

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.closed:
		return nil, opError("accept", string(l.addr), net.ErrClosed)
	}
}

// Close implements net.Listener. Connections that nobody accepted are reset.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, string(l.addr))
		l.net.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.queue:
				c.in.reset()
				c.out.reset()
				l.net.forget(c)
			default:
				return
			}
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.addr }

// Addr is an address of a Network, "host:port".
type Addr string

// Network implements net.Addr; it is "mem".
func (Addr) Network() string { return "mem" }

// String implements net.Addr.
func (a Addr) String() string { return string(a) }

func (a Addr) host() string {
	host, _, _ := net.SplitHostPort(string(a))
	return host
}

// opError is the error of op on address, in the shape that package net gives.
func opError(op, address string, err error) error {
	return &net.OpError{Op: op, Net: "mem", Addr: Addr(address), Err: err}
}
