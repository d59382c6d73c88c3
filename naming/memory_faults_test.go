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

// register registers inst and fails the test when that fails.
func register(t *testing.T, reg naming.Registry, inst naming.Instance) {
	t.Helper()
	if err := reg.Register(t.Context(), inst); err != nil {
		t.Fatal(err)
	}
}

func TestMemoryStatusTellsWhatCannotBePublished(t *testing.T) {
	store := naming.NewMemory()
	a, b := store.Registry(), store.Registry()
	defer a.Close(t.Context())
	register(t, a, instance(t, "n", "a", inMode(naming.ModeExclusive)))
	register(t, b, instance(t, "n", "b", inMode(naming.ModeStandby)))
	lease := a.Status().Lease
	a.Expire() // and b takes over
	st := a.Status()
	taken, ok := errors.AsType[*naming.TakenError](st.Err)
	if st.State != naming.StatusSuspect || !ok || taken.Owner != "b" || st.Records != 1 || st.Lease == lease {
		t.Errorf("status is %+v, want suspect, taken by b, 1 record, a new lease", st)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := a.Status(); st.State != naming.StatusLive || st.Err != nil {
		t.Errorf("after b left the status is %+v, want live", st)
	}
}

func TestMemoryOutageIsAKindOfUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := naming.NewMemory()
		a := store.Registry()
		register(t, a, instance(t, "n", "a"))
		cut := errors.New("cable cut")
		store.SetOutage(cut)
		if st := a.Status(); st.State != naming.StatusSuspect || !errors.Is(st.Err, cut) {
			t.Errorf("status is %+v, want suspect for the cable", st)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := a.Register(ctx, instance(t, "m", "a"))
		if !errors.Is(err, naming.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Register: got %v, want ErrUnavailable and the deadline", err)
		}
		var told error
		within, stop := context.WithCancel(t.Context())
		_ = a.Watch(within, "", 0, func(u naming.Update) { told = u.Err; stop() })
		if !errors.Is(told, cut) || !errors.Is(told, naming.ErrUnavailable) {
			t.Errorf("Watch told %v, want ErrUnavailable for the cable", told)
		}
		store.SetOutage(nil)
		if err := a.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestMemoryConfirmsToAnIdleWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := naming.NewMemory()
		a := store.Registry()
		cache := naming.NewCache(a, naming.CacheOptions{})
		pass(time.Hour)
		if age := cache.Stats().Age; age > time.Second {
			t.Errorf("after an idle hour the cache is %v old, want a second at most", age)
		}
		store.SetOutage(errors.New("away"))
		pass(time.Hour)
		if age := cache.Stats().Age; age < time.Hour-time.Second {
			t.Errorf("after an hour of outage the cache is %v old, want an hour", age)
		}
		cache.Close()
	})
}

// TestMemoryResetsAWatchThatIsFarBehind fills the history while a watcher is
// busy.
func TestMemoryResetsAWatchThatIsFarBehind(t *testing.T) {
	const steps = 5000 // more than is remembered
	store := naming.NewMemory()
	a := store.Registry()
	defer a.Close(t.Context())
	ctx, cancel := context.WithCancel(t.Context())
	busy, proceed := make(chan struct{}), make(chan struct{})
	var resets, updates, last int
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.Watch(ctx, "", 0, func(u naming.Update) {
			if updates++; updates == 1 {
				close(busy)
				<-proceed
				return
			}
			if u.Reset {
				resets++
			}
			for _, inst := range u.Put {
				if last = inst.Weight; last == steps {
					cancel()
				}
			}
		})
	}()
	<-busy
	for i := 1; i <= steps; i++ {
		register(t, a, instance(t, "n", "a", func(inst *naming.Instance) { inst.Weight = i }))
	}
	close(proceed)
	<-done
	if resets != 1 || updates > 3 || last != steps {
		t.Errorf("the watch had %d updates, %d of them Resets, and ended at %d; want one Reset to %d", updates, resets, last, steps)
	}
}

