package rmi

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"farcall.dev/naming"
)

// Hop is one node that an error passed through on its way to the caller: a
// method there had it from a call of its own, and returned it.
type Hop struct {
	// Node is the node that passed the error on; empty when it has no name.
	Node naming.NodeID `json:"node"`
	// Called is what its method had called, such as "shop.buy"; empty when that is
	// not known.
	Called string `json:"called"`
}

// String writes the hop for people.
func (h Hop) String() string {
	node, called := string(h.Node), h.Called
	if node == "" {
		node = "a node without a name"
	}
	if called == "" {
		return "passed on by " + node
	}
	return "passed on by " + node + ", which called " + called
}

// errorValue is an error as a value: the name by which both sides know its type,
// and its encoding.
type errorValue struct {
	name string
	data []byte
}

// failures makes of the errors that methods return the failures of their calls.
type failures struct {
	known *Errors
	node  naming.NodeID // of this process; may be empty
}

// of makes of the error that a method returned the failure of its call: it ran,
// whatever became of the calls that it made itself. The known errors in its chain
// go along, and those that this node does not know and got from another; and so
// does this node, where the error has come from afar.
func (f *failures) of(err error) *Error {
	e := FromError(err)
	if e.Code == OK {
		e.Code = Unknown
	}
	e.Execution = Executed
	if e.Remote && len(e.Hops) < maxErrorHops {
		e.Hops = append(slices.Clone(e.Hops), Hop{Node: f.node, Called: e.called})
	}
	e.called = ""
	names, values := gathered(err)
	for _, name := range f.known.names {
		if !slices.Contains(names, name) && errors.Is(err, f.known.sentinels[name]) {
			names = append(names, name)
		}
	}
	for _, name := range f.known.typeNames {
		if slices.ContainsFunc(values, func(v errorValue) bool { return v.name == name }) {
			continue
		}
		kind := f.known.types[name]
		if found, ok := kind.find(err); ok {
			if data, ok := kind.encode(found); ok {
				values = append(values, errorValue{name, data})
			}
		}
	}
	e.values = values
	if len(names) == 0 {
		return e
	}
	e.Details = maps.Clone(e.Details)
	if e.Details == nil {
		e.Details = make(map[string]string, 1)
	}
	e.Details[sentinelDetail] = strings.Join(names[:min(len(names), maxSentinels)], ",")
	return e
}

// gathered returns what the errors of other nodes in err's chain carry: the names
// of sentinels and the first value of each type. This node may know neither.
func gathered(err error) (names []string, values []errorValue) {
	var look func(error)
	look = func(err error) {
		if e, ok := err.(*Error); ok && e != nil {
			for _, name := range sentinelNames(e) {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			for _, v := range e.values {
				if !slices.ContainsFunc(values, func(have errorValue) bool { return have.name == v.name }) {
					values = append(values, v)
				}
			}
		}
		switch wrap := err.(type) {
		case interface{ Unwrap() error }:
			if inner := wrap.Unwrap(); inner != nil {
				look(inner)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range wrap.Unwrap() {
				look(inner)
			}
		}
	}
	look(err)
	return names, values
}
