package rmi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

const (
	// DefaultTimeout bounds a call whose caller set no deadline.
	DefaultTimeout = 10 * time.Second
	// DefaultAttempts is how many instances a call may be sent to.
	DefaultAttempts = 3
	// avoidFor is how long an instance that could not be reached is passed over
	// while others can. The pool's own backoff governs when it is dialled.
	avoidFor = time.Second
)

// Dialer gives the connection to a node by its mesh address. It shares one
// connection among all callers; transport.Pool is one.
type Dialer interface {
	Get(ctx context.Context, address string) (*Conn, error)
}

// knowing and connected are what a Resolver and a Dialer may have besides: they
// give what is at hand without waiting, so that a call for which it is needs no
// context of its own to bound the wait.
type (
	knowing interface {
		Lookup(naming.Name) *naming.Entry
	}
	connected interface {
		Live(address string) (*Conn, bool)
	}
)

// RouterOptions configure a Router. The zero value works.
type RouterOptions struct {
	// Zone is where this process runs: instances of the same zone are
	// preferred. Empty: no preference.
	Zone string
	// Timeout bounds a call whose context has no deadline. Zero means
	// DefaultTimeout; there is no way to wait without end.
	Timeout time.Duration
	// Reconnect is how long a call whose connection broke while it was under way
	// waits, each time, for a new one to the same start of the same node. Zero
	// means DefaultReconnect.
	Reconnect time.Duration
	// Attempts is how many instances a call may be sent to before it fails, as
	// long as none executed it. Zero means DefaultAttempts.
	Attempts int
	// Local, when not nil, carries out the calls for which an instance of this
	// process is picked, but for those that are part of a chain of promises. Which
	// instance is picked does not depend on it.
	Local *Local
}

// Router is the Handler that calls by name: it resolves the object, picks an
// instance, and sends the call over the connection to its node. It is safe for
// concurrent use.
//
// What is repeated, and when:
//
//   - A call that was certainly not executed (the node could not be reached, is
//     leaving, or refused it for load) is sent to another instance.
//   - A call whose connection broke while it was under way is sent again to the
//     same start of the same node, which recognises it by its number, carries it
//     out once, and answers each copy alike. That needs a [Session] between the
//     two, and is not done for one-way calls, those whose arguments bring item
//     streams, and those that are part of a chain of promises.
//   - A call with [Call.Idempotent] set has no number. It is sent to another
//     instance, or, when there is none, again to the same.
//
// A call fails with UNAVAILABLE, possibly executed, by an error that says "may
// have been executed", when its node has started anew meanwhile, or could not be
// reached again within [RouterOptions].Reconnect of the break; and with
// DEADLINE_EXCEEDED, just so, when its time was up before. It fails with
// FAILED_PRECONDITION, possibly executed, when the node has it executed and had
// to give up the answer; see [MaxRecords].
type Router struct {
	resolver naming.Resolver
	dialer   Dialer
	known    knowing   // the resolver; may be nil
	live     connected // the dialer; may be nil
	opts     RouterOptions

	// groups are the newest of each name; calls find theirs by the entry.
	mu     sync.Mutex
	groups map[naming.Name]*group // guarded by mu
}

var _ Handler = (*Router)(nil)

// NewRouter returns a Router that finds instances by resolver and reaches them
// by dialer. Both stay the caller's to close.
func NewRouter(resolver naming.Resolver, dialer Dialer, opts RouterOptions) *Router {
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	setDefault(&opts.Reconnect, DefaultReconnect)
	if opts.Attempts <= 0 {
		opts.Attempts = DefaultAttempts
	}
	r := &Router{resolver: resolver, dialer: dialer, opts: opts, groups: make(map[naming.Name]*group)}
	r.known, _ = resolver.(knowing)
	r.live, _ = dialer.(connected)
	return r
}

// Handle sends call to an instance of its object. Errors of its own are
// NOT_FOUND when nothing is registered under the name, or not on the node
// that call.Pin asks for, and UNAVAILABLE when no instance could be reached.
func (r *Router) Handle(ctx context.Context, call *Call) (Reply, error) {
	if call.building != nil {
		if conn, ok := call.bound(); ok {
			return r.handleBy(ctx, call, conn)
		}
	}
	if _, ok := ctx.Deadline(); ok {
		return r.route(ctx, call, time.Time{})
	}
	given := call.Timeout
	if given <= 0 {
		call.Timeout = r.opts.Timeout
	}
	call.until = timeAfter(call.Timeout)
	reply, err := r.route(ctx, call, call.until)
	call.Timeout, call.until = given, time.Time{}
	return reply, err
}

// handleBy is Handle for a call that has to go by one connection, because it
// builds on results that are kept at its other end.
func (r *Router) handleBy(ctx context.Context, call *Call, conn *Conn) (Reply, error) {
	if conn == nil {
		return Reply{}, refusal(FailedPrecondition, "call %s: not sent: %w", target(call), errNotThere)
	}
	given := call.Timeout
	if given <= 0 {
		call.Timeout = r.opts.Timeout
	}
	reply, err := conn.Handle(ctx, call)
	call.Timeout = given
	return reply, err
}

