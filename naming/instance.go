package naming

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// Kind says whether a name is called with a method or by itself.
type Kind string

const (
	// KindObject is a thing with methods: client invoke NAME METHOD.
	KindObject Kind = "object"
	// KindFunction is called by its own name: client call NAME.
	KindFunction Kind = "function"
)

// State says whether an instance wants new calls.
type State string

const (
	// StateLive instances take calls.
	StateLive State = "live"
	// StateDraining instances finish what they have and are about to leave;
	// new calls go elsewhere when there is an elsewhere.
	StateDraining State = "draining"
	// StateStandby instances wait to take over an exclusive name and get no
	// calls until they own it.
	StateStandby State = "standby"
)

// Mode says how many instances a name may have. The modes of different
// processes exclude each other: what is shared cannot be owned.
type Mode string

const (
	// ModeShared allows any number of instances; calls are balanced over them.
	// It is the default. Registering a name that another process owns, or waits
	// for, fails with [ErrTaken].
	ModeShared Mode = "shared"
	// ModeExclusive allows one owner. Registering a name of which another
	// process has any record, a waiting one included, fails with [ErrTaken].
	ModeExclusive Mode = "exclusive"
	// ModeStandby is ModeExclusive for a process that prefers to wait: when the
	// name is taken it is published in [StateStandby]. When the owner leaves or
	// its lease ends, the process that has waited longest becomes the owner, in
	// [StateLive]; an owner that lost its lease and comes back queues up behind.
	ModeStandby Mode = "standby"
)

// Protocol names one way of reaching an instance.
type Protocol string

const (
	// ProtocolMesh is Farcall's own protocol; the address is host:port.
	ProtocolMesh Protocol = "mesh"
	// ProtocolXMLRPC is XML-RPC over HTTP; the address is a URL.
	ProtocolXMLRPC Protocol = "xmlrpc"
	// ProtocolPyro is Pyro's protocol; the address is host:port.
	ProtocolPyro Protocol = "pyro"
)

const (
	// DefaultWeight is the share of calls of an instance that states none.
	DefaultWeight = 100
	// MaxWeight is the largest weight.
	MaxWeight = 10000
	// MaxTags bounds the tags of one instance.
	MaxTags = 64
	// MaxAddrs bounds its addresses.
	MaxAddrs = 16
	// MaxText bounds, in bytes of UTF-8, each address and each free text of an
	// instance: zone, version, interface.
	MaxText = 1024
)

// Instance is one process's record of one name: who serves it, where, and how.
// Treat an Instance that a Registry or Resolver handed out as read-only, its
// maps and slices are shared by everybody who asked.
type Instance struct {
	// Name is what the thing is called.
	Name Name `json:"name"`
	// Node is the process that serves it.
	Node NodeID `json:"node"`
	// Incarnation is the start of that process.
	Incarnation Incarnation `json:"incarnation"`
	// Kind is object or function; empty means object.
	Kind Kind `json:"kind"`
	// State is live, draining or standby; empty means live. Who registers may
	// ask for draining; standby is for the Registry to tell.
	State State `json:"state"`
	// Mode is shared, exclusive or standby; empty means shared.
	Mode Mode `json:"mode"`
	// Addrs tells where to reach it, by protocol.
	Addrs map[Protocol]string `json:"addrs"`
	// Tags are free words to choose instances by, sorted, without repeats.
	Tags []string `json:"tags,omitempty"`
	// Zone is where the process runs; callers prefer their own. Empty: unknown.
	Zone string `json:"zone,omitempty"`
	// Weight is the instance's share of calls beside its peers', 1 to
	// [MaxWeight]; zero means [DefaultWeight].
	Weight int `json:"weight"`
	// Version is the application's own version of the thing, free text.
	Version string `json:"version,omitempty"`
	// Interface is a digest of the methods and their types; equal digests mean
	// equal interfaces. Empty: unknown.
	Interface string `json:"interface,omitempty"`
}

// Key identifies an Instance: one node has one instance of a name.
type Key struct {
	Name Name
	Node NodeID
}

