package naming

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"
)

// How a Cache follows its registry.
//
// One goroutine sits in Registry.Watch and hands each Update to another, run,
// which alone changes the table of names and the set of held instances; a third
// is there for the moment of a second look. What the registry says of a name is
// at all times the name's entry without the held instances, so nothing is kept
// twice.
//
// A change that would take away what connections prove to be there is the
// guard's business (guard). It is decided name by name, each time a name
// changes, from what the registry says now: as soon as the registry knows a
// callable instance of the name again, the held ones go. So a name with an
// owner never shows two because of the guard.

// hold is an instance that is served although the registry no longer lists it.
type hold struct {
	inst  Instance
	since time.Time
	// mass says that it went with more than half of all, so that others under
	// its name do not replace it.
	mass bool
}

// pulses is how often, in ConfirmAfter, a held instance is asked for signs of
// life.
const pulses = 5

// watch follows the registry until the cache is closed.
func (c *Cache) watch(ctx context.Context, updates chan<- Update) {
	err := c.registry.Watch(ctx, c.opts.Prefix, 0, func(u Update) {
		select {
		case updates <- u:
		case <-ctx.Done():
		}
	})
	if ctx.Err() != nil {
		return
	}
	// The registry was closed, or is no Registry. What is known still stands.
	c.log.Error("watch of the registry ended", slog.Any("err", err))
	c.mu.Lock()
	c.stats.Err = fmt.Errorf("watch of the registry ended: %w", err)
	c.mu.Unlock()
	close(c.ended)
}

// run takes in what the registry says, and looks again when it is in doubt.
func (c *Cache) run(ctx context.Context, updates <-chan Update) {
	var (
		looks   = make(chan second)
		looking bool
		timer   <-chan time.Time // set while instances are held and none is looking
		pulse   <-chan time.Time // set while instances are held
	)
	for {
		switch {
		case len(c.held) == 0:
			timer, pulse = nil, nil
		case timer == nil && !looking:
			timer = time.After(c.untilLook())
		}
		if pulse == nil && len(c.held) > 0 {
			pulse = time.After(c.opts.ConfirmAfter / pulses)
		}
		select {
		case <-ctx.Done():
			return
		case u := <-updates:
			c.step(u)
		case <-pulse:
			pulse = nil
			c.release(func(h *hold) bool { return !c.opts.Alive(h.inst) })
		case <-timer:
			timer, looking = nil, true
			start := time.Now()
			c.work.Go(func() { c.look(ctx, start, looks) })
		case second := <-looks:
			looking = false
			c.confirm(second)
		}
	}
}

// step takes in one update.
func (c *Cache) step(u Update) {
	if u.Err != nil {
		c.mu.Lock()
		lost := c.stats.Err == nil
		c.stats.Err = u.Err
		c.mu.Unlock()
		if lost {
			c.log.Warn("registry is out of touch; serving what was last seen", slog.Any("err", u.Err))
		}
		return
	}
	truth := make(map[Name][]Instance)
	said := func(name Name) []Instance {
		if list, ok := truth[name]; ok {
			return list
		}
		return c.truthOf(name)
	}
	if u.Reset {
		for e := range c.names.all() {
			truth[e.Name] = nil
		}
	}
	for _, key := range u.Delete {
		truth[key.Name] = slices.DeleteFunc(said(key.Name), func(i Instance) bool { return i.Node == key.Node })
	}
	for _, inst := range u.Put {
		list := said(inst.Name)
		if !u.Reset { // where each is there once
			list = slices.DeleteFunc(list, func(i Instance) bool { return i.Node == inst.Node })
		}
		truth[inst.Name] = append(list, inst)
	}
	kept := c.guard(truth, u.Reset)

	held := len(c.held)
	c.mu.Lock()
	c.commitLocked(truth, kept, u.Revision)
	found := c.stats.Err != nil
	c.stats.Err, c.stats.Revision, c.confirmed = nil, u.Revision, u.Time
	if !u.Committed.IsZero() {
		c.stats.Lag = u.Time.Sub(u.Committed)
	}
	if u.Reset {
		c.stats.Resets++
	}
	first := u.Reset && !c.stats.Listed
	c.stats.Listed = c.stats.Listed || first
	c.mu.Unlock()

	if first {
		close(c.listed)
	}
	if found {
		c.log.Info("registry is in touch again", slog.Int64("revision", int64(u.Revision)))
	}
	if n := len(c.held) - held; n > 0 {
		c.log.Warn("registry no longer lists instances that still answer; keeping them until it says so again",
			slog.Int("instances", n))
	}
}

// truthOf returns what the registry last said of name, in a slice of the
// caller's own.
func (c *Cache) truthOf(name Name) []Instance {
	e := c.names.get(name)
	if e == nil {
		return nil
	}
	list := make([]Instance, 0, len(e.Instances)+1)
	for _, inst := range e.Instances {
		if _, held := c.held[inst.Key()]; !held {
			list = append(list, inst)
		}
	}
	return list
}

