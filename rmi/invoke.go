package rmi

import (
	"context"
	"fmt"
	"maps"

	"farcall.dev/naming"
)

// Invoke calls a method of an object, or a function when method is empty, by h,
// and returns its result in the types that [DecodeValue] chooses for any: nil
// for a method that returns nothing, a []any for one that returns several
// values. h may be anything that carries out calls: a connection, a router,
// or the [Objects] of this process.
//
// Errors are an [*Error]. That the arguments cannot travel is INVALID_ARGUMENT,
// NotExecuted; that the result cannot be read is INTERNAL.
func Invoke(ctx context.Context, h Handler, object naming.Name, method string, args ...any) (any, error) {
	return InvokeAs[any](ctx, h, object, method, args...)
}

// InvokeAs is [Invoke] with a result of type T, by the rules of [DecodeValue].
// A method that returns several values fits a T of []any, or of a struct whose
// field `_ struct{}` has the tag `cbor:",toarray"`.
func InvokeAs[T any](ctx context.Context, h Handler, object naming.Name, method string, args ...any) (T, error) {
	x := newExchange(h)
	reply, err := x.run(ctx, h, object, method, args)
	if err != nil {
		var none T
		return none, err
	}
	var result T
	if !reply.decodePlain(&result) {
		return decodeAs[T](ctx, x, reply, object, method)
	}
	x.over(&reply)
	return result, nil
}

// decodeAs is the end of InvokeAs for a result that takes more than decodePlain,
// and a variable on the heap.
func decodeAs[T any](ctx context.Context, x *exchange, reply Payload, object naming.Name, method string) (T, error) {
	var result T
	err := x.decode(ctx, reply, object, method, &result)
	return result, err
}

// InvokeInto is [Invoke] with the result decoded into the variable that result
// points to; nil drops it.
func InvokeInto(ctx context.Context, h Handler, result any, object naming.Name, method string, args ...any) error {
	x := newExchange(h)
	reply, err := x.run(ctx, h, object, method, args)
	if err != nil {
		return err
	}
	if result == nil {
		reply.drop(errUnread)
		x.over(&reply)
		return nil
	}
	return x.decode(ctx, reply, object, method, result)
}

// InvokeOneWay calls a method of an object, or a function when method is empty,
// by h, and does not wait for it: it returns when the call has been handed to
// the connection. That it failed, or never arrived, is told nobody; where the
// node has no room for it, it is dropped. A deadline of ctx bounds the method
// too, its end afterwards means nothing. Errors are those of a call that was not
// sent, and NotExecuted.
func InvokeOneWay(ctx context.Context, h Handler, object naming.Name, method string, args ...any) error {
	return invokeWay(ctx, h, OneWay, object, method, args)
}

// InvokeTaken is [InvokeOneWay] that waits until the node has admitted the call,
// which it will then carry out whatever becomes of the caller and the
// connection. Its errors are also those of a node that refused the call.
func InvokeTaken(ctx context.Context, h Handler, object naming.Name, method string, args ...any) error {
	return invokeWay(ctx, h, OneWayTaken, object, method, args)
}

// invokeWay sends a call that has no result.
func invokeWay(ctx context.Context, h Handler, way Way, object naming.Name, method string, args []any) error {
	vc := valueContext{space: spaceOf(h)}
	call, err := newCallWith(ctx, &vc, object, method, args)
	if err != nil {
		return err
	}
	call.Way = way
	_, err = sendCall(ctx, h, call)
	return err
}

// NewCall returns a call with its arguments encoded, for callers that set more
// of it before they give it to a [Handler]; the reply is for [DecodeValue]. It
// carries the metadata of [WithMetadata]. Its errors are those of [Invoke].
func NewCall(ctx context.Context, object naming.Name, method string, args ...any) (*Call, error) {
	call, err := newCallWith(ctx, &valueContext{}, object, method, args)
	if err == nil && call.building != nil {
		unuse(call.building.uses)
		call.Args.drop(errNestedPromise)
		return nil, refusal(InvalidArgument, "%s: %w", called(call), errNestedPromise)
	}
	return call, err
}

// newCallWith is [NewCall] where vc says what may travel.
func newCallWith(ctx context.Context, vc *valueContext, object naming.Name, method string, args []any) (*Call, error) {
	call := newCall(ctx, object, method)
	if err := call.encodeArgs(make([]byte, 0, 64), vc, args); err != nil {
		return nil, err
	}
	return call, nil
}

