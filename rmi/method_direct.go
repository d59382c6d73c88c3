package rmi

import (
	"context"
	"reflect"
)

// directCall carries out a call without reflection. args are the arguments
// after their head; there are as many as the method takes.
type directCall func(ctx context.Context, call *Call, args []byte, fails *failures) ([]byte, error)

// directFor returns the direct call of p's function, or nil when its signature
// is not one of the common ones: a string or bytes in, the same out, with or
// without a context and an error. Reflection costs such a call more than its
// arguments do.
func directFor(p *plan) directCall {
	switch f := p.fn.Interface().(type) {
	case func(string) string:
		return textCall(p, func(_ context.Context, s string) (string, error) { return f(s), nil })
	case func(string) (string, error):
		return textCall(p, func(_ context.Context, s string) (string, error) { return f(s) })
	case func(context.Context, string) string:
		return textCall(p, func(ctx context.Context, s string) (string, error) { return f(ctx, s), nil })
	case func(context.Context, string) (string, error):
		return textCall(p, f)
	case func([]byte) []byte:
		return bytesCall(p, func(_ context.Context, b []byte) ([]byte, error) { return f(b), nil })
	case func([]byte) ([]byte, error):
		return bytesCall(p, func(_ context.Context, b []byte) ([]byte, error) { return f(b) })
	case func(context.Context, []byte) []byte:
		return bytesCall(p, func(ctx context.Context, b []byte) ([]byte, error) { return f(ctx, b), nil })
	case func(context.Context, []byte) ([]byte, error):
		return bytesCall(p, f)
	}
	return nil
}

// textCall is the direct call of f, a function of text.
func textCall(p *plan, f func(context.Context, string) (string, error)) directCall {
	return func(ctx context.Context, _ *Call, args []byte, fails *failures) ([]byte, error) {
		h, err := readHead(args)
		if err == nil && h.major != cborText {
			err = p.notDirect(args)
		}
		if err != nil {
			return nil, p.badArgs(&ArgumentError{Index: 1, Err: err})
		}
		arg, rest, err := readText(args, h)
		if err != nil {
			return nil, p.badArgs(&ArgumentError{Index: 1, Err: err})
		}
		if len(rest) > 0 {
			return nil, p.badArgs(errTrailing)
		}
		result, err := f(ctx, arg)
		if err != nil {
			return nil, fails.of(err)
		}
		return appendTextItem(nil, result), nil
	}
}

// notDirect says why an argument is not what the direct call takes.
func (p *plan) notDirect(args []byte) error {
	n, err := itemLen(args)
	if err != nil {
		return err
	}
	return misfit(p.params[0].shape, args[:n])
}

// bytesCall is the direct call of f, a function of bytes, which are f's to keep.
func bytesCall(p *plan, f func(context.Context, []byte) ([]byte, error)) directCall {
	return func(ctx context.Context, call *Call, args []byte, fails *failures) ([]byte, error) {
		var arg []byte
		h, err := readHead(args)
		rest := args
		if err == nil && h.major == cborBytes {
			var body []byte
			if body, rest, err = h.body(args); err == nil {
				arg = ownBytes(ctx, call, args, body)
			}
		} else if err == nil {
			arg, rest, err = p.oddBytes(args)
		}
		if err != nil {
			return nil, p.badArgs(&ArgumentError{Index: 1, Err: err})
		}
		if len(rest) > 0 {
			return nil, p.badArgs(errTrailing)
		}
		result, err := f(ctx, arg)
		switch {
		case err != nil:
			return nil, fails.of(err)
		case result == nil:
			return append([]byte(nil), cborSimple<<5|infoNull), nil
		}
		if len(result) <= LargePayload {
			return appendBytesItem(nil, result), nil
		}
		return largeBytesItem(ctx, call, result), nil
	}
}

// ownBytes returns what is in body, a part of args, for a method to keep: large
// arguments that came by a connection in memory of their own are given away, and
// everything else is copied.
func ownBytes(ctx context.Context, call *Call, args, body []byte) []byte {
	if len(body) > LargePayload {
		if s := servedBy(ctx, call); s != nil && s.giveArgs(args) {
			return body[:len(body):len(body)]
		}
	}
	return cloneBytes(body)
}

// largeBytesItem encodes a large result, for a call that came by a connection in
// memory that is used again when the result has been sent.
func largeBytesItem(ctx context.Context, call *Call, result []byte) []byte {
	s := servedBy(ctx, call)
	if s == nil || s.result != nil {
		return appendBytesItem(nil, result)
	}
	s.result = s.conn.buffers.take(maxHead + len(result))
	*s.result = appendBytesItem(*s.result, result)
	return *s.result
}

// servedBy returns the servedCall whose call is just this one, or nil: also when
// its result is kept for other calls.
func servedBy(ctx context.Context, call *Call) *servedCall {
	s, _ := ctx.Value(servedKey{}).(*servedCall)
	if s == nil || &s.call != call || s.conn == nil || s.call.building != nil || s.call.Args.Type == ContentBatch {
		return nil
	}
	return s
}

// oddBytes decodes what may stand for bytes: null, or a list of small integers.
func (p *plan) oddBytes(args []byte) (arg, rest []byte, err error) {
	rest, err = p.params[0].decodeScalar(args, reflect.ValueOf(&arg).Elem())
	return arg, rest, err
}
