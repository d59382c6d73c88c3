//go:build !race

package rmi

import (
	"math"
)

// mostModelRounds bounds the rounds of TestSpaceModel, which ends by its time.
const mostModelRounds = math.MaxInt

// floodCalls is how many calls a flood has.
const floodCalls = 1_000_000
