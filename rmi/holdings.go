package rmi

import (
	"runtime"
	"slices"
	"time"
	"weak"
)

// holdings are the references to the objects of one other process that are in
// use here. They outlive a session: what is still in use when the next begins is
// told again. Those of an owner who was told something stay also when there are none
// any more: it may not have read the last of it when the connection broke, and when
// the session has ended here it may not have there. Guarded by references.mu.
type holdings struct {
	owner peerID
	rows  map[refID]*holding
	// pending are the rows that the owner is to be told of, each once.
	pending []*holding
	// via is the connection by which the owner is told. On another it is told
	// everything anew, by a list with a number of its own, and listing says that
	// this is under way. list is 0 when the owner was told nothing.
	via     *Conn
	list    uint64
	listing bool
	// past says that it is in references.past.
	past bool
	// telling says that a goroutine tells; news counts the connections that came
	// up, of which it may not know.
	telling bool
	news    int
}

// holding is one of them. Guarded by references.mu.
type holding struct {
	of  *holdings
	id  refID
	ref weak.Pointer[Ref] // its zero value when none is in use
	// unsaid is how often it came from the owner, who does not know that yet.
	unsaid uint64
	// told says that the owner knows, queued that it is in pending.
	told, queued bool
	// pin keeps the row in use until a lease after pinned; nil when it does not.
	pin    *time.Timer
	pinned time.Time
	refs   *references
}

// released reports whether r is no longer what h is for.
func (h *holding) released(r *Ref) bool {
	h.refs.mu.Lock()
	defer h.refs.mu.Unlock()
	return h.ref.Value() != r
}

// arrive returns the Ref for a reference that came from the process from; the
// zero peerID for one that does not say who it is. It is nil for an object of
// this process that is gone.
func (r *references) arrive(tag refTag, from peerID) (*Ref, error) {
	self := r.space.self()
	if tag.owner == self {
		return r.comeHome(tag)
	}
	if tag.origin != nil && tag.origin.owner == self {
		if tag.owner == from {
			r.returnReceipt(tag)
		}
		return r.comeHome(*tag.origin)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, refusal(FailedPrecondition, "a reference cannot be kept: %w", errSpaceClosed)
	}
	h, err := r.holdingLocked(tag)
	if err != nil {
		return nil, err
	}
	ref := h.ref.Value()
	if ref == nil {
		ref = &Ref{space: r.space, refTag: tag, held: h}
		ref.self = ref
		h.ref = weak.Make(ref)
		runtime.AddCleanup(ref, func(w weak.Pointer[Ref]) { r.dropped(h, w) }, h.ref)
	}
	if tag.owner == from {
		h.unsaid++
	}
	if h.unsaid > 0 || !h.told {
		r.queueLocked(h)
	}
	return ref, nil
}

// comeHome returns the Ref of an object of this process.
func (r *references) comeHome(tag refTag) (*Ref, error) {
	ref := r.home(tag.id)
	if ref == nil {
		return nil, r.gone()
	}
	if ref.own.relay != nil {
		return ref.own.relay, nil
	}
	return ref, nil
}

// returnReceipt tells the owner of tag, which came from it, that it came, and
// that it is not kept.
func (r *references) returnReceipt(tag refTag) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if h, err := r.holdingLocked(tag); err == nil {
		h.unsaid++
		r.queueLocked(h)
	}
}

// holdingLocked returns the row for tag, which it makes if need be.
func (r *references) holdingLocked(tag refTag) (*holding, error) {
	hs := r.holdings[tag.owner]
	if hs == nil {
		hs = &holdings{owner: tag.owner, rows: make(map[refID]*holding)}
		r.holdings[tag.owner] = hs
	}
	h := hs.rows[tag.id]
	if h == nil {
		if most := r.space.opts.MaxReferences; len(hs.rows) >= most {
			return nil, refusal(ResourceExhausted, "%d objects of %s are held here, and no more are allowed", most, tag.owner)
		}
		h = &holding{of: hs, id: tag.id, refs: r}
		hs.rows[tag.id] = h
	}
	return h, nil
}

