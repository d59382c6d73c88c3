package rmi

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"farcall.dev/naming"
)

// Promise is the result of a call that may not have come back yet, of which more
// can be asked at once: a method of the object that it will be a reference to, or
// a call that it is an argument of. Such calls do not wait for it, so that a
// chain of them costs one round trip:
//
//	friend := rmi.Start(ctx, h, "greeting", "friend")
//	name, err := friend.Invoke(ctx, "name")
//
// That is so where the calls go by the same connection and their arguments are
// no more than [LargePayload]. Otherwise, and where the call was answered without
// a connection, the value is waited for and sent along.
//
// When the call fails, so do those that build on it, with its code and not
// executed. A Promise may be an argument of [Invoke], [Go] and the like, by
// itself and not within another value.
//
// The node keeps the result until Release, until the context of the call ends, or
// until the program no longer reaches the Promise, and keeps up to 1024 for each
// connection: one more call fails with RESOURCE_EXHAUSTED. A Promise can be used
// after that, but no longer before its value is there. Its methods may be called
// from any number of goroutines.
type Promise struct {
	of *started
	// part is which of several results is meant, from 1; 0 for the whole.
	part int
	// whole is, of a part, the Promise that it is a part of: as long as the part is
	// in use, so is that.
	whole *Promise
}

// Start begins the call that [Invoke] would make, and returns at once. The
// arguments are encoded before it does. The call ends with its reply or with
// ctx; the end of ctx releases the Promise too.
func Start(ctx context.Context, h Handler, object naming.Name, method string, args ...any) *Promise {
	vc := valueContext{space: spaceOf(h)}
	call, err := newCallWith(ctx, &vc, object, method, args)
	return newPromise(ctx, h, called(&Call{Object: object, Method: method}), call, err)
}

// Start is [Start] of a method of the object that p will be a reference to.
func (p *Promise) Start(ctx context.Context, method string, args ...any) *Promise {
	call, err := p.call(ctx, method, args)
	return newPromise(ctx, p.of.h, p.String()+"."+clip(method, 64), call, err)
}

// Invoke is [Invoke] of a method of the object that p will be a reference to. A
// result of another type is had by Start and [Await].
func (p *Promise) Invoke(ctx context.Context, method string, args ...any) (any, error) {
	call, err := p.call(ctx, method, args)
	if err != nil {
		return nil, err
	}
	reply, err := sendCall(ctx, p.of.h, call)
	if err != nil {
		return nil, err
	}
	var result any
	if err := decodeValue(&valueContext{space: spaceOf(p.of.h), streams: reply.streams, ctx: ctx}, reply, &result); err != nil {
		return nil, badReply(call.Object, method, err)
	}
	return result, nil
}

// call returns a call of a method of the object that p will be a reference to.
func (p *Promise) call(ctx context.Context, method string, args []any) (*Call, error) {
	vc := valueContext{space: spaceOf(p.of.h)}
	call, err := newCallWith(ctx, &vc, naming.Name(cut(p.String(), MaxObjectLen)), method, args)
	if err != nil {
		return nil, err
	}
	call.building = &building{uses: append(call.uses(), p.use(0))}
	return call, nil
}

// Part returns the result number k, counted from 1, of a method that returns
// several.
func (p *Promise) Part(k int) *Promise {
	if p.whole != nil {
		p = p.whole
	}
	return &Promise{of: p.of, part: k, whole: p}
}

// Done is closed when the call has ended.
func (p *Promise) Done() <-chan struct{} { return p.of.done }

// Await waits until the call of p has ended, or ctx has, and returns its result,
// by the rules of [InvokeAs]. The end of ctx is the end of this wait, with
// CANCELED or DEADLINE_EXCEEDED; the call goes on.
func Await[T any](ctx context.Context, p *Promise) (T, error) {
	var result T
	select {
	case <-p.of.done:
	case <-ctx.Done():
		return result, Errorf(contextCode(ctx.Err()), "wait for %v: %w", p, context.Cause(ctx))
	}
	value, err := p.of.value(p.part)
	if err != nil {
		return result, err
	}
	if err := decodeValue(&valueContext{space: spaceOf(p.of.h), taken: p.of.refs}, value, &result); err != nil {
		var none T
		return none, Errorf(Internal, "result of %v: %w", p, err)
	}
	return result, nil
}

// Release says that no more calls will build on the result before it is there,
// so that the node need not keep it. Those that do already are not affected, nor
// is the call itself. It may be called twice, and is that of the whole when p is
// a part.
func (p *Promise) Release() { p.of.release() }

// String says what p is the result of.
func (p *Promise) String() string {
	if p.part > 0 {
		return fmt.Sprintf("%s()[%d]", p.of.name, p.part)
	}
	return p.of.name + "()"
}

// errNestedPromise is why a Promise cannot be encoded.
var errNestedPromise = errors.New("a Promise can only be an argument by itself, of Invoke, Go, Start and the like")

// MarshalCBOR fails: a Promise has no value of its own.
func (p *Promise) MarshalCBOR() ([]byte, error) { return nil, errNestedPromise }

// use returns p as argument number arg of a call, 0 for its object, and counts
// it until [started.unuse].
func (p *Promise) use(arg int) promiseUse {
	p.of.mu.Lock()
	p.of.users++
	p.of.mu.Unlock()
	return promiseUse{arg: arg, result: p.part, of: p.of}
}

// newPromise sends call, unless err says that it cannot be, and returns its
// Promise.
func newPromise(ctx context.Context, h Handler, name string, call *Call, err error) *Promise {
	s := &started{h: h, name: name, placed: make(chan struct{}), done: make(chan struct{})}
	p := &Promise{of: s}
	if err != nil {
		s.err = FromError(err)
		close(s.done)
		return p
	}
	call.keep = s
	s.releaseAfter(ctx)
	runtime.AddCleanup(p, (*started).release, s)
	go s.run(ctx, call)
	return p
}
