package rmi

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// records are the numbered calls of one peer: those that run here, and those
// whose answers are kept until the peer says that it has them, so that a call
// that comes again is not carried out again. They hold at most [MaxRecords]
// calls and [MaxRecordedBytes] bytes of answers; beyond that the answers that
// are there longest are given up, and a copy of such a call fails.
//
// Which numbers have come is known exactly, however many there are: all up to
// the highest, but for a few ranges that are missing.
type records struct {
	mu sync.Mutex
	// What follows is guarded by mu.
	calls recordTable
	// least is the smallest number that the peer waits for, seen the highest that
	// came or was acknowledged, missing what did not come between them.
	least, seen uint64
	missing     []numberRange
	// oldest and newest are the ends of the list of answered calls, in the order
	// in which they were; size is how many bytes their answers have.
	oldest, newest *record
	size           int
	free           []*record
	closed         error
}

// numberRange are the numbers from first to last.
type numberRange struct{ first, last uint64 }

// record is one numbered call. It is guarded by the mu of its records, and used
// again.
type record struct {
	seq uint64
	// running is the call while it is carried out; waiting are copies of it that
	// are answered alike when it has ended. Of them all, alive are those that the
	// peer can still be told by; orphaned runs while there are none.
	running  *servedCall
	waiting  []*servedCall
	alive    int
	orphaned *time.Timer
	// answer is its outcome, once it has one, of size bytes.
	answer     answer
	size       int
	prev, next *record
}

// answer is what came of a call.
type answer struct {
	reply   Reply
	failure *Error
}

// The limits that a copy of a call can meet.
var (
	errNotAwaited  = errors.New("its caller has said that it waits for it no more")
	errGivenUp     = errors.New("its answer was given up, because too many came after it")
	errTooOften    = errors.New("it has been sent again too often while it runs")
	errNotRecorded = errors.New("its answer was too large to be kept, or came with sequences")
	errOrphaned    = errors.New("the connection of the caller broke, and it did not come back")
)

// notAgain is what a copy of call gets that cannot be answered.
func notAgain(call *Call, why error) *Error {
	return Errorf(FailedPrecondition, "call %s may have been executed, and cannot be answered again: %w", target(call), why)
}

// begin decides what becomes of s, whose number is t: it is to be carried out, or
// it has an outcome already, or, with neither, it waits for that of the call that
// it is a copy of.
func (r *records) begin(s *servedCall, t callToken) (run bool, o *answer) {
	r.mu.Lock()
	run, o, over := r.beginLocked(s, t)
	r.mu.Unlock()
	if over != nil {
		over.conn.workers.do(over)
	}
	return run, o
}

// beginLocked is begin; over is another copy that has an outcome now.
func (r *records) beginLocked(s *servedCall, t callToken) (run bool, o *answer, over *servedCall) {
	if r.closed != nil {
		return false, &answer{failure: sessionOver(&s.call, r.closed)}, nil
	}
	r.acknowledgeLocked(t.least)
	rec := r.calls.get(t.seq)
	switch {
	case t.seq < r.least:
		return false, &answer{failure: notAgain(&s.call, errNotAwaited)}, nil
	case rec != nil && rec.running == nil:
		o := rec.answer
		o.reply.Result.Data = bytes.Clone(o.reply.Result.Data)
		return false, &o, nil
	case s.lost && (rec != nil || r.comesLocked(t.seq)):
		// Its connection has broken before it began: it is left to a copy.
		if rec == nil {
			r.missLocked(t.seq)
		}
		return false, &answer{failure: refusal(Canceled, "call %s: the caller has left before it could start", target(&s.call))}, nil
	case rec != nil:
		return false, nil, r.waitLocked(rec, s)
	case !r.comesLocked(t.seq):
		return false, &answer{failure: notAgain(&s.call, errGivenUp)}, nil
	}
	if r.calls.count >= MaxRecords && !r.dropLocked() {
		r.missLocked(t.seq)
		return false, &answer{failure: refusal(ResourceExhausted, "call %s: %d numbered calls of its caller run here, and no more are allowed", target(&s.call), MaxRecords)}, nil
	}
	rec = r.newLocked()
	rec.seq, rec.running, rec.alive = t.seq, s, 1
	r.calls.put(rec)
	s.record = rec
	return true, nil, nil
}

// pass notes a call that is not recorded, because it may be carried out twice.
func (r *records) pass(t callToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acknowledgeLocked(t.least)
	r.comesLocked(t.seq)
}

