package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"farcall.dev/naming"
)

// The registrar
//
// One goroutine, run, keeps the records of this process published, whatever
// happens to etcd, to the network or to the keys, until it is closed. It is a
// state machine. What the process wants stands in records; each turn of the loop
// takes in what happened and does what is due:
//
//	idle        nothing is registered; no lease, no watch
//	granting    records, but no lease: ask for one, again and again
//	publishing  a lease, and records that have not been written under it
//	live        every record is written, or waits as standby
//	suspect     the lease is not being renewed, or some record is refused
//	closed      the lease is revoked, which deletes the records at once
//
//	idle --Register--> granting --> publishing --> live
//	live --Register, Drain, a key was changed by somebody--> publishing
//	live, publishing --no answer for half a TTL, stream broken--> suspect
//	suspect --renewed--> publishing or live, the records still stand
//	any --etcd says that the lease has ended--> granting
//	any --last record unregistered--> idle
//	any --Close--> closed
//
// What tells it:
//
//   - Callers queue requests and never block the loop, nor it them. A caller
//     whose context ends marks its request as abandoned, and the loop puts the
//     record back to what it was.
//   - keep (lease.go) renews the lease in a goroutine of its own, so that a slow
//     write cannot cost the lease. It ends, with a reason, at the first sign of
//     trouble, and the loop starts it again.
//   - Two feeds of the watcher (watch.go) say when any key under one of our names
//     changed. They carry no state: whatever they saw makes the loop look at the
//     key itself (publish.go), so that a lost or repeated event does no harm, and
//     after a gap it looks at all of them. Nothing is polled.
//
// A suspect lease is renewed first and never simply replaced, since only etcd
// knows whether it has ended: a change of leader prolongs all leases. The second
// failure in a row also drops the connection.
//
// Every wait between attempts has full jitter below a bound that grows from 0.2 s
// to half a TTL, 30 s at most, and ends early when the connection comes up. With
// a connection at least every 3 s (conn.go), a process is registered again within
// a TTL and two seconds of the end of a fault.
type registrar struct {
	opts    Options
	conn    *conn
	watcher *watcher
	keys    layout
	log     *slog.Logger

	ctx   context.Context // ends when Close begins
	stop  context.CancelFunc
	wake  chan struct{} // holds one; requests or observations wait
	up    chan struct{} // holds one; the connection came up
	done  chan struct{}
	wg    sync.WaitGroup
	acked atomic.Int64 // when the lease was last renewed, in Unix nanoseconds

	mu       sync.Mutex
	closing  context.Context           // guarded by mu; bounds the farewell; nil before Close
	closeErr error                     // guarded by mu; valid after done
	queue    []*request                // guarded by mu
	seen     map[naming.Name]*sighting // guarded by mu; one for each record
	status   naming.Status             // guarded by mu

	// The rest is run's own.

	records  map[naming.Name]*record
	backlog  []*request // wait for an earlier request of the same name
	drains   []*request // wait until everything is written
	replies  []*request // are decided, and not told yet
	draining bool
	feeds    []*feed
	batch    int // records in one transaction

	lease   clientv3.LeaseID
	past    []clientv3.LeaseID // earlier leases, the newest last
	granted time.Duration      // the lease's TTL, as etcd gave it
	grantAt time.Time
	counted clientv3.LeaseID // the last lease under which everything was written

	pause   backoff
	retryAt time.Time
	err     error // why the last attempt failed; nil after one that did not
	silent  int   // attempts in a row that nobody answered
	// disturbances are the names whose records somebody else changed.
	disturbances []naming.Name

	keepStop  context.CancelFunc // nil when keep does not run
	keepEnded chan error
	keepSince time.Time
	keepAt    time.Time // when to start keep again
	keepPause backoff
	keepErr   error // why keep ended; nil once the lease was renewed again
}

