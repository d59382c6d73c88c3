package namingtest

import (
	"errors"
	"fmt"
	"sync"

	"farcall.dev/naming"
)

const (
	shared    = naming.ModeShared
	exclusive = naming.ModeExclusive
	standby   = naming.ModeStandby
)

func modeTests() []test {
	return []test{
		{"exclusive is refused by name of the owner", nil, exclusiveTaken},
		{"exclusive is free again when the owner leaves", nil, exclusiveFreed},
		{"exclusive and shared refuse each other", nil, exclusiveAndShared},
		{"exclusive may be registered again by its owner", nil, exclusiveAgain},
		{"exclusive has one winner in a race", nil, exclusiveRace},
		{"standby alone is the owner", nil, standbyAlone},
		{"standby waits and takes over when the owner unregisters", nil, func(s *suite) {
			standbyTakesOver(s, exclusive, func(owner *process) { owner.unregister("n") })
		}},
		{"standby waits and takes over when the owner closes", nil, func(s *suite) {
			standbyTakesOver(s, exclusive, func(owner *process) { owner.close() })
		}},
		{"standby waits and takes over when the owner's lease ends", []Fault{FaultLease}, standbyTakesOverLease},
		{"standby waits behind shared instances", nil, standbyBehindShared},
		{"standbys take over in order of arrival", nil, standbyOrder},
		{"standby that leaves is passed over", nil, standbyLeaves},
		{"an owner may register again while another waits", nil, ownerAgain},
		{"a standby may register again and keeps its place", nil, standbyAgain},
	}
}

func exclusiveTaken(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.registerAs("n", exclusive)
	b.refused("n", exclusive, "a")
	if got := b.listing(""); !got.has("n@a") {
		s.Errorf("after a refusal the listing shows %v, want n of a", got)
	}
	if n := b.Status().Records; n != 0 {
		s.Errorf("the refused process counts %d records, want 0", n)
	}
	b.register("m")
	if got := b.listing(""); !got.has("n@a", "m@b") {
		s.Errorf("the listing shows %v, want n of a and m of b", got)
	}
}

func exclusiveFreed(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	a.registerAs("n", exclusive)
	a.unregister("n")
	b.registerAs("n", exclusive)
	a.refused("n", exclusive, "b")
	b.close()
	c.registerAs("n", exclusive)
	a.refused("n", shared, "c")
}

func exclusiveAndShared(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	a.registerAs("x", exclusive)
	b.refused("x", shared, "a")
	a.registerAs("s", shared)
	b.registerAs("s", shared)
	c.refused("s", exclusive, "a", "b")
	a.refused("s", exclusive, "b")
	if got := c.listing(""); !got.has("x@a", "s@a", "s@b") || got[naming.Key{Name: "s", Node: "a"}].Mode != shared {
		s.Errorf("after refusals the listing shows %v, want x of a, and s of a and b, shared", got)
	}
}

func exclusiveAgain(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	is := func(mode naming.Mode) func(view) bool {
		return func(v view) bool {
			return v.has("n@a") && v[naming.Key{Name: "n", Node: "a"}].Mode == mode && v.state("n", "a") == naming.StateLive
		}
	}
	for _, mode := range []naming.Mode{exclusive, exclusive, shared, exclusive, standby, exclusive} {
		a.registerAs("n", mode)
		f.until("showed n of a, live, as "+string(mode), is(mode))
	}
	b.refused("n", exclusive, "a")
}

func exclusiveRace(s *suite) {
	const contenders = 6
	var wg sync.WaitGroup
	errs := make([]error, contenders)
	procs := make([]*process, contenders)
	for i := range procs {
		procs[i] = s.open(naming.NodeID(fmt.Sprintf("p%d", i)))
	}
	for i, p := range procs {
		ctx := s.context()
		wg.Go(func() { errs[i] = p.Register(ctx, p.instance("n", exclusive)) })
	}
	wg.Wait()
	won := ""
	for i, err := range errs {
		switch {
		case err == nil && won != "":
			s.Errorf("both %s and p%d won", won, i)
		case err == nil:
			won = fmt.Sprintf("p%d", i)
		case !errors.Is(err, naming.ErrTaken):
			s.Errorf("p%d: got %v, want nil or ErrTaken", i, err)
		}
	}
	if got := procs[0].listing(""); won == "" || !got.has("n@"+won) {
		s.Errorf("the listing shows %v, want the winner, which is %q", got, won)
	}
}

func standbyAlone(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.registerAs("n", standby)
	if got := b.listing(""); got.state("n", "a") != naming.StateLive {
		s.Errorf("the listing shows %v, want n of a as live", got)
	}
	b.refused("n", exclusive, "a")
	b.refused("n", shared, "a")
}