// route is Handle. until is when the time of a call is up that has a Timeout instead
// of a context with a deadline; else zero.
func (r *Router) route(ctx context.Context, call *Call, until time.Time) (Reply, error) {
	if call.ref != nil {
		return call.ref.send(ctx, call)
	}
	entry, err := r.resolve(ctx, call, until)
	if err != nil {
		return Reply{}, r.unresolved(call, err)
	}
	e := r.group(entry).pick(call.Pin, nil, time.Time{})
	if e == nil {
		return Reply{}, r.noInstance(call, entry)
	}
	reply, err := r.send(ctx, e, call, until)
	if err == nil || r.opts.Attempts == 1 || !elsewhere(err, call) {
		return reply, err
	}
	return r.retry(ctx, call, e, err, until)
}

// bounded returns ctx with until as its deadline, unless that is zero.
func bounded(ctx context.Context, until time.Time) (context.Context, context.CancelFunc) {
	if until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, until)
}

// spend makes the Timeout of a call what is left of it, and reports whether
// anything is. A call whose context has the deadline is left alone.
func (call *Call) spend(until time.Time) bool {
	if until.IsZero() {
		return true
	}
	call.Timeout = time.Until(until)
	return call.Timeout > 0
}

// resolve returns what is known of call's object.
func (r *Router) resolve(ctx context.Context, call *Call, until time.Time) (*naming.Entry, error) {
	if r.known != nil {
		if entry := r.known.Lookup(call.Object); entry != nil {
			return entry, nil
		}
	}
	within, cancel := bounded(ctx, until)
	defer cancel()
	entry, err := r.resolver.Resolve(within, call.Object)
	if err == nil && !call.spend(until) {
		err = context.DeadlineExceeded
	}
	return entry, err
}

// connect returns the connection to e.
func (r *Router) connect(ctx context.Context, e *endpoint, call *Call, until time.Time) (*Conn, error) {
	if r.live != nil {
		if c, ok := r.live.Live(e.addr); ok {
			return c, nil
		}
	}
	within, cancel := bounded(ctx, until)
	defer cancel()
	c, err := r.dialer.Get(within, e.addr)
	if err == nil && !call.spend(until) {
		err = context.DeadlineExceeded
	}
	return c, err
}

// retry goes on after the first instance failed in a way that permits it.
func (r *Router) retry(ctx context.Context, call *Call, first *endpoint, err error, until time.Time) (Reply, error) {
	tried := []*endpoint{first}
	failures := []error{err}
	for len(tried) < r.opts.Attempts && ctx.Err() == nil && call.spend(until) {
		// Resolved anew: the failure may be the first sign of a change that
		// the watch has brought meanwhile.
		entry, rerr := r.resolve(ctx, call, until)
		if rerr != nil {
			break
		}
		e := r.group(entry).pick(call.Pin, tried, time.Time{})
		if e == nil {
			if call.Idempotent && inDoubt(err) && len(tried) == 1 {
				return r.resend(ctx, first, call, nil, until, err)
			}
			break
		}
		reply, err := r.send(ctx, e, call, until)
		if err == nil || !elsewhere(err, call) {
			return reply, err
		}
		tried, failures = append(tried, e), append(failures, err)
	}
	if len(failures) == 1 {
		return Reply{}, failures[0]
	}
	last := FromError(failures[len(failures)-1])
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d instances tried", call.Object, len(tried))
	for i, e := range tried {
		fmt.Fprintf(&b, "; node %s: %s", e.inst.Node, FromError(failures[i]).Message)
	}
	return Reply{}, &Error{Code: last.Code, Message: b.String(), Execution: last.Execution, cause: errors.Join(failures...)}
}

// send carries out call on one endpoint and notes how that went.
func (r *Router) send(ctx context.Context, e *endpoint, call *Call, until time.Time) (Reply, error) {
	if l := r.opts.Local; l != nil && l.is(&e.inst) && call.keep == nil && call.building == nil {
		return r.sendHere(ctx, l, e, call)
	}
	conn, err := r.connect(ctx, e, call, until)
	if err != nil {
		if ctx.Err() == nil && call.spend(until) {
			e.downUntil.Store(time.Now().Add(avoidFor).UnixNano())
		}
		return Reply{}, unreachable(e, err)
	}
	if node := conn.Peer().Node; node != e.inst.Node {
		e.downUntil.Store(time.Now().Add(avoidFor).UnixNano())
		return Reply{}, &Error{Code: Unavailable, Execution: NotExecuted, Message: fmt.Sprintf(
			"node %s is registered at %s, but node %s answers there", e.inst.Node, e.addr, node)}
	}
	if call.Sent != nil {
		call.Sent(e.inst)
	}
	e.inFlight.Add(1)
	n := conn.number(call)
	reply, err := conn.Handle(ctx, call)
	if n != nil {
		if inDoubt(err) {
			reply, err = r.resend(ctx, e, call, conn.shared, until, err)
		}
		conn.unnumber(call, n)
	}
	return e.returned(reply, err)
}

