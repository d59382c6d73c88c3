// Package boottest runs a long-running command inside a test: with a command
// line and an environment of its own, signals that reach only it, and its
// output at hand while it runs.
package boottest
