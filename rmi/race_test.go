//go:build race

package rmi

// mostModelRounds bounds the rounds of TestSpaceModel. The race detector keeps
// every stack that it has seen, and its own memory breaks when there are too many
// (in ThreadSanitizer's StackDepot): after some hundred rounds in one process, and sooner
// beside all other tests. Without it the rounds end by their time alone.
const mostModelRounds = 12

// floodCalls is how many calls a flood has.
const floodCalls = 100_000
