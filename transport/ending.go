package transport

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// ending is why and that a session ended: set once, then read by anybody.
type ending struct {
	once sync.Once
	done chan struct{}
	err  error // written before done is closed, read after
}

func newEnding() *ending { return &ending{done: make(chan struct{})} }

// set makes err the cause and reports whether it was the first.
func (e *ending) set(err error) (first bool) {
	e.once.Do(func() {
		e.err = err
		close(e.done)
		first = true
	})
	return first
}

// Done is closed when the session has ended.
func (e *ending) Done() <-chan struct{} { return e.done }

// Err is the cause, nil while the session lives.
func (e *ending) Err() error {
	select {
	case <-e.done:
		return e.err
	default:
		return nil
	}
}

// signal is a channel that is closed once.
type signal struct {
	once sync.Once
	ch   chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

// fire closes the channel; the second time does nothing.
func (s *signal) fire() { s.once.Do(func() { close(s.ch) }) }

// fired reports whether fire was called.
func (s *signal) fired() bool {
	select {
	case <-s.ch:
		return true
	default:
		return false
	}
}

// backlog holds the streams that the peer opened and nobody has accepted yet.
// It has no bound of its own: the session's limit on streams is its bound.
type backlog[S any] struct {
	mu    sync.Mutex
	items []S           // guarded by mu
	ready chan struct{} // holds a token when items may be non-empty
}

func newBacklog[S any]() *backlog[S] { return &backlog[S]{ready: make(chan struct{}, 1)} }

// push adds a stream and never blocks.
func (b *backlog[S]) push(s S) {
	b.mu.Lock()
	b.items = append(b.items, s)
	b.mu.Unlock()
	b.notify()
}

// pop waits for a stream, for ctx, or for the end of the session.
func (b *backlog[S]) pop(ctx context.Context, end *ending) (S, error) {
	var none S
	for {
		if err := end.Err(); err != nil {
			return none, err
		}
		if s, ok := b.take(); ok {
			return s, nil
		}
		select {
		case <-b.ready:
		case <-ctx.Done():
			return none, ctx.Err()
		case <-end.done:
		}
	}
}

// take returns the oldest stream. When more are left it passes the token on.
func (b *backlog[S]) take() (S, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var none S
	if len(b.items) == 0 {
		return none, false
	}
	s := b.items[0]
	b.items[0] = none
	b.items = b.items[1:]
	if len(b.items) == 0 {
		b.items = nil
	} else {
		b.notify()
	}
	return s, true
}

func (b *backlog[S]) notify() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// roster is the set of streams that are open at one end of a session, each
// under a key of its own.
type roster[K comparable, S any] struct {
	mu     sync.Mutex
	all    map[K]S       // guarded by mu
	sealed bool          // guarded by mu; no stream joins any more
	empty  chan struct{} // guarded by mu; closed at the next moment all is empty
	total  uint64        // guarded by mu; streams that ever joined
}

// add enters s, unless the roster is sealed.
func (r *roster[K, S]) add(k K, s S) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sealed {
		return false
	}
	if r.all == nil {
		r.all = make(map[K]S)
	}
	r.all[k] = s
	r.total++
	return true
}

// get returns the stream under k.
func (r *roster[K, S]) get(k K) (S, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.all[k]
	return s, ok
}

// remove takes the stream under k out; the second time does nothing.
func (r *roster[K, S]) remove(k K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, k)
	if len(r.all) == 0 && r.empty != nil {
		close(r.empty)
		r.empty = nil
	}
}

// seal keeps further streams out and returns those that are open.
func (r *roster[K, S]) seal() []S {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sealed = true
	return slices.Collect(maps.Values(r.all))
}

// counts returns how many streams are open and how many ever were.
func (r *roster[K, S]) counts() (open int, total uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all), r.total
}

// wait returns nil when no stream is open or the session has ended, and else
// ctx's error.
func (r *roster[K, S]) wait(ctx context.Context, end *ending) error {
	r.mu.Lock()
	if len(r.all) == 0 {
		r.mu.Unlock()
		return nil
	}
	if r.empty == nil {
		r.empty = make(chan struct{})
	}
	empty := r.empty
	r.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-end.done:
		return nil
	}
}
