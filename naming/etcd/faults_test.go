package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"farcall.dev/internal/etcdserver"
	"farcall.dev/naming"
)

// recovery runs a fault's end, waits until r has registered once more than
// before and v shows want, and logs how long that took.
func (w *world) recovery(r *Registry, v *viewer, want string, before uint64, end func()) {
	w.t.Helper()
	end()
	began := time.Now()
	until(w.t, "registered again", func() bool {
		st := r.Status()
		return st.Registrations > before && st.State == naming.StatusLive
	})
	v.untilIs(want)
	w.t.Logf("registered again %v after the fault, with a TTL of %v", time.Since(began).Round(time.Millisecond), r.Status().TTL)
}

func TestLeaseRevoked(t *testing.T) {
	w := newWorld(t)
	r := w.open()
	w.register(r, inst("n", "a", naming.ModeShared))
	v := view(t, w.open(), "")
	v.untilIs("n@a:live")
	w.recovery(r, v, "n@a:live", 1, func() { w.revoke(r) })
}

func TestLeaseExpiredWhileNothingPassed(t *testing.T) {
	t.Parallel() // it mostly waits
	w := newWorld(t)
	r := w.open()
	w.register(r, inst("n", "a", naming.ModeShared))
	observer := newWorldOn(t, w.server)
	observer.keys = w.keys
	v := view(t, observer.open(), "")
	v.untilIs("n@a:live")
	w.proxy.swallow()
	until(t, "suspect", func() bool { return r.Status().State == naming.StatusSuspect })
	if err := r.Status().Err; err == nil {
		t.Error("a suspect registrar gives no reason")
	}
	v.untilIs("") // the lease has ended
	w.recovery(r, v, "n@a:live", 1, func() { w.proxy.mend(t) })
}

func TestShortSilenceCostsNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	w := newWorld(t)
	r := openRegistry(t, Options{Endpoints: []string{w.proxy.addr}, Prefix: w.keys.prefix, TTL: 4 * time.Second, Logger: testLog(t)})
	w.register(r, inst("n", "a", naming.ModeShared))
	lease := r.Status().Lease
	w.proxy.swallow()
	until(t, "an error", func() bool { return r.Status().Err != nil })
	w.proxy.mend(t)
	until(t, "live", func() bool { return r.Status().State == naming.StatusLive })
	if st := r.Status(); st.Lease != lease || st.Registrations != 1 {
		t.Errorf("status: got %+v, want the lease %x and no second registration", st, lease)
	}
}

// restartable is an etcd on ports and data of its own.
type restartable struct {
	t      testing.TB
	opts   etcdserver.Options
	server *etcdserver.Server
}

func newRestartable(t testing.TB) *restartable {
	e := &restartable{t: t, opts: devOptions()}
	e.opts.DataDir = t.TempDir()
	for _, addr := range []*[]string{&e.opts.ListenClient, &e.opts.ListenPeer} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*addr = []string{l.Addr().String()}
		l.Close()
	}
	e.start()
	t.Cleanup(func() { e.server.Close() })
	return e
}

func (e *restartable) start() {
	e.t.Helper()
	s, err := etcdserver.Start(context.Background(), e.opts)
	if err != nil {
		e.t.Fatal(err)
	}
	e.server = s
	awaitReady(e.t, s)
}

func TestRestartWithItsData(t *testing.T) {
	e := newRestartable(t)
	w := newWorldOn(t, e.server)
	r, other := w.open(), w.open()
	w.register(r, inst("n", "a", naming.ModeShared))
	w.register(r, inst("x", "a", naming.ModeExclusive))
	v := view(t, other, "")
	v.untilIs("n@a:live x@a:live")
	e.server.Close()
	v.untilErr()
	e.start()
	v.untilIs("n@a:live x@a:live")
	until(t, "live", func() bool { return r.Status().State == naming.StatusLive })
	v.mu.Lock()
	if v.resets != 1 {
		t.Errorf("the watch had %d Resets, want only the first: the store is the same and can be resumed", v.resets)
	}
	v.mu.Unlock()
	w.register(r, inst("m", "a", naming.ModeShared))
	v.untilIs("m@a:live n@a:live x@a:live")
}

