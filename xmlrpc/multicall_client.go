package xmlrpc

import (
	"context"
	"errors"
	"fmt"
)

// A BatchCall is one of the calls that [Client.Multicall] makes at once.
type BatchCall struct {
	// Method and Args are what is called.
	Method string
	Args   []any
	// Result is where the result is read into, or nil.
	Result any
	// Err is set by Multicall: nil if the call worked, and otherwise what
	// [Client.Call] would return. If Multicall fails as a whole it is that error.
	Err error
}

// batchEntry is a call as system.multicall takes it.
type batchEntry struct {
	Method string `xmlrpc:"methodName"`
	Params []any  `xmlrpc:"params"`
}

// Multicall makes several calls by one request, which the server runs one after
// the other, by system.multicall. Its error is about all of them: each call has its
// own in Err, and fails for itself.
//
// Servers bound how many calls they take at once; a [Handler] takes 1000.
func (c *Client) Multicall(ctx context.Context, calls ...*BatchCall) error {
	if len(calls) == 0 {
		return nil
	}
	entries := make([]batchEntry, len(calls))
	for i, call := range calls {
		call.Err = nil
		entries[i] = batchEntry{call.Method, call.Args}
		if call.Args == nil {
			entries[i].Params = []any{}
		}
		if err := ValidMethod(call.Method); err != nil {
			return failAll(calls, fmt.Errorf("xmlrpc: call %d of the batch: %w", i+1, err))
		}
	}
	body := c.buffers.get()
	defer c.buffers.put(body)
	v, err := c.call(ctx, body, multicallName, []any{entries})
	if errors.Is(err, ErrMethodNotFound) && c.opts.SingleCalls {
		return c.callSingly(ctx, calls)
	}
	if err != nil {
		return failAll(calls, err)
	}
	if v.Kind() != KindArray || v.Len() != len(calls) {
		reason := fmt.Sprintf("%d calls have got %d results", len(calls), v.Len())
		return failAll(calls, &ResponseError{Method: multicallName, URL: c.URL(), Reason: reason})
	}
	i := 0
	for slot := range v.Elems() {
		calls[i].Err = c.decodeSlot(slot, calls[i])
		i++
	}
	return nil
}

// callSingly makes the calls one after the other, until the context ends.
func (c *Client) callSingly(ctx context.Context, calls []*BatchCall) error {
	for i, call := range calls {
		if ctx.Err() != nil {
			return failAll(calls[i:], fmt.Errorf("xmlrpc: call %s: %w", call.Method, context.Cause(ctx)))
		}
		call.Err = c.Call(ctx, call.Method, call.Result, call.Args...)
	}
	return nil
}

// decodeSlot reads the result of one call: an array of it, or a struct that is a
// fault.
func (c *Client) decodeSlot(slot RawValue, call *BatchCall) error {
	switch {
	case slot.Kind() == KindArray && slot.Len() == 1:
		if call.Result == nil {
			return nil
		}
		for v := range slot.Elems() {
			return c.decode(v, call.Method, call.Result)
		}
	case slot.Kind() == KindStruct:
		f, err := slot.fault()
		if err == nil {
			return f
		}
	}
	return &ResponseError{Method: call.Method, URL: c.URL(), Reason: "its result in the batch is neither an array of one value nor a fault"}
}

// failAll makes err that of the calls.
func failAll(calls []*BatchCall, err error) error {
	for _, call := range calls {
		call.Err = err
	}
	return err
}
