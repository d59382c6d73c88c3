package rmi

import (
	"fmt"
	"math"
	"testing"
	"time"

	"farcall.dev/naming"
)

// entryOf returns an entry of n live instances, changed by edit.
func entryOf(n int, edit func(i int, inst *naming.Instance)) *naming.Entry {
	e := &naming.Entry{Name: "greeting"}
	for i := range n {
		inst := naming.Instance{
			Name: "greeting", Node: naming.NodeID(fmt.Sprintf("n%d", i)), Incarnation: 1,
			State: naming.StateLive, Weight: naming.DefaultWeight,
			Addrs: map[naming.Protocol]string{naming.ProtocolMesh: fmt.Sprintf("host%d:7500", i)},
		}
		if edit != nil {
			edit(i, &inst)
		}
		e.Instances = append(e.Instances, inst)
	}
	return e
}

// shares picks many times, each pick staying in flight for a while, and
// returns how the picks fell on nodes, as fractions.
func shares(g *group) map[naming.NodeID]float64 {
	const picks, window = 20000, 16
	got := make(map[naming.NodeID]float64)
	var flying []*endpoint
	for range picks {
		e := g.pick("", nil, time.Now())
		e.inFlight.Add(1)
		flying = append(flying, e)
		if len(flying) > window {
			flying[0].inFlight.Add(-1)
			flying = flying[1:]
		}
		got[e.inst.Node] += 1.0 / picks
	}
	return got
}

func TestPickSharesCallsEvenly(t *testing.T) {
	for node, share := range shares(newGroup(entryOf(4, nil), "", nil)) {
		if math.Abs(share-0.25) > 0.05 {
			t.Errorf("got share %.3f for %s, want about 0.25", share, node)
		}
	}
}

func TestPickFollowsWeights(t *testing.T) {
	got := shares(newGroup(entryOf(2, func(i int, inst *naming.Instance) { inst.Weight = 100 + 200*i }), "", nil))
	if math.Abs(got["n1"]-0.75) > 0.06 {
		t.Errorf("got share %.3f for weight 300 beside 100, want about 0.75", got["n1"])
	}
}

func TestPickFollowsWeightsWithoutLoad(t *testing.T) {
	g := newGroup(entryOf(2, func(i int, inst *naming.Instance) { inst.Weight = 100 + 200*i }), "", nil)
	const picks = 20000
	n1 := 0
	for range picks {
		if g.pick("", nil, time.Now()).inst.Node == "n1" {
			n1++
		}
	}
	if share := float64(n1) / picks; math.Abs(share-0.75) > 0.03 {
		t.Errorf("got share %.3f for weight 300 beside 100, want about 0.75", share)
	}
}

func TestPickPrefersTheOwnZoneWhileItAnswers(t *testing.T) {
	g := newGroup(entryOf(4, func(i int, inst *naming.Instance) {
		inst.Zone = []string{"east", "west"}[i%2]
	}), "west", nil)
	now := time.Now()
	for range 100 {
		if got := g.pick("", nil, now).inst.Zone; got != "west" {
			t.Fatalf("got zone %q, want west", got)
		}
	}
	for _, e := range g.live[:g.near] {
		e.downUntil.Store(now.Add(time.Second).UnixNano())
	}
	if got := g.pick("", nil, now).inst.Zone; got != "east" {
		t.Errorf("got zone %q when west does not answer, want east", got)
	}
}

func TestPickPassesOverTheUnreachableUnlessAllAre(t *testing.T) {
	g := newGroup(entryOf(3, nil), "", nil)
	now := time.Now()
	g.live[0].downUntil.Store(now.Add(time.Second).UnixNano())
	g.live[1].downUntil.Store(now.Add(time.Second).UnixNano())
	for range 100 {
		if got := g.pick("", nil, now).inst.Node; got != "n2" {
			t.Fatalf("got node %s, want n2, the only one reachable", got)
		}
	}
	if e := g.pick("", []*endpoint{g.live[2]}, now); e == nil || e == g.live[2] {
		t.Errorf("got %v after the only reachable one was tried, want one of the others", e)
	}
	if got := g.pick("", nil, now.Add(2*time.Second)); got == nil {
		t.Error("got nothing once all may be tried again, want an endpoint")
	}
}

