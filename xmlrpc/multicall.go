package xmlrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// frameBatch prepares what is around the results of a batch.
func (h *Handler) frameBatch() error {
	empty, err := AppendResponse(nil, []any{}, h.opts.Encode)
	if err != nil {
		return err
	}
	at := bytes.LastIndex(empty, []byte("</data>"))
	if at < 0 {
		return errors.New("xmlrpc: an array is not written as one")
	}
	h.batchHead, h.batchTail = empty[:at:at], empty[at:]
	// Two arrays are around each result, and a document that is too deep for its
	// reader would cost the caller all of them. The third is for the scalar in the
	// innermost array, which MaxDepth does not count.
	h.inBatch = h.opts.Encode
	h.inBatch.MaxDepth = max(1, min(orDefault(h.inBatch.MaxDepth, defaultDepth), maxDepth)-3)
	return nil
}

// appendBatch runs the calls of a system.multicall, one after the other, and
// appends the response document to dst. A call that fails is a fault in its own
// place; the fault that is returned is about the batch.
func (h *Handler) appendBatch(dst []byte, ctx context.Context, call *Call) ([]byte, *Fault) {
	if len(call.Params) != 1 || call.Params[0].Kind() != KindArray {
		return dst, &Fault{CodeInvalidParams, multicallName + " takes one array of structs with methodName and params"}
	}
	entries := call.Params[0]
	if max := h.opts.MaxBatch; max >= 0 && entries.Len() > max {
		return dst, &Fault{CodeLimit, fmt.Sprintf("%d calls exceed the limit of %d on a batch (HandlerOptions.MaxBatch)", entries.Len(), max)}
	}
	var full *Fault // for the calls that there is no room for
	out := append(dst, h.batchHead...)
	for entry := range entries.Elems() {
		if err := ctx.Err(); err != nil {
			return dst, &Fault{CodeApplication, "the batch was given up"}
		}
		slot, fault := len(out), full
		if fault == nil {
			out, fault = h.appendEntry(out, ctx, call, entry)
		}
		if fault == nil && h.isFull(len(out)-len(dst)) {
			// Better answer the calls that were run than none.
			full = &Fault{CodeLimit, "the results of the batch exceed the limit on a response (HandlerOptions.MaxResponse)"}
			fault = full
		}
		if fault != nil {
			out = appendSlotFault(out[:slot], fault)
		}
	}
	return append(out, h.batchTail...), nil
}

// isFull reports whether a batch with size bytes of results has no room for more.
// Some is left for the faults of the calls that are not run.
func (h *Handler) isFull(size int) bool {
	return h.opts.MaxResponse >= 0 && size > h.opts.MaxResponse-h.opts.MaxResponse/8
}

// appendEntry runs one call of a batch, and appends an array with its result.
func (h *Handler) appendEntry(dst []byte, ctx context.Context, batch *Call, entry RawValue) ([]byte, *Fault) {
	call, fault := batchedCall(batch, entry)
	if fault != nil {
		return dst, fault
	}
	dst = append(dst, "<value><array><data>"...)
	dst, fault = h.appendResult(dst, ctx, call)
	if fault != nil {
		return dst, fault
	}
	return append(dst, "</data></array></value>"...), nil
}

// batchedCall is the call that an entry of a batch asks for.
func batchedCall(batch *Call, entry RawValue) (*Call, *Fault) {
	bad := func(what string) (*Call, *Fault) {
		return nil, &Fault{CodeInvalidParams, "a call of a batch " + what}
	}
	if entry.Kind() != KindStruct {
		return bad("is no struct")
	}
	name, ok := entry.Member("methodName")
	if !ok || name.Kind() != KindString {
		return bad("has no string methodName")
	}
	params, ok := entry.Member("params")
	if !ok || params.Kind() != KindArray {
		return bad("has no array params")
	}
	call := &Call{HTTP: batch.HTTP, Params: make([]RawValue, 0, params.Len())}
	if err := name.Decode(&call.Method); err != nil {
		return bad("has no string methodName")
	}
	if call.Method == multicallName {
		return nil, &Fault{CodeInvalidRequest, "recursive " + multicallName + " is not allowed"}
	}
	for p := range params.Elems() {
		call.Params = append(call.Params, p)
	}
	return call, nil
}

// appendSlotFault appends a fault as the result of one call of a batch.
func appendSlotFault(dst []byte, f *Fault) []byte {
	e := newEncoder(dst, &EncodeOptions{})
	e.string("<value>")
	e.fault(f)
	e.string("</value>")
	return e.buf
}
