package farcall_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// cart is an object with an instance for each session.
type cart struct {
	mu     sync.Mutex
	Items  []string
	Owner  string
	closed chan<- string
}

// Add puts an item into the cart and returns all.
func (c *cart) Add(item string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Items = append(c.Items, item)
	return c.Items
}

// Close tells whose cart it was.
func (c *cart) Close() { c.closed <- c.Owner }

func TestEachProcessHasItsCart(t *testing.T) {
	tm := meshtest.New(t)
	closed := make(chan string, 8)
	shop := tm.Node("shop", func(o *farcall.Options) { o.ReferenceLease = time.Millisecond })
	newCart := func(ctx context.Context) (*cart, error) {
		return &cart{Owner: string(rmi.SessionFrom(ctx).Node()), closed: closed}, nil
	}
	if err := shop.Register(t.Context(), "cart", rmi.NewFactory(rmi.PerSession, newCart), farcall.RegisterOptions{
		Properties: []rmi.Property{{Name: "Owner", ReadOnly: true}, {Name: "Items"}},
	}); err != nil {
		t.Fatal(err)
	}
	alice, bob := tm.Client("alice"), tm.Client("bob")
	for _, m := range []*farcall.Mesh{alice, bob} {
		meshtest.Await(t, m, "cart", 1)
		for i := 1; i <= 3; i++ {
			if got, err := farcall.Call[[]string](t.Context(), m, "cart", "add", "x"); err != nil || len(got) != i {
				t.Errorf("%s: got %v, %v, want %d items", m.Node(), got, err, i)
			}
		}
		if got, err := rmi.Get[string](t.Context(), m.Handler(), "cart", "owner"); err != nil || got != string(m.Node()) {
			t.Errorf("got the cart of %s, %v, want that of %s", got, err, m.Node())
		}
	}
	if err := rmi.Set(t.Context(), bob.Handler(), "cart", "items", []string{"y"}); err != nil {
		t.Error(err)
	}
	if got, err := farcall.Call[[]string](t.Context(), bob, "cart", "add", "z"); err != nil || strings.Join(got, "") != "yz" {
		t.Errorf("got %v, %v, want what was set and added", got, err)
	}
	info, err := alice.Describe(t.Context(), "cart", "")
	if err != nil || info.Scope != rmi.PerSession || len(info.Properties) != 2 {
		t.Errorf("got %+v, %v, want the scope and the properties", info, err)
	}
	for _, m := range []*farcall.Mesh{alice, shop} { // one that leaves, and those who are left
		if err := m.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if got, want := <-closed, map[naming.NodeID]string{"alice": "alice", "shop": "bob"}[m.Node()]; got != want {
			t.Errorf("after %s had left: the cart of %s was closed, want that of %s", m.Node(), got, want)
		}
	}
}

// outOfStock is an error struct.
type outOfStock struct{ SKU string }

func (e *outOfStock) Error() string { return "no " + e.SKU + " left" }

var errShut = errors.New("shut")

// An error crosses two nodes with all that its caller can branch on, and its
// trace reaches those whom every node on the way lets see it.
func TestErrorsCrossTwoNodes(t *testing.T) {
	known, err := rmi.NewErrors(rmi.Sentinel("shop.ErrShut", errShut), rmi.ErrorType[*outOfStock]("shop.OutOfStock"))
	if err != nil {
		t.Fatal(err)
	}
	tm := meshtest.New(t)
	operators := func(p rmi.Peer) bool { return p.Node == "operator" || p.Node == "middle" }
	far := tm.Node("far", func(o *farcall.Options) { o.Errors, o.Operator = known, operators })
	middle := tm.Node("middle", func(o *farcall.Options) { o.Operator = operators })
	if err := far.RegisterFunc(t.Context(), "buy", func(sku string) error {
		if sku == "panic" {
			panic("the spring is gone")
		}
		return errors.Join(errShut, &outOfStock{sku})
	}, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	meshtest.Await(t, middle, "buy", 1)
	if err := middle.RegisterFunc(t.Context(), "order", func(ctx context.Context, sku string) error {
		_, err := middle.Invoke(ctx, "buy", "", sku)
		return fmt.Errorf("order: %w", err)
	}, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, node := range []naming.NodeID{"operator", "stranger"} {
		caller := tm.Client(node)
		restored := known.Restore(caller.Handler())
		meshtest.Await(t, caller, "order", 1)
		_, err := rmi.Invoke(t.Context(), restored, "order", "", "socks")
		e, _ := errors.AsType[*rmi.Error](err)
		missing, ok := errors.AsType[*outOfStock](err)
		if !ok || missing.SKU != "socks" || !errors.Is(err, errShut) || e.Message != "order: shut\nno socks left" ||
			len(e.Hops) != 1 || e.Hops[0] != (rmi.Hop{Node: "middle", Called: "buy"}) {
			t.Errorf("%s: got %+v, want the shop's errors by way of middle", node, err)
		}
		_, err = rmi.Invoke(t.Context(), restored, "order", "", "panic")
		e, _ = errors.AsType[*rmi.Error](err)
		if e == nil || strings.Contains(e.Trace, "the spring is gone") != (node == "operator") || strings.Contains(e.Message, "spring") {
			t.Errorf("%s: got %+v, want a trace for the operator alone", node, e)
		}
	}
}
