package main

import (
	"context"
	"io"
	"net"
	"net/rpc"
)

// NetRPCEcho is the echo in the form that net/rpc wants.
type NetRPCEcho struct{}

// Echo puts in into out.
func (NetRPCEcho) Echo(in []byte, out *[]byte) error {
	*out = in
	return nil
}

func serveNetRPC() (string, io.Closer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := rpc.NewServer()
	if err := server.RegisterName("echo", NetRPCEcho{}); err != nil {
		return "", nil, err
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(conn)
		}
	}()
	return ln.Addr().String(), ln, nil
}

type netRPCClient struct{ *rpc.Client }

func dialNetRPC(ctx context.Context, address string, _ int) (client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return netRPCClient{rpc.NewClient(conn)}, nil
}

// Echo waits for its call; net/rpc has no contexts.
func (c netRPCClient) Echo(_ context.Context, _ int, p []byte) ([]byte, error) {
	var out []byte
	err := c.Call("echo.Echo", p, &out)
	return out, err
}
