package rmi

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// wantTold fails the test unless c was told that it is unreferenced exactly want
// times since the last look. Nothing runs then.
func wantTold(t *testing.T, c *counter, want int) {
	t.Helper()
	synctest.Wait()
	got := 0
	for len(c.ended) > 0 {
		<-c.ended
		got++
	}
	if got != want {
		t.Errorf("the object was told %d times that it is unreferenced, want %d", got, want)
	}
}

// wantStats fails the test unless s keeps this much.
func wantStats(t *testing.T, s *Space, exported, waiting, lent, held int) {
	t.Helper()
	synctest.Wait()
	got := s.Stats()
	if got.Exported != exported || got.Waiting != waiting || got.Lent != lent || got.Held != held {
		t.Errorf("%s keeps %+v, want exported %d, waiting %d, lent %d, held %d", s.opts.Node, got, exported, waiting, lent, held)
	}
}

func TestReleasedObjectIsCollectedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, b := benchPair(t)
		ref := call[*Ref](t, client, server, "own")
		for range 5 { // each time it comes it is acknowledged
			if again := call[*Ref](t, client, server, "echo", ref); again != ref {
				t.Errorf("got another Ref, want one")
			}
		}
		wantStats(t, server.space, 2, 0, 1, 0)
		wantStats(t, client.space, 0, 0, 0, 1)
		if !client.conns["server"].Busy() || !server.conns["client"].Busy() {
			t.Error("a connection by which references are held is not busy")
		}
		wantTold(t, b.own, 0)
		ref.Release()
		ref.Release()
		wantTold(t, b.own, 1) // no time has passed
		wantStats(t, server.space, 1, 0, 0, 0)
		wantStats(t, client.space, 0, 0, 0, 0)
		if client.conns["server"].Busy() || server.conns["client"].Busy() {
			t.Error("a connection is busy, and nothing is held")
		}
		_, err := ref.Invoke(t.Context(), "add", 1)
		wantError(t, err, FailedPrecondition, NotExecuted, "released here")
		_, err = Invoke(t.Context(), client.to(server), "bench", "echo", ref)
		wantError(t, err, InvalidArgument, NotExecuted, "released here")
		_, err = Invoke(t.Context(), client.to(server), ref.Object(), "add", 1)
		wantError(t, err, NotFound, NotExecuted, "is gone")
		pass(3 * DefaultLease)
		wantTold(t, b.own, 0)

		again := call[*Ref](t, client, server, "own")
		if again == ref {
			t.Error("a released Ref was used again")
		}
		if _, err := again.Invoke(t.Context(), "add", 1); err != nil {
			t.Error(err)
		}
		again.Release()
		wantTold(t, b.own, 1)
	})
}

func TestObjectThatNobodyTakesIsKeptForALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, b := benchPair(t)
		server.conns["client"].opts.Space = nil // it does not hear what is held
		ref := call[*Ref](t, client, server, "own")
		pass(DefaultLease / 2)
		call[*Ref](t, client, server, "own") // given away again: a lease from now on
		pass(DefaultLease - time.Second)
		wantTold(t, b.own, 0)
		wantStats(t, server.space, 2, 1, 0, 0)
		pass(2 * time.Second)
		wantTold(t, b.own, 1)
		wantStats(t, server.space, 1, 0, 0, 0)
		runtime.KeepAlive(ref)
	})
}

func TestSessionThatIsCutOffReleasesAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, b := benchPair(t)
		ref := call[*Ref](t, client, server, "own")
		synctest.Wait()
		client.conns["server"].Close()
		pass(DefaultLease - time.Second)
		wantTold(t, b.own, 0)
		pass(2 * time.Second)
		wantTold(t, b.own, 1)
		wantStats(t, server.space, 1, 0, 0, 0)
		client.connect(server)
		_, err := ref.Invoke(t.Context(), "add", 1)
		wantError(t, err, NotFound, NotExecuted, "is gone")
	})
}

func TestSessionThatComesBackKeepsItsReferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, b := benchPair(t)
		kept := call[*Ref](t, client, server, "own")
		dropped := call[*Ref](t, client, server, "new_ref")
		wantStats(t, server.space, 3, 0, 2, 0)
		for range 3 {
			client.conns["server"].Close()
			pass(DefaultLease - time.Second)
			dropped.Release() // which the server is not told of now
			client.connect(server)
			wantStats(t, server.space, 2, 0, 1, 0)
			if _, err := kept.Invoke(t.Context(), "add", 1); err != nil {
				t.Error(err)
			}
		}
		wantTold(t, b.own, 0)
		kept.Release()
		wantTold(t, b.own, 1)
	})
}

// The two sides of a session need not think alike of when it ended. Who holds
// nothing any more says so in the next, too.
func TestSessionThatEndedOnOneSideReleasesItsReferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newRefNode(t, "client", nil)
		server := newRefNode(t, "server", func(o *SpaceOptions) { withAdder(o); o.Lease = time.Hour })
		b := &bench{space: server.space, own: &counter{ended: make(chan struct{}, 1)}}
		server.export("bench", b)
		client.connect(server)
		ref := call[*Ref](t, client, server, "own")
		synctest.Wait()
		client.conns["server"].Close()
		ref.Release()
		pass(DefaultLease + time.Second)
		if n := client.space.Stats().Sessions; n != 0 {
			t.Fatalf("the client has %d sessions, want none", n)
		}
		wantStats(t, server.space, 2, 0, 1, 0)
		client.connect(server)
		wantStats(t, server.space, 1, 0, 0, 0)
		wantTold(t, b.own, 1)
	})
}

// What stays of owners that are gone has a bound.
func TestOwnersThatAreLostAreForgotten(t *testing.T) {
	s := NewSpace(SpaceOptions{Node: "n", Incarnation: 1})
	defer s.Close()
	r := &s.refs
	r.mu.Lock()
	defer r.mu.Unlock()
	lose := func(i int, gone bool) {
		owner := peerID{"owner", naming.Incarnation(i)}
		r.holdings[owner] = &holdings{owner: owner, list: 1}
		r.ownerLostLocked(owner, gone)
	}
	for i := range 2 * maxPastPeers {
		lose(i, false)
		lose(i+2*maxPastPeers, true)
	}
	if len(r.holdings) != maxPastPeers || len(r.past) != maxPastPeers || r.holdings[peerID{"owner", 2*maxPastPeers - 1}] == nil {
		t.Errorf("%d are left, of which %d are in order, want the newest %d", len(r.holdings), len(r.past), maxPastPeers)
	}
}

// TestReferencesAreToldByOneConnection has two connections in a session, of which
// the one that they are told by breaks.
func TestReferencesAreToldByOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, b := benchPair(t)
		first := client.conns["server"]
		ref := call[*Ref](t, client, server, "own")
		synctest.Wait()
		client.connect(server)
		first.Close()
		again := call[*Ref](t, client, server, "own") // tells it by the second
		wantStats(t, server.space, 2, 0, 1, 0)
		if again != ref {
			t.Error("got another Ref, want one")
		}
		ref.Release()
		wantTold(t, b.own, 1)
	})
}

func TestBrokenConnectionIsDialledAgainWhileReferencesAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var client, server *refNode
		var dials atomic.Int32
		client = newRefNode(t, "client", func(o *SpaceOptions) {
			o.Redial = func(ctx context.Context, address string) (*Conn, error) {
				if dials.Add(1) < 4 {
					return nil, refusal(Unavailable, "not yet")
				}
				if address != "server:1" {
					t.Errorf("dialled %s, want server:1", address)
				}
				c, _ := client.connect(server)
				return c, nil
			}
		})
		server = newRefNode(t, "server", withAdder)
		c, _ := client.connect(server)
		c.opts.dialled = "server:1"
		b := &bench{space: server.space, own: &counter{ended: make(chan struct{}, 1)}}
		server.export("bench", b)
		ref := call[*Ref](t, client, server, "own")
		synctest.Wait()
		c.Close()
		pass(DefaultLease / 2)
		wantStats(t, server.space, 2, 0, 1, 0)
		if _, err := ref.Invoke(t.Context(), "add", 1); err != nil {
			t.Error(err)
		}
		if got := dials.Load(); got != 4 {
			t.Errorf("dialled %d times, want 4", got)
		}
		pass(3 * DefaultLease)
		wantTold(t, b.own, 0)
		runtime.KeepAlive(ref)
	})
}

