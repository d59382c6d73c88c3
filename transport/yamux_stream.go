package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// yamuxStream is a Stream of a yamuxSession.
//
// yamux's own write deadline is always in the past, which makes yamux.Write
// send what the peer's window allows and return instead of waiting inside
// yamux. A writer that finds the window closed waits by sending its next byte
// alone, with the real deadline, outside the wire's budget, so that it keeps
// nobody else from writing.
type yamuxStream struct {
	s *yamuxSession
	y *yamux.Stream

	writing sync.Mutex    // held by Write: one writer at a time
	changed chan struct{} // holds a token when a waiting writer should look again

	mu        sync.Mutex
	writeTill time.Time // guarded by mu
	waiting   bool      // guarded by mu; yamux has the real write deadline
	finished  bool      // guarded by mu; CloseWrite or Close was called
	closed    bool      // guarded by mu; Close was called
	unwanted  bool      // guarded by mu; the peer reads no more
	cut       bool      // guarded by mu; the session ended
	sawEOF    bool      // guarded by mu; the peer's direction was read to its end
}

var _ Stream = (*yamuxStream)(nil)

func newYamuxStream(s *yamuxSession, y *yamux.Stream) *yamuxStream {
	y.SetWriteDeadline(past)
	return &yamuxStream{s: s, y: y, changed: make(chan struct{}, 1)}
}

// Read implements Stream.
func (m *yamuxStream) Read(p []byte) (int, error) {
	m.mu.Lock()
	closed := m.closed
	m.mu.Unlock()
	switch {
	case closed:
		return 0, net.ErrClosed
	case len(p) == 0:
		return 0, nil
	}
	n, err := m.y.Read(p)
	if n > 0 || err == nil {
		return n, nil
	}
	return 0, m.readError(err)
}

// readError says what err of yamux's Read means. io.EOF is the trap: yamux
// gives it to every reader of a session that died. It is true when the session
// lives, when it was true before, and when the peer closed after every stream
// was complete.
func (m *yamuxStream) readError(err error) error {
	ended := m.s.Err() != nil || m.y.Session().IsClosed()
	m.mu.Lock()
	closed, saw := m.closed, m.sawEOF
	if err == io.EOF && !ended {
		m.sawEOF = true
	}
	m.mu.Unlock()
	switch {
	case closed:
		return net.ErrClosed
	case err == io.EOF && (!ended || saw):
		return io.EOF
	case ended:
		cause := m.s.lost(nil)
		if err == io.EOF && m.s.complete.Load() {
			return io.EOF
		}
		return cause
	case errors.Is(err, yamux.ErrTimeout):
		return os.ErrDeadlineExceeded
	case errors.Is(err, yamux.ErrConnectionReset):
		return ErrReset
	}
	return m.s.lost(err)
}

// Write implements Stream.
func (m *yamuxStream) Write(p []byte) (int, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	written := 0
	for {
		if err := m.writable(); err != nil || written == len(p) {
			return written, err
		}
		piece := p[written:min(len(p), written+MaxPiece)]
		if err := m.admit(len(piece)); err != nil {
			return written, err
		}
		n, err := m.y.Write(piece)
		m.s.wire.release(len(piece))
		written += n
		if errors.Is(err, yamux.ErrTimeout) { // the window is closed
			n, err = m.writeOne(p[written : written+1])
			written += n
		}
		if err != nil && !errors.Is(err, yamux.ErrTimeout) {
			return written, m.writeError(err)
		}
	}
}

// writable returns why nothing can be written, or nil.
func (m *yamuxStream) writable() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.finished:
		return net.ErrClosed
	case m.s.Err() != nil:
		return m.s.Err()
	case m.unwanted:
		return ErrReset
	case !m.writeTill.IsZero() && !time.Now().Before(m.writeTill):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// admit waits for n bytes of the wire's budget.
func (m *yamuxStream) admit(n int) error {
	t := m.s.wire.reserve(n)
	if t == nil {
		return nil
	}
	for {
		if err := m.writable(); err != nil {
			m.s.wire.cancel(t)
			return err
		}
		if m.await(t) {
			return nil
		}
	}
}

// await reports true when turn t has come, and false when the deadline passed
// or the stream changed.
func (m *yamuxStream) await(t *turn) bool {
	m.mu.Lock()
	till := m.writeTill
	m.mu.Unlock()
	var passed <-chan time.Time
	if !till.IsZero() {
		timer := time.NewTimer(time.Until(till))
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-t.granted:
		return true
	case <-passed:
	case <-m.changed:
	}
	return false
}

// writeOne writes the byte p, and waits for the window to open.
func (m *yamuxStream) writeOne(p []byte) (int, error) {
	m.mu.Lock()
	if m.cut || m.unwanted || m.finished {
		m.mu.Unlock()
		return 0, nil
	}
	m.waiting = true
	m.y.SetWriteDeadline(m.writeTill)
	m.mu.Unlock()
	n, err := m.y.Write(p)
	m.mu.Lock()
	m.waiting = false
	m.y.SetWriteDeadline(past)
	m.mu.Unlock()
	return n, err
}

func (m *yamuxStream) writeError(err error) error {
	switch {
	case errors.Is(err, yamux.ErrConnectionReset):
		return ErrReset
	case errors.Is(err, yamux.ErrStreamClosed):
		if err := m.writable(); err != nil {
			return err
		}
		return m.s.lost(nil) // yamux closes streams when its session ends
	}
	return m.s.lost(err)
}

// CloseWrite implements Stream.
func (m *yamuxStream) CloseWrite() error {
	m.mu.Lock()
	m.finished = true
	m.interruptLocked()
	m.mu.Unlock()
	m.y.Close() // sends FIN; yamux's error is always nil
	return nil
}

// Close implements Stream. The peer's writer is told by a stop frame, unless
// the peer has finished writing.
func (m *yamuxStream) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed, m.finished = true, true
	stop := !m.sawEOF && !m.cut
	m.interruptLocked()
	m.y.SetReadDeadline(past) // yamux's Close leaves its readers waiting
	m.mu.Unlock()
	m.y.Close()
	if stop {
		m.s.stop(m.y.StreamID())
	}
	m.s.streams.remove(m.y.StreamID())
	return nil
}

// refuse says that the peer drops what is written from here on.
func (m *yamuxStream) refuse() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unwanted = true
	m.interruptLocked()
}

// wake lets everybody who waits find that the session ended.
func (m *yamuxStream) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cut = true
	m.interruptLocked()
	m.y.SetReadDeadline(past)
}

// interruptLocked has a waiting writer look again.
func (m *yamuxStream) interruptLocked() {
	if m.waiting {
		m.y.SetWriteDeadline(past)
	}
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// SetDeadline implements Stream.
func (m *yamuxStream) SetDeadline(t time.Time) error {
	return errors.Join(m.SetReadDeadline(t), m.SetWriteDeadline(t))
}

// SetReadDeadline implements Stream.
func (m *yamuxStream) SetReadDeadline(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.closed:
		return net.ErrClosed
	case m.cut:
		return nil // its deadline is past for good
	}
	return m.y.SetReadDeadline(t)
}

// SetWriteDeadline implements Stream.
func (m *yamuxStream) SetWriteDeadline(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return net.ErrClosed
	}
	m.writeTill = t
	if m.waiting && !m.cut && !m.unwanted && !m.finished {
		m.y.SetWriteDeadline(t)
	}
	select {
	case m.changed <- struct{}{}:
	default:
	}
	return nil
}
