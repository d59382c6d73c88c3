package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"farcall.dev/internal/admin"
	"farcall.dev/internal/buildinfo"
	"farcall.dev/internal/telemetry"
	"farcall.dev/naming"
)

// adminOptions says what is served over HTTP: how this name server stands.
func (n *nameserver) adminOptions() admin.Options {
	checks := []admin.Check{{Name: "registry", Run: n.checkRegistry}}
	if len(n.settings.endpoints) == 0 {
		checks = []admin.Check{{Name: "etcd", Run: n.checkMember}, checks[0]}
		n.metrics.AddMember(n.memberStatus)
	}
	n.metrics.AddCache(n.cacheStats)
	return admin.Options{
		Title: "nameserver", Version: buildinfo.Get().Version,
		Checks: checks, Metrics: n.metrics.Handler(), Profiling: n.settings.pprof, Logger: n.log,
		Pages: []admin.Page{
			{Path: "/RPC2", Title: "XML-RPC calls of everything in the mesh, and a page about it", Handler: &n.door},
			{Path: "/v1/", Title: "the same by JSON", Handler: &n.door},
		},
	}
}

// checkMember returns why etcd does not serve.
func (n *nameserver) checkMember(ctx context.Context) error {
	member := n.member.Load()
	if member == nil {
		return errors.New("it is starting")
	}
	return member.Health(ctx)
}

// checkRegistry returns why the names are not followed.
func (n *nameserver) checkRegistry(context.Context) error {
	stats := n.cacheStats()
	switch {
	case stats.Err != nil:
		return fmt.Errorf("out of touch for %v: %w", stats.Age.Round(time.Second), stats.Err)
	case !stats.Listed:
		return errors.New("the names have not been listed yet")
	}
	return nil
}

// memberStatus is how etcd stands, for the metrics.
func (n *nameserver) memberStatus() telemetry.Member {
	member := n.member.Load()
	if member == nil {
		return telemetry.Member{}
	}
	st := member.Status()
	m := telemetry.Member{
		HasLeader: st.Leader != 0, IsLeader: st.Leader != 0 && st.Leader == st.ID,
		Members: len(st.Members), Revision: st.Revision, Bytes: st.Bytes, BytesInUse: st.BytesInUse,
	}
	select {
	case <-member.Ready():
		m.Running = member.Err() == nil
	default:
	}
	return m
}

// cacheStats is what is known of everybody's names.
func (n *nameserver) cacheStats() naming.Stats {
	names := n.names.Load()
	if names == nil {
		return naming.Stats{}
	}
	return names.Stats()
}
