package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"farcall.dev/naming"
)

// Writing records
//
// All that is due goes to etcd in transactions of up to maxBatch records, each
// record as a transaction of its own inside: its conditions, what to write when
// they hold, and what to read when they do not. So a thousand names take ten
// round trips, and a name that is taken stops no other. etcd allows 128
// operations in a transaction, counting those of the deepest nesting along one
// path, which leaves 28 for the inner ones.
//
// Every write has the condition that our keys have the revisions that we think
// they have: nothing that somebody else wrote is overwritten unseen. When the
// conditions fail, what etcd holds comes back with the answer, and judge
// (judge.go) decides what to do.

const (
	// maxBatch is how many records one transaction holds.
	maxBatch = 100
	// maxBatchBytes bounds the values of one transaction. etcd takes 1.5 MiB.
	maxBatchBytes = 1 << 20
	// maxRounds bounds how often a record is written in a row because the
	// conditions did not hold.
	maxRounds = 10
	// maxClaims and maxRivals bound how many claims and instances of others are
	// read of one name.
	maxClaims, maxRivals = 8, 64
)

// publish does all that is due.
func (r *registrar) publish() error {
	defer r.tellDisturbed()
	for range maxRounds {
		due := r.due()
		if len(due) == 0 {
			return nil
		}
		for len(due) > 0 {
			n, err := r.write(due)
			if errors.Is(err, rpctypes.ErrTooManyOps) || errors.Is(err, rpctypes.ErrRequestTooLarge) {
				if r.batch > 1 {
					r.batch /= 2 // an etcd with lower limits than the usual
					continue
				}
			}
			if err != nil {
				return err
			}
			due = due[n:]
		}
	}
	return errUnsettled
}

// due returns the records about which something must be done now, by name.
func (r *registrar) due() []*record {
	var due []*record
	now := time.Now()
	for _, rec := range r.records {
		if rec.todo != rest && !rec.notBefore.After(now) {
			due = append(due, rec)
		}
	}
	slices.SortFunc(due, func(a, b *record) int { return strings.Compare(string(a.inst.Name), string(b.inst.Name)) })
	return due
}

// nextDue returns how long it is until a record that was put off is due.
func (r *registrar) nextDue() time.Duration {
	next := time.Hour
	for _, rec := range r.records {
		if rec.todo != rest {
			next = min(next, max(time.Until(rec.notBefore), time.Millisecond))
		}
	}
	return next
}

// write sends one transaction for as many of due as fit, takes in the answer,
// and returns how many that were.
func (r *registrar) write(due []*record) (int, error) {
	var ops []clientv3.Op
	bytes := 0
	for _, rec := range due {
		op, size, err := r.op(rec)
		if err != nil {
			return 0, err
		}
		if len(ops) == r.batch || len(ops) > 0 && bytes+size > maxBatchBytes {
			break
		}
		ops, bytes = append(ops, op), bytes+size
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.call())
	defer cancel()
	cl, err := r.conn.get(ctx)
	if err != nil {
		return 0, clean(err)
	}
	t, err := cl.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return 0, clean(err)
	}
	for i, rec := range due[:len(ops)] {
		inner := t.Responses[i].GetResponseTxn()
		if inner.Succeeded && rec.todo != look {
			r.written(rec, t.Header.Revision)
			continue
		}
		r.judge(rec, r.read(rec, inner.Responses))
	}
	return len(ops), nil
}

