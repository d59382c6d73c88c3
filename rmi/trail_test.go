package rmi

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// spacedPair returns the Conns of two nodes that know each other's incarnation,
// with what serves them, which serve makes of the way to the other side.
func spacedPair(t testing.TB, opts ConnOptions, serve func(self naming.NodeID, space *Space, peer func() Handler) Handler) (a, b *Conn) {
	t.Helper()
	hellos := [2]transport.Hello{{Node: "a", Incarnation: 1}, {Node: "b", Incarnation: 2}}
	var conns [2]*Conn
	sa, sb := transport.Pipe(transport.Options{Hello: hellos[0]}, transport.Options{Hello: hellos[1]})
	ready := make(chan struct{})
	for i, session := range []transport.Session{sa, sb} {
		opts := opts
		node := naming.NodeID(hellos[i].Node)
		opts.Space = NewSpace(SpaceOptions{Node: node, Incarnation: naming.Incarnation(hellos[i].Incarnation)})
		opts.buffers = &buffers{poison: true}
		h := serve(node, opts.Space, func() Handler { <-ready; return conns[i] })
		conns[i] = NewConn(session, h, opts)
		t.Cleanup(opts.Space.Close)
	}
	close(ready)
	t.Cleanup(func() {
		conns[0].Close()
		conns[1].Close()
	})
	return conns[0], conns[1]
}

