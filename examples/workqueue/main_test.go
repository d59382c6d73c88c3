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
	// Unordered output:
	// 5 jobs are under way
	// empty failed: UNKNOWN: scene empty has 0 frames
	// harbour is done: harbour.mov, 3 frames
	// duel is done: duel.mov, 6 frames
	// feast is done: feast.mov, 9 frames
	// storm is done: storm.mov, 12 frames
	// journal: ["begin duel" "begin feast" "begin harbour" "begin storm"]
}
