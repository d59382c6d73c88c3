package rmi

import "sync"

// numbers give the calls of this process to one peer their sequence numbers, and
// know which is the least whose answer is still waited for: those below it will
// never be sent again. They take no memory for a call when there were as many at
// a time before.
type numbers struct {
	mu sync.Mutex
	// What follows is guarded by mu.
	last uint64 // that was given
	// first and newest are the ends of the list of calls that wait, by number.
	first, newest *number
	free          *number // a list by next
	closed        bool
}

// number is that of a call which waits. It belongs to its numbers.
type number struct {
	seq        uint64
	prev, next *number
}

// begin gives a call its number; nil when the session has ended.
func (n *numbers) begin() (*number, callToken) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, callToken{}
	}
	x := n.free
	if x == nil {
		x = new(number)
	} else {
		n.free = x.next
	}
	n.last++
	*x = number{seq: n.last, prev: n.newest}
	if x.prev != nil {
		x.prev.next = x
	} else {
		n.first = x
	}
	n.newest = x
	return x, callToken{seq: x.seq, least: n.first.seq}
}

// end notes that the call x has its answer, or that nobody waits for it.
func (n *numbers) end(x *number) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		n.first = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	} else {
		n.newest = x.prev
	}
	x.prev, x.next = nil, n.free
	n.free = x
}

// close makes begin give no more numbers, and returns the last.
func (n *numbers) close() (last uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	return n.last
}

// pastNumbers are what is left of the numbers of sessions that have ended. The
// two sides of a session need not think alike of when it ended, so that the
// numbers of two processes go on in the next session between them: who calls
// gives none twice, and who is called carries none out twice.
type pastNumbers struct {
	// last is the highest that this process gave any call of an ended session.
	last uint64
	// seen are the highest that came from each peer, in the order of order.
	seen  map[peerID]uint64
	order []peerID
}

// past notes that a session with peer has ended.
func (p *pastNumbers) past(peer peerID, last, seen uint64) {
	p.last = max(p.last, last)
	if seen == 0 {
		return
	}
	if p.seen == nil {
		p.seen = make(map[peerID]uint64)
	}
	if _, known := p.seen[peer]; !known {
		if len(p.order) == maxPastPeers {
			delete(p.seen, p.order[0])
			p.order = append(p.order[:0], p.order[1:]...)
		}
		p.order = append(p.order, peer)
	}
	p.seen[peer] = max(p.seen[peer], seen)
}

// resume has the numbers of a new session go on.
func (p *pastNumbers) resume(s *Session) {
	s.numbers.last = p.last
	s.records.seen = p.seen[s.peer]
}
