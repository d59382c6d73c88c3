package transport

import "sync"

// stops remembers the ids of stop frames that came before this side's stream was
// there to be told. Ids are never used twice, so one that stays does no harm but to
// take a place; the oldest gives way.
type stops struct {
	mu   sync.Mutex
	ids  map[uint32]struct{} // guarded by mu
	ring []uint32            // guarded by mu; the ids in the order they came; see next
	next int                 // guarded by mu; where in a full ring the oldest is
}

// maxStops is how many ids are remembered.
const maxStops = 256

func (p *stops) put(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ids == nil {
		p.ids = make(map[uint32]struct{})
	}
	p.ids[id] = struct{}{}
	if len(p.ring) < maxStops {
		p.ring = append(p.ring, id)
		return
	}
	delete(p.ids, p.ring[p.next])
	p.ring[p.next] = id
	p.next = (p.next + 1) % maxStops
}

// take reports whether id is there, and removes it.
func (p *stops) take(id uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.ids[id]
	delete(p.ids, id)
	return ok
}