// guard returns the instances to be served on although truth, what the registry
// now says of the names that changed, has them no longer.
func (c *Cache) guard(truth map[Name][]Instance, reset bool) map[Key]hold {
	if c.opts.Alive == nil {
		return nil
	}
	now := time.Now()
	gone := make(map[Name][]Instance) // served so far, and about to go
	total, lost := 0, 0
	for name, list := range truth {
		e := c.names.get(name)
		if e == nil {
			continue
		}
		for _, inst := range e.Instances {
			total++
			if inst.State == StateLive && !hasNode(list, inst.Node) {
				gone[name] = append(gone[name], inst)
				lost++
			}
		}
	}
	mass := reset && lost*2 > total
	kept := make(map[Key]hold)
	for name, instances := range gone {
		served := slices.ContainsFunc(truth[name], func(i Instance) bool { return i.State != StateStandby })
		for _, inst := range instances {
			h, again := c.held[inst.Key()]
			if !again {
				h.inst, h.since = inst, now
			}
			h.mass = h.mass || mass
			if served && !(h.mass && inst.Mode == ModeShared) {
				continue
			}
			if again || c.opts.Alive(inst) {
				kept[inst.Key()] = h
			}
		}
	}
	return kept
}

// commitLocked makes the names in truth show what it says, and what is kept in
// spite of it.
func (c *Cache) commitLocked(truth map[Name][]Instance, kept map[Key]hold, revision Revision) {
	for name, list := range truth {
		e := c.names.get(name)
		was := 0
		if e != nil {
			was = len(e.Instances)
			for _, inst := range e.Instances {
				key := inst.Key()
				if h, ok := kept[key]; ok {
					c.held[key] = h
					list = append(list, inst)
				} else {
					delete(c.held, key)
				}
			}
		}
		slices.SortFunc(list, func(a, b Instance) int { return cmp.Compare(a.Node, b.Node) })
		switch {
		case e != nil && slices.EqualFunc(e.Instances, list, Instance.Equal):
			continue
		case len(list) == 0:
			c.names.delete(name)
		default:
			c.names.put(newEntry(name, list, revision))
		}
		c.stats.Instances += len(list) - was
		c.notifyLocked(name)
	}
}

// second is what a second look at the registry found.
type second struct {
	start  time.Time
	listed map[Key]bool // nil when the registry is closed
}

// untilLook returns how long to wait until the instance that is held longest
// has been held long enough.
func (c *Cache) untilLook() time.Duration {
	var first time.Time
	for _, h := range c.held {
		if first.IsZero() || h.since.Before(first) {
			first = h.since
		}
	}
	jitter := time.Duration(rand.Int64N(int64(c.opts.ConfirmAfter)/2 + 1))
	return time.Until(first.Add(c.opts.ConfirmAfter)) + jitter
}

// look asks the registry for everything, however long that takes.
func (c *Cache) look(ctx context.Context, start time.Time, looks chan<- second) {
	found := second{start: start}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	// The error is the end of within, or of the registry, which the watch tells.
	_ = c.registry.Watch(within, c.opts.Prefix, 0, func(u Update) {
		if u.Err != nil || !u.Reset || found.listed != nil {
			return
		}
		found.listed = make(map[Key]bool, len(u.Put))
		for _, inst := range u.Put {
			found.listed[inst.Key()] = true
		}
		cancel()
	})
	select {
	case looks <- found:
	case <-ctx.Done():
	}
}

// confirm lets go of the instances that had been held long enough when the
// second look began, and that it has not found. Those that it has found are
// about to come back by the watch, and are held on.
func (c *Cache) confirm(found second) {
	gone := c.release(func(h *hold) bool {
		if found.listed == nil || found.listed[h.inst.Key()] {
			h.since = found.start
			return false
		}
		return found.start.Sub(h.since) >= c.opts.ConfirmAfter
	})
	if gone > 0 {
		c.log.Info("registry confirmed that instances are gone", slog.Int("instances", gone))
	}
}

// release stops serving the held instances that goes picks, and returns how
// many those were.
func (c *Cache) release(goes func(*hold) bool) int {
	truth, kept := make(map[Name][]Instance), make(map[Key]hold)
	for key, h := range c.held {
		if _, ok := truth[key.Name]; !ok {
			truth[key.Name] = c.truthOf(key.Name)
		}
		if !goes(&h) {
			kept[key] = h
		}
	}
	gone := len(c.held) - len(kept)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commitLocked(truth, kept, c.stats.Revision)
	return gone
}

func hasNode(list []Instance, node NodeID) bool {
	return slices.ContainsFunc(list, func(i Instance) bool { return i.Node == node })
}
