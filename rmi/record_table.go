package rmi

import "iter"

const (
	// minNearRecords and maxNearRecords bound the places of a recordTable, both a
	// power of two.
	minNearRecords = 32
	maxNearRecords = MaxRecords
)

// recordTable finds records by their numbers. A peer counts its calls and mostly
// waits for the newest, so that a record's place is its number modulo that of the
// places; a map has those whose place is taken, by a call that runs for long. The
// zero value is empty.
type recordTable struct {
	near  []*record // a power of two of places
	far   map[uint64]*record
	count int
}

// get returns the record of seq; nil when there is none.
func (t *recordTable) get(seq uint64) *record {
	if len(t.near) == 0 {
		return nil
	}
	if rec := t.near[seq&uint64(len(t.near)-1)]; rec != nil && rec.seq == seq {
		return rec
	}
	if len(t.far) == 0 {
		return nil
	}
	return t.far[seq]
}

// put adds rec, whose number is not in the table.
func (t *recordTable) put(rec *record) {
	t.count++
	for {
		if n := len(t.near); n > 0 {
			if place := &t.near[rec.seq&uint64(n-1)]; *place == nil {
				*place = rec
				return
			}
			if n == maxNearRecords || t.count <= n/2 {
				break
			}
		}
		t.grow()
	}
	if t.far == nil {
		t.far = make(map[uint64]*record)
	}
	t.far[rec.seq] = rec
}

// grow doubles the places. What was in two places is in two places still; what was
// in the map stays there.
func (t *recordTable) grow() {
	near := make([]*record, max(minNearRecords, 2*len(t.near)))
	for _, rec := range t.near {
		if rec != nil {
			near[rec.seq&uint64(len(near)-1)] = rec
		}
	}
	t.near = near
}

// delete takes out rec, which is in the table.
func (t *recordTable) delete(rec *record) {
	t.count--
	if place := &t.near[rec.seq&uint64(len(t.near)-1)]; *place == rec {
		*place = nil
		return
	}
	delete(t.far, rec.seq)
}

// all yields every record. Those that have been yielded may be taken out meanwhile.
func (t *recordTable) all() iter.Seq[*record] {
	return func(yield func(*record) bool) {
		for _, rec := range t.near {
			if rec != nil && !yield(rec) {
				return
			}
		}
		for _, rec := range t.far {
			if !yield(rec) {
				return
			}
		}
	}
}
