package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"farcall.dev/naming"
)

func TestWatchdogFindsADeadStream(t *testing.T) {
	t.Parallel() // it mostly waits
	w := newWorld(t)
	far := newWorldOn(t, w.server)
	far.keys = w.keys
	r := far.open()
	w.register(r, inst("n", "a", naming.ModeShared))
	v := view(t, w.open(), "")
	v.untilIs("n@a:live")
	w.proxy.swallow()
	// Nothing breaks and nothing comes: only the watchdog can tell.
	if err := v.untilErr(); !errors.Is(err, errSilent) && !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("the watch failed with %v, want a silence", err)
	}
	far.register(r, inst("m", "a", naming.ModeShared))
	if err := r.Unregister(far.context(), "n"); err != nil {
		t.Fatal(err)
	}
	w.proxy.mend(t)
	v.untilIs("m@a:live")
}

func TestCompactionWhileOutOfTouch(t *testing.T) {
	w := newWorld(t)
	far := newWorldOn(t, w.server)
	far.keys = w.keys
	r := far.open()
	w.register(r, inst("gone", "a", naming.ModeShared))
	w.register(r, inst("kept", "a", naming.ModeShared))
	v := view(t, w.open(), "")
	v.untilIs("gone@a:live kept@a:live")
	w.proxy.cut()
	v.untilErr()
	if err := r.Unregister(far.context(), "gone"); err != nil {
		t.Fatal(err)
	}
	far.compact()
	w.proxy.mend(t)
	v.untilIs("kept@a:live")
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.resets != 2 {
		t.Errorf("the watch had %d Resets, want two: its revision was compacted away", v.resets)
	}
}

func TestWatchResumesAfterACut(t *testing.T) {
	w := newWorld(t)
	far := newWorldOn(t, w.server)
	far.keys = w.keys
	r := far.open()
	w.register(r, inst("n", "a", naming.ModeShared))
	v := view(t, w.open(), "")
	v.untilIs("n@a:live")
	for i := range 3 {
		w.proxy.cut()
		v.untilErr()
		far.register(r, inst(naming.Name(fmt.Sprintf("n%d", i)), "a", naming.ModeShared))
		if err := r.Unregister(far.context(), "n"); err != nil && i == 0 {
			t.Fatal(err)
		}
		w.proxy.mend(t)
		v.until("the change", func() bool { return v.err == nil && len(v.view) == i+1 })
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.resets != 1 {
		t.Errorf("the watch had %d Resets, want one: it can resume", v.resets)
	}
}

func TestWatchAgreesWithEtcdAfterRandomFaults(t *testing.T) {
	const names, rounds = 8, 150
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	v := view(t, w.open(), "")
	good := `{"v":1,"kind":"object","state":"live","mode":"shared","weight":%d}`
	key := func(i int) string { return w.keys.key(instances, naming.Name(fmt.Sprint("n", i)), "a") }
	for i := range rounds {
		switch random.IntN(12) {
		case 0:
			w.proxy.cut()
		case 1:
			w.compact()
		case 2:
			w.put(w.keys.store(), fmt.Sprint("store ", i))
		case 3:
			w.proxy.mend(t)
		case 4, 5, 6:
			w.delete(key(random.IntN(names)))
		default:
			w.put(key(random.IntN(names)), fmt.Sprintf(good, i+1))
		}
	}
	w.proxy.mend(t)
	want := map[naming.Key]int{}
	g, err := w.client.Get(w.context(), w.keys.ofPrefix(instances, ""), prefixOption())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range g.Kvs {
		_, k, _ := w.keys.parse(string(kv.Key))
		i, _, err := decode(k, kv.Value)
		if err != nil {
			t.Fatal(err)
		}
		want[k] = i.Weight
	}
	v.until(fmt.Sprint(want), func() bool {
		same := v.err == nil && len(v.view) == len(want)
		for k, weight := range want {
			same = same && v.view[k].Weight == weight
		}
		return same
	})
}

func TestQuietWatchStaysConfirmed(t *testing.T) {
	w := newWorld(t)
	v := view(t, w.open(), "")
	v.untilIs("")
	var first time.Time
	v.until("a confirmation", func() bool { first = v.last.Time; return !first.IsZero() })
	// Nothing is written: what comes now answers requests for progress.
	v.until("a later confirmation", func() bool { return v.last.Err == nil && v.last.Time.Sub(first) > time.Second })
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.resets != 1 {
		t.Errorf("the watch had %d Resets, want one", v.resets)
	}
}

func TestUnreadableValuesAreSkipped(t *testing.T) {
	var logged lockedBuilder
	w := newWorld(t)
	r := openRegistry(t, Options{Endpoints: []string{w.proxy.addr}, Prefix: w.keys.prefix, TTL: testTTL,
		Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	good := `{"v":1,"kind":"object","state":"live","mode":"shared","weight":1}`
	w.put(w.keys.key(instances, "n", "bad"), "rubbish")
	w.put(w.keys.key(instances, "n", "good"), good)
	w.put(w.keys.prefix+"instances/odd", good)
	v := view(t, r, "")
	v.untilIs("n@good:live")
	w.put(w.keys.key(instances, "n", "good"), strings.Repeat("x", maxValue+1))
	v.untilIs("")
	w.put(w.keys.key(instances, "n", "bad"), good)
	v.untilIs("n@bad:live")
	for _, want := range []string{"instances/n/bad", "instances/odd", "bytes, and the most allowed"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("the log does not say %q: %s", want, logged.String())
		}
	}
}

func TestSlowWatchIsSentAListing(t *testing.T) {
	w := newWorld(t)
	r, other := w.open(), w.open()
	w.register(other, inst("n", "a", naming.ModeShared))
	s := &subscription{keys: w.keys, log: slog.New(slog.DiscardHandler), limit: 10,
		full: func() { poke(r.watcher.wake) }, wake: make(chan struct{}, 1)}
	f := r.watcher.add(w.keys.ofPrefix(instances, ""), true, 0, s)
	defer r.watcher.remove(f)
	until(t, "the listing", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.pending) > 0 })
	// Nobody takes anything: the changes do not fit, and a listing replaces them.
	for i := range 20 {
		w.register(other, inst(naming.Name(fmt.Sprintf("n%d", i)), "a", naming.ModeShared))
	}
	until(t, "a complete listing", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.size > 21+10 {
			t.Fatalf("%d instances wait, want no more than a listing and the limit", s.size)
		}
		return len(s.pending) > 0 && s.pending[0].Reset && len(s.pending[0].Put) >= 11
	})
	names := map[naming.Name]bool{}
	until(t, "everything", func() bool {
		for _, u := range s.take() {
			for _, i := range u.Put {
				names[i.Name] = true
			}
		}
		return len(names) == 21
	})
}