// op makes the transaction of one record, and returns how many bytes it writes.
func (r *registrar) op(rec *record) (op clientv3.Op, size int, err error) {
	name, node := rec.inst.Name, rec.inst.Node
	instance, claim := r.keys.key(instances, name, node), r.keys.key(owners, name, node)
	reads := []clientv3.Op{
		clientv3.OpGet(instance), clientv3.OpGet(claim),
		clientv3.OpGet(r.keys.ofName(owners, name), clientv3.WithPrefix(), clientv3.WithLimit(maxClaims),
			clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend)),
	}
	if rec.exclusive() {
		reads = append(reads, clientv3.OpGet(r.keys.ofName(instances, name), clientv3.WithPrefix(), clientv3.WithLimit(maxRivals)))
	}
	same := []clientv3.Cmp{
		clientv3.Compare(clientv3.ModRevision(instance), "=", rec.instance),
		clientv3.Compare(clientv3.ModRevision(claim), "=", rec.claim),
	}
	switch rec.todo {
	case check:
		return clientv3.OpTxn(same, nil, reads), 0, nil
	case look:
		return clientv3.OpTxn(nil, reads, nil), 0, nil
	case quit:
		// Whatever stands under our lease is ours, also when an answer was lost.
		var takeBack []clientv3.Op
		for _, key := range []string{instance, claim} {
			takeBack = append(takeBack, clientv3.OpTxn(
				[]clientv3.Cmp{clientv3.Compare(clientv3.LeaseValue(key), "=", r.lease)},
				[]clientv3.Op{clientv3.OpDelete(key)}, nil))
		}
		return clientv3.OpTxn(nil, takeBack, nil), 0, nil
	}

	inst := rec.inst
	inst.State = r.state(rec)
	if rec.exclusive() && rec.line == end {
		inst.State = naming.StateStandby
	}
	value, err := encode(inst, time.Now())
	if err != nil {
		return op, 0, err
	}
	lease := clientv3.WithLease(r.lease)
	putInstance := clientv3.OpPut(instance, value, lease)
	putClaim := clientv3.OpPut(claim, encodeClaim(inst.Incarnation), lease)
	switch {
	case !rec.exclusive():
		puts := []clientv3.Op{putInstance}
		if rec.claim != 0 {
			puts = append(puts, clientv3.OpDelete(claim))
		}
		op = clientv3.OpTxn(append(same, r.noOther(owners, name, claim)...), puts, reads)
	case r.lineOf(rec) == end:
		op = clientv3.OpTxn(same, []clientv3.Op{putClaim, putInstance}, reads)
	case r.lineOf(rec) == front:
		noElder := clientv3.Compare(clientv3.CreateRevision(r.keys.ofName(owners, name)), ">", rec.claimed-1).WithPrefix()
		op = clientv3.OpTxn(append(same, noElder), []clientv3.Op{putClaim, putInstance}, reads)
	default:
		alone := append(r.noOther(owners, name, claim), r.noOther(instances, name, instance)...)
		op = clientv3.OpTxn(append(same, alone...), []clientv3.Op{putClaim, putInstance}, reads)
	}
	return op, len(value), nil
}

// lineOf returns how to write rec: an owner stays in front.
func (r *registrar) lineOf(rec *record) line {
	if rec.line == unknown && rec.role == serving && rec.claimed != 0 {
		return front
	}
	return rec.line
}

// state returns the state in which a record that may be called is published.
func (r *registrar) state(rec *record) naming.State {
	if r.draining || rec.inst.State == naming.StateDraining {
		return naming.StateDraining
	}
	return naming.StateLive
}

// noOther returns the condition that name has no key in s but own.
func (r *registrar) noOther(s space, name naming.Name, own string) []clientv3.Cmp {
	all := r.keys.ofName(s, name)
	return []clientv3.Cmp{
		clientv3.Compare(clientv3.CreateRevision(all), "=", 0).WithRange(own),
		clientv3.Compare(clientv3.CreateRevision(own+"\x00"), "=", 0).WithRange(rangeEnd(all)),
	}
}

// written takes in that what was to be done about rec was done, at revision rev.
func (r *registrar) written(rec *record, rev int64) {
	was := rec.todo
	rec.todo = rest
	switch {
	case was == check:
		return
	case was == quit:
		rec.instance, rec.claim, rec.claimed = 0, 0, 0
		rec.todo = write // once more: what stood in its way may be gone
		if rec.leaving {
			r.remove(rec)
			r.answer(rec, nil)
		}
		return
	case !rec.exclusive():
		rec.claim, rec.claimed, rec.role = 0, 0, serving
	default:
		rec.claim = rev
		if rec.claimed == 0 {
			rec.claimed = rev
		}
		rec.role = serving
		if rec.line == end {
			// What was in front may be gone since it was last looked at.
			rec.role, rec.todo = waiting, look
		}
	}
	rec.instance, rec.written, rec.line, rec.err = rev, rev, unknown, nil
	r.answer(rec, nil)
}

