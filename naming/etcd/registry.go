package etcd

import (
	"context"
	"fmt"
	"time"

	"farcall.dev/naming"
)

// Registry is one process's [naming.Registry] in etcd. Its methods may be called
// from any number of goroutines.
type Registry struct {
	opts      Options
	keys      layout
	conn      *conn
	watcher   *watcher
	registrar *registrar
	closed    chan struct{} // closed once Close has ended everything
}

var _ naming.Registry = (*Registry)(nil)

// New returns the registry that o describes, or an [*OptionError]. It does not
// wait for etcd: whatever needs it does, for as long as its context allows. Use
// [Registry.Ping] to learn at once whether etcd can be used.
func New(o Options) (*Registry, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Registry{opts: o, keys: layout{prefix: o.Prefix}, closed: make(chan struct{})}
	r.conn = newConn(o, r.connected)
	r.watcher = newWatcher(r.conn, r.keys, o.Logger, o.TTL)
	r.registrar = newRegistrar(o, r.conn, r.watcher, r.keys)
	go r.watcher.run()
	go r.registrar.run()
	return r, nil
}

// connected ends the pauses of those who wait for etcd.
func (r *Registry) connected() {
	poke(r.watcher.up)
	poke(r.registrar.up)
}

// Register publishes inst; see [naming.Registry]. An exclusive name that its
// owner loses, because its lease ended and another process took the name, is not
// fought over: in ModeStandby the process queues up again, and in the other
// modes it waits, unpublished, until the name is free. Status.Err tells the
// latter. Further errors: a [*SizeError]; an [*UnavailableError] at once when
// etcd refuses for a reason that will not go away, such as a wrong password.
func (r *Registry) Register(ctx context.Context, inst naming.Instance) error {
	inst, err := inst.Normalize()
	if err != nil {
		return err
	}
	longest := inst
	longest.State = naming.StateDraining
	if _, err = encode(longest, time.Now()); err == nil {
		err = r.registrar.do(ctx, &request{kind: register, name: inst.Name, inst: inst})
	}
	if err != nil {
		return fmt.Errorf("register %q: %w", inst.Name, err)
	}
	return nil
}

// Unregister removes this process's record of name; see [naming.Registry].
func (r *Registry) Unregister(ctx context.Context, name naming.Name) error {
	if err := r.registrar.do(ctx, &request{kind: unregister, name: name}); err != nil {
		return fmt.Errorf("unregister %q: %w", name, err)
	}
	return nil
}

// Drain marks this process's records as draining; see [naming.Registry].
func (r *Registry) Drain(ctx context.Context) error {
	if err := r.registrar.do(ctx, &request{kind: drain}); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}

// Watch follows the instances whose name starts with prefix; see
// [naming.Registry]. It resumes from a revision that this Registry itself has
// been told of, by any watch, as long as etcd keeps it; from any other it begins
// with a Reset, since a revision does not say which store it is of. Committed is
// the time that the writing process put into the record.
func (r *Registry) Watch(ctx context.Context, prefix string, after naming.Revision, fn func(naming.Update)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := &subscription{
		keys: r.keys, log: r.opts.Logger, rev: after, limit: maxPending,
		full: func() { poke(r.watcher.wake) }, wake: make(chan struct{}, 1),
	}
	f := r.watcher.add(r.keys.ofPrefix(instances, prefix), true, int64(after), s)
	defer r.watcher.remove(f)
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.watcher.ctx.Done():
			return fmt.Errorf("watch %q: %w", prefix, naming.ErrClosed)
		}
		for _, u := range s.take() {
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case r.watcher.ctx.Err() != nil:
				return fmt.Errorf("watch %q: %w", prefix, naming.ErrClosed)
			}
			fn(u)
		}
	}
}

// Status reports how this process stands with etcd.
func (r *Registry) Status() naming.Status { return r.registrar.Status() }

// Close takes back every record of this process by revoking its lease, and waits
// for the registry's goroutines; see [naming.Registry]. It gives up telling etcd
// when ctx ends, and at the latest when the lease must have ended by itself. Of
// several calls the first one's ctx counts; the others wait for that one, no
// longer than their own.
func (r *Registry) Close(ctx context.Context) error {
	if r.registrar.beginClose(ctx) {
		r.watcher.close()
		<-r.registrar.done // soon after ctx ends
		r.conn.close()
		close(r.closed)
	} else {
		select {
		case <-r.closed:
		case <-ctx.Done():
			return fmt.Errorf("close: %w", r.opts.unavailable(ctx.Err()))
		}
	}
	if err := r.registrar.farewell(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
