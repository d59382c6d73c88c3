package etcd

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"farcall.dev/naming"
)

// request is what a caller wants of the registrar.
type request struct {
	kind requestKind
	inst naming.Instance // to register
	name naming.Name
	fate atomic.Int32 // see below
	done chan struct{}
	err  error // set before done is closed
}

type requestKind int

const (
	register requestKind = iota
	unregister
	drain
)

// The fates of a request. It leaves open once, by the registrar or its caller.
const (
	open int32 = iota
	answered
	abandoned
)

// reply decides q with err, unless its caller has gone. The caller learns of it
// when the loop has brought the status up to date.
func (r *registrar) reply(q *request, err error) bool {
	if !q.fate.CompareAndSwap(open, answered) {
		return false
	}
	q.err = err
	r.replies = append(r.replies, q)
	return true
}

// flush sends the replies.
func (r *registrar) flush() {
	for _, q := range r.replies {
		close(q.done)
	}
	r.replies = nil
}

// do has the registrar do q, and waits for that.
func (r *registrar) do(ctx context.Context, q *request) error {
	if err := ctx.Err(); err != nil {
		return r.opts.unavailable(err)
	}
	q.done = make(chan struct{})
	r.mu.Lock()
	if r.closing != nil {
		r.mu.Unlock()
		return naming.ErrClosed
	}
	r.queue = append(r.queue, q)
	r.mu.Unlock()
	poke(r.wake)
	select {
	case <-q.done:
		return q.err
	case <-ctx.Done():
	}
	if !q.fate.CompareAndSwap(open, abandoned) {
		<-q.done
		return q.err
	}
	poke(r.wake)
	err := ctx.Err()
	if why := r.Status().Err; why != nil {
		err = fmt.Errorf("%w: %w", why, err)
	}
	return r.opts.unavailable(err)
}

// accept takes in what callers want, and what they no longer want.
func (r *registrar) accept() {
	for _, rec := range r.records {
		if q := rec.pending; q != nil && q.fate.Load() == abandoned {
			rec.pending = nil
			r.putBack(rec)
		}
	}
	r.mu.Lock()
	queue := append(r.backlog, r.queue...)
	r.queue = nil
	r.mu.Unlock()
	r.backlog = nil
	for _, q := range queue {
		r.take(q)
	}
}

// take takes in one request.
func (r *registrar) take(q *request) {
	if q.kind == drain {
		r.drain(q)
		return
	}
	rec := r.records[q.name]
	switch {
	case q.fate.Load() == abandoned && q.kind == register:
	case rec != nil && rec.pending != nil:
		r.backlog = append(r.backlog, q)
	case q.kind == unregister && (rec == nil || rec.leaving):
		r.reply(q, naming.ErrNotFound)
	case q.kind == unregister:
		rec.leave()
		rec.pending = q
		if q.fate.Load() == abandoned {
			rec.pending = nil
		}
	case rec == nil:
		r.add(&record{inst: q.inst, pending: q, todo: write})
	case rec.inst.Node != q.inst.Node:
		r.reply(q, fmt.Errorf("this process's record is of node %q, and cannot become one of node %q: unregister it first",
			rec.inst.Node, q.inst.Node))
	default:
		if !rec.leaving {
			last := rec.inst
			rec.last = &last
		}
		rec.inst, rec.pending, rec.leaving = q.inst, q, false
		rec.todo, rec.notBefore = write, time.Time{}
	}
}

// drain takes in that the process is about to leave.
func (r *registrar) drain(q *request) {
	r.draining = true
	for _, rec := range r.records {
		switch {
		case rec.leaving:
		case rec.role == waiting || rec.role == refused && rec.inst.Mode == naming.ModeStandby:
			rec.leave()
		case rec.role == serving:
			rec.todo = write
		}
	}
	r.drains = append(r.drains, q)
}

// add begins a record.
func (r *registrar) add(rec *record) {
	rec.calm.max = r.bound()
	r.records[rec.inst.Name] = rec
	r.mu.Lock()
	r.seen[rec.inst.Name] = &sighting{node: rec.inst.Node}
	r.mu.Unlock()
}

// remove ends a record.
func (r *registrar) remove(rec *record) {
	delete(r.records, rec.inst.Name)
	r.mu.Lock()
	delete(r.seen, rec.inst.Name)
	r.mu.Unlock()
}

// putBack undoes a registration that its caller no longer waits for. What etcd
// holds of it is unknown.
func (r *registrar) putBack(rec *record) {
	switch {
	case rec.leaving:
	case rec.last == nil:
		rec.leave()
	default:
		rec.inst, rec.last, rec.todo = *rec.last, nil, write
	}
	if rec.leaving && r.lease == 0 {
		r.remove(rec)
	}
}

// giveUp tells whoever waits for rec that err will not go away by itself.
func (r *registrar) giveUp(rec *record, err error) {
	if q := rec.pending; q != nil && q.kind == register {
		r.reply(q, r.opts.unavailable(err))
		rec.pending = nil
		r.putBack(rec)
	}
}

// report brings the status up to date.
func (r *registrar) report() {
	st := naming.Status{State: naming.StatusIdle, Lease: int64(r.lease), TTL: r.granted}
	writing := false
	var refusal error
	for _, rec := range r.records {
		if !rec.leaving {
			st.Records++
		}
		writing = writing || rec.todo != rest
		if rec.role == refused && rec.err != nil {
			refusal = rec.err
		}
	}
	switch {
	case st.Records == 0:
	case r.lease == 0:
		st.State, st.Err = naming.StatusGranting, r.err
	case r.keepErr != nil:
		st.State, st.Err = naming.StatusSuspect, r.keepErr
	case r.err != nil || writing:
		st.State, st.Err = naming.StatusPublishing, r.err
	case refusal != nil:
		st.State, st.Err = naming.StatusSuspect, refusal
	default:
		st.State = naming.StatusLive
	}
	if st.TTL == 0 {
		st.TTL = r.opts.TTL
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Since, st.Registrations = r.status.Since, r.status.Registrations
	if st.State != r.status.State {
		st.Since = time.Now()
	}
	if r.status.State != naming.StatusClosed {
		r.status = st
	}
}

// Status reports how the process stands.
func (r *registrar) Status() naming.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// beginClose makes the loop take everything back and end, within ctx, and
// reports whether this was the first call.
func (r *registrar) beginClose(ctx context.Context) bool {
	r.mu.Lock()
	first := r.closing == nil
	if first {
		r.closing = ctx
		r.status = naming.Status{
			State: naming.StatusClosed, Since: time.Now(), TTL: r.status.TTL, Registrations: r.status.Registrations,
		}
	}
	r.mu.Unlock()
	r.stop()
	return first
}

// farewell returns whether etcd was told, once the loop has ended.
func (r *registrar) farewell() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closeErr
}
