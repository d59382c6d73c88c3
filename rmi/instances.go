package rmi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"

	"farcall.dev/naming"
)

// The bounds on the instances that factories make.
const (
	// MaxSessionInstances bounds the objects that one session has an instance of. A
	// call that needs one more is refused with RESOURCE_EXHAUSTED.
	MaxSessionInstances = 1024
	// DefaultMaxInstances is the default of ObjectsOptions.MaxInstances.
	DefaultMaxInstances = 65536
)

// Why an instance's life ended; the cause of its context's end.
var (
	errInstanceEnded   = errors.New("the life of the object's instance is over")
	errObjectsShutDown = errors.New("this process has stopped serving")
)

// metadataForwarded is in the metadata of a call that another node's gateway
// passes on for a caller who has no session with this one.
const metadataForwarded = "farcall-forwarded"

// instances are those of one Objects.
//
// An instance is in the table from the first call that needs it until its life
// ends. It counts its uses: the goroutine that makes it is one, each call is one.
// When it has left the table and its last use has ended, it is closed, on a
// goroutine of its own. Nothing of the user's runs with mu held.
type instances struct {
	log *slog.Logger
	max int

	mu sync.Mutex
	// What follows is guarded by mu.

	// of holds the instances of each session, those that belong to none under nil.
	// A session has an entry until it ends.
	of map[*Session]map[*instanced]*instance
	// living counts the instances that are not closed.
	living int
	closed bool
	// drained is closed when nothing lives and nothing will.
	drained chan struct{}
}

func newInstances(most int, log *slog.Logger) *instances {
	setDefault(&most, DefaultMaxInstances)
	return &instances{log: log, max: most, drained: make(chan struct{}),
		of: map[*Session]map[*instanced]*instance{nil: {}}}
}

// instanced is an exported object that a factory makes.
type instanced struct {
	all     *instances
	factory Factory
	object  naming.Name
	removed bool // guarded by all.mu
}

// instance is one that was made, or is being made.
type instance struct {
	in      *instanced
	session *Session // nil when it belongs to none

	// ctx is its life.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// made is closed when it is known what came of making it: value, or err.
	made  chan struct{}
	value reflect.Value
	err   *Error

	uses  int  // guarded by in.all.mu
	ended bool // guarded by in.all.mu; no use is added any more
}

// use is the use that one call makes of an instance.
type use struct {
	*instance
	// ctx is the call's; it ends with the instance, too.
	ctx  context.Context
	stop func()
}

// acquire returns the instance for a call, whose method's context is ctx. What it
// returns must be released.
func (in *instanced) acquire(ctx context.Context, call *Call, fails *failures) (u use, err error) {
	if in.factory.scope == PerCall {
		return in.acquireOwn(ctx, fails)
	}
	var session *Session
	if in.factory.scope == PerSession && !call.Peer.local() {
		if session, err = in.sessionOf(ctx, call); err != nil {
			return use{}, err
		}
	}
	inst, err := in.all.find(session, in, fails)
	if err != nil {
		return use{}, err
	}
	select {
	case <-inst.made:
	case <-ctx.Done():
		in.all.release(inst)
		return use{}, refusal(contextCode(ctx.Err()), "%s: its instance was not made in time: %w", in.object, context.Cause(ctx))
	}
	if inst.err != nil {
		in.all.release(inst)
		e := *inst.err // each call has its own
		return use{}, &e
	}
	mine, cancel := context.WithCancelCause(ctx)
	undo := context.AfterFunc(inst.ctx, func() { cancel(context.Cause(inst.ctx)) })
	return use{instance: inst, ctx: mine, stop: func() {
		undo()
		cancel(context.Canceled)
	}}, nil
}

