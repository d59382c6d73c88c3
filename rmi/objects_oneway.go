package rmi

import (
	"bytes"
	"context"
	"maps"
)

// MaxLocalOneWay bounds the one-way calls of this process on its own [Objects]
// that are under way at a time. One more fails with RESOURCE_EXHAUSTED, not
// executed.
const MaxLocalOneWay = 4096

// begin carries out a one-way call of this process on a goroutine of its own,
// as it would be on another node: the end of ctx does not end the method, but
// its deadline does, and what the method returns is dropped. The goroutine lives
// until the method has returned.
func (o *Objects) begin(ctx context.Context, call *Call) error {
	if len(call.Args.streams) > 0 {
		return oneWaySequence(call)
	}
	if o.oneWay.Add(1) > MaxLocalOneWay {
		o.oneWay.Add(-1)
		return refusal(ResourceExhausted, "call %s: %d one-way calls of this process are under way, and no more are allowed", target(call), MaxLocalOneWay)
	}
	own := *call // the caller's is its own again when Handle has returned
	own.Args.Data = bytes.Clone(call.Args.Data)
	own.Metadata = maps.Clone(call.Metadata)
	free := context.WithoutCancel(ctx)
	cancel := func() {}
	if deadline, ok := ctx.Deadline(); ok {
		free, cancel = context.WithDeadline(free, deadline)
	}
	go func() {
		defer o.oneWay.Add(-1)
		defer cancel()
		reply, err := o.carryOut(free, &own)
		if err == nil {
			reply.Result.drop(errNobodyWaits)
		}
	}()
	return nil
}

// oneWaySequence refuses a one-way call that brings sequences.
func oneWaySequence(call *Call) *Error {
	return refusal(InvalidArgument, "call %s: a one-way call cannot bring sequences, since nobody would wait until they have been read", target(call))
}
