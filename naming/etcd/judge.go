package etcd

import (
	"cmp"
	"time"

	"farcall.dev/naming"
)

// judge decides what to do about rec, given what etcd holds. It is where the
// rules of naming.Mode and naming.Incarnation stand:
//
//   - A later incarnation of our node prevails, whatever its mode; an equal one
//     does unless we were asked to register just now.
//   - A shared name must not have a claim that is not ours. Conversely nobody can
//     register a shared instance while a claim stands, so that from the creation
//     of our claim on the other instances that may be called only become fewer:
//     once we have seen none, there is none.
//   - An exclusive name must have nobody else at all, unless we are its owner
//     already: in front of the line, with nobody else to be called.
//   - A standby joins the line, and serves once it is in front and there is nobody
//     else to be called.
func (r *registrar) judge(rec *record, f facts) {
	intact := f.instance.mod == rec.instance && f.claim.mod == rec.claim && rec.instance != 0
	if r.displaced(rec, f.instance) || r.displaced(rec, f.claim) {
		r.refuse(rec, f, rec.inst.Node, intact)
		return
	}
	if rec.todo == check {
		r.disturbed(rec)
	}
	rec.instance, rec.claim, rec.claimed = f.instance.mod, f.claim.mod, f.claim.created
	inFront := rec.claim != 0 && f.elder == "" && f.server == ""
	alone := f.claimant == "" && f.rival == ""
	switch {
	case !rec.exclusive() && f.claimant == "":
		rec.todo = write
	case !rec.exclusive():
		r.refuse(rec, f, f.claimant, intact)
	case inFront:
		rec.todo, rec.line = write, front
	case alone:
		rec.todo, rec.line = write, unknown
	case rec.inst.Mode == naming.ModeStandby && !r.draining:
		rec.todo, rec.line = write, end
		if rec.role == waiting && intact && rec.pending == nil {
			rec.todo, rec.line = rest, unknown
		}
	default:
		r.refuse(rec, f, cmp.Or(f.server, f.elder, f.claimant, f.rival), intact)
	}
}

// displaced reports whether another process of our node holds own, and may.
func (r *registrar) displaced(rec *record, own fact) bool {
	switch {
	case own.mod == 0 || !own.readable || r.ours(own.lease):
		return false
	case own.incarnation != rec.inst.Incarnation:
		return own.incarnation > rec.inst.Incarnation
	}
	// An equal incarnation without a lease was written by hand.
	return own.lease != 0 && rec.pending == nil
}

// disturbed notes that somebody else changed or deleted our keys. It is undone
// at once, but not time and again at once: whoever did it may be undoing what we
// do.
func (r *registrar) disturbed(rec *record) {
	now := time.Now()
	if now.Sub(rec.repaired) > r.opts.TTL {
		rec.calm.reset()
	} else {
		rec.notBefore = now.Add(rec.calm.next())
	}
	rec.repaired = now
	r.disturbances = append(r.disturbances, rec.inst.Name)
}

// tellDisturbed logs what was disturbed, unless it turned out to be the end of
// the lease, which is logged as such.
func (r *registrar) tellDisturbed() {
	if n := len(r.disturbances); n > 0 && r.lease != 0 {
		r.log.Warn("records were changed or deleted in etcd by somebody else, or with their lease; writing them again",
			"records", n, "name", r.disturbances[0])
	}
	r.disturbances = nil
}

// refuse takes in that owner has rec's name. intact says that our keys stand as
// they were written.
func (r *registrar) refuse(rec *record, f facts, owner naming.NodeID, intact bool) {
	err := &naming.TakenError{Name: rec.inst.Name, Owner: owner}
	stands := r.ours(f.instance.lease) || r.ours(f.claim.lease)
	if q := rec.pending; q != nil {
		rec.pending = nil
		r.reply(q, err)
		switch {
		case rec.last != nil:
			rec.inst, rec.last, rec.line, rec.todo = *rec.last, nil, unknown, write
			if intact && (rec.role == serving || rec.role == waiting) {
				rec.todo = rest // what is published is what was before
			}
			return
		case stands:
			rec.leave()
		default:
			r.remove(rec)
		}
		return
	}
	if rec.role != refused {
		r.log.Warn("a record cannot be published: its name was taken meanwhile; it will be when the name is free",
			"name", rec.inst.Name, "owner", owner)
	}
	rec.role, rec.err, rec.todo, rec.line = refused, err, rest, unknown
	switch {
	case r.draining && rec.inst.Mode == naming.ModeStandby:
		rec.leave()
	case stands:
		rec.todo = quit
	}
}
