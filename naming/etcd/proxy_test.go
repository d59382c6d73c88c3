package etcd

import (
	"net"
	"sync"
	"testing"
)

// proxy forwards connections to etcd, and can do to them what a network does.
type proxy struct {
	addr, to string
	wg       sync.WaitGroup

	mu       sync.Mutex
	cond     *sync.Cond
	listener net.Listener          // guarded by mu; nil while cut
	conns    map[net.Conn]struct{} // guarded by mu
	silent   bool                  // guarded by mu; nothing passes, nothing breaks
	closed   bool                  // guarded by mu
}

// newProxy starts a proxy to addr that ends with the test.
func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), to: to, listener: l, conns: map[net.Conn]struct{}{}}
	p.cond = sync.NewCond(&p.mu)
	started := make(chan struct{})
	p.wg.Go(func() { close(started); p.accept(l) })
	<-started // so that a count of goroutines has it
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed, p.silent = true, false
		p.cond.Broadcast()
		p.mu.Unlock()
		p.cut()
		p.wg.Wait()
	})
	return p
}

// cut breaks all connections and refuses new ones, until mend.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for c := range p.conns {
		c.Close()
	}
}

// mend ends cut and swallow.
func (p *proxy) mend(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = false
	p.cond.Broadcast()
	if p.listener != nil {
		return
	}
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.listener = l
	p.wg.Go(func() { p.accept(l) })
}

// swallow lets nothing pass either way, and breaks nothing, until mend: it is
// what a firewall does, or a process that is stopped.
func (p *proxy) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

func (p *proxy) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *proxy) serve(c net.Conn) {
	defer p.forget(c)
	if !p.remember(c) {
		return
	}
	up, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer p.forget(up)
	if !p.remember(up) {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.pump(up, c) })
	wg.Go(func() { p.pump(c, up) })
	wg.Wait()
}

// pump copies what may pass, and ends both ways when it ends.
func (p *proxy) pump(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.silent {
			p.cond.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) remember(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return p.listener != nil && !p.closed
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	c.Close()
}
