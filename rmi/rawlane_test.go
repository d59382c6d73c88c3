package rmi

import (
	"sync"
	"testing"

	"farcall.dev/transport"
)

// rawLane is a peer's end of a lane, in the hands of a test: what came can be read
// frame by frame, and anything can be sent.
type rawLane struct {
	t    testing.TB
	lane transport.Lane

	mu      sync.Mutex
	changed sync.Cond         // on mu: something came
	came    []byte            // guarded by mu; messages that were not read
	bulk    map[uint64][]byte // guarded by mu; by tag
	at      []byte            // guarded by mu; what Place returned last
}

var _ transport.Receiver = (*rawLane)(nil)

// openLane serves the lane of raw.
func openLane(t testing.TB, raw transport.Session) *rawLane {
	l := &rawLane{t: t, lane: raw.Lane(), bulk: map[uint64][]byte{}}
	l.changed.L = &l.mu
	l.lane.Serve(l)
	return l
}

func (l *rawLane) Receive(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.came = append(l.came, p...)
	l.changed.Broadcast()
}

func (l *rawLane) Place(_ uint64, n int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = make([]byte, n)
	return l.at
}

func (l *rawLane) Placed(tag uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bulk[tag] = append(l.bulk[tag], l.at...)
	l.changed.Broadcast()
}

// Write sends b, unless the session has ended.
func (l *rawLane) Write(b []byte) {
	if buf, err := l.lane.Lock(l.t.Context(), 64<<20); err == nil {
		l.lane.Unlock(append(buf, b...), false)
	}
}

// next waits for a frame.
func (l *rawLane) next() (frameHeader, []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		h, n, err := parseLaneFrame(l.came)
		if err != nil {
			l.t.Errorf("a frame cannot be read: %v", err)
			return frameHeader{}, nil
		}
		if n > 0 && n <= len(l.came) {
			body := l.came[n-h.bodyLen : n : n]
			l.came = l.came[n:]
			return h.frameHeader, body
		}
		l.changed.Wait()
	}
}

// frames returns how many frames came that were not read.
func (l *rawLane) frames() (count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for b := l.came; len(b) > 0; count++ {
		_, n, _ := parseLaneFrame(b)
		if n == 0 || n > len(b) {
			break
		}
		b = b[n:]
	}
	return count
}

// data returns the bulk data that came under tag.
func (l *rawLane) data(tag uint64) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bulk[tag]
}

// nextFrame reads a frame and cuts its body, or fails the test.
func nextFrame(t testing.TB, l *rawLane) (frameHeader, []byte, []byte) {
	t.Helper()
	h, body := l.next()
	head, payload, err := splitBody(body)
	if err != nil && h.size > 0 {
		t.Fatal(err)
	}
	return h, head, payload
}
