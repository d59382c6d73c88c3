package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"farcall.dev"
	"farcall.dev/gateway"
	"farcall.dev/internal/meshtest"
	"farcall.dev/rmi"
)

// stall has properties.
type stall struct {
	Price float64
	Items []item
}

// Buy buys something.
func (s *stall) Buy() float64 { return s.Price }

// Both doors read and write properties by the methods behind them, at the node
// itself and through a gateway elsewhere.
func TestPropertiesGoThroughTheDoors(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	f.must(f.one.Register(t.Context(), "stall", &stall{Price: 2}, farcall.RegisterOptions{
		Properties: []rmi.Property{{Name: "Price"}, {Name: "Items"}},
	}))
	meshtest.Await(t, f.gate, "stall", 1)
	for name, h := range map[string]http.Handler{"whole mesh": f.whole, "own port": f.own} {
		for _, tt := range []struct{ method, body, want string }{
			{rmi.SetMethod, `["price", 2]`, `{"result":null}`},
			{rmi.GetMethod, `["price"]`, `{"result":2}`},
			{rmi.SetMethod, `["Price", 2.5]`, `{"result":null}`},
			{rmi.SetMethod, `["items", [{"sku": "A1", "count": 3}]]`, `{"result":null}`},
			{rmi.GetMethod, `["items"]`, `{"result":[{"count":3,"sku":"A1"}]}`},
			{rmi.GetMethod, `["prise"]`, `"code":"NOT_FOUND","message":"stall has no property prise; did you mean price?`},
			{rmi.PropertiesMethod, `[]`, `"name":"price"`},
		} {
			w := post(t, h, "/v1/call/stall/"+tt.method, jsonType, []byte(tt.body))
			if !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%s: %s%s: got %s, want %s", name, tt.method, tt.body, w.Body, tt.want)
			}
		}
		if got, err := xmlCall(t, h, "/RPC2", "stall."+rmi.GetMethod, "price"); err != nil || got != 2.5 {
			t.Errorf("%s: got %v, %v, want 2.5", name, got, err)
		}
		if _, err := xmlCall(t, h, "/RPC2", "stall."+rmi.SetMethod, "price", 4); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, err := xmlCall(t, h, "/RPC2", "stall.buy"); err != nil || got != 4.0 {
			t.Errorf("%s: got %v, %v, want what was set", name, got, err)
		}
		if _, err := xmlCall(t, h, "/RPC2", "stall."+rmi.SetMethod, "price", "much"); err == nil || !strings.Contains(err.Error(), "stall.price: want float") {
			t.Errorf("%s: got %v, want a fault that says what is wanted", name, err)
		}
	}
}

// Those who come by a door have no session, also where a gateway has one.
func TestAnObjectPerSessionSendsDoorsAway(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	f.must(f.one.Register(t.Context(), "cart", rmi.NewFactory(rmi.PerSession, func(context.Context) (*stall, error) {
		return &stall{Price: 7}, nil
	}), farcall.RegisterOptions{}))
	meshtest.Await(t, f.gate, "cart", 1)
	for name, h := range map[string]http.Handler{"whole mesh": f.whole, "own port": f.own} {
		w := post(t, h, "/v1/call/cart/buy", jsonType, nil)
		if want := "cart has an instance for each session, and a call"; w.Code != http.StatusPreconditionFailed || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %d %s, want %q", name, w.Code, w.Body, want)
		}
		if _, err := xmlCall(t, h, "/RPC2", "cart.buy"); err == nil || !strings.Contains(err.Error(), "call it by RMI") {
			t.Errorf("%s: got %v, want a fault that says what to do", name, err)
		}
	}
	if got, err := farcall.Call[float64](t.Context(), f.gate, "cart", "buy"); err != nil || got != 7 {
		t.Errorf("by RMI: got %v, %v", got, err)
	}
}

func TestTheJSONDoorTellsOfHops(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	f.must(f.one.RegisterFunc(t.Context(), "order", func(ctx context.Context) error {
		_, err := f.one.Invoke(ctx, "lab", "fail", "no paper")
		return fmt.Errorf("order: %w", err)
	}, farcall.RegisterOptions{}))
	meshtest.Await(t, f.gate, "order", 1)
	w := post(t, f.whole, "/v1/call/order", jsonType, nil)
	if got := w.Body.String(); !strings.Contains(got, `"hops":[{"node":"one","called":"lab.fail"}]`) || !strings.Contains(got, `"order: no paper"`) {
		t.Errorf("got %s, want the node that passed the error on", got)
	}
}
