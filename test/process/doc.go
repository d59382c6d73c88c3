// Package process tests the three commands as an operator meets them: separate
// processes, real sockets, real signals.
package process
