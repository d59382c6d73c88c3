package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// This file is the registrar's dealings with its lease.

// maxPast bounds registrar.past. Only a lease whose keys may still stand
// matters, which is hardly ever more than the last.
const maxPast = 8

// retire revokes the lease before this one, in case it still stands.
func (r *registrar) retire() {
	if len(r.past) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.call())
	defer cancel()
	if cl, err := r.conn.get(ctx); err == nil {
		_, _ = cl.Revoke(ctx, r.past[len(r.past)-1]) // it ends by itself otherwise
	}
}

// grant asks for a lease and has it kept.
func (r *registrar) grant() error {
	ctx, cancel := context.WithTimeout(r.ctx, r.call())
	defer cancel()
	cl, err := r.conn.get(ctx)
	if err != nil {
		return clean(err)
	}
	g, err := cl.Grant(ctx, int64(r.opts.TTL/time.Second))
	if err != nil {
		return clean(err)
	}
	r.lease, r.granted, r.grantAt = g.ID, time.Duration(g.TTL)*time.Second, time.Now()
	if r.granted > r.opts.TTL {
		r.log.Debug("etcd insists on a longer lease", "asked", r.opts.TTL, "granted", r.granted)
	}
	r.acked.Store(time.Now().UnixNano())
	r.keepErr = nil
	r.keepPause.reset()
	r.startKeep(cl, false)
	for _, rec := range r.records {
		rec.forget()
	}
	return nil
}

// lost notes that the lease has ended, and its keys with it.
func (r *registrar) lost(err error) {
	if r.lease == 0 {
		return
	}
	r.log.Warn("etcd lease lost; registering again", "lease", int64(r.lease), "err", err)
	r.stopKeep()
	r.keepErr = nil
	r.past = append(r.past, r.lease)
	if len(r.past) > maxPast {
		r.past = r.past[1:]
	}
	r.lease = 0
}

// ours reports whether lease is one of this process's.
func (r *registrar) ours(lease int64) bool {
	id := clientv3.LeaseID(lease)
	return id != 0 && (id == r.lease || slices.Contains(r.past, id))
}

// startKeep starts renewing the lease; at once when now is set.
func (r *registrar) startKeep(cl *clientv3.Client, now bool) {
	ctx, cancel := context.WithCancel(r.ctx)
	r.keepStop, r.keepEnded, r.keepSince = cancel, make(chan error, 1), time.Now()
	patience := r.granted / 2
	if now {
		patience = max(r.granted/4, time.Second/2)
	}
	ended, lease, ttl := r.keepEnded, r.lease, r.granted
	r.wg.Go(func() {
		ended <- keep(ctx, cl, lease, ttl, patience, now, func() {
			r.acked.Store(time.Now().UnixNano())
			if now {
				poke(r.wake)
			}
		})
	})
}

// stopKeep stops renewing the lease.
func (r *registrar) stopKeep() {
	if r.keepStop != nil {
		r.keepStop()
	}
	r.keepStop, r.keepEnded = nil, nil
}

// keepFailed notes that the lease is no longer being renewed.
func (r *registrar) keepFailed(err error) {
	r.stopKeep()
	if isLeaseLost(err) {
		r.lost(err)
		return
	}
	level := slog.LevelDebug
	if r.keepErr == nil {
		level = slog.LevelInfo
	} else if errors.Is(err, errSilent) {
		r.conn.drop(r.conn.current())
	}
	r.log.Log(r.ctx, level, "etcd lease is not being renewed", "lease", int64(r.lease), "err", err)
	wait := time.Duration(0)
	if r.keepErr != nil {
		wait = r.keepPause.next()
	}
	r.keepErr, r.keepAt = err, time.Now().Add(wait)
}

// renew has a lease that is not being renewed renewed, when that is due, and
// returns how long it is until then.
func (r *registrar) renew() time.Duration {
	const never = time.Hour
	switch {
	case r.lease == 0:
		return never
	case r.keepStop != nil:
		if r.keepErr != nil && r.acked.Load() > r.keepSince.UnixNano() {
			r.keepErr = nil
			r.keepPause.reset()
			r.log.Info("etcd lease is being renewed again", "lease", int64(r.lease))
		}
		return never
	}
	if wait := time.Until(r.keepAt); wait > 0 {
		return wait
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.call())
	defer cancel()
	cl, err := r.conn.get(ctx)
	if err != nil {
		r.keepFailed(clean(err))
		return max(time.Until(r.keepAt), time.Millisecond)
	}
	r.startKeep(cl, true)
	return never
}

// rest gives up the lease and the watch, which nothing needs any more.
func (r *registrar) rest() {
	for _, q := range r.drains {
		r.reply(q, nil)
	}
	r.drains = nil
	r.unfollow()
	if r.lease == 0 {
		return
	}
	r.stopKeep()
	r.keepErr, r.err, r.past, r.counted = nil, nil, nil, 0
	lease := r.lease
	r.lease = 0
	ctx, cancel := context.WithTimeout(r.ctx, r.call())
	defer cancel()
	if cl, err := r.conn.get(ctx); err == nil {
		_, _ = cl.Revoke(ctx, lease) // it holds nothing, and ends by itself
	}
}

// revoke revokes the lease, and tries until ctx ends or the lease has ended by
// itself.
func (r *registrar) revoke(ctx context.Context) error {
	if r.lease == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.granted+callTimeout)
	defer cancel()
	pause := backoff{max: time.Second}
	for {
		call, done := context.WithTimeout(ctx, r.call())
		cl, err := r.conn.get(call)
		if err == nil {
			_, err = cl.Revoke(call, r.lease)
		}
		done()
		err = clean(err)
		if err == nil || isLeaseLost(err) {
			return nil
		}
		select {
		case <-time.After(pause.next()):
		case <-r.up:
		case <-ctx.Done():
			return r.opts.unavailable(fmt.Errorf("revoke the lease: %w", err))
		}
	}
}
