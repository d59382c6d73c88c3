package source

import (
	"context"
	"errors"
	"math/big"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"farcall.dev"
	"farcall.dev/internal/gen/source/testdata/shop"
	"farcall.dev/internal/gen/source/testdata/shop/shopclient"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// basket is a shop.Cart.
type basket struct {
	items []shop.Item
	paid  int
}

func (b *basket) Add(_ context.Context, item shop.Item, count int) (int, error) {
	if count < 1 {
		return 0, rmi.Errorf(rmi.InvalidArgument, "add %d of %s", count, item.SKU)
	}
	for range count {
		b.items = append(b.items, item)
	}
	return len(b.items), nil
}

func (b *basket) Find(_ context.Context, words ...string) ([]shop.Item, time.Duration, error) {
	var found []shop.Item
	for _, item := range b.items {
		if len(words) == 0 || strings.Contains(item.Name, words[0]) {
			found = append(found, item)
		}
	}
	return found, time.Duration(len(words)), nil
}

func (b *basket) Empty(context.Context) error        { b.items = nil; return nil }
func (b *basket) Count(context.Context) (int, error) { return len(b.items), nil }
func (b *basket) Secret() string                     { return "not in the interface" }

func (b *basket) Pay(_ context.Context, amount *big.Int, notes map[string]any) (*shop.Receipt, error) {
	b.paid++
	if amount == nil {
		return nil, errors.New("nothing is not an amount")
	}
	by, _ := notes["by"].(string)
	return &shop.Receipt{Amount: amount, By: naming.NodeID(by)}, nil
}

// market is a mesh with a cart and a till, and a caller in it.
func market(t *testing.T) (caller *farcall.Mesh, till *shop.Till) {
	t.Helper()
	m := meshtest.New(t)
	server := m.Node("shop", func(o *farcall.Options) { o.Proxies = []rmi.Proxy{shop.BellProxy()} })
	till = &shop.Till{}
	if err := errors.Join(
		shop.RegisterCart(t.Context(), server, "shop.cart", &basket{}, farcall.RegisterOptions{Docs: rmi.Docs{Doc: "A basket."}}),
		shop.RegisterDesk(t.Context(), server, "shop.desk", &desk{}, farcall.RegisterOptions{}),
		shop.RegisterTicker(t.Context(), server, "shop.ticker", &shop.Ticker{}, farcall.RegisterOptions{}),
		shop.RegisterTill(t.Context(), server, "shop.till", till, farcall.RegisterOptions{}),
	); err != nil {
		t.Fatal(err)
	}
	return m.Client("customer"), till
}

// TestGeneratedClientCalls runs a generated client against an object in a mesh,
// in the package of its interface and in another.
func TestGeneratedClientCalls(t *testing.T) {
	caller, _ := market(t)
	for name, cart := range map[string]shop.Cart{
		"same package":    shop.NewCartClient(caller.Handler(), "shop.cart"),
		"another package": shopclient.NewCartClient(caller.Handler(), "shop.cart"),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			socks := shop.Item{SKU: "s1", Name: "red socks", Parts: []shop.Item{{SKU: "s1a", Name: "left"}, {SKU: "s1b", Name: "right"}}}
			if n, err := cart.Add(ctx, socks, 2); n != 2 || err != nil {
				t.Errorf("add: got %d, %v; want 2", n, err)
			}
			n, err := cart.Add(ctx, socks, 0)
			if e, ok := errors.AsType[*rmi.Error](err); n != 0 || !ok || e.Code != rmi.InvalidArgument {
				t.Errorf("add nothing: got %d, %v; want INVALID_ARGUMENT", n, err)
			}
			found, took, err := cart.Find(ctx, "socks", "red")
			if diff := cmp.Diff([]shop.Item{socks, socks}, found); diff != "" || took != 2 || err != nil {
				t.Errorf("find: got %v, %v (-want +got):\n%s", took, err, diff)
			}
			if found, took, err := cart.Find(ctx); len(found) != 2 || took != 0 || err != nil {
				t.Errorf("find all: got %v, %v, %v", found, took, err)
			}
			huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
			receipt, err := cart.Pay(ctx, huge, map[string]any{"by": "letian"})
			if err != nil || receipt == nil || receipt.Amount.Cmp(huge) != 0 || receipt.By != "letian" {
				t.Errorf("pay: got %v, %v", receipt, err)
			}
			if receipt, err := cart.Pay(ctx, nil, nil); err == nil || receipt != nil {
				t.Errorf("pay nothing: got %v, %v; want an error", receipt, err)
			}
			if err := cart.Empty(ctx); err != nil {
				t.Error(err)
			}
			if n, err := cart.Count(ctx); n != 0 || err != nil {
				t.Errorf("count: got %d, %v; want 0", n, err)
			}
		})
	}
}

