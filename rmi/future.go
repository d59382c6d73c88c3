package rmi

import (
	"context"
	"iter"
	"reflect"
	"sync"

	"farcall.dev/naming"
)

// Future is the outcome of a call that may still be under way. [Go] and the
// stubs of [Bind] begin such calls. Its methods may be called from any number of
// goroutines, and as often as one likes.
type Future[T any] struct {
	done  chan struct{} // closed when value and err are set
	value T
	err   error
}

// Go begins the call that [InvokeAs] would make, and returns at once. The
// arguments are encoded before it does, so that they may be changed afterwards;
// an argument that cannot travel shows in the future. The call, and the goroutine
// that waits for it, end with the reply or with ctx.
func Go[T any](ctx context.Context, h Handler, object naming.Name, method string, args ...any) *Future[T] {
	f := new(Future[T])
	vc := valueContext{space: spaceOf(h)}
	call, err := newCallWith(ctx, &vc, object, method, args)
	f.begin(ctx, h, call, err)
	return f
}

// Done is closed when the call has ended.
func (f *Future[T]) Done() <-chan struct{} { return f.done }

// Ready reports whether the call has ended, so that Wait returns at once.
func (f *Future[T]) Ready() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// Wait waits until the call has ended, or ctx has, and returns what came of it.
// The end of ctx is the end of this wait, with CANCELED or DEADLINE_EXCEEDED;
// the call goes on.
func (f *Future[T]) Wait(ctx context.Context) (T, error) {
	if !f.Ready() {
		select {
		case <-f.done:
		case <-ctx.Done():
			var none T
			return none, Errorf(contextCode(ctx.Err()), "wait for a future: %w", context.Cause(ctx))
		}
	}
	return f.value, f.err
}

// anyFuture is a *Future of any type, for stubs.
type anyFuture interface {
	// resultType is the type of the value.
	resultType() reflect.Type
	// begin makes the zero future that of call, or of err.
	begin(ctx context.Context, h Handler, call *Call, err error)
}

func (f *Future[T]) resultType() reflect.Type { return reflect.TypeFor[T]() }

func (f *Future[T]) begin(ctx context.Context, h Handler, call *Call, err error) {
	f.done = make(chan struct{})
	if err != nil {
		f.err = err
		close(f.done)
		return
	}
	go func() {
		defer close(f.done)
		f.err = panicsTo(call, func() error {
			reply, err := sendCall(ctx, h, call)
			if err != nil {
				return err
			}
			var value T
			if err := decodeValue(&valueContext{space: spaceOf(h), streams: reply.streams, ctx: ctx}, reply, &value); err != nil {
				return badReply(call.Object, call.Method, err)
			}
			f.value = value
			return nil
		})
	}()
}

// panicsTo runs f, which carries out call on a goroutine of its own, and makes
// an INTERNAL error of a panic: the caller could not recover it there.
func panicsTo(call *Call, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = Errorf(Internal, "call %s: the handler panicked: %v", called(call), v)
		}
	}()
	return f()
}

// Completed yields futures in the order in which their calls end, each with its
// index in the arguments. Breaking out of the loop leaves the other calls alone.
func Completed[T any](futures ...*Future[T]) iter.Seq2[int, *Future[T]] {
	return func(yield func(int, *Future[T]) bool) {
		ended, stop := make(chan int, len(futures)), make(chan struct{})
		var watchers sync.WaitGroup
		defer watchers.Wait()
		defer close(stop)
		for i, f := range futures {
			if f.Ready() {
				ended <- i
				continue
			}
			watchers.Go(func() {
				select {
				case <-f.done:
					ended <- i
				case <-stop:
				}
			})
		}
		for range futures {
			if i := <-ended; !yield(i, futures[i]) {
				return
			}
		}
	}
}
