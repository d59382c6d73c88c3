package rmi

import (
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"farcall.dev/naming"
)

// How objects without a name live.
//
// An object that is exported has a Ref of its own. The table kept holds those
// that others may call. A Ref is kept while it is registered under a name, while
// a session holds it, and, for the length of a lease, while it is in transit:
// given away more often than receipts have come, or made and not given away yet.
// When the last of these reasons ends the object is collected: it leaves the
// table, and is told if it asks. What the program itself still reaches can be
// given away again, and is then kept again under the same id. The tables byID and
// byValue are weak, so that what only they know is garbage.
//
// A reference to another process's object has a holding for as long as a Ref of
// it is in use. What changes is queued, and told to the owner by a goroutine that
// ends when there is nothing more to say; see holdings.go.
//
// references.mu guards all of this, and nothing else is locked under it. It is
// never held while user code runs or something is sent: the reader of the lane
// takes it.

// references are what a Space knows of objects without a name.
type references struct {
	space *Space

	mu sync.Mutex
	// What follows is guarded by mu.
	kept     map[refID]*Ref
	byID     map[refID]weak.Pointer[Ref]
	byValue  map[exportKey]weak.Pointer[Ref]
	holdings map[peerID]*holdings
	// past are holdings that had nothing in them when a session with their owner
	// ended, oldest first.
	past []*holdings
	// lists counts the lists of what is held here that were begun, to any owner.
	lists uint64
	// waiting counts what is kept only because it is in transit.
	waiting int
	// transit counts what was given away more often than receipts came.
	transit int
	// reaching are the peers that somebody tries to connect to.
	reaching map[peerID]*reaching
	closed   bool
}

// exportKey identifies a value that travels by reference: a pointer, by its type
// and where it points, and the interface whose methods it shows; nil for all.
// The address stays the value's for as long as its Ref lives.
type exportKey struct {
	at    uintptr
	typ   reflect.Type
	iface reflect.Type
}

// export is an object of this process that has a Ref.
type export struct {
	// v is the object; invalid for a relay.
	v   reflect.Value
	key exportKey // its zero value for what has no identity
	// object returns the plans of its methods; made when first called.
	object       func() (*object, error)
	unreferenced func() // may be nil
	// relay is what calls are passed on to; nil for an object that is here.
	relay   *Ref
	revoked atomic.Bool

	// What follows is guarded by references.mu.

	// kept says that it is in references.kept; waiting and transit that it counts as
	// such.
	kept, waiting, transit bool
	// fresh says that it was never given away; given is how often that was done
	// and no receipt came, and since is when it was last.
	fresh bool
	given uint64
	since time.Time
	// lent says that it was given away since it was last collected.
	lent bool
	// timer ends the transit; nil when it does not run.
	timer *time.Timer
	// holders counts the sessions that hold it, names those it is registered as.
	holders, names int
}

// value returns the object.
func (e *export) value() (any, bool) {
	if !e.v.IsValid() {
		return nil, false
	}
	return e.v.Interface(), true
}

func (r *references) init(s *Space) {
	r.space = s
	r.kept = make(map[refID]*Ref)
	r.byID = make(map[refID]weak.Pointer[Ref])
	r.byValue = make(map[exportKey]weak.Pointer[Ref])
	r.holdings = make(map[peerID]*holdings)
	r.reaching = make(map[peerID]*reaching)
}

// Export makes v, usually a pointer, an object that others can call without a
// name, and returns its reference. What methods may be called, and what they may
// take and return, is told at [Objects.Export]; a func is an object with no
// method but itself. From then on v travels as its reference wherever it is an
// argument or a result. The same pointer gets the same Ref.
//
// The object is kept as long as another process holds the reference, and for the
// length of a lease after it was exported or given away, in which the receiver
// has time to say that it holds it. Then it is collected: it cannot be called any
// more, and is told if it asks ([ExportOptions].Unreferenced, [Unreferencer]). As
// long as the program keeps the Ref, v can be passed on again after that, and
// keeps its identity. [Ref.Release] takes the export back at once.
//
// Errors: an [*ExportError], or RESOURCE_EXHAUSTED when [SpaceOptions]
// .MaxReferences objects wait for their first holder.
func (s *Space) Export(v any, opts ExportOptions) (*Ref, error) {
	if ref, ok := v.(*Ref); ok {
		return ref, nil
	}
	rv := reflect.ValueOf(v)
	if ref := s.refs.lookup(keyOf(rv, nil)); ref != nil {
		return ref, nil
	}
	id := newRefID()
	var obj *object
	var err error
	if rv.Kind() == reflect.Func {
		obj, err = newFunction(id.name(), v, opts, s)
	} else {
		obj, err = newInstance(id.name(), v, opts, s, nil)
	}
	if err != nil {
		return nil, err
	}
	e := &export{v: rv, key: keyOf(rv, nil), unreferenced: opts.Unreferenced,
		object: func() (*object, error) { return obj, nil }}
	return s.refs.add(id, refTypeName(obj.info.Go), e)
}

