package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one end of a connection.
type conn struct {
	net           *Network
	in, out       *half
	local, remote Addr
	once          sync.Once
}

var _ net.Conn = (*conn)(nil)

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	if err != nil && err != io.EOF {
		err = &net.OpError{Op: "read", Net: "mem", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	if err != nil {
		err = &net.OpError{Op: "write", Net: "mem", Source: c.local, Addr: c.remote, Err: err}
	}
	return n, err
}

// CloseWrite lets the other end read to the end; reading here goes on.
func (c *conn) CloseWrite() error {
	c.out.finish()
	return nil
}

// Close implements net.Conn: what was written still arrives, what arrives is
// dropped.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = nil
		c.out.closeWrite()
		c.in.closeRead()
		c.net.forget(c)
	})
	return err
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(&c.in.readTill, t) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(&c.out.writeTill, t) }

// outward is the route of what c sends.
func (c *conn) outward() route { return route{c.local.host(), c.remote.host()} }

// half is one direction of a connection: packets on their way and in the
// receiver's buffer.
type half struct {
	limit   int
	latency time.Duration

	mu        sync.Mutex
	changed   sync.Cond // on mu
	packets   []packet  // guarded by mu, oldest first
	size      int       // guarded by mu; bytes in packets
	held      bool      // guarded by mu; nothing is delivered
	finished  time.Time // guarded by mu; when the end arrives, zero while open
	wclosed   bool      // guarded by mu; the writing end is closed
	rclosed   bool      // guarded by mu; the reading end is closed
	broken    bool      // guarded by mu; reset
	readTill  deadline  // guarded by mu
	writeTill deadline  // guarded by mu
	arrival   deadline  // guarded by mu; wakes the reader for the next packet
}

// packet is a piece of what was written, and when it arrives.
type packet struct {
	at   time.Time
	data []byte
}

// deadline wakes a half when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newHalf(opts Options, held bool) *half {
	h := &half{limit: opts.Buffer, latency: opts.Latency, held: held}
	h.changed.L = &h.mu
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.rclosed:
			return 0, net.ErrClosed
		case h.broken:
			return 0, syscall.ECONNRESET
		case h.readTill.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		if !h.held {
			if n := h.takeLocked(p); n > 0 {
				h.changed.Broadcast()
				return n, nil
			}
			if len(h.packets) == 0 && !h.finished.IsZero() && !time.Now().Before(h.finished) {
				return 0, io.EOF
			}
		}
		h.changed.Wait()
	}
}

// takeLocked moves what has arrived to p, and sets the alarm for the next
// packet when there is nothing.
func (h *half) takeLocked(p []byte) (n int) {
	now := time.Now()
	for n < len(p) && len(h.packets) > 0 && !now.Before(h.packets[0].at) {
		head := &h.packets[0]
		m := copy(p[n:], head.data)
		n += m
		if head.data = head.data[m:]; len(head.data) == 0 {
			h.packets = h.packets[1:]
		}
	}
	h.size -= n
	if n == 0 {
		switch {
		case len(h.packets) > 0:
			h.arrival.set(h.packets[0].at, h.wake)
		case now.Before(h.finished):
			h.arrival.set(h.finished, h.wake)
		}
	}
	return n
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	written := 0
	for {
		switch {
		case h.wclosed || !h.finished.IsZero():
			return written, net.ErrClosed
		case h.broken:
			return written, syscall.ECONNRESET
		case h.rclosed && !h.held:
			return written, syscall.EPIPE
		case h.writeTill.passed():
			return written, os.ErrDeadlineExceeded
		case len(p) == 0:
			return written, nil
		}
		if n := min(len(p), h.limit-h.size); n > 0 {
			h.packets = append(h.packets, packet{time.Now().Add(h.latency), append([]byte(nil), p[:n]...)})
			h.size += n
			written += n
			p = p[n:]
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
}

func (h *half) finish() {
	h.change(func() {
		if h.finished.IsZero() {
			h.finished = time.Now().Add(h.latency)
		}
	})
}

func (h *half) closeWrite() {
	h.finish()
	h.change(func() { h.wclosed = true; h.writeTill.set(time.Time{}, nil) })
}

func (h *half) closeRead() {
	h.change(func() {
		h.rclosed, h.packets, h.size = true, nil, 0
		h.readTill.set(time.Time{}, nil)
		h.arrival.set(time.Time{}, nil)
	})
}

func (h *half) reset() {
	h.change(func() {
		h.broken = true
		for _, d := range []*deadline{&h.readTill, &h.writeTill, &h.arrival} {
			d.set(time.Time{}, nil)
		}
	})
}

func (h *half) hold(held bool) { h.change(func() { h.held = held }) }

func (h *half) wake() { h.change(func() {}) }

func (h *half) setDeadline(d *deadline, t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d == &h.readTill && h.rclosed || d == &h.writeTill && h.wclosed {
		return net.ErrClosed
	}
	d.set(t, h.wake)
	h.changed.Broadcast()
	return nil
}

func (h *half) change(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
	h.changed.Broadcast()
}

// set makes t the deadline and has wake called when it passes; the zero time
// means none.
func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), wake)
	}
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }
