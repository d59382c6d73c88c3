package naming_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/naming"
)

// guarded are the options of a cache that doubts its registry for 4 s, and at
// most 6.
var guarded = naming.CacheOptions{ConfirmAfter: 4 * time.Second}

const (
	beforeSecondLook = 4*time.Second - 1
	afterSecondLook  = 2*time.Second + 2 // after beforeSecondLook
)

// held fails the test unless the cache keeps n instances against the registry.
func (c *cached) held(when string, n int) {
	c.Helper()
	synctest.Wait()
	if got := c.cache.Stats().Guarded; got != n {
		c.Errorf("%s: %d instances are guarded, want %d", when, got, n)
	}
}

func TestGuardKeepsTheLastLivingInstanceUntilConfirmed(t *testing.T) {
	for _, how := range []string{"delete", "reset"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, guarded, func(c *cached) {
				a := instance(c, "n", "a")
				c.live(true, "a")
				c.reg.reset(a)
				c.nodes("at first", "n", "a")
				if how == "reset" {
					c.reg.reset()
				} else {
					c.reg.delete(a)
				}
				c.nodes("just after", "n", "a")
				pass(beforeSecondLook)
				c.nodes("shortly before the second look", "n", "a")
				c.held("shortly before the second look", 1)
				pass(afterSecondLook)
				c.nodes("after the second look", "n")
				c.held("after the second look", 0)
				if n := c.reg.watches.Load(); n != 2 {
					c.Errorf("the registry was listed %d times, want twice", n)
				}
			})
		})
	}
}

func TestGuardBelievesTheRegistryAtOnce(t *testing.T) {
	for _, tt := range []struct {
		what  string
		nodes []naming.NodeID // alive
		put   []naming.NodeID
		del   []naming.NodeID
		state naming.State
		want  []naming.NodeID
	}{
		{"when the instance is dead", nil, []naming.NodeID{"a"}, []naming.NodeID{"a"}, naming.StateLive, nil},
		{"when the instance was draining", []naming.NodeID{"a"}, []naming.NodeID{"a"}, []naming.NodeID{"a"}, naming.StateDraining, nil},
		{"when the instance was on standby", []naming.NodeID{"a"}, []naming.NodeID{"a"}, []naming.NodeID{"a"}, naming.StateStandby, nil},
		{"when others are left", []naming.NodeID{"a", "b"}, []naming.NodeID{"a", "b"}, []naming.NodeID{"a"}, naming.StateLive, []naming.NodeID{"b"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			inBubble(t, guarded, func(c *cached) {
				c.reg.reset()
				c.live(true, tt.nodes...)
				for _, n := range tt.put {
					c.reg.put(instance(c, "n", n, inState(tt.state)))
				}
				for _, n := range tt.del {
					c.reg.delete(instance(c, "n", n))
				}
				c.nodes("just after", "n", tt.want...)
				c.held("just after", 0)
			})
		})
	}
}

func TestGuardLetsGoOfTheDeadAmongTheLast(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		c.live(true, "b")
		c.reg.reset(instance(c, "n", "a"), instance(c, "n", "b"), instance(c, "n", "c"))
		c.reg.reset()
		c.nodes("after an empty listing", "n", "b")
	})
}

func TestGuardEndsWhenTheInstanceDies(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		c.live(true, "a", "b")
		c.reg.reset(instance(c, "n", "a"), instance(c, "n", "b"))
		c.reg.reset()
		c.nodes("just after", "n", "a", "b")
		c.live(false, "a")
		pass(time.Second)
		c.nodes("a second after a died", "n", "b")
		pass(time.Second)
		c.nodes("another second later", "n", "b")
		c.live(false, "b")
		pass(time.Second)
		c.nodes("a second after b died", "n")
		if n := c.reg.watches.Load(); n != 1 {
			c.Errorf("the registry was listed %d times, want once", n)
		}
	})
}

func TestGuardEndsWhenTheNameHasAnotherInstance(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		c.live(true, "a")
		old := instance(c, "n", "a", inMode(naming.ModeExclusive))
		waiting := instance(c, "n", "b", inMode(naming.ModeStandby), inState(naming.StateStandby))
		c.reg.reset(old, waiting)
		c.reg.delete(old)
		e := c.nodes("between owners", "n", "a", "b")
		if got := e.Callable(); len(got) != 1 || got[0].Node != "a" {
			c.Errorf("callable between owners are %+v, want a", got)
		}
		c.reg.put(instance(c, "n", "b", inMode(naming.ModeStandby)))
		e = c.nodes("with a new owner", "n", "b")
		if got := e.Callable(); len(got) != 1 || got[0].Node != "b" {
			c.Errorf("callable with a new owner are %+v, want b", got)
		}
		c.held("with a new owner", 0)
	})
}

