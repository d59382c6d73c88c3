package main

import (
	"context"
	"fmt"
	"io"
	"net"
)

// serveTCP sends back what it reads.
func serveTCP() (string, io.Closer, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 256<<10)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					if _, err := conn.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return ln.Addr().String(), ln, nil
}

// tcpClient has a connection and a buffer for each caller.
type tcpClient struct {
	conns []net.Conn
	bufs  [][]byte
}

func dialTCP(ctx context.Context, address string, callers int) (client, error) {
	c := &tcpClient{}
	for range callers {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.conns, c.bufs = append(c.conns, conn), append(c.bufs, nil)
	}
	return c, nil
}

// Echo writes p and reads as many bytes; a large p is read while it is written.
func (c *tcpClient) Echo(_ context.Context, caller int, p []byte) ([]byte, error) {
	conn := c.conns[caller]
	if len(c.bufs[caller]) < len(p) {
		c.bufs[caller] = make([]byte, len(p))
	}
	buf := c.bufs[caller][:len(p)]
	if len(p) <= 64<<10 {
		if _, err := conn.Write(p); err != nil {
			return nil, err
		}
		_, err := io.ReadFull(conn, buf)
		return buf, err
	}
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(p)
		written <- err
	}()
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, fmt.Errorf("read what was sent: %w", err)
	}
	return buf, <-written
}

func (c *tcpClient) Close() error {
	for _, conn := range c.conns {
		conn.Close()
	}
	return nil
}
