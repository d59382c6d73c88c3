package rmi

import (
	"context"
	"math"
	"sync"

	"farcall.dev/naming"
)

// maxKeptArgs is the largest memory of arguments, in bytes, that is used again.
const maxKeptArgs = 32 << 10

// exchange is one call that is waited for, from its arguments to its decoded
// result, with the memory that it takes: the Call and its encoded arguments. By the
// contract of [Handler] nobody has either when Handle has returned, so that the
// next exchange of the Space uses them.
type exchange struct {
	call  Call
	args  []byte  // its encoded arguments, up to maxKeptArgs
	large *[]byte // they, if they are larger; nil if not
	space *Space  // may be nil
}

// exchanges are those that have ended.
type exchanges struct {
	pool sync.Pool // of *exchange
	// large are for arguments of more than maxKeptArgs.
	large buffers
	// poison overwrites what is given back, so that a test sees who still
	// reads it.
	poison bool
}

// newExchange returns an exchange by h. It goes back with over, or nowhere.
func newExchange(h Handler) *exchange {
	space := spaceOf(h)
	if space != nil {
		if x, ok := space.exchanges.pool.Get().(*exchange); ok {
			return x
		}
	}
	return &exchange{space: space, args: make([]byte, 0, 64)}
}

// over ends x once reply has been decoded. Nothing is used again that somebody may
// still have: a chain of promises, or who sends the items of a stream.
func (x *exchange) over(reply *Payload) {
	if x.space == nil || x.call.Way != Wait || x.call.building != nil || x.call.keep != nil ||
		len(x.call.Args.streams) > 0 || len(reply.streams) > 0 {
		return
	}
	x.call = Call{}
	if x.space.exchanges.poison {
		x.call.Object, x.call.Method = "poison", "poison"
		x.call.Args.Data = x.args
		for _, b := range [][]byte{x.args, x.largeArgs()} {
			for i, room := 0, b[:cap(b)]; i < len(room); i++ {
				room[i] = 0xdb
			}
		}
		return // not used again, so that it stays so
	}
	if x.large != nil {
		x.space.exchanges.large.release(x.large)
		x.large = nil
	}
	if cap(x.args) > maxKeptArgs {
		x.args = make([]byte, 0, 64)
	}
	x.space.exchanges.pool.Put(x)
}

// run sends a call with args and returns its result as it came.
func (x *exchange) run(ctx context.Context, h Handler, object naming.Name, method string, args []any) (Payload, error) {
	if err := x.prepare(ctx, object, method, args); err != nil {
		return Payload{}, err
	}
	return x.send(ctx, h)
}

// prepare makes the call.
func (x *exchange) prepare(ctx context.Context, object naming.Name, method string, args []any) error {
	vc := valueContext{space: x.space}
	x.call.begin(ctx, object, method)
	if size := largeSize(args); size > 0 && x.space != nil {
		x.large = x.space.exchanges.large.take(size)
		if err := x.call.encodeArgs((*x.large)[:0], &vc, args); err != nil {
			return err
		}
		*x.large = x.call.Args.Data
		return nil
	}
	if err := x.call.encodeArgs(x.args[:0], &vc, args); err != nil {
		return err
	}
	x.args = x.call.Args.Data // what is in the call may become another's
	return nil
}

// largeArgs returns the encoded arguments if they are large.
func (x *exchange) largeArgs() []byte {
	if x.large == nil {
		return nil
	}
	return *x.large
}

// largeSize returns the room that args take, encoded, when bytes and text make
// them large; else 0.
func largeSize(args []any) int {
	size := 0
	for _, arg := range args {
		switch v := arg.(type) {
		case []byte:
			size += len(v)
		case string:
			size += len(v)
		}
	}
	if size <= maxKeptArgs {
		return 0
	}
	return size + maxHead*(len(args)+1)
}

// send sends the call.
func (x *exchange) send(ctx context.Context, h Handler) (Payload, error) {
	reply, err := sendCall(ctx, h, &x.call)
	if err != nil {
		reply.drop(errUnread)
		return Payload{}, err
	}
	return reply, nil
}

// decode decodes reply, the result of method, into the variable that into points
// to.
func (x *exchange) decode(ctx context.Context, reply Payload, object naming.Name, method string, into any) error {
	if !reply.decodePlain(into) {
		if err := decodeValue(&valueContext{space: x.space, streams: reply.streams, ctx: ctx}, reply, into); err != nil {
			return badReply(object, method, err)
		}
	}
	x.over(&reply)
	return nil
}

// decodePlain decodes p into the variable that into points to, if that is of one of
// the types that results often have, p is of just that type, and nothing is wrong
// with it. It reports whether it did; if not, into is as it was, and decodeValue
// tells why. Unlike there the variable may be on the stack. p is the result of a
// call, which belongs to its caller: bytes that came from another process are not
// copied, since nobody else has them.
func (p *Payload) decodePlain(into any) bool {
	if p.Type != ContentCBOR || len(p.streams) > 0 {
		return false
	}
	h, err := readHead(p.Data)
	if err != nil {
		return false
	}
	switch v := into.(type) {
	case *[]byte:
		if h.major != cborBytes {
			return false
		}
		body, rest, err := h.body(p.Data)
		if err != nil || len(rest) > 0 {
			return false
		}
		if p.from == nil {
			body = cloneBytes(body)
		}
		*v = body[:len(body):len(body)]
		return true
	case *string:
		if h.major != cborText {
			return false
		}
		text, rest, err := readText(p.Data, h)
		if err != nil || len(rest) > 0 {
			return false
		}
		*v = text
		return true
	}
	if h.size != len(p.Data) {
		return false
	}
	switch v := into.(type) {
	case *bool:
		if h.major != cborSimple || h.info != infoTrue && h.info != infoFalse {
			return false
		}
		*v = h.info == infoTrue
	case *int64:
		if h.major != cborUint && h.major != cborNegInt || h.arg > math.MaxInt64 {
			return false
		}
		*v = int64(h.arg)
		if h.major == cborNegInt {
			*v = ^*v
		}
	case *float64:
		if !h.isFloat() {
			return false
		}
		*v = h.float()
	default:
		return false
	}
	return true
}
