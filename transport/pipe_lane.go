package transport

import (
	"context"
	"slices"
	"sync"
)

// pipeLane is the lane of one end of a Pipe: what this end sends, and who takes
// it to the peer's Receiver. There is no goroutine for that. There is a turn,
// which one sender has at a time, and only who has the turn calls the Receiver:
//
//   - Unlock takes the turn if it is free, hands over what waits until nothing
//     does, and frees it. If it is not free, who has it looks again.
//   - Bulk waits for the turn, hands over what waits and then one piece of its
//     data, by its own goroutine, so that nobody touches the data once it has
//     returned. Those who wait for the turn get it in order.
//   - Before the peer calls Serve, the turn is that of the Receiver to come.
//
// mu is never held while the Receiver is called, and a Receiver may append to the
// lane of its own end: either nobody has that lane's turn, or what it appends is
// handed over by who has. It should not wait for room there, nor send bulk data,
// because who makes the room may be the caller of the Receiver itself. A sender
// that has the turn is held up by a Receiver that blocks; others are not.
//
// When the session ends, what waits is dropped. A call of the Receiver that is
// under way then goes on.
type pipeLane struct {
	end *pipeEnd // that sends
	r   Receiver // the peer's; belongs to who has the turn

	mu     sync.Mutex
	buf    []byte          // guarded by mu; messages that wait
	spare  []byte          // guarded by mu; the buffer to use next
	taking chan struct{}   // guarded by mu; closed when buf is taken next, nil when nobody waits for that
	total  uint64          // guarded by mu; bytes of messages appended so far
	turn   bool            // guarded by mu; somebody has the turn
	queue  []chan struct{} // guarded by mu; those who wait for it, empty when it is free
	served bool            // guarded by mu; r is set
}

var (
	_ Lane                     = (*pipeLane)(nil)
	_ interface{ Lane() Lane } = (*pipeEnd)(nil)
)

// keepLane is the largest buffer that a lane of a Pipe uses again.
const keepLane = 64 << 10

func newPipeLane(end *pipeEnd) *pipeLane { return &pipeLane{end: end, turn: true} }

// Lane implements Session.
func (e *pipeEnd) Lane() Lane { return e.lane }

// Serve implements Lane. It hands over what waits and returns. To call it twice
// is the test's own mistake, and panics.
func (l *pipeLane) Serve(r Receiver) {
	in := l.end.peer.lane
	in.mu.Lock()
	twice := in.served
	in.served = true
	in.mu.Unlock()
	if twice {
		panic("transport: Serve was called twice")
	}
	in.r = r
	in.pass()
}

// Lock implements Lane.
func (l *pipeLane) Lock(ctx context.Context, room int) ([]byte, error) {
	for {
		b, taking, err := l.tryLock(room)
		if taking == nil {
			return b, err
		}
		select {
		case <-taking:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-l.end.done:
		}
	}
}

// TryLock implements Lane.
func (l *pipeLane) TryLock(room int) (b []byte, ok bool, err error) {
	b, taking, err := l.tryLock(room)
	return b, taking == nil && err == nil, err
}

// tryLock locks the lane, unless it returns an error or, when there is no room,
// a channel that is closed when there may be.
func (l *pipeLane) tryLock(room int) (b []byte, taking <-chan struct{}, err error) {
	l.mu.Lock()
	if err := l.end.Err(); err != nil {
		l.mu.Unlock()
		return nil, nil, err
	}
	if len(l.buf) < room {
		return l.buf, nil, nil
	}
	if l.taking == nil {
		l.taking = make(chan struct{})
	}
	taking = l.taking
	l.mu.Unlock()
	return nil, taking, nil
}

// Unlock implements Lane.
func (l *pipeLane) Unlock(b []byte, _ bool) (end uint64) {
	l.total += uint64(len(b) - len(l.buf))
	l.buf = b
	end = l.total
	mine := !l.turn && len(b) > 0
	if mine {
		l.turn = true
	}
	l.mu.Unlock()
	if mine {
		l.pass()
	}
	return end
}

// Given implements Lane: what was taken to be handed to the peer's Receiver.
func (l *pipeLane) Given() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total - uint64(len(l.buf))
}