// encodeArgs gives call its arguments, which are appended to buf. vc says what may
// travel.
func (call *Call) encodeArgs(buf []byte, vc *valueContext, args []any) error {
	var err error
	if call.Args, err = appendArgs(buf, vc, args); vc != nil && len(vc.promises) > 0 {
		call.building = &building{uses: vc.promises}
		if err == nil && len(vc.promises) >= maxPromiseUses {
			err = fmt.Errorf("%d promises are arguments, and fewer than %d may be", len(vc.promises), maxPromiseUses)
		}
		if err != nil {
			unuse(vc.promises)
		}
	}
	if err != nil {
		vc.drop(err)
		return &Error{Code: InvalidArgument, Message: fmt.Sprintf("%s: %v", called(call), err), Execution: NotExecuted, cause: err}
	}
	return nil
}

// newCall returns a call without arguments that carries what ctx says.
func newCall(ctx context.Context, object naming.Name, method string) *Call {
	call := new(Call)
	call.begin(ctx, object, method)
	return call
}

// begin makes call, which is zero, one without arguments that carries what ctx
// says.
func (call *Call) begin(ctx context.Context, object naming.Name, method string) {
	said := outgoingOf(ctx)
	call.Object, call.Method = object, method
	call.Metadata, call.Trail, call.replyMetadata = said.metadata, trailFrom(ctx), said.reply
}

// sendCall has h carry out call and returns the result as it came. It ends the
// sequences of the arguments once nobody can want them any more: when the call
// has failed, or has been answered without a sequence that may build on them.
func sendCall(ctx context.Context, h Handler, call *Call) (Payload, error) {
	var reply Reply
	var err error
	if len(call.uses()) > 0 {
		reply, err = sendPromised(ctx, h, call)
	} else {
		reply, err = h.Handle(ctx, call)
	}
	if call.replyMetadata != nil {
		*call.replyMetadata = reply.Metadata
	}
	if len(call.Args.streams) > 0 && (err != nil || len(reply.Result.streams) == 0) {
		call.Args.drop(errCallOver)
	}
	if err == nil {
		return reply.Result, nil
	}
	e, ours := err.(*Error)
	if !ours || e != nil && e.Remote {
		e = FromError(err) // a copy
		e.called = called(call)
	}
	return Payload{}, e
}

// badReply is the failure of a call whose result cannot be read.
func badReply(object naming.Name, method string, err error) *Error {
	return &Error{Code: errorCode(err, Internal), cause: err,
		Message: fmt.Sprintf("result of %s: %v", called(&Call{Object: object, Method: method}), err)}
}

// outgoingKey is what a context answers to with an outgoing.
type outgoingKey struct{}

// outgoing is what a context says of the calls that are made with it.
type outgoing struct {
	metadata Metadata
	// reply, when not nil, gets the metadata of each reply.
	reply *Metadata
}

// outgoingOf returns what ctx says.
func outgoingOf(ctx context.Context) outgoing {
	o, _ := ctx.Value(outgoingKey{}).(*outgoing)
	if o == nil {
		return outgoing{}
	}
	return *o
}

// WithMetadata returns a context whose calls carry md in addition to what ctx's
// would; md wins. Keys are lower case. The metadata of a call that is being
// served ([CallFrom]) does not go along with the calls that it makes, unless
// it is put here. md is copied.
func WithMetadata(ctx context.Context, md Metadata) context.Context {
	said := outgoingOf(ctx)
	all := make(Metadata, len(said.metadata)+len(md))
	maps.Copy(all, said.metadata)
	maps.Copy(all, md)
	said.metadata = all
	return context.WithValue(ctx, outgoingKey{}, &said)
}

// WithReplyMetadata returns a context with which [Invoke] and its like, and the
// stubs of [Bind], set *into to the metadata that came back with the reply
// ([SetReplyMetadata]), before they return: nil when none came, or the call
// failed. Calls that run at the same time each need a context of their own.
func WithReplyMetadata(ctx context.Context, into *Metadata) context.Context {
	said := outgoingOf(ctx)
	said.reply = into
	return context.WithValue(ctx, outgoingKey{}, &said)
}
