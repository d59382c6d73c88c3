package namingtest

import (
	"errors"
	"fmt"
	"strings"

	"farcall.dev/naming"
)

func watchTests() []test {
	return []test{
		{"lists what is there first", nil, watchLists},
		{"begins with a Reset even when empty", nil, watchEmpty},
		{"sends changes in order", nil, watchOrder},
		{"resumes from a revision", nil, watchResumes},
		{"resumes with a Reset after compaction", []Fault{FaultCompact}, watchResumesCompacted},
		{"resumes with a Reset from a revision never reached", nil, watchResumesFuture},
		{"goes on through compaction", []Fault{FaultCompact}, watchThroughCompaction},
		{"keeps to its prefix", nil, watchPrefix},
		{"of several each gets everything", nil, watchSeveral},
		{"ends with its context", nil, watchEnds},
		{"ends when the registry is closed", nil, watchEndsClosed},
		{"may call the registry from fn", nil, watchCallsBack},
	}
}

func watchLists(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n", "m")
	f := b.follow("", 0)
	f.untilHas("n@a", "m@a")
	for i, u := range f.history() {
		if u.Reset && len(u.Put) != 2 {
			s.Errorf("update %d, the first listing, has %d instances, want both at once", i, len(u.Put))
		}
	}
}

func watchEmpty(s *suite) {
	a := s.open("a")
	f := a.follow("", 0)
	f.untilHas()
	a.register("n")
	f.untilHas("n@a")
	g := a.follow("other", 0)
	g.untilHas()
	if f.resets() != 1 || g.resets() != 1 {
		s.Errorf("the watches had %d and %d Resets, want one each", f.resets(), g.resets())
	}
}

func watchOrder(s *suite) {
	const steps = 40
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	f.untilHas()
	for i := range steps {
		inst := a.instance("n", shared)
		inst.Version = fmt.Sprint(i)
		if err := a.Register(s.context(), inst); err != nil {
			s.Fatal(err)
		}
	}
	a.unregister("n")
	a.register("end")
	f.untilHas("end@a")
	next := 0
	for _, u := range f.history() {
		for _, inst := range u.Put {
			if inst.Name != "n" {
				continue
			}
			if want := fmt.Sprint(next); inst.Version != want {
				s.Fatalf("the watch showed version %s of the record, want %s", inst.Version, want)
			}
			next++
		}
	}
	if next != steps {
		s.Errorf("the watch showed %d of %d changes to one record", next, steps)
	}
}

func watchResumes(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("kept", "gone", "changed")
	first := b.follow("", 0)
	first.untilHas("kept@a", "gone@a", "changed@a")
	rev, known := first.revision(), first.stop()

	a.unregister("gone")
	inst := a.instance("changed", shared)
	inst.Version = "2"
	if err := a.Register(s.context(), inst); err != nil {
		s.Fatal(err)
	}
	a.register("new")

	second := b.resume("", rev, known)
	second.untilHas("kept@a", "changed@a", "new@a")
	second.until("showed version 2", func(v view) bool { return v[inst.Key()].Version == "2" })
	if second.resets() > 0 {
		s.Errorf("the watch began with a Reset, want only what changed since revision %d", rev)
	}
	for _, u := range second.history() {
		for _, put := range u.Put {
			if put.Name == "kept" {
				s.Errorf("the watch sent %q again, which had not changed since revision %d", put.Name, rev)
			}
		}
	}
	rev, known = second.revision(), second.stop()

	third := b.resume("", rev, known)
	a.register("later")
	third.untilHas("kept@a", "changed@a", "new@a", "later@a")
	if third.resets() > 0 {
		s.Errorf("resumed where nothing had changed, the watch began with a Reset")
	}
}

func watchResumesCompacted(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("kept", "gone")
	first := b.follow("", 0)
	first.untilHas("kept@a", "gone@a")
	rev, known := first.revision(), first.stop()
	a.unregister("gone")
	a.register("new")
	s.h.Compact(s.T)

	second := b.resume("", rev, known)
	second.untilHas("kept@a", "new@a")
	if second.resets() != 1 {
		s.Errorf("the watch had %d Resets, want one, since revision %d is forgotten", second.resets(), rev)
	}
	a.unregister("new")
	second.untilHas("kept@a")
}

