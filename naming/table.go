package naming

import (
	"hash/maphash"
	"iter"
	"sync/atomic"
)

// table maps names to entries for any number of readers, who take no lock and
// allocate nothing, and one writer at a time, who changes one slot, however
// large the table is.
//
// It is a hash table with open addressing. A slot is taken once, for a name,
// and stays that name's: later entries of it are stored there, and so is a mark
// when the name is deleted. So a reader never misses a name because it moves.
// When too many slots are taken, or too few in use, the writer fills a new
// array and stores that; a reader that still looks at the old one sees the
// table as it was a moment ago.
//
// In a table of 100 000 names the time goes into following pointers to memory
// that is in no cache. So a slot is one cache line, with all that it takes to
// find a name in it: the bytes of the name, if they are not many, and a mark that
// is known by its address. The hash has a seed of its own, so that nobody can
// choose names that fall into one place.
type table struct {
	seed  maphash.Seed
	slots atomic.Pointer[[]slot] // a power of two of them, some of them free
	gone  *Entry                 // the mark in the slot of a name that was deleted
	size  int                    // entries; of interest to the writer only
	taken int                    // slots with an entry or a mark; the writer's too
}

// slot is the place of one name. All but the entry is written before the first
// entry is stored, never again, and read after an entry was loaded.
type slot struct {
	entry atomic.Pointer[Entry]
	hash  uint64
	name  Name
	short [32]byte // the bytes of name, when it has no more
}

// is reports whether s is the place of name, whose hash is hash.
func (s *slot) is(hash uint64, name Name) bool {
	if s.hash != hash || len(s.name) != len(name) {
		return false
	}
	if len(name) <= len(s.short) {
		return string(s.short[:len(name)]) == string(name)
	}
	return s.name == name
}

// give makes s, which is free, the place of name.
func (s *slot) give(hash uint64, name Name) {
	s.hash, s.name = hash, name
	if len(name) <= len(s.short) {
		copy(s.short[:], name)
	}
}

const minSlots = 16

func newTable() *table {
	t := &table{seed: maphash.MakeSeed(), gone: new(Entry)}
	t.clear()
	return t
}

// get returns the entry of name, or nil.
func (t *table) get(name Name) *Entry {
	hash := maphash.String(t.seed, string(name))
	slots := *t.slots.Load()
	for i := hash; ; i++ {
		s := &slots[i&uint64(len(slots)-1)]
		e := s.entry.Load()
		switch {
		case e == nil:
			return nil
		case s.is(hash, name):
			if e == t.gone {
				return nil
			}
			return e
		}
	}
}

// all yields every entry. What the writer does meanwhile may or may not show.
func (t *table) all() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		slots := *t.slots.Load()
		for i := range slots {
			if e := slots[i].entry.Load(); e != nil && e != t.gone && !yield(e) {
				return
			}
		}
	}
}

// put adds e in place of the entry of that name. For the
// writer.
func (t *table) put(e *Entry) {
	s, was := t.slot(e.Name)
	if was == nil {
		t.taken++
	}
	if was == nil || was == t.gone {
		t.size++
	}
	s.entry.Store(e)
	t.fit()
}

// delete removes the entry of name. For the writer.
func (t *table) delete(name Name) {
	if s, was := t.slot(name); was != nil && was != t.gone {
		s.entry.Store(t.gone)
		t.size--
		t.fit()
	}
}

// clear removes everything. For the writer.
func (t *table) clear() {
	slots := make([]slot, minSlots)
	t.slots.Store(&slots)
	t.size, t.taken = 0, 0
}

// slot returns the slot of name and what is in it: an entry, a mark, or nil
// when it has just been found for name. For the writer.
func (t *table) slot(name Name) (*slot, *Entry) {
	hash := maphash.String(t.seed, string(name))
	slots := *t.slots.Load()
	for i := hash; ; i++ {
		s := &slots[i&uint64(len(slots)-1)]
		e := s.entry.Load()
		if e == nil {
			s.give(hash, name)
			return s, nil
		}
		if s.is(hash, name) {
			return s, e
		}
	}
}

// fit moves to a new array, twice as large as need be, when three quarters of
// the slots are taken or fewer than an eighth are in use.
func (t *table) fit() {
	n := len(*t.slots.Load())
	if t.taken <= n/4*3 && (t.size >= n/8 || n == minSlots) {
		return
	}
	for n = minSlots; n < 2*t.size; {
		n *= 2
	}
	slots := make([]slot, n)
	for e := range t.all() {
		hash := maphash.String(t.seed, string(e.Name))
		i := hash & uint64(n-1)
		for slots[i].entry.Load() != nil {
			i = (i + 1) & uint64(n-1)
		}
		slots[i].give(hash, e.Name)
		slots[i].entry.Store(e)
	}
	t.slots.Store(&slots)
	t.taken = t.size
}
