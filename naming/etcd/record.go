package etcd

import (
	"time"

	"farcall.dev/naming"
)

// record is what this process wants to be known of one name, and what it knows
// of how that stands in etcd. It belongs to the registrar's loop.
type record struct {
	inst naming.Instance
	// last is what inst was before the registration that pending waits for; nil
	// when there was none.
	last *naming.Instance
	// pending is the request that waits for the record to be written or gone;
	// nil when nobody waits.
	pending *request
	// leaving says that the record ends as soon as its keys are gone.
	leaving bool

	role role
	err  error // why role is refused
	todo todo
	// line says how to write a record that does not own its name: nothing is
	// known of the line, so try to be alone in it (unknown); join its end (end);
	// or serve, as the first (front).
	line line

	// instance, claim and claimed are the revisions that etcd should have for
	// our instance, for our claim, and for the creation of our claim; 0 where
	// there should be none.
	instance, claim, claimed int64
	// written is the revision of our last write. Whatever is seen to happen to
	// our keys after it was done by somebody else.
	written int64

	repaired  time.Time // when somebody else's change was last undone
	calm      backoff   // keeps two who undo each other's changes from racing
	notBefore time.Time
}

// role is the part that a record plays, as far as etcd has confirmed it.
type role int

const (
	absent  role = iota
	serving      // it is published and may be called
	waiting      // it is published as standby
	refused      // it is not published, since the rules forbid it; see record.err
)

// todo is what must be done about a record.
type todo int

const (
	rest  todo = iota
	write      // publish it
	check      // see whether it stands as it was written
	look       // see whether the rules now allow more than they did
	quit       // take it back
)

// line is how to write a record of an exclusive name.
type line int

const (
	unknown line = iota
	end
	front
)

// forget forgets what is known of etcd, as when the lease has ended.
func (rec *record) forget() {
	rec.instance, rec.claim, rec.claimed, rec.line = 0, 0, 0, unknown
	rec.role, rec.written = absent, 0
	rec.notBefore = time.Time{}
	if !rec.leaving {
		rec.todo = write
	}
}

// leave makes the record end.
func (rec *record) leave() {
	rec.leaving, rec.todo, rec.last, rec.notBefore = true, quit, nil, time.Time{}
}

// exclusive reports whether the record wants its name for itself.
func (rec *record) exclusive() bool { return rec.inst.Mode != naming.ModeShared }

// sighting is what the watch has seen of one of our names since the loop last
// looked.
type sighting struct {
	// any says that something happened, own at which revision something last
	// happened to our own keys.
	any bool
	own int64
	// gap says that anything may have happened.
	gap  bool
	node naming.NodeID // ours
}

// observer is the registrar as the sink of its feeds.
type observer struct{ r *registrar }

var _ sink = observer{}

func (o observer) reset([]item, int64) {
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	for _, s := range o.r.seen {
		s.gap, s.own = true, 0 // it may be another store, with lower revisions
	}
	poke(o.r.wake)
}

func (o observer) change(items []item, rev int64) {
	o.r.mu.Lock()
	defer o.r.mu.Unlock()
	for _, it := range items {
		_, key, ok := o.r.keys.parse(it.key)
		if !ok {
			continue
		}
		s := o.r.seen[key.Name]
		if s == nil {
			continue
		}
		s.any = true
		if s.node == key.Node {
			s.own = max(s.own, rev) // the two feeds are not in step
		}
		poke(o.r.wake)
	}
}

func (observer) confirm(int64)   {}
func (observer) fail(error)      {}
func (observer) overflown() bool { return false }

// follow starts the feeds.
func (r *registrar) follow() {
	if r.feeds != nil {
		return
	}
	for _, s := range []space{instances, owners} {
		r.feeds = append(r.feeds, r.watcher.add(r.keys.ofPrefix(s, ""), false, 0, observer{r}))
	}
}

// unfollow ends the feeds.
func (r *registrar) unfollow() {
	for _, f := range r.feeds {
		r.watcher.remove(f)
	}
	r.feeds = nil
}

// notice takes in what the watch has seen.
func (r *registrar) notice() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, s := range r.seen {
		rec := r.records[name]
		if rec == nil || !s.any && !s.gap {
			continue
		}
		changed := s.own > rec.written
		if rec.todo == rest {
			switch {
			case rec.role == serving && (changed || s.gap):
				rec.todo = check
			case rec.role == waiting:
				rec.todo = look
			case rec.role == refused:
				rec.todo, rec.line = write, unknown
			}
		}
		s.any, s.gap = false, false
	}
}
