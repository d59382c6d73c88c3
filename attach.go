package farcall

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"farcall.dev/gateway"
	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// The defaults of [Health].
const (
	DefaultHealthInterval = 5 * time.Second
	DefaultHealthTimeout  = 2 * time.Second
	DefaultHealthFailures = 2
)

// Health says how an attached server is watched. The zero value works.
type Health struct {
	// Method is the method that is called to see whether the server is there; any
	// answer will do. Empty means system.listMethods.
	Method string
	// Interval is the time between two looks, a tenth more or less. Default 5 s.
	Interval time.Duration
	// Timeout bounds each look. Default 2 s.
	Timeout time.Duration
	// Failures is how many looks in a row must fail before the name is taken
	// out. Default 2. Successes is how many must succeed before it is put back.
	// Default 1.
	Failures, Successes int
}

// withDefaults returns h with what is zero filled in.
func (h Health) withDefaults() Health {
	if h.Interval <= 0 {
		h.Interval = DefaultHealthInterval
	}
	if h.Timeout <= 0 {
		h.Timeout = DefaultHealthTimeout
	}
	if h.Failures <= 0 {
		h.Failures = DefaultHealthFailures
	}
	h.Successes = max(h.Successes, 1)
	return h
}

// AttachOptions describe the attachment of a server. The zero value attaches all
// that it says it has, under a shared name.
type AttachOptions struct {
	// Register describes the name's registration. Its Methods, when there are
	// any, are the methods to expose, by the names that the server has for them;
	// a server that does not list its methods needs them. Its Docs are not used.
	Register RegisterOptions
	// Dialect is which extensions of XML-RPC the server reads. The default is
	// none.
	Dialect xmlrpc.Dialect
	// Timeout bounds each call whose caller set no deadline. Zero means
	// rmi.DefaultTimeout.
	Timeout time.Duration
	// Health says how the server is watched.
	Health Health
	// HTTP makes the requests to the server; nil means a client of its own.
	HTTP *http.Client
}

// Attachment is a server elsewhere that is part of the mesh under a name, as long
// as it answers. Its methods may be called from any number of goroutines.
type Attachment struct {
	mesh    *Mesh
	name    naming.Name
	foreign *gateway.Foreign
	opts    AttachOptions
	kick    chan struct{} // asks for a look at once
	cancel  context.CancelFunc
	done    chan struct{} // closed when the watch has ended
	stop    sync.Once
	stopErr error // set by stop

	mu  sync.Mutex
	up  bool  // guarded by mu; the name is registered
	err error // guarded by mu; why it is not
}

// Attach makes the XML-RPC server at url, such as
// "xmlrpc+http://127.0.0.1:8080/RPC2", callable as the object called name, by
// every protocol, without a change to the server. It takes the name out of the
// mesh when the server does not answer, and puts it back when it does again,
// until the attachment is closed or the mesh shuts down. Attach returns after the
// first look at the server, whose failure is no error: Up tells of it.
//
// Errors are those of Register about the name, and about url.
func (m *Mesh) Attach(ctx context.Context, name naming.Name, url string, opts AttachOptions) (*Attachment, error) {
	if m.serving == nil {
		return nil, fmt.Errorf("attach %q: this process only calls; to serve, set Options.Listen", name)
	}
	if _, err := m.instance(name, naming.KindObject, opts.Register).Normalize(); err != nil {
		return nil, err
	}
	opts.Health = opts.Health.withDefaults()
	foreign, err := gateway.NewForeign(url, gateway.ForeignOptions{
		Methods: opts.Register.Methods, Dialect: opts.Dialect, HTTP: opts.HTTP, Timeout: opts.Timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("attach %q: %w", name, err)
	}
	opts.Register.Methods = nil
	watch, cancel := context.WithCancel(context.Background())
	a := &Attachment{
		mesh: m, name: name, foreign: foreign, opts: opts,
		kick: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
	}
	if err := m.attachments.add(a); err != nil {
		cancel()
		foreign.Close()
		return nil, fmt.Errorf("attach %q: %w", name, err)
	}
	tally := &healthTally{}
	err = a.look(ctx, tally)
	if _, refused := errors.AsType[*rmi.ExportError](err); refused || errors.Is(err, naming.ErrTaken) {
		close(a.done)
		return nil, errors.Join(err, a.Close(ctx))
	}
	go a.run(watch, tally)
	return a, nil
}

// Name returns what the server is called in the mesh.
func (a *Attachment) Name() naming.Name { return a.name }

// URL returns the server's address, without a password.
func (a *Attachment) URL() string { return a.foreign.URL() }

// Up reports whether the server answers and its name is registered, and if not,
// why.
func (a *Attachment) Up() (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.up, a.err
}

// Close takes the server out of the mesh and ends its watch. A second call waits
// for the first and returns its error.
func (a *Attachment) Close(ctx context.Context) error {
	a.stop.Do(func() {
		a.cancel()
		<-a.done
		a.mesh.attachments.remove(a)
		if up, _ := a.Up(); up {
			a.stopErr = a.mesh.Unregister(ctx, a.name)
		}
		a.foreign.Close()
	})
	return a.stopErr
}

// healthTally counts looks in a row.
type healthTally struct{ failures, successes int }

// run watches the server until ctx ends.
func (a *Attachment) run(ctx context.Context, tally *healthTally) {
	defer close(a.done)
	timer := time.NewTimer(a.pause())
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-a.kick:
		case <-ctx.Done():
			return
		}
		a.look(ctx, tally)
		timer.Reset(a.pause())
	}
}

