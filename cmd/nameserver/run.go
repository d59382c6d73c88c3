package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"farcall.dev"
	"farcall.dev/gateway"
	"farcall.dev/internal/admin"
	"farcall.dev/internal/boot"
	"farcall.dev/internal/buildinfo"
	"farcall.dev/internal/etcdserver"
	"farcall.dev/internal/telemetry"
	"farcall.dev/naming"
	"farcall.dev/naming/etcd"
	"farcall.dev/rmi"
)

// patience is how long a start is silent about what it waits for.
const patience = 3 * time.Second

// nameserver is a running name server. Its parts come up one after the other
// while /readyz and /metrics are served already, hence the atomic pointers.
type nameserver struct {
	settings *settings
	log      *slog.Logger
	metrics  *telemetry.Metrics
	http     *admin.Server
	member   atomic.Pointer[etcdserver.Server] // nil when etcd runs elsewhere
	registry naming.Registry
	names    atomic.Pointer[naming.Cache]
	// mesh is how this process calls, for its gateway; it owns the registry.
	mesh *farcall.Mesh
	door door
}

// run is the life of a name server, from its settings to its end.
func run(s *settings, signals *boot.Signals, stdout, stderr io.Writer) error {
	log, err := s.log.Logger(stderr)
	if err != nil {
		return err
	}
	n := &nameserver{settings: s, log: log, metrics: telemetry.New(telemetry.Options{Logger: log})}
	if err := n.start(signals.Stop); err != nil && signals.Stop.Err() == nil {
		return errors.Join(err, n.stop(signals.Abort))
	}
	if signals.Stop.Err() == nil {
		n.warn()
		n.announce(stdout)
	}

	var broken error
	select {
	case <-signals.Stop.Done():
		log.Info("stopping", "why", context.Cause(signals.Stop), "grace", s.grace)
	case <-n.memberDone():
		broken = n.member.Load().Err()
	case <-n.httpDone():
		broken = n.http.Err()
	}
	if err := errors.Join(broken, n.stop(signals.Abort)); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// start brings everything up, each step visible from outside.
func (n *nameserver) start(ctx context.Context) error {
	// HTTP comes first, so that a start that takes long can be watched.
	var err error
	if n.http, err = admin.Listen(n.settings.listen, n.adminOptions()); err != nil {
		return boot.ListenFailure("listen", n.settings.listen, err)
	}
	endpoints := n.settings.endpoints
	if len(endpoints) == 0 {
		member, err := n.startMember(ctx)
		if err != nil {
			return err
		}
		endpoints = member.Endpoints()
	}
	registry, err := etcd.New(etcd.Options{Endpoints: endpoints, Logger: n.log})
	if err != nil {
		return boot.Usagef("it wants host:port, such as 10.0.0.7:2379", "--etcd-endpoints: %w", err)
	}
	n.registry = registry
	names := naming.NewCache(registry, naming.CacheOptions{Logger: n.log})
	n.names.Store(names)
	for {
		wait, cancel := context.WithTimeout(ctx, patience)
		err := names.Ready(wait)
		cancel()
		if err == nil {
			return n.join(ctx, names)
		}
		if ctx.Err() != nil || !errors.Is(err, naming.ErrUnavailable) {
			return err
		}
		n.log.Warn("still waiting for etcd to list the names", "err", err)
	}
}

// join enters the mesh as a process that only calls, and opens the gateway. From
// then on the mesh follows the names, in place of first.
func (n *nameserver) join(ctx context.Context, first *naming.Cache) error {
	mesh, err := farcall.Join(ctx, farcall.Options{
		Registry: n.registry, Logger: n.log, CallWith: []rmi.Middleware{n.metrics.Client(n.door.known)},
	})
	if err != nil {
		return err
	}
	n.mesh = mesh
	n.names.Store(mesh.Resolver())
	first.Close()
	gate, err := mesh.Gateway(gateway.Options{Version: buildinfo.Get().Version})
	if err != nil {
		return err
	}
	n.door.open(gate)
	return nil
}

// startMember starts etcd and waits until it has joined its cluster.
func (n *nameserver) startMember(ctx context.Context) (*etcdserver.Server, error) {
	o := n.settings.member
	o.Logger = n.log
	member, err := etcdserver.Start(ctx, o)
	if err != nil {
		return nil, memberFailure(err)
	}
	n.member.Store(member)
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case <-member.Ready():
			return member, nil
		case <-member.Done():
			return nil, member.Err()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
			n.log.Info("waiting for the other members of the cluster", "initial_cluster", o.InitialCluster)
		}
	}
}

