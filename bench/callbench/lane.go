package main

import (
	"context"
	"io"
	"net"
	"sync"

	"farcall.dev/internal/barelane"
	"farcall.dev/rmi"
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
			conns = append(conns, rmi.NewConn(barelane.New(conn.(*net.TCPConn)), objects, rmi.ConnOptions{}))
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
	return &laneClient{rmi.NewConn(barelane.New(conn.(*net.TCPConn)), nil, rmi.ConnOptions{})}, nil
}

func (c *laneClient) Echo(ctx context.Context, _ int, p []byte) ([]byte, error) {
	return rmi.InvokeAs[[]byte](ctx, c.conn, "echo", "echo", p)
}

func (c *laneClient) Close() error { return c.conn.Close() }
