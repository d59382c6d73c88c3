package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// in the cart: 2 <nil>
	// of hats there are but 5
	// in the cart: 3 <nil>
	// note: "no bag, please" <nil>
	// items set: FAILED_PRECONDITION: cart.items is read-only
	// order 1: 3 items; dialled: 2, orders placed: 1
	// closed a cart with 3 items
}