// acquireOwn makes an instance for one call.
func (in *instanced) acquireOwn(ctx context.Context, fails *failures) (use, error) {
	inst, err := in.all.own(ctx, in)
	if err != nil {
		return use{}, err
	}
	done := false
	defer func() {
		if !done {
			in.all.release(inst)
		}
	}()
	inst.make(fails)
	if inst.err != nil {
		return use{}, inst.err
	}
	done = true
	return use{instance: inst, ctx: ctx, stop: func() {}}, nil
}

// release ends the use.
func (u use) release() {
	u.stop()
	u.in.all.release(u.instance)
}

// sessionOf returns the session that a call came in, or why there is none.
func (in *instanced) sessionOf(ctx context.Context, call *Call) (*Session, error) {
	why := "the caller did not say who it is"
	switch {
	case call.Peer.Protocol != "mesh":
		why = "a call by " + call.Peer.Protocol + " has none"
	case call.Metadata[metadataForwarded] != "":
		why = "a call that a gateway passes on has none"
	default:
		if s := SessionFrom(ctx); s != nil {
			return s, nil
		}
	}
	return nil, refusal(FailedPrecondition, "%s has an instance for each session, and %s; call it by RMI, from a process that has joined the mesh", in.object, why)
}

// find returns the instance of a session, with a use added; it has one made if
// there is none.
func (t *instances) find(session *Session, in *instanced, fails *failures) (*instance, error) {
	for {
		t.mu.Lock()
		those, known := t.of[session]
		if !known {
			t.of[session] = make(map[*instanced]*instance)
			t.mu.Unlock()
			if !session.onEnd(func() { t.endSession(session) }) {
				t.endSession(session)
				return nil, refusal(Unavailable, "%s: the session has ended: %w", in.object, context.Cause(session.Context()))
			}
			continue
		}
		inst := those[in]
		if inst != nil {
			inst.uses++
			t.mu.Unlock()
			return inst, nil
		}
		err := t.roomLocked(in)
		if err == nil && session != nil && len(those) >= MaxSessionInstances {
			err = refusal(ResourceExhausted, "%s: this session has an instance of %d objects, and no more are allowed", in.object, MaxSessionInstances)
		}
		if err == nil {
			life := context.Background()
			if session != nil {
				life = context.WithValue(session.Context(), sessionKey{}, session)
			}
			inst = t.addLocked(life, session, in)
			inst.uses++ // that of the goroutine which makes it
			those[in] = inst
		}
		t.mu.Unlock()
		if err != nil {
			return nil, err
		}
		go func() {
			defer func() { // also when the factory ends its goroutine
				if inst.err != nil {
					t.end(inst, errInstanceEnded) // the next call tries again
				}
				close(inst.made) // after that, for who hears of the failure may call at once
				t.release(inst)
			}()
			inst.make(fails)
		}()
		return inst, nil
	}
}

// own returns an instance that is not in the table, for the one call that uses
// it.
func (t *instances) own(ctx context.Context, in *instanced) (*instance, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.roomLocked(in); err != nil {
		return nil, err
	}
	inst := t.addLocked(ctx, nil, in)
	inst.ended = true
	return inst, nil
}

// roomLocked returns why there can be no instance more.
func (t *instances) roomLocked(in *instanced) error {
	switch {
	case t.closed:
		return refusal(Unavailable, "%s: %w", in.object, errObjectsShutDown)
	case in.removed:
		return refusal(NotFound, "%s was taken back", in.object)
	case t.living >= t.max:
		return refusal(ResourceExhausted, "%s: this node has %d instances of objects, and no more are allowed", in.object, t.max)
	}
	return nil
}

// addLocked returns an instance that is yet to be made, with one use.
func (t *instances) addLocked(life context.Context, session *Session, in *instanced) *instance {
	inst := &instance{in: in, session: session, made: make(chan struct{}), uses: 1}
	inst.ctx, inst.cancel = context.WithCancelCause(life)
	t.living++
	return inst
}