func newRegistrar(o Options, c *conn, w *watcher, keys layout) *registrar {
	r := &registrar{
		opts: o, conn: c, watcher: w, keys: keys, log: o.Logger,
		wake: make(chan struct{}, 1), up: make(chan struct{}, 1), done: make(chan struct{}),
		seen: map[naming.Name]*sighting{}, records: map[naming.Name]*record{}, batch: maxBatch,
		status: naming.Status{State: naming.StatusIdle, Since: time.Now(), TTL: o.TTL},
	}
	r.keepPause.max = min(maxBackoff, max(o.TTL/4, time.Second/2))
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// run is the loop.
func (r *registrar) run() {
	defer close(r.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		r.accept()
		r.notice()
		timer.Stop()
		if wait := r.step(); wait > 0 {
			timer.Reset(wait)
		}
		r.report()
		r.flush()
		select {
		case <-r.ctx.Done():
			r.finish()
			return
		case <-r.wake:
		case <-r.up:
			r.retryAt, r.keepAt = time.Time{}, time.Time{}
		case err := <-r.keepEnded:
			r.keepFailed(err)
		case <-timer.C:
		}
	}
}

// step does what is due, and returns how long it is until more is; 0 when
// nothing is in sight.
func (r *registrar) step() time.Duration {
	if len(r.records) == 0 {
		r.rest()
		return 0
	}
	r.follow()
	if wait := time.Until(r.retryAt); wait > 0 {
		return min(wait, r.renew())
	}
	if r.lease == 0 {
		if err := r.grant(); err != nil {
			return r.failed(fmt.Errorf("grant a lease: %w", err))
		}
	}
	if err := r.publish(); err != nil {
		if isLeaseLost(err) && time.Since(r.grantAt) > time.Second {
			r.lost(err)
			return time.Nanosecond
		}
		if isLeaseLost(err) {
			r.lost(err)
		}
		return r.failed(fmt.Errorf("publish: %w", err))
	}
	r.succeeded()
	if len(r.records) == 0 {
		return time.Nanosecond
	}
	return min(r.renew(), r.nextDue())
}

// failed notes that an attempt failed, and returns when to try again.
func (r *registrar) failed(err error) time.Duration {
	if r.ctx.Err() != nil {
		return 0
	}
	if r.err == nil {
		r.log.Warn("etcd registration failed; trying again until it works", "err", err)
	}
	r.err = err
	r.pause.max = r.bound()
	if hopeless(err) {
		// Only an operator helps, and each attempt may cost etcd a log-in.
		r.pause.max = maxBackoff
		for _, rec := range r.records {
			r.giveUp(rec, err)
		}
	}
	r.silent++
	if !errors.Is(err, errSilent) {
		r.silent = 0
	} else if r.silent > 1 {
		r.conn.drop(r.conn.current())
	}
	wait := r.pause.next()
	r.retryAt = time.Now().Add(wait)
	return min(wait, r.renew())
}

// succeeded notes that all that is due is written.
func (r *registrar) succeeded() {
	if r.err != nil {
		r.log.Info("etcd registration works again", "records", len(r.records))
	}
	r.err, r.silent, r.retryAt = nil, 0, time.Time{}
	r.pause.reset()
	for _, q := range r.drains {
		r.reply(q, nil)
	}
	r.drains = nil
	if r.counted == r.lease || r.lease == 0 {
		return
	}
	if r.counted != 0 {
		r.log.Info("registered again in etcd", "records", len(r.records), "lease", int64(r.lease))
	}
	r.counted = r.lease
	r.mu.Lock()
	r.status.Registrations++
	r.mu.Unlock()
	r.retire()
}

// bound bounds the time between attempts.
func (r *registrar) bound() time.Duration {
	return min(maxBackoff, max(r.opts.TTL/2, time.Second))
}

// call bounds one request.
func (r *registrar) call() time.Duration {
	return min(max(r.opts.TTL/2, time.Second), callTimeout)
}

// finish takes everything back, on Close.
func (r *registrar) finish() {
	r.mu.Lock()
	queue := append(append(r.queue, r.backlog...), r.drains...)
	r.queue = nil
	closing := r.closing
	r.mu.Unlock()
	for _, q := range queue {
		r.reply(q, naming.ErrClosed)
	}
	for _, rec := range r.records {
		if rec.pending != nil {
			r.reply(rec.pending, naming.ErrClosed)
		}
	}
	r.flush()
	r.unfollow()
	r.stopKeep()
	r.wg.Wait()
	err := r.revoke(closing)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closeErr = err
}
