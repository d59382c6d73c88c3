package farcall_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/meshtest"
	"farcall.dev/rmi"
)

// member is what a chat room needs of those who are in it.
type member struct {
	Say func(ctx context.Context, from, text string) error
}

// room is a chat room. It passes its members on to whoever asks.
type room struct {
	mu      sync.Mutex
	names   []string
	members map[string]member
	refs    map[string]*rmi.Ref
}

func newRoom() *room {
	return &room{members: make(map[string]member), refs: make(map[string]*rmi.Ref)}
}

// Join lets a member in.
func (r *room) Join(name string, who *rmi.Ref) error {
	var m member
	if err := who.Bind(&m); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = append(r.names, name)
	r.members[name], r.refs[name] = m, who
	return nil
}

// Say tells everybody, and returns when all have heard it.
func (r *room) Say(ctx context.Context, from, text string) error {
	r.mu.Lock()
	names := slices.Clone(r.names)
	r.mu.Unlock()
	for _, name := range names {
		r.mu.Lock()
		m := r.members[name]
		r.mu.Unlock()
		if err := m.Say(ctx, from, text); err != nil {
			return fmt.Errorf("tell %s: %w", name, err)
		}
	}
	return nil
}

// Member returns one of them.
func (r *room) Member(name string) *rmi.Ref {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refs[name]
}

// listener is a member that keeps what it hears.
type listener struct {
	mu    sync.Mutex
	heard []string
}

func (l *listener) Say(from, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, from+": "+text)
}

func (l *listener) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heard)
}

// Echo returns what it gets.
func (l *listener) Echo(r *rmi.Ref) *rmi.Ref { return r }

func TestChatCallsBackClientsWithoutAPort(t *testing.T) {
	mesh := meshtest.New(t)
	server := mesh.Node("server", nil)
	if err := server.Register(t.Context(), "room", newRoom(), farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	ann, bob := mesh.Client("ann"), mesh.Client("bob")
	heard := map[*farcall.Mesh]*listener{ann: new(listener), bob: new(listener)}
	for _, c := range []*farcall.Mesh{ann, bob} {
		if _, err := c.Invoke(t.Context(), "room", "join", string(c.Node()), heard[c]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ann.Invoke(t.Context(), "room", "say", "ann", "hello"); err != nil {
		t.Fatal(err)
	}
	for c, l := range heard {
		if got := l.all(); !slices.Equal(got, []string{"ann: hello"}) {
			t.Errorf("%s heard %q, want ann: hello", c.Node(), got)
		}
	}
}

// TestPassedOnToAThirdNode has ann, who does not listen, called by bob, who got
// her from the server, which passes the calls on.
func TestPassedOnToAThirdNode(t *testing.T) {
	mesh := meshtest.New(t)
	server := mesh.Node("server", nil)
	for _, node := range []*farcall.Mesh{mesh.Node("carl", nil), mesh.Client("ann")} {
		t.Run(string(node.Node()), func(t *testing.T) {
			name := string(node.Node())
			r := newRoom()
			if err := server.Register(t.Context(), "room", r, farcall.RegisterOptions{}); err != nil {
				t.Fatal(err)
			}
			defer server.Unregister(context.Background(), "room")
			here := new(listener)
			meshtest.Await(t, node, "room", 1)
			if _, err := node.Invoke(t.Context(), "room", "join", name, here); err != nil {
				t.Fatal(err)
			}
			bob := mesh.Client("bob-of-" + node.Node())
			meshtest.Await(t, bob, "farcall.node", 2)
			ref, err := farcall.Call[*rmi.Ref](t.Context(), bob, "room", "member", name)
			if err != nil {
				t.Fatal(err)
			}
			owner := node.Node()
			if node.Addr() == "" {
				owner = "server"
			}
			if ref.Node() != owner {
				t.Errorf("got %v, want it on %s", ref, owner)
			}
			if _, err := ref.Invoke(t.Context(), "say", "bob", "psst"); err != nil {
				t.Fatal(err)
			}
			if got := here.all(); !slices.Equal(got, []string{"bob: psst"}) {
				t.Errorf("%s heard %q, want bob: psst", name, got)
			}
			// What bob gives and gets by way of it is his own, and ann's own.
			mine, err := bob.Space().Export(new(listener), rmi.ExportOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for want, give := range map[any]*rmi.Ref{mine: mine, ref: ref} {
				if back, err := rmi.InvokeAs[*rmi.Ref](t.Context(), ref, "", "echo", give); err != nil || any(back) != want {
					t.Errorf("got %v (%p), %v, want %v (%p) back", back, back, err, want, want)
				}
			}
			home, err := node.Invoke(t.Context(), "room", "member", name)
			if err != nil || home != any(here) {
				t.Errorf("got %v, %v, want the object itself at home", home, err)
			}
		})
	}
}

func TestWhatAProcessHoldsIsGivenUpWhenItLeaves(t *testing.T) {
	mesh := meshtest.New(t)
	server := mesh.Node("server", nil)
	r := newRoom()
	if err := server.Register(t.Context(), "room", r, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	given := &listener{}
	if err := server.RegisterFunc(t.Context(), "listener", func() any { return given }, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	ann := mesh.Client("ann")
	if _, err := ann.Invoke(t.Context(), "room", "join", "ann", new(listener)); err != nil {
		t.Fatal(err)
	}
	ref, err := farcall.Call[*rmi.Ref](t.Context(), ann, "listener", "")
	if err != nil {
		t.Fatal(err)
	}
	awaitSpace(t, server, "one reference each way", func(s rmi.SpaceStats) bool { return s.Held == 1 && s.Lent == 1 })
	if err := ann.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	// With the lease, which is a minute, this would take too long.
	awaitSpace(t, server, "no session with ann", func(s rmi.SpaceStats) bool { return s.Sessions == 0 && s.Lent == 0 })
	runtime.KeepAlive(ref)
}

func TestCallsOfOnesOwnReferencePassTheMiddleware(t *testing.T) {
	var served atomic.Int64
	mesh := meshtest.New(t)
	node := mesh.Node("node", func(o *farcall.Options) {
		o.ServeWith = []rmi.Middleware{func(next rmi.Handler) rmi.Handler {
			return rmi.HandlerFunc(func(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
				if call.Method == "say" {
					served.Add(1)
				}
				return next.Handle(ctx, call)
			})
		}}
	})
	own := new(listener)
	ref, err := node.Space().Export(own, rmi.ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ref.Invoke(t.Context(), "say", "me", "hello"); err != nil {
		t.Fatal(err)
	}
	if got := served.Load(); got != 1 || len(own.all()) != 1 {
		t.Errorf("%d calls passed the middleware and %d arrived, want 1", got, len(own.all()))
	}
	if name, method, ok := node.Objects().Known(ref.Object(), "Say"); name != "#" || method != "say" || !ok {
		t.Errorf("it is known as %q, %q, %v, want #, say", name, method, ok)
	}
}

// awaitSpace waits until ok of what mesh shares with others.
func awaitSpace(t *testing.T, mesh *farcall.Mesh, what string, ok func(rmi.SpaceStats) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !ok(mesh.Space().Stats()) {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited for %s, and got %+v", what, mesh.Space().Stats())
		}
	}
}
