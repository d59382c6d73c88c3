package naming

import (
	"context"
	"fmt"
	"time"
)

// MemoryRegistry is one process's [Registry] on a [Memory].
type MemoryRegistry struct {
	store *Memory
	done  chan struct{} // closed by Close

	// The rest is guarded by store.mu.

	records       map[Name]*record
	draining      bool
	closed        bool
	lease         int64
	registrations uint64
	state         string // what Status last said, and since when
	since         time.Time
}

var _ Registry = (*MemoryRegistry)(nil)

// Register publishes inst; see [Registry].
func (r *MemoryRegistry) Register(ctx context.Context, inst Instance) error {
	inst, err := inst.Normalize()
	if err != nil {
		return err
	}
	err = r.reach(ctx, func() error { return r.store.publishLocked(r, inst) }, func() {})
	if err != nil {
		return fmt.Errorf("register %q: %w", inst.Name, err)
	}
	return nil
}

// Unregister removes this process's record of name; see [Registry].
func (r *MemoryRegistry) Unregister(ctx context.Context, name Name) error {
	withdraw := func() error {
		rec := r.records[name]
		if rec == nil || rec.withdrawn {
			return ErrNotFound
		}
		rec.withdrawn = true
		r.store.settleLocked(name)
		return nil
	}
	if err := r.reach(ctx, withdraw, func() { _ = withdraw() }); err != nil {
		return fmt.Errorf("unregister %q: %w", name, err)
	}
	return nil
}

// Drain marks this process's records as draining; see [Registry].
func (r *MemoryRegistry) Drain(ctx context.Context) error {
	drain := func() error {
		r.draining = true
		for name := range r.records {
			r.store.settleLocked(name)
		}
		return nil
	}
	if err := r.reach(ctx, drain, func() { _ = drain() }); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}

// Watch follows the instances whose name starts with prefix; see [Registry].
func (r *MemoryRegistry) Watch(ctx context.Context, prefix string, after Revision, fn func(Update)) error {
	m := r.store
	confirm := time.NewTicker(memoryConfirm)
	defer confirm.Stop()
	last := Update{Revision: after}
	for {
		m.mu.Lock()
		if r.closed {
			m.mu.Unlock()
			return fmt.Errorf("watch %q: %w", prefix, ErrClosed)
		}
		changed := m.changed
		var updates []Update
		switch {
		case m.outage == nil:
			updates = m.sinceLocked(prefix, last.Revision)
		case last.Err == nil:
			updates = []Update{{Revision: last.Revision, Time: last.Time, Err: m.outage}}
		}
		m.mu.Unlock()
		for _, last = range updates {
			if err := ctx.Err(); err != nil {
				return err
			}
			fn(last)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.done:
		case <-changed:
		case <-confirm.C:
		}
	}
}

// Status reports how this process stands with the store.
func (r *MemoryRegistry) Status() Status {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	st := Status{State: StatusIdle, Records: len(r.records), Lease: r.lease, Registrations: r.registrations}
	for name, rec := range r.records {
		switch {
		case rec.withdrawn:
			st.Records--
		case !rec.published:
			p := r.store.places[name]
			if _, owner := p.stance(r, rec.inst, len(p.records), false); owner != "" {
				st.Err = fmt.Errorf("publish again: %w", &TakenError{Name: name, Owner: owner})
			}
		}
	}
	if st.Records > 0 {
		st.State = StatusLive
		if r.store.outage != nil {
			st.Err = r.store.outage
		}
		if st.Err != nil {
			st.State = StatusSuspect
		}
	}
	if r.closed {
		st.State, st.Err = StatusClosed, nil
	}
	if st.State != r.state {
		r.state, r.since = st.State, time.Now()
	}
	st.Since = r.since
	return st
}

// Expire ends the lease of this process, as if it had been silent for too long:
// its records vanish, and it publishes them again under a new lease, at once
// when the store is in reach. It is meant for tests.
func (r *MemoryRegistry) Expire() {
	m := r.store
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(r.records) == 0 {
		return
	}
	for _, rec := range r.records {
		m.loseLocked(rec)
	}
	m.commitLocked()
	m.leases++
	r.lease = m.leases
	r.registrations++
	for name := range r.records {
		m.settleLocked(name)
	}
	m.commitLocked()
}

// Close takes back this process's records; see [Registry]. It does not wait for
// watches to return.
func (r *MemoryRegistry) Close(ctx context.Context) error {
	m := r.store
	m.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.done)
	}
	for name, rec := range r.records {
		rec.withdrawn = true
		m.settleLocked(name)
	}
	m.commitLocked()
	for len(r.records) > 0 {
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return fmt.Errorf("close: %w: %w", ErrUnavailable, ctx.Err())
		case <-changed:
		}
		m.mu.Lock()
	}
	m.mu.Unlock()
	return nil
}

// reach calls act with the store locked and in reach, and commits what it did.
// When ctx ends before that it calls missed, also locked.
func (r *MemoryRegistry) reach(ctx context.Context, act func() error, missed func()) error {
	m := r.store
	for {
		m.mu.Lock()
		switch {
		case r.closed:
			m.mu.Unlock()
			return ErrClosed
		case ctx.Err() != nil:
			missed()
			m.mu.Unlock()
			return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		case m.outage == nil:
			err := act()
			if r.registrations == 0 && len(r.records) > 0 {
				r.registrations = 1
			}
			m.commitLocked()
			m.mu.Unlock()
			return err
		}
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-r.done:
		case <-changed:
		}
	}
}