func TestRestartWithoutItsData(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		t.Run(fmt.Sprintf("new store ahead of the old: %v", ahead), func(t *testing.T) {
			e := newRestartable(t)
			w := newWorldOn(t, e.server)
			r, other, ghost := w.open(), w.open(), w.open()
			w.register(r, inst("n", "a", naming.ModeShared))
			w.register(ghost, inst("n", "ghost", naming.ModeShared))
			v := view(t, other, "")
			v.untilIs("n@a:live n@ghost:live")

			w.proxy.cut()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			ghost.Close(ctx) // it never learns
			e.server.Close()
			e.opts.DataDir = t.TempDir()
			e.start()
			if ahead {
				// The revision at which the watch left off comes again, in another
				// history, before the watch is back.
				for i := range 50 {
					w.put(w.keys.prefix+"other/"+fmt.Sprint(i), "")
				}
				w.put(w.keys.key(instances, "new", "b"), `{"v":1,"kind":"object","state":"live","mode":"shared","weight":1}`)
				for i := range 50 {
					w.put(w.keys.prefix+"other/"+fmt.Sprint(i), "")
				}
			}
			w.proxy.mend(t)
			want := "n@a:live"
			if ahead {
				want = "n@a:live new@b:live"
			}
			v.untilIs(want)
			w.register(other, inst("m", "c", naming.ModeShared))
			v.untilIs("m@c:live " + want)
		})
	}
}

