package main

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"farcall.dev/rmi"
	"farcall.dev/transport"
)

// serveLane serves calls on bare TCP connections.
func serveLane() (string, io.Closer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	objects := rmi.NewObjects(rmi.ObjectsOptions{})
	if err := objects.Export("echo", echo{}, rmi.ExportOptions{}); err != nil {
		return "", nil, err
	}
	var mu sync.Mutex
	var conns []*rmi.Conn
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, rmi.NewConn(bare(conn, false), objects, rmi.ConnOptions{}))
			mu.Unlock()
		}
	}()
	return ln.Addr().String(), closers{ln.Close, func() error {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range conns {
			c.Close()
		}
		return nil
	}}, nil
}

// laneClient calls over one bare connection.
type laneClient struct{ conn *rmi.Conn }

func dialLane(ctx context.Context, address string, _ int) (client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &laneClient{rmi.NewConn(bare(conn, true), nil, rmi.ConnOptions{})}, nil
}

func (c *laneClient) Echo(ctx context.Context, _ int, p []byte) ([]byte, error) {
	return rmi.InvokeAs[[]byte](ctx, c.conn, "echo", "echo", p)
}

func (c *laneClient) Close() error { return c.conn.Close() }

// bare makes a session of conn that has a single stream: the connection itself.
// Large payloads, which want a stream of their own, cannot go by it.
func bare(conn net.Conn, opens bool) transport.Session {
	a, _ := transport.Pipe(transport.Options{}, transport.Options{})
	s := &bareSession{Session: a, conn: bareStream{conn.(*net.TCPConn)}}
	s.used.Store(opens)
	return s
}

// bareSession hands out its connection as the stream that one side opens and the
// other accepts.
type bareSession struct {
	transport.Session
	conn bareStream
	used atomic.Bool // there is nothing to accept any more
}

func (s *bareSession) Open(context.Context) (transport.Stream, error) { return s.conn, nil }

func (s *bareSession) Accept(ctx context.Context) (transport.Stream, error) {
	if !s.used.Swap(true) {
		return s.conn, nil
	}
	return s.Session.Accept(ctx)
}

func (s *bareSession) Close() error {
	s.conn.Close()
	return s.Session.Close()
}

// bareStream makes a TCP connection a stream.
type bareStream struct{ *net.TCPConn }
