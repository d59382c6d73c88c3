package rmi

import (
	"context"
	"sync"
)

// tableShards is how many locks a table of calls is spread over.
const tableShards = 16

// table holds the calls of one direction by their id. Whoever takes a call out
// of it, and nobody else, completes that call.
type table[V any] struct {
	shards [tableShards]struct {
		mu     sync.Mutex
		calls  map[uint64]V // guarded by mu
		closed bool         // guarded by mu
		_      [40]byte     // keeps the locks of two shards off one cache line
	}
}

// put adds v, and reports whether it could: not when the id is in use or the
// table is closed.
func (t *table[V]) put(id uint64, v V) bool {
	s := &t.shards[id%tableShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if _, taken := s.calls[id]; taken {
		return false
	}
	if s.calls == nil {
		s.calls = make(map[uint64]V)
	}
	s.calls[id] = v
	return true
}

// get returns the call, which stays in the table.
func (t *table[V]) get(id uint64) (V, bool) {
	s := &t.shards[id%tableShards]
	s.mu.Lock()
	v, ok := s.calls[id]
	s.mu.Unlock()
	return v, ok
}

// take removes the call and returns it, and whether it was there.
func (t *table[V]) take(id uint64) (V, bool) {
	s := &t.shards[id%tableShards]
	s.mu.Lock()
	v, ok := s.calls[id]
	if ok {
		delete(s.calls, id)
	}
	s.mu.Unlock()
	return v, ok
}

// sweep calls f with each call, and removes those for which it says so. f must not
// use the table.
func (t *table[V]) sweep(f func(V) (remove bool)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for id, v := range s.calls {
			if f(v) {
				delete(s.calls, id)
			}
		}
		s.mu.Unlock()
	}
}

// close empties the table for good and returns what was in it.
func (t *table[V]) close() []V {
	var all []V
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for _, v := range s.calls {
			all = append(all, v)
		}
		s.calls, s.closed = nil, true
		s.mu.Unlock()
	}
	return all
}

// budget is an amount of memory that is given out in the order in which it was
// asked for.
type budget struct {
	mu      sync.Mutex
	free    int64           // guarded by mu
	waiting []budgetRequest // guarded by mu
}

// budgetRequest waits for n bytes; ready is closed when it has them.
type budgetRequest struct {
	n     int64
	ready chan struct{}
}

// tryAcquire is acquire that does not wait.
func (b *budget) tryAcquire(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) > 0 || b.free < n {
		return false
	}
	b.free -= n
	return true
}

// acquire takes n bytes, no more than the whole budget, and waits for them
// until ctx ends; it returns ctx's cause then.
func (b *budget) acquire(ctx context.Context, n int64) error {
	b.mu.Lock()
	if len(b.waiting) == 0 && b.free >= n {
		b.free -= n
		b.mu.Unlock()
		return nil
	}
	r := budgetRequest{n, make(chan struct{})}
	b.waiting = append(b.waiting, r)
	b.mu.Unlock()
	select {
	case <-r.ready:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.waiting {
		if b.waiting[i].ready == r.ready {
			b.waiting = append(b.waiting[:i], b.waiting[i+1:]...)
			b.grantLocked()
			return context.Cause(ctx)
		}
	}
	b.free += n // granted at the same moment
	b.grantLocked()
	return context.Cause(ctx)
}

// release gives n bytes back.
func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	b.grantLocked()
}

// grantLocked serves those who wait, in order, as far as the memory goes.
func (b *budget) grantLocked() {
	for len(b.waiting) > 0 && b.free >= b.waiting[0].n {
		b.free -= b.waiting[0].n
		close(b.waiting[0].ready)
		b.waiting = b.waiting[1:]
	}
}
