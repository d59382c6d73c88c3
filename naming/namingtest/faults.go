package namingtest

import (
	"context"
	"errors"
	"fmt"

	"farcall.dev/naming"
)

func faultTests() []test {
	return []test{
		{"a lost lease is replaced and everything published again", []Fault{FaultLease}, leaseLost},
		{"a lease lost again and again is replaced each time", []Fault{FaultLease}, leaseLostOften},
		{"a lost lease of many names is replaced", []Fault{FaultLease}, leaseLostMany},
		{"a lost lease does not bring back what was taken back", []Fault{FaultLease}, leaseLostUnregistered},
		{"a lost lease of a closed process brings back nothing", []Fault{FaultLease}, leaseLostClosed},
		{"a lost lease costs nobody else anything", []Fault{FaultLease}, leaseLostAlone},
		{"an exclusive name survives a lost lease", []Fault{FaultLease}, leaseLostExclusive},
		{"a record deleted by hand is published again", []Fault{FaultDelete}, recordDeleted},
		{"a standby deleted by hand waits again", []Fault{FaultDelete}, standbyDeleted},
		{"an outage is told and what was missed follows", []Fault{FaultOutage}, outageTold},
		{"an outage refuses what cannot wait", []Fault{FaultOutage}, outageRefuses},
		{"an outage delays what can wait", []Fault{FaultOutage}, outageDelays},
		{"a watch begun in an outage lists after it", []Fault{FaultOutage}, outageWatch},
		{"Close gives up in an outage when its context ends", []Fault{FaultOutage}, outageClose},
	}
}

// republished expires p's lease and waits until p has published again.
func (p *process) republished() {
	p.s.Helper()
	before := p.Status().Registrations
	p.s.h.ExpireLease(p.s.T, p.Registry)
	p.untilStatus("counted another registration and became live", func(st naming.Status) bool {
		return st.Registrations > before && st.State == naming.StatusLive && st.Err == nil
	})
}

func leaseLost(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n", "m")
	f.untilHas("n@a", "m@a")
	want := b.listing("")
	a.republished()
	f.untilHas("n@a", "m@a")
	s.equal("the listing after the recovery", b.listing(""), want)
	a.register("later")
	f.untilHas("n@a", "m@a", "later@a")
	a.close()
	f.untilHas()
}

func leaseLostOften(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n")
	for range 3 {
		a.republished()
		f.untilHas("n@a")
	}
}

func leaseLostMany(s *suite) {
	const count = 200 // more than etcd takes in one transaction
	a, b := s.open("a"), s.open("b")
	for i := range count {
		a.register(naming.Name(fmt.Sprintf("many.%03d", i)))
	}
	f := b.follow("", 0)
	a.republished()
	f.until(fmt.Sprintf("showed %d names", count), func(v view) bool { return len(v) == count })
}

func leaseLostUnregistered(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n", "m")
	a.unregister("n")
	a.republished()
	f := b.follow("", 0)
	f.untilHas("m@a")
}

func leaseLostClosed(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n")
	f.untilHas("n@a")
	s.h.ExpireLease(s.T, a.Registry)
	a.close()
	f.untilHas()
	b.register("fence")
	f.untilHas("fence@b")
	if got := b.listing(""); !got.has("fence@b") {
		s.Errorf("the listing shows %v, want nothing of the closed process", got)
	}
}

func leaseLostAlone(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n")
	b.register("n")
	f.untilHas("n@a", "n@b")
	a.republished()
	f.untilHas("n@a", "n@b")
	for _, u := range f.history() {
		for _, k := range u.Delete {
			if k.Node == "b" {
				s.Errorf("at revision %d the watch lost %v, whose lease was not touched", u.Revision, k)
			}
		}
	}
}

func leaseLostExclusive(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.registerAs("n", exclusive)
	a.republished()
	f.untilState("n", "a", naming.StateLive)
	b.refused("n", exclusive, "a")
}