func TestGuardDoubtsAListingThatLacksMostInstances(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		var all, few []naming.Instance
		for i := range 10 {
			name := naming.Name(fmt.Sprintf("n%d", i%5))
			inst := instance(c, name, naming.NodeID(fmt.Sprintf("node%d", i)))
			c.live(true, inst.Node)
			all = append(all, inst)
			if i < 5 {
				few = append(few, inst) // one of two of each name
			}
		}
		c.reg.reset(all...)
		c.reg.reset(few...)
		c.held("with half of all", 0) // five of ten is not more than half
		c.nodes("with half of all", "n0", "node0")

		c.reg.reset(all...)
		c.reg.reset(few[:4]...)
		c.held("with less than half", 6)
		c.nodes("with less than half", "n0", "node0", "node5")
		c.nodes("with less than half", "n4", "node4", "node9")
		c.reg.put(instance(c, "n0", "other"))
		c.nodes("when an instance joins", "n0", "node0", "node5", "other")
		pass(beforeSecondLook + afterSecondLook)
		c.held("after the second look", 0)
		c.nodes("after the second look", "n0", "node0", "other")
		c.nodes("after the second look", "n4")
		if st := c.cache.Stats(); st.Names != 4 || st.Instances != 5 {
			c.Errorf("stats are %+v, want 4 names, 5 instances", st)
		}
	})
}

func TestGuardIsNotProlongedByMoreOfTheSame(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		a := instance(c, "n", "a")
		c.live(true, "a")
		c.reg.reset(a)
		for range 8 { // the second look is after 4 to 6 s
			c.reg.reset()
			c.reg.delete(a)
			pass(time.Second)
		}
		c.nodes("after eight seconds of empty listings", "n")
	})
}

func TestGuardEndsWhenTheInstanceIsBack(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		a := instance(c, "n", "a")
		c.live(true, "a")
		c.reg.reset(a)
		before := c.nodes("at first", "n", "a")
		c.reg.delete(a)
		c.held("after the deletion", 1)
		c.reg.put(a)
		if c.nodes("when it is back", "n", "a") != before {
			c.Error("the entry changed, although what it shows never did")
		}
		c.held("when it is back", 0)
		pass(time.Minute)
		c.nodes("a minute later", "n", "a")
		if n := c.reg.watches.Load(); n != 1 {
			c.Errorf("the registry was listed %d times, want once", n)
		}
	})
}

func TestGuardHoldsOnToWhatTheSecondLookFinds(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		a := instance(c, "n", "a")
		c.live(true, "a")
		c.reg.reset(a)
		c.reg.reset()
		synctest.Wait()
		c.reg.mu.Lock()
		c.reg.truth[a.Key()] = a
		c.reg.mu.Unlock()
		pass(beforeSecondLook + afterSecondLook)
		c.nodes("after a second look that finds it", "n", "a")
		c.held("after a second look that finds it", 1)
		c.reg.mu.Lock()
		clear(c.reg.truth)
		c.reg.mu.Unlock()
		pass(beforeSecondLook + afterSecondLook)
		c.nodes("after a third look that does not", "n")
	})
}

func TestGuardHoldsOnWhileTheRegistryIsAway(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		a, b := instance(c, "n", "a"), instance(c, "m", "b")
		c.live(true, "a", "b")
		c.reg.reset(a, b)
		c.reg.answer = make(chan struct{})
		c.reg.delete(a)
		c.reg.say(naming.Update{Err: errors.New("away")})
		pass(time.Hour)
		c.nodes("an hour into the outage", "n", "a")
		c.reg.delete(b)                                // after the second look began
		c.held("when another went in the meantime", 2) // and before it is answered
		close(c.reg.answer)
		c.nodes("once the registry answers", "n")
		c.nodes("once the registry answers", "m", "b")
		pass(beforeSecondLook + afterSecondLook)
		c.nodes("after a look of its own", "m")
	})
}

func TestGuardAppliesNewIncarnationsAtOnce(t *testing.T) {
	inBubble(t, guarded, func(c *cached) {
		c.live(true, "a")
		c.reg.reset(instance(c, "n", "a"))
		c.reg.reset()
		c.held("after an empty listing", 1)
		c.reg.put(instance(c, "n", "a", func(i *naming.Instance) { i.Incarnation = 2 }))
		e := c.nodes("after the node started again", "n", "a")
		if e.Instances[0].Incarnation != 2 {
			c.Errorf("the entry shows incarnation %d, want 2", e.Instances[0].Incarnation)
		}
		c.held("after the node started again", 0)
	})
}
