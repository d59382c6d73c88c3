package rmi

import (
	"context"
	"testing"
	"testing/synctest"

	"farcall.dev/naming"
)

// person is an object that knows another.
type person struct {
	name string
	gate chan struct{}
	next *person
}

func (p *person) Name() string { return p.name }

// Friend waits for the gate.
func (p *person) Friend(ctx context.Context) (*person, error) {
	select {
	case <-p.gate:
		return p.next, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// SameAs is called with the object itself, since it is of this process.
func (p *person) SameAs(other *person) bool { return p == other }

func TestPromisedObjectsAreCalledInOneRoundTrip(t *testing.T) {
	for name, withSpace := range map[string]bool{"with a Space": true, "without a Space": false} {
		t.Run(name, func(t *testing.T) {
			gate := make(chan struct{})
			carol := &person{name: "carol", gate: gate}
			bob := &person{name: "bob", gate: gate, next: carol}
			alice := &person{name: "alice", gate: gate, next: bob}
			server := NewSpace(SpaceOptions{Node: "b", Incarnation: 2})
			t.Cleanup(server.Close)
			o := NewObjects(ObjectsOptions{Space: server})
			if err := o.Export("greeting", alice, ExportOptions{}); err != nil {
				t.Fatal(err)
			}
			var opts ConnOptions
			if withSpace {
				opts.Space = NewSpace(SpaceOptions{Node: "a", Incarnation: 1})
				t.Cleanup(opts.Space.Close)
			}
			a, b := connPair(t, nil, o, opts, ConnOptions{Space: server})
			friend := Start(t.Context(), a, "greeting", "friend")
			of := friend.Start(t.Context(), "friend")
			f := of.Start(t.Context(), "name")
			same := Go[bool](t.Context(), a, "greeting", "same_as", friend)
			waitUntil(t, "all requests", func() bool { return b.Stats().CallsIn == 4 })
			if got := b.Stats().FramesSent; got != 0 {
				t.Errorf("%d frames came back before the first call had ended, want none", got)
			}
			close(gate)
			if got, err := Await[string](t.Context(), f); got != "carol" || err != nil {
				t.Errorf("got %q, %v, want carol", got, err)
			}
			if got, err := friend.Invoke(t.Context(), "name"); got != "bob" || err != nil {
				t.Errorf("got %q, %v, want bob", got, err)
			}
			if got, err := same.Wait(t.Context()); got || err != nil {
				t.Errorf("got %v, %v, want that the friend is another", got, err)
			}
			if !withSpace {
				return
			}
			friend.Release() // from here on by the reference
			if got, err := friend.Invoke(t.Context(), "name"); got != "bob" || err != nil {
				t.Errorf("by the reference: got %q, %v, want bob", got, err)
			}
			ref, err := Await[*Ref](t.Context(), friend)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ref.Invoke(t.Context(), "same_as", friend); got != true || err != nil {
				t.Errorf("passed on by value: got %v, %v, want the object itself", got, err)
			}
		})
	}
}

// A result may be a reference to an object of the caller. Putting it in its place
// in a later call's arguments is no second receipt of it.
func TestPromisedReferenceToTheCallersObjectIsReceivedOnce(t *testing.T) {
	client, server := refPair(t, func(o *SpaceOptions) {
		withAdder(o)
		o.Reachable = func(naming.NodeID) bool { return true }
	})
	server.export("bench", &bench{space: server.space})
	ref, err := client.space.Export(&counter{}, ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.space.refs.give(ref); err != nil { // to somebody else, who has not got it yet
		t.Fatal(err)
	}
	echo := Start(t.Context(), client.to(server), "bench", "echo", ref)
	if got, err := InvokeAs[string](t.Context(), client.to(server), "bench", "take_ref", echo); err != nil || got != ref.String() {
		t.Errorf("got %q, %v, want %v", got, err, ref)
	}
	refs := &server.space.refs
	waitUntil(t, "the receipts", func() bool {
		refs.mu.Lock()
		defer refs.mu.Unlock()
		hs := refs.holdings[client.space.self()]
		return hs != nil && !hs.telling && len(hs.pending) == 0
	})
	if _, err := server.conns["client"].Ping(t.Context()); err != nil { // they have been read
		t.Fatal(err)
	}
	client.space.refs.mu.Lock()
	defer client.space.refs.mu.Unlock()
	if ref.own.given != 1 || ref.own.holders != 1 {
		t.Errorf("it was given away %d times without a receipt, and %d sessions hold it, want 1 and 1", ref.own.given, ref.own.holders)
	}
}

// A reference that the program has released is gone from the results that it came
// in, too: its owner may have collected the object.
func TestReleasedReferenceIsNotTakenAgainFromAPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server, b := benchPair(t)
		p := Start(t.Context(), client.to(server), "bench", "own")
		ref, err := Await[*Ref](t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		p.Release() // from here on by the reference
		wantStats(t, server.space, 2, 0, 1, 0)
		ref.Release()
		wantTold(t, b.own, 1)
		if again, err := Await[*Ref](t.Context(), p); again != ref || err != nil {
			t.Errorf("got %v, %v, want the one that was released", again, err)
		}
		_, err = p.Invoke(t.Context(), "add", 1)
		wantError(t, err, FailedPrecondition, NotExecuted, "released here")
		_, err = Invoke(t.Context(), client.to(server), "bench", "echo", p)
		wantError(t, err, InvalidArgument, NotExecuted, "released here")
		wantStats(t, client.space, 0, 0, 0, 0)
	})
}
