// Package memnet is a network in memory for tests: listeners and connections
// that behave as TCP's do, and the faults of a real network at the test's word.
//
// Connections are buffered, as a kernel buffers them, so that a writer blocks
// only when the reader is far behind; they have deadlines, can be half closed,
// and can take a while to deliver. A [Network] can cut hosts off from one
// another with and without their noticing. Everything blocks in ways that
// testing/synctest can see.
package memnet
