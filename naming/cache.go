package naming

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cache is a [Resolver] that follows a [Registry] by one watch and answers from
// memory: Resolve of a known name takes no lock and allocates nothing. Its
// methods may be called from any number of goroutines.
//
// It serves what it last saw for as long as the registry is out of touch, and
// does not believe at once a registry that suddenly knows less than the
// connections do; see [CacheOptions.Alive].
type Cache struct {
	registry Registry
	opts     CacheOptions
	log      *slog.Logger
	speller  speller
	names    *table // written with mu held

	cancel context.CancelFunc // ends run and the watch
	closed chan struct{}      // closed by Close, first thing
	listed chan struct{}      // closed when the first listing is in names
	ended  chan struct{}      // closed when the watch ended by itself
	work   sync.WaitGroup

	mu          sync.Mutex
	stats       Stats                // guarded by mu; but for Names, Age and Guarded
	confirmed   time.Time            // guarded by mu; when the registry last confirmed
	subscribers map[*subscriber]bool // guarded by mu

	// held are the instances that the registry no longer lists and names still
	// has. Written by run only, with mu held.
	held map[Key]hold
}

var _ Resolver = (*Cache)(nil)

// CacheOptions tune a Cache. The zero value follows every name and believes the
// registry at once.
type CacheOptions struct {
	// Prefix limits the cache to names that start with it. Default: all.
	Prefix string
	// Alive says whether this process has a healthy connection to an instance.
	// When the registry stops listing the last callable instances of a name, or
	// a listing lacks more than half of all instances, those that are alive are
	// kept for ConfirmAfter, until a second listing confirms it, or until they
	// are no longer alive. An instance that was marked as draining before it went
	// is believed to have left, and so is one whose exclusive name has another
	// owner. Alive is called from one goroutine and must not block. Nil: the
	// registry is believed at once.
	Alive func(Instance) bool
	// ConfirmAfter is how long to wait before the second look, which is made up
	// to half as much later, so that not everybody looks at the same moment.
	// Zero: 5 s.
	ConfirmAfter time.Duration
	// Logger is told when the registry is lost and found again, and when
	// instances are kept in spite of it. Nil: discard.
	Logger *slog.Logger
}

// Stats is what a Cache knows of itself.
type Stats struct {
	// Names and Instances count what it serves.
	Names, Instances int
	// Guarded counts the Instances among them that the registry no longer lists.
	Guarded int
	// Revision is that of the registry's last update.
	Revision Revision
	// Listed says that the first listing has arrived.
	Listed bool
	// Age is the time since the registry last confirmed what the cache serves;
	// zero when it never did.
	Age time.Duration
	// Lag is how long the last change took from the registry to here, by the
	// clocks of both; zero when the registry does not tell.
	Lag time.Duration
	// Resets counts complete listings: the first, and one for each time that
	// the watch had to start over.
	Resets uint64
	// Err is why the cache is out of touch with the registry; nil when it is not.
	Err error
}

// NewCache starts to follow reg, which stays the caller's to close, preferably
// after the cache.
func NewCache(reg Registry, opts CacheOptions) *Cache {
	if opts.ConfirmAfter <= 0 {
		opts.ConfirmAfter = 5 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Cache{
		registry: reg, opts: opts, log: opts.Logger, names: newTable(), cancel: cancel,
		closed: make(chan struct{}), listed: make(chan struct{}), ended: make(chan struct{}),
		subscribers: map[*subscriber]bool{}, held: map[Key]hold{},
	}
	updates := make(chan Update)
	c.work.Go(func() { c.watch(ctx, updates) })
	c.work.Go(func() { c.run(ctx, updates) })
	return c
}

// Resolve returns what is known of name; see [Resolver]. When the registry can
// be reached neither now nor before ctx ends, and never could, the error is an
// [ErrUnavailable] that says why.
func (c *Cache) Resolve(ctx context.Context, name Name) (*Entry, error) {
	if e := c.names.get(name); e != nil {
		return e, nil
	}
	return c.resolveSlowly(ctx, name)
}

// Lookup returns what is known of name at this moment, or nil when that is
// nothing. Unlike Resolve it neither waits nor looks for similar names.
func (c *Cache) Lookup(name Name) *Entry { return c.names.get(name) }

// Ready waits until the first listing has arrived, so that what the cache knows
// is what there is. Errors: [ErrUnavailable] when ctx ends before that, saying
// why; [ErrClosed].
func (c *Cache) Ready(ctx context.Context) error {
	if err := c.await(ctx); err != nil {
		return fmt.Errorf("list the registry: %w", err)
	}
	return nil
}

// List returns a snapshot of the entries whose name starts with prefix, and of
// each the instances that carry all of tags, sorted by name and node. It does
// not wait: before the first listing, and after Close, it returns nothing.
func (c *Cache) List(prefix string, tags ...string) []*Entry {
	var all []*Entry
	c.mu.Lock()
	for e := range c.names.all() {
		if strings.HasPrefix(string(e.Name), prefix) {
			all = append(all, e)
		}
	}
	c.mu.Unlock()
	if len(tags) > 0 {
		all = withTags(all, tags)
	}
	slices.SortFunc(all, func(a, b *Entry) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Stats returns the present state of the cache.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.stats
	st.Names, st.Guarded = c.names.size, len(c.held)
	if !c.confirmed.IsZero() {
		st.Age = max(0, time.Since(c.confirmed))
	}
	return st
}

// Close ends the watch and waits for it. Calls that wait, and later ones, fail
// with [ErrClosed]. It may be called twice.
func (c *Cache) Close() {
	c.mu.Lock()
	select {
	case <-c.closed:
	default:
		close(c.closed)
		c.cancel()
	}
	c.mu.Unlock()
	c.work.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names.clear()
	c.stats.Instances = 0
	clear(c.held)
}

// resolveSlowly is Resolve for a name that is not in names.
func (c *Cache) resolveSlowly(ctx context.Context, name Name) (*Entry, error) {
	if err := c.await(ctx); err != nil {
		return nil, fmt.Errorf("resolve %q: %w", name, err)
	}
	if e := c.names.get(name); e != nil {
		return e, nil
	}
	return nil, &NotFoundError{Name: name, Similar: c.speller.similar(c.names, name)}
}

// await waits until the first listing has arrived.
func (c *Cache) await(ctx context.Context) error {
	select {
	case <-c.closed:
		return ErrClosed
	default:
	}
	select {
	case <-c.listed:
		return nil
	default:
	}
	select {
	case <-c.listed:
		return nil
	case <-c.closed:
		return ErrClosed
	case <-c.ended:
		return c.Stats().Err
	case <-ctx.Done():
		if why := c.Stats().Err; why != nil && !errors.Is(why, ErrUnavailable) {
			return fmt.Errorf("%w: %w (%w)", ErrUnavailable, why, ctx.Err())
		} else if why != nil {
			return fmt.Errorf("%w (%w)", why, ctx.Err())
		}
		return fmt.Errorf("%w: it has not answered yet (%w)", ErrUnavailable, ctx.Err())
	}
}

// withTags returns the entries that are left when only instances with tags
// count.
func withTags(entries []*Entry, tags []string) []*Entry {
	var kept []*Entry
	for _, e := range entries {
		some := slices.DeleteFunc(slices.Clone(e.Instances), func(i Instance) bool { return !i.HasTags(tags...) })
		switch len(some) {
		case 0:
		case len(e.Instances):
			kept = append(kept, e)
		default:
			kept = append(kept, newEntry(e.Name, some, e.Revision))
		}
	}
	return kept
}
