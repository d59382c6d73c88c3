package namingtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"farcall.dev/naming"
)

func registerTests() []test {
	return []test{
		{"is visible when it returns", nil, registerIsVisible},
		{"fills in defaults and copies", nil, registerNormalizes},
		{"keeps every field", nil, registerKeepsFields},
		{"replaces the process's record", nil, registerReplaces},
		{"refuses bad input and loses nothing", nil, registerRefusesBadInput},
		{"takes any valid name and node", nil, registerOddNames},
		{"takes many names", nil, registerManyNames},
		{"serves callers side by side", nil, registerConcurrently},
		{"shares a name between processes", nil, registerShared},
		{"prefers the later incarnation of a node", nil, registerIncarnations},
		{"refuses a context that has ended", nil, registerEndedContext},
		{"can be taken back", nil, unregisterRemoves},
		{"cannot take back what the process has not", nil, unregisterUnknown},
		{"shows in the status", nil, statusFollows},
	}
}

func registerIsVisible(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	f.untilHas()
	a.register("shop.cart")
	if got := b.listing(""); !got.has("shop.cart@a") {
		s.Fatalf("after Register returned, another process lists %v, want shop.cart of a", got)
	}
	f.untilHas("shop.cart@a")
}

func registerNormalizes(s *suite) {
	a, b := s.open("a"), s.open("b")
	inst := naming.Instance{
		Name: "n", Node: "a", Tags: []string{"z", "b", "z"},
		Addrs: map[naming.Protocol]string{naming.ProtocolMesh: "127.0.0.1:1"},
	}
	want, err := inst.Normalize()
	if err != nil {
		s.Fatal(err)
	}
	if err := a.Register(s.context(), inst); err != nil {
		s.Fatal(err)
	}
	inst.Tags[0] = "changed"
	inst.Addrs[naming.ProtocolMesh] = "changed"
	s.equal("the record, after its maker changed the original", b.listing(""), view{want.Key(): want})
}

func registerKeepsFields(s *suite) {
	a, b := s.open("a"), s.open("b")
	inst := naming.Instance{
		Name: "n", Node: "a", Incarnation: 1<<64 - 1, Kind: naming.KindFunction, State: naming.StateLive,
		Mode: naming.ModeExclusive,
		Addrs: map[naming.Protocol]string{
			naming.ProtocolMesh: "[::1]:7500", naming.ProtocolXMLRPC: "http://h/?a=b&c=<d>", naming.ProtocolPyro: "h:1",
		},
		Tags: []string{"a b", "ü/%"}, Zone: "eu \"west\"", Weight: naming.MaxWeight, Version: "v1.2\n日本",
		Interface: "sha256:00ff",
	}
	if err := a.Register(s.context(), inst); err != nil {
		s.Fatal(err)
	}
	s.equal("the record", b.listing(""), view{inst.Key(): inst})
}

func registerReplaces(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n")
	next := a.instance("n", naming.ModeShared)
	next.Version = "2"
	if err := a.Register(s.context(), next); err != nil {
		s.Fatal(err)
	}
	f.until("showed version 2", func(v view) bool { return v[next.Key()].Version == "2" })
	if n := a.Status().Records; n != 1 {
		s.Errorf("status counts %d records, want 1", n)
	}
	if got := b.listing(""); !got.has("n@a") {
		s.Errorf("listing shows %v, want n of a only", got)
	}
}