// TestStructOfFuncsCallsTheSameObject fails when what a generated client calls
// cannot be called without one.
func TestStructOfFuncsCallsTheSameObject(t *testing.T) {
	caller, _ := market(t)
	var cart struct {
		Add   func(ctx context.Context, item shop.Item, count int) (int, error)
		Find  func(ctx context.Context, words ...string) ([]shop.Item, time.Duration, error) `rmi:",idempotent"`
		Count func() (int, error)
	}
	if err := caller.Bind("shop.cart", &cart); err != nil {
		t.Fatal(err)
	}
	if n, err := cart.Add(t.Context(), shop.Item{SKU: "x"}, 3); n != 3 || err != nil {
		t.Errorf("add: got %d, %v; want 3", n, err)
	}
	if n, err := shop.NewCartClient(caller.Handler(), "shop.cart").Count(t.Context()); n != 3 || err != nil {
		t.Errorf("count by the generated client: got %d, %v; want 3", n, err)
	}
	if found, took, err := cart.Find(t.Context(), "none"); len(found) != 0 || took != 1 || err != nil {
		t.Errorf("find: got %v, %v, %v", found, took, err)
	}
}

// TestClientsOfTypesAsTheyAre calls methods without context and error, and those
// whose parameters have names that generated code uses.
func TestClientsOfTypesAsTheyAre(t *testing.T) {
	caller, _ := market(t)
	till := shop.NewTillClient(caller.Handler(), "shop.till")
	if got, err := till.Total(t.Context(), 1, 2, 4, 8, "sixteen_letters!", 32); got != 63 || err != nil {
		t.Errorf("total: got %d, %v; want 63", got, err)
	}
	if name, known, err := till.Kind(t.Context(), rmi.NotFound); name != "NOT_FOUND" || !known || err != nil {
		t.Errorf("kind: got %q, %v, %v", name, known, err)
	}
	if err := till.Fail(t.Context(), 7); err == nil || !strings.Contains(err.Error(), "the till is stuck") {
		t.Errorf("fail: got %v", err)
	}
}

// TestDescribeShowsWhatTheSourceSays fails when names, comments or directives do
// not reach those who ask.
func TestDescribeShowsWhatTheSourceSays(t *testing.T) {
	caller, _ := market(t)
	info, err := caller.Describe(t.Context(), "shop.cart", "")
	if err != nil {
		t.Fatal(err)
	}
	if info.Doc != "A basket." {
		t.Errorf("got doc %q, want that of the registration", info.Doc)
	}
	if m, ok := info.Method("secret"); ok {
		t.Errorf("got %v, which is not in the interface", m)
	}
	add, _ := info.Method("add")
	if got, want := add.Signature(), "add(item: {sku: string, name: string, parts: list<Item>}, count: int) -> int"; !strings.HasPrefix(got, "add(item: {sku: string") || !strings.HasSuffix(got, ", count: int) -> int") {
		t.Errorf("got %s, want %s", got, want)
	}
	if want := "Add puts count of an item into the cart and returns how many are in it."; add.Doc != want || add.Idempotent {
		t.Errorf("got doc %q, idempotent %v; want %q", add.Doc, add.Idempotent, want)
	}
	for _, name := range []string{"find", "count"} {
		if m, _ := info.Method(name); !m.Idempotent || m.Doc == "" || strings.Contains(m.Doc, "farcall:") {
			t.Errorf("%s: got idempotent %v and doc %q", name, m.Idempotent, m.Doc)
		}
	}
	want, err := shop.CartInterface().Info()
	if err != nil || want.Digest != info.Digest {
		t.Errorf("the client wants digest %s, %v; the registry has %s", want.Digest, err, info.Digest)
	}
	if err := caller.CheckInterface(t.Context(), "shop.cart", want); err != nil {
		t.Error(err)
	}
}

