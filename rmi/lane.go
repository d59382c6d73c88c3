package rmi

import (
	"context"
	"errors"
	"math"
	"time"

	"farcall.dev/transport"
)

// errStalled is why a session ends whose peer makes us answer and reads nothing.
var errStalled = errors.New("peer took nothing that was sent to it for too long")

// lane is the session's lane as c uses it: small calls and answers, both ways,
// and the payloads of large ones as bulk data.
type lane struct {
	transport.Lane
	c *Conn
	// handle gets each frame and failed why there are no more: c's own but in
	// tests.
	handle func(frameHeader, []byte) error
	failed func(error)

	// What follows is the reader's.
	part   []byte // the beginning of a frame whose rest is to come
	little int    // frames in a row that needed little of a large part
	broken bool   // nothing that comes means anything any more
	// names holds the names that requests have used, so that the same name is not
	// allocated for each call.
	names map[string]string
}

var _ transport.Receiver = (*lane)(nil)

const (
	// partKeep is the capacity up to which part is kept, whatever comes, and
	// partLittle how many small frames in a row make it small again.
	partKeep   = 4 << 10
	partLittle = 64
)

// lock waits until there is room on the lane, for as long as ctx lasts and, unless
// most is 0, no longer than most.
func (l *lane) lock(ctx context.Context, most time.Duration) ([]byte, error) {
	b, ok, err := l.TryLock(l.c.opts.MaxBuffered)
	if ok || err != nil {
		return b, err
	}
	if most > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	return l.Lock(ctx, l.c.opts.MaxBuffered)
}

// unlock sends what was appended to b: a number of frames. They are lone when no
// other call is under way that might bring more.
func (l *lane) unlock(b []byte, frames int) uint64 {
	end := l.Unlock(b, l.c.out.Load()+l.c.in.Load() <= 1)
	l.c.stats.framesSent.Add(uint64(frames))
	return end
}

// urgent appends a frame on behalf of the reader: it must not wait for callers and
// workers, so it has as much room again, and once that is full too it waits for no
// longer than StallTimeout.
func (l *lane) urgent(frame func([]byte) []byte) error {
	most := 2 * l.c.opts.MaxBuffered
	b, ok, err := l.TryLock(most)
	if !ok && err == nil {
		ctx, cancel := context.WithTimeout(l.c.ctx, l.c.opts.StallTimeout)
		defer cancel()
		if b, err = l.Lock(ctx, most); errors.Is(err, context.DeadlineExceeded) {
			err = errStalled
		}
	}
	if err != nil {
		return err
	}
	l.unlock(frame(b), 1)
	return nil
}

// force appends a frame without a body whether there is room or not. It is for
// those that follow a request of their own, which bounds their number.
func (l *lane) force(typ frameType, id uint64) {
	if b, ok, _ := l.TryLock(math.MaxInt / 2); ok {
		l.unlock(appendSmallFrame(b, typ, id), 1)
	}
}

// send appends frames, whose number f returns. It waits for room as long as ctx
// lasts.
func (l *lane) send(ctx context.Context, f func([]byte) ([]byte, int)) error {
	b, err := l.lock(ctx, 0)
	if err != nil {
		return err
	}
	b, n := f(b)
	l.unlock(b, n)
	return nil
}

// Receive implements transport.Receiver: it cuts what comes into frames.
func (l *lane) Receive(p []byte) {
	for len(p) > 0 && !l.broken {
		if len(l.part) > 0 {
			p = l.complete(p)
			continue
		}
		h, n, err := parseLaneFrame(p)
		if err == nil && (n == 0 || n > len(p)) {
			l.part = append(l.part, p...)
			return
		}
		if err == nil {
			err = l.handle(h.frameHeader, p[n-h.bodyLen:n])
		}
		if err != nil {
			l.fail(err)
			return
		}
		p = p[n:]
	}
}

// complete adds to part what it lacks, handles it when it is whole, and returns
// the rest of p.
func (l *lane) complete(p []byte) []byte {
	h, n, err := parseLaneFrame(l.part)
	for err == nil && n == 0 && len(p) > 0 {
		l.part, p = append(l.part, p[0]), p[1:]
		h, n, err = parseLaneFrame(l.part)
	}
	if err == nil && n > 0 {
		k := min(n-len(l.part), len(p))
		l.part, p = append(l.part, p[:k]...), p[k:]
		if len(l.part) < n {
			return p
		}
		err = l.handle(h.frameHeader, l.part[n-h.bodyLen:n])
		l.shrink()
	}
	if err != nil {
		l.fail(err)
	}
	return p
}

// shrink empties part, and gives it up when it is large and little of it is
// needed.
func (l *lane) shrink() {
	switch {
	case cap(l.part) <= partKeep || len(l.part) > cap(l.part)/4:
		l.little = 0
	default:
		l.little++
	}
	l.part = l.part[:0]
	if l.little > partLittle {
		l.part, l.little = nil, 0
	}
}

// fail ends the session because of what came.
func (l *lane) fail(err error) {
	l.broken, l.part = true, nil
	l.failed(err)
}

// intern returns b as a string.
func (l *lane) intern(b []byte) string {
	if s, ok := l.names[string(b)]; ok {
		return s
	}
	if l.names == nil || len(l.names) >= maxInterned {
		l.names = make(map[string]string)
	}
	s := string(b)
	l.names[s] = s
	return s
}