func TestRevisionOfALostStoreIsNotResumedFrom(t *testing.T) {
	t.Parallel() // it mostly waits
	e := newRestartable(t)
	w := newWorldOn(t, e.server)
	r := w.open()
	write := func() {
		for range 30 {
			w.put(w.keys.prefix+"other", "")
		}
	}
	write()
	v := view(t, r, "")
	v.untilIs("")
	var old naming.Revision
	v.until("a revision", func() bool { old = v.last.Revision; return v.last.Err == nil && old > 30 })
	e.server.Close()
	v.untilErr()
	e.opts.DataDir = t.TempDir()
	e.start()
	w.put(w.keys.key(instances, "n", "a"), `{"v":1,"kind":"object","state":"live","mode":"shared","weight":1}`)
	v.untilIs("n@a:live")
	write()
	v.until("a later revision", func() bool { return v.last.Err == nil && v.last.Revision > old })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := r.Watch(ctx, "", old, func(u naming.Update) {
		if u.Err == nil && (!u.Reset || len(u.Put) != 1) {
			t.Errorf("resumed from a revision of the lost store: got %+v, want a Reset with the instance", u)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestKeysDeletedByHand(t *testing.T) {
	t.Parallel() // it mostly waits
	w := newWorld(t)
	r := w.open()
	v := view(t, w.open(), "")
	w.register(r, inst("n", "a", naming.ModeShared))
	w.register(r, inst("x", "a", naming.ModeExclusive))
	for range 3 {
		for _, key := range []string{w.keys.key(instances, "n", "a"), w.keys.key(instances, "x", "a"), w.keys.key(owners, "x", "a")} {
			w.delete(key)
			until(t, "the key is back", func() bool {
				g, err := w.client.Get(w.context(), key)
				return err == nil && len(g.Kvs) == 1 && g.Kvs[0].Lease == r.Status().Lease
			})
		}
	}
	v.untilIs("n@a:live x@a:live")
}

func TestKeysOverwrittenByHand(t *testing.T) {
	t.Parallel() // it mostly waits
	w := newWorld(t)
	r := w.open()
	v := view(t, w.open(), "")
	w.register(r, inst("n", "a", naming.ModeShared))
	w.register(r, inst("x", "a", naming.ModeExclusive))
	v.untilIs("n@a:live x@a:live")
	copied := `{"v":1,"incarnation":1,"kind":"object","state":"live","mode":"shared","weight":1}`
	for _, rubbish := range []string{"", "rubbish", `{"v":7}`, copied, "\xff\x00"} {
		for _, key := range []string{w.keys.key(instances, "n", "a"), w.keys.key(instances, "x", "a"), w.keys.key(owners, "x", "a")} {
			w.put(key, rubbish)
			until(t, fmt.Sprintf("%s holds %q no more", key, rubbish), func() bool {
				g, err := w.client.Get(w.context(), key)
				return err == nil && len(g.Kvs) == 1 && string(g.Kvs[0].Value) != rubbish && g.Kvs[0].Lease == r.Status().Lease
			})
		}
	}
	v.untilIs("n@a:live x@a:live")
}

func TestCloseIsKnownAtOnce(t *testing.T) {
	w := newWorld(t)
	r := openRegistry(t, Options{Endpoints: []string{w.proxy.addr}, Prefix: w.keys.prefix, TTL: MaxTTL})
	w.register(r, inst("n", "a", naming.ModeShared))
	v := view(t, w.open(), "")
	v.untilIs("n@a:live")
	if err := r.Drain(w.context()); err != nil {
		t.Fatal(err)
	}
	v.untilIs("n@a:draining")
	if err := r.Close(w.context()); err != nil {
		t.Fatal(err)
	}
	v.untilIs("") // within patience, which is far below the TTL
}

func TestManyNamesOnOneLease(t *testing.T) {
	const count = 1000
	w := newWorld(t)
	r := w.open()
	began := time.Now()
	ctx := w.context()
	errs := make(chan error, count)
	for i := range count {
		go func() { errs <- r.Register(ctx, inst(naming.Name(fmt.Sprintf("n%04d", i)), "a", naming.ModeShared)) }()
	}
	for range count {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d names registered in %v", count, time.Since(began).Round(time.Millisecond))
	g, err := w.client.Get(ctx, w.keys.ofPrefix(instances, ""), prefixOption())
	if err != nil {
		t.Fatal(err)
	}
	revisions := map[int64]bool{}
	for _, kv := range g.Kvs {
		revisions[kv.ModRevision] = true
		if kv.Lease != r.Status().Lease {
			t.Fatalf("%s hangs on lease %x, want %x", kv.Key, kv.Lease, r.Status().Lease)
		}
	}
	v := view(t, w.open(), "")
	v.until("all names", func() bool { return len(v.view) == count })
	before := g.Header.Revision
	w.revoke(r)
	until(t, "registered again", func() bool { return r.Status().Registrations == 2 && r.Status().State == naming.StatusLive })
	v.until("all names again", func() bool {
		return len(v.view) == count && v.last.Err == nil && v.last.Revision > naming.Revision(before)
	})
	g, err = w.client.Get(ctx, w.keys.ofPrefix(instances, ""), prefixOption())
	if err != nil {
		t.Fatal(err)
	}
	clear(revisions)
	for _, kv := range g.Kvs {
		revisions[kv.ModRevision] = true
	}
	if got, want := len(revisions), count/maxBatch; got != want || len(g.Kvs) != count {
		t.Errorf("%d names were written again in %d transactions, want %d in %d", len(g.Kvs), got, count, want)
	}
}

func TestLowerLimitsOfEtcd(t *testing.T) {
	w := newWorld(t)
	r := w.open()
	until(t, "idle", func() bool { return r.Status().State == naming.StatusIdle })
	r.registrar.batch = 400 // more than this etcd takes; nothing runs yet
	ctx := w.context()
	errs := make(chan error, 300)
	for i := range cap(errs) {
		go func() { errs <- r.Register(ctx, inst(naming.Name(fmt.Sprintf("n%04d", i)), "a", naming.ModeShared)) }()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwoProcessesOfOneIncarnationDoNotFight(t *testing.T) {
	w := newWorld(t)
	first, second := w.open(), w.open()
	w.register(first, inst("n", "a", naming.ModeShared))
	w.register(second, inst("n", "a", naming.ModeShared))
	until(t, "the first gives way", func() bool {
		return errors.Is(first.Status().Err, naming.ErrTaken)
	})
	if err := second.Close(w.context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the first comes back", func() bool { return first.Status().State == naming.StatusLive })
}

func TestStatusInAnOutage(t *testing.T) {
	w := newWorld(t)
	r := w.open()
	w.register(r, inst("n", "a", naming.ModeShared))
	w.proxy.cut()
	until(t, "suspect, with the reason", func() bool {
		st := r.Status()
		return st.State == naming.StatusSuspect && st.Err != nil && st.Records == 1 && st.Lease != 0
	})
	w.proxy.mend(t)
	until(t, "live", func() bool { st := r.Status(); return st.State == naming.StatusLive && st.Err == nil })
}