// waitLocked makes s one of those that wait for rec's outcome. Of too many the
// first gives way, and is returned: its connection has most likely broken.
func (r *records) waitLocked(rec *record, s *servedCall) (over *servedCall) {
	if len(rec.waiting) == maxRecordCopies {
		over = rec.waiting[0]
		rec.waiting = slices.Delete(rec.waiting, 0, 1)
		if !over.lost {
			rec.alive--
		}
		over.record, over.settled = nil, &answer{failure: notAgain(&over.call, errTooOften)}
	}
	rec.waiting = append(rec.waiting, s)
	rec.alive++
	s.record = rec
	if rec.orphaned != nil {
		rec.orphaned.Stop()
		rec.orphaned = nil
	}
	return over
}

// end records what came of s, and has the copies that wait for it answered.
func (r *records) end(s *servedCall, reply *Reply, failure *Error) {
	r.mu.Lock()
	waiting := r.endLocked(s, reply, failure)
	r.mu.Unlock()
	for _, w := range waiting {
		w.conn.workers.do(w)
	}
}

// endLocked is end; it returns the copies, with their outcome.
func (r *records) endLocked(s *servedCall, reply *Reply, failure *Error) (waiting []*servedCall) {
	rec := s.record
	if rec == nil {
		return nil // the session has ended
	}
	s.record = nil
	if rec.orphaned != nil {
		rec.orphaned.Stop()
		rec.orphaned = nil
	}
	waiting = rec.waiting
	rec.running, rec.waiting, rec.alive = nil, nil, 0
	for _, w := range waiting {
		o := answer{failure: failure}
		switch {
		case failure != nil:
		case len(reply.Result.streams) > 0:
			o.failure = notAgain(&w.call, errNotRecorded)
		default:
			o.reply = *reply
			o.reply.Result.Data = bytes.Clone(reply.Result.Data)
		}
		w.record, w.settled = nil, &o
	}
	if r.calls.get(rec.seq) != rec { // nobody waits for it any more
		r.freeLocked(rec)
		return waiting
	}
	rec.keep(&s.call, reply, failure)
	r.size += rec.size
	if rec.prev = r.newest; rec.prev != nil {
		rec.prev.next = rec
	} else {
		r.oldest = rec
	}
	r.newest = rec
	for r.size > MaxRecordedBytes {
		r.dropLocked()
	}
	return waiting
}

// keep makes a copy of the outcome of call, if that is allowed.
func (rec *record) keep(call *Call, reply *Reply, failure *Error) {
	buf := rec.answer.reply.Result.Data[:0]
	rec.answer = answer{}
	if failure != nil {
		kept := *failure
		rec.answer.failure, rec.size = &kept, len(appendError(nil, 0, failure, true))
		return // the wire bounds it
	}
	rec.size = len(reply.Result.Data)
	for k, v := range reply.Metadata {
		rec.size += len(k) + len(v)
	}
	if rec.size > MaxRecordedAnswer || len(reply.Result.streams) > 0 {
		rec.answer.failure, rec.size = notAgain(call, errNotRecorded), 0
		return
	}
	rec.answer.reply = Reply{
		Result:   Payload{Type: reply.Result.Type, Data: append(buf, reply.Result.Data...)},
		Metadata: maps.Clone(reply.Metadata),
	}
}

// orphan notes that s cannot be answered any more, since its connection has
// broken because of cause, and reports whether it goes on all the same: for a
// while, in which a copy of it may come.
func (r *records) orphan(s *servedCall, grace time.Duration) (goesOn bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.lost = true
	rec := s.record
	if rec == nil || r.calls.get(rec.seq) != rec { // or the caller waits no more
		return false
	}
	if rec.alive--; rec.alive == 0 {
		running := rec.running
		rec.orphaned = time.AfterFunc(grace, func() {
			r.mu.Lock()
			over := rec.running == running && rec.alive == 0
			r.mu.Unlock()
			if over {
				running.end(errOrphaned)
			}
		})
	}
	return rec.running == s
}

// runner returns the call that s is, or waits for; nil when that is not recorded.
func (r *records) runner(s *servedCall) *servedCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.record == nil {
		return nil
	}
	return s.record.running
}

// sessionOver is what is told of call when the session has ended.
func sessionOver(call *Call, cause error) *Error {
	return Errorf(Unavailable, "call %s may have been executed: the session with its caller has ended: %w", target(call), cause)
}

