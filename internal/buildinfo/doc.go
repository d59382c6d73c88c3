// Package buildinfo says which build of Farcall a binary is.
//
// The version comes from the linker where a release was built with
//
//	go build -ldflags "-X farcall.dev/internal/buildinfo.version=v1.2.3"
//
// and otherwise from what the Go tool records by itself: the module's version
// for "go install farcall.dev/cmd/...@v1.2.3", the commit for a build in a work
// tree.
package buildinfo