func recordDeleted(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n", "m")
	a.registerAs("x", exclusive)
	f.untilHas("n@a", "m@a", "x@a")
	for _, name := range []naming.Name{"n", "x", "n"} {
		gone := deletions(f, name)
		s.h.DeleteRecord(s.T, naming.Key{Name: name, Node: "a"})
		f.until("showed the deletion of "+string(name), func(view) bool { return f.deletionsLocked(name) > gone })
		f.untilHas("n@a", "m@a", "x@a")
	}
	f.untilState("x", "a", naming.StateLive)
	b.refused("x", exclusive, "a")
}

func standbyDeleted(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := c.follow("", 0)
	a.registerAs("n", exclusive)
	b.registerAs("n", standby)
	f.untilHas("n@a", "n@b")
	gone := deletions(f, "n")
	s.h.DeleteRecord(s.T, naming.Key{Name: "n", Node: "b"})
	f.until("showed the deletion", func(view) bool { return f.deletionsLocked("n") > gone })
	f.untilState("n", "b", naming.StateStandby)
	a.unregister("n")
	f.untilState("n", "b", naming.StateLive)
	atMostOneOwner(s, f)
}

func outageTold(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n")
	f := b.follow("", 0)
	f.untilHas("n@a")
	for i := range 2 {
		end := s.outage()
		f.untilErr()
		f.until("still showed the record", func(v view) bool { return v.has("n@a") || i > 0 })
		end()
		f.untilInTouch()
		a.register("m")
		f.untilHas("n@a", "m@a")
		a.unregister("m")
		f.untilHas("n@a")
	}
}

func outageRefuses(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("old", "going")
	end := s.outage()
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(context.Background(), s.h.Patience/50)
		s.Cleanup(cancel)
		return ctx
	}
	for what, err := range map[string]error{
		"Register":          a.Register(soon(), a.instance("new", shared)),
		"Register of ours":  a.Register(soon(), a.instance("old", standby)),
		"first Register":    b.Register(soon(), b.instance("new", shared)),
		"Unregister":        a.Unregister(soon(), "going"),
		"Drain with no way": b.Drain(soon()),
	} {
		if !errors.Is(err, naming.ErrUnavailable) && !(what == "Drain with no way" && err == nil) {
			s.Errorf("%s in an outage: got %v, want ErrUnavailable", what, err)
		}
	}
	end()
	f := s.open("c").follow("", 0)
	f.untilHas("old@a")
	a.register("fence")
	f.untilHas("old@a", "fence@a")
	if got := a.listing(""); got[naming.Key{Name: "old", Node: "a"}].Mode != shared {
		s.Errorf("the listing shows %+v, want old as it was before the refused Register", got)
	}
	if st := a.Status(); st.Records != 2 {
		s.Errorf("the status counts %d records, want 2", st.Records)
	}
}

func outageDelays(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("old")
	end := s.outage()
	errs := make(chan error, 2)
	ctx := s.context()
	go func() { errs <- a.Register(ctx, a.instance("new", shared)) }()
	go func() { errs <- b.Register(ctx, b.instance("new", shared)) }()
	f := b.follow("", 0)
	f.untilErr() // the outage is real by now
	end()
	for range cap(errs) {
		if err := <-errs; err != nil {
			s.Errorf("Register that waited through the outage: %v", err)
		}
	}
	f.untilHas("old@a", "new@a", "new@b")
}

func outageWatch(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n")
	end := s.outage()
	f := b.follow("", 0)
	f.untilErr()
	end()
	f.untilHas("n@a")
}

func outageClose(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n")
	end := s.outage()
	ctx, cancel := context.WithTimeout(context.Background(), s.h.Patience/50)
	defer cancel()
	if err := a.Close(ctx); !errors.Is(err, naming.ErrUnavailable) {
		s.Errorf("Close in an outage: got %v, want ErrUnavailable", err)
	}
	if st := a.Status().State; st != naming.StatusClosed {
		s.Errorf("the status is %q, want closed", st)
	}
	end()
	f := b.follow("", 0)
	f.untilHas()
}

// deletions counts how often f saw a record of name go.
func deletions(f *follower, name naming.Name) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.deletionsLocked(name)
}

func (f *follower) deletionsLocked(name naming.Name) int {
	n := 0
	for _, u := range f.updates {
		for _, k := range u.Delete {
			if k.Name == name {
				n++
			}
		}
	}
	return n
}
