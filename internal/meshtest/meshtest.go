// Package meshtest makes a whole mesh in one process, on an in-memory registry
// and an in-memory network, for tests and examples.
package meshtest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/memnet"
	"farcall.dev/naming"
)

// patience bounds the waits of this package.
const patience = 30 * time.Second

// Mesh is a set of nodes that share a registry and a network.
type Mesh struct {
	// Store is the registry, Net the network. Each node is a host of the
	// network, called as the node is.
	Store *naming.Memory
	Net   *memnet.Network

	t testing.TB
}

// New returns a mesh without nodes, which ends with the test.
func New(t testing.TB) *Mesh {
	m := &Mesh{Store: naming.NewMemory(), Net: memnet.New(memnet.Options{}), t: t}
	t.Cleanup(func() { m.Net.Close() })
	return m
}

// Node joins a node that serves. Edit, when not nil, changes its options first.
func (m *Mesh) Node(node naming.NodeID, edit func(*farcall.Options)) *farcall.Mesh {
	m.t.Helper()
	ln, err := m.Net.Listen(string(node) + ":7500")
	if err != nil {
		m.t.Fatalf("listen for node %s: %v", node, err)
	}
	return m.join(node, func(o *farcall.Options) {
		o.Listener = ln
		if edit != nil {
			edit(o)
		}
	})
}

// Client joins a process that only calls.
func (m *Mesh) Client(node naming.NodeID) *farcall.Mesh {
	m.t.Helper()
	return m.join(node, func(*farcall.Options) {})
}

// join joins a process that leaves when the test ends.
func (m *Mesh) join(node naming.NodeID, edit func(*farcall.Options)) *farcall.Mesh {
	m.t.Helper()
	opts := farcall.Options{
		Node:     node,
		Registry: m.Store.Registry(),
		Dial:     m.Net.Dialer(string(node)),
		Logger:   slog.New(slog.NewTextHandler(m.t.Output(), nil)),
	}
	edit(&opts)
	mesh, err := farcall.Join(m.t.Context(), opts)
	if err != nil {
		m.t.Fatalf("join node %s: %v", node, err)
	}
	m.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := mesh.Shutdown(ctx); err != nil {
			m.t.Errorf("shut down node %s: %v", node, err)
		}
	})
	return mesh
}

// Await waits until mesh knows want callable instances of name.
func Await(t testing.TB, mesh *farcall.Mesh, name naming.Name, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := 0
	// All names are followed, because a name that is gone already has no change
	// to tell; the nodes themselves are always there.
	for range mesh.Resolver().Changes(ctx, "") {
		got = 0
		if entry, err := mesh.Resolver().Resolve(ctx, name); err == nil {
			got = len(entry.Callable())
		}
		if got == want {
			return
		}
	}
	t.Fatalf("%s has %d callable instances, want %d", name, got, want)
}
