package rmi

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"farcall.dev/naming"
)

// Ref is a reference to an object without a name, here or on another node. It
// can be part of any argument or result, and is called like a name: it is the
// [Handler] of its object. A Space has one Ref for each object, so that two
// references are to the same object when their pointers are equal.
//
// As long as a Ref is in use its object is kept by its owner, be the Ref ever so
// far away; see [Space.Export] for when an object is given up. A Ref that the
// program no longer reaches is released by itself; Release does it at once.
//
// Its methods may be called from any number of goroutines.
type Ref struct {
	// self is the Ref that this may be a copy of, which the CBOR library makes; nil
	// when it was decoded by a type's own method, which could not know the Space:
	// it is of no use then.
	self  *Ref
	space *Space
	refTag
	// own is the object, when it is one of this process; else nil.
	own *export
	// held is what the owner is told of; nil for an object of this process.
	held *holding
}

var (
	_ Handler    = (*Ref)(nil)
	_ Referencer = (*Ref)(nil)
)

// Referencer is implemented by what stands for an object elsewhere, such as a
// proxy. Given as an argument or a result it travels as its reference.
type Referencer interface {
	// Ref returns the reference; nil when there is none.
	Ref() *Ref
}

// Unreferencer is implemented by objects that want to be told when no other
// process holds a reference to them any more. Its method is not exported to
// callers.
type Unreferencer interface {
	// Unreferenced is called on a goroutine of its own when the last holder has
	// released the object, has ended, or was cut off for longer than the lease.
	// If the object is passed on again after that, it is called again.
	Unreferenced()
}

// errReleased is why a Ref cannot be used.
var errReleased = errors.New("the reference was released here")

// refPrefix begins the names by which objects without one are called.
const refPrefix = "#"

// refID identifies an object without a name among those of its owner.
type refID [12]byte

// newRefID returns an id that nobody can guess.
func newRefID() (id refID) {
	rand.Read(id[:]) // never fails
	return id
}

// name returns what the object is called in a request.
func (id refID) name() naming.Name {
	return naming.Name(refPrefix + base64.RawURLEncoding.EncodeToString(id[:]))
}

// parseRefName returns the id in name, and whether it is the name of a
// reference at all.
func parseRefName(name naming.Name) (id refID, ok bool) {
	text, ok := strings.CutPrefix(string(name), refPrefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, false
	}
	_, err := base64.RawURLEncoding.Decode(id[:], []byte(text))
	return id, err == nil
}

// Ref returns r.
func (r *Ref) Ref() *Ref { return r }

// Space returns the Space that r belongs to.
func (r *Ref) Space() *Space { return r.space }

// Node returns the node of the object's owner.
func (r *Ref) Node() naming.NodeID { return r.owner.node }

// Type returns what the owner calls the object's type, for people; it may be
// empty.
func (r *Ref) Type() string { return r.typ }

// Object returns the name by which the object is called on its node: '#' and its
// id. Who knows it may call the object.
func (r *Ref) Object() naming.Name { return r.id.name() }

// String says what r refers to, without what it takes to call it.
func (r *Ref) String() string {
	if r == nil {
		return "<no reference>"
	}
	typ := r.typ
	if typ == "" {
		typ = "an object"
	}
	return fmt.Sprintf("<reference to %s on %s>", typ, r.owner.node)
}

// Local returns the object itself when it is one of this process.
func (r *Ref) Local() (v any, ok bool) {
	if r.own == nil || r.own.relay != nil {
		return nil, false
	}
	return r.own.value()
}

// Invoke calls a method of the object; see [Invoke].
func (r *Ref) Invoke(ctx context.Context, method string, args ...any) (any, error) {
	return Invoke(ctx, r, r.Object(), method, args...)
}

// Bind fills stub, so that its funcs call the methods of the object; see [Bind].
// A field of type *Ref gets r, and the stub then travels as that reference.
func (r *Ref) Bind(stub any) error { return Bind(r, r.Object(), stub) }