// sendHere is send for an endpoint of this process.
func (r *Router) sendHere(ctx context.Context, l *Local, e *endpoint, call *Call) (Reply, error) {
	if call.Sent != nil {
		call.Sent(e.inst)
	}
	e.inFlight.Add(1)
	return e.returned(l.Handle(ctx, call))
}

// returned notes how a call to e went, and returns that.
func (e *endpoint) returned(reply Reply, err error) (Reply, error) {
	e.inFlight.Add(-1)
	if err == nil {
		if e.downUntil.Load() != 0 {
			e.downUntil.Store(0)
		}
		return reply, nil
	}
	if fe, ok := errors.AsType[*Error](err); ok && fe.Code == Unavailable && !(fe.Remote && fe.Execution == Executed) {
		e.downUntil.Store(time.Now().Add(avoidFor).UnixNano())
	}
	return reply, err
}

// resend goes on after the connection to e broke while call was under way. Calls
// that have not been sent go elsewhere meanwhile.
func (r *Router) resend(ctx context.Context, e *endpoint, call *Call, session *Session, until time.Time, broke error) (Reply, error) {
	e.downUntil.Store(time.Now().Add(avoidFor).UnixNano())
	again := resend{
		call: call, session: session, patience: r.opts.Reconnect, until: until,
		get: func(ctx context.Context) (*Conn, error) { return r.dialer.Get(ctx, e.addr) },
	}
	return again.run(ctx, broke)
}

// group returns the endpoints of entry, made at the first call after a change.
func (r *Router) group(entry *naming.Entry) *group {
	if g, ok := entry.Memo(r).(*group); ok {
		return g
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[entry.Name]
	if g == nil || g.entry != entry {
		g = newGroup(entry, r.opts.Zone, g)
		r.groups[entry.Name] = g
	}
	entry.SetMemo(r, g)
	return g
}

// forget drops what is kept of a name that is gone.
func (r *Router) forget(name naming.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups, name)
}

// unresolved is the failure of a call whose name could not be resolved.
func (r *Router) unresolved(call *Call, err error) error {
	switch {
	case errors.Is(err, naming.ErrNotFound):
		r.forget(call.Object)
		return &Error{Code: NotFound, Message: err.Error(), Execution: NotExecuted, cause: err}
	case errors.Is(err, naming.ErrUnavailable), errors.Is(err, naming.ErrClosed):
		return &Error{Code: Unavailable, Message: fmt.Sprintf("resolve %s: %v", call.Object, err), Execution: NotExecuted, cause: err}
	}
	fe := *FromError(fmt.Errorf("resolve %s: %w", call.Object, err))
	fe.Execution = NotExecuted
	return &fe
}

// noInstance is the failure of a call for which entry has no endpoint.
func (r *Router) noInstance(call *Call, entry *naming.Entry) error {
	if call.Pin == "" {
		return &Error{Code: Unavailable, Execution: NotExecuted, Message: fmt.Sprintf(
			"none of the %d instances of %s can be called: they are on standby or have no mesh address", len(entry.Instances), call.Object)}
	}
	nodes := make([]string, len(entry.Instances))
	for i, inst := range entry.Instances {
		nodes[i] = string(inst.Node)
	}
	return &Error{Code: NotFound, Execution: NotExecuted, Message: fmt.Sprintf(
		"%s has no callable instance on node %s; it is on %s", call.Object, call.Pin, strings.Join(nodes, ", "))}
}

// unreachable is the failure of a call to a node that could not be reached.
func unreachable(e *endpoint, err error) error {
	code, ok := codeOf(err)
	if !ok || code != Canceled && code != DeadlineExceeded {
		code = Unavailable
	}
	reason, next := err, ""
	if de, ok := errors.AsType[*transport.DialError](err); ok {
		reason = de.Err
		if in := time.Until(de.Next).Round(100 * time.Millisecond); in > 0 {
			next = fmt.Sprintf("; next try in %v", in)
		}
	}
	text := reason.Error()
	if fe, ok := errors.AsType[*Error](reason); ok {
		text = fe.Message
	}
	return &Error{Code: code, Execution: NotExecuted, cause: err,
		Message: fmt.Sprintf("node %s (%s) cannot be reached: %s%s", e.inst.Node, e.addr, text, next)}
}

// elsewhere reports whether a call that failed with err may go to another
// instance: it was not executed, or may be executed twice, and another
// instance can do better.
func elsewhere(err error, call *Call) bool {
	fe, ok := errors.AsType[*Error](err)
	if !ok || call.argsSent {
		return false
	}
	switch fe.Code {
	case Unavailable, ResourceExhausted:
		return fe.Execution == NotExecuted || (call.Idempotent && fe.Code == Unavailable)
	case NotFound:
		// The node no longer has what the registry says it has.
		return fe.Execution == NotExecuted && fe.Remote
	}
	return false
}
