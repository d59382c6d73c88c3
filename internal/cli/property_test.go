package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"farcall.dev"
	"farcall.dev/rmi"
)

// stall is an object with properties.
type stall struct {
	Price float64
	Items []item
	Logo  []byte
	owner string
}

// Owner returns who has it.
func (s *stall) Owner() string { return s.owner }

// newStall adds to the fixture a stall, a cart for each session, and a method
// that passes on the errors of another node.
func newStall(t *testing.T) (*fixture, *stall) {
	t.Helper()
	f, s := newFixture(t), &stall{Price: 2, owner: "ann"}
	daemon := f.nodes["daemon-2"]
	for _, err := range []error{
		daemon.Register(t.Context(), "stall", s, farcall.RegisterOptions{
			Docs: rmi.Docs{Doc: "Sells things."},
			Properties: []rmi.Property{
				{Name: "Price", Doc: "What each costs."}, {Name: "Items"}, {Name: "Logo", ReadOnly: true},
				{Name: "total", Get: func() float64 { return s.Price * 2 }},
			},
		}),
		daemon.Register(t.Context(), "cart", rmi.NewFactory(rmi.PerSession, func(context.Context) (*stall, error) {
			return &stall{owner: "you"}, nil
		}), farcall.RegisterOptions{}),
		daemon.RegisterFunc(t.Context(), "order", func(ctx context.Context) error {
			_, err := daemon.Invoke(ctx, "lab", "fail", "out of paper")
			return fmt.Errorf("order: %w", err)
		}, farcall.RegisterOptions{}),
		daemon.RegisterFunc(t.Context(), "traced", func() error {
			return &rmi.Error{Code: rmi.Aborted, Message: "traced", Details: map[string]string{"sku": "A1"}}
		}, farcall.RegisterOptions{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return f, s
}

func TestPropertyTranscript(t *testing.T) {
	f, _ := newStall(t)
	golden(t, filepath.Join("testdata", "properties.golden"), f.transcript([][]string{
		{"describe", "stall"}, {"describe", "stall", "price"}, {"describe", "stall", "prise"}, {"describe", "cart"},
		{"get", "stall", "price"}, {"get", "stall", "Total"}, {"get", "-o", "json", "stall", "items"}, {"get", "stall", "items", "-o", "yaml"},
		{"set", "stall", "price", "-3"}, {"get", "stall", "price"}, {"set", "stall", "items", `[{"sku": "A1", "count": 2}]`},
		{"get", "stall", "items"}, {"set", "-o", "json", "stall", "Price", "4"}, {"set", "stall", "price", "--", "--", "4"},
		{"get"}, {"get", "stall"}, {"get", "stall", ""}, {"get", "stall", "price", "x"}, {"set", "stall", "price"}, {"set", "stall", "price", "3", "-o", "json"},
		{"get", "stal", "price"}, {"get", "stall", "prise"}, {"set", "stall", "prise", "3"}, {"set", "stall", "price", "much"},
		{"set", "stall", "total", "3"}, {"set", "stall", "logo", "@no/such/file"}, {"get", "add", "x"}, {"get", "--node", "daemon-1", "greeting", "x"},
		{"invoke", "cart", "owner"}, {"call", "order"}, {"call", "traced"},
		{"get", "--help"}, {"set", "--help"},
	}...))
}

func TestAPropertyIsSetFromAFile(t *testing.T) {
	f, s := newStall(t)
	if got := f.pipe(" 2.5\n", "set", "stall", "price", "-"); got.code != ExitOK || s.Price != 2.5 {
		t.Errorf("got %+v and the price %v, want 2.5", got, s.Price)
	}
}

func TestPropertiesAreCompleted(t *testing.T) {
	f, _ := newStall(t)
	for words, want := range map[string]string{
		"get st":                  "stall\tobject on daemon-2",
		"get stall _":             "items\titems: list<{sku: string, count: int, notes: map<string, any>}>|logo\tlogo: bytes (read-only)|price\tprice: float|total\ttotal: float (read-only)",
		"set stall p":             "price\tprice: float",
		"set stall l":             "",
		"set stall price _":       "_activeHelp_ price: float",
		"get stall price _":       "",
		"get nothing _":           "",
		"describe stall p":        "price\tprice: float",
		"describe stall o":        "owner\towner() -> string",
		"set stall price 1 extra": "",
	} {
		typed := strings.Fields(words)
		if last := len(typed) - 1; typed[last] == "_" {
			typed[last] = ""
		}
		if got, _ := f.complete(typed...); strings.Join(got, "|") != want {
			t.Errorf("%s: got %q, want %q", words, got, want)
		}
	}
}

// What only people who look for it want to see is shown with -v.
func TestVerboseShowsTheTraceAndOurOwnDetails(t *testing.T) {
	a := newApp(Options{})
	fe := &rmi.Error{
		Code: rmi.Unknown, Message: "m", Trace: "goroutine 1", Details: map[string]string{"farcall-sentinels": "io.EOF", "sku": "A1"},
		Hops: []rmi.Hop{{Node: "n2", Called: "shop.buy"}},
	}
	for _, tt := range []struct {
		verbose bool
		want    string
	}{
		{false, "passed on by n2, which called shop.buy|sku: A1"},
		{true, "passed on by n2, which called shop.buy|farcall-sentinels: io.EOF|sku: A1|goroutine 1"},
	} {
		a.global.verbose = tt.verbose
		f, ok := errors.AsType[*failure](a.callFailed(fe, target{"shop", "buy"}, ""))
		if got := strings.Join(f.more, "|"); !ok || got != tt.want {
			t.Errorf("verbose %t: got %q, want %q", tt.verbose, got, tt.want)
		}
	}
}