func registerRefusesBadInput(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n")
	for _, bad := range []struct {
		what  string
		named bool // the error is an *InvalidNameError
		spoil func(*naming.Instance)
	}{
		{"an empty name", true, func(i *naming.Instance) { i.Name = "" }},
		{"a name that is too long", true, func(i *naming.Instance) { i.Name = naming.Name(strings.Repeat("n", naming.MaxNameLen+1)) }},
		{"a name that cannot be printed", true, func(i *naming.Instance) { i.Name = "a\x00b" }},
		{"a name that is not UTF-8", true, func(i *naming.Instance) { i.Name = "a\xff" }},
		{"an empty node", true, func(i *naming.Instance) { i.Node = "" }},
		{"a bad tag", true, func(i *naming.Instance) { i.Tags = []string{"a\n"} }},
		{"too many tags", false, func(i *naming.Instance) { i.Tags = make([]string, naming.MaxTags+1) }},
		{"too many addresses", false, func(i *naming.Instance) {
			for n := range naming.MaxAddrs {
				i.Addrs[naming.Protocol(fmt.Sprint(n))] = "h:1"
			}
		}},
		{"a version that is too long", false, func(i *naming.Instance) { i.Version = strings.Repeat("v", naming.MaxText+1) }},
		{"a zone that is not UTF-8", false, func(i *naming.Instance) { i.Zone = "\xff" }},
		{"an unknown kind", false, func(i *naming.Instance) { i.Kind = "thing" }},
		{"an unknown mode", false, func(i *naming.Instance) { i.Mode = "thing" }},
		{"an unknown state", false, func(i *naming.Instance) { i.State = "thing" }},
		{"a negative weight", false, func(i *naming.Instance) { i.Weight = -1 }},
		{"too much weight", false, func(i *naming.Instance) { i.Weight = naming.MaxWeight + 1 }},
	} {
		inst := a.instance("n", naming.ModeShared)
		bad.spoil(&inst)
		err := a.Register(s.context(), inst)
		if err == nil {
			s.Errorf("registering %s succeeded", bad.what)
			continue
		}
		if _, ok := errors.AsType[*naming.InvalidNameError](err); ok != bad.named || errors.Is(err, naming.ErrInvalidName) != bad.named {
			s.Errorf("registering %s: got a %T, %v; want an *InvalidNameError: %v", bad.what, err, err, bad.named)
		}
	}
	if got := b.listing(""); !got.has("n@a") || a.Status().Records != 1 {
		s.Errorf("after refusals the listing shows %v and the status %d records, want n of a only", got, a.Status().Records)
	}
}

// oddNames are valid names that tempt an escaping scheme to confuse them.
var oddNames = []naming.Name{
	"a", "ab", "a/b", "a//b", "a/b/c", "a b", "a%b", "a%2Fb", "a%2fb", "a+b", "a&b=c?d#e", "/", "/a", "a/", "//",
	".", "..", "../a", "*", "\\", "\"", "'", "a:b", "a@b", "{a}", "A", "ä", "a\u0308", "日本語", "🙂", "b",
}

func registerOddNames(s *suite) {
	a, b := s.open("a/b"), s.open("%b c/ü")
	names := append([]naming.Name{
		naming.Name(strings.Repeat("%", naming.MaxNameLen)), naming.Name(strings.Repeat("語", naming.MaxNameLen/3)),
	}, oddNames...)
	want := view{}
	for _, p := range []*process{a, b} {
		p.register(names...)
		for _, n := range names {
			inst, err := p.instance(n, naming.ModeShared).Normalize()
			if err != nil {
				s.Fatal(err)
			}
			want[inst.Key()] = inst
		}
	}
	s.equal("the listing", b.listing(""), want)
	for _, n := range names {
		a.unregister(n)
		delete(want, naming.Key{Name: n, Node: a.node})
	}
	s.equal("the listing after one process took its records back", b.listing(""), want)

	// A name and a node that look alike when they are joined by a slash.
	c, d := s.open("b/c"), s.open("c")
	c.register("x")
	d.register("x/b")
	if got := c.listing("x"); !got.has("x@b/c", "x/b@c") {
		s.Errorf("the listing shows %v, want x of b/c and x/b of c", got)
	}
}

func registerManyNames(s *suite) {
	const count = 200 // more than etcd takes in one transaction
	a, b := s.open("a"), s.open("b")
	f := b.follow("many.", 0)
	for i := range count {
		a.register(naming.Name(fmt.Sprintf("many.%03d", i)))
	}
	f.until(fmt.Sprintf("showed %d names", count), func(v view) bool { return len(v) == count })
	a.drain()
	f.until("showed all as draining", func(v view) bool {
		for _, inst := range v {
			if inst.State != naming.StateDraining {
				return false
			}
		}
		return len(v) == count
	})
	a.close()
	f.untilHas()
}

