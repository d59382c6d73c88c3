package farcall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/transport"
)

const (
	// httpHeaderTimeout bounds how long an HTTP client may take to send a
	// request's header, and httpHeaderSize, in bytes, how large it may be.
	httpHeaderTimeout = 10 * time.Second
	httpHeaderSize    = 64 << 10
	// httpIdleTimeout bounds how long a kept connection does nothing.
	httpIdleTimeout = 2 * time.Minute
)

// serving is the listening half of a Mesh: one port, told apart into mesh
// sessions and HTTP.
type serving struct {
	advertised string
	mux        *transport.Mux
	calls      *rmi.Server
	http       *http.Server
	loops      sync.WaitGroup
}

// listen begins to serve when the options say where, and registers the node
// object.
func (m *Mesh) listen(ctx context.Context) error {
	ln := m.opts.Listener
	if ln == nil {
		if m.opts.Listen == "" {
			return nil
		}
		var err error
		if ln, err = new(net.ListenConfig).Listen(ctx, "tcp", m.opts.Listen); err != nil {
			return err
		}
	}
	addr, err := advertised(ln.Addr(), m.opts.Advertise)
	if err != nil {
		ln.Close()
		return err
	}
	web, err := m.web()
	if err != nil {
		ln.Close()
		return err
	}
	s := &serving{
		advertised: addr,
		mux:        transport.NewMux(ln, transport.MuxOptions{TLS: m.opts.TLS, Logger: m.log}),
		calls: rmi.NewServer(m.served, rmi.ServerOptions{
			Transport: transport.Options{Hello: m.hello(), Logger: m.log},
			Conn:      m.connOptions(),
			Logger:    m.log,
		}),
		http: &http.Server{
			Handler:           web,
			ReadHeaderTimeout: httpHeaderTimeout,
			IdleTimeout:       httpIdleTimeout,
			MaxHeaderBytes:    httpHeaderSize,
			ErrorLog:          slog.NewLogLogger(m.log.Handler(), slog.LevelDebug),
		},
	}
	mesh, hl := s.mux.Mesh(), s.mux.HTTP()
	s.loops.Go(func() { m.logEnd("accept connections", s.mux.Serve()) })
	s.loops.Go(func() { m.logEnd("accept sessions", s.calls.Serve(mesh)) })
	s.loops.Go(func() { m.logEnd("accept requests", s.http.Serve(hl)) })
	m.serving = s

	node := rmi.NewNodeObject(m.objects, rmi.NodeInfo{
		Node: m.node, Incarnation: m.inc, Version: m.opts.Version, Records: m.records,
	})
	return m.Register(ctx, rmi.NodeObject, node, RegisterOptions{})
}

// logEnd logs why a loop ended, unless it was told to.
func (m *Mesh) logEnd(what string, err error) {
	if err == nil || errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) ||
		errors.Is(err, transport.ErrClosed) || errors.Is(err, io.EOF) {
		return
	}
	m.log.Error("serving ended", "what", what, "err", err)
}

// shutdown tells the callers to go elsewhere, lets calls in progress finish,
// and stops listening. When ctx ends first it cuts off what is left and returns
// ctx's error.
func (s *serving) shutdown(ctx context.Context, local *rmi.Local) error {
	ours := make(chan error, 1)
	go func() { ours <- local.Shutdown(ctx) }()
	err := errors.Join(s.calls.Shutdown(ctx), s.http.Shutdown(ctx), <-ours)
	s.http.Close()
	s.mux.Close()
	s.loops.Wait()
	return err
}

// Register serves v under name: an object whose exported methods others may
// call, by RMI and by every other protocol; or an rmi.Factory that makes one for
// each session, each call, or on demand. It returns once others can find it, and
// this process too.
// Errors name every method that cannot be called from afar
// (rmi.ExportError), or the owner of an exclusive name (naming.TakenError); a
// name server that cannot be reached is a naming.ErrUnavailable, and then
// nothing stays registered.
func (m *Mesh) Register(ctx context.Context, name naming.Name, v any, opts RegisterOptions) error {
	return m.register(ctx, name, naming.KindObject, opts, func(eo rmi.ExportOptions) error {
		return m.objects.Export(name, v, eo)
	})
}

