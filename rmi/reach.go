package rmi

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// reachPauseMin and reachPauseMax bound the pause between two tries to
	// connect to a peer again.
	reachPauseMin = 50 * time.Millisecond
	reachPauseMax = 5 * time.Second
	// maxReaching bounds the peers that are tried at a time; others are connected
	// to when they are called.
	maxReaching = 256
)

// reaching is a peer that somebody tries to connect to. Guarded by references.mu.
type reaching struct {
	// address is where it was dialled before; empty if it was not.
	address string
	// again says that somebody has asked for it since the last look: a connection
	// may have come and broken meanwhile.
	again bool
}

// reachLocked tries to connect to peer, for the length of a lease. address is
// where it was dialled before; empty if it was not.
func (r *references) reachLocked(peer peerID, address string) {
	opts := &r.space.opts
	p := r.reaching[peer]
	switch {
	case r.closed, p == nil && len(r.reaching) >= maxReaching:
		return
	case address != "" && opts.Redial != nil:
	case opts.Dial == nil || r.holdings[peer] == nil || len(r.holdings[peer].rows) == 0:
		return // no way is known, or it is the peer that wants something
	default:
		address = ""
	}
	if p != nil {
		if p.again = true; address != "" {
			p.address = address
		}
		return
	}
	p = &reaching{address: address}
	r.reaching[peer] = p
	r.space.loops.Go(func() {
		for again := true; again; {
			r.reach(peer, p)
			again = r.reached(peer, p)
		}
	})
}

// reached ends the tries to connect to peer, unless somebody has asked for more.
func (r *references) reached(peer peerID, p *reaching) (again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.again && !r.closed {
		return true
	}
	delete(r.reaching, peer)
	return false
}

// reach tries to connect to peer until it is connected, has started anew, or the
// lease is over.
func (r *references) reach(peer peerID, p *reaching) {
	opts := &r.space.opts
	ctx, cancel := context.WithTimeout(r.space.ctx, opts.Lease)
	defer cancel()
	for pause := reachPauseMin; ; pause = min(2*pause, reachPauseMax) {
		r.mu.Lock()
		p.again = false // before the look, so that no break after it is missed
		address := p.address
		r.mu.Unlock()
		if s := r.space.session(peer); s != nil && s.conn() != nil {
			return
		}
		var conn *Conn
		var err error
		if address != "" {
			conn, err = opts.Redial(ctx, address)
		} else {
			conn, err = opts.Dial(ctx, peer.node)
		}
		if err == nil && conn.Peer().Incarnation != peer.incarnation {
			return
		}
		timer := time.NewTimer(pause - rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
