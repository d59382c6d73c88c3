package rmi

import (
	"bytes"
	"sync"
)

// maxKept bounds the results that one side keeps for the calls of its peer that
// build on them. A call whose result would be one more is refused with
// RESOURCE_EXHAUSTED, not executed.
const maxKept = 1024

// keptResults are the results of the peer's calls that it wants kept, for calls
// that build on them.
type keptResults struct {
	mu     sync.Mutex
	byCall map[uint64]*keptResult // guarded by mu
	bytes  int64                  // guarded by mu; of results that are kept or in use
	closed bool                   // guarded by mu
}

// keptResult is one of them.
type keptResult struct {
	id   uint64
	name string // of the call, for messages
	// done is closed when the call has ended, with what follows it set.
	done    chan struct{}
	result  []byte
	refs    []*Ref // to objects of this process in result, which it keeps
	failure *Error
	// users counts the table, the call itself until it has ended, and the calls that
	// build on it; size is what result has in keptResults.bytes.
	users int   // guarded by keptResults.mu
	size  int64 // guarded by keptResults.mu
}

// building is what a call has to do with the results of others.
type building struct {
	// uses are the results that it builds on, until they are in their places.
	uses []promiseUse
	// on are those results where they are kept, and kept is the call's own; nil
	// when nobody wants it kept. Both are for the node that serves the call.
	on   []*keptResult
	kept *keptResult
	// refs are the references in the arguments as they came; they are in use until
	// the call has ended.
	refs takenRefs
}

// uses returns the results that call builds on and that are not in it yet.
func (call *Call) uses() []promiseUse {
	if call.building == nil {
		return nil
	}
	return call.building.uses
}

// build enters a call that wants its result kept, or builds on those of others,
// or returns why it is refused. It does so in the order in which requests come,
// so that a call only ever waits for earlier ones, and no two for each other.
func (c *Conn) build(s *servedCall, flags byte, uses []promiseUse) *Error {
	k := &c.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	b := &building{uses: uses}
	for _, p := range uses {
		r := k.byCall[p.call]
		if r == nil {
			return unfulfilled(refusal(FailedPrecondition, "call %s: the result of call %d, which it builds on, is not kept here", target(&s.call), p.call))
		}
		b.on = append(b.on, r)
	}
	if flags&flagKeep != 0 {
		switch {
		case k.byCall[s.id] != nil:
			return refusal(InvalidArgument, "call %s: its id is that of an earlier call whose result is kept", target(&s.call))
		case len(k.byCall) >= maxKept:
			return refusal(ResourceExhausted, "call %s: %d results are kept for this connection, and no more are allowed", target(&s.call), maxKept)
		case k.closed:
			return refusal(Unavailable, "call %s: the connection has ended", target(&s.call))
		case k.byCall == nil:
			k.byCall = make(map[uint64]*keptResult)
		}
		b.kept = &keptResult{id: s.id, name: target(&s.call), done: make(chan struct{}), users: 2}
		k.byCall[s.id] = b.kept
	}
	for _, r := range b.on {
		r.users++
	}
	s.call.building = b
	return nil
}

// unfulfilled marks e as the refusal of a call because of what it builds on.
func unfulfilled(e *Error) *Error {
	e.Details = map[string]string{promiseDetail: "unfulfilled"}
	return e
}

// fulfil waits for the results that s builds on and puts them in their places, or
// returns why it cannot.
func (c *Conn) fulfil(s *servedCall) *Error {
	var values []argValue
	for i, p := range s.call.building.uses {
		r := s.call.building.on[i]
		select {
		case <-r.done:
		case <-s.Done():
			return refusal(contextCode(s.Err()), "call %s: not executed: no result of %s, which it needs, before the caller gave up", target(&s.call), r.name)
		}
		if r.failure != nil {
			return unfulfilled(needed(&s.call, r.name, r.failure))
		}
		item := r.result
		if p.result > 0 {
			var err error
			if item, err = elementOf(item, p.result); err != nil {
				return refusal(InvalidArgument, "call %s: not executed: the result of %s: %w", target(&s.call), r.name, err)
			}
		}
		if p.arg > 0 {
			values = append(values, argValue{p.arg, item})
			continue
		}
		ref, name, err := ownObject(c.opts.Space, item)
		if err != nil {
			return refusal(FailedPrecondition, "call %s: not executed: the result of %s is not an object that can be called: %w", target(&s.call), r.name, err)
		}
		s.call.ref, s.call.Object = ref, name
	}
	s.call.building.uses = nil
	if len(values) == 0 {
		return nil
	}
	size := len(s.call.Args.Data)
	for _, v := range values {
		size += len(v.item)
	}
	if size > c.opts.MaxPayload {
		return refusal(ResourceExhausted, "call %s: not executed: with the results that it builds on the arguments have %d bytes, and the most this node takes is %d", target(&s.call), size, c.opts.MaxPayload)
	}
	args, err := splice(s.call.Args.Data, values)
	if s.call.Args.Type != ContentCBOR {
		err = &ContentError{Type: s.call.Args.Type}
	}
	if err == nil {
		s.call.building.refs, err = takeReferences(c.opts.Space, &s.call.Args)
	}
	if err != nil {
		return refusal(InvalidArgument, "call %s: not executed: %w", target(&s.call), err)
	}
	s.call.Args.Data = args
	s.call.Args.from = nil // did not send the results: it has no receipt for references in them
	return nil
}

// built tells those that build on s what came of it, and ends its uses of
// others.
func (c *Conn) built(s *servedCall, reply *Reply, failure *Error) {
	k, b := &c.kept, s.call.building
	if b.kept != nil {
		c.keepResult(b.kept, reply, failure)
		close(b.kept.done)
		b.on = append(b.on, b.kept)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range b.on {
		k.unuseLocked(r)
	}
}

// keepResult sets what came of the call of r.
func (c *Conn) keepResult(r *keptResult, reply *Reply, failure *Error) {
	k, size := &c.kept, int64(len(reply.Result.Data))
	k.mu.Lock()
	wanted, taken := r.users > 1, k.bytes
	fits := taken+size <= c.opts.MaxLargeMemory
	if failure == nil && wanted && fits {
		k.bytes += size
		r.size = size
	}
	k.mu.Unlock()
	switch {
	case failure != nil:
		r.failure = failure
	case !wanted: // it was forgotten, and nothing builds on it
	case len(reply.Result.streams) > 0:
		r.failure = refusal(Unimplemented, "%w", errPromisedStream)
	case reply.Result.Type != ContentCBOR:
		r.failure = refusal(Unimplemented, "%w", &ContentError{Type: reply.Result.Type})
	case !fits:
		r.failure = refusal(ResourceExhausted, "it was carried out, but results that are kept take up %d bytes, and there is no room for its %d", taken, size)
	default:
		r.result = bytes.Clone(reply.Result.Data)
		r.refs = ownReferences(c.opts.Space, r.result)
	}
}

// forgets handles a FORGET frame.
func (c *Conn) forgets(id uint64) {
	k := &c.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.byCall[id]; r != nil {
		delete(k.byCall, id)
		k.unuseLocked(r)
	}
}

// unuseLocked ends one use of r, and gives back its memory after the last.
func (k *keptResults) unuseLocked(r *keptResult) {
	if r.users--; r.users > 0 {
		return
	}
	k.bytes -= r.size
	r.size, r.result, r.refs = 0, nil, nil
}

// close forgets everything but what calls use that still run.
func (k *keptResults) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	for _, r := range k.byCall {
		k.unuseLocked(r)
	}
	k.byCall = nil
}
