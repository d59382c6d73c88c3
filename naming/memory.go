package naming

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a store of records in this process's memory, for tests, examples
// and programs that have all their nodes in one process. Each node opens a
// [Memory.Registry] of its own on it; they see each other's records and compete
// for names as processes on a network do.
//
// It can also be made to fail like a store on a network: see
// [Memory.SetOutage], [Memory.Delete], [Memory.Compact] and
// [MemoryRegistry.Expire]. Its methods may be called from any number of
// goroutines. It starts none of its own and needs no Close.
type Memory struct {
	mu       sync.Mutex
	revision Revision        // guarded by mu; that of the last step
	places   map[Name]*place // guarded by mu; none is empty
	history  []step          // guarded by mu; the last steps, oldest first
	pending  step            // guarded by mu; the step that is being made
	changed  chan struct{}   // guarded by mu; closed and replaced at each change
	outage   error           // guarded by mu; not nil while out of reach
	leases   int64           // guarded by mu; the last lease id given out
}

// step is one change of the store, seen as a whole or not at all.
type step struct {
	time   time.Time
	put    []Instance
	delete []Key
}

const (
	// memoryHistory is how many steps a Memory remembers at least; a watcher
	// that is further behind gets a Reset.
	memoryHistory = 1024
	// memoryConfirm is how often a Memory confirms to an idle watcher that what
	// it was sent still stands.
	memoryConfirm = time.Second
)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{revision: 1, places: map[Name]*place{}, changed: make(chan struct{})}
}

// Registry opens the registry of one more process on m.
func (m *Memory) Registry() *MemoryRegistry {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leases++
	return &MemoryRegistry{
		store: m, done: make(chan struct{}), records: map[Name]*record{},
		lease: m.leases, state: StatusIdle, since: time.Now(),
	}
}

// SetOutage puts the store out of reach of every process, as long as err is not
// nil: watches are told err, and other calls wait until their context ends. What
// is published stays. It is meant for tests.
func (m *Memory) SetOutage(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	m.outage = err
	for name := range m.places {
		m.settleLocked(name)
	}
	m.commitLocked()
	m.wakeLocked()
}

// Delete removes one record, as an operator does by hand. The process that
// published it publishes it again, at once when the store is in reach. Deleting
// what is not there does nothing. It is meant for tests.
func (m *Memory) Delete(key Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.recordsLocked(key.Name) {
		if r.published && r.inst.Node == key.Node {
			m.loseLocked(r)
			break
		}
	}
	m.commitLocked()
	m.settleLocked(key.Name)
	m.commitLocked()
}

// Compact makes the store forget its history: a watch that resumes from an
// earlier revision than the present one gets a Reset. It is meant for tests.
func (m *Memory) Compact() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history = nil
}

// commitLocked makes the pending step, unless it is empty.
func (m *Memory) commitLocked() {
	if len(m.pending.put) == 0 && len(m.pending.delete) == 0 {
		return
	}
	m.pending.time = time.Now()
	if len(m.history) == 2*memoryHistory {
		m.history = slices.Clone(m.history[memoryHistory:])
	}
	m.history = append(m.history, m.pending)
	m.pending = step{}
	m.revision++
	m.wakeLocked()
}

// wakeLocked wakes every watch and every call that waits.
func (m *Memory) wakeLocked() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// sinceLocked returns the updates that bring a watch of prefix from revision
// after to the present, at least one.
func (m *Memory) sinceLocked(prefix string, after Revision) []Update {
	now := time.Now()
	oldest := m.revision - Revision(len(m.history))
	if after < oldest || after > m.revision || after <= 0 {
		return []Update{{Revision: m.revision, Reset: true, Put: m.listLocked(prefix), Time: now}}
	}
	var updates []Update
	for i, s := range m.history[after-oldest:] {
		u := Update{Revision: after + Revision(i) + 1, Time: now, Committed: s.time}
		for _, inst := range s.put {
			if strings.HasPrefix(string(inst.Name), prefix) {
				u.Put = append(u.Put, inst)
			}
		}
		for _, key := range s.delete {
			if strings.HasPrefix(string(key.Name), prefix) {
				u.Delete = append(u.Delete, key)
			}
		}
		if len(u.Put) > 0 || len(u.Delete) > 0 {
			updates = append(updates, u)
		}
	}
	if n := len(updates); n == 0 || updates[n-1].Revision < m.revision {
		updates = append(updates, Update{Revision: m.revision, Time: now})
	}
	return updates
}

// listLocked returns what is published under prefix, sorted.
func (m *Memory) listLocked(prefix string) []Instance {
	var all []Instance
	for name, p := range m.places {
		if !strings.HasPrefix(string(name), prefix) {
			continue
		}
		for _, r := range p.records {
			if r.published {
				all = append(all, r.inst)
			}
		}
	}
	slices.SortFunc(all, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node, b.Node))
	})
	return all
}