// Who has got a reference may not have come to say so when the connection breaks,
// and know no way back.
func TestBrokenConnectionIsDialledAgainWhileAReferenceIsInTransit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var owner, server *refNode
		dials := 0
		owner = newRefNode(t, "owner", func(o *SpaceOptions) {
			o.Redial = func(context.Context, string) (*Conn, error) {
				dials++
				c, _ := owner.connect(server)
				c.opts.dialled = "server:1"
				return c, nil
			}
		})
		server = newRefNode(t, "server", nil)
		k := &keeper{}
		server.export("keeper", k)
		c, _ := owner.connect(server)
		c.opts.dialled = "server:1"
		c.opts.Space = nil // the receipt gets lost
		mine := &counter{ended: make(chan struct{}, 1)}
		ref, err := owner.space.Export(mine, ExportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Invoke(t.Context(), owner.to(server), "keeper", "keep", ref); err != nil {
			t.Fatal(err)
		}
		wantStats(t, owner.space, 1, 1, 0, 0)
		server.conns["owner"].Close()
		pass(DefaultLease + time.Second)
		wantTold(t, mine, 0)
		wantStats(t, owner.space, 1, 0, 1, 0)
		if got, err := k.Newest().Invoke(t.Context(), "add", 2); err != nil || got != int64(2) {
			t.Errorf("got %v, %v, want 2", got, err)
		}
		k.release()
		wantTold(t, mine, 1)
		server.conns["owner"].Close() // nothing is held or in transit
		synctest.Wait()
		c, _ = owner.connect(server)
		c.opts.dialled = "server:1"
		if err := owner.space.refs.give(ref); err != nil {
			t.Fatal(err)
		}
		c.Close() // nothing has been cut off
		pass(DefaultLease)
		if dials != 1 {
			t.Errorf("dialled %d times, want once", dials)
		}
	})
}

// handOn has owner give an object of its own to middle, which keeps it, and third
// get it from there.
func handOn(t *testing.T, owner, middle, third *refNode) (k *keeper, mine *counter, ref *Ref) {
	t.Helper()
	k, mine = &keeper{}, &counter{ended: make(chan struct{}, 1)}
	middle.export("keeper", k)
	owner.connect(middle)
	third.connect(middle)
	if _, err := Invoke(t.Context(), owner.to(middle), "keeper", "keep", mine); err != nil {
		t.Fatal(err)
	}
	ref, err := InvokeAs[*Ref](t.Context(), third.to(middle), "keeper", "newest")
	if err != nil {
		t.Fatal(err)
	}
	return k, mine, ref
}

// A peer that nobody knew a way to has been connected to by its address, and cut
// off, while it was tried.
func TestPeerThatIsTriedIsTriedByItsNewestAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := map[naming.NodeID]*refNode{}
		nodes["third"] = newRefNode(t, "third", func(o *SpaceOptions) {
			o.Dial = func(context.Context, naming.NodeID) (*Conn, error) {
				return nil, refusal(Unavailable, "no way is known")
			}
			o.Redial = func(context.Context, string) (*Conn, error) {
				c, _ := nodes["third"].connect(nodes["owner"])
				return c, nil
			}
		})
		nodes["owner"] = newRefNode(t, "owner", nil)
		nodes["middle"] = newRefNode(t, "middle", func(o *SpaceOptions) {
			o.Reachable = func(naming.NodeID) bool { return true }
		})
		owner, middle, third := nodes["owner"], nodes["middle"], nodes["third"]
		_, mine, ref := handOn(t, owner, middle, third)
		pass(DefaultLease / 2) // the tries are seconds apart by now
		c, _ := third.connect(owner)
		c.opts.dialled = "owner:1"
		wantStats(t, owner.space, 1, 0, 2, 0)
		c.Close()
		pass(3 * DefaultLease)
		wantTold(t, mine, 0)
		if got, err := ref.Invoke(t.Context(), "add", 2); err != nil || got != int64(2) {
			t.Errorf("got %v, %v, want 2", got, err)
		}
	})
}

