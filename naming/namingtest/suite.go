package namingtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"farcall.dev/naming"
)

// process is one opened Registry and the node it registers under.
type process struct {
	naming.Registry
	s           *suite
	node        naming.NodeID
	incarnation naming.Incarnation
}

// open opens the Registry of a process that is closed when the test ends.
func (s *suite) open(node naming.NodeID) *process {
	return s.openAs(node, 1)
}

func (s *suite) openAs(node naming.NodeID, incarnation naming.Incarnation) *process {
	s.Helper()
	reg := s.h.Open(s.T, node)
	p := &process{Registry: reg, s: s, node: node, incarnation: incarnation}
	s.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.h.Patience)
		defer cancel()
		closed := reg.Status().State == naming.StatusClosed
		if err := reg.Close(ctx); err != nil && !closed {
			s.Errorf("close the registry of %q at the end of the test: %v", node, err)
		}
	})
	return p
}

// context returns a context that ends with the test, or when patience does.
func (s *suite) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), s.h.Patience)
	s.Cleanup(cancel)
	return ctx
}

// instance returns a record of p for name, in mode.
func (p *process) instance(name naming.Name, mode naming.Mode) naming.Instance {
	return naming.Instance{
		Name: name, Node: p.node, Incarnation: p.incarnation, Mode: mode,
		Addrs: map[naming.Protocol]string{naming.ProtocolMesh: "127.0.0.1:7500"},
	}
}

// register registers shared names and fails the test when that fails.
func (p *process) register(names ...naming.Name) {
	p.s.Helper()
	for _, n := range names {
		p.registerAs(n, naming.ModeShared)
	}
}

// registerAs registers name in mode and fails the test when that fails.
func (p *process) registerAs(name naming.Name, mode naming.Mode) {
	p.s.Helper()
	if err := p.Register(p.s.context(), p.instance(name, mode)); err != nil {
		p.s.Fatalf("register %q as %s from node %q: %v", name, mode, p.node, err)
	}
}

// refused fails the test unless registering name in mode reports owner, or any
// of several, as the one who has it.
func (p *process) refused(name naming.Name, mode naming.Mode, owners ...naming.NodeID) {
	p.s.Helper()
	err := p.Register(p.s.context(), p.instance(name, mode))
	if !errors.Is(err, naming.ErrTaken) {
		p.s.Fatalf("register %q as %s from node %q: got error %v, want ErrTaken", name, mode, p.node, err)
	}
	taken, ok := errors.AsType[*naming.TakenError](err)
	if !ok {
		p.s.Fatalf("register %q as %s: got a %T, want a *naming.TakenError", name, mode, err)
	}
	if taken.Name != name || !slices.Contains(owners, taken.Owner) {
		p.s.Fatalf("register %q as %s: the error names %q of %q, want %q of one of %q",
			name, mode, taken.Name, taken.Owner, name, owners)
	}
}

// unregister unregisters name and fails the test when that fails.
func (p *process) unregister(name naming.Name) {
	p.s.Helper()
	if err := p.Unregister(p.s.context(), name); err != nil {
		p.s.Fatalf("unregister %q from node %q: %v", name, p.node, err)
	}
}

// drain drains p and fails the test when that fails.
func (p *process) drain() {
	p.s.Helper()
	if err := p.Drain(p.s.context()); err != nil {
		p.s.Fatalf("drain node %q: %v", p.node, err)
	}
}

// close closes p and fails the test when that fails.
func (p *process) close() {
	p.s.Helper()
	if err := p.Close(p.s.context()); err != nil {
		p.s.Fatalf("close the registry of %q: %v", p.node, err)
	}
}

// untilStatus waits until p's status satisfies ok.
func (p *process) untilStatus(what string, ok func(naming.Status) bool) naming.Status {
	p.s.Helper()
	var st naming.Status
	p.s.poll(func() bool { st = p.Status(); return ok(st) }, func() string {
		return fmt.Sprintf("node %q: the status never %s; at last it was %+v", p.node, what, st)
	})
	return st
}

// listing returns what a new watch of prefix lists first.
func (p *process) listing(prefix string) view {
	p.s.Helper()
	f := p.follow(prefix, 0)
	f.until("had its first listing", func(v view) bool { return true })
	return f.stop()
}

// outage puts the store out of reach until the returned function is called, at
// the latest when the test ends.
func (s *suite) outage() (end func()) {
	s.h.BeginOutage(s.T)
	end = sync.OnceFunc(func() { s.h.EndOutage(s.T) })
	s.Cleanup(end)
	return end
}

// poll waits until ok, and fails with what complain says when patience ends.
func (s *suite) poll(ok func() bool, complain func() string) {
	s.Helper()
	deadline := time.NewTimer(s.h.Patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.Fatal(complain())
		}
	}
}

// view is what a watch amounts to: the instances by key.
type view map[naming.Key]naming.Instance

// has reports whether v has exactly keys, written "name@node".
func (v view) has(keys ...string) bool {
	got := make([]string, 0, len(v))
	for k := range v {
		got = append(got, string(k.Name)+"@"+string(k.Node))
	}
	slices.Sort(got)
	slices.Sort(keys)
	return slices.Equal(got, keys)
}

// state returns the state of node's record of name, or "absent".
func (v view) state(name naming.Name, node naming.NodeID) naming.State {
	if inst, ok := v[naming.Key{Name: name, Node: node}]; ok {
		return inst.State
	}
	return "absent"
}

// owners returns the nodes that may be called on name.
func (v view) owners(name naming.Name) []naming.NodeID {
	var nodes []naming.NodeID
	for k, inst := range v {
		if k.Name == name && inst.State != naming.StateStandby {
			nodes = append(nodes, k.Node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// String lists v for a failure's message.
func (v view) String() string {
	if len(v) == 0 {
		return "nothing"
	}
	lines := make([]string, 0, len(v))
	for k, inst := range v {
		lines = append(lines, fmt.Sprintf("%q@%q(%s, incarnation %d)", k.Name, k.Node, inst.State, inst.Incarnation))
	}
	slices.Sort(lines)
	if len(lines) > 20 {
		lines = append(lines[:20], fmt.Sprintf("and %d more", len(lines)-20))
	}
	return strings.Join(lines, ", ")
}

// equal fails the test unless v and other hold the same.
func (s *suite) equal(what string, got, want view) {
	s.Helper()
	if maps.EqualFunc(got, want, func(a, b naming.Instance) bool { return reflect.DeepEqual(a, b) }) {
		return
	}
	s.Fatalf("%s: got %v, want %v\ngot  %+v\nwant %+v", what, got, want,
		map[naming.Key]naming.Instance(got), map[naming.Key]naming.Instance(want))
}
