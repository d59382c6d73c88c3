package naming

import (
	"context"
	"time"
)

// Revision orders the states of a registry; a later state has a larger one.
type Revision int64

// Registry publishes the instances of one process and follows those of all.
// Its methods may be called from any number of goroutines.
//
// When the registry cannot be reached before ctx ends, a method's error is
// [ErrUnavailable]; after Close it is [ErrClosed].
type Registry interface {
	// Register publishes inst and keeps it published until Unregister or
	// Close: an implementation that loses it (a lease that ran out, a store
	// that restarted, a record deleted by hand) publishes it again by itself.
	// It returns once the record is visible to others, or once it waits as
	// standby. Registering a name again replaces this process's record.
	//
	// Of two processes with one node id the later incarnation prevails: its
	// records replace the earlier one's, whatever their mode, and neither
	// Register, nor publishing again, nor Close of the earlier one touches
	// them. A process that finds its name taken when it publishes again keeps
	// trying, and says so in Status.Err.
	//
	// Errors: [*InvalidNameError], or another that says which field is wrong;
	// [ErrTaken], as a [*TakenError], when [Mode] or a later incarnation of the
	// node forbids it; [ErrUnavailable]; [ErrClosed]. After an error this
	// process's record of the name is what it was before.
	Register(ctx context.Context, inst Instance) error

	// Unregister removes this process's record of name. It returns
	// [ErrNotFound] when this process has none. After [ErrUnavailable] the
	// record is no longer kept: it goes as soon as the registry can be
	// reached, at the latest with the lease.
	Unregister(ctx context.Context, name Name) error

	// Drain marks every record of this process as draining, so that callers
	// go elsewhere before it leaves. Names registered later start as draining.
	// Records that wait as standby are taken back, for a process that is about
	// to leave must not become an owner, and a later Register in [ModeStandby]
	// fails with [ErrTaken] instead of waiting. It may be called twice. After
	// [ErrUnavailable] the records are marked as soon as the registry can be
	// reached.
	Drain(ctx context.Context) error

	// Watch calls fn with the instances whose name starts with prefix, first
	// all of them (an Update with Reset, possibly empty), then each change, in
	// order, from one goroutine at a time, until ctx ends, and then returns
	// ctx's error, or until Close, and then returns [ErrClosed]; fn is not
	// called after that. It outlives every fault of the registry: while it is
	// out of touch, fn is told by Update.Err, and what it missed follows, as
	// single changes or as a Reset. With a nonzero after it resumes: it leaves
	// out the first listing and sends what changed since that revision, or a
	// Reset where that is no longer known, or was never reached because the
	// store lost its history. fn must not block for long, and must not call
	// Close.
	Watch(ctx context.Context, prefix string, after Revision, fn func(Update)) error

	// Status reports how this process stands with the registry.
	Status() Status

	// Close takes back every record of this process at once, so that watchers
	// learn now and not when a lease ends, waits for its own goroutines, and
	// gives up telling the registry when ctx ends; then it returns
	// [ErrUnavailable], and the records end with the lease. It may be called
	// twice.
	Close(ctx context.Context) error
}

// Update is one step of a watch.
type Update struct {
	// Revision is the registry's state after this step; with Err, the last one
	// that was seen. It never decreases, except by a Reset after the store lost
	// its history.
	Revision Revision
	// Reset says that Put is everything there is: what is not in it is gone.
	Reset bool
	// Put holds new and changed instances. A listing may come in any order.
	Put []Instance
	// Delete holds what is gone.
	Delete []Key
	// Err, when not nil, says that the watch is out of touch with the registry
	// and why; what was sent before still stands. An Update with a nil Err ends
	// that. It carries no changes when Err is set.
	Err error
	// Time is when the registry last confirmed what this watch has sent,
	// by this machine's clock. An Update may carry a new Time and nothing else.
	Time time.Time
	// Committed is when the change was made, where the registry knows; zero
	// otherwise. Time minus Committed is the lag.
	Committed time.Time
}

// The words of [Status.State].
const (
	// StatusIdle: nothing is registered.
	StatusIdle = "idle"
	// StatusGranting: a lease is being asked for.
	StatusGranting = "granting"
	// StatusPublishing: records are being written.
	StatusPublishing = "publishing"
	// StatusLive: every record is published, or waits as standby.
	StatusLive = "live"
	// StatusSuspect: the registry does not answer, or some record cannot be
	// published; Status.Err says why.
	StatusSuspect = "suspect"
	// StatusClosed: Close was called.
	StatusClosed = "closed"
)

// Status is how a process stands with its registry.
type Status struct {
	// State is a word for the registrar's state, one of the Status constants.
	State string
	// Since is when that state began.
	Since time.Time
	// Err is why the state is not "live" or "idle"; nil otherwise.
	Err error
	// Records counts this process's records, published or not.
	Records int
	// Lease is the registry's id of this process's lease; 0 where it has none.
	Lease int64
	// TTL is how long records outlive a process that dies; 0 where they do not.
	TTL time.Duration
	// Registrations counts how often the records were published as a whole:
	// one for the start, one more for each recovery.
	Registrations uint64
}
