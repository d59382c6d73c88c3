package rmi

import (
	"context"

	"farcall.dev/naming"
)

// Get returns a property of an object, by h. The name is that on the wire or in
// Go. Errors are those of [InvokeAs]; NOT_FOUND, with what was probably meant,
// for a property that is not there.
func Get[T any](ctx context.Context, h Handler, object naming.Name, property string) (T, error) {
	var value T
	vc := valueContext{space: spaceOf(h)}
	call, err := newCallWith(ctx, &vc, object, GetMethod, []any{property})
	if err != nil {
		return value, err
	}
	call.Idempotent = true
	reply, err := sendCall(ctx, h, call)
	if err != nil {
		return value, err
	}
	if err := decodeValue(&valueContext{space: vc.space, streams: reply.streams, ctx: ctx}, reply, &value); err != nil {
		return value, badReply(object, property, err)
	}
	return value, nil
}

// Set sets a property of an object, by h. Errors are those of [Invoke]: among
// them NOT_FOUND, FAILED_PRECONDITION for a property that is read-only, and
// INVALID_ARGUMENT for a value that does not fit it.
func Set(ctx context.Context, h Handler, object naming.Name, property string, value any) error {
	return InvokeInto(ctx, h, nil, object, SetMethod, property, value)
}