func TestPickUsesDrainingInstancesLast(t *testing.T) {
	drain := func(which int) *group {
		return newGroup(entryOf(2, func(i int, inst *naming.Instance) {
			if i <= which {
				inst.State = naming.StateDraining
			}
		}), "", nil)
	}
	g := drain(0)
	for range 50 {
		if got := g.pick("", nil, time.Now()).inst.Node; got != "n1" {
			t.Fatalf("got node %s, want n1: n0 is draining", got)
		}
	}
	if g := drain(1); g.pick("", nil, time.Now()) == nil {
		t.Error("got nothing when all are draining, want one of them")
	}
}

func TestPickNeverReturnsStandbyOrWhatWasTried(t *testing.T) {
	g := newGroup(entryOf(2, func(i int, inst *naming.Instance) {
		if i == 0 {
			inst.State = naming.StateStandby
		}
	}), "", nil)
	if g.size() != 1 {
		t.Fatalf("got %d endpoints, want 1: the other is on standby", g.size())
	}
	first := g.pick("", nil, time.Now())
	if again := g.pick("", []*endpoint{first}, time.Now()); again != nil {
		t.Errorf("got %s again, want nothing", again.inst.Node)
	}
}

func TestPickPinned(t *testing.T) {
	g := newGroup(entryOf(3, nil), "", nil)
	if e := g.pick("n1", nil, time.Now()); e == nil || e.inst.Node != "n1" {
		t.Errorf("got %v, want the endpoint of n1", e)
	}
	if e := g.pick("n9", nil, time.Now()); e != nil {
		t.Errorf("got node %s for a pin on none, want nothing", e.inst.Node)
	}
}

func TestLoadOutlivesAChangeOfTheRecord(t *testing.T) {
	g := newGroup(entryOf(2, nil), "", nil)
	g.live[0].inFlight.Store(7)
	next := newGroup(entryOf(3, func(_ int, inst *naming.Instance) { inst.Tags = []string{"new"} }), "", g)
	if got := next.live[0].inFlight.Load(); got != 7 {
		t.Errorf("got %d calls in flight after the record changed, want 7", got)
	}
	restarted := newGroup(entryOf(2, func(_ int, inst *naming.Instance) { inst.Incarnation = 2 }), "", g)
	if got := restarted.live[0].inFlight.Load(); got != 0 {
		t.Errorf("got %d calls in flight for a new start of the node, want 0", got)
	}
	if !among([]*endpoint{g.live[0]}, next.live[0]) {
		t.Error("an endpoint tried in the old group counts as untried in the new one")
	}
}

func BenchmarkPick(b *testing.B) {
	g := newGroup(entryOf(8, nil), "", nil)
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		g.pick("", nil, now)
	}
}

// TestGroupsAreARoutersOwn has two routers find the groups of the same entries.
func TestGroupsAreARoutersOwn(t *testing.T) {
	a, b := NewRouter(nil, nil, RouterOptions{}), NewRouter(nil, nil, RouterOptions{})
	entry := entryOf(1, nil)
	ours := a.group(entry)
	ours.live[0].inFlight.Store(7)
	if theirs := b.group(entry); theirs.live[0].load == ours.live[0].load {
		t.Error("two routers count calls in one place")
	}
	if again := a.group(entry); again != ours {
		t.Error("a router made a second group of one entry")
	}
	changed := a.group(entryOf(2, nil))
	if len(changed.live) != 2 || changed.live[0].load != ours.live[0].load {
		t.Error("the group of the changed entry does not go on with what was counted")
	}
	a.forget(entry.Name)
	if fresh := a.group(entryOf(1, nil)); fresh.live[0].inFlight.Load() != 0 {
		t.Error("a name that was gone begins with what was counted before")
	}
}

// BenchmarkGroup is how a router finds and picks the endpoint of a call.
func BenchmarkGroup(b *testing.B) {
	r, entry := NewRouter(nil, nil, RouterOptions{}), entryOf(1, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r.group(entry).pick("", nil, time.Time{}) == nil {
				b.Error("no endpoint")
				return
			}
		}
	})
}
