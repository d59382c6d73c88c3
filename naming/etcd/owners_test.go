package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"farcall.dev/naming"
)

// referee watches etcd itself, and fails the test when a name that is not to be
// shared has two records that may be called.
type referee struct {
	stop     func()
	mu       sync.Mutex
	live     map[naming.Key]bool // guarded by mu
	handover int                 // guarded by mu; how often somebody became the owner
}

func (w *world) referee() *referee {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ref := &referee{live: map[naming.Key]bool{}}
	changes := w.client.Watch(ctx, w.keys.ofPrefix(instances, ""), clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-changes
	var wg sync.WaitGroup
	wg.Go(func() {
		for r := range changes {
			ref.take(w, r.Events)
		}
	})
	ref.stop = func() { cancel(); wg.Wait() }
	w.t.Cleanup(ref.stop)
	return ref
}

// take takes in events, and looks after each revision.
func (ref *referee) take(w *world, events []*clientv3.Event) {
	ref.mu.Lock()
	defer ref.mu.Unlock()
	for i, e := range events {
		_, k, ok := w.keys.parse(string(e.Kv.Key))
		if !ok {
			w.t.Errorf("unknown key %q", e.Kv.Key)
			continue
		}
		was := ref.live[k]
		delete(ref.live, k)
		if e.Type == clientv3.EventTypePut {
			inst, _, err := decode(k, e.Kv.Value)
			if err != nil {
				w.t.Errorf("%q: %v", e.Kv.Key, err)
			}
			if inst.State != naming.StateStandby {
				ref.live[k] = true
				if !was {
					ref.handover++
				}
			}
		}
		if i+1 < len(events) && events[i+1].Kv.ModRevision == e.Kv.ModRevision {
			continue
		}
		if len(ref.live) > 1 {
			w.t.Errorf("at revision %d the name has the owners %v", e.Kv.ModRevision, ref.live)
		}
	}
}

func (ref *referee) owner() string {
	ref.mu.Lock()
	defer ref.mu.Unlock()
	for k := range ref.live {
		return string(k.Node)
	}
	return ""
}

func TestNeverTwoOwners(t *testing.T) {
	const processes, rounds = 4, 40
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	ref := w.referee()
	type process struct {
		*world
		r *Registry
	}
	procs := make([]*process, processes)
	incarnation := naming.Incarnation(0)
	begin := func(i int) {
		incarnation++
		own := newWorldOn(t, w.server)
		own.keys = w.keys
		p := &process{world: own, r: own.open()}
		in := inst("n", naming.NodeID(fmt.Sprintf("p%d", i)), naming.ModeStandby)
		in.Incarnation = incarnation
		w.register(p.r, in)
		procs[i] = p
	}
	for i := range procs {
		begin(i)
	}
	defer func() {
		if t.Failed() {
			w.dump()
			for i, p := range procs {
				t.Logf("p%d: %+v", i, p.r.Status())
			}
		}
	}()
	for range rounds {
		i := random.IntN(processes)
		if random.IntN(2) == 0 {
			fmt.Sscanf(ref.owner(), "p%d", &i)
		}
		p := procs[i]
		switch random.IntN(7) {
		case 0:
			w.revoke(p.r)
		case 1:
			p.proxy.cut()
			p.proxy.mend(t)
		case 2:
			w.delete(w.keys.key(instances, "n", naming.NodeID(fmt.Sprintf("p%d", i))))
		case 3:
			w.delete(w.keys.key(owners, "n", naming.NodeID(fmt.Sprintf("p%d", i))))
		case 4:
			if err := p.r.Close(w.context()); err != nil {
				t.Error(err)
			}
			begin(i)
		case 5: // a new start, before the earlier one has ended
			old := p.r
			begin(i)
			if err := old.Close(w.context()); err != nil {
				t.Error(err)
			}
		case 6:
			err := w.open().Register(w.context(), inst("n", "intruder", naming.ModeExclusive))
			if !errors.Is(err, naming.ErrTaken) {
				t.Errorf("an exclusive registration beside %d processes: got %v, want ErrTaken", processes, err)
			}
		}
		until(t, "an owner", func() bool { return ref.owner() != "" })
	}
	until(t, "an owner, and nobody in trouble", func() bool {
		for _, p := range procs {
			if p.r.Status().State != naming.StatusLive {
				return false
			}
		}
		return ref.owner() != ""
	})
	ref.stop()
	t.Logf("the name changed hands %d times", ref.handover)
}

func TestLostExclusiveNameIsNotFoughtOver(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(), w.open()
	own := newWorldOn(t, w.server)
	own.keys = w.keys
	cutOff := own.open()
	w.register(cutOff, inst("n", "a", naming.ModeExclusive))
	own.proxy.cut()
	w.revoke(cutOff)
	w.register(b, inst("n", "b", naming.ModeExclusive))
	own.proxy.mend(t)
	until(t, "the first owner knows", func() bool {
		st := cutOff.Status()
		taken, ok := errors.AsType[*naming.TakenError](st.Err)
		return ok && taken.Owner == "b" && st.State == naming.StatusSuspect && st.Records == 1
	})
	view(t, a, "").untilIs("n@b:live")
	if err := b.Unregister(w.context(), "n"); err != nil {
		t.Fatal(err)
	}
	until(t, "the first owner has it back", func() bool { return cutOff.Status().State == naming.StatusLive })
	view(t, a, "").untilIs("n@a:live")
}

func TestStandbyTakesOverAtOnce(t *testing.T) {
	w := newWorld(t)
	owner := openRegistry(t, Options{Endpoints: []string{w.proxy.addr}, Prefix: w.keys.prefix, TTL: MaxTTL})
	w.register(owner, inst("n", "a", naming.ModeExclusive))
	w.register(w.open(), inst("n", "b", naming.ModeStandby))
	v := view(t, w.open(), "")
	v.untilIs("n@a:live n@b:standby")
	if err := owner.Close(w.context()); err != nil {
		t.Fatal(err)
	}
	v.untilIs("n@b:live") // within patience, which is far below the TTL
}

func TestUnreadableRivalHoldsAnExclusiveName(t *testing.T) {
	w := newWorld(t)
	r := w.open()
	// Written by hand, without a lease: it may be a mistake, but it is there.
	w.put(w.keys.key(instances, "n", "hand"), "rubbish")
	err := r.Register(w.context(), inst("n", "a", naming.ModeExclusive))
	if taken, ok := errors.AsType[*naming.TakenError](err); !ok || taken.Owner != "hand" {
		t.Errorf("exclusive beside rubbish: got %v, want a TakenError that names it", err)
	}
	// One that waits does not wait for what no process keeps.
	w.register(r, inst("n", "a", naming.ModeStandby))
	view(t, w.open(), "").untilIs("n@a:live")
	// What a process keeps may be of a later version.
	g, err := w.client.Grant(w.context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Put(w.context(), w.keys.key(instances, "m", "later"), `{"v":2}`, clientv3.WithLease(g.ID)); err != nil {
		t.Fatal(err)
	}
	v := view(t, r, "m")
	w.register(r, inst("m", "a", naming.ModeStandby))
	v.untilIs("m@a:standby")
	if _, err := w.client.Revoke(w.context(), g.ID); err != nil {
		t.Fatal(err)
	}
	v.untilIs("m@a:live")
}
