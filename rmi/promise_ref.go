package rmi

import (
	"errors"

	"farcall.dev/naming"
)

// errNoReferences is why a result cannot be called: references need a Space.
var errNoReferences = errors.New("references cannot be used here")

// takeReferences takes the references in a result that came, so that their owners
// keep the objects as long as what it returns is in use.
func takeReferences(space *Space, p Payload) ([]*Ref, error) { return nil, nil }

// passOn returns a result that came as it is passed on to another node.
func passOn(space *Space, p Payload) (Payload, error) { return p, nil }

// referenceIn returns the object that item, a result that came, is a reference to.
func referenceIn(space *Space, item []byte) (Handler, error) { return nil, errNoReferences }

// ownReferences returns the references to objects of this process in data, a
// result of one of its methods.
func ownReferences(space *Space, data []byte) []*Ref { return nil }

// ownObject returns the object that item, a result of one of this process's
// methods, is a reference to, and the name by which calls from outside get there.
// One of another process is reached by passing calls on.
func ownObject(space *Space, item []byte) (*Ref, naming.Name, error) {
	return nil, "", errNoReferences
}
