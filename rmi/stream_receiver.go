package rmi

import (
	"context"
	"errors"
	"runtime"
)

// receiver is where a program reads a sequence that came, in whatever form it
// has it. When nobody has the receiver any more, the sequence is stopped. One
// goroutine uses it; close may be called by any.
type receiver struct {
	source  itemSource
	space   *Space
	from    *Session    // by which the sequence came; may be nil
	unbind  func() bool // from the context that ends the sequence; may be nil
	cleanup runtime.Cleanup
	err     error // why the items do not fit, or io.EOF; the last word
}

// newReceiver returns the receiver of source, which ends with vc's context.
func newReceiver(source itemSource, vc *valueContext) *receiver {
	r := &receiver{source: source}
	if vc != nil {
		r.space, r.from = vc.space, vc.from
		if ctx := vc.ctx; ctx != nil {
			r.unbind = context.AfterFunc(ctx, func() { source.stop(waitError(ctx)) })
		}
	}
	unbind := r.unbind
	r.cleanup = runtime.AddCleanup(r, func(source itemSource) {
		source.stop(errAbandoned)
		if unbind != nil {
			unbind()
		}
	}, source)
	return r
}

// next returns the next item; see itemSource.
func (r *receiver) next(ctx context.Context) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	item, err := r.source.next(ctx)
	runtime.KeepAlive(r)
	if err == nil || ctx.Err() != nil {
		return item, err
	}
	r.err = err
	r.close(errors.New("the stream has ended"))
	return nil, err
}

// misfit ends the sequence because an item of it is not what is wanted.
func (r *receiver) misfit(err error) error {
	r.err = &Error{Code: InvalidArgument, Message: "an item of the stream does not fit: " + err.Error(), cause: err}
	r.close(r.err)
	return r.err
}

// close says that no more items are wanted.
func (r *receiver) close(cause error) {
	r.source.stop(cause)
	if r.unbind != nil {
		r.unbind()
	}
	runtime.KeepAlive(r)
}

// release takes the sequence out of r, which then has come to its end. The
// context that ends the sequence goes on to do so.
func (r *receiver) release() itemSource {
	r.cleanup.Stop()
	r.err = errUsed()
	return r.source
}