// dropped notes that the program no longer reaches the Ref that w was of.
func (r *references) dropped(h *holding, w weak.Pointer[Ref]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.ref == w {
		h.ref = weak.Pointer[Ref]{}
		r.queueLocked(h)
	}
}

// release gives ref up, which is one to another process's object.
func (r *references) release(ref *Ref) {
	if ref.held == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := ref.held; h.ref.Value() == ref {
		h.ref = weak.Pointer[Ref]{}
		r.queueLocked(h)
	}
}

// pin keeps the object of ref, which is passed on to somebody, for the length of a
// lease, also when ref is released before that: the receiver needs the time to
// tell the owner. It returns an error when ref was released before.
func (r *references) pin(ref *Ref) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := ref.held
	switch {
	case h.ref.Value() != ref:
		return errReleased
	case r.closed:
		return nil
	}
	h.pinned = time.Now()
	if h.pin != nil {
		return nil
	}
	lease := r.space.opts.Lease
	h.pin = time.AfterFunc(lease, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if left := lease - time.Since(h.pinned); left > 0 && !r.closed {
			h.pin.Reset(left)
			return
		}
		h.pin = nil
		if !h.inUse() {
			r.queueLocked(h)
		}
	})
	return nil
}

// inUse reports whether the owner is to keep the object.
func (h *holding) inUse() bool { return h.ref != weak.Pointer[Ref]{} || h.pin != nil }

// queueLocked has the owner told of h.
func (r *references) queueLocked(h *holding) {
	if !h.queued {
		h.queued = true
		h.of.pending = append(h.of.pending, h)
	}
	r.tellLocked(h.of)
}

// tellLocked sees to it that somebody tells what hs has to tell.
func (r *references) tellLocked(hs *holdings) {
	if !hs.telling && !r.closed {
		hs.telling = true
		r.space.loops.Go(func() { r.tellOwner(hs) })
	}
}

// tellOwner tells the owner of hs what has changed, until there is nothing more
// to tell or no connection to tell it by. The next connection goes on then.
func (r *references) tellOwner(hs *holdings) {
	for {
		r.mu.Lock()
		news := hs.news
		r.mu.Unlock()
		var conn *Conn
		s := r.space.session(hs.owner)
		if s != nil {
			conn = s.conn()
		}
		conn, list, hold, drop, flags, ok := r.nextToTell(hs, conn, s, news)
		switch {
		case !ok:
			return
		case conn == nil:
			continue
		}
		err := conn.lane.send(r.space.ctx, func(b []byte) ([]byte, int) {
			n := 0
			if len(hold) > 0 || flags != 0 {
				b = appendReceipts(b, frameHold, flags, list, hold)
				n++
			}
			if len(drop) > 0 {
				b = appendReceipts(b, frameDrop, 0, list, drop)
				n++
			}
			return b, n
		})
		if err != nil {
			r.mu.Lock()
			if hs.via == conn {
				hs.via = nil // everything again by the next
			}
			r.mu.Unlock()
			select {
			case <-conn.ctx.Done(): // soon: it has lost its lane
			case <-r.space.ctx.Done():
			}
		}
	}
}

