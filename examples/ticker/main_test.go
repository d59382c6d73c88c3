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
	// FAR 124.75
	// FAR 149.75
	// FAR 174.75
	// the desk left after 300, and the server stopped at once: true
	// OLD 9000
	// OLD 8500
	// OLD 8000
	// broke off: UNKNOWN: trading in OLD is halted
	// average: 10050
}