// stop ends everything within the grace period, or before abort ends.
func (n *nameserver) stop(abort context.Context) error {
	ctx, cancel := context.WithTimeoutCause(abort, n.settings.grace, errGrace)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.close(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		// etcd cannot be hurried: the process ends without it.
		err = context.Cause(ctx)
	}
	if errors.Is(err, errGrace) || errors.Is(err, context.DeadlineExceeded) {
		return &boot.Failure{Code: boot.ExitGrace, Err: errGrace, Try: "a longer one can be set with --grace"}
	}
	return err
}

// errGrace is why a stop was not orderly.
var errGrace = errors.New("the grace period was over before everything had ended")

// close ends everything, last what was started first: calls that others make
// through here, the followers of etcd before etcd, and HTTP at the end, which tells until then that the rest is not
// ready.
func (n *nameserver) close(ctx context.Context) error {
	var errs []error
	n.door.close(ctx)
	switch names := n.names.Load(); {
	case n.mesh != nil:
		errs = append(errs, n.mesh.Shutdown(ctx))
	case names != nil:
		names.Close()
		errs = append(errs, n.registry.Close(ctx))
	case n.registry != nil:
		errs = append(errs, n.registry.Close(ctx))
	}
	if member := n.member.Load(); member != nil {
		errs = append(errs, member.Close())
	}
	if n.http != nil {
		errs = append(errs, n.http.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// memberDone is closed when the etcd member has ended; nil, and so never, when
// there is none.
func (n *nameserver) memberDone() <-chan struct{} {
	if member := n.member.Load(); member != nil {
		return member.Done()
	}
	return nil
}

// httpDone is closed when HTTP is served no longer; nil when it never was.
func (n *nameserver) httpDone() <-chan struct{} {
	if n.http == nil {
		return nil
	}
	return n.http.Done()
}

// warn tells which doors are open.
func (n *nameserver) warn() {
	for _, address := range n.settings.exposed() {
		n.log.Warn("other machines can reach this address, and whoever does can read and change every name: "+
			"there is neither encryption nor authentication", "addr", address)
	}
}

// announce tells what listens where, and what to type next: people in words on
// w, programs in one record of the log.
func (n *nameserver) announce(w io.Writer) {
	facts := n.facts()
	if n.settings.log.Format == "json" {
		args := []any{"version", buildinfo.Get().Version}
		for _, f := range facts {
			args = append(args, f.key, f.value)
		}
		n.log.Info("ready", args...)
		return
	}
	fmt.Fprintf(w, "nameserver %s is ready\n", buildinfo.Get().Version)
	for _, f := range facts {
		fmt.Fprintf(w, "  %-6s %s%s\n", f.key, f.value, f.remark)
	}
	where := ""
	if member := n.member.Load(); member != nil {
		at := strings.TrimPrefix(member.Endpoints()[0], "http://")
		if at != "127.0.0.1:2379" {
			where = " --nameserver " + at
		}
	} else {
		where = " --nameserver " + strings.Join(n.settings.endpoints, ",")
	}
	fmt.Fprintf(w, "Next, in other terminals:\n  daemon%s\n  client%s invoke greeting get_fortune letian\n", where, where)
}

// fact is one thing to know of a running name server.
type fact struct{ key, value, remark string }

// facts lists what to know.
func (n *nameserver) facts() []fact {
	var fs []fact
	if member := n.member.Load(); member != nil {
		data := member.DataDir()
		if abs, err := filepath.Abs(data); err == nil {
			data = abs
		}
		kept := ""
		if n.settings.member.Dev {
			kept = "  (removed at the end)"
		}
		fs = append(fs,
			fact{"etcd", strings.Join(member.Endpoints(), ","), "  (daemons and clients)"},
			fact{"data", data, kept})
	} else {
		fs = append(fs, fact{"etcd", strings.Join(n.settings.endpoints, ","), "  (run by somebody else)"})
	}
	pages := "  (/healthz, /readyz, /metrics)"
	if n.settings.pprof {
		pages = "  (/healthz, /readyz, /metrics, /debug/pprof/)"
	}
	web := "http://" + n.http.Addr().String()
	return append(fs, fact{"http", web, pages}, fact{"xmlrpc", web + "/RPC2", "  (the whole mesh; JSON: /v1/)"})
}
