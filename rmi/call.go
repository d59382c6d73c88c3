package rmi

import (
	"context"
	"net"
	"time"

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
	// Timeout bounds the wait for the reply of a call whose context has no
	// deadline; 0 means that nothing does. Unlike a deadline it does not bound
	// the item streams that the reply brings.
	Timeout time.Duration
	// Way says what the caller waits for; the zero value waits for the reply.
	Way Way
	// Trail tells which calls led to this one. [NewCall] and the stubs of [Bind],
	// given a method's context, continue that of the method's own call.
	Trail Trail

	// ref is the reference that the call goes to; nil when Object is a name.
	ref *Ref
	// token makes the call recognisable when it is sent again.
	token callToken
	// replyOnly says that Timeout, and no deadline, bounds the call.
	replyOnly bool
	// until is when Timeout has passed, where who set that knows; else zero.
	until time.Time
	// keep, when not nil, learns where the call went, and has the result kept
	// there for calls that build on it; building is what the call itself builds on.
	keep     *started
	building *building
	// mend, when not nil, collects what is to be done with the errors within the
	// reply: those of a batch's calls, which middleware does not see.
	mend *[]func(error) error
	// replyMetadata, when not nil, gets the metadata of the reply.
	replyMetadata *Metadata
	// outlets are the streams that were opened for the sequences of Args.
	outlets []*outlet
	// argsSent says that the sequences of Args have begun to be sent, so that the
	// call cannot be sent to another.
	argsSent bool
	// detached says that the call runs on a goroutine of its own, whatever its
	// caller waits for.
	detached bool
}

// Way is what the caller of a method waits for.
type Way uint8

const (
	// Wait waits for the reply.
	Wait Way = iota
	// OneWay waits until the call has been handed to the connection: whether it
	// arrives, is admitted and succeeds is not told. Its Reply is empty.
	OneWay
	// OneWayTaken waits until the node has admitted the call, which it will then
	// carry out, or has refused it. Its Reply is empty.
	OneWayTaken
)

// Reply is a call's outcome when it did not fail.
type Reply struct {
	// Result is the result, encoded: one value; null for a method that returns
	// nothing; an array for one that returns several. It becomes the caller's, down
	// to its bytes: a Handler that keeps it, to answer others with it, keeps a copy.
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
	// ContentBatch is several calls of one object, or their results; see [Batch].
	ContentBatch ContentType = 2
)

// Payload is encoded data whose types are not yet known. Its bytes are
// read-only and, inside a Handler, valid until the handler returns.
type Payload struct {
	Type ContentType
	Data []byte

	// streams are the sequences that Data speaks of by their numbers. Whoever
	// gets the payload reads them or, with drop, says that nobody will.
	streams []itemSource
	// from is the session by which it came; nil when it did not, or by a peer that
	// does not say who it is.
	from *Session
}

// sender returns the process that p came from; its zero value when that is not
// known.
func (p Payload) sender() peerID {
	if p.from == nil {
		return peerID{}
	}
	return p.from.peer
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

// local reports whether p is this process.
func (p Peer) local() bool { return p.Protocol == "" || p.Protocol == "local" }