// Key returns what identifies i.
func (i Instance) Key() Key { return Key{i.Name, i.Node} }

// Normalize returns a copy of i with defaults filled in and tags sorted, that
// shares nothing with i, or an error that says which field is wrong. Every
// Registry normalizes what it is given.
func (i Instance) Normalize() (Instance, error) {
	if _, err := ParseName(string(i.Name)); err != nil {
		return Instance{}, err
	}
	if _, err := ParseNodeID(string(i.Node)); err != nil {
		return Instance{}, fmt.Errorf("register %q: %w", i.Name, err)
	}
	if i.Kind == "" {
		i.Kind = KindObject
	}
	if i.State == "" {
		i.State = StateLive
	}
	if i.Mode == "" {
		i.Mode = ModeShared
	}
	if i.Weight == 0 {
		i.Weight = DefaultWeight
	}
	switch {
	case i.Kind != KindObject && i.Kind != KindFunction:
		return Instance{}, fmt.Errorf("register %q: kind %q is neither object nor function", i.Name, i.Kind)
	case i.Mode != ModeShared && i.Mode != ModeExclusive && i.Mode != ModeStandby:
		return Instance{}, fmt.Errorf("register %q: mode %q is none of shared, exclusive, standby", i.Name, i.Mode)
	case i.State != StateLive && i.State != StateDraining && i.State != StateStandby:
		return Instance{}, fmt.Errorf("register %q: state %q is none of live, draining, standby", i.Name, i.State)
	case i.Weight < 1 || i.Weight > MaxWeight:
		return Instance{}, fmt.Errorf("register %q: weight %d is not between 1 and %d", i.Name, i.Weight, MaxWeight)
	case len(i.Tags) > MaxTags:
		return Instance{}, fmt.Errorf("register %q: %d tags, and the most allowed is %d", i.Name, len(i.Tags), MaxTags)
	case len(i.Addrs) > MaxAddrs:
		return Instance{}, fmt.Errorf("register %q: %d addresses, and the most allowed is %d", i.Name, len(i.Addrs), MaxAddrs)
	}
	texts := []struct{ what, text string }{{"zone", i.Zone}, {"version", i.Version}, {"interface", i.Interface}}
	for p, addr := range i.Addrs {
		texts = append(texts, struct{ what, text string }{"protocol", string(p)}, struct{ what, text string }{"address", addr})
	}
	for _, t := range texts {
		switch {
		case len(t.text) > MaxText:
			return Instance{}, fmt.Errorf("register %q: %s has %d bytes, and the longest allowed is %d", i.Name, t.what, len(t.text), MaxText)
		case !utf8.ValidString(t.text):
			return Instance{}, fmt.Errorf("register %q: %s %q is not valid UTF-8", i.Name, t.what, t.text)
		}
	}
	for _, tag := range i.Tags {
		if why := invalid(tag); why != "" {
			return Instance{}, fmt.Errorf("register %q: %w", i.Name, &InvalidNameError{Value: tag, What: "tag", Reason: why})
		}
	}
	i.Addrs = maps.Clone(i.Addrs)
	i.Tags = slices.Clone(i.Tags)
	slices.Sort(i.Tags)
	i.Tags = slices.Compact(i.Tags)
	return i, nil
}

// HasTags reports whether i carries every one of tags.
func (i Instance) HasTags(tags ...string) bool {
	for _, t := range tags {
		if !slices.Contains(i.Tags, t) {
			return false
		}
	}
	return true
}

// Equal reports whether i and other say the same. Both must be normalized.
func (i Instance) Equal(other Instance) bool {
	return i.Name == other.Name && i.Node == other.Node && i.Incarnation == other.Incarnation &&
		i.Kind == other.Kind && i.State == other.State && i.Mode == other.Mode &&
		i.Zone == other.Zone && i.Weight == other.Weight && i.Version == other.Version &&
		i.Interface == other.Interface && maps.Equal(i.Addrs, other.Addrs) && slices.Equal(i.Tags, other.Tags)
}