// close ends what runs, because of cause, and forgets everything. It returns the
// highest number that has come.
func (r *records) close(cause error) (seen uint64) {
	r.mu.Lock()
	var running, waiting []*servedCall
	for rec := range r.calls.all() {
		if rec.running == nil {
			continue
		}
		rec.running.record = nil
		running = append(running, rec.running)
		if rec.orphaned != nil {
			rec.orphaned.Stop()
		}
		for _, w := range rec.waiting {
			w.record, w.settled = nil, &answer{failure: sessionOver(&w.call, cause)}
			waiting = append(waiting, w)
		}
	}
	r.calls, r.missing, r.oldest, r.newest, r.free, r.size = recordTable{}, nil, nil, nil, nil, 0
	r.closed, seen = cause, r.seen
	r.mu.Unlock()
	for _, s := range running {
		s.end(cause)
	}
	for _, w := range waiting {
		w.conn.workers.do(w)
	}
	return seen
}

// acknowledgeLocked forgets the calls below least.
func (r *records) acknowledgeLocked(least uint64) {
	if least <= r.least {
		return
	}
	if least-r.least > uint64(r.calls.count) {
		for rec := range r.calls.all() {
			if rec.seq < least {
				r.forgetLocked(rec)
			}
		}
	} else {
		for seq := r.least; seq < least; seq++ {
			if rec := r.calls.get(seq); rec != nil {
				r.forgetLocked(rec)
			}
		}
	}
	r.least, r.seen = least, max(r.seen, least-1)
	gone := 0
	for gone < len(r.missing) && r.missing[gone].last < least {
		gone++
	}
	r.missing = slices.Delete(r.missing, 0, gone)
	if len(r.missing) > 0 {
		r.missing[0].first = max(r.missing[0].first, least)
	}
}

// comesLocked notes that the call seq came, and reports whether it did so for
// the first time.
func (r *records) comesLocked(seq uint64) bool {
	if seq > r.seen {
		if seq > r.seen+1 {
			r.addMissingLocked(len(r.missing), numberRange{r.seen + 1, seq - 1})
		}
		r.seen = seq
		return true
	}
	i, found := slices.BinarySearchFunc(r.missing, seq, func(m numberRange, seq uint64) int {
		switch {
		case m.last < seq:
			return -1
		case m.first > seq:
			return 1
		}
		return 0
	})
	if !found {
		return false
	}
	switch m := r.missing[i]; {
	case m.first == m.last:
		r.missing = slices.Delete(r.missing, i, i+1)
	case m.first == seq:
		r.missing[i].first++
	case m.last == seq:
		r.missing[i].last--
	default:
		r.missing[i].last = seq - 1
		r.addMissingLocked(i+1, numberRange{seq + 1, m.last})
	}
	return true
}

// missLocked takes back that the call seq came.
func (r *records) missLocked(seq uint64) {
	i, _ := slices.BinarySearchFunc(r.missing, seq, func(m numberRange, seq uint64) int {
		if m.last < seq {
			return -1
		}
		return 1
	})
	r.addMissingLocked(i, numberRange{seq, seq})
}

// addMissingLocked adds a range at place i. Of too many the lowest is forgotten:
// what is in it counts as having come, so that it is not carried out.
func (r *records) addMissingLocked(i int, m numberRange) {
	r.missing = slices.Insert(r.missing, i, m)
	if len(r.missing) > maxMissingRanges {
		r.missing = slices.Delete(r.missing, 0, 1)
	}
}

// forgetLocked takes rec out. If it still runs it is freed at its end; nobody
// waits for it, so that it is ended when nobody can even say so.
func (r *records) forgetLocked(rec *record) {
	r.calls.delete(rec)
	if rec.running != nil {
		if rec.orphaned != nil {
			rec.orphaned.Reset(0)
		}
		return
	}
	if rec.prev != nil {
		rec.prev.next = rec.next
	} else {
		r.oldest = rec.next
	}
	if rec.next != nil {
		rec.next.prev = rec.prev
	} else {
		r.newest = rec.prev
	}
	r.size -= rec.size
	r.freeLocked(rec)
}

// dropLocked gives up the oldest answer, and reports whether there was one.
func (r *records) dropLocked() bool {
	if r.oldest == nil {
		return false
	}
	r.forgetLocked(r.oldest)
	return true
}

// newLocked returns an unused record.
func (r *records) newLocked() *record {
	n := len(r.free)
	if n == 0 {
		return new(record)
	}
	rec := r.free[n-1]
	r.free = r.free[:n-1]
	return rec
}

// freeLocked keeps rec, with the memory of a small answer, for another call.
func (r *records) freeLocked(rec *record) {
	if len(r.free) == maxFreeRecords {
		return
	}
	buf := rec.answer.reply.Result.Data[:0]
	if cap(buf) > maxFreeAnswer {
		buf = nil
	}
	*rec = record{}
	rec.answer.reply.Result.Data = buf
	r.free = append(r.free, rec)
}

// stats returns how many calls are recorded, and the bytes of their answers.
func (r *records) stats() (calls, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls.count, r.size
}