// nextToTell returns the next that the owner of hs is to be told, by the
// connection that it is told by now, or by fresh, which may be nil, of its session
// s, which may be nil. These were so when hs had news; without a connection it is
// to be asked again if there are others. It is not ok when there is nothing to
// tell, or no way: the goroutine that asks has to end.
func (r *references) nextToTell(hs *holdings, fresh *Conn, s *Session, news int) (conn *Conn, list uint64, hold, drop []receipt, flags byte, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if conn = hs.via; conn == nil || conn.ctx.Err() != nil {
		conn = fresh
	}
	switch {
	case r.closed:
		hs.telling = false
		return nil, 0, nil, nil, 0, false
	case conn == nil && hs.news != news:
		return nil, 0, nil, nil, 0, true
	case conn == nil:
		hs.telling, hs.via = false, nil
		if s == nil {
			r.pruneLocked(hs)
		}
		if len(hs.rows) > 0 {
			r.reachLocked(hs.owner, "")
		}
		return nil, 0, nil, nil, 0, false
	}
	if hs.via != conn {
		r.lists++
		hs.via, hs.list, hs.listing = conn, r.lists, true
		flags = flagHoldFirst
		hs.pending = hs.pending[:0]
		for _, h := range hs.rows {
			h.told, h.queued = false, true
			hs.pending = append(hs.pending, h)
		}
	}
	if len(hs.pending) == 0 && !hs.listing {
		hs.telling = false
		return nil, 0, nil, nil, 0, false
	}
	n := min(len(hs.pending), maxReceipts)
	for _, h := range hs.pending[:n] {
		h.queued = false
		said := receipt{h.id, h.unsaid}
		h.unsaid = 0
		if h.inUse() {
			h.told = true
			hold = append(hold, said)
			continue
		}
		delete(hs.rows, h.id)
		if h.told || said.count > 0 {
			drop = append(drop, said)
		}
	}
	hs.pending = slices.Delete(hs.pending, 0, n)
	if hs.listing && len(hs.pending) == 0 {
		hs.listing = false
		flags |= flagHoldLast
	}
	return conn, hs.list, hold, drop, flags, true
}

// bound reports whether either side of a session holds objects of the other's.
func (r *references) bound(s *Session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.boundLocked(s)
}

func (r *references) boundLocked(s *Session) bool {
	hs := r.holdings[s.peer]
	return len(s.lent.ids) > 0 || hs != nil && len(hs.rows) > 0
}

// unsettledLocked reports whether the peer of c, which has ended, may hold what it
// has not come to say, and know no way to here. Whom a reference was given to is not
// known; that some are in transit is.
func (r *references) unsettledLocked(c *Conn) bool {
	return r.transit > 0 && c.opts.dialled != "" && c.cutOff()
}

// connected goes on to tell what the peer of s has not been told.
func (r *references) connected(s *Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if hs := r.holdings[s.peer]; hs != nil && (hs.via == nil || hs.via.ctx.Err() != nil) {
		hs.news++
		r.tellLocked(hs)
	}
}

// disconnected has the peer of s told everything again that it was told by c,
// which has ended, and when that was the last connection tries to get another, if
// objects are held in either direction, or the peer may not have been able to say
// that it holds one.
func (r *references) disconnected(s *Session, c *Conn, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if hs := r.holdings[s.peer]; hs != nil && hs.via == c {
		hs.via = nil
		if !last {
			r.tellLocked(hs)
		}
	}
	if last && (r.boundLocked(s) || r.unsettledLocked(c)) {
		r.reachLocked(s.peer, c.opts.dialled)
	}
}

// ownerLostLocked notes that the session with an owner has ended, and whether the
// owner has.
func (r *references) ownerLostLocked(owner peerID, gone bool) {
	if hs := r.holdings[owner]; hs != nil {
		if hs.via = nil; gone {
			hs.list = 0
		}
		if !hs.telling { // else who tells will see it
			r.pruneLocked(hs)
		}
	}
}

// pruneLocked forgets the rows that are not in use: there is no session in
// which the owner would have to be told. In the next it is told what is left, be it
// nothing, unless too many others have been lost since.
func (r *references) pruneLocked(hs *holdings) {
	hs.pending = nil // all is told when there is a connection
	for id, h := range hs.rows {
		if h.queued = false; !h.inUse() {
			delete(hs.rows, id)
		}
	}
	switch {
	case len(hs.rows) > 0 || r.holdings[hs.owner] != hs:
	case hs.list == 0:
		delete(r.holdings, hs.owner)
	case !hs.past:
		hs.past = true
		r.past = append(r.past, hs)
		if len(r.past) > maxPastPeers {
			r.forgetLocked(r.past[0])
			r.past = append(r.past[:0], r.past[1:]...)
		}
	}
}

// forgetLocked forgets hs, of those that are past, unless it is in use again.
func (r *references) forgetLocked(hs *holdings) {
	hs.past = false
	if len(hs.rows) == 0 && hs.via == nil && !hs.telling && r.holdings[hs.owner] == hs {
		delete(r.holdings, hs.owner)
	}
}
