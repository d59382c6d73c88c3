// Package barelane makes a transport session of a bare TCP connection: it has a
// lane, whose bytes are the connection's, and nothing else. It is the limit that
// benchmarks compare real sessions with.
package barelane

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"

	"farcall.dev/transport"
)

// New returns a session over conn, which it owns. Streams cannot be opened on it,
// and bulk data cannot be sent.
func New(conn *net.TCPConn) transport.Session {
	a, _ := transport.Pipe(transport.Options{}, transport.Options{})
	l := &lane{conn: conn, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	l.room.L = &l.mu
	go l.flush()
	return &session{Session: a, lane: l}
}

// session is a Session whose lane is a connection.
type session struct {
	transport.Session
	lane *lane
}

func (s *session) Lane() transport.Lane { return s.lane }

func (s *session) Close() error {
	s.lane.end()
	return s.Session.Close()
}

// lane merges messages: the first to be appended wakes the flusher, which yields
// once and writes until nothing is left.
type lane struct {
	conn *net.TCPConn
	wake chan struct{}
	gone chan struct{}
	once sync.Once

	mu           sync.Mutex
	room         sync.Cond
	buf, spare   []byte
	total, given uint64
	writing      bool
	ended        bool
}

func (l *lane) end() {
	l.once.Do(func() {
		l.mu.Lock()
		l.ended = true
		l.room.Broadcast()
		l.mu.Unlock()
		close(l.gone)
		l.conn.Close()
	})
}

func (l *lane) Serve(r transport.Receiver) {
	go func() {
		defer l.end()
		buf := make([]byte, 64<<10)
		for {
			n, err := l.conn.Read(buf)
			if err != nil {
				return
			}
			r.Receive(buf[:n])
		}
	}()
}

func (l *lane) Lock(_ context.Context, room int) ([]byte, error) {
	l.mu.Lock()
	for !l.ended && len(l.buf) >= room {
		l.room.Wait()
	}
	if l.ended {
		l.mu.Unlock()
		return nil, transport.ErrClosed
	}
	return l.buf, nil
}

func (l *lane) TryLock(room int) ([]byte, bool, error) {
	l.mu.Lock()
	switch {
	case l.ended:
		l.mu.Unlock()
		return nil, false, transport.ErrClosed
	case len(l.buf) >= room:
		l.mu.Unlock()
		return nil, false, nil
	}
	return l.buf, true, nil
}

func (l *lane) Unlock(b []byte, _ bool) uint64 {
	l.total += uint64(len(b) - len(l.buf))
	l.buf = b
	end := l.total
	wake := !l.writing
	l.writing = true
	l.mu.Unlock()
	if wake {
		l.wake <- struct{}{}
	}
	return end
}

func (l *lane) Given() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.given
}

func (l *lane) Bulk(context.Context, uint64, []byte) error {
	return errors.New("a bare lane carries no bulk data")
}

func (l *lane) flush() {
	for {
		select {
		case <-l.wake:
		case <-l.gone:
			return
		}
		runtime.Gosched()
		for l.write() {
		}
	}
}

// write writes what there is, and reports whether there was anything.
func (l *lane) write() bool {
	l.mu.Lock()
	if len(l.buf) == 0 || l.ended {
		l.writing = false
		l.mu.Unlock()
		return false
	}
	b := l.buf
	l.buf, l.given = l.spare[:0], l.total
	l.room.Broadcast()
	l.mu.Unlock()
	if _, err := l.conn.Write(b); err != nil {
		l.end()
		return false
	}
	l.mu.Lock()
	l.spare = b
	l.mu.Unlock()
	return true
}
