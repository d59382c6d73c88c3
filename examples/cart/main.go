// Command cart is a shop in which each customer's process has a cart of its own
// that ends with its session: an instance for each session, properties, a batch,
// an error with fields, and an order that is placed once although the line
// breaks.
//
//	go run ./examples/cart
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync/atomic"
	"time"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// line is the customer's line, which can be cut.
type line struct {
	conn  atomic.Pointer[net.Conn]
	dials atomic.Int64
}

func (l *line) dial(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		l.conn.Store(&conn)
		l.dials.Add(1)
	}
	return conn, err
}

func (l *line) cut() { (*l.conn.Load()).Close() }

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run runs the whole mesh in this process; each Join could be in one of its own.
func run(ctx context.Context, out io.Writer) error {
	// Both sides call their errors by the same name.
	known, err := rmi.NewErrors(rmi.ErrorType[*OutOfStock]("shop.OutOfStock"))
	if err != nil {
		return err
	}
	store := naming.NewMemory()
	shop, err := farcall.Join(ctx, farcall.Options{
		Registry: store.Registry(), Listen: "127.0.0.1:0", Errors: known,
		ReferenceLease: time.Second, // how long a session outlives its connection
	})
	if err != nil {
		return err
	}
	defer shop.Shutdown(ctx)

	var orders atomic.Int64
	var line line
	closed := make(chan string, 8)
	newCart := func(ctx context.Context) (*Cart, error) {
		return &Cart{orders: &orders, line: &line, closed: closed}, nil
	}
	err = shop.Register(ctx, "cart", rmi.NewFactory(rmi.PerSession, newCart), farcall.RegisterOptions{
		Methods:    []string{"Add", "Items", "Order"},
		Properties: []rmi.Property{{Name: "Note"}, {Name: "items", Get: (*Cart).Items}},
	})
	if err != nil {
		return err
	}

	customer, err := farcall.Join(ctx, farcall.Options{Registry: store.Registry(), Errors: known, Dial: line.dial})
	if err != nil {
		return err
	}
	defer customer.Shutdown(ctx)
	h := customer.Handler()

	// Three calls in one frame, each with an outcome of its own.
	batch := rmi.NewBatch(h, "cart")
	added := []*rmi.Added[int]{
		rmi.Add[int](batch, "add", "socks", 2), rmi.Add[int](batch, "add", "hats", 9), rmi.Add[int](batch, "add", "gloves", 1),
	}
	if err := batch.Do(ctx); err != nil {
		return err
	}
	for _, call := range added {
		n, err := call.Result()
		if missing, ok := errors.AsType[*OutOfStock](err); ok {
			fmt.Fprintf(out, "of %s there are but %d\n", missing.Item, missing.Left)
			continue
		}
		fmt.Fprintln(out, "in the cart:", n, err)
	}

	if err := rmi.Set(ctx, h, "cart", "note", "no bag, please"); err != nil {
		return err
	}
	note, err := rmi.Get[string](ctx, h, "cart", "note")
	fmt.Fprintf(out, "note: %q %v\n", note, err)
	fmt.Fprintln(out, "items set:", rmi.Set(ctx, h, "cart", "items", 100))

	// The line breaks while the order is being placed. The call is sent again over
	// a new one, and recognised: its answer is that of the first.
	receipt, err := farcall.Call[string](ctx, customer, "cart", "order")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s; dialled: %d, orders placed: %d\n", receipt, line.dials.Load(), orders.Load())

	if err := customer.Shutdown(ctx); err != nil {
		return err
	}
	fmt.Fprintln(out, <-closed)
	return nil
}