func registerConcurrently(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for w := range cap(errs) {
		ctx := s.context()
		wg.Go(func() {
			for i := range 6 {
				name := naming.Name(fmt.Sprintf("w%d.%d", w, i))
				err := a.Register(ctx, a.instance(name, naming.ModeShared))
				if err == nil && i%2 == 1 {
					err = a.Unregister(ctx, name)
				}
				if err != nil {
					errs <- fmt.Errorf("%s: %w", name, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		s.Error(err)
	}
	want := []string{}
	for w := range cap(errs) {
		for i := 0; i < 6; i += 2 {
			want = append(want, fmt.Sprintf("w%d.%d@a", w, i))
		}
	}
	if got := b.listing(""); !got.has(want...) {
		s.Errorf("the listing shows %v, want %v", got, want)
	}
	f.untilHas(want...)
}

func registerShared(s *suite) {
	a, b, c := s.open("a"), s.open("b"), s.open("c")
	f := c.follow("", 0)
	a.register("n")
	b.register("n")
	f.untilHas("n@a", "n@b")
	a.unregister("n")
	f.untilHas("n@b")
	b.close()
	f.untilHas()
}

func registerIncarnations(s *suite) {
	for _, mode := range []naming.Mode{naming.ModeShared, naming.ModeExclusive, naming.ModeStandby} {
		name := naming.Name("n." + mode)
		old, next, c := s.openAs("a", 7), s.openAs("a", 8), s.open("c")
		f := c.follow(string(name), 0)
		key := naming.Key{Name: name, Node: "a"}
		is := func(inc naming.Incarnation) func(view) bool {
			return func(v view) bool {
				return len(v) == 1 && v[key].Incarnation == inc && v[key].State == naming.StateLive
			}
		}
		old.registerAs(name, mode)
		f.until("showed incarnation 7 as live", is(7))
		next.registerAs(name, mode)
		f.until("showed incarnation 8 as live, at once, in mode "+string(mode), is(8))
		third := s.openAs("a", 6)
		third.refused(name, mode, "a")
		if err := old.Unregister(s.context(), name); err != nil && !errors.Is(err, naming.ErrNotFound) {
			s.Errorf("unregister a replaced record: got %v, want nil or ErrNotFound", err)
		}
		old.close()
		if got := c.listing(string(name)); !is(8)(got) {
			s.Errorf("after the earlier incarnation closed, the listing shows %v, want incarnation 8", got)
		}
		next.close()
		f.untilHas()
	}
}

func registerEndedContext(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("old")
	ctx, cancel := context.WithCancel(s.context())
	cancel()
	ended := func(what string, err error) {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, naming.ErrUnavailable) {
			s.Errorf("%s with a context that has ended: got %v, want its error or ErrUnavailable", what, err)
		}
	}
	ended("Register", a.Register(ctx, a.instance("new", naming.ModeShared)))
	ended("Watch", a.Watch(ctx, "", 0, func(naming.Update) {}))
	if got := b.listing(""); !got.has("old@a") || a.Status().Records != 1 {
		s.Errorf("the listing shows %v and the status %d records, want only the old one", got, a.Status().Records)
	}
}

func unregisterRemoves(s *suite) {
	a, b := s.open("a"), s.open("b")
	f := b.follow("", 0)
	a.register("n", "m")
	f.untilHas("n@a", "m@a")
	a.unregister("n")
	if got := b.listing(""); !got.has("m@a") {
		s.Errorf("after Unregister returned, another process lists %v, want m of a", got)
	}
	f.untilHas("m@a")
	a.register("n")
	f.untilHas("n@a", "m@a")
}

func unregisterUnknown(s *suite) {
	a, b := s.open("a"), s.open("b")
	a.register("n")
	for _, name := range []naming.Name{"n", "m", ""} {
		if err := b.Unregister(s.context(), name); !errors.Is(err, naming.ErrNotFound) {
			s.Errorf("unregister %q, which this process has not: got %v, want ErrNotFound", name, err)
		}
	}
	a.unregister("n")
	if err := a.Unregister(s.context(), "n"); !errors.Is(err, naming.ErrNotFound) {
		s.Errorf("unregister twice: got %v, want ErrNotFound", err)
	}
}

func statusFollows(s *suite) {
	a := s.open("a")
	if st := a.Status(); st.State != naming.StatusIdle || st.Records != 0 || st.Err != nil {
		s.Errorf("a new registry's status is %+v, want idle, no records, no error", st)
	}
	a.register("n", "m")
	st := a.untilStatus("became live", func(st naming.Status) bool { return st.State == naming.StatusLive })
	if st.Records != 2 || st.Err != nil || st.Since.IsZero() || st.Registrations != 1 {
		s.Errorf("status is %+v, want 2 records, no error, a time, 1 registration", st)
	}
	a.unregister("n")
	if n := a.Status().Records; n != 1 {
		s.Errorf("status counts %d records after one of two was taken back, want 1", n)
	}
	a.close()
	if st := a.Status(); st.State != naming.StatusClosed || st.Records != 0 {
		s.Errorf("a closed registry's status is %+v, want closed, no records", st)
	}
}
