package rmi

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"farcall.dev/naming"
)

// Client calls the methods of one object for the clients that farcall-gen
// writes. It knows what they were compiled against, and says which method
// differs when the object is another: see [Client.Call]. It may be used from any
// number of goroutines and needs no closing.
type Client struct {
	h      Handler
	object naming.Name
	check  interfaceCheck
}

// NewClient returns a Client of the object called name, by h. want is what the
// caller was compiled against; nil checks nothing, and so does a Client whose h is
// a [*Ref].
func NewClient(h Handler, name naming.Name, want *Interface) *Client {
	c := &Client{h: h, object: name}
	if _, ok := h.(*Ref); ok {
		want = nil // it calls one object alone, and nobody who could describe it
	}
	c.check.init(h, name, want)
	return c
}

// Ref returns the reference that c calls by; nil when it calls by name. Its owner
// and others can be passed it, and so what the Client is part of.
func (c *Client) Ref() *Ref {
	ref, _ := c.h.(*Ref)
	return ref
}

// Method says which method a [Client] calls, and how.
type Method struct {
	// Name is the name on the wire.
	Name string
	// Idempotent says that calling it twice does no harm; see [Call.Idempotent].
	Idempotent bool
	// Way is what the caller waits for; see [Call.Way].
	Way Way
}

// Into are the variables that a call's results go to, as pointers: none for a
// caller that wants none, one for each of several results, in order.
func Into(results ...any) []any { return results }

// Typed is an argument for [Client.Call] that is sent as a T, whatever is in it:
// an object that is passed as an interface is sent as a reference, with the
// methods of that interface.
func Typed[T any](v T) any { return typed{reflect.ValueOf(&v).Elem()} }

// typed is what Typed returns.
type typed struct{ v reflect.Value }

// append appends the encoding of a.
func (a typed) append(dst []byte, vc *valueContext) ([]byte, error) {
	shape, err := shapeOf(a.v.Type(), outward)
	if err != nil {
		return nil, err
	}
	return shape.append(dst, a.v, vc)
}

// Call calls a method with args and decodes what it returns into the variables
// that into points to, which are zero when it fails. The types of args must be
// those of the method's parameters, of which a variadic one stands for any
// number.
//
// Errors are an [*Error], as those of [Invoke]. An [*InterfaceError] is behind
// one, for errors.As, when the object has another interface than the client was
// compiled against and this method is among those that differ. That is found
// before anything is sent, with code UNIMPLEMENTED, where h knows the registry
// and the digests there show it: each other digest costs one question to one of
// the nodes that have it, and equal ones cost nothing. A call goes out as long as
// one instance fits, and where h does not know. When it then fails for want of
// the method, or since arguments or results do not fit, the node that refused it
// is asked what it has.
func (c *Client) Call(ctx context.Context, m Method, into []any, args ...any) error {
	err := c.call(ctx, m, into, args)
	if err != nil {
		for _, v := range into {
			reflect.ValueOf(v).Elem().SetZero() // nothing half decoded
		}
	}
	return err
}

// call is Call that may leave results half decoded.
func (c *Client) call(ctx context.Context, m Method, into []any, args []any) error {
	if err := c.check.before(ctx, m.Name); err != nil {
		return err
	}
	x := newExchange(c.h)
	if err := x.prepare(ctx, c.object, m.Name, args); err != nil {
		return err
	}
	x.call.Idempotent, x.call.Way = m.Idempotent, m.Way
	var node naming.NodeID
	if c.check.want != nil {
		x.call.Sent = func(inst naming.Instance) { node = inst.Node }
	}
	reply, err := x.send(ctx, c.h)
	switch {
	case err != nil:
	case len(into) == 0 || m.Way != Wait:
		reply.drop(errUnread)
	case len(into) == 1 && reply.decodePlain(into[0]):
	default:
		err = decodeInto(&valueContext{space: x.space, streams: reply.streams, ctx: ctx}, reply, into)
		if err != nil {
			err = badReply(c.object, m.Name, err)
		}
	}
	if err != nil {
		return c.check.after(ctx, m.Name, node, err)
	}
	x.over(&reply)
	return nil
}

// decodeInto decodes a result into the variables that into points to.
func decodeInto(vc *valueContext, p Payload, into []any) error {
	if len(into) == 1 {
		return decodeValue(vc, p, into[0])
	}
	var s stubFunc
	out := make([]reflect.Value, len(into))
	for i, v := range into {
		out[i] = reflect.ValueOf(v).Elem()
		shape, err := shapeOf(out[i].Type(), inward)
		if err == nil {
			err = shape.readable()
		}
		if err != nil {
			vc.dropUnclaimed()
			return fmt.Errorf("result %d: %w", i+1, err)
		}
		s.shapes = append(s.shapes, shape)
	}
	return s.decode(p, out, vc)
}

// mayBeInterface reports whether a call may have failed with err because the
// object has another interface than its caller thinks.
func mayBeInterface(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case Unimplemented, InvalidArgument:
		return e.Execution == NotExecuted
	case Internal:
		return !e.Remote // the result could not be read
	}
	return false
}
