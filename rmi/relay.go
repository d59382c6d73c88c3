package rmi

import (
	"context"
	"reflect"
)

// relay passes calls on to an object that others cannot ask for directly, such as
// one of a process that does not listen.
type relay struct{ to *Ref }

var _ Handler = relay{}

// relayTo returns the Ref of an object of this process that passes calls on to
// ref, which is another's.
func (r *references) relayTo(ref *Ref) (*Ref, error) {
	key := keyOf(reflect.ValueOf(ref), nil)
	if have := r.lookup(key); have != nil {
		return have, nil
	}
	id := newRefID()
	obj := &object{info: InterfaceInfo{Name: id.name(), Go: ref.typ}}
	obj.relay = &plan{object: id.name(), handler: relay{ref}}
	e := &export{key: key, relay: ref, object: func() (*object, error) { return obj, nil }}
	return r.add(id, ref.typ, e)
}

// Handle passes call on. The references in its arguments and in its result are
// those of this process then, so that each side can use what the other gave.
func (r relay) Handle(ctx context.Context, call *Call) (Reply, error) {
	args, err := r.pass(call.Args)
	if err != nil {
		return Reply{}, passError("the arguments", err, NotExecuted)
	}
	reply, err := r.to.Handle(ctx, &Call{
		Method: call.Method, Args: args, Metadata: call.Metadata, Peer: call.Peer,
		Timeout: call.Timeout, Way: call.Way, Idempotent: call.Idempotent, Trail: call.Trail,
	})
	if err != nil {
		return Reply{}, err
	}
	if reply.Result, err = r.pass(reply.Result); err != nil {
		return Reply{}, passError("the result", err, Executed)
	}
	return reply, nil
}

// passError is the failure of a call because of a reference in what was passed
// on.
func passError(what string, err error, executed Execution) *Error {
	e := Errorf(errorCode(err, Internal), "pass %s on: %w", what, err)
	e.Execution = executed
	return e
}

// pass returns p with the references in it taken, and given away again.
func (r relay) pass(p Payload) (Payload, error) {
	if p.Type != ContentCBOR && p.Type != ContentBatch {
		return p, nil
	}
	data, err := r.to.space.refs.regive(p.Data, p.sender(), nil)
	p.Data = data
	return p, err
}

// regive returns data, which came from the process from, with the references in
// it taken, unless they are among taken, and given away again by this process.
func (r *references) regive(data []byte, from peerID, taken takenRefs) ([]byte, error) {
	var out []byte
	done := 0
	err := eachReference(data, func(tag refTag, start, end int) error {
		ref, err := taken.find(tag), error(nil)
		if ref == nil {
			ref, err = r.arrive(tag, from)
		}
		if err != nil {
			return err
		}
		out = append(out, data[done:start]...)
		done = end
		out, err = ref.appendTo(out)
		return err
	})
	if err != nil {
		return nil, err
	}
	if done == 0 {
		return data, nil
	}
	return append(out, data[done:]...), nil
}

// eachReference calls f with each reference in the items that data consists of,
// and where it starts and ends.
func eachReference(data []byte, f func(tag refTag, start, end int) error) error {
	for at := 0; at < len(data); {
		h, err := readHead(data[at:])
		if err != nil {
			return err
		}
		switch {
		case h.major == cborTag && h.arg == tagReference:
			tag, rest, err := readReference(data[at:])
			if err != nil {
				return err
			}
			start := at
			at = len(data) - len(rest)
			if err := f(tag, start, at); err != nil {
				return err
			}
		case h.major == cborBytes || h.major == cborText:
			_, rest, err := h.body(data[at:])
			if err != nil {
				return err
			}
			at = len(data) - len(rest)
		default:
			at += h.size
		}
	}
	return nil
}
