package rmi

import (
	"context"
	"errors"
)

// itemSource is a sequence on its way: of a method's own, of a peer, or passed
// on. One goroutine uses it.
type itemSource interface {
	// next returns the encoding of the next item, which is valid until the next
	// call; io.EOF when the sequence has ended by itself; any other error, an
	// [*Error], when it broke off. It waits no longer than ctx lasts: the error
	// is then ctx's, as an [*Error], and next may be called again. After any
	// other error it returns the same one for ever.
	next(ctx context.Context) ([]byte, error)
	// stop says that no more items are wanted, because of cause, and gives back
	// what the source holds. It may be called more than once, and by another
	// goroutine while next runs, which then returns.
	stop(cause error)
}

// pushedSource is an itemSource that rather gives its items than is asked for
// them: it saves a goroutine where the items are only handed on.
type pushedSource interface {
	itemSource
	// each calls yield with one item after another, until it returns false; an
	// item is valid until yield returns. It returns nil when the sequence has
	// ended by itself or yield returned false, or an [*Error] when it broke
	// off. It is used instead of next.
	each(yield func(item []byte) bool) error
}

// drop stops the sequences that came with p: nobody will read them.
func (p Payload) drop(cause error) { dropSources(p.streams, cause) }

// dropSources stops all of sources.
func dropSources(sources []itemSource, cause error) {
	for _, s := range sources {
		s.stop(cause)
	}
}

// Why sequences are stopped.
var (
	errUnread     = errors.New("the receiver does not want the items")
	errCallOver   = errors.New("the call that the sequence belongs to is over")
	errAbandoned  = errors.New("the stream was not closed, and nobody has it any more")
	errClosedHere = errors.New("the stream was closed")
)

// streamError makes an [*Error] of why a sequence broke off.
func streamError(err error) *Error {
	if e, ok := err.(*Error); ok && e != nil {
		return e
	}
	e := FromError(err)
	if e.Code == Unknown {
		e.Code, e.Type = Canceled, ""
	}
	return e
}

// waitError is the [*Error] of a wait that ended because ctx did.
func waitError(ctx context.Context) *Error {
	err := ctx.Err()
	if cause := context.Cause(ctx); cause != err {
		if e, ok := cause.(*Error); ok {
			return e
		}
		return Errorf(contextCode(err), "the stream was given up: %w: %w", err, cause)
	}
	return Errorf(contextCode(err), "the stream was given up: %w", err)
}
