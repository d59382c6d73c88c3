package naming

import (
	"context"
	"slices"
	"sync/atomic"
)

// Resolver answers where a name lives. Its methods may be called from any
// number of goroutines.
type Resolver interface {
	// Resolve returns what is known of name. It waits for the registry only
	// until the first listing has arrived. Errors: a [*NotFoundError] when no
	// instance is registered; [ErrUnavailable] when ctx ends before anything is
	// known; [ErrClosed]. The Entry is shared and read-only.
	Resolve(ctx context.Context, name Name) (*Entry, error)
}

// Entry is what a Resolver knows of one name: a snapshot that never changes. As
// long as nothing about the name changes, a Resolver returns the same pointer,
// so that what a caller derives from an Entry can be kept by it.
type Entry struct {
	// Name is the name asked for.
	Name Name
	// Instances holds at least one instance, sorted by node, including those on
	// standby, which must not be called; see Callable.
	Instances []Instance
	// Revision is the registry's state of the last change to this name.
	Revision Revision

	callable []Instance // what Callable returns, where newEntry made the Entry
	sign     signature  // of Name, for finding similar ones

	memo atomic.Pointer[memo]
}

// memo is what one who resolves names has made of an Entry.
type memo struct{ owner, value any }

// Memo returns what owner, and nobody else since, has given SetMemo; nil when that
// is nothing. An owner that resolves a name for each call finds so what it has made
// of the answer, without a table of its own. It may be called from any number of
// goroutines.
func (e *Entry) Memo(owner any) any {
	if m := e.memo.Load(); m != nil && m.owner == owner {
		return m.value
	}
	return nil
}

// SetMemo keeps value for owner, which must be comparable, with the Entry, in place
// of what was kept before, for whomever: there is room for one.
func (e *Entry) SetMemo(owner, value any) { e.memo.Store(&memo{owner, value}) }

// newEntry returns an Entry of instances, at least one, sorted by node, which
// it takes over.
func newEntry(name Name, instances []Instance, revision Revision) *Entry {
	e := &Entry{Name: name, Instances: instances, Revision: revision, sign: sign(name)}
	e.callable = e.Callable()
	return e
}

// Callable returns the instances that a new call may go to, sorted by node: the
// live ones or, when there is none, those that are draining. It is empty when
// all are on standby. The slice is shared and read-only. Of an Entry that a
// [Cache] returned it costs nothing.
func (e *Entry) Callable() []Instance {
	if e.callable != nil {
		return e.callable
	}
	for _, state := range []State{StateLive, StateDraining} {
		is := func(i Instance) bool { return i.State == state }
		not := func(i Instance) bool { return i.State != state }
		switch {
		case !slices.ContainsFunc(e.Instances, is):
		case !slices.ContainsFunc(e.Instances, not):
			return e.Instances
		default:
			return slices.DeleteFunc(slices.Clone(e.Instances), not)
		}
	}
	return []Instance{}
}