// A connection may break after it was seen and before the tries have ended.
func TestPeerIsTriedAgainWhenItsConnectionBreaksAtOnce(t *testing.T) {
	s := NewSpace(SpaceOptions{Node: "n", Incarnation: 1,
		Redial: func(context.Context, string) (*Conn, error) { return nil, refusal(Unavailable, "not now") }})
	defer s.Close()
	peer, p := peerID{"peer", 1}, &reaching{address: "peer:1"}
	s.refs.mu.Lock()
	s.refs.reaching[peer] = p
	s.refs.reachLocked(peer, "peer:1")
	s.refs.mu.Unlock()
	if !s.refs.reached(peer, p) {
		t.Error("the tries have ended, and the peer is to be connected to again")
	}
	p.again = false
	if s.refs.reached(peer, p) || len(s.refs.reaching) != 0 {
		t.Error("the tries go on, and nobody has asked for it")
	}
}

func TestReferenceToAnEarlierStartIsNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, _ := benchPair(t)
		mine := &counter{ended: make(chan struct{}, 1)}
		ref := call[*Ref](t, client, server, "own")
		server.export("keeper", &keeper{})
		if _, err := Invoke(t.Context(), client.to(server), "keeper", "keep", mine); err != nil {
			t.Fatal(err)
		}
		wantStats(t, client.space, 1, 0, 1, 1)
		server.conns["client"].Close()
		again := newRefNode(t, "server", func(o *SpaceOptions) { o.Incarnation = 2 })
		client.connect(again)
		wantTold(t, mine, 1) // at once: who held it is no more
		_, err := ref.Invoke(t.Context(), "add", 1)
		wantError(t, err, NotFound, NotExecuted, "started anew")
	})
}

// keeper keeps what it gets.
type keeper struct{ refs []*Ref }

func (k *keeper) Keep(r *Ref)  { k.refs = append(k.refs, r) }
func (k *keeper) Newest() *Ref { return k.refs[len(k.refs)-1] }
func (k *keeper) DropAll()     { k.release() }
func (k *keeper) Count() int   { return len(k.refs) }
func (k *keeper) release() {
	for _, r := range k.refs {
		r.Release()
	}
	k.refs = nil
}
func (k *keeper) Add(n int) int { return n }

func TestPassedOnReferenceIsHeldByTheThird(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := map[naming.NodeID]*refNode{}
		dialling := func(self naming.NodeID) func(o *SpaceOptions) {
			return func(o *SpaceOptions) {
				o.Dial = func(_ context.Context, node naming.NodeID) (*Conn, error) {
					c, _ := nodes[self].connect(nodes[node])
					return c, nil
				}
			}
		}
		for _, name := range []naming.NodeID{"owner", "middle", "third"} {
			nodes[name] = newRefNode(t, name, dialling(name))
		}
		owner, middle, third := nodes["owner"], nodes["middle"], nodes["third"]
		k, mine, ref := handOn(t, owner, middle, third)
		wantStats(t, owner.space, 1, 0, 2, 0)
		if ref.Node() != "owner" {
			t.Errorf("got %v, want the owner's", ref)
		}
		k.release()
		wantStats(t, owner.space, 1, 0, 2, 0) // the third might not have told the owner yet
		pass(DefaultLease + time.Second)
		wantStats(t, owner.space, 1, 0, 1, 0)
		if got, err := ref.Invoke(t.Context(), "add", 2); err != nil || got != int64(2) {
			t.Errorf("got %v, %v, want 2", got, err)
		}
		wantTold(t, mine, 0)
		ref.Release()
		wantTold(t, mine, 1)
		wantStats(t, owner.space, 0, 0, 0, 0)
	})
}