// answer ends the request that waits for rec.
func (r *registrar) answer(rec *record, err error) {
	q := rec.pending
	rec.pending = nil
	if q == nil {
		return
	}
	if !r.reply(q, err) && q.kind == register {
		// Its caller has just gone, and was told that nothing came of it.
		r.putBack(rec)
		return
	}
	rec.last = nil
}

// claim is what a claim's value says.
type claim struct {
	V           int                `json:"v"`
	Incarnation naming.Incarnation `json:"incarnation"`
}

func encodeClaim(inc naming.Incarnation) string {
	return fmt.Sprintf(`{"v":%d,"incarnation":%d}`, codecVersion, inc)
}

// decodeClaim reads a claim; one that cannot be read is of incarnation 0.
func decodeClaim(data []byte) naming.Incarnation {
	var c claim
	if len(data) > maxValue || json.Unmarshal(data, &c) != nil || c.V != codecVersion {
		return 0
	}
	return c.Incarnation
}

// facts is what etcd holds of one name.
type facts struct {
	// instance and claim are our own keys.
	instance, claim fact
	// elder is the node of the first claim that is not ours and stands before
	// ours, or before where ours would stand; empty when there is none.
	elder naming.NodeID
	// claimed says that somebody else has a claim, and claimant who.
	claimant naming.NodeID
	// rival is the node of another's instance, and server of one that may be
	// called; empty when there is none.
	rival, server naming.NodeID
}

// fact is what etcd holds under one of our own keys.
type fact struct {
	mod, created, lease int64 // mod is 0 when there is nothing
	readable            bool
	incarnation         naming.Incarnation
}

// read makes facts of the answers to the reads of op.
func (r *registrar) read(rec *record, answers []*etcdserverpb.ResponseOp) facts {
	var f facts
	name, node := rec.inst.Name, rec.inst.Node
	for _, kv := range answers[0].GetResponseRange().Kvs {
		inst, _, err := decode(rec.inst.Key(), kv.Value)
		f.instance = fact{kv.ModRevision, kv.CreateRevision, kv.Lease, err == nil, inst.Incarnation}
	}
	for _, kv := range answers[1].GetResponseRange().Kvs {
		f.claim = fact{kv.ModRevision, kv.CreateRevision, kv.Lease, true, decodeClaim(kv.Value)}
	}
	for _, kv := range answers[2].GetResponseRange().Kvs {
		owner := naming.NodeID(clip(string(kv.Key)))
		if _, k, ok := r.keys.parse(string(kv.Key)); ok {
			owner = k.Node
		}
		if owner == node {
			continue
		}
		if f.claimant == "" {
			f.claimant = owner
		}
		if f.elder == "" && (f.claim.mod == 0 || kv.CreateRevision < f.claim.created) {
			f.elder = owner
		}
	}
	if len(answers) < 4 {
		return f
	}
	page := answers[3].GetResponseRange()
	for _, kv := range page.Kvs {
		_, k, ok := r.keys.parse(string(kv.Key))
		if !ok {
			k.Node = naming.NodeID(clip(string(kv.Key)))
		}
		if k.Node == node {
			continue
		}
		inst, _, err := decode(naming.Key{Name: name, Node: k.Node}, kv.Value)
		// What cannot be read may be written by a later version, and then it has
		// a lease; by hand, it has none.
		callable := err == nil && inst.State != naming.StateStandby || err != nil && kv.Lease != 0
		if f.rival == "" {
			f.rival = k.Node
		}
		if callable && f.server == "" {
			f.server = k.Node
		}
	}
	if page.More && f.server == "" {
		f.server = f.rival // too many to tell; those that leave make it look again
	}
	return f
}
