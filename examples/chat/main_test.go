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
	// ann hears ann: hello
	// bob hears ann: hello
	// carl hears ann: hello
	// ann hears room: carl has gone
	// bob hears room: carl has gone
	// ann hears bob: I must
	// bob hears bob: I must
	// ann hears room: bob has gone
	// ann hears ann: anybody?
}
