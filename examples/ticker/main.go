// Command ticker streams prices: from the server for as long as the client
// reads, and from the client to the server.
//
//	go run ./examples/ticker
package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log"
	"os"
	"slices"
	"sync/atomic"

	"farcall.dev"
	"farcall.dev/naming"
)

// Quote is a price at a moment.
type Quote struct {
	Symbol string
	Cents  int
}

// Ticker tells prices.
type Ticker struct {
	made  atomic.Int64  // quotes
	ended chan struct{} // gets one for each Watch that ends
}

// Watch yields the prices of symbol, without end. It runs as fast as its reader
// reads, after at most 32 items, and ends when the reader leaves.
func (t *Ticker) Watch(symbol string) iter.Seq[Quote] {
	return func(yield func(Quote) bool) {
		defer func() { t.ended <- struct{}{} }()
		for cents := 10_000; ; cents += 25 {
			t.made.Add(1)
			if !yield(Quote{symbol, cents}) {
				return
			}
		}
	}
}

// Halt yields no more than 3 quotes, and then says why.
func (t *Ticker) Halt(symbol string) iter.Seq2[Quote, error] {
	return func(yield func(Quote, error) bool) {
		for i := range 3 {
			if !yield(Quote{symbol, 9_000 - i*500}, nil) {
				return
			}
		}
		yield(Quote{}, fmt.Errorf("trading in %s is halted", symbol))
	}
}

// Average takes quotes as the caller makes them.
func (t *Ticker) Average(quotes iter.Seq2[Quote, error]) (cents int, err error) {
	sum, n := 0, 0
	for q, err := range quotes {
		if err != nil { // the caller is gone, or gave up
			return 0, err
		}
		sum, n = sum+q.Cents, n+1
	}
	return sum / max(n, 1), nil
}

// tickerClient is what a client sees of a Ticker. Who reads a stream learns why
// it ended: by an iter.Seq2[T, error], or an *rmi.Stream[T].
type tickerClient struct {
	Watch   func(ctx context.Context, symbol string) (iter.Seq2[Quote, error], error)
	Halt    func(ctx context.Context, symbol string) (iter.Seq2[Quote, error], error)
	Average func(ctx context.Context, quotes iter.Seq[Quote]) (int, error)
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run runs the whole mesh in this process; each Join could be in one of its own.
func run(ctx context.Context, out io.Writer) error {
	store := naming.NewMemory()
	exchange, err := farcall.Join(ctx, farcall.Options{Registry: store.Registry(), Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	defer exchange.Shutdown(ctx)
	served := &Ticker{ended: make(chan struct{}, 1)}
	if err := exchange.Register(ctx, "ticker", served, farcall.RegisterOptions{}); err != nil {
		return err
	}

	desk, err := farcall.Join(ctx, farcall.Options{Registry: store.Registry()})
	if err != nil {
		return err
	}
	defer desk.Shutdown(ctx)
	var ticker tickerClient
	if err := desk.Bind("ticker", &ticker); err != nil {
		return err
	}

	// The context of the call bounds the stream as well. Leaving the loop ends it.
	quotes, err := ticker.Watch(ctx, "FAR")
	if err != nil {
		return err
	}
	read := 0
	for q, err := range quotes {
		if err != nil {
			return err
		}
		if read++; read%100 == 0 {
			fmt.Fprintf(out, "%s %d.%02d\n", q.Symbol, q.Cents/100, q.Cents%100)
		}
		if read == 300 {
			break
		}
	}
	<-served.ended
	ahead := int(served.made.Load()) - read
	fmt.Fprintf(out, "the desk left after %d, and the server stopped at once: %v\n", read, ahead <= 33)

	// A stream that breaks off says why.
	halted, err := ticker.Halt(ctx, "OLD")
	if err != nil {
		return err
	}
	for q, err := range halted {
		if err != nil {
			fmt.Fprintln(out, "broke off:", err)
			break
		}
		fmt.Fprintln(out, q.Symbol, q.Cents)
	}

	// And the other way: the server reads what the client yields.
	average, err := ticker.Average(ctx, slices.Values([]Quote{{"FAR", 9_900}, {"FAR", 10_000}, {"FAR", 10_250}}))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "average:", average)
	return nil
}
