package etcd

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"farcall.dev/naming"
)

// viewer follows a registry and holds what its watch adds up to.
type viewer struct {
	t    testing.TB
	stop func()

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed and replaced at each update
	view    map[naming.Key]naming.Instance
	listed  bool
	err     error
	resets  int
	last    naming.Update
}

// view starts a viewer of r that ends with the test.
func view(t testing.TB, r naming.Registry, prefix string) *viewer {
	v := &viewer{t: t, changed: make(chan struct{}), view: map[naming.Key]naming.Instance{}}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Watch(ctx, prefix, 0, v.update) })
	v.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(v.stop)
	return v
}

func (v *viewer) update(u naming.Update) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err, v.last = u.Err, u
	if u.Reset {
		v.listed = true
		v.resets++
		clear(v.view)
	}
	for _, k := range u.Delete {
		delete(v.view, k)
	}
	for _, i := range u.Put {
		v.view[i.Key()] = i
	}
	close(v.changed)
	v.changed = make(chan struct{})
}

// until waits until ok, which is called with mu held.
func (v *viewer) until(what string, ok func() bool) {
	v.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		v.mu.Lock()
		done, changed := ok(), v.changed
		state := fmt.Sprintf("it shows %s (listed: %v, error: %v)", v.stringLocked(), v.listed, v.err)
		v.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			v.t.Fatalf("the watch never showed %s; %s", what, state)
		}
	}
}

// untilIs waits until the view is exactly want: "name@node" or
// "name@node:state", parted by spaces and sorted.
func (v *viewer) untilIs(want string) {
	v.t.Helper()
	v.until(fmt.Sprintf("%q", want), func() bool {
		return v.listed && v.err == nil && (v.stringLocked() == want || v.plainLocked() == want)
	})
}

// untilErr waits until the watch is out of touch.
func (v *viewer) untilErr() error {
	v.t.Helper()
	var err error
	v.until("an error", func() bool { err = v.err; return err != nil })
	return err
}

func (v *viewer) stringLocked() string {
	var all []string
	for k, i := range v.view {
		all = append(all, fmt.Sprintf("%s@%s:%s", k.Name, k.Node, i.State))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (v *viewer) plainLocked() string {
	var all []string
	for k := range maps.Keys(v.view) {
		all = append(all, fmt.Sprintf("%s@%s", k.Name, k.Node))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
