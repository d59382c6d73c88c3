package rmi

import (
	"context"
	"net"

	"farcall.dev/naming"
)

// Handler carries out calls. It is the waist of Farcall: whatever protocol a
// call came by, and wherever it goes, it passes through Handlers as one *Call.
// Handlers are used from any number of goroutines.
type Handler interface {
	// Handle carries out one call. ctx ends when the caller gives up or its
	// deadline passes. The call and its arguments belong to the handler until
	// it returns; it must not keep them. An error that is not an [*Error]
	// reaches the caller as code UNKNOWN, with its text; context errors map to
	// CANCELED and DEADLINE_EXCEEDED.
	Handle(ctx context.Context, call *Call) (Reply, error)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, call *Call) (Reply, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, call *Call) (Reply, error) { return f(ctx, call) }

// Middleware wraps a Handler in another: everything that concerns all calls
// (access, limits, metrics, tracing) is one, on either side of the wire.
type Middleware func(Handler) Handler

// Chain wraps h so that the first of ws sees a call first.
func Chain(h Handler, ws ...Middleware) Handler {
	for i := len(ws) - 1; i >= 0; i-- {
		h = ws[i](h)
	}
	return h
}

// Call is one call on its way.
type Call struct {
	// Object is the name of the object, or of the function, that is called.
	Object naming.Name
	// Method is the method's name as the caller wrote it; empty calls a
	// function.
	Method string
	// Args are the arguments, encoded as one array of values.
	Args Payload
	// Metadata travels with the call: small, caller-defined. May be nil.
	Metadata Metadata
	// Peer tells who called; its zero value is a call from this process.
	Peer Peer
	// Pin, when not empty, asks for the instance on this node and no other. It
	// is used by the side that routes the call, and does not travel.
	Pin naming.NodeID
	// Idempotent says that executing the call twice does no harm, so that it
	// may be sent again when its fate is unknown. It does not travel.
	Idempotent bool
	// Sent, when not nil, is told each instance that the call is sent to, just
	// before. It must not block. It does not travel.
	Sent func(naming.Instance)
}

// Reply is a call's outcome when it did not fail.
type Reply struct {
	// Result is the result, encoded: one value; null for a method that returns
	// nothing; an array for one that returns several.
	Result Payload
	// Metadata travels back with the reply. May be nil.
	Metadata Metadata
}

// Metadata is a small set of caller-defined words that travels with a call or
// a reply. Keys are lower case; those that begin with "farcall-" are ours.
type Metadata map[string]string

// ContentType says how a payload is encoded. It travels as one byte.
type ContentType byte

const (
	// ContentCBOR is one CBOR item (RFC 8949): for arguments an array, for a
	// result a value. It is the default.
	ContentCBOR ContentType = 0
	// ContentXMLRPC is a whole XML-RPC document, passed on as it came.
	ContentXMLRPC ContentType = 1
)

// Payload is encoded data whose types are not yet known. Its bytes are
// read-only and, inside a Handler, valid until the handler returns.
type Payload struct {
	Type ContentType
	Data []byte
}

// Peer is the other end of the session that a call came by.
type Peer struct {
	// Node and Incarnation are what it calls itself; empty for a client.
	Node        naming.NodeID
	Incarnation naming.Incarnation
	// Addr is its network address; nil for a call from this process.
	Addr net.Addr
	// Protocol is how it called: "mesh", "xmlrpc", "json", "pyro" or "local".
	Protocol string
}
