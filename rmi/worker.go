package rmi

import (
	"sync"
	"time"
)

// workers run the calls of one Conn on goroutines that are used again, so that
// their stacks stay as large as calls need them.
//
// Calls wait in one queue. A worker that has finished a call takes the next one
// itself, so that short calls need no change of goroutine; and so that no call
// waits behind a long one, there is, whenever calls wait, exactly one worker on
// its way to take one (a scout). A scout that takes a call and leaves others
// sends the next scout. There are never more workers than calls that were
// admitted, which is the bound on them.
type workers struct {
	serve func(*servedCall)
	idle  time.Duration // how long a worker without work is kept

	mu sync.Mutex
	// What follows is guarded by mu.
	queue   []*servedCall // from head on
	head    int
	scout   bool
	parked  []chan struct{} // workers without work, the last to park is last
	fewest  int             // the shortest that parked was since the last sweep
	sweeper *time.Timer     // runs while there are parked workers
	running int             // workers that exist
	closed  bool
}

// do has a worker run call. It never blocks.
func (p *workers) do(call *servedCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == cap(p.queue) && p.head >= len(p.queue)/2 {
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	p.queue = append(p.queue, call)
	p.sendScoutLocked()
}

// sendScoutLocked sees to it that a worker is on its way, if calls wait.
func (p *workers) sendScoutLocked() {
	if p.scout || p.head == len(p.queue) {
		return
	}
	p.scout = true
	if n := len(p.parked); n > 0 {
		w := p.parked[n-1]
		p.parked = p.parked[:n-1]
		p.fewest = min(p.fewest, n-1)
		w <- struct{}{}
		return
	}
	p.running++
	go p.run()
}

// run is a worker.
func (p *workers) run() {
	finished := false
	defer func() {
		if !finished { // a handler ended its goroutine; serve has answered the call
			p.mu.Lock()
			p.running--
			p.mu.Unlock()
		}
	}()
	wake := make(chan struct{}, 1)
	scout := true
	for {
		call, more := p.take(wake, scout)
		if call != nil {
			p.serve(call)
			scout = false
			continue
		}
		if !more {
			finished = true
			return
		}
		if _, scout = <-wake; !scout {
			finished = true
			return // swept; its place was given up already
		}
	}
}

// take returns the next call. Without one it parks the worker, which then waits
// for wake; or, when the pool is closed, ends it.
func (p *workers) take(wake chan struct{}, scout bool) (call *servedCall, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if scout {
		p.scout = false
	}
	if p.head < len(p.queue) {
		call = p.queue[p.head]
		p.queue[p.head] = nil
		p.head++
		p.sendScoutLocked()
		return call, true
	}
	if p.closed {
		p.running--
		return nil, false
	}
	p.parked = append(p.parked, wake)
	if p.sweeper == nil {
		p.fewest = 0
		p.sweeper = time.AfterFunc(p.idle, p.sweep)
	}
	return nil, true
}

// sweep ends the workers that had nothing to do since the last sweep.
func (p *workers) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for _, w := range p.parked[:p.fewest] {
		close(w)
	}
	p.running -= p.fewest
	p.parked = append(p.parked[:0], p.parked[p.fewest:]...)
	p.fewest = len(p.parked)
	if cap(p.queue) > 1024 && p.head == len(p.queue) {
		p.queue, p.head = nil, 0
	}
	if len(p.parked) == 0 && p.running == 0 {
		p.sweeper = nil
		return
	}
	p.sweeper.Reset(p.idle)
}

// close ends the workers that have nothing to do, and the others once they have
// finished their calls. It does not wait for them.
func (p *workers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	for _, w := range p.parked {
		close(w)
	}
	p.running -= len(p.parked)
	p.parked = nil
}