// Handle has the object carry out call, whatever name that has: by the way that
// [SpaceOptions].Calls says, or straight to the owner. Errors of its own are
// FAILED_PRECONDITION when r was released, be it while the call was on its way,
// NOT_FOUND when the owner has started anew or no longer has the object, and
// UNAVAILABLE when it cannot be reached; none was executed then.
func (r *Ref) Handle(ctx context.Context, call *Call) (Reply, error) {
	if err := r.usable(); err != nil {
		return Reply{}, refusal(FailedPrecondition, "call %v: %w", r, err)
	}
	call.ref, call.Object = r, r.Object()
	defer runtime.KeepAlive(r)
	var reply Reply
	var err error
	if calls := r.space.opts.Calls; calls != nil {
		reply, err = calls.Handle(ctx, call)
	} else {
		reply, err = r.send(ctx, call)
	}
	return reply, r.overtaken(err)
}

// overtaken returns what err, the failure of a call of r, means: when the owner
// no longer had the object, and r was released while the call was under way, the
// one is because of the other.
func (r *Ref) overtaken(err error) error {
	e, ok := err.(*Error)
	if !ok || e.Code != NotFound || e.Execution != NotExecuted {
		return err
	}
	if why := r.usable(); why != nil {
		return refusal(FailedPrecondition, "call %v: %w", r, why)
	}
	return err
}

// send carries out call, which is for r, at the end of its way.
func (r *Ref) send(ctx context.Context, call *Call) (Reply, error) {
	if r.own == nil {
		return sendTo(ctx, call, r.owner, func(ctx context.Context) (*Conn, error) {
			return r.space.connTo(ctx, r.owner)
		})
	}
	if serve := r.space.opts.Serve; serve != nil {
		return serve.Handle(ctx, call)
	}
	objects := r.space.objects.Load()
	if objects == nil {
		return Reply{}, refusal(Unimplemented, "call %v: this process serves nothing", r)
	}
	return objects.Handle(ctx, call)
}

// Release gives r up before the program no longer reaches it. Another process's
// object is no longer kept for this process: r, and what was made of it, cannot
// be used any more anywhere in it. An object of this process can no longer be
// called by its reference, whoever holds it; it is not told. A reference that
// comes, or is made, later is another Ref. It may be called twice.
func (r *Ref) Release() {
	if r.own != nil {
		r.space.refs.revoke(r)
	} else {
		r.space.refs.release(r)
	}
}

// usable returns why r cannot be used, or nil.
func (r *Ref) usable() error {
	switch {
	case r.self == nil:
		return errors.New("the reference was decoded by a type's own method, which cannot say where it is from")
	case r.own != nil && r.own.revoked.Load(), r.held != nil && r.held.released(r.self):
		return errReleased
	}
	return nil
}

// MarshalCBOR writes r as it travels, and keeps the object until the receiver
// has had the time to say that it holds it.
func (r *Ref) MarshalCBOR() ([]byte, error) { return r.appendTo(nil) }

// UnmarshalCBOR reads a reference. The decoder of arguments and results then
// puts the Ref of their Space in its place.
func (r *Ref) UnmarshalCBOR(data []byte) error {
	tag, rest, err := readReference(data)
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	if err != nil {
		return err
	}
	*r = Ref{refTag: tag}
	return nil
}

// MarshalText writes r for people, where a result is turned into text.
func (r *Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// appendTo appends r as it travels, and counts it as given away.
func (r *Ref) appendTo(dst []byte) ([]byte, error) {
	if err := r.usable(); err != nil {
		return nil, fmt.Errorf("%v: %w", r, err)
	}
	r = r.self
	give := r
	if r.own == nil {
		if !r.space.reachable(r.owner) {
			relay, err := r.space.refs.relayTo(r)
			if err != nil {
				return nil, err
			}
			give = relay
		} else {
			if err := r.space.refs.pin(r); err != nil {
				return nil, fmt.Errorf("%v: %w", r, err)
			}
		}
	}
	if give.own != nil {
		if err := r.space.refs.give(give); err != nil {
			return nil, err
		}
	}
	return give.refTag.append(dst), nil
}

// refType is that of references wherever they are in a value.
var refType = reflect.TypeFor[*Ref]()
