package namingtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"time"

	"farcall.dev/naming"
)

// follower runs one Watch, checks that every Update keeps the contract, and
// holds the view that they add up to.
type follower struct {
	s      *suite
	prefix string
	after  naming.Revision
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	changed chan struct{}   // guarded by mu; closed and replaced at each update
	view    view            // guarded by mu
	listed  bool            // guarded by mu; the view is complete
	err     error           // guarded by mu; Err of the last update
	updates []naming.Update // guarded by mu
	inside  bool            // guarded by mu; fn is running
	stopped bool            // guarded by mu; Watch has returned
	broken  string          // guarded by mu; the first breach of the contract
	result  error           // guarded by mu; what Watch returned
}

// follow starts a Watch that ends with the test at the latest.
func (p *process) follow(prefix string, after naming.Revision) *follower {
	return p.resume(prefix, after, view{})
}

// resume starts a Watch that goes on from known, the view at revision after.
func (p *process) resume(prefix string, after naming.Revision, known view) *follower {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{
		s: p.s, prefix: prefix, after: after, cancel: cancel, done: make(chan struct{}),
		changed: make(chan struct{}), view: maps.Clone(known), listed: after != 0,
	}
	go func() {
		defer close(f.done)
		err := p.Watch(ctx, prefix, after, f.update)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.stopped, f.result = true, err
		f.wakeLocked()
	}()
	p.s.Cleanup(f.end)
	return f
}

// end ends the watch with the test.
func (f *follower) end() {
	f.cancel()
	patience := time.NewTimer(f.s.h.Patience)
	defer patience.Stop()
	select {
	case <-f.done:
	case <-patience.C:
		f.s.Errorf("watch of %q: Watch did not return when its context ended", f.prefix)
	}
	f.check()
}

// update takes in one Update.
func (f *follower) update(u naming.Update) {
	f.mu.Lock()
	if f.inside {
		f.breachLocked("fn was called while it was running")
	}
	f.inside = true
	f.mu.Unlock()
	runtime.Gosched() // a second call at the same time now shows

	f.mu.Lock()
	defer f.mu.Unlock()
	f.inside = false
	f.checkLocked(u)
	f.updates = append(f.updates, u)
	f.err = u.Err
	if u.Reset {
		f.listed = true
		clear(f.view)
	}
	for _, k := range u.Delete {
		delete(f.view, k)
	}
	for _, inst := range u.Put {
		f.view[inst.Key()] = inst
	}
	f.wakeLocked()
}

// checkLocked notes in what way u breaks the contract.
func (f *follower) checkLocked(u naming.Update) {
	changes := u.Reset || len(u.Put) > 0 || len(u.Delete) > 0
	switch {
	case f.stopped:
		f.breachLocked("fn was called after Watch had returned")
	case u.Err != nil && changes:
		f.breachLocked("an update carries changes beside the error %v", u.Err)
	case u.Err == nil && u.Time.IsZero():
		f.breachLocked("an update at revision %d has no Time", u.Revision)
	case u.Err == nil && u.Revision <= 0:
		f.breachLocked("an update has revision %d", u.Revision)
	case u.Err == nil && !f.listed && !u.Reset:
		f.breachLocked("the first update, at revision %d, is not a Reset", u.Revision)
	}
	if n := len(f.updates); n > 0 && !u.Reset && u.Err == nil && u.Revision < f.updates[n-1].Revision {
		f.breachLocked("the revision went back from %d to %d", f.updates[n-1].Revision, u.Revision)
	}
	if u.Reset && len(u.Delete) > 0 {
		f.breachLocked("a Reset carries deletions")
	}
	seen := map[naming.Key]bool{}
	for _, inst := range u.Put {
		if !strings.HasPrefix(string(inst.Name), f.prefix) {
			f.breachLocked("a watch of %q was sent the name %q", f.prefix, inst.Name)
		}
		if norm, err := inst.Normalize(); err != nil || norm.State != inst.State || norm.Weight != inst.Weight {
			f.breachLocked("the record %+v is not normalized", inst)
		}
		if seen[inst.Key()] {
			f.breachLocked("an update has %v twice", inst.Key())
		}
		seen[inst.Key()] = true
	}
	for _, k := range u.Delete {
		if !strings.HasPrefix(string(k.Name), f.prefix) {
			f.breachLocked("a watch of %q was sent the deletion of %q", f.prefix, k.Name)
		}
		if seen[k] {
			f.breachLocked("an update both puts and deletes %v", k)
		}
	}
}