func TestRelayIsCollectedAndSoIsWhatItStandsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, middle, third := newRefNode(t, "owner", nil), newRefNode(t, "middle", nil), newRefNode(t, "third", nil)
		k, mine, ref := handOn(t, owner, middle, third)
		if got, err := ref.Invoke(t.Context(), "add", 2); err != nil || got != int64(2) || ref.Node() != "middle" {
			t.Errorf("got %v, %v by %v, want 2 by the middle", got, err, ref)
		}
		if back, err := InvokeAs[any](t.Context(), owner.to(middle), "keeper", "newest"); err != nil || back != any(mine) {
			t.Errorf("got %v, %v, want the object itself at home", back, err)
		}
		wantStats(t, middle.space, 2, 0, 1, 1) // the keeper and the relay
		ref.Release()
		wantStats(t, middle.space, 1, 0, 0, 1)
		k.release()
		wantTold(t, mine, 1)
	})
}

func TestReferenceThatTheProgramForgetsIsReleased(t *testing.T) {
	client, server, b := benchPair(t)
	func() {
		ref := call[*Ref](t, client, server, "own")
		waitUntil(t, "the server to hear that the object is held", func() bool { return server.space.Stats().Lent == 1 })
		runtime.KeepAlive(ref)
	}()
	waitUntil(t, "the object to be released", func() bool {
		runtime.GC()
		return len(b.own.ended) == 1
	})
	if s := client.space.Stats(); s.Held != 0 {
		t.Errorf("got %+v, want nothing held", s)
	}
}

func TestReferencesHaveLimits(t *testing.T) {
	limit := func(n int) func(*SpaceOptions) {
		return func(o *SpaceOptions) { withAdder(o); o.MaxReferences = n }
	}
	t.Run("held by this process", func(t *testing.T) {
		client, server := newRefNode(t, "client", limit(2)), newRefNode(t, "server", withAdder)
		client.connect(server)
		server.export("bench", &bench{space: server.space})
		one, two := call[*Ref](t, client, server, "new_ref"), call[*Ref](t, client, server, "new_ref")
		_, err := Invoke(t.Context(), client.to(server), "bench", "new_ref")
		wantError(t, err, ResourceExhausted, Executed, "2 objects of node server are held here")
		if _, err := one.Invoke(t.Context(), "add", 1); err != nil {
			t.Error(err)
		}
		two.Release()
		waitUntil(t, "room", func() bool { return client.space.Stats().Held == 1 })
		three := call[*Ref](t, client, server, "new_ref")
		runtime.KeepAlive(one)
		runtime.KeepAlive(three)
	})
	t.Run("held by a peer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, server := newRefNode(t, "client", nil), newRefNode(t, "server", limit(2))
			client.connect(server)
			server.export("bench", &bench{space: server.space})
			var refs []*Ref
			for range 3 {
				refs = append(refs, call[*Ref](t, client, server, "new_ref"))
				synctest.Wait()
			}
			wantStats(t, server.space, 4, 1, 2, 0)
			pass(DefaultLease + time.Second)
			wantStats(t, server.space, 3, 0, 2, 0)
			_, err := refs[2].Invoke(t.Context(), "add", 1)
			wantError(t, err, NotFound, NotExecuted, "is gone")
			runtime.KeepAlive(refs)
		})
	})
	t.Run("in transit", func(t *testing.T) {
		s := NewSpace(SpaceOptions{Node: "n", Incarnation: 1, MaxReferences: 2})
		defer s.Close()
		for range 2 {
			if _, err := s.Export(&counter{}, ExportOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Export(&counter{}, ExportOptions{})
		wantError(t, err, ResourceExhausted, NotExecuted, "nobody has taken them yet")
	})
}

func TestPassedOnReferenceOutlivesItsUseForALease(t *testing.T) {
	owner := newRefNode(t, "owner", nil)
	middle := newRefNode(t, "middle", func(o *SpaceOptions) {
		o.Lease = time.Hour
		o.Reachable = func(naming.NodeID) bool { return true }
	})
	owner.connect(middle)
	middle.export("bench", &forgetful{})
	mine := &counter{ended: make(chan struct{}, 1)}
	if _, err := Invoke(t.Context(), owner.to(middle), "bench", "echo", mine); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		runtime.GC()
	}
	if s := middle.space.Stats(); s.Held != 1 {
		t.Errorf("got %+v, want the reference held that was passed on", s)
	}
}

