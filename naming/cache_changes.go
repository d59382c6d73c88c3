package naming

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Change is what became of one name. A Change with neither Old nor New does not
// occur.
type Change struct {
	Name Name
	// Old is what the same caller was told before; nil for a name that is new
	// to it.
	Old *Entry
	// New is what is known now; nil when nothing is registered any more.
	New *Entry
}

// Changes yields what is known of the names that start with prefix, once the
// first listing has arrived, and then each change, until ctx ends or the cache
// is closed; Ready tells why a listing does not arrive. Names of one moment come sorted. A caller that takes its time
// misses steps, never outcomes: it is told the latest of each name that changed
// meanwhile, once.
func (c *Cache) Changes(ctx context.Context, prefix string) iter.Seq[Change] {
	return func(yield func(Change) bool) {
		if c.await(ctx) != nil {
			return
		}
		s := c.subscribe(func(n Name) bool { return strings.HasPrefix(string(n), prefix) })
		defer c.unsubscribe(s)
		told := make(map[Name]*Entry)
		for {
			for _, name := range c.takeDirty(s) {
				change := Change{Name: name, Old: told[name], New: c.names.get(name)}
				if change.Old == change.New {
					continue
				}
				if change.New != nil {
					told[name] = change.New
				} else {
					delete(told, name)
				}
				if c.isClosed() || ctx.Err() != nil || !yield(change) {
					return
				}
			}
			select {
			case <-s.wake:
			case <-c.closed:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// Wait returns the entry of name as soon as it has an instance that can be
// called. When ctx ends first, the error is ctx's, and also an
// [ErrNotFound], or an [ErrUnavailable] when the registry has not been reached.
func (c *Cache) Wait(ctx context.Context, name Name) (*Entry, error) {
	if err := c.await(ctx); err != nil {
		return nil, fmt.Errorf("wait for %q: %w", name, err)
	}
	s := c.subscribe(func(n Name) bool { return n == name })
	defer c.unsubscribe(s)
	for {
		c.takeDirty(s)
		e := c.names.get(name)
		if e != nil && len(e.Callable()) > 0 {
			return e, nil
		}
		select {
		case <-s.wake:
		case <-c.closed:
			return nil, fmt.Errorf("wait for %q: %w", name, ErrClosed)
		case <-ctx.Done():
			if e != nil {
				return nil, fmt.Errorf("wait for %q: every instance is on standby: %w: %w", name, ErrNotFound, ctx.Err())
			}
			missing := &NotFoundError{Name: name, Similar: c.speller.similar(c.names, name)}
			return nil, fmt.Errorf("wait: %w: %w", ctx.Err(), missing)
		}
	}
}

// subscriber is one caller who follows changes. What it has not taken yet is
// bounded by the number of names.
type subscriber struct {
	match func(Name) bool
	wake  chan struct{}     // holds a token while dirty has something
	dirty map[Name]struct{} // guarded by Cache.mu
}

// subscribe adds a subscriber to whom every name that there is is a change.
func (c *Cache) subscribe(match func(Name) bool) *subscriber {
	s := &subscriber{match: match, wake: make(chan struct{}, 1), dirty: make(map[Name]struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := range c.names.all() {
		s.noteLocked(e.Name)
	}
	c.subscribers[s] = true
	return s
}

func (c *Cache) unsubscribe(s *subscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.subscribers, s)
}

// notifyLocked tells the subscribers that name has changed.
func (c *Cache) notifyLocked(name Name) {
	for s := range c.subscribers {
		s.noteLocked(name)
	}
}

func (s *subscriber) noteLocked(name Name) {
	if !s.match(name) {
		return
	}
	s.dirty[name] = struct{}{}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// takeDirty returns the names that changed since it was last called, sorted.
func (c *Cache) takeDirty(s *subscriber) []Name {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]Name, 0, len(s.dirty))
	for name := range s.dirty {
		names = append(names, name)
	}
	clear(s.dirty)
	slices.Sort(names)
	return names
}

func (c *Cache) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}
