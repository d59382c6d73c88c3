package main

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// contestant is one way to call.
type contestant struct {
	name string
	// about says what it is, in the report.
	about string
	// serve starts a server on a free port of loopback, which answers a call
	// with the bytes that it got, and returns what dial needs to find it.
	serve func() (address string, stop io.Closer, err error)
	// dial returns a way to call the server; callers is how many will call at a
	// time.
	dial func(ctx context.Context, address string, callers int) (client, error)
}

// client calls a server.
type client interface {
	// Echo sends p and returns what came back. It may be called from any number
	// of goroutines; caller numbers them from 0.
	Echo(ctx context.Context, caller int, p []byte) ([]byte, error)
	io.Closer
}

// contestants are all there are; the first is the one that the others are
// compared with.
var contestants = []contestant{
	{"farcall", "a typed call by name: resolver, router, middleware with metrics, deadline, one session", serveFarcall, dialFarcall},
	{"lane", "the limit: the same typed call on a bare TCP connection, without names, multiplexer, deadline and metrics", serveLane, dialLane},
	{"tcp", "the bytes alone, a TCP connection for each caller", serveTCP, dialTCP},
	{"netrpc", "net/rpc of the standard library with gob, one connection", serveNetRPC, dialNetRPC},
	{"grpc", "gRPC-Go with protobuf, one connection", serveGRPC, dialGRPC},
	{"drpc", "storj drpc with protobuf, a pool of connections", serveDRPC, dialDRPC},
	{"connect", "ConnectRPC with protobuf over HTTP/2 without TLS", serveConnect, dialConnect},
}

// find returns the contestant called name.
func find(name string) (contestant, error) {
	i := slices.IndexFunc(contestants, func(c contestant) bool { return c.name == name })
	if i < 0 {
		return contestant{}, fmt.Errorf("there is no contestant %q", name)
	}
	return contestants[i], nil
}

// closers closes several things.
type closers []func() error

// Close closes them, in order, and returns the first error.
func (c closers) Close() error {
	var first error
	for _, f := range c {
		if err := f(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