// exportIn returns Objects in space with f as the function name.
func exportIn(t testing.TB, space *Space, name naming.Name, f any) *Objects {
	t.Helper()
	o := NewObjects(ObjectsOptions{Space: space})
	if err := o.ExportFunc(name, f, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	return o
}

// Two objects on two nodes that call each other without end are stopped by an
// error that shows the circle.
func TestChainInACircleIsRefused(t *testing.T) {
	a, _ := spacedPair(t, ConnOptions{}, func(self naming.NodeID, space *Space, peer func() Handler) Handler {
		mine, theirs := naming.Name("ping"), naming.Name("pong")
		if self == "b" {
			mine, theirs = theirs, mine
		}
		return exportIn(t, space, mine, func(ctx context.Context) error {
			return InvokeInto(ctx, peer(), nil, theirs, "")
		})
	})
	err := InvokeInto(t.Context(), a, nil, "pong", "")
	e := failure(t, err)
	if e.Code != FailedPrecondition || !strings.Contains(e.Message, "65 calls led to this one, and at most 64 may") ||
		!strings.Contains(e.Message, "ping on a, pong on b, ping on a, pong on b") {
		t.Errorf("got %v, want FAILED_PRECONDITION that shows the circle", e)
	}
}

// So are objects of one process.
func TestChainInAProcessIsRefused(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	calls := 0
	err := o.ExportFunc("self", func(ctx context.Context) error {
		calls++
		return InvokeInto(ctx, o, nil, "self", "")
	}, ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := failure(t, InvokeInto(t.Context(), o, nil, "self", ""))
	if e.Code != FailedPrecondition || calls != MaxChain+1 {
		t.Errorf("got %v after %d calls, want FAILED_PRECONDITION after %d", e, calls, MaxChain+1)
	}
}

// A peer that does not count for itself is refused by the node that it calls.
func TestChainTooLongIsRefusedWhenItArrives(t *testing.T) {
	c, raw := rawPair(t, echo, ConnOptions{})
	_ = c
	r := openLane(t, raw)
	call := callOf("x", nil)
	call.Trail = Trail{Depth: MaxChain + 1, Correlation: "id", Recent: []string{"x.y on z"}}
	r.Write(appendRequest(nil, 1, 0, call))
	h, head, _ := nextFrame(t, r)
	if h.typ != frameError {
		t.Fatalf("got a %v, want an ERROR", h.typ)
	}
	wantError(t, decodeError(head), FailedPrecondition, NotExecuted, "x.y on z")
	_, err := c.Handle(t.Context(), call)
	wantError(t, err, FailedPrecondition, NotExecuted, "x.y on z")
}

// What a method learns of its chain, and that a call that nothing led to has
// none.
func TestChainIsToldAndHasOneCorrelationID(t *testing.T) {
	var mu sync.Mutex
	trails := map[naming.NodeID][]Trail{}
	ids := map[string]bool{}
	a, _ := spacedPair(t, ConnOptions{}, func(self naming.NodeID, space *Space, peer func() Handler) Handler {
		return exportIn(t, space, "object", func(ctx context.Context, depth int) error {
			info, _ := CallFrom(ctx)
			mu.Lock()
			trails[self] = append(trails[self], info.Trail)
			if info.Trail.Depth > 0 {
				ids[info.Correlation()] = true
			}
			mu.Unlock()
			if depth == 0 {
				return nil
			}
			for range 2 {
				ctx, cancel := context.WithTimeout(ctx, time.Minute) // a context made from the method's
				defer cancel()
				if err := InvokeInto(ctx, peer(), nil, "object", "", depth-1); err != nil {
					return err
				}
			}
			mu.Lock()
			ids[info.Correlation()] = true
			mu.Unlock()
			return nil
		})
	})
	if err := InvokeInto(t.Context(), a, nil, "object", "", 2); err != nil {
		t.Fatal(err)
	}
	if len(ids) != 1 || ids[""] {
		t.Errorf("got the correlation ids %v, want one for all", ids)
	}
	var id string
	for id = range ids {
	}
	first := Trail{Depth: 1, Correlation: id, Recent: []string{"object on b"}}
	second := Trail{Depth: 2, Correlation: id, Recent: []string{"object on b", "object on a"}}
	want := map[naming.NodeID][]Trail{"a": {first, first}, "b": {{}, second, second, second, second}}
	if diff := cmp.Diff(want, trails); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	clear(trails)
	clear(ids)
	if err := InvokeInto(WithCorrelation(t.Context(), "order-7"), a, nil, "object", "", 1); err != nil {
		t.Fatal(err)
	}
	if len(ids) != 1 || !ids["order-7"] {
		t.Errorf("got the correlation ids %v, want the caller's", ids)
	}
}

func TestTrailTellsOfTheNewestCalls(t *testing.T) {
	var trail Trail
	for range 100 {
		trail = trail.then(strings.Repeat("x", 100))
	}
	if trail.Depth != 100 || len(trail.Recent) != 10 {
		t.Errorf("got depth %d and %d calls, want 100 and the 10 that fit", trail.Depth, len(trail.Recent))
	}
	var got Trail
	if err := got.decode(cursor{b: trail.appendTo(nil)}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(trail, got); diff != "" {
		t.Errorf("(-sent +got):\n%s", diff)
	}
	if got := WithCorrelation(t.Context(), strings.Repeat("x", 1000)); len(trailFrom(got).Correlation) > maxCorrelation {
		t.Error("a correlation id is longer than allowed")
	}
}

// As many calls as may be in flight all call back, and those call again: nobody
// waits for a place that only they themselves could free.
func TestChainedCallsHaveRoomOfTheirOwn(t *testing.T) {
	const most = 16
	var full sync.WaitGroup
	full.Add(most)
	a, _ := spacedPair(t, ConnOptions{MaxInFlight: most}, func(self naming.NodeID, space *Space, peer func() Handler) Handler {
		return exportIn(t, space, "object", func(ctx context.Context, depth int) error {
			if depth == 2 {
				full.Done()
				full.Wait() // every place is taken
			}
			if depth == 0 {
				return nil
			}
			return InvokeInto(ctx, peer(), nil, "object", "", depth-1)
		})
	})
	var all sync.WaitGroup
	for range most {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := InvokeInto(ctx, a, nil, "object", "", 2); err != nil {
				t.Errorf("got %v, want every call carried out", err)
			}
		})
	}
	all.Wait()
}
