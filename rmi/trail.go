package rmi

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"unicode/utf8"

	"farcall.dev/naming"
)

// Trail tells which calls led to a call: a method that is called and calls on,
// with its context, makes it longer. The zero value is that of a call that
// nothing led to.
type Trail struct {
	// Depth is how many calls stand before this one.
	Depth int
	// Correlation is the id that all calls of the chain have in common; empty
	// when none was needed yet. Up to 64 bytes.
	Correlation string
	// Recent are the newest of the calls before this one, the newest last, each
	// as "greeting.get_fortune on node-1". Old ones are left out where the text
	// of all would be longer than 1 KiB. It is shared and read-only.
	Recent []string
}

// empty reports whether there is nothing to tell.
func (t *Trail) empty() bool { return t.Depth == 0 && t.Correlation == "" }

// wireLen is how many bytes appendTo appends.
func (t *Trail) wireLen() int {
	n := uvarintLen(uint64(t.Depth)) + textLen(len(t.Correlation))
	for _, s := range t.Recent {
		n += textLen(len(s))
	}
	return n
}

// appendTo appends t as it travels.
func (t *Trail) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(t.Depth))
	b = appendText(b, t.Correlation)
	for _, s := range t.Recent {
		b = appendText(b, s)
	}
	return b
}

// decode reads what appendTo wrote.
func (t *Trail) decode(v cursor) *Error {
	t.Depth = v.small()
	correlation := v.text()
	if len(correlation) > maxCorrelation || len(v.b) > 2*maxChainText {
		return refusal(InvalidArgument, "the chain of the call cannot be read: it is longer than allowed")
	}
	t.Correlation = string(correlation)
	t.Recent = nil
	for len(v.b) > 0 {
		s := v.text()
		if !utf8.Valid(s) {
			v.bad = true
			break
		}
		t.Recent = append(t.Recent, string(s))
	}
	if t.empty() {
		t.Recent = nil
	}
	return v.short("the chain")
}

// tooLong is the error of a call of object and method with too many before it.
func (t *Trail) tooLong(object, method string) *Error {
	return refusal(FailedPrecondition, "call %s: %d calls led to this one, and at most %d may; do they call each other in a circle? the newest were: %s",
		called(&Call{Object: naming.Name(object), Method: method}), t.Depth, MaxChain, strings.Join(t.Recent, ", "))
}

// then returns the trail of what is called by the call that t belongs to, which
// messages call step.
func (t Trail) then(step string) Trail {
	recent := append(t.Recent[:len(t.Recent):len(t.Recent)], step)
	size := 0
	for i := len(recent) - 1; i >= 0; i-- {
		if size += len(recent[i]); size > maxChainText {
			recent = recent[i+1:]
			break
		}
	}
	return Trail{Depth: t.Depth + 1, Correlation: t.Correlation, Recent: recent}
}

// newCorrelation returns an id that no other chain has: 16 hexadecimal digits.
func newCorrelation() string { return fmt.Sprintf("%016x", rand.Uint64()) }

// chain is the place of a running call in its chain, made when it first calls
// something or is asked for its correlation id.
type chain struct {
	mu    sync.Mutex
	trail Trail // of the call; guarded by mu
	next  Trail // of what it calls; guarded by mu; the zero value until needed
}

// correlation returns the id of the chain, and makes one if there is none.
func (c *chain) correlation() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.correlationLocked()
}

func (c *chain) correlationLocked() string {
	if c.trail.Correlation == "" {
		c.trail.Correlation = newCorrelation()
	}
	return c.trail.Correlation
}

// onward returns the trail of what the call calls; step is how messages call it.
func (c *chain) onward(step func() string) Trail {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next.Depth == 0 {
		c.correlationLocked()
		c.next = c.trail.then(step())
	}
	return c.next
}

// chainKey is the key under which the context of a running call holds what makes
// the next calls part of its chain, an onwarder.
type chainKey struct{}

// onwarder is a running call.
type onwarder interface{ onward() Trail }

// correlationKey is the key of a correlation id in a context.
type correlationKey struct{}

// WithCorrelation returns a context whose calls belong to the chain, or the
// work, that id names: methods find it by [CallInfo.Correlation], and so do
// those that they call. Of an id longer than 64 bytes the rest is cut off; an
// empty one changes nothing.
func WithCorrelation(ctx context.Context, id string) context.Context {
	if id == "" {
		return ctx
	}
	return context.WithValue(ctx, correlationKey{}, cut(id, maxCorrelation))
}

// trailFrom returns the trail of a call that is made with ctx.
func trailFrom(ctx context.Context) (t Trail) {
	if c, ok := ctx.Value(chainKey{}).(onwarder); ok {
		t = c.onward()
	}
	if id, ok := ctx.Value(correlationKey{}).(string); ok {
		t.Correlation = id
	}
	return t
}

// stepOf is how the trail of what call calls tells of it.
func stepOf(call *Call, space *Space) string {
	if space == nil {
		return called(call)
	}
	return called(call) + " on " + string(space.opts.Node)
}