// make makes the instance, or sets err.
func (inst *instance) make(fails *failures) {
	defer func() {
		if v := recover(); v != nil {
			inst.err = inst.panicked("the factory of an object panicked", v)
		} else if inst.err == nil && !inst.value.IsValid() {
			inst.err = Errorf(Internal, "%s: its factory made nothing", inst.in.object)
		}
	}()
	v, err := inst.in.factory.make(inst.ctx)
	if err != nil {
		inst.err = fails.of(err)
		return
	}
	if rv := reflect.ValueOf(v); rv.IsValid() && (rv.Kind() != reflect.Pointer || !rv.IsNil()) {
		inst.value = rv
	}
}

// panicked logs a panic and returns what the callers get for it.
func (inst *instance) panicked(what string, v any) *Error {
	stack := string(debug.Stack())
	inst.in.all.log.Error(what, "object", inst.in.object, "panic", fmt.Sprint(v), "stack", stack)
	e := Errorf(Internal, "%s: its factory panicked; the log of its node tells more", inst.in.object)
	e.Trace = fmt.Sprintf("panic: %v\n\n%s", v, stack)
	return e
}

// release ends one use of inst.
func (t *instances) release(inst *instance) {
	t.mu.Lock()
	inst.uses--
	last := inst.uses == 0 && inst.ended
	t.mu.Unlock()
	if last {
		go t.close(inst)
	}
}

// end takes inst out of the table, so that it is closed after its last use. A
// cause ends its context, and those of its uses, before that.
func (t *instances) end(inst *instance, cause error) {
	t.mu.Lock()
	if inst.ended {
		t.mu.Unlock()
		return
	}
	inst.ended = true
	if those := t.of[inst.session]; those[inst.in] == inst {
		delete(those, inst.in)
	}
	idle := inst.uses == 0
	t.mu.Unlock()
	if cause != nil {
		inst.cancel(cause)
	}
	if idle {
		go t.close(inst)
	}
}

// close closes inst, which nobody uses any more.
func (t *instances) close(inst *instance) {
	inst.cancel(errInstanceEnded)
	inst.close()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.living--
	t.drainedLocked()
}

// close calls the instance's own Close.
func (inst *instance) close() {
	if !inst.value.IsValid() {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			inst.panicked("the Close of an object's instance panicked", v)
		}
	}()
	switch c := inst.value.Interface().(type) {
	case interface{ Close() error }:
		if err := c.Close(); err != nil {
			inst.in.all.log.Warn("an object's instance was not closed well", "object", inst.in.object, "err", err)
		}
	case interface{ Close() }:
		c.Close()
	}
}

// drainedLocked tells who waits when nothing lives and nothing will.
func (t *instances) drainedLocked() {
	if t.closed && t.living == 0 {
		select {
		case <-t.drained:
		default:
			close(t.drained)
		}
	}
}

// endSession ends the instances of a session that has ended.
func (t *instances) endSession(session *Session) {
	t.mu.Lock()
	those := t.of[session]
	delete(t.of, session)
	list := slices.Collect(maps.Values(those))
	t.mu.Unlock()
	for _, inst := range list {
		t.end(inst, context.Cause(session.Context()))
	}
}

// remove ends the instances of an object that is taken back. Calls that have
// begun go on.
func (t *instances) remove(in *instanced) {
	t.mu.Lock()
	in.removed = true
	var list []*instance
	for _, those := range t.of {
		if inst := those[in]; inst != nil {
			list = append(list, inst)
		}
	}
	t.mu.Unlock()
	for _, inst := range list {
		t.end(inst, nil)
	}
}

// shutdown ends every instance and waits until the last is closed, or ctx ends.
func (t *instances) shutdown(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	var list []*instance
	for _, those := range t.of {
		list = slices.AppendSeq(list, maps.Values(those))
	}
	t.drainedLocked()
	t.mu.Unlock()
	for _, inst := range list {
		t.end(inst, errObjectsShutDown)
	}
	select {
	case <-t.drained:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the instances of objects: %w", context.Cause(ctx))
	}
}
