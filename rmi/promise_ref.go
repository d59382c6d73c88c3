package rmi

import (
	"errors"

	"farcall.dev/naming"
)

// errNoReferences is why a result cannot be called: references need a Space.
var errNoReferences = errors.New("references need a Space, and the call is made without one")

// takenRefs are the references in something that came, which are in use as long as
// it is reached, by what they were sent as.
type takenRefs map[takenKey]*Ref

// takenKey identifies a reference among all.
type takenKey struct {
	owner peerID
	id    refID
}

// find returns the Ref of tag; nil when it is to an object of this process, or not
// among t. What came is used more than once, and the program may have released a
// reference in it meanwhile: the owner need not have the object any more then, and
// to take it again would be in vain.
func (t takenRefs) find(tag refTag) *Ref {
	if ref := t[takenKey{tag.owner, tag.id}]; ref != nil && ref.held != nil {
		return ref
	}
	return nil
}

// takeReferences takes the references in a result that came, so that their owners
// keep the objects as long as what it returns is in use. The result is that of
// nobody in particular then: its references count as received.
func takeReferences(space *Space, p *Payload) (refs takenRefs, err error) {
	if space == nil || p.Type != ContentCBOR {
		return nil, nil
	}
	err = eachReference(p.Data, func(tag refTag, _, _ int) error {
		ref, err := space.refs.arrive(tag, p.sender())
		if refs == nil {
			refs = make(takenRefs)
		}
		refs[takenKey{tag.owner, tag.id}] = ref
		return err
	})
	if len(refs) > 0 {
		p.from = nil
	}
	return refs, err
}

// passOn returns a result that came, with the references taken in it, as it is
// passed on to another node.
func passOn(space *Space, p Payload, taken takenRefs) (Payload, error) {
	if space == nil || p.Type != ContentCBOR {
		return p, nil
	}
	var err error
	p.Data, err = space.refs.regive(p.Data, p.sender(), taken)
	return p, err
}

// referenceIn returns the object that item, a result that came, is a reference to.
// taken are the references in the result.
func referenceIn(space *Space, item []byte, taken takenRefs) (Handler, error) {
	tag, _, err := readReference(item)
	if err != nil {
		return nil, err
	}
	if space == nil {
		return nil, errNoReferences
	}
	if ref := taken.find(tag); ref != nil {
		return ref, nil
	}
	return space.refs.arrive(tag, peerID{})
}

// ownReferences returns the references to objects of this process in data, a
// result of one of its methods.
func ownReferences(space *Space, data []byte) (refs []*Ref) {
	if space == nil {
		return nil
	}
	eachReference(data, func(tag refTag, _, _ int) error {
		if tag.owner == space.self() {
			refs = append(refs, space.refs.home(tag.id))
		}
		return nil
	}) // the data is our own
	return refs
}

// ownObject returns the object that item, a result of one of this process's
// methods, is a reference to, and the name by which calls from outside get there.
// One of another process is reached by passing calls on.
func ownObject(space *Space, item []byte) (*Ref, naming.Name, error) {
	tag, _, err := readReference(item)
	if err != nil {
		return nil, "", err
	}
	if space == nil {
		return nil, "", errNoReferences
	}
	var ref *Ref
	if tag.owner == space.self() {
		if ref = space.refs.home(tag.id); ref == nil {
			return nil, "", space.refs.gone()
		}
	} else if ref, err = space.refs.arrive(tag, peerID{}); err == nil && ref.own == nil {
		ref, err = space.refs.relayTo(ref)
	}
	if err != nil {
		return nil, "", err
	}
	return ref, ref.Object(), nil
}
