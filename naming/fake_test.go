package naming_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/naming"
)

// fakeRegistry lets a test say what the registry says. Its first Watch is the
// one that sends; each later one is a second look, and lists what the first
// amounts to, or what the test put in its place.
type fakeRegistry struct {
	naming.Registry
	updates chan naming.Update
	watches atomic.Int32
	answer  chan struct{} // closed while second looks are answered

	mu    sync.Mutex
	truth map[naming.Key]naming.Instance
	rev   naming.Revision
}

func newFakeRegistry() *fakeRegistry {
	f := &fakeRegistry{
		updates: make(chan naming.Update), answer: make(chan struct{}),
		truth: map[naming.Key]naming.Instance{}, rev: 1,
	}
	close(f.answer)
	return f
}

func (f *fakeRegistry) Watch(ctx context.Context, _ string, _ naming.Revision, fn func(naming.Update)) error {
	if f.watches.Add(1) > 1 {
		select {
		case <-f.answer:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
		u := naming.Update{Reset: true, Revision: f.rev, Time: time.Now()}
		for _, inst := range f.truth {
			u.Put = append(u.Put, inst)
		}
		f.mu.Unlock()
		fn(u)
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		select {
		case u := <-f.updates:
			fn(u)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// say sends u with the next revision, and keeps the truth by it.
func (f *fakeRegistry) say(u naming.Update) {
	f.mu.Lock()
	if u.Err == nil {
		f.rev++
		u.Revision, u.Time = f.rev, time.Now()
		if u.Reset {
			clear(f.truth)
		}
		for _, k := range u.Delete {
			delete(f.truth, k)
		}
		for _, inst := range u.Put {
			f.truth[inst.Key()] = inst
		}
	}
	f.mu.Unlock()
	f.updates <- u
}

func (f *fakeRegistry) reset(put ...naming.Instance) { f.say(naming.Update{Reset: true, Put: put}) }
func (f *fakeRegistry) put(put ...naming.Instance)   { f.say(naming.Update{Put: put}) }
func (f *fakeRegistry) delete(insts ...naming.Instance) {
	u := naming.Update{}
	for _, inst := range insts {
		u.Delete = append(u.Delete, inst.Key())
	}
	f.say(u)
}

// instance returns a normalized, shared, live record, as edit changes it.
func instance(t testing.TB, name naming.Name, node naming.NodeID, edit ...func(*naming.Instance)) naming.Instance {
	t.Helper()
	inst := naming.Instance{
		Name: name, Node: node, Incarnation: 1,
		Addrs: map[naming.Protocol]string{naming.ProtocolMesh: "127.0.0.1:7500"},
	}
	for _, e := range edit {
		e(&inst)
	}
	inst, err := inst.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	return inst
}

func inState(s naming.State) func(*naming.Instance) {
	return func(i *naming.Instance) { i.State = s }
}

func inMode(m naming.Mode) func(*naming.Instance) {
	return func(i *naming.Instance) { i.Mode = m }
}

func withTags(tags ...string) func(*naming.Instance) {
	return func(i *naming.Instance) { i.Tags = tags }
}

// cached is a bubble with a cache over a fakeRegistry.
type cached struct {
	*testing.T
	reg   *fakeRegistry
	cache *naming.Cache

	mu    sync.Mutex
	alive map[naming.NodeID]bool // guarded by mu
}

// live says whether the nodes have a healthy connection from now on.
func (c *cached) live(alive bool, nodes ...naming.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range nodes {
		c.alive[n] = alive
	}
}

func (c *cached) isAlive(i naming.Instance) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive[i.Node]
}

// inBubble runs test in a bubble of its own, with a cache that has not had its
// first listing.
func inBubble(t *testing.T, opts naming.CacheOptions, test func(c *cached)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cached{T: t, reg: newFakeRegistry(), alive: map[naming.NodeID]bool{}}
		if opts.ConfirmAfter > 0 {
			opts.Alive = c.isAlive
		}
		c.cache = naming.NewCache(c.reg, opts)
		defer c.cache.Close()
		test(c)
	})
}

// nodes fails the test unless the cache shows exactly these nodes under name.
func (c *cached) nodes(when string, name naming.Name, want ...naming.NodeID) *naming.Entry {
	c.Helper()
	synctest.Wait()
	e, err := c.cache.Resolve(c.Context(), name)
	if len(want) == 0 {
		if err == nil {
			c.Errorf("%s: %q has %d instances, want none", when, name, len(e.Instances))
		}
		return nil
	}
	if err != nil {
		c.Errorf("%s: %v, want %q on %q", when, err, name, want)
		return nil
	}
	var got []naming.NodeID
	for _, inst := range e.Instances {
		got = append(got, inst.Node)
	}
	if len(got) != len(want) {
		c.Errorf("%s: %q is on %q, want %q", when, name, got, want)
		return e
	}
	for i := range got {
		if got[i] != want[i] {
			c.Errorf("%s: %q is on %q, want %q", when, name, got, want)
		}
	}
	return e
}

// pass lets d go by on the clock of the bubble that it is called in.
func pass(d time.Duration) { <-time.After(d) }
