package naming_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/naming"
)

func TestCacheResolvesWhatTheRegistryLists(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		b, a := instance(c, "n", "b"), instance(c, "n", "a")
		c.reg.reset(b, a)
		e := c.nodes("after the listing", "n", "a", "b")
		if e.Name != "n" || e.Revision != 2 {
			c.Errorf("the entry is %q at revision %d, want n at 2", e.Name, e.Revision)
		}
		c.reg.put(instance(c, "m", "a"))
		if again := c.nodes("after another name came", "n", "a", "b"); again != e {
			c.Error("the entry of an unchanged name changed")
		}
		c.reg.delete(b)
		c.nodes("after b left", "n", "a")
		c.reg.delete(a)
		c.nodes("after all left", "n")
		if len(e.Instances) != 2 {
			c.Error("an entry that was handed out has changed")
		}
	})
}

func TestCacheKeepsEntriesThatAResetDoesNotChange(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		c.reg.reset(instance(c, "n", "a", withTags("x")), instance(c, "m", "a"), instance(c, "gone", "a"))
		before := c.nodes("at first", "n", "a")
		c.reg.reset(instance(c, "n", "a", withTags("x")), instance(c, "m", "b"))
		if c.nodes("after the reset", "n", "a") != before {
			c.Error("the entry of an unchanged name changed")
		}
		c.nodes("after the reset", "m", "b")
		c.nodes("after the reset", "gone")
		if st := c.cache.Stats(); st.Resets != 2 || st.Names != 2 || st.Instances != 2 {
			c.Errorf("stats are %+v, want 2 resets, 2 names, 2 instances", st)
		}
	})
}

func TestCacheWaitsForTheFirstListing(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		ctx, cancel := context.WithTimeout(c.Context(), time.Second)
		defer cancel()
		if _, err := c.cache.Resolve(ctx, "n"); !errors.Is(err, naming.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			c.Errorf("before the registry answered: got %v, want ErrUnavailable and the context's error", err)
		}
		c.reg.say(naming.Update{Err: errors.New("no route to the registry")})
		synctest.Wait()
		if err := c.cache.Ready(ctx); !errors.Is(err, naming.ErrUnavailable) || !strings.Contains(err.Error(), "no route") {
			c.Errorf("got %v, want ErrUnavailable that says why", err)
		}
		got := make(chan error)
		go func() {
			_, err := c.cache.Resolve(c.Context(), "n")
			got <- err
		}()
		synctest.Wait()
		select {
		case err := <-got:
			c.Fatalf("Resolve returned %v before the first listing", err)
		default:
		}
		if c.cache.Stats().Listed {
			c.Error("stats say that the listing is there, want not")
		}
		c.reg.reset(instance(c, "n", "a"))
		if err := <-got; err != nil {
			c.Error(err)
		}
		if err := c.cache.Ready(ctx); err != nil || !c.cache.Stats().Listed {
			c.Errorf("after the listing Ready returned %v", err)
		}
	})
}

func TestCacheServesWhatItSawWhenTheRegistryIsAway(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		c.reg.reset(instance(c, "n", "a"))
		away := errors.New("away")
		c.reg.say(naming.Update{Err: away})
		pass(time.Hour)
		c.nodes("an hour into the outage", "n", "a")
		if st := c.cache.Stats(); !errors.Is(st.Err, away) || st.Age != time.Hour || st.Revision != 2 {
			c.Errorf("stats are %+v, want the error, an hour of age, revision 2", st)
		}
		c.reg.say(naming.Update{})
		c.nodes("after the outage", "n", "a")
		if st := c.cache.Stats(); st.Err != nil || st.Age != 0 {
			c.Errorf("stats are %+v, want no error, no age", st)
		}
	})
}

func TestCacheTellsTheLagOfTheLastChange(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		c.reg.reset()
		c.reg.say(naming.Update{Put: []naming.Instance{instance(c, "n", "a")}, Committed: time.Now().Add(-30 * time.Millisecond)})
		c.reg.say(naming.Update{})
		synctest.Wait()
		if got, want := c.cache.Stats().Lag, 30*time.Millisecond; got != want {
			c.Errorf("lag is %v, want %v", got, want)
		}
	})
}

func TestCacheDoesNotCallStandbys(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		owner := instance(c, "n", "a", inMode(naming.ModeExclusive))
		c.reg.reset(owner, instance(c, "n", "b", inMode(naming.ModeStandby), inState(naming.StateStandby)))
		e := c.nodes("with an owner", "n", "a", "b")
		if got := e.Callable(); len(got) != 1 || got[0].Node != "a" {
			c.Errorf("callable are %+v, want the owner only", got)
		}
		c.reg.delete(owner)
		if got := c.nodes("without an owner", "n", "b").Callable(); len(got) != 0 {
			c.Errorf("callable are %+v, want none", got)
		}
	})
}

func TestEntryCallable(t *testing.T) {
	live, draining, standby := naming.StateLive, naming.StateDraining, naming.StateStandby
	for _, tt := range []struct {
		states []naming.State
		want   int // instances, all of the best state
	}{
		{[]naming.State{live, live}, 2},
		{[]naming.State{live, draining, live}, 2},
		{[]naming.State{draining, draining}, 2},
		{[]naming.State{draining, standby}, 1},
		{[]naming.State{live, draining, standby}, 1},
		{[]naming.State{standby}, 0},
		{nil, 0},
	} {
		e := &naming.Entry{Name: "n"}
		for i, s := range tt.states {
			e.Instances = append(e.Instances, instance(t, "n", naming.NodeID('a'+rune(i)), inState(s)))
		}
		if got := len(e.Callable()); got != tt.want {
			t.Errorf("of %v, %d are callable, want %d", tt.states, got, tt.want)
		}
	}
}

