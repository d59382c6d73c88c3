package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"farcall.dev/internal/admin"
	"farcall.dev/internal/buildinfo"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// phase is where a daemon is in its life.
type phase int

const (
	phaseConnecting phase = iota
	phaseServing
	phaseStopping
)

// status is what /readyz needs to know of a daemon's life.
type status struct {
	mu    sync.Mutex
	phase phase // guarded by mu
	err   error // guarded by mu; why the phase lasts
}

// set begins a phase, or gives another reason why it lasts. A daemon that stops
// does nothing else any more.
func (s *status) set(p phase, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseStopping {
		s.phase, s.err = p, err
	}
}

// get returns the phase and why it lasts.
func (s *status) get() (phase, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase, s.err
}

// adminOptions says what is served over HTTP: how this daemon stands.
func (d *daemon) adminOptions() admin.Options {
	d.metrics.AddLease(d.lease)
	d.metrics.AddCache(d.names)
	d.metrics.AddConns(d.traffic)
	d.metrics.AddSpace(d.shared)
	return admin.Options{
		Title: "daemon", Version: buildinfo.Get().Version,
		Checks: []admin.Check{
			{Name: "nameserver", Run: d.checkNameserver},
			{Name: "objects", Run: d.checkObjects},
		},
		Metrics: d.metrics.Handler(), Profiling: d.settings.pprof, Logger: d.log,
	}
}

// checkNameserver returns why this daemon's names may not be published. A name
// server that has just gone silent is no reason: the names stand until the
// lease ends.
func (d *daemon) checkNameserver(context.Context) error {
	at := strings.Join(d.settings.nameservers, ",")
	if d.mesh.Load() == nil {
		if _, err := d.status.get(); err != nil {
			return fmt.Errorf("%s does not answer: %w", at, err)
		}
		return fmt.Errorf("%s has not answered yet", at)
	}
	st := d.lease()
	switch st.State {
	case "live", "idle", "suspect":
		return nil
	}
	if st.Err != nil {
		return fmt.Errorf("%s: registration is %s: %w", at, st.State, st.Err)
	}
	return fmt.Errorf("%s: registration is %s", at, st.State)
}

// checkObjects returns why what is hosted should not be called.
func (d *daemon) checkObjects(context.Context) error {
	switch p, _ := d.status.get(); p {
	case phaseConnecting:
		return errors.New("they are not registered yet")
	case phaseStopping:
		return errors.New("they are draining: this daemon is leaving")
	}
	return nil
}

// known says under which names a call is counted.
func (d *daemon) known(object naming.Name, method string) (naming.Name, string, bool) {
	mesh := d.mesh.Load()
	if mesh == nil {
		return "", "", false
	}
	return mesh.Objects().Known(object, method)
}

// lease is how this daemon stands with the name server.
func (d *daemon) lease() naming.Status {
	mesh := d.mesh.Load()
	if mesh == nil {
		return naming.Status{State: "idle"}
	}
	return mesh.Registry().Status()
}

// names is what is known of everybody's names.
func (d *daemon) names() naming.Stats {
	mesh := d.mesh.Load()
	if mesh == nil {
		return naming.Stats{}
	}
	return mesh.Resolver().Stats()
}

// traffic is what went over the connections to and from here.
func (d *daemon) traffic() rmi.TallyStats {
	mesh := d.mesh.Load()
	if mesh == nil {
		return rmi.TallyStats{}
	}
	return mesh.Traffic()
}

// shared is what others have here beyond single calls, for the metrics.
func (d *daemon) shared() rmi.SpaceStats {
	mesh := d.mesh.Load()
	if mesh == nil {
		return rmi.SpaceStats{}
	}
	return mesh.Space().Stats()
}
