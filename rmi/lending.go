package rmi

import "context"

// lending is what the peer of a session holds of this process's objects. It is
// guarded by references.mu.
type lending struct {
	// ids are the references, each with the list that last told of it.
	ids map[refID]uint64
	// list is the number of the peer's newest list. What belongs to an earlier one
	// comes late, by a connection that has broken.
	list  uint64
	ended bool
}

// receipts handles a HOLD or a DROP frame, which came by c.
func (r *references) receipts(c *Conn, h frameHeader, body []byte) error {
	head, _, err := splitBody(body)
	if err != nil {
		return err
	}
	s := c.shared
	if s == nil || s.space != r.space {
		return nil // nobody who can hold anything
	}
	r.mu.Lock()
	l := &s.lent
	begins := h.typ == frameHold && h.flags&flagHoldFirst != 0 && h.id > l.list
	if l.ended || !begins && (h.id != l.list || l.list == 0) {
		r.mu.Unlock()
		return nil // what an earlier list told does not count any more
	}
	l.list = h.id
	var told []func()
	refused := 0
	for cur := (&cursor{b: head}); len(cur.b) > 0; {
		receipt := cur.receipt()
		if cur.bad {
			break
		}
		_, holds := l.ids[receipt.id]
		if h.typ == frameDrop {
			delete(l.ids, receipt.id)
		}
		ref := r.kept[receipt.id]
		if ref == nil {
			continue // it came too late
		}
		switch {
		case h.typ == frameDrop && holds:
			ref.own.holders = max(ref.own.holders-1, 0)
		case h.typ == frameDrop:
		case holds:
			l.ids[receipt.id] = l.list
		case len(l.ids) >= r.space.opts.MaxReferences:
			refused++
			continue
		default:
			if l.ids == nil {
				l.ids = make(map[refID]uint64)
			}
			l.ids[receipt.id] = l.list
			ref.own.holders++
		}
		ref.own.given -= min(receipt.count, ref.own.given)
		told = append(told, r.weighLocked(ref))
	}
	if h.typ == frameHold && h.flags&flagHoldLast != 0 {
		for id, list := range l.ids {
			if list != l.list {
				told = append(told, r.returnedLocked(l, id))
			}
		}
	}
	r.mu.Unlock()
	r.tell(told...)
	if refused > 0 {
		c.log.Warn("peer holds too many references; the others are kept for a lease only", "peer", c.peerName(), "limit", r.space.opts.MaxReferences, "refused", refused)
	}
	return nil
}

// returnedLocked takes id from those that a peer holds.
func (r *references) returnedLocked(l *lending, id refID) (told func()) {
	delete(l.ids, id)
	ref := r.kept[id]
	if ref == nil || ref.own.holders == 0 {
		return nil
	}
	ref.own.holders--
	return r.weighLocked(ref)
}

// sessionEnded drops what the peer of s held, and what it would be told.
func (r *references) sessionEnded(s *Session) {
	r.mu.Lock()
	s.lent.ended = true
	var told []func()
	for id := range s.lent.ids {
		told = append(told, r.returnedLocked(&s.lent, id))
	}
	r.ownerLostLocked(s.peer, context.Cause(s.ctx) != errLeaseOver)
	r.mu.Unlock()
	r.tell(told...)
}
