package main

import (
	"context"
	"net/http"
	"sync"

	"farcall.dev/gateway"
	"farcall.dev/naming"
)

// door is the gateway as long as there is one: HTTP is served before this process
// is in the mesh, and after it has left. The zero value is closed.
type door struct {
	mu    sync.Mutex
	gate  *gateway.Gateway // guarded by mu
	calls int              // guarded by mu; requests under way
	idle  chan struct{}    // guarded by mu; closed when a closed door has none left
}

var _ http.Handler = (*door)(nil)

// open lets callers in.
func (d *door) open(gate *gateway.Gateway) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = gate
}

// close lets nobody else in, and waits until everybody is out or ctx ends.
func (d *door) close(ctx context.Context) {
	d.mu.Lock()
	d.gate = nil
	if d.calls == 0 {
		d.mu.Unlock()
		return
	}
	d.idle = make(chan struct{})
	idle := d.idle
	d.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// ServeHTTP serves a request by the gateway.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	gate := d.gate
	if gate != nil {
		d.calls++
	}
	d.mu.Unlock()
	if gate == nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "this name server is not ready; /readyz tells why", http.StatusServiceUnavailable)
		return
	}
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.calls--; d.calls == 0 && d.idle != nil {
			close(d.idle)
			d.idle = nil
		}
	}()
	gate.ServeHTTP(w, r)
}

// known says under which names a call is counted.
func (d *door) known(object naming.Name, method string) (naming.Name, string, bool) {
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate == nil {
		return "", "", false
	}
	return gate.Known(object, method)
}
