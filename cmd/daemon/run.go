package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"farcall.dev"
	"farcall.dev/internal/admin"
	"farcall.dev/internal/boot"
	"farcall.dev/internal/buildinfo"
	"farcall.dev/internal/daemonconf"
	"farcall.dev/internal/telemetry"
	"farcall.dev/naming"
	"farcall.dev/naming/etcd"
	"farcall.dev/rmi"
)

const (
	// attempt bounds one attempt to reach a name server.
	attempt = 5 * time.Second
	// pauseMin and pauseMax bound the pause between two attempts.
	pauseMin, pauseMax = 200 * time.Millisecond, 5 * time.Second
)

// daemon is a running daemon.
type daemon struct {
	settings *settings
	config   daemonconf.Config
	log      *slog.Logger
	metrics  *telemetry.Metrics
	http     *admin.Server // nil when it is off
	status   status
	attached []*farcall.Attachment

	// mesh is nil until the name server has been reached.
	mesh atomic.Pointer[farcall.Mesh]
}

// run is the life of a daemon, from its settings to its end.
func run(s *settings, signals *boot.Signals, stdout, stderr io.Writer) error {
	log, err := s.log.Logger(stderr)
	if err != nil {
		return err
	}
	d := &daemon{settings: s, log: log, metrics: telemetry.New(telemetry.Options{Logger: log})}
	if d.config, err = s.hosted(); err != nil {
		return err
	}
	if err := d.start(signals.Stop); err != nil && signals.Stop.Err() == nil {
		return errors.Join(err, d.stop(signals.Abort))
	}
	if signals.Stop.Err() == nil {
		d.warn()
		d.announce(stdout)
	}

	var broken error
	select {
	case <-signals.Stop.Done():
		d.status.set(phaseStopping, nil) // before anybody reads that it drains
		log.Info("draining", "why", context.Cause(signals.Stop), "grace", s.grace)
	case <-d.httpDone():
		broken = d.http.Err()
	}
	if err := errors.Join(broken, d.stop(signals.Abort)); err != nil {
		return err
	}
	log.Info("stopped")
	return nil
}

// start brings everything up, and returns once everything hosted can be found.
func (d *daemon) start(ctx context.Context) error {
	// HTTP comes first, so that a start that takes long can be watched.
	if d.settings.admin != "" {
		var err error
		if d.http, err = admin.Listen(d.settings.admin, d.adminOptions()); err != nil {
			return boot.ListenFailure("admin", d.settings.admin, err)
		}
	}
	// The port is taken before the name server is asked, so that one that is in
	// use is told at once.
	ln, err := net.Listen("tcp", d.settings.listen)
	if err != nil {
		return boot.ListenFailure("listen", d.settings.listen, err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())

	if d.settings.nameserverTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d.settings.nameserverTimeout, errNoNameserver)
		defer cancel()
	}
	registry, err := d.connect(ctx)
	if err != nil {
		ln.Close()
		return d.unreachable(ctx, err)
	}
	mesh, err := farcall.Join(ctx, farcall.Options{
		Registry: registry, Listener: ln, Node: naming.NodeID(d.settings.node), Advertise: d.settings.advertised(port),
		Zone: d.settings.zone, Tags: d.settings.tags, Weight: d.settings.weight,
		ServeWith: []rmi.Middleware{d.metrics.Server(d.known)},
		CallWith:  []rmi.Middleware{d.metrics.Client(nil)},
		Logger:    d.log,
	})
	if err != nil {
		return d.unreachable(ctx, err)
	}
	d.mesh.Store(mesh)
	for _, e := range d.config.Entries {
		if err := d.register(ctx, mesh, e); err != nil {
			return d.unreachable(ctx, err)
		}
	}
	for _, a := range d.config.Attach {
		if err := d.attach(ctx, mesh, a); err != nil {
			return d.unreachable(ctx, err)
		}
	}
	d.status.set(phaseServing, nil)
	return nil
}

// connect returns the registry once the name server has answered, however long
// that takes.
func (d *daemon) connect(ctx context.Context) (naming.Registry, error) {
	registry, err := etcd.New(etcd.Options{Endpoints: d.settings.nameservers, TTL: d.settings.lease, Logger: d.log})
	if err != nil {
		return nil, registryFailure(err)
	}
	pause := pauseMin
	for {
		try, cancel := context.WithTimeout(ctx, attempt)
		err := registry.Ping(try)
		cancel()
		if err == nil {
			return registry, nil
		}
		d.status.set(phaseConnecting, err)
		wait := pause/2 + rand.N(pause/2)
		if ctx.Err() == nil {
			d.log.Warn("the name server does not answer; trying again", "err", err, "in", wait.Round(time.Millisecond))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, errors.Join(err, registry.Close(ctx))
		}
		pause = min(2*pause, pauseMax)
	}
}

// registryFailure turns a setting that the registry does not take into a
// Failure in the words of the command line.
func registryFailure(err error) error {
	if e, ok := errors.AsType[*etcd.OptionError](err); ok {
		if e.Field == "TTL" {
			return boot.Usagef("", "--lease-ttl %s: %s", e.Value, e.Reason)
		}
		return boot.Usagef("it wants host:port, such as "+farcall.DefaultNameServer, "--nameserver %s: %s", e.Value, e.Reason)
	}
	return err
}

