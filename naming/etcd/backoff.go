package etcd

import (
	"math/rand/v2"
	"time"
)

const (
	minBackoff = 200 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// backoff says how long to wait after each failure in a row: a random time (full
// jitter, so that a fleet that failed together does not come back together)
// below a bound that doubles up to max. The zero value is ready but for max.
type backoff struct {
	max   time.Duration // minBackoff to maxBackoff
	fails int
}

// next counts a failure and returns how long to wait.
func (b *backoff) next() time.Duration {
	bound := b.max
	if b.fails < 16 {
		bound = min(minBackoff<<b.fails, b.max)
	}
	b.fails++
	return rand.N(bound) + time.Millisecond
}

// reset forgets the failures.
func (b *backoff) reset() { b.fails = 0 }

// jitter returns d, more or less by up to a fifth.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + rand.N(2*d/5+1)
}
