package rmi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// gated exports "f", which waits for the gate of its argument and returns it.
func gated(t testing.TB, n int) (*Objects, []chan struct{}) {
	t.Helper()
	gates := make([]chan struct{}, n)
	for i := range gates {
		gates[i] = make(chan struct{})
	}
	o := NewObjects(ObjectsOptions{})
	err := o.ExportFunc("f", func(ctx context.Context, i int) (string, error) {
		select {
		case <-gates[i]:
			return fmt.Sprint("result ", i), nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}, ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return o, gates
}

func TestFuturesRunAtTheSameTime(t *testing.T) {
	o, gates := gated(t, 3)
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	var futures []*Future[string]
	for i := range gates {
		futures = append(futures, Go[string](t.Context(), a, "f", "", i))
	}
	waitUntil(t, "all calls", func() bool { return b.Stats().InFlightIn == 3 })
	if futures[0].Ready() {
		t.Error("a future is ready before its call has ended")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := futures[0].Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the wait", err)
	}
	var order []int
	close(gates[2])
	for i, f := range Completed(futures...) {
		order = append(order, i)
		if got, err := f.Wait(ctx); err != nil || got != fmt.Sprint("result ", i) {
			t.Errorf("future %d: got %q, %v", i, got, err)
		}
		switch len(order) {
		case 1:
			close(gates[0])
		case 2:
			close(gates[1])
		}
	}
	if want := []int{2, 0, 1}; !slices.Equal(order, want) {
		t.Errorf("they came in the order %v, want %v", order, want)
	}
}

func TestFuturesEndWithTheirContext(t *testing.T) {
	o, _ := gated(t, 2)
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	f, g := Go[string](ctx, a, "f", "", 0), Go[string](t.Context(), a, "f", "", func() {})
	if _, err := g.Wait(t.Context()); err == nil {
		t.Error("an argument that cannot travel did no harm")
	} else {
		wantError(t, err, InvalidArgument, NotExecuted, "argument 1")
	}
	for i := range Completed(f, g) { // leaves f alone
		if i != 1 {
			t.Errorf("future %d came first", i)
		}
		break
	}
	waitUntil(t, "the call", func() bool { return b.Stats().InFlightIn == 1 })
	cancel()
	_, err := f.Wait(t.Context())
	wantError(t, err, Canceled, Executed, "gave up")
	panics := HandlerFunc(func(context.Context, *Call) (Reply, error) { panic("oops") })
	_, err = Go[int](t.Context(), panics, "f", "").Wait(t.Context())
	wantError(t, err, Internal, Executed, "oops")
	_, err = Go[int](t.Context(), HandlerFunc(func(context.Context, *Call) (Reply, error) { return Reply{}, nil }), "f", "").Wait(t.Context())
	wantError(t, err, Internal, Executed, "result of f")
}

func TestFuturesOfStubs(t *testing.T) {
	o, gates := gated(t, 1)
	a, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	var begin func(context.Context, int) *Future[string]
	if err := Bind(a, "f", &begin); err != nil {
		t.Fatal(err)
	}
	f := begin(t.Context(), 0)
	if f.Ready() {
		t.Error("the stub waited")
	}
	close(gates[0])
	if got, err := f.Wait(t.Context()); got != "result 0" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	var bad func() *Future[func()]
	if err := Bind(a, "f", &bad); err == nil || !strings.Contains(err.Error(), "result 1") {
		t.Errorf("got %v, want that the result cannot travel", err)
	}
}