// standbyTakesOver has b wait for what a owns until leave.
func standbyTakesOver(s *suite, mode naming.Mode, leave func(owner *process)) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := c.follow("", 0)
	a.registerAs("n", mode)
	b.registerAs("n", standby)
	if got := c.listing(""); got.state("n", "a") != naming.StateLive || got.state("n", "b") != naming.StateStandby {
		s.Fatalf("the listing shows %v, want a live and b on standby", got)
	}
	leave(a)
	f.untilState("n", "b", naming.StateLive)
	f.untilHas("n@b")
	atMostOneOwner(s, f)
	if b.Status().State != naming.StatusLive {
		s.Errorf("the new owner's status is %+v, want live", b.Status())
	}
}

func standbyTakesOverLease(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := c.follow("", 0)
	a.registerAs("n", standby)
	b.registerAs("n", standby)
	f.untilState("n", "b", naming.StateStandby)
	s.h.ExpireLease(s.T, a.Registry)
	f.untilState("n", "b", naming.StateLive)
	f.untilState("n", "a", naming.StateStandby)
	b.unregister("n")
	f.untilState("n", "a", naming.StateLive)
	f.untilHas("n@a")
	atMostOneOwner(s, f)
}

func standbyBehindShared(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := c.follow("", 0)
	a.register("n")
	c.register("n")
	b.registerAs("n", standby)
	f.untilState("n", "b", naming.StateStandby)
	a.unregister("n")
	f.untilHas("n@b", "n@c")
	if got := a.listing(""); got.state("n", "b") != naming.StateStandby {
		s.Fatalf("the listing shows %v, want b on standby while c serves", got)
	}
	c.unregister("n")
	f.untilState("n", "b", naming.StateLive)
}

func standbyOrder(s *suite) {
	a, b, c, d := s.open("z"), s.open("y"), s.open("x"), s.open("w")
	f := s.open("watcher").follow("", 0)
	line := []*process{a, b, c, d}
	for _, p := range line {
		p.registerAs("n", standby)
	}
	for i, p := range line {
		f.untilState("n", p.node, naming.StateLive)
		for _, later := range line[i+1:] {
			f.untilState("n", later.node, naming.StateStandby)
		}
		p.unregister("n")
	}
	f.untilHas()
	atMostOneOwner(s, f)
}

func standbyLeaves(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := c.follow("", 0)
	for _, p := range []*process{a, b, c} {
		p.registerAs("n", standby)
	}
	b.close()
	f.untilHas("n@a", "n@c")
	a.unregister("n")
	f.untilState("n", "c", naming.StateLive)
	f.untilHas("n@c")
	atMostOneOwner(s, f)
}

func ownerAgain(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := c.follow("", 0)
	a.registerAs("n", exclusive)
	b.registerAs("n", standby)
	key := naming.Key{Name: "n", Node: "a"}
	for _, mode := range []naming.Mode{exclusive, standby} {
		inst := a.instance("n", mode)
		inst.Version = "again as " + string(mode)
		if err := a.Register(s.context(), inst); err != nil {
			s.Fatalf("the owner registers again as %s: %v", mode, err)
		}
		f.until("showed "+inst.Version+", live", func(v view) bool {
			return v[key].Version == inst.Version && v[key].State == naming.StateLive
		})
	}
	if got := c.listing(""); got.state("n", "b") != naming.StateStandby {
		s.Errorf("the listing shows %v, want b on standby", got)
	}
	atMostOneOwner(s, f)
}

func standbyAgain(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := s.open("watcher").follow("", 0)
	for _, p := range []*process{a, b, c} {
		p.registerAs("n", standby)
	}
	b.refused("n", exclusive, "a")
	inst := b.instance("n", standby)
	inst.Version = "2"
	if err := b.Register(s.context(), inst); err != nil {
		s.Fatalf("a standby registers again: %v", err)
	}
	f.until("showed version 2, on standby", func(v view) bool {
		return v[inst.Key()].Version == "2" && v.state("n", "b") == naming.StateStandby
	})
	a.unregister("n")
	f.untilState("n", "b", naming.StateLive)
	f.untilState("n", "c", naming.StateStandby)
	atMostOneOwner(s, f)
}

// atMostOneOwner fails the test when the watch ever showed two owners of n.
func atMostOneOwner(s *suite, f *follower) {
	s.Helper()
	v := view{}
	for _, u := range f.history() {
		if u.Reset {
			clear(v)
		}
		for _, k := range u.Delete {
			delete(v, k)
		}
		for _, inst := range u.Put {
			v[inst.Key()] = inst
		}
		if owners := v.owners("n"); len(owners) > 1 {
			s.Errorf("at revision %d the name has the owners %q, want one at most", u.Revision, owners)
		}
	}
}