func TestMemoryDeletingTheUnknownDoesNothing(t *testing.T) {
	store := naming.NewMemory()
	a := store.Registry()
	defer a.Close(t.Context())
	register(t, a, instance(t, "n", "a"))
	before := a.Status()
	store.Delete(naming.Key{Name: "n", Node: "b"})
	store.Delete(naming.Key{Name: "m", Node: "a"})
	store.Registry().Expire()
	if st := a.Status(); st != before {
		t.Errorf("status went from %+v to %+v, want no change", before, st)
	}
}

// TestMemoryTwinsDoNotFight starts one node twice with one incarnation, which
// nobody should do: the later registration prevails, and stays.
func TestMemoryTwinsDoNotFight(t *testing.T) {
	store := naming.NewMemory()
	first, second := store.Registry(), store.Registry()
	register(t, first, instance(t, "n", "a"))
	register(t, second, instance(t, "n", "a", func(i *naming.Instance) { i.Version = "second" }))
	first.Expire()
	cache := naming.NewCache(second, naming.CacheOptions{})
	defer cache.Close()
	e, err := cache.Wait(t.Context(), "n")
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Instances) != 1 || e.Instances[0].Version != "second" {
		t.Errorf("the name has %+v, want the second's record only", e.Instances)
	}
	first.Close(t.Context())
	second.Close(t.Context())
}

// TestMemoryNewIncarnationKeepsThePlaceInTheLine starts a waiting node again.
func TestMemoryNewIncarnationKeepsThePlaceInTheLine(t *testing.T) {
	store := naming.NewMemory()
	var regs []*naming.MemoryRegistry
	for _, node := range []naming.NodeID{"a", "b", "c", "b"} {
		reg := store.Registry()
		defer reg.Close(t.Context())
		regs = append(regs, reg)
		register(t, reg, instance(t, "n", node, inMode(naming.ModeStandby), func(i *naming.Instance) {
			i.Incarnation = naming.Incarnation(len(regs))
		}))
	}
	regs[0].Close(t.Context())
	cache := naming.NewCache(regs[2], naming.CacheOptions{})
	defer cache.Close()
	e, err := cache.Wait(t.Context(), "n")
	if err != nil {
		t.Fatal(err)
	}
	if owner := e.Callable()[0]; owner.Node != "b" || owner.Incarnation != 4 {
		t.Errorf("the owner is %s, incarnation %d, want b, incarnation 4", owner.Node, owner.Incarnation)
	}
}

func TestMemoryWatchOfAnEndedContextSaysNothing(t *testing.T) {
	reg := naming.NewMemory().Registry()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := reg.Watch(ctx, "", 0, func(u naming.Update) { t.Errorf("told %+v", u) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Watch returned %v, want its context's error", err)
	}
}

// TestCacheOverMemory has processes come and go, in one mesh, and checks that
// every cache sees the same in the end.
func TestCacheOverMemory(t *testing.T) {
	store := naming.NewMemory()
	const count = 4
	var regs [count]*naming.MemoryRegistry
	var caches [count]*naming.Cache
	for i := range count {
		regs[i] = store.Registry()
		caches[i] = naming.NewCache(regs[i], naming.CacheOptions{})
		defer caches[i].Close()
	}
	for i, reg := range regs {
		node := naming.NodeID(fmt.Sprintf("node%d", i))
		register(t, reg, instance(t, "shared", node))
		register(t, reg, instance(t, "owned", node, inMode(naming.ModeStandby)))
	}
	register(t, regs[3], instance(t, "ready", "node3"))
	regs[0].Close(t.Context())
	regs[1].Expire()
	if err := regs[2].Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	register(t, regs[3], instance(t, "fence", "node3"))
	for i := 1; i < count; i++ {
		if _, err := caches[i].Wait(t.Context(), "fence"); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[naming.Name]struct{ instances, callable int }{
			"shared": {3, 2}, "owned": {3, 1}, "ready": {1, 1},
		} {
			e, err := caches[i].Resolve(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if len(e.Instances) != want.instances || len(e.Callable()) != want.callable {
				t.Errorf("cache %d has %d instances of %q, %d callable; want %d, %d",
					i, len(e.Instances), name, len(e.Callable()), want.instances, want.callable)
			}
		}
	}
	for i := 1; i < count; i++ {
		regs[i].Close(t.Context())
	}
}