// TestClientsOfSequences reads and sends sequences by a generated client.
func TestClientsOfSequences(t *testing.T) {
	caller, _ := market(t)
	ctx := t.Context()
	ticker := shop.NewTickerClient(caller.Handler(), "shop.ticker")
	prices, err := ticker.Prices(ctx, 100)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for price, err := range prices {
		if err != nil || price != float64(n) {
			t.Fatalf("price %d: got %v, %v", n, price, err)
		}
		n++
	}
	if n != 100 {
		t.Errorf("got %d prices, want 100", n)
	}
	named, count, err := ticker.Named(ctx, "a", "b")
	if err != nil || count != 2 {
		t.Fatalf("named: got %d, %v; want 2", count, err)
	}
	var got []string
	for pair, err := range named {
		if err != nil || pair.Key != pair.Value.SKU {
			t.Errorf("got %+v, %v", pair, err)
		}
		got = append(got, pair.Key)
	}
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Errorf("named (-want +got):\n%s", diff)
	}
	if named, _, err := ticker.Named(ctx, "none"); err == nil || named != nil {
		t.Errorf("named none: got %v, %v; want an error", named != nil, err)
	}
	failing, err := ticker.Failing(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, last = range failing {
	}
	if last == nil || !strings.Contains(last.Error(), "the tape tore") {
		t.Errorf("failing: got %v at the end", last)
	}
	more := make(chan int, 2)
	more <- 3
	more <- 4
	close(more)
	if sum, err := ticker.Sum(ctx, slices.Values([]int{1, 2}), more); sum != 10 || err != nil {
		t.Errorf("sum: got %d, %v; want 10", sum, err)
	}
}

// TestOneWayIsTaken fails when a one-way method is waited for, or is lost.
func TestOneWayIsTaken(t *testing.T) {
	caller, _ := market(t)
	till := shop.NewTillClient(caller.Handler(), "shop.till")
	if err := till.Log(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		if lines, err := till.Logged(t.Context()); err != nil || len(lines) == 1 {
			return
		}
	}
	t.Error("the line never arrived")
}

// chime is a shop.Bell with a field that would travel as a value.
type chime struct{ Tone string }

func (c *chime) Ring(_ context.Context, who string) (string, error) { return c.Tone + " " + who, nil }

// desk is a shop.Desk.
type desk struct{ bell shop.Bell }

func (d *desk) Watch(ctx context.Context, bell shop.Bell, each func(ctx context.Context, n int) error) (string, error) {
	d.bell = bell
	if err := each(ctx, 7); err != nil {
		return "", err
	}
	return bell.Ring(ctx, "desk")
}

func (d *desk) Bell(context.Context) (shop.Bell, error) { return d.bell, nil }

// TestClientsOfReferences passes an object and a func by a generated client; the
// server calls them by a generated proxy.
func TestClientsOfReferences(t *testing.T) {
	caller, _ := market(t)
	client := shop.NewDeskClient(caller.Handler(), "shop.desk")
	n := 0
	mine := &chime{"ding"}
	got, err := client.Watch(t.Context(), mine, func(_ context.Context, x int) error { n = x; return nil })
	if got != "ding desk" || n != 7 || err != nil {
		t.Errorf("got %q, %d, %v; want ding desk and 7", got, n, err)
	}
	ref, err := caller.Space().Export(mine, rmi.ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bell := shop.BellFromRef(ref)
	if bell.Ref() != ref || client.Ref() != nil {
		t.Errorf("got %v and %v, want the reference and none", bell.Ref(), client.Ref())
	}
	if got, err := bell.Ring(t.Context(), "me"); got != "ding me" || err != nil {
		t.Errorf("by reference: got %q, %v", got, err)
	}
	if got, err := client.Watch(t.Context(), bell, func(context.Context, int) error { return nil }); got != "ding desk" || err != nil {
		t.Errorf("passed on: got %q, %v", got, err)
	}
}
