package etcd

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"farcall.dev/naming"
)

// maxPending bounds what waits for a Watch whose fn is slow, in instances and
// in updates. At the bound all of it is dropped, and a listing takes its place.
const maxPending = 1 << 16

// subscription is the sink of one call of Watch: it makes updates of what the
// watcher brings, and keeps them until Watch's goroutine takes them.
type subscription struct {
	keys layout
	log  *slog.Logger
	// limit is maxPending, but for tests.
	limit int
	full  func() // tells the watcher that overflown has something to say
	wake  chan struct{}

	mu      sync.Mutex
	pending []naming.Update // guarded by mu
	size    int             // guarded by mu; instances in pending
	dropped bool            // guarded by mu; overflown has not said so yet
	rev     naming.Revision // guarded by mu; that of the last update made
	time    time.Time       // guarded by mu; when etcd last said anything
}

var _ sink = (*subscription)(nil)

// take returns the updates that wait.
func (s *subscription) take() []naming.Update {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.pending
	s.pending, s.size = nil, 0
	return all
}

func (s *subscription) reset(items []item, rev int64) {
	u := s.update(items)
	u.Reset, u.Delete, u.Revision, u.Committed = true, nil, naming.Revision(rev), time.Time{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending, s.size, s.dropped, s.rev = nil, 0, false, u.Revision
	s.pushLocked(u)
}

func (s *subscription) change(items []item, rev int64) {
	u := s.update(items)
	u.Revision = naming.Revision(rev)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushLocked(u)
}

func (s *subscription) confirm(rev int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := naming.Update{Revision: naming.Revision(rev), Time: time.Now()}
	if n := len(s.pending); n > 0 && s.pending[n-1].Err == nil {
		// The last update that waits can say as much.
		last := &s.pending[n-1]
		last.Time = u.Time
		s.time = u.Time
		if last.Revision < u.Revision && !last.Reset && len(last.Put)+len(last.Delete) == 0 {
			last.Revision, s.rev = u.Revision, u.Revision
		}
		return
	}
	s.pushLocked(u)
}

func (s *subscription) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := naming.Update{Revision: s.rev, Time: s.time, Err: err}
	if n := len(s.pending); n > 0 && s.pending[n-1].Err != nil {
		s.pending[n-1] = u
		return
	}
	s.pushLocked(u)
}

func (s *subscription) overflown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.dropped
	s.dropped = false
	return was
}

// pushLocked appends u, or drops everything when there is too much.
func (s *subscription) pushLocked(u naming.Update) {
	n := len(u.Put) + len(u.Delete)
	switch {
	case s.dropped:
		return // a listing will follow
	case !u.Reset && (s.size+n > s.limit || len(s.pending) >= s.limit):
		s.pending, s.size, s.dropped = nil, 0, true
		s.log.Warn("a watch is slow to take in changes; it will be sent a listing instead")
		s.full()
		return
	}
	u.Revision = max(u.Revision, s.rev)
	s.rev = u.Revision
	if u.Err == nil {
		s.time = u.Time
	}
	s.pending = append(s.pending, u)
	s.size += n
	poke(s.wake)
}

// update makes an Update of items. A value that cannot be used is logged, and
// counts as deleted: whatever stood under its key does no longer.
func (s *subscription) update(items []item) naming.Update {
	u := naming.Update{Time: time.Now()}
	for _, it := range items {
		space, key, ok := s.keys.parse(it.key)
		if !ok || space != instances {
			s.log.Warn("skipped a key that names no instance", "key", clip(it.key))
			continue
		}
		if it.deleted {
			u.Delete = append(u.Delete, key)
			continue
		}
		inst, written, err := decode(key, it.value)
		if err != nil {
			s.log.Warn("skipped an instance that cannot be read", "key", clip(it.key), "revision", it.mod, "err", err)
			u.Delete = append(u.Delete, key)
			continue
		}
		u.Put = append(u.Put, inst)
		if written.After(u.Committed) {
			u.Committed = written
		}
	}
	return u
}

// clip returns s, or its beginning, for a log.
func clip(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:most], len(s))
}
