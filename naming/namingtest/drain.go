package namingtest

import (
	"farcall.dev/naming"
)

func drainTests() []test {
	return []test{
		{"marks all records and later ones", nil, drainMarks},
		{"lasts through the loss of the lease", []Fault{FaultLease}, drainLasts},
		{"keeps the owner until it leaves", nil, drainKeepsOwner},
		{"ends waiting", nil, drainEndsWaiting},
		{"of nothing is no error", nil, drainNothing},
	}
}

func drainMarks(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n", "m")
	b.register("n")
	a.drain()
	got := b.listing("")
	if got.state("n", "a") != naming.StateDraining || got.state("m", "a") != naming.StateDraining || got.state("n", "b") != naming.StateLive {
		s.Fatalf("after Drain returned, another process lists %v, want a's records draining and b's live", got)
	}
	f.untilState("n", "a", naming.StateDraining)
	f.untilState("m", "a", naming.StateDraining)
	a.register("late")
	f.untilState("late", "a", naming.StateDraining)
	a.register("n")
	a.drain()
	f.untilHas("n@a", "m@a", "late@a", "n@b")
	if got := b.listing(""); got.state("n", "a") != naming.StateDraining {
		s.Errorf("a record registered again after Drain: the listing shows %v, want it draining", got)
	}
	a.close()
	f.untilHas("n@b")
}

func drainLasts(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n")
	a.drain()
	f.untilState("n", "a", naming.StateDraining)
	before, seen := a.Status().Registrations, len(f.history())
	s.h.ExpireLease(s.T, a.Registry)
	a.untilStatus("counted another registration", func(st naming.Status) bool { return st.Registrations > before })
	f.untilState("n", "a", naming.StateDraining)
	for _, u := range f.history()[seen:] {
		for _, inst := range u.Put {
			if inst.State != naming.StateDraining {
				s.Errorf("revision %d shows the record %s again", u.Revision, inst.State)
			}
		}
	}
}

func drainKeepsOwner(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.registerAs("n", exclusive)
	b.registerAs("n", standby)
	a.drain()
	f.untilState("n", "a", naming.StateDraining)
	if got := a.listing(""); got.state("n", "b") != naming.StateStandby {
		s.Errorf("while the owner drains the listing shows %v, want b on standby", got)
	}
	a.close()
	f.untilState("n", "b", naming.StateLive)
	f.untilHas("n@b")
	atMostOneOwner(s, f)
}

func drainEndsWaiting(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := c.follow("", 0)
	for _, p := range []*process{a, b, c} {
		p.registerAs("n", standby)
	}
	b.drain()
	f.untilHas("n@a", "n@c")
	b.refused("n", standby, "a")
	a.close()
	f.untilState("n", "c", naming.StateLive)
	f.untilHas("n@c")
	atMostOneOwner(s, f)
}

func drainNothing(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.drain()
	a.drain()
	a.registerAs("n", standby)
	if got := b.listing(""); got.state("n", "a") != naming.StateDraining {
		s.Errorf("the listing shows %v, want n of a draining", got)
	}
}
