package rmi

import (
	"context"
	"maps"
)

// batchSpare is what is kept free in the reply to a batch for each call that is
// yet to come, so that its error still fits.
const batchSpare = 128

// SplitBatches is a [Middleware] that makes of a [Batch] its calls, and of their
// outcomes its reply, so that what it wraps sees each call by itself. A [Conn]
// does so with the calls of its peer: only a process that gives batches to
// middleware of its own, without a connection between, needs it there, and a
// one-way batch is waited for there. [Objects] take batches too.
func SplitBatches(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		if call.Args.Type != ContentBatch {
			return next.Handle(ctx, call)
		}
		waited := *call
		waited.Way = Wait
		return splitter{next, DefaultMaxPayload, true}.Handle(ctx, &waited)
	})
}

// splitter carries out batches by a Handler that gets their calls.
type splitter struct {
	next Handler
	// most bounds the reply, in bytes.
	most int
	// withTrace lets the traces of errors go along.
	withTrace bool
}

// Handle carries out one batch.
func (s splitter) Handle(ctx context.Context, call *Call) (Reply, error) {
	switch {
	case call.Method != "":
		return Reply{}, refusal(InvalidArgument, "call %s: a batch names its methods itself", target(call))
	case len(call.Args.streams) > 0:
		return Reply{}, refusal(InvalidArgument, "batch of %s: %w", target(call), errBatchStream)
	}
	batch, err := decodeBatch(call.Args.Data)
	if err != nil {
		if e, ok := err.(*Error); ok {
			return Reply{}, e
		}
		return Reply{}, refusal(InvalidArgument, "batch of %s: %w", target(call), err)
	}
	run := batchRun{splitter: s, call: call}
	reply := Reply{Result: Payload{Type: ContentBatch, Data: appendHead(nil, cborList, uint64(len(batch.calls)))}}
	for i := range batch.calls {
		o := run.one(ctx, &batch.calls[i], &reply)
		reply.Result.Data = run.fit(reply.Result.Data, o, len(batch.calls)-i-1)
		if o.failure != nil && batch.stopOnError {
			run.stop = refusal(Aborted, "not executed: call %d of the batch failed", i+1)
		}
	}
	return reply, nil
}

// batchRun is a batch that is being carried out.
type batchRun struct {
	splitter
	call *Call
	// stop is why no more calls are carried out; nil while they are.
	stop *Error
}

// one carries out one call, unless the run has stopped.
func (r *batchRun) one(ctx context.Context, b *batchedCall, whole *Reply) outcome {
	if r.stop == nil && ctx.Err() != nil {
		r.stop = refusal(contextCode(ctx.Err()), "not executed: %w", context.Cause(ctx))
	}
	if r.stop != nil {
		return outcome{failure: r.stop}
	}
	call := *r.call
	call.Method = string(b.method)
	call.Args.Type, call.Args.Data = ContentCBOR, b.args
	call.Metadata = maps.Clone(r.call.Metadata)
	call.token, call.keep, call.mend, call.building = callToken{}, nil, nil, nil // the batch's
	reply, err := r.next.Handle(ctx, &call)
	if err != nil {
		return outcome{failure: FromError(err)}
	}
	if call.Way != Wait {
		reply.Result.drop(errNobodyWaits)
		return outcome{result: nullResult.Data}
	}
	if len(reply.Result.streams) > 0 {
		reply.Result.drop(errBatchStream)
		return outcome{failure: Errorf(Unimplemented, "%s: %w", called(&call), errBatchStream)}
	}
	if reply.Result.Type != ContentCBOR {
		return outcome{failure: Errorf(Internal, "%s: %w", called(&call), &ContentError{Type: reply.Result.Type})}
	}
	whole.addMetadata(reply.Metadata)
	return outcome{result: reply.Result.Data}
}

// fit appends o to the reply's data. When that leaves too little room for the
// calls that are left, as many as it says, the run stops.
func (r *batchRun) fit(data []byte, o outcome, left int) []byte {
	before := len(data)
	room := r.most - left*batchSpare
	if len(o.result)+before <= room { // else it need not be copied
		if data = o.appendTo(data, r.withTrace); len(data) <= room {
			return data
		}
	}
	e := Errorf(ResourceExhausted, "the results of the batch are larger than %d bytes", r.most)
	if o.failure != nil {
		e = &Error{Code: o.failure.Code, Message: cut(o.failure.Message, batchSpare/2)}
		e.Execution = o.failure.Execution
	}
	if r.stop == nil {
		r.stop = refusal(ResourceExhausted, "not executed: the results of the batch are larger than %d bytes", r.most)
	}
	return outcome{failure: e}.appendTo(data[:before], false)
}

// addMetadata adds md to the reply's, where it fits.
func (r *Reply) addMetadata(md Metadata) {
	if len(md) == 0 {
		return
	}
	all := maps.Clone(r.Metadata)
	if all == nil {
		all = make(Metadata, len(md))
	}
	maps.Copy(all, md)
	if checkMetadata(all) == nil {
		r.Metadata = all
	}
}