func watchResumesFuture(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n")
	first := b.follow("", 0)
	first.untilHas("n@a")
	rev := first.revision()
	first.stop()
	gone, err := naming.Instance{Name: "gone", Node: "x"}.Normalize()
	if err != nil {
		s.Fatal(err)
	}
	second := b.resume("", rev+1_000_000, view{gone.Key(): gone})
	second.untilHas("n@a")
	if second.resets() != 1 {
		s.Errorf("the watch had %d Resets, want one, since the store never reached that revision", second.resets())
	}
	if got := second.revision(); got >= rev+1_000_000 {
		s.Errorf("the watch is at revision %d, want the store's own, about %d", got, rev)
	}
}

func watchThroughCompaction(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	f.untilHas()
	want := []string{}
	for i := range 5 {
		name := fmt.Sprintf("n%d", i)
		a.register(naming.Name(name))
		s.h.Compact(s.T)
		want = append(want, name+"@a")
		f.untilHas(want...)
	}
	a.close()
	f.untilHas()
}

func watchPrefix(s *suite) {
	a, b := s.open("a"), s.open("b")
	prefixes := []string{"a", "ab", "a/", "a//", "a%", "a%2", "a ", "/", ".", "ä", "日", "a/b", "a/b/c/d", "zzz"}
	early := make([]*follower, len(prefixes))
	for i, p := range prefixes {
		early[i] = b.follow(p, 0)
		early[i].untilHas()
	}
	a.register(oddNames...)
	for i, p := range prefixes {
		want := []string{}
		for _, n := range oddNames {
			if strings.HasPrefix(string(n), p) {
				want = append(want, string(n)+"@a")
			}
		}
		early[i].untilHas(want...)
		if got := b.listing(p); !got.has(want...) {
			s.Errorf("a new watch of %q lists %v, want %q", p, got, want)
		}
	}
	a.close()
	for _, f := range early {
		f.untilHas()
	}
}

func watchSeveral(s *suite) {
	a, b := s.open("a"), s.open("b")
	var all []*follower
	for range 5 {
		all = append(all, b.follow("", 0), a.follow("n", 0))
	}
	a.register("n1")
	b.register("n2")
	for i, f := range all {
		f.untilHas("n1@a", "n2@b")
		if i < 5 {
			f.stop()
		}
	}
	a.unregister("n1")
	for _, f := range all[5:] {
		f.untilHas("n2@b")
	}
}

func watchEnds(s *suite) {
	a := s.open("a")
	f := a.follow("", 0)
	f.untilHas()
	f.stop() // checks what Watch returned
	seen := len(f.history())
	a.register("n")
	a.listing("")
	if got := len(f.history()); got != seen {
		s.Errorf("fn was called %d times after Watch had returned", got-seen)
	}
}

func watchEndsClosed(s *suite) {
	a, b := s.open("a"), s.open("b")
	f, other := a.follow("", 0), b.follow("", 0)
	f.untilHas()
	a.close()
	if err := f.untilEnd(); !errors.Is(err, naming.ErrClosed) {
		s.Errorf("Watch returned %v after Close, want ErrClosed", err)
	}
	b.register("n")
	other.untilHas("n@b")
}

func watchCallsBack(s *suite) {
	a, b := s.open("a"), s.open("b")
	b.register("n")
	ctx := s.context()
	done := make(chan error, 1)
	go func() {
		called := false
		a.Watch(ctx, "n", 0, func(u naming.Update) {
			if called || len(u.Put) == 0 {
				return
			}
			called = true
			_ = a.Status()
			done <- a.Register(ctx, a.instance("answer", shared))
		})
	}()
	select {
	case err := <-done:
		if err != nil {
			s.Errorf("Register inside fn: %v", err)
		}
	case <-ctx.Done():
		s.Fatal("Register inside fn never returned")
	}
	if got := b.listing(""); !got.has("n@b", "answer@a") {
		s.Errorf("the listing shows %v, want n of b and answer of a", got)
	}
}