// Bulk implements Lane. Once all of data is with the Receiver it may still hand
// over messages that others appended meanwhile.
func (l *pipeLane) Bulk(ctx context.Context, tag uint64, data []byte) error {
	if len(data) == 0 {
		return l.end.Err()
	}
	ready := make(chan struct{}, 1)
	if err := l.await(ctx, ready); err != nil {
		return err
	}
	for {
		l.messages()
		if err := l.end.Err(); err != nil {
			l.pass()
			return err
		}
		if ctx.Err() != nil {
			l.pass()
			return context.Cause(ctx)
		}
		piece := data[:min(len(data), MaxPiece)]
		data = data[len(piece):]
		l.place(tag, piece)
		if len(data) == 0 {
			l.pass()
			return nil
		}
		if err := l.yield(ctx, ready); err != nil {
			return err
		}
	}
}

// place hands one piece to the Receiver. The caller has the turn.
func (l *pipeLane) place(tag uint64, piece []byte) {
	l.end.count(len(piece))
	for len(piece) > 0 && l.end.peer.Err() == nil {
		p := l.r.Place(tag, len(piece))
		if len(p) == 0 {
			return
		}
		piece = piece[copy(p, piece):]
		l.r.Placed(tag)
	}
}

// messages hands the messages that wait now to the Receiver. The caller has the
// turn.
func (l *pipeLane) messages() {
	l.mu.Lock()
	b := l.takeLocked()
	l.mu.Unlock()
	l.hand(b)
}

// hand hands b, which was taken, to the Receiver. The caller has the turn.
func (l *pipeLane) hand(b []byte) {
	if len(b) == 0 {
		return
	}
	l.end.count(len(b))
	l.r.Receive(b)
	if cap(b) <= keepLane {
		l.mu.Lock()
		l.spare = b[:0]
		l.mu.Unlock()
	}
}

// takeLocked takes what waits. When the peer's end of the session has ended that
// is nothing.
func (l *pipeLane) takeLocked() []byte {
	if len(l.buf) == 0 || l.end.peer.Err() != nil {
		return nil
	}
	b := l.buf
	l.buf, l.spare = l.spare, nil
	if l.taking != nil {
		close(l.taking)
		l.taking = nil
	}
	return b
}

// await waits for the turn, which the caller does not have. With an error it has
// not got it.
func (l *pipeLane) await(ctx context.Context, ready chan struct{}) error {
	l.mu.Lock()
	if !l.turn {
		l.turn = true
		l.mu.Unlock()
		return nil
	}
	l.queue = append(l.queue, ready)
	l.mu.Unlock()
	return l.wait(ctx, ready)
}

// yield lets those who wait for the turn have it first.
func (l *pipeLane) yield(ctx context.Context, ready chan struct{}) error {
	l.mu.Lock()
	if len(l.queue) == 0 {
		l.mu.Unlock()
		return nil
	}
	l.queue = append(l.queue, ready)
	l.nextLocked()
	l.mu.Unlock()
	return l.wait(ctx, ready)
}

// wait waits until the turn has come to ready, which is in the queue. If there is
// a reason not to wait longer, it is passed on when it comes all the same.
func (l *pipeLane) wait(ctx context.Context, ready chan struct{}) error {
	var err error
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-l.end.done:
		err = l.end.Err()
	}
	l.mu.Lock()
	at := slices.Index(l.queue, ready)
	if at >= 0 {
		l.queue = slices.Delete(l.queue, at, at+1)
	}
	l.mu.Unlock()
	if at < 0 {
		l.pass()
	}
	return err
}

// pass gives the turn to the next who waits for it. When there is none it hands
// over what waits and frees the turn.
func (l *pipeLane) pass() {
	for {
		l.mu.Lock()
		if len(l.queue) > 0 {
			l.nextLocked()
			l.mu.Unlock()
			return
		}
		b := l.takeLocked()
		l.turn = len(b) > 0
		l.mu.Unlock()
		if len(b) == 0 {
			return
		}
		l.hand(b)
	}
}

// nextLocked gives the turn to the first in the queue.
func (l *pipeLane) nextLocked() {
	l.queue[0] <- struct{}{} // has room: a place in the queue gets one turn
	l.queue = slices.Delete(l.queue, 0, 1)
}