// RegisterFunc serves the function fn under name; otherwise as Register.
func (m *Mesh) RegisterFunc(ctx context.Context, name naming.Name, fn any, opts RegisterOptions) error {
	return m.register(ctx, name, naming.KindFunction, opts, func(eo rmi.ExportOptions) error {
		return m.objects.ExportFunc(name, fn, eo)
	})
}

// register exports by export, then publishes the record, and takes the export
// back when that fails.
func (m *Mesh) register(ctx context.Context, name naming.Name, kind naming.Kind, opts RegisterOptions, export func(rmi.ExportOptions) error) error {
	if m.serving == nil {
		return fmt.Errorf("register %q: this process only calls; to serve, set Options.Listen", name)
	}
	inst, err := m.instance(name, kind, opts).Normalize()
	if err != nil {
		return err
	}
	err = export(rmi.ExportOptions{Methods: opts.Methods, Docs: opts.Docs, Properties: opts.Properties, Guard: opts.Guard})
	if err != nil {
		return err
	}
	if info, ok := m.objects.Interface(name); ok {
		inst.Interface = info.Digest
	}
	if err := m.reg.Register(ctx, inst); err != nil {
		m.objects.Remove(name)
		return fmt.Errorf("register %q: %w", name, err)
	}
	m.awaitOwn(ctx, name)
	return nil
}

// awaitOwn waits until this process itself can find what it has registered, so
// that a call that follows Register does not fail.
func (m *Mesh) awaitOwn(ctx context.Context, name naming.Name) {
	for change := range m.cache.Changes(ctx, string(name)) {
		if change.Name != name || change.New == nil {
			continue
		}
		for _, inst := range change.New.Instances {
			if inst.Node == m.node && inst.Incarnation == m.inc {
				return
			}
		}
	}
}

// instance returns the record of name at this process.
func (m *Mesh) instance(name naming.Name, kind naming.Kind, opts RegisterOptions) naming.Instance {
	inst := naming.Instance{
		Name: name, Node: m.node, Incarnation: m.inc, Kind: kind, Mode: opts.Mode,
		Addrs:   map[naming.Protocol]string{naming.ProtocolMesh: m.serving.advertised},
		Tags:    slices.Concat(m.opts.Tags, opts.Tags),
		Zone:    m.opts.Zone,
		Weight:  m.opts.Weight,
		Version: m.opts.Version,
	}
	if opts.Weight != 0 {
		inst.Weight = opts.Weight
	}
	if opts.Version != "" {
		inst.Version = opts.Version
	}
	return inst
}

// records returns what this process has registered, as others see it.
func (m *Mesh) records() []naming.Instance {
	var own []naming.Instance
	for _, name := range m.objects.Names() {
		if entry, err := m.cache.Resolve(context.Background(), name); err == nil {
			for _, inst := range entry.Instances {
				if inst.Node == m.node {
					own = append(own, inst)
				}
			}
		}
	}
	return own
}

// Unregister takes name back: callers are told to go elsewhere before the
// record goes, and calls in progress finish. It returns naming.ErrNotFound when
// this process does not serve name.
func (m *Mesh) Unregister(ctx context.Context, name naming.Name) error {
	for _, inst := range m.records() {
		if inst.Name != name || inst.State != naming.StateLive {
			continue
		}
		// A server that is alive and whose record is suddenly gone looks like a
		// fault of the registry, and callers hold on to it for a while. One that
		// says that it leaves is believed at once.
		inst.State = naming.StateDraining
		if err := m.reg.Register(ctx, inst); err != nil {
			return fmt.Errorf("unregister %q: %w", name, err)
		}
	}
	if err := m.reg.Unregister(ctx, name); err != nil {
		return fmt.Errorf("unregister %q: %w", name, err)
	}
	m.objects.Remove(name)
	return nil
}
