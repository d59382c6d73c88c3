// Command farcall-gen writes a typed client for a Go type whose methods are
// called from afar:
//
//	//go:generate go tool farcall-gen -type Greeting
//
// See docs/farcall-gen.md.
package main
