package transport

import "sync"

// stops remembers the ids of stop frames that came before the acceptor had
// their stream. Ids are never used twice, so one that stays does no harm but to
// take a place; the oldest gives way.
type stops struct {
	mu   sync.Mutex
	ids  map[uint32]struct{} // guarded by mu
	ring [256]uint32         // guarded by mu; the ids in the order they came
	next int                 // guarded by mu
}

func (p *stops) put(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ids == nil {
		p.ids = make(map[uint32]struct{})
	}
	delete(p.ids, p.ring[p.next])
	p.ring[p.next] = id
	p.next = (p.next + 1) % len(p.ring)
	p.ids[id] = struct{}{}
}

// take reports whether id is there, and removes it.
func (p *stops) take(id uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.ids[id]
	delete(p.ids, id)
	return ok
}