func (f *follower) breachLocked(format string, args ...any) {
	if f.broken == "" {
		f.broken = fmt.Sprintf(format, args...)
	}
}

func (f *follower) wakeLocked() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// check fails the test when the watch broke the contract.
func (f *follower) check() {
	f.s.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != "" {
		f.s.Errorf("watch of %q after %d: %s", f.prefix, f.after, f.broken)
	}
}

// until waits until the watch has listed and its view satisfies ok. ok must not
// keep the view.
func (f *follower) until(what string, ok func(view) bool) {
	f.s.Helper()
	f.await(what, func() bool { return f.listed && ok(f.view) })
}

// untilHas waits until the view has exactly keys, written "name@node".
func (f *follower) untilHas(keys ...string) {
	f.s.Helper()
	f.until(fmt.Sprintf("showed exactly %q", keys), func(v view) bool { return v.has(keys...) })
}

// untilState waits until node's record of name is in state.
func (f *follower) untilState(name naming.Name, node naming.NodeID, state naming.State) {
	f.s.Helper()
	f.until(fmt.Sprintf("showed %q of %q as %s", name, node, state), func(v view) bool {
		return v.state(name, node) == state
	})
}

// untilErr waits until the watch says that it is out of touch.
func (f *follower) untilErr() {
	f.s.Helper()
	f.await("said that it is out of touch", func() bool { return f.err != nil })
}

// untilInTouch waits until the watch no longer says that it is out of touch.
func (f *follower) untilInTouch() {
	f.s.Helper()
	f.await("was in touch again", func() bool { return f.err == nil && len(f.updates) > 0 })
}

// untilEnd waits until Watch has returned, and returns what it returned.
func (f *follower) untilEnd() error {
	f.s.Helper()
	f.await("ended", func() bool { return f.stopped })
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.result
}

// await waits until ok, which is called with mu held.
func (f *follower) await(what string, ok func() bool) {
	f.s.Helper()
	deadline := time.NewTimer(f.s.h.Patience)
	defer deadline.Stop()
	for {
		f.mu.Lock()
		done, changed, stopped := ok(), f.changed, f.stopped
		state := fmt.Sprintf("it shows %v (listed: %v, error: %v, %d updates, ended: %v with %v)",
			f.view, f.listed, f.err, len(f.updates), f.stopped, f.result)
		f.mu.Unlock()
		if done {
			return
		}
		if stopped {
			f.s.Fatalf("watch of %q after %d ended and never %s; %s", f.prefix, f.after, what, state)
		}
		select {
		case <-changed:
		case <-deadline.C:
			f.s.Fatalf("watch of %q after %d never %s; %s", f.prefix, f.after, what, state)
		}
	}
}

// stop ends the watch by its context, checks how it ended, and returns its view.
func (f *follower) stop() view {
	f.s.Helper()
	f.cancel()
	if err := f.untilEnd(); !errors.Is(err, context.Canceled) && !errors.Is(err, naming.ErrClosed) {
		f.s.Fatalf("watch of %q: Watch returned %v, want its context's error", f.prefix, err)
	}
	<-f.done
	f.check()
	return f.view
}

// history returns the updates so far.
func (f *follower) history() []naming.Update {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]naming.Update(nil), f.updates...)
}

// revision returns that of the last update in touch.
func (f *follower) revision() naming.Revision {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.updates) - 1; i >= 0; i-- {
		if f.updates[i].Err == nil {
			return f.updates[i].Revision
		}
	}
	return f.after
}

// resets counts the updates that were a Reset.
func (f *follower) resets() int {
	n := 0
	for _, u := range f.history() {
		if u.Reset {
			n++
		}
	}
	return n
}
