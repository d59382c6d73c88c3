package rmi

import (
	"context"
)

// itemSource is a sequence on its way: of a method's own, of a peer, or passed
// on. One goroutine uses it.
type itemSource interface {
	// next returns the encoding of the next item, which is valid until the next
	// call; io.EOF when the sequence has ended by itself; any other error, an
	// [*Error], when it broke off. It waits no longer than ctx lasts.
	next(ctx context.Context) ([]byte, error)
	// stop says that no more items are wanted, because of cause, and gives back
	// what the source holds. It may be called more than once, and by another
	// goroutine while next runs, which then returns.
	stop(cause error)
}

// drop stops the sequences that came with p: nobody will read them.
func (p Payload) drop(cause error) {
	for _, s := range p.streams {
		s.stop(cause)
	}
}
