package rmi

import (
	"context"
	"fmt"
	"reflect"
)

// call carries out one call of p. ctx is the method's. Its errors are ready for
// the caller.
func (p *plan) call(ctx context.Context, call *Call, codec Codec, fails *failures, vc *valueContext) (result []byte, err error) {
	if p.direct != nil && codec == nil {
		n, args, err := argsHead(call.Args.Data)
		if err != nil {
			return nil, p.badArgs(err)
		}
		if n != len(p.params) {
			return nil, p.badArgs(&ArgumentCountError{Got: n})
		}
		return p.direct(ctx, call, args, fails)
	}
	if len(call.Args.streams) > 0 && codec == nil {
		return nil, p.badArgs(&ValueError{Reason: "a sequence came as an argument, and it takes none"})
	}
	s := p.slots.Get().(*argSlots)
	// Not deferred: after a panic the slots are dropped, and not reused.
	if codec == nil {
		err = p.decodeArgs(call.Args.Data, s, vc)
	} else {
		err = codec.DecodeArgs(call, s.params, p.variadic)
	}
	if err != nil {
		s.clear()
		p.slots.Put(s)
		return nil, p.badArgs(err)
	}
	vc.streams = nil // from here on those of the result
	fn := p.fn
	if p.instances != nil {
		use, err := p.instances.acquire(ctx, call, fails)
		if err != nil {
			s.clear()
			p.slots.Put(s)
			return nil, err
		}
		defer use.release()
		ctx, fn = use.ctx, p.bind(use.value)
	}
	out, err := p.run(ctx, fn, s)
	if err != nil {
		return nil, fails.of(err)
	}
	if codec == nil {
		result, err = p.encodeResult(out, vc)
	} else {
		result, err = codec.EncodeResult(call, out)
	}
	if err != nil {
		return nil, p.badResult(err)
	}
	return result, nil
}

// run calls fn with the arguments in s, which it gives back, and returns the
// results without the method's own error, and that. After a panic s is dropped.
func (p *plan) run(ctx context.Context, fn reflect.Value, s *argSlots) (out []reflect.Value, err error) {
	if s.ctx != nil {
		*s.ctx = ctx
	}
	if p.variadic {
		out = fn.CallSlice(s.in)
	} else {
		out = fn.Call(s.in)
	}
	s.clear()
	p.slots.Put(s)
	if p.fails {
		err, _ = out[len(out)-1].Interface().(error)
		out = out[:len(out)-1]
	}
	return out, err
}

// badResult makes a call's failure of a result that cannot travel.
func (p *plan) badResult(err error) *Error {
	return &Error{Code: Internal, Message: fmt.Sprintf("%s was carried out, but its result cannot be sent: %v", p, err), cause: err}
}

// decodeArgs decodes a list of arguments into s.
func (p *plan) decodeArgs(data []byte, s *argSlots, vc *valueContext) error {
	n, rest, err := argsHead(data)
	if err != nil {
		return err
	}
	fixed := len(p.params)
	if p.variadic {
		fixed--
	}
	if n < fixed || n > fixed && !p.variadic {
		return &ArgumentCountError{Got: n}
	}
	for i := range fixed {
		if rest, err = p.params[i].decode(rest, s.params[i], s.ptrs[i], vc); err != nil {
			return &ArgumentError{Index: i + 1, Err: err}
		}
	}
	if n > fixed {
		if (n-fixed)*p.params[fixed].sizeOf() > memoryFor(len(data)) {
			return overBudget(len(data))
		}
		list := reflect.MakeSlice(s.params[fixed].Type(), n-fixed, n-fixed)
		for i := range n - fixed {
			v := list.Index(i)
			if rest, err = p.params[fixed].decode(rest, v, v.Addr().Interface(), vc); err != nil {
				return &ArgumentError{Index: fixed + i + 1, Err: err}
			}
		}
		s.params[fixed].Set(list)
	}
	if len(rest) > 0 {
		return errTrailing
	}
	return nil
}

// encodeResult encodes the results: null for none, the value for one, a list
// for several.
func (p *plan) encodeResult(out []reflect.Value, vc *valueContext) ([]byte, error) {
	switch len(out) {
	case 0:
		return appendValue(nil, nil, vc)
	case 1:
		return p.results[0].append(nil, out[0], vc)
	}
	dst := appendHead(nil, cborList, uint64(len(out)))
	for i, v := range out {
		var err error
		if dst, err = p.results[i].append(dst, v, vc); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// append appends v's encoding to dst.
func (r *rootShape) append(dst []byte, v reflect.Value, vc *valueContext) ([]byte, error) {
	if r.direct {
		switch r.kind {
		case KindString:
			return appendTextItem(dst, v.String()), nil
		case KindBool:
			return appendBool(dst, v.Bool()), nil
		case KindInt, KindDuration:
			if r.unsigned {
				return appendHead(dst, cborUint, v.Uint()), nil
			}
			return appendInt(dst, v.Int()), nil
		case KindFloat:
			return appendFloat(dst, v.Float()), nil
		case KindBytes:
			if v.IsNil() {
				return appendValue(dst, nil, vc)
			}
			return appendBytesItem(dst, v.Bytes()), nil
		}
	}
	if r.stream != nil {
		return r.stream.appendStream(dst, v, vc)
	}
	if r.as != 0 {
		return r.appendReference(dst, v, vc)
	}
	if r.kind == kindPointer || r.kind == KindAny {
		if ref, err := vc.reference(v.Interface()); err != nil {
			return nil, err
		} else if ref != nil {
			return ref.appendTo(dst)
		}
	}
	if r.deep {
		if err := checkDepth(v, 0, 0); err != nil {
			return nil, err
		}
	}
	return appendAny(dst, v.Interface())
}

// Codec reads arguments and writes results in one content type. Package rmi
// knows CBOR; others are given to [NewObjects]. Its methods are called from any
// number of goroutines.
type Codec interface {
	// ContentType is what the codec reads and writes.
	ContentType() ContentType
	// DecodeArgs decodes the arguments of call into params, which are settable
	// zero values of the method's parameter types. When variadic is set, the
	// last of them is a slice that takes every argument that is left. Errors are
	// an [*ArgumentCountError] or an [*ArgumentError], to which the method's and
	// the parameter's names are added; others stand for the whole. call must
	// not be kept.
	DecodeArgs(call *Call, params []reflect.Value, variadic bool) error
	// EncodeResult encodes the results of call: none, one or several.
	EncodeResult(call *Call, results []reflect.Value) ([]byte, error)
}
