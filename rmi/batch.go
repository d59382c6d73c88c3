package rmi

import (
	"context"
	"fmt"

	"farcall.dev/naming"
)

// MaxBatch is how many calls one [Batch] may have. One with more is refused with
// RESOURCE_EXHAUSTED, not executed.
const MaxBatch = 1024

// Batch is several calls of one object that travel together, in one frame if
// they are small, and are carried out one after another, in the order in which
// they were added. Each has an outcome of its own. On the way to the object's
// node, middleware sees one call without a method; on the node it sees each call
// by itself. A batch is used by one goroutine, and carried out once.
//
//	b := rmi.NewBatch(h, "cart")
//	n := rmi.Add[int](b, "add", "book", 2)
//	total := rmi.Add[float64](b, "total")
//	if err := b.Do(ctx); err != nil {
//		return err
//	}
//	sum, err := total.Result()
//
// Neither arguments nor results of its calls can be sequences.
type Batch struct {
	// StopOnError leaves out the calls after the first that fails. They fail with
	// ABORTED, not executed.
	StopOnError bool
	// Idempotent says that executing the whole batch twice does no harm, as
	// [Call.Idempotent] does.
	Idempotent bool
	// Way says what Do waits for. Where it is not the reply, the calls have no
	// results.
	Way Way

	h      Handler
	object naming.Name
	calls  []batchCall
	done   bool
}

// batchCall is one call of a batch that is being made.
type batchCall struct {
	method string
	// args are the encoded arguments.
	args []byte
	err  error
	// settle gives the call its outcome.
	settle func(result Payload, err error)
}

// Added is a call of a [Batch], and after [Batch.Do] its outcome.
type Added[T any] struct {
	value T
	err   error
}

// Result returns what came of the call, by the rules of [InvokeAs]. Before the
// batch was carried out it is a FAILED_PRECONDITION error.
func (a *Added[T]) Result() (T, error) { return a.value, a.err }

// NewBatch returns an empty batch of calls of object by h. A function can be
// called too, by an empty method.
func NewBatch(h Handler, object naming.Name) *Batch { return &Batch{h: h, object: object} }

// Len returns how many calls were added.
func (b *Batch) Len() int { return len(b.calls) }

// Add adds a call to b, whose result is wanted as a T. The arguments are encoded
// at once; that one of them cannot travel shows when the batch is carried out.
func Add[T any](b *Batch, method string, args ...any) *Added[T] {
	a := &Added[T]{err: refusal(FailedPrecondition, "the batch with the call of %s.%s has not been carried out", b.object, method)}
	vc := valueContext{space: spaceOf(b.h)}
	p, err := appendArgs(make([]byte, 0, 64), &vc, args)
	unuse(vc.promises)
	switch {
	case err != nil:
	case len(p.streams) > 0:
		err = errBatchStream
	case len(vc.promises) > 0:
		err = errNestedPromise
	case len(method) > MaxMethodLen:
		err = fmt.Errorf("the method's name has %d bytes, and the longest allowed is %d", len(method), MaxMethodLen)
	}
	b.calls = append(b.calls, batchCall{method: method, args: p.Data, err: err, settle: func(result Payload, err error) {
		if a.err = err; err != nil {
			return
		}
		var value T
		if err := decodeValue(&valueContext{space: spaceOf(b.h)}, result, &value); err != nil {
			a.err = badReply(b.object, method, err)
			return
		}
		a.value = value
	}})
	return a
}

// Do carries the batch out. Its error means that the batch as a whole failed,
// and so did each of its calls; that some calls failed shows in their results.
// Errors are those of [Invoke]; INVALID_ARGUMENT when a call cannot travel,
// RESOURCE_EXHAUSTED for more than [MaxBatch] calls, and FAILED_PRECONDITION
// when the batch was carried out before.
//
// When ctx ends, or the results become larger than the node may send, the calls
// that were not begun yet fail and are not executed.
func (b *Batch) Do(ctx context.Context) error {
	if b.done {
		return refusal(FailedPrecondition, "the batch of %s was carried out before", b.object)
	}
	b.done = true
	if len(b.calls) == 0 {
		return nil
	}
	err := b.exchange(ctx)
	if err != nil {
		for _, c := range b.calls {
			c.settle(Payload{}, err)
		}
	}
	return err
}

// exchange sends the calls and settles them with what came back.
func (b *Batch) exchange(ctx context.Context) error {
	call := newCall(ctx, b.object, "")
	call.Idempotent, call.Way = b.Idempotent, b.Way
	var err error
	if call.Args, err = b.encode(); err != nil {
		return err
	}
	var mend []func(error) error
	call.mend = &mend
	result, err := sendCall(ctx, b.h, call)
	if err != nil {
		return err
	}
	if b.Way != Wait {
		for _, c := range b.calls {
			c.settle(nullResult, nil)
		}
		return nil
	}
	outcomes, err := decodeOutcomes(result, len(b.calls))
	if err != nil {
		return badReply(b.object, "", err)
	}
	for i, o := range outcomes {
		err := error(nil)
		if o.failure != nil {
			err = o.failure
			for _, m := range mend {
				err = m(err)
			}
		}
		b.calls[i].settle(Payload{Data: o.result, from: result.from}, err)
	}
	return nil
}

// encode returns the calls as they travel.
func (b *Batch) encode() (Payload, error) {
	if len(b.calls) > MaxBatch {
		return Payload{}, tooManyInBatch(len(b.calls))
	}
	n := len(b.calls)
	if b.StopOnError {
		n++
	}
	data := appendHead(nil, cborList, uint64(n))
	if b.StopOnError {
		data = appendBool(data, true)
	}
	for i, c := range b.calls {
		if c.err != nil {
			e := refusal(InvalidArgument, "call %d of the batch: %s: %w", i+1, called(&Call{Object: b.object, Method: c.method}), c.err)
			return Payload{}, e
		}
		data = appendHead(data, cborList, 2)
		data = appendTextItem(data, c.method)
		data = append(data, c.args...)
	}
	return Payload{Type: ContentBatch, Data: data}, nil
}

// tooManyInBatch is the refusal of a batch of n calls.
func tooManyInBatch(n int) *Error {
	return refusal(ResourceExhausted, "the batch has %d calls, and at most %d may go together", n, MaxBatch)
}
