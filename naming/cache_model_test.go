package naming_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"farcall.dev/naming"
)

// TestCacheIsAMap sends a cache random updates and compares what it serves, and
// what a follower of its changes knows, with a naive map, after each.
func TestCacheIsAMap(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, naming.CacheOptions{}, func(c *cached) { runModel(c, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func runModel(c *cached, rnd *rand.Rand) {
	random := func() naming.Instance {
		states := []naming.State{naming.StateLive, naming.StateDraining, naming.StateStandby}
		return instance(c, naming.Name(fmt.Sprintf("name%d", rnd.IntN(12))), naming.NodeID(fmt.Sprintf("node%d", rnd.IntN(5))),
			inState(states[rnd.IntN(3)]), func(i *naming.Instance) { i.Weight = 1 + rnd.IntN(2) })
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	followed := map[naming.Name]*naming.Entry{} // read when the bubble is idle
	go func() {
		for ch := range c.cache.Changes(ctx, "") {
			if ch.Old != followed[ch.Name] {
				c.Errorf("the follower was told of %q from an entry it did not have", ch.Name)
			}
			if followed[ch.Name] = ch.New; ch.New == nil {
				delete(followed, ch.Name)
			}
		}
	}()
	model := map[naming.Key]naming.Instance{}
	for step := range 150 {
		var u naming.Update
		touched := map[naming.Key]bool{}
		if u.Reset = step == 0 || rnd.IntN(12) == 0; u.Reset {
			clear(model)
		}
		for range rnd.IntN(8) {
			if inst := random(); !touched[inst.Key()] {
				touched[inst.Key()] = true
				u.Put = append(u.Put, inst)
				model[inst.Key()] = inst
			}
		}
		for range rnd.IntN(8) {
			if key := random().Key(); !u.Reset && !touched[key] {
				touched[key] = true
				u.Delete = append(u.Delete, key) // known or not
				delete(model, key)
			}
		}
		c.reg.say(u)
		synctest.Wait()
		compare(c, step, model, followed)
	}
}

// compare fails the test unless the cache and its follower know what model has.
func compare(c *cached, step int, model map[naming.Key]naming.Instance, followed map[naming.Name]*naming.Entry) {
	c.Helper()
	got := map[naming.Key]naming.Instance{}
	entries := c.cache.List("")
	for _, e := range entries {
		if len(e.Instances) == 0 || !slices.IsSortedFunc(e.Instances, func(a, b naming.Instance) int {
			return int(slices.Compare([]byte(a.Node), []byte(b.Node)))
		}) {
			c.Fatalf("step %d: the instances of %q are none or not sorted", step, e.Name)
		}
		callable := (&naming.Entry{Instances: e.Instances}).Callable()
		if !slices.EqualFunc(e.Callable(), callable, naming.Instance.Equal) {
			c.Fatalf("step %d: callable of %q are %v, want %v", step, e.Name, e.Callable(), callable)
		}
		if r, err := c.cache.Resolve(c.Context(), e.Name); r != e || err != nil || followed[e.Name] != e {
			c.Fatalf("step %d: of %q, Resolve, List and Changes tell different entries", step, e.Name)
		}
		for _, inst := range e.Instances {
			got[inst.Key()] = inst
		}
	}
	if !maps.EqualFunc(got, model, naming.Instance.Equal) {
		c.Fatalf("step %d: the cache has\n%v\nwant\n%v", step, got, model)
	}
	if st := c.cache.Stats(); st.Names != len(entries) || st.Instances != len(model) || len(followed) != len(entries) {
		c.Fatalf("step %d: stats are %+v and the follower knows %d names, want %d names, %d instances",
			step, st, len(followed), len(entries), len(model))
	}
}