// keyOf returns what identifies v as seen through iface; the zero value when it
// has no identity.
func keyOf(v reflect.Value, iface reflect.Type) exportKey {
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return exportKey{}
	}
	return exportKey{v.Pointer(), v.Type(), iface}
}

// add enters an export under id, unless its value has one already, and returns
// its Ref. It is kept for the length of a lease from now on.
func (r *references) add(id refID, typ string, e *export) (*Ref, error) {
	if e.unreferenced == nil && e.v.IsValid() {
		if u, ok := e.v.Interface().(Unreferencer); ok {
			e.unreferenced = u.Unreferenced
		}
	}
	ref := &Ref{space: r.space, refTag: refTag{owner: r.space.self(), id: id, typ: typ}, own: e}
	ref.self = ref
	if e.relay != nil {
		ref.origin = &e.relay.refTag
		if e.relay.origin != nil {
			ref.origin = e.relay.origin
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if have := r.byValue[e.key].Value(); have != nil && !have.own.revoked.Load() {
		return have, nil
	}
	e.fresh = true
	if err := r.transitLocked(ref); err != nil {
		return nil, err
	}
	r.byID[id] = weak.Make(ref)
	if e.key != (exportKey{}) {
		r.byValue[e.key] = weak.Make(ref)
	}
	key := e.key // and not e, which leads to the Ref
	runtime.AddCleanup(ref, func(id refID) { r.unreachable(id, key) }, id)
	return ref, nil
}

// unreachable forgets an own Ref that the program no longer reaches.
func (r *references) unreachable(id refID, key exportKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, id)
	if w, ok := r.byValue[key]; ok && w.Value() == nil {
		delete(r.byValue, key) // else another value lies there by now
	}
}

// lookup returns the Ref of the value with key; nil when it has none.
func (r *references) lookup(key exportKey) *Ref {
	if key == (exportKey{}) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ref := r.byValue[key].Value()
	if ref == nil || ref.own.revoked.Load() {
		return nil
	}
	return ref
}

// find returns the object that is called by name; nil when nobody may call it
// any more.
func (r *references) find(name naming.Name) (*object, error) {
	id, ok := parseRefName(name)
	if !ok {
		return nil, nil
	}
	r.mu.Lock()
	ref := r.kept[id]
	r.mu.Unlock()
	if ref == nil {
		return nil, nil
	}
	return ref.own.object()
}

// home returns the Ref of the object of this process with this id; nil when it
// is gone.
func (r *references) home(id refID) *Ref {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ref := r.kept[id]; ref != nil {
		return ref
	}
	ref := r.byID[id].Value()
	if ref == nil || ref.own.revoked.Load() {
		return nil
	}
	return ref
}

// gone is the error of what needs an object of this process that is no more.
func (r *references) gone() *Error {
	return refusal(NotFound, "the object on %v that the reference means is gone: nobody held it for longer than the lease, or it was released", r.space.self())
}

// give notes that ref, which is an own one, is given away.
func (r *references) give(ref *Ref) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := ref.own
	if e.revoked.Load() {
		return fmt.Errorf("%v: %w", ref, errReleased)
	}
	e.given++ // before it is weighed
	if err := r.transitLocked(ref); err != nil {
		e.given--
		return err
	}
	e.fresh, e.lent = false, true
	return nil
}

