package rmi

import (
	"context"
)

// directCall carries out a call without reflection. args are the arguments
// after their head; there are as many as the method takes.
type directCall func(ctx context.Context, args []byte, fails *failures) ([]byte, error)

// directFor returns the direct call of p's function, or nil when its signature
// is not one of the common ones: a string in, a string out, with or without a
// context and an error. Reflection costs such a call more than its arguments
// do.
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
	}
	return nil
}

// textCall is the direct call of f.
func textCall(p *plan, f func(context.Context, string) (string, error)) directCall {
	return func(ctx context.Context, args []byte, fails *failures) ([]byte, error) {
		h, err := readHead(args)
		if err != nil {
			return nil, p.badArgs(&ArgumentError{Index: 1, Err: err})
		}
		if h.major != cborText {
			n, err := itemLen(args)
			if err == nil {
				err = misfit(p.params[0].shape, args[:n])
			}
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
