package rmi

import (
	"sync"

	"farcall.dev/transport"
)

// Tally adds up what any number of Conns do, those that have ended included, so
// that a process can tell how much went in and out of it. It is given to them
// by [ConnOptions]. The zero value is ready; its methods may be called from any
// number of goroutines.
type Tally struct {
	mu   sync.Mutex
	live map[*Conn]struct{} // guarded by mu
	past TallyStats         // guarded by mu; of the Conns that ended, and what is no sum
}

// TallyStats are sums over Conns.
type TallyStats struct {
	// Open counts the Conns that live, Opened all that there ever were.
	Open   int
	Opened uint64
	// Dials counts the calls of [DialConn], DialFailures those that failed.
	Dials, DialFailures uint64
	// Conn sums what the Conns counted. What is open or in flight is are of the
	// Conns that live, everything else of all.
	Conn ConnStats
	// Session sums what their sessions counted. StreamsOpen is of those that
	// live; LastReceived and RoundTrip, which cannot be added, are zero.
	Session transport.Stats
}

// Stats returns the sums. Except for what is open or in flight, they never
// become smaller.
func (t *Tally) Stats() TallyStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.past
	s.Open = len(t.live)
	for c := range t.live {
		s.add(c)
	}
	return s
}

// begin counts a Conn from now on. t may be nil.
func (t *Tally) begin(c *Conn) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live == nil {
		t.live = make(map[*Conn]struct{})
	}
	t.live[c] = struct{}{}
	t.past.Opened++
}

// dialled counts a dial. t may be nil.
func (t *Tally) dialled(err error) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.past.Dials++
	if err != nil {
		t.past.DialFailures++
	}
}

// end keeps the sums of a Conn that has ended. t may be nil.
func (t *Tally) end(c *Conn) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.live, c)
	t.past.add(c)
	t.past.Conn.ItemStreams = 0
	t.past.Conn.InFlightOut, t.past.Conn.InFlightIn, t.past.Session.StreamsOpen = 0, 0, 0
}

// add adds what c and its session counted so far.
func (s *TallyStats) add(c *Conn) {
	n, sum := c.Stats(), &s.Conn
	sum.CallsOut += n.CallsOut
	sum.CallsIn += n.CallsIn
	sum.InFlightOut += n.InFlightOut
	sum.InFlightIn += n.InFlightIn
	sum.ItemStreams += n.ItemStreams
	sum.Refused += n.Refused
	sum.Dropped += n.Dropped
	sum.LargeSent += n.LargeSent
	sum.LargeReceived += n.LargeReceived
	sum.FramesSent += n.FramesSent
	sum.FramesReceived += n.FramesReceived
	t := c.session.Stats()
	s.Session.BytesSent += t.BytesSent
	s.Session.BytesReceived += t.BytesReceived
	s.Session.Writes += t.Writes
	for i, n := range t.WriteSizes {
		s.Session.WriteSizes[i] += n
	}
	s.Session.StreamsOpened += t.StreamsOpened
	s.Session.StreamsOpen += t.StreamsOpen
}