func TestCacheLists(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		if got := c.cache.List(""); len(got) != 0 {
			c.Errorf("before the listing: %d entries, want none", len(got))
		}
		c.reg.reset(instance(c, "b", "n1", withTags("x", "y")), instance(c, "b", "n2", withTags("x")),
			instance(c, "a", "n1"), instance(c, "ab", "n1", withTags("y")))
		synctest.Wait()
		for _, tt := range []struct {
			prefix string
			tags   []string
			want   string
		}{
			{"", nil, "a:1 ab:1 b:2"},
			{"a", nil, "a:1 ab:1"},
			{"b", []string{"x"}, "b:2"},
			{"", []string{"y"}, "ab:1 b:1"},
			{"", []string{"x", "y"}, "b:1"},
			{"", []string{"z"}, ""},
			{"c", nil, ""},
		} {
			var got []string
			for _, e := range c.cache.List(tt.prefix, tt.tags...) {
				got = append(got, string(e.Name)+":"+string(rune('0'+len(e.Instances))))
			}
			if got := strings.Join(got, " "); got != tt.want {
				c.Errorf("List(%q, %q) is %q, want %q", tt.prefix, tt.tags, got, tt.want)
			}
		}
	})
}

func TestCacheKeepsToItsPrefix(t *testing.T) {
	store := naming.NewMemory()
	reg := store.Registry()
	defer reg.Close(t.Context())
	cache := naming.NewCache(reg, naming.CacheOptions{Prefix: "shop."})
	defer cache.Close()
	for _, name := range []naming.Name{"shop.cart", "other"} {
		if err := reg.Register(t.Context(), instance(t, name, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cache.Wait(t.Context(), "shop.cart"); err != nil {
		t.Fatal(err)
	}
	if got := cache.List(""); len(got) != 1 {
		t.Errorf("the cache has %d names, want 1", len(got))
	}
}

func TestCacheSuggestsSimilarNames(t *testing.T) {
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		c.reg.reset(instance(c, "greeting", "a"), instance(c, "meeting", "a"), instance(c, "add", "a"), instance(c, "shop.cart", "a"))
		synctest.Wait()
		for name, want := range map[naming.Name][]naming.Name{
			"greting": {"greeting", "meeting"}, "Greeting": {"greeting"}, "greetign": {"greeting"},
			"cart": {"shop.cart"}, "dad": {"add"}, "unlike anything": {}, "": nil,
		} {
			_, err := c.cache.Resolve(c.Context(), name)
			missing, ok := errors.AsType[*naming.NotFoundError](err)
			if !ok || !errors.Is(err, naming.ErrNotFound) || missing.Name != name || !slices.Equal(missing.Similar, want) {
				c.Errorf("Resolve(%q): got %v, want not found, similar %q", name, err, want)
			}
		}
	})
}

func TestCacheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newFakeRegistry()
		cache := naming.NewCache(reg, naming.CacheOptions{})
		waiting := make(chan error, 3)
		go func() { _, err := cache.Resolve(t.Context(), "n"); waiting <- err }()
		go func() { _, err := cache.Wait(t.Context(), "n"); waiting <- err }()
		go func() { waiting <- cache.Ready(t.Context()) }()
		synctest.Wait()
		cache.Close()
		cache.Close()
		for range cap(waiting) {
			if err := <-waiting; !errors.Is(err, naming.ErrClosed) {
				t.Errorf("a call that waited: got %v, want ErrClosed", err)
			}
		}
	})
	inBubble(t, naming.CacheOptions{}, func(c *cached) {
		c.reg.reset(instance(c, "n", "a"))
		c.nodes("before Close", "n", "a")
		c.cache.Close()
		if _, err := c.cache.Resolve(c.Context(), "n"); !errors.Is(err, naming.ErrClosed) {
			c.Errorf("Resolve after Close: got %v, want ErrClosed", err)
		}
		if got := c.cache.List(""); len(got) != 0 {
			c.Errorf("List after Close has %d entries, want none", len(got))
		}
		for range c.cache.Changes(c.Context(), "") {
			c.Error("Changes after Close yielded something")
		}
	})
}

// slowRegistry takes its time to end a watch.
type slowRegistry struct {
	naming.Registry
	ended bool
}

func (s *slowRegistry) Watch(ctx context.Context, _ string, _ naming.Revision, _ func(naming.Update)) error {
	<-ctx.Done()
	pass(time.Minute)
	s.ended = true
	return ctx.Err()
}

func TestCacheCloseWaitsForItsWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := &slowRegistry{}
		cache := naming.NewCache(reg, naming.CacheOptions{})
		cache.Close()
		if !reg.ended {
			t.Error("Close returned before the watch had")
		}
	})
}

func TestCacheOutlivesItsRegistry(t *testing.T) {
	store := naming.NewMemory()
	reg, other := store.Registry(), store.Registry()
	defer other.Close(t.Context())
	cache := naming.NewCache(reg, naming.CacheOptions{})
	defer cache.Close()
	if err := other.Register(t.Context(), instance(t, "n", "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Wait(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
	reg.Close(t.Context())
	if _, err := cache.Resolve(t.Context(), "n"); err != nil {
		t.Errorf("after the registry was closed: %v, want what was last seen", err)
	}

	early := naming.NewCache(reg, naming.CacheOptions{})
	defer early.Close()
	if _, err := early.Resolve(t.Context(), "n"); !errors.Is(err, naming.ErrClosed) {
		t.Errorf("over a closed registry: got %v, want ErrClosed", err)
	}
}
