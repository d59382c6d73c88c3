// Package shop is what the tests of farcall-gen generate from, compile and run.
package shop

import (
	"context"
	"errors"
	"iter"
	"math/big"
	"slices"
	"sync"
	"time"

	"farcall.dev/naming"
	wire "farcall.dev/rmi"
)

//go:generate go tool farcall-gen -type Cart,Till,Ticker,Bell,Desk,orders
//go:generate go tool farcall-gen -type Cart -o shopclient/cart.go -server=false

// Cart is what a customer wants to buy.
//
// It forgets nothing:
//
//	cart.Add(ctx, Item{SKU: "socks"}, 2)
type Cart interface {
	Counter
	// Add puts count of an item into the cart and returns how many are in it.
	Add(ctx context.Context, item Item, count int) (int, error)
	// Find returns the items that have all of words in their name, and how long
	// that took.
	//
	//farcall:idempotent
	Find(ctx context.Context, words ...string) ([]Item, time.Duration, error)
	Empty(context.Context) error // throws everything away
	// Pay pays once.
	Pay(ctx context.Context, amount *big.Int, _ map[string]any) (*Receipt, error)
}

// Counter counts.
type Counter interface {
	// Count returns how many items there are.
	//farcall:idempotent
	Count(ctx context.Context) (int, error)
}

// Item is one thing.
type Item struct {
	SKU  string `json:"sku"`
	Name string `json:"name,omitempty"`
	// Parts are what it consists of.
	Parts []Item `json:"parts,omitempty"`
}

// Receipt says what was paid.
type Receipt struct {
	Amount *big.Int
	At     time.Time
	By     naming.NodeID
}

// Till is served as it is: most of its methods have neither context nor error.
type Till struct {
	Open bool

	mu   sync.Mutex
	logs []string // guarded by mu
}

// Total adds. Its parameters have names that the client's own code uses.
func (t *Till) Total(c, ctx, err, args int64, wire string, r1 int64) int64 {
	return c + ctx + err + args + int64(len(wire)) + r1
}

// Log takes note, and nobody waits for it.
//
//farcall:oneway taken
func (t *Till) Log(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.logs = append(t.logs, line)
}

// Logged returns what was noted.
//
//farcall:idempotent
func (t *Till) Logged(context.Context) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.logs)
}

// Fail fails.
func (t *Till) Fail(int) error { return errors.New("the till is stuck") }

// Kind returns what an error is.
func (t *Till) Kind(code wire.Code) (name string, known bool) { return code.String(), code != 11 }

// Drawer is for whoever holds the till.
//
//farcall:skip
func (t *Till) Drawer() chan int { return nil }

// Close is the owner's.
func (t *Till) Close() {}

// Ticker has sequences of every form.
type Ticker struct{}

// Prices returns n prices.
func (Ticker) Prices(_ context.Context, n int) iter.Seq[float64] {
	return func(yield func(float64) bool) {
		for i := range n {
			if !yield(float64(i)) {
				return
			}
		}
	}
}

// Named returns the prices of items, and fails at "none".
func (Ticker) Named(skus ...string) (iter.Seq2[string, Item], int, error) {
	if len(skus) > 0 && skus[0] == "none" {
		return nil, 0, errors.New("there are none")
	}
	return func(yield func(string, Item) bool) {
		for _, sku := range skus {
			if !yield(sku, Item{SKU: sku}) {
				return
			}
		}
	}, len(skus), nil
}

// Failing breaks off after one item.
func (Ticker) Failing() iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		_ = yield(1, nil) && yield(0, errors.New("the tape tore"))
	}
}

// Sum adds what it is sent.
func (Ticker) Sum(_ context.Context, xs iter.Seq[int], more <-chan int) (sum int, err error) {
	for x := range xs {
		sum += x
	}
	for x := range more {
		sum += x
	}
	return sum, nil
}

// Bell is an object that is passed around.
type Bell interface {
	Ring(ctx context.Context, who string) (string, error)
}

// Desk takes and gives objects.
type Desk interface {
	// Watch has the bell rung before it returns.
	Watch(ctx context.Context, bell Bell, each func(ctx context.Context, n int) error) (string, error)
	Bell(ctx context.Context) (Bell, error)
}

// orders is not exported, and its client is.
type orders interface {
	Place(ctx context.Context, shop_order Item) error
}
