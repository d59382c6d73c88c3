package soak

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// cutter is a way to other nodes whose connections break: after some bytes, or
// some time, in the middle of whatever goes over them.
type cutter struct {
	cuts atomic.Int64

	mu   sync.Mutex
	rng  *rand.Rand
	live map[*brittle]struct{}
	calm bool
}

func newCutter(seed uint64) *cutter {
	return &cutter{rng: rand.New(rand.NewPCG(seed, 1)), live: make(map[*brittle]struct{})}
}

// dial connects by TCP.
func (c *cutter) dial(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &brittle{Conn: conn, cutter: c}
	b.left.Store(1 << 62)
	if !c.calm && c.rng.IntN(2) == 0 {
		b.left.Store(2000 + c.rng.Int64N(4<<20))
	}
	c.live[b] = struct{}{}
	return b, nil
}

// run breaks connections, one every so often, until ctx ends. No more break then.
func (c *cutter) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.mu.Lock()
			defer c.mu.Unlock()
			c.calm = true
			for b := range c.live {
				b.left.Store(1 << 62)
			}
			return
		}
		c.mu.Lock()
		var victim *brittle
		for b := range c.live { // in no order
			victim = b
			break
		}
		c.mu.Unlock()
		if victim != nil {
			victim.cut()
		}
	}
}

// brittle is a connection that breaks.
type brittle struct {
	net.Conn
	cutter *cutter
	left   atomic.Int64
}

// Write writes until the connection is to break.
func (b *brittle) Write(p []byte) (int, error) {
	left := b.left.Add(-int64(len(p))) + int64(len(p))
	if left >= int64(len(p)) {
		return b.Conn.Write(p)
	}
	n, _ := b.Conn.Write(p[:max(left, 0)])
	b.cut()
	return n, net.ErrClosed
}

// cut breaks the connection.
func (b *brittle) cut() {
	b.cutter.cuts.Add(1)
	b.Close()
}

// Close closes the connection.
func (b *brittle) Close() error {
	b.cutter.mu.Lock()
	delete(b.cutter.live, b)
	b.cutter.mu.Unlock()
	return b.Conn.Close()
}