// pause returns the time until the next look: not the same for all who watch a
// server that comes back.
func (a *Attachment) pause() time.Duration {
	d := a.opts.Health.Interval
	return d - d/10 + rand.N(d/5+1)
}

// look looks at the server once and acts on what that makes of it.
func (a *Attachment) look(ctx context.Context, tally *healthTally) error {
	health := a.opts.Health
	check, cancel := context.WithTimeout(ctx, health.Timeout)
	err := a.foreign.Check(check, health.Method)
	cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	up, _ := a.Up()
	if err == nil {
		tally.failures = 0
		tally.successes++
		if !up && tally.successes >= health.Successes {
			err = a.bringUp(ctx)
		}
	} else {
		tally.successes = 0
		tally.failures++
		switch {
		case !up:
			a.set(false, err)
		case tally.failures >= health.Failures:
			a.takeDown(ctx, err)
		}
	}
	return err
}

// bringUp registers the server as it describes itself now.
func (a *Attachment) bringUp(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, a.opts.Health.Timeout+a.opts.Health.Interval)
	defer cancel()
	info, err := a.foreign.Describe(ask, a.name)
	if err == nil {
		err = a.mesh.register(ctx, a.name, naming.KindObject, a.opts.Register, func(rmi.ExportOptions) error {
			return a.mesh.objects.ExportHandler(info, rmi.HandlerFunc(a.handle))
		})
	}
	a.set(err == nil, err)
	return err
}

// takeDown takes the name out because of why. When the name server cannot be told
// it stays for now.
func (a *Attachment) takeDown(ctx context.Context, why error) {
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	if err := a.mesh.Unregister(ctx, a.name); err != nil {
		a.mesh.log.Warn("an attached server does not answer, and its name could not be taken out", "object", a.name, "peer", a.URL(), "err", err)
		return
	}
	a.set(false, why)
}

// set notes how the server stands, and logs a change.
func (a *Attachment) set(up bool, why error) {
	a.mu.Lock()
	changed := a.up != up || (a.err == nil) != (why == nil)
	a.up, a.err = up, why
	a.mu.Unlock()
	switch {
	case !changed:
	case up:
		a.mesh.log.Info("attached", "object", a.name, "peer", a.URL())
	default:
		a.mesh.log.Warn("an attached server is not there; its name waits for it", "object", a.name, "peer", a.URL(), "err", why)
	}
}

// handle calls the server, and looks at it when that fails as if it were not
// there.
func (a *Attachment) handle(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
	reply, err := a.foreign.Handle(ctx, call)
	if err != nil && rmi.FromError(err).Code == rmi.Unavailable {
		select {
		case a.kick <- struct{}{}:
		default:
		}
	}
	return reply, err
}

// attachments are those of a mesh. The zero value is ready.
type attachments struct {
	mu     sync.Mutex
	all    map[naming.Name]*Attachment // guarded by mu
	closed bool                        // guarded by mu
}

// add notes a, unless its name is taken or the mesh is leaving.
func (s *attachments) add(a *Attachment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("this process is leaving the mesh")
	}
	if s.all[a.name] != nil {
		return fmt.Errorf("a server is attached under that name already: %s", s.all[a.name].URL())
	}
	if s.all == nil {
		s.all = make(map[naming.Name]*Attachment)
	}
	s.all[a.name] = a
	return nil
}

// remove forgets a.
func (s *attachments) remove(a *Attachment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, a.name)
}

// end ends the watches, leaves the names to the mesh that is leaving, and returns
// what was attached.
func (s *attachments) end() map[naming.Name]*Attachment {
	s.mu.Lock()
	s.closed = true
	all := s.all
	s.all = nil
	s.mu.Unlock()
	for _, a := range all {
		a.stop.Do(func() {
			a.cancel()
			<-a.done
		})
	}
	return all
}
