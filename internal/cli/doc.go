// Package cli is the command tree of the client command: it turns words on a
// command line into calls of the mesh, and their outcome into text, JSON or
// YAML on standard output, a message and a hint on standard error, and an exit
// code that scripts can branch on.
//
// [Main] runs one command line to its end. It touches nothing global: streams,
// environment, clock and the way into the mesh are handed to it, so that a test
// runs the whole of it in memory.
package cli

//go:generate go test -run ^TestReference$ . -args -update
