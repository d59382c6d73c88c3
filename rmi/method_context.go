package rmi

import (
	"context"
	"maps"

	"farcall.dev/naming"
)

// CallInfo is what a method can learn of the call that it carries out; see
// [CallFrom].
type CallInfo struct {
	// Object and Method are what is called, by the names on the wire; Method is
	// empty for a function.
	Object naming.Name
	Method string
	// Metadata came with the call. May be nil. It is the method's own.
	Metadata Metadata
	// Peer tells who called.
	Peer Peer
}

// CallFrom returns the call that ctx, a method's context or one made from it,
// belongs to, and whether there is one. It stays valid after the method has
// returned.
func CallFrom(ctx context.Context) (CallInfo, bool) {
	c, ok := ctx.Value(callKey{}).(*callContext)
	if !ok {
		return CallInfo{}, false
	}
	return c.info, true
}

// callKey is what a callContext answers to.
type callKey struct{}

// callContext is the context that a method gets: that of its call, which it
// can tell about.
type callContext struct {
	context.Context
	info CallInfo
}

// Value returns c itself for callKey.
func (c *callContext) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// withCall returns the context for a method. The call itself is not kept.
func withCall(ctx context.Context, call *Call, p *plan) context.Context {
	c := &callContext{Context: ctx, info: CallInfo{Object: p.object, Method: p.name, Peer: call.Peer}}
	if len(call.Metadata) > 0 {
		c.info.Metadata = maps.Clone(call.Metadata)
	}
	return c
}