// transitLocked keeps ref for the length of a lease from now on.
func (r *references) transitLocked(ref *Ref) error {
	e := ref.own
	if r.closed {
		return refusal(FailedPrecondition, "%v cannot be given away: %w", ref, errSpaceClosed)
	}
	if !e.waiting && e.holders == 0 && e.names == 0 {
		if most := r.space.opts.MaxReferences; r.waiting >= most {
			return refusal(ResourceExhausted, "%d objects were given away and nobody has taken them yet, and no more are allowed", most)
		}
	}
	r.kept[ref.id], e.kept = ref, true
	e.since = time.Now()
	if e.timer == nil {
		e.timer = time.AfterFunc(r.space.opts.Lease, func() { r.transitOver(ref) })
	}
	r.weighLocked(ref)
	return nil
}

// transitOver ends the transit of ref, if nothing prolonged it.
func (r *references) transitOver(ref *Ref) {
	r.mu.Lock()
	e := ref.own
	if e.timer == nil {
		r.mu.Unlock()
		return
	}
	if left := r.space.opts.Lease - time.Since(e.since); left > 0 && !r.closed {
		e.timer.Reset(left)
		r.mu.Unlock()
		return
	}
	e.timer, e.fresh, e.given = nil, false, 0
	told := r.weighLocked(ref)
	r.mu.Unlock()
	r.tell(told)
}

// weighLocked counts ref as what it is now: held, waiting, or to be collected. It
// returns what is to be told then.
func (r *references) weighLocked(ref *Ref) (told func()) {
	e := ref.own
	if e.given == 0 && !e.fresh && e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
	waiting := e.kept && e.holders == 0 && e.names == 0
	if waiting && e.timer == nil {
		delete(r.kept, ref.id)
		e.kept, waiting = false, false
		if e.lent {
			told = e.unreferenced
		}
		e.lent = false
	}
	if transit := e.given > 0; transit != e.transit {
		e.transit = transit
		if transit {
			r.transit++
		} else {
			r.transit--
		}
	}
	if waiting != e.waiting {
		e.waiting = waiting
		if waiting {
			r.waiting++
		} else {
			r.waiting--
		}
	}
	return told
}

// tell calls what wants to know that it was collected.
func (r *references) tell(all ...func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range all {
		if f != nil && !r.closed {
			r.space.goEnd(f) // on a goroutine, and not under mu
		}
	}
}

// revoke takes an own Ref back, whoever holds it.
func (r *references) revoke(ref *Ref) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := ref.own
	if e.revoked.Swap(true) {
		return
	}
	e.given, e.fresh, e.lent, e.holders, e.names = 0, false, false, 0, 0
	r.weighLocked(ref)
	delete(r.byID, ref.id)
	if r.byValue[e.key].Value() == ref {
		delete(r.byValue, e.key)
	}
}

// named makes the value of obj, which is exported under a name, travel by
// reference for as long as it is. It returns what ends that.
func (r *references) named(v reflect.Value, obj *object) (end func()) {
	key := keyOf(v, nil)
	if key == (exportKey{}) {
		return func() {}
	}
	ref := r.lookup(key)
	if ref == nil {
		e := &export{v: v, key: key, object: func() (*object, error) { return obj, nil }}
		var err error
		if ref, err = r.add(newRefID(), refTypeName(obj.info.Go), e); err != nil {
			return func() {} // the Space is closed, or full: it travels as a value
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ref.own.names++
	ref.own.fresh = false
	r.weighLocked(ref)
	return func() {
		r.mu.Lock()
		if ref.own.names == 0 {
			r.mu.Unlock()
			return // it was revoked
		}
		ref.own.names--
		told := r.weighLocked(ref)
		r.mu.Unlock()
		r.tell(told)
	}
}

// close forgets everything. What has timers to run is collected untold.
func (r *references) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, ref := range r.kept {
		e := ref.own
		if e.timer != nil {
			e.timer.Stop()
		}
		e.timer, e.kept, e.waiting = nil, false, false
	}
	r.waiting = 0
	for _, hs := range r.holdings {
		for _, h := range hs.rows {
			if h.pin != nil {
				h.pin.Stop()
			}
		}
	}
	clear(r.kept)
	clear(r.byID)
	clear(r.byValue)
	clear(r.holdings)
}

// stats adds what is kept, for sessions and beyond them, to st.
func (r *references) stats(sessions []*Session, st *SpaceStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Exported, st.Waiting = len(r.kept), r.waiting
	for _, s := range sessions {
		st.Lent += len(s.lent.ids)
	}
	for _, hs := range r.holdings {
		st.Held += len(hs.rows)
	}
}