// register hosts one object or function.
func (d *daemon) register(ctx context.Context, mesh *farcall.Mesh, e daemonconf.Entry) error {
	opts := farcall.RegisterOptions{
		Mode: e.Mode, Tags: e.Tags, Weight: e.Weight, Version: e.Version, Methods: e.Methods, Docs: e.Thing.Docs,
		Properties: e.Thing.Properties,
	}
	err := error(nil)
	if e.Thing.Kind == naming.KindFunction {
		err = mesh.RegisterFunc(ctx, e.Name, e.Thing.Value, opts)
	} else {
		err = mesh.Register(ctx, e.Name, e.Thing.Value, opts)
	}
	return registerFailure(ctx, err)
}

// registerFailure says what to do about err, for which something could not be
// registered.
func registerFailure(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, naming.ErrTaken):
		return &boot.Failure{Err: err, Try: "stop the other, choose another name, or wait for it with mode: standby"}
	case err != nil && !errors.Is(err, naming.ErrUnavailable) && ctx.Err() == nil:
		return &boot.Failure{Code: boot.ExitUsage, Err: err, Try: "correct the file given with --config"}
	}
	return err
}

// errNoNameserver is why a start was given up.
var errNoNameserver = errors.New("no name server has answered in time")

// unreachable turns err, which a step of the start returned that needed the
// name server, into a Failure when its time was over.
func (d *daemon) unreachable(ctx context.Context, err error) error {
	if context.Cause(ctx) != errNoNameserver && !errors.Is(err, naming.ErrUnavailable) {
		return err
	}
	return &boot.Failure{
		Code: boot.ExitUnavailable,
		Err:  fmt.Errorf("reach the name server at %s within %v: %w", strings.Join(d.settings.nameservers, ","), d.settings.nameserverTimeout, err),
		Try:  "start one with `nameserver`, or say where it is with --nameserver",
	}
}

// stop drains and ends everything within the grace period, or before abort
// ends. HTTP goes last: until then /readyz tells that the daemon is leaving.
func (d *daemon) stop(abort context.Context) error {
	d.status.set(phaseStopping, nil)
	ctx, cancel := context.WithTimeout(abort, d.settings.grace)
	defer cancel()
	var err error
	if mesh := d.mesh.Load(); mesh != nil {
		if err = mesh.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
			err = &boot.Failure{Code: boot.ExitGrace, Err: fmt.Errorf("calls under way were cut off after %v: %w", d.settings.grace, err),
				Try: "a longer time can be set with --grace"}
		}
	}
	if d.http != nil {
		// The last scrape and probe get their answer even when the time is over.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		d.http.Shutdown(last)
	}
	return err
}

// httpDone is closed when HTTP is served no longer; nil when it never was.
func (d *daemon) httpDone() <-chan struct{} {
	if d.http == nil {
		return nil
	}
	return d.http.Done()
}

// warn tells which doors are open.
func (d *daemon) warn() {
	for _, address := range []string{d.settings.listen, d.settings.admin} {
		if address != "" && boot.Exposed(address) {
			d.log.Warn("other machines can reach this address, and whoever does can call everything hosted here: "+
				"there is neither encryption nor authentication", "addr", address)
		}
	}
}

// announce tells what is hosted where: people in words on w, programs in one
// record of the log.
func (d *daemon) announce(w io.Writer) {
	mesh := d.mesh.Load()
	web := off
	if d.http != nil {
		web = "http://" + d.http.Addr().String()
	}
	var names []string
	for _, e := range d.config.Entries {
		names = append(names, string(e.Name))
	}
	for _, a := range d.config.Attach {
		names = append(names, string(a.Name))
	}
	if d.settings.log.Format == "json" {
		d.log.Info("ready", "version", buildinfo.Get().Version, "node", mesh.Node(), "mesh", mesh.Addr(), "http", web, "hosts", names)
		return
	}
	fmt.Fprintf(w, "daemon %s is ready as node %s\n  mesh   %s  (calls; over HTTP: /RPC2 and /v1/)\n", buildinfo.Get().Version, mesh.Node(), mesh.Addr())
	if d.http != nil {
		fmt.Fprintf(w, "  http   %s  (/healthz, /readyz, /metrics)\n", web)
	}
	for i, e := range d.config.Entries {
		label := "hosts"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(w, "  %-6s %s\n", label, describe(mesh, e))
	}
	for i, a := range d.attached {
		label := "attach"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(w, "  %-6s %s: %s%s\n", label, a.Name(), a.URL(), standing(a))
	}
	where := ""
	if at := strings.Join(d.settings.nameservers, ","); at != farcall.DefaultNameServer {
		where = " --nameserver " + at
	}
	try := "list"
	if d.settings.config == "" {
		try = "invoke greeting get_fortune letian"
	}
	fmt.Fprintf(w, "Next, in another terminal:\n  client%s %s\n", where, try)
}

// describe says in a line what is hosted under a name.
func describe(mesh *farcall.Mesh, e daemonconf.Entry) string {
	info, _ := mesh.Objects().Interface(e.Name)
	var methods []string
	for _, m := range info.Methods {
		if m.Name == "" {
			return fmt.Sprintf("%s %s%s", e.Thing.Kind, e.Name, m.Signature())
		}
		methods = append(methods, m.Signature())
	}
	return fmt.Sprintf("%s %s: %s", e.Thing.Kind, e.Name, strings.Join(methods, ", "))
}
