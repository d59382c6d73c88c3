package naming

import "slices"

// place is a name and every process's record of it, in the order in which they
// took their place in the line.
type place struct {
	records []*record
}

// record is what one process wants to be known of one name. It is guarded by
// the mutex of the store.
type record struct {
	home *MemoryRegistry
	inst Instance
	// published says that others can see inst. A record that is not published
	// has been lost, or displaced by a later incarnation, and is published as
	// soon as the rules allow it.
	published bool
	// withdrawn says that the record goes as soon as the store is in reach.
	withdrawn bool
}

// owner reports whether r is published and may be called.
func (r *record) owner() bool { return r.published && r.inst.State != StateStandby }

// stance returns the state in which home may publish inst in p, at position at
// of the line, or the node that forbids it. fresh says that the process asks
// for it just now, and does not merely publish again.
//
// It is where the rules of Mode and Incarnation stand.
func (p *place) stance(home *MemoryRegistry, inst Instance, at int, fresh bool) (state State, forbidden NodeID) {
	state = StateLive
	if home.draining || inst.State == StateDraining {
		state = StateDraining
	}
	var rivals []*record // published by others, and not displaced by inst
	holds := false       // inst goes on from a record that is called already
	before := false      // somebody is ahead in the line, and owners always are
	for i, r := range p.records {
		switch {
		case !r.published:
		case r.home == home || r.inst.Node == inst.Node:
			if r.home != home && (r.inst.Incarnation > inst.Incarnation || !fresh && r.inst.Incarnation == inst.Incarnation) {
				return "", r.inst.Node
			}
			holds = holds || r.owner() && (r.inst.Mode == ModeShared) == (inst.Mode == ModeShared)
		default:
			rivals = append(rivals, r)
			before = before || i < at
		}
	}
	switch {
	case holds || len(rivals) == 0:
		return state, ""
	case inst.Mode == ModeShared && !slices.ContainsFunc(rivals, func(r *record) bool { return r.inst.Mode != ModeShared }):
		return state, ""
	case inst.Mode == ModeStandby && !before:
		return state, ""
	case inst.Mode == ModeStandby && !home.draining:
		return StateStandby, ""
	}
	return "", rivals[0].inst.Node
}

// recordsLocked returns the records of name.
func (m *Memory) recordsLocked(name Name) []*record {
	if p := m.places[name]; p != nil {
		return p.records
	}
	return nil
}

// publishLocked publishes inst for home, at its present place in the line when
// it has one, or returns a [*TakenError] and changes nothing.
func (m *Memory) publishLocked(home *MemoryRegistry, inst Instance) error {
	p := m.places[inst.Name]
	if p == nil {
		p = &place{}
	}
	at := slices.IndexFunc(p.records, func(r *record) bool { return r.home == home })
	if at < 0 {
		at = slices.IndexFunc(p.records, func(r *record) bool { return r.published && r.inst.Node == inst.Node })
	}
	if at < 0 {
		at = len(p.records)
	}
	state, forbidden := p.stance(home, inst, at, true)
	if state == "" {
		return &TakenError{Name: inst.Name, Owner: forbidden}
	}
	inst.State = state

	own := home.records[inst.Name]
	if own != nil && own.published && own.inst.Node != inst.Node {
		m.hideLocked(own)
	}
	for _, r := range p.records {
		if r.home != home && r.published && r.inst.Node == inst.Node {
			r.published = false // displaced, and not deleted: the key lives on
		}
	}
	if own == nil {
		own = &record{home: home}
		home.records[inst.Name] = own
		p.records = slices.Insert(p.records, at, own)
		m.places[inst.Name] = p
	}
	own.withdrawn = false
	m.showLocked(own, inst)
	m.settleLocked(inst.Name)
	return nil
}

// settleLocked brings what is published of name in line with what the processes
// want and the rules allow. Out of reach, nobody can do anything.
func (m *Memory) settleLocked(name Name) {
	p := m.places[name]
	if p == nil || m.outage != nil {
		return
	}
	p.records = slices.DeleteFunc(p.records, func(r *record) bool {
		goes := r.withdrawn || r.home.draining && r.published && !r.owner()
		if goes {
			m.hideLocked(r)
			delete(r.home.records, name)
		}
		return goes
	})
	for at, r := range p.records {
		state, _ := p.stance(r.home, r.inst, at, false)
		if state != "" && (!r.published || state != r.inst.State) {
			inst := r.inst
			inst.State = state
			m.showLocked(r, inst)
		}
	}
	if len(p.records) == 0 {
		delete(m.places, name)
	}
}

// loseLocked takes r out of what is published, and to the end of the line.
func (m *Memory) loseLocked(r *record) {
	m.hideLocked(r)
	p := m.places[r.inst.Name]
	i := slices.Index(p.records, r)
	p.records = append(slices.Delete(p.records, i, i+1), r)
}

// showLocked publishes r as inst, in the pending step.
func (m *Memory) showLocked(r *record, inst Instance) {
	r.inst, r.published = inst, true
	m.pending.put = append(m.pending.put, inst)
}

// hideLocked takes r out of what is published, in the pending step.
func (m *Memory) hideLocked(r *record) {
	if r.published {
		r.published = false
		m.pending.delete = append(m.pending.delete, r.inst.Key())
	}
}
