package transport

import (
	"log/slog"
	"sync"
	"time"
)

// limiter writes warnings to a log, at most one per period. The next one that
// is written says how many were left out, and so does a last line after a
// period in which none came.
type limiter struct {
	log   *slog.Logger
	every time.Duration

	mu      sync.Mutex
	left    int         // guarded by mu; warnings left out since the last line
	waiting bool        // guarded by mu; timer runs, and warnings are left out
	timer   *time.Timer // guarded by mu
	stopped bool        // guarded by mu
}

// warn writes a line, or counts it.
func (l *limiter) warn(message string, args ...any) {
	l.mu.Lock()
	if l.waiting || l.stopped {
		l.left++
		l.mu.Unlock()
		return
	}
	l.waiting = true
	l.timer = time.AfterFunc(l.every, l.elapsed)
	l.mu.Unlock()
	l.log.Warn(message, args...)
}

// elapsed says how many warnings were left out in the period that ended.
func (l *limiter) elapsed() {
	l.mu.Lock()
	left := l.left
	l.left = 0
	l.waiting = false
	if left > 0 && !l.stopped {
		l.waiting = true // that line counts as one
		l.timer = time.AfterFunc(l.every, l.elapsed)
	}
	l.mu.Unlock()
	if left > 0 {
		l.log.Warn("more connections were closed", "suppressed", left)
	}
}

// stop ends the timer. Later warnings are dropped.
func (l *limiter) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.timer != nil {
		l.timer.Stop()
	}
}
