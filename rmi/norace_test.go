//go:build !race

package rmi

import (
	"math"
)

// mostModelRounds bounds the rounds of TestSpaceModel, which ends by its time.
const mostModelRounds = math.MaxInt
