package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// DialOptions tune [Dial]. The zero DialOptions dials plain TCP.
type DialOptions struct {
	// Session tunes the session.
	Session Options
	// TLS makes the session run over TLS; nil means it does not. The server
	// name defaults to the address's host.
	TLS *tls.Config
	// Timeout is how long the connection may take, without the handshake;
	// default 5 s.
	Timeout time.Duration
	// Connect makes the connection; nil means TCP.
	Connect func(ctx context.Context, address string) (net.Conn, error)
}

// Dial connects to address, "host:port", and makes the connection a session.
// ctx bounds all of it and has no effect on the session afterwards. Errors that
// are not an [ErrHandshake] come from the connection.
func Dial(ctx context.Context, address string, opts DialOptions) (Session, error) {
	setDuration(&opts.Timeout, 5*time.Second)
	if opts.Connect == nil {
		opts.Connect = connectTCP
	}
	limited, cancel := context.WithTimeoutCause(ctx, opts.Timeout, fmt.Errorf("no connection within %v", opts.Timeout))
	conn, err := opts.Connect(limited, address)
	cancel()
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return nil, err // it names the address
	}
	if err != nil {
		return nil, fmt.Errorf("open session to %s: %w", address, err)
	}
	if opts.TLS != nil {
		conn = tls.Client(conn, forHost(opts.TLS, address))
	}
	s, err := Client(ctx, conn, opts.Session)
	if err != nil {
		return nil, fmt.Errorf("open session to %s: %w", address, err)
	}
	return s, nil
}

// connectTCP makes a TCP connection without delay and without the kernel's
// keep-alive, which the session's own makes needless.
func connectTCP(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetNoDelay(true) // the default, and this package's speed depends on it
	}
	return conn, nil
}

// forHost returns config with the server name filled in from address.
func forHost(config *tls.Config, address string) *tls.Config {
	if config.ServerName != "" || config.InsecureSkipVerify {
		return config
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return config
	}
	config = config.Clone()
	config.ServerName = host
	return config
}
