package rmi

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWorkersNeverLeaveACallBehindALongOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		var all sync.WaitGroup
		all.Add(n)
		p := &workers{idle: time.Second, serve: func(*servedCall) {
			all.Done()
			all.Wait() // no call ends before all have begun
		}}
		for range n {
			p.do(&servedCall{})
		}
		all.Wait()
		synctest.Wait()
		if p.running != n || len(p.parked) != n {
			t.Errorf("%d workers, %d of them idle, want %d", p.running, len(p.parked), n)
		}
		p.close()
		if p.running != 0 {
			t.Errorf("after close %d workers are counted", p.running)
		}
	})
}

func TestWorkersAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var served atomic.Int64
		p := &workers{idle: time.Second, serve: func(*servedCall) { served.Add(1) }}
		defer p.close()
		for range 1000 {
			p.do(&servedCall{})
			synctest.Wait()
		}
		if served.Load() != 1000 || p.running != 1 {
			t.Errorf("%d calls were served by %d workers, want 1000 by 1", served.Load(), p.running)
		}
	})
}

func TestWorkersWithoutWorkEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		p := &workers{idle: time.Second, serve: func(*servedCall) { <-release }}
		for range 10 {
			p.do(&servedCall{})
		}
		synctest.Wait()
		close(release)
		for range 30 { // one worker is enough from here on
			<-time.After(100 * time.Millisecond)
			p.do(&servedCall{})
		}
		synctest.Wait()
		wantWorkers := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.running != want || (p.sweeper != nil) != (want > 0) {
				t.Errorf("%s there are %d workers, and a timer: %v; want %d, and a timer only with workers", when, p.running, p.sweeper != nil, want)
			}
		}
		wantWorkers(1, "with work for one")
		<-time.After(3 * time.Second)
		wantWorkers(0, "without work")
		p.do(&servedCall{})
		wantWorkers(1, "with work again")
		p.close()
	})
}

func TestWorkersQueueDoesNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := make(chan struct{})
		p := &workers{idle: time.Second, serve: func(*servedCall) { <-step }}
		p.scout = true // nobody else comes
		p.running = 1
		p.do(&servedCall{})
		go p.run()
		for range 10_000 { // there is always one waiting
			p.do(&servedCall{})
			step <- struct{}{}
			p.mu.Lock()
			p.scout = true
			p.mu.Unlock()
		}
		if n := cap(p.queue); n > 64 {
			t.Errorf("the queue has grown to %d places for two calls", n)
		}
		close(step)
		p.mu.Lock()
		p.scout = false
		p.mu.Unlock()
		synctest.Wait()
		p.close()
	})
}