func TestLongListingIsPaged(t *testing.T) {
	const count = 2*pageSize + 7
	w := newWorld(t)
	ctx := w.context()
	for i := 0; i < count; i += 100 {
		w.fill(ctx, i, min(100, count-i))
	}
	v := view(t, w.open(), "")
	v.until("all of them", func() bool { return len(v.view) == count })
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.resets != 1 {
		t.Errorf("the listing came as %d Resets, want one", v.resets)
	}
}

func TestLag(t *testing.T) {
	w := newWorld(t)
	v := view(t, w.open(), "")
	v.untilIs("")
	before := time.Now().Truncate(time.Millisecond)
	w.register(w.open(), inst("n", "a", naming.ModeShared))
	var got naming.Update
	v.until("the change", func() bool { got = v.last; return len(v.view) == 1 && len(v.last.Put) == 1 })
	if got.Committed.Before(before) || got.Time.Before(got.Committed) {
		t.Errorf("committed %v and known %v, want both after %v, in that order", got.Committed, got.Time, before)
	}
}

func TestStoreIsToldByItsWord(t *testing.T) {
	w := newWorld(t)
	r := w.open()
	v := view(t, r, "")
	v.untilIs("")
	g, err := w.client.Get(w.context(), w.keys.store())
	if err != nil || len(g.Kvs) != 1 || len(g.Kvs[0].Value) < 16 {
		t.Fatalf("the store's word: got %v, %v, want one of 16 bytes at least", g, err)
	}
	// Another word is another store, as after the restoration of a backup.
	w.put(w.keys.store(), "another")
	w.proxy.cut()
	v.untilErr()
	w.proxy.mend(t)
	v.until("a listing", func() bool { return v.resets == 2 && v.err == nil })
}

func TestWatchEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	r := w.open()
	ctx, cancel := context.WithCancelCause(context.Background())
	err := r.Watch(ctx, "", 0, func(naming.Update) { cancel(errors.New("enough")) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	until(t, "no stream without watches", func() bool { return len(r.watcher.snapshot()) == 0 })
}

// lockedBuilder is a strings.Builder for several goroutines.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
