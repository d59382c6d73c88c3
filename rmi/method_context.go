package rmi

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"

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
	// Trail tells which calls led to this one.
	Trail Trail
	// Way is what the caller waits for.
	Way Way

	ctx *callContext
}

// Correlation returns the id that all calls of the chain have in common, which
// is made when there was none yet: what the method calls with its context then
// carries it. It is empty for the zero CallInfo.
func (i CallInfo) Correlation() string {
	if i.ctx == nil {
		return i.Trail.Correlation
	}
	return i.ctx.chained().correlation()
}

// CallFrom returns the call that ctx, a method's context or one made from it,
// belongs to, and whether there is one. It stays valid after the method has
// returned.
func CallFrom(ctx context.Context) (CallInfo, bool) {
	c, ok := ctx.Value(callKey{}).(*callContext)
	if !ok {
		return CallInfo{}, false
	}
	info := c.info
	info.ctx = c
	return info, true
}

// callKey is what a callContext answers to.
type callKey struct{}

// callContext is the context that a method gets: that of its call, which it
// can tell about.
type callContext struct {
	context.Context
	info  CallInfo
	space *Space // that the method runs in; may be nil
	chain atomic.Pointer[chain]

	mu       sync.Mutex
	reply    Metadata // guarded by mu; goes with the reply
	answered bool     // guarded by mu; what goes with the reply is settled
}

// Value returns c itself for callKey and chainKey. What a caller in this process
// has said of its own calls is not said of those that the method makes, and a
// correlation id that it has set came with the call, and counts no more.
func (c *callContext) Value(key any) any {
	switch key.(type) {
	case callKey, chainKey:
		return c
	case correlationKey, outgoingKey:
		return nil
	}
	return c.Context.Value(key)
}

// chained returns the call's place in its chain.
func (c *callContext) chained() *chain {
	if ch := c.chain.Load(); ch != nil {
		return ch
	}
	c.chain.CompareAndSwap(nil, &chain{trail: c.info.Trail})
	return c.chain.Load()
}

// onward returns the trail of what the method calls.
func (c *callContext) onward() Trail {
	return c.chained().onward(func() string {
		return stepOf(&Call{Object: c.info.Object, Method: c.info.Method}, c.space)
	})
}

// SetReplyMetadata adds md to what goes back with the reply of the call that ctx,
// a method's context or one made from it, belongs to; md wins. A call that fails
// brings none back. md is copied. It may be called from any number of goroutines.
//
// Errors: INVALID_ARGUMENT for a key that metadata cannot have,
// RESOURCE_EXHAUSTED when it is too much for one reply, FAILED_PRECONDITION when
// ctx is not a method's, or the method has returned. Nothing is added then.
func SetReplyMetadata(ctx context.Context, md Metadata) error {
	c, ok := ctx.Value(callKey{}).(*callContext)
	if !ok {
		return Errorf(FailedPrecondition, "set reply metadata: the context is not that of a method")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered {
		return Errorf(FailedPrecondition, "set reply metadata: %s has returned", called(&Call{Object: c.info.Object, Method: c.info.Method}))
	}
	all := make(Metadata, len(c.reply)+len(md))
	maps.Copy(all, c.reply)
	maps.Copy(all, md)
	if err := checkMetadata(all); err != nil {
		return Errorf(err.Code, "set reply metadata: %s", err.Message)
	}
	c.reply = all
	return nil
}

// settle returns what goes with the reply, to which nothing can be added from now
// on. A nil c has nothing.
func (c *callContext) settle() Metadata {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = true
	return c.reply
}

// withCall returns the context for a method that runs in space. The call itself
// is not kept.
func withCall(ctx context.Context, call *Call, p *plan, space *Space) *callContext {
	c := &callContext{Context: ctx, space: space, info: CallInfo{Object: p.object, Method: p.name, Peer: call.Peer, Trail: call.Trail, Way: call.Way}}
	if len(call.Metadata) > 0 {
		c.info.Metadata = maps.Clone(call.Metadata)
	}
	return c
}
