package transport

import "context"

// Lane is what a session carries beside its streams: a channel of messages from
// each side to the other that costs as little as the connection does, and bulk
// data that stays out of their way. Its methods may be called from any number of
// goroutines, but for Serve.
//
// Messages are bytes: a lane keeps their order and knows nothing of where one
// ends. They have no window of their own: a receiver takes what comes, and whoever
// makes a peer send bounds that in the protocol above.
type Lane interface {
	// Serve has r get what the peer sends, until the session ends. What came
	// before waits, and everything behind it, streams too; so it is to be called
	// soon, and only once.
	Serve(r Receiver)

	// Lock waits until fewer than room bytes wait to be written, or ctx ends, and
	// locks the lane. Messages are to be appended to what it returns, and that
	// given to Unlock at once. Errors, with the lane not locked: the session's
	// cause, or, before that is known, what became of the connection; and ctx's
	// cause.
	Lock(ctx context.Context, room int) ([]byte, error)
	// TryLock is Lock that does not wait: ok is false when there is no room.
	TryLock(room int) (b []byte, ok bool, err error)
	// Unlock unlocks the lane and has what was appended to b sent, as soon as the
	// connection takes it and together with what others append meanwhile. With
	// lone, nobody else is likely to append just now, and it is sent in place if
	// that needs no waiting: sooner, and at a higher price when others do append.
	// It returns how many bytes of messages have been appended since the beginning.
	Unlock(b []byte, lone bool) (end uint64)
	// Given is how many of these bytes the connection has been given. Of those
	// beyond them the peer has certainly seen nothing.
	Given() uint64

	// Bulk sends data, marked with tag, in pieces that take turns with those of
	// others and let messages pass. It returns when all of it was given to the
	// connection, and with ctx's cause when that ends first; data is not used any
	// more then. The peer gets it after the messages that were appended before
	// Bulk was called. One goroutine at a time may send with the same tag.
	//
	// How much may be under way is bounded for all tags together, by what the path
	// holds; see [Options]. How much the peer is willing to take is for the
	// protocol above.
	Bulk(ctx context.Context, tag uint64, data []byte) error
}

// Receiver gets what comes by a [Lane]. Its methods are called by one goroutine at
// a time, which reads the connection and should not be held up.
type Receiver interface {
	// Receive gets the next bytes of the peer's messages, however they are cut. It
	// must not keep p.
	Receive(p []byte)
	// Place returns where the next bytes of bulk data marked with tag are to be
	// written: memory for up to n of them, and at least one; or nil, and all n are
	// dropped. What it returns belongs to the lane until Placed.
	Place(tag uint64, n int) []byte
	// Placed says that all of what Place returned was written. It does not come
	// when the session ends before.
	Placed(tag uint64)
}
