package rmi

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// DialOptions tune [DialConn]. The zero value connects by TCP, serves nothing
// and accepts whoever answers.
type DialOptions struct {
	// Dial makes the connection; nil means TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// TLS makes the session run over TLS; nil means it does not.
	TLS *tls.Config
	// Transport tunes the session; its Hello is what this side says of itself.
	Transport transport.Options
	// Handler gets the calls of the peer; nil refuses them.
	Handler Handler
	// Conn tunes the calls.
	Conn ConnOptions
	// Node, when not empty, is who must answer, and Incarnation, when not 0,
	// its start: an address may have been taken over by another process.
	Node        naming.NodeID
	Incarnation naming.Incarnation
}

// DialConn connects to the node at address, host:port, and returns once both
// sides have said hello. Failures are [*Error]s, not executed: UNAVAILABLE, also
// when another node than the expected one answers, or CANCELED or
// DEADLINE_EXCEEDED when ctx ends first.
func DialConn(ctx context.Context, address string, opts DialOptions) (c *Conn, err error) {
	defer func() { opts.Conn.Tally.dialled(err) }()
	session, err := transport.Dial(ctx, address, transport.DialOptions{
		Session: opts.Transport, TLS: opts.TLS, Connect: opts.Dial,
	})
	if err != nil {
		code, ok := codeOf(ctx.Err())
		if !ok {
			code = Unavailable
		}
		return nil, refusal(code, "%w", err)
	}
	hello := session.Peer()
	node, incarnation := naming.NodeID(hello.Node), naming.Incarnation(hello.Incarnation)
	switch {
	case opts.Node != "" && node != opts.Node:
		err = refusal(Unavailable, "connect to %s: expected node %s there, and %s answered", address, opts.Node, nodeName(node))
	case opts.Incarnation != 0 && incarnation != opts.Incarnation:
		err = refusal(Unavailable, "connect to %s: expected incarnation %d of %s there, and incarnation %d answered", address, opts.Incarnation, nodeName(node), incarnation)
	}
	if err != nil {
		session.Close()
		return nil, err
	}
	opts.Conn.dialled = address
	return NewConn(session, opts.Handler, opts.Conn), nil
}

// nodeName returns what to call node in a message.
func nodeName(node naming.NodeID) string {
	if node == "" {
		return "a client without a name"
	}
	return fmt.Sprintf("node %s", node)
}