// forgetful passes on what it gets, and does not keep it.
type forgetful struct{}

func (forgetful) Echo(r *Ref) *Ref { return r }

func TestLateWordsOfAnEarlierConnectionDoNotCount(t *testing.T) {
	s := NewSpace(SpaceOptions{Node: "owner", Incarnation: 1})
	defer s.Close()
	ref, err := s.Export(&counter{}, ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{log: s.log, shared: newSession(s, peerID{"peer", 1})}
	tell := func(list uint64, typ frameType, flags byte, all ...receipt) {
		t.Helper()
		frame := appendReceipts(nil, typ, flags, list, all)
		h, n, _ := parseFrameHeader(frame)
		if err := s.refs.receipts(c, h, frame[n:]); err != nil {
			t.Fatal(err)
		}
	}
	hold := receipt{ref.id, 0}
	for _, step := range []struct {
		list  uint64
		typ   frameType
		flags byte
		all   []receipt
		want  int
	}{
		{0, frameHold, 0, []receipt{hold}, 0},
		{3, frameHold, 0, []receipt{hold}, 0}, // it has to begin with a list
		{3, frameHold, flagHoldFirst | flagHoldLast, []receipt{hold}, 1},
		{4, frameHold, flagHoldFirst, []receipt{hold}, 1},
		{3, frameDrop, 0, []receipt{hold}, 1},
		{4, frameHold, flagHoldLast, nil, 1},
		{5, frameHold, flagHoldFirst | flagHoldLast, nil, 0},
		{3, frameHold, 0, []receipt{hold}, 0},
		{4, frameHold, flagHoldFirst | flagHoldLast, []receipt{hold}, 0}, // of a connection that was read late
	} {
		tell(step.list, step.typ, step.flags, step.all...)
		if got := ref.own.holders; got != step.want {
			t.Errorf("%v with flags %d: got %d holders, want %d", step.typ, step.flags, got, step.want)
		}
	}
}

// The last word about a reference may get lost with the connection. The next one
// begins with a list, which is empty then.
func TestDropThatGotLostIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := newRefNode(t, "client", nil), newRefNode(t, "server", nil)
		server.export("bench", &many{server.space})
		sc, ss := transport.Pipe(transport.Options{Hello: client.hello}, transport.Options{Hello: server.hello})
		brittle := &cutSession{Session: sc, limited: true, cut: func() { go ss.Close() }}
		brittle.left.Store(1 << 20)
		a := NewConn(brittle, client.objects, ConnOptions{Space: client.space})
		b := NewConn(ss, server.objects, ConnOptions{Space: server.space})
		defer a.Close()
		defer b.Close()
		client.conns["server"] = a
		ref := call[[]*Ref](t, client, server, "refs", 1)[0]
		wantStats(t, server.space, 2, 0, 1, 0)
		brittle.left.Store(0)
		ref.Release()
		synctest.Wait()
		if a.Err() == nil {
			t.Fatal("the connection is there, want it broken by the last word")
		}
		wantStats(t, server.space, 2, 0, 1, 0)
		client.connect(server)
		wantStats(t, server.space, 1, 0, 0, 0)
	})
}

// The release of a reference may overtake a call of it on the way to the owner.
func TestCallThatTheReleaseOvertakesSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var client, server *refNode
		var ref *Ref
		client = newRefNode(t, "client", func(o *SpaceOptions) {
			o.Calls = HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
				ref.Release()
				synctest.Wait()
				return client.to(server).Handle(ctx, call)
			})
		})
		server = newRefNode(t, "server", withAdder)
		client.connect(server)
		server.export("bench", &bench{own: new(counter)})
		ref = call[*Ref](t, client, server, "own")
		synctest.Wait()
		_, err := ref.Invoke(t.Context(), "add", 1)
		wantError(t, err, FailedPrecondition, NotExecuted, "released here")
	})
}
