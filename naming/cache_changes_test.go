package naming_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/naming"
)

// describe puts a change in short: name, instances before and after.
func describe(ch naming.Change) string {
	count := func(e *naming.Entry) int {
		if e == nil {
			return 0
		}
		return len(e.Instances)
	}
	return fmt.Sprintf("%s %d->%d", ch.Name, count(ch.Old), count(ch.New))
}

func TestChangesTellWhatIsAndWhatBecomesOfIt(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		ctx, cancel := context.WithCancel(c.Context())
		got, ended := make(chan string), make(chan struct{})
		go func() {
			defer close(ended)
			for ch := range c.cache.Changes(ctx, "n") {
				got <- describe(ch)
			}
		}()
		expect := func(want ...string) {
			c.Helper()
			for _, w := range want {
				if g := <-got; g != w {
					c.Fatalf("told %q, want %q", g, w)
				}
			}
			synctest.Wait()
			select {
			case g := <-got:
				c.Fatalf("told %q, want nothing more", g)
			default:
			}
		}
		expect()
		n1, n2 := instance(c, "n1", "a"), instance(c, "n2", "a")
		c.reg.reset(n2, n1, instance(c, "other", "a"))
		expect("n1 0->1", "n2 0->1")
		c.reg.put(instance(c, "n1", "b"))
		expect("n1 1->2")
		c.reg.put(instance(c, "other", "b"), n1)
		expect()
		c.reg.delete(n2)
		expect("n2 1->0")

		// What happens while the caller is busy is told at the end of it.
		c.reg.put(instance(c, "n3", "a"))
		synctest.Wait() // the caller holds n3 out to the test
		for range 5 {
			c.reg.put(n2)
			c.reg.delete(n2)
			c.reg.put(instance(c, "n3", "b"))
			c.reg.delete(instance(c, "n1", "b"))
		}
		expect("n3 0->1", "n1 2->1", "n3 1->2")
		cancel()
		<-ended
	})
}

func TestChangesMayBeLeft(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		c.reg.reset(instance(c, "n1", "a"), instance(c, "n2", "a"))
		for range 2 {
			for ch := range c.cache.Changes(c.Context(), "") {
				if got, want := describe(ch), "n1 0->1"; got != want {
					c.Errorf("told %q, want %q", got, want)
				}
				break
			}
		}
	})
}

func TestWait(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
		defer cancel()
		type result struct {
			e   *naming.Entry
			err error
		}
		got := make(chan result, 1)
		go func() {
			e, err := c.cache.Wait(ctx, "n")
			got <- result{e, err}
		}()
		pending := func(when string) {
			c.Helper()
			synctest.Wait()
			if len(got) > 0 {
				c.Fatalf("%s: Wait returned %+v", when, <-got)
			}
		}
		pending("before the first listing")
		c.reg.reset()
		pending("before the name is registered")
		c.reg.put(instance(c, "name", "a"))
		pending("when another name came")
		waiting := instance(c, "n", "b", inMode(naming.ModeStandby), inState(naming.StateStandby))
		c.reg.put(waiting)
		pending("when nobody but a standby has the name")
		waiting.State = naming.StateLive
		c.reg.put(waiting)
		if r := <-got; r.err != nil || r.e.Callable()[0].Node != "b" {
			c.Errorf("got %+v, want the entry with b", r)
		}
		if e, err := c.cache.Wait(ctx, "n"); err != nil || e.Name != "n" {
			c.Errorf("of a name that is there: got %v, %v", e, err)
		}
		_, err := c.cache.Wait(ctx, "nowhere")
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, naming.ErrNotFound) {
			c.Errorf("when the context ends: got %v, want its error and ErrNotFound", err)
		}
	})
}
