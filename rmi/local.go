package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"farcall.dev/naming"
)

// LocalOptions are the settings of [NewLocal].
type LocalOptions struct {
	// Node and Incarnation are those that this process registers its names with.
	// Both are required.
	Node        naming.NodeID
	Incarnation naming.Incarnation
	// Space is that of the process; nil without one.
	Space *Space
	// MaxInFlight and MaxPayload are as in [ConnOptions], for all calls of the
	// process to itself.
	MaxInFlight, MaxPayload int
	// Logger gets each panic of a handler with its stack; nil discards it.
	Logger *slog.Logger
}

// Local carries out the calls of a process to names of its own, without a
// connection. It is a [Handler]; a [Router] that has it uses it.
//
// To both ends a call is like one that came from afar. Its arguments and its
// result are copied; the handler runs on a goroutine of its own, with a context
// that has nothing of the caller's but its end and its deadline; the caller gets
// its errors as they would have crossed the wire, and when its context ends, it
// returns whatever the handler does. The handler sees it in Call.Peer, whose
// Protocol is "local"; such a call belongs to no [Session].
//
// Its methods may be called from any number of goroutines.
type Local struct {
	handler Handler
	opts    LocalOptions
	peer    Peer
	workers workers
	waits   sync.Pool // of *localWait

	mu      sync.Mutex
	running map[*localCall]struct{} // guarded by mu; from admission to answer
	gate    *Error                  // guarded by mu; once set, refuses calls
	idle    chan struct{}           // closed when gate is set and nothing runs
}

var _ Handler = (*Local)(nil)

// localCall is a call of this process to itself.
type localCall struct {
	servedCall
	wait *localWait // its caller's; nil when that does not wait
	// timed says that a Timeout bounds the wait, and not a deadline.
	timed bool
	// claimed is set by who decides what the caller gets: the worker that has the
	// answer, the caller that gives up, or Shutdown.
	claimed sync.Once
}

// localWait is how a caller gets its answer.
type localWait struct {
	done  chan struct{} // gets one value when reply and err are set
	reply Reply
	err   *Error
	// timer, once made, bounds the wait of calls with a Timeout; timed says that
	// it runs.
	timer *time.Timer
	timed bool
}

// expireAfter returns what gets a value when d has passed.
func (w *localWait) expireAfter(d time.Duration) <-chan time.Time {
	w.timed = true
	if w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
	return w.timer.C
}

// errLeaving is why calls of this process to itself are not carried out.
var errLeaving = errors.New("this process is leaving the mesh")

// NewLocal returns a Local whose calls h carries out, which is what the
// connections to this process have for a handler. It lives until Shutdown.
func NewLocal(h Handler, opts LocalOptions) *Local {
	setDefault(&opts.MaxInFlight, DefaultMaxInFlight)
	setDefault(&opts.MaxPayload, DefaultMaxPayload)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Local{
		handler: h, opts: opts, peer: Peer{Node: opts.Node, Incarnation: opts.Incarnation, Protocol: "local"},
		running: make(map[*localCall]struct{}), idle: make(chan struct{}),
	}
	l.workers.serve, l.workers.idle = l.serve, DefaultWorkerIdle
	return l
}

// is reports whether inst is an object of this process.
func (l *Local) is(inst *naming.Instance) bool {
	return inst.Node == l.opts.Node && inst.Incarnation == l.opts.Incarnation
}

// Handle carries out call. Errors of its own are those of [Conn.Handle] for a call
// that was not sent, and for a caller that gives up; UNAVAILABLE, not executed,
// after Shutdown; RESOURCE_EXHAUSTED, not executed, beyond MaxInFlight.
func (l *Local) Handle(ctx context.Context, call *Call) (Reply, error) {
	if refused := l.check(ctx, call); refused != nil {
		return Reply{}, refused
	}
	c := l.newCall(ctx, call)
	if refused := l.admit(c); refused != nil {
		return Reply{}, refused
	}
	c.call.Args.Data = bytes.Clone(call.Args.Data)
	call.argsSent = call.argsSent || len(call.Args.streams) > 0
	if call.Way != Wait {
		l.workers.do(&c.servedCall)
		return Reply{}, nil
	}
	w, ok := l.waits.Get().(*localWait)
	if !ok {
		w = &localWait{done: make(chan struct{}, 1)}
	}
	c.wait = w
	l.workers.do(&c.servedCall)

	var expired <-chan time.Time
	if c.timed {
		expired = w.expireAfter(call.Timeout)
	}
	select {
	case <-w.done:
	case <-expired:
		return l.giveUp(ctx, call, c)
	case <-ctx.Done():
		return l.giveUp(ctx, call, c)
	}
	reply, err := l.received(w)
	if c.overdue(ctx) {
		// From afar the answer of a method that waits for its deadline comes too
		// late, too.
		reply.Result.drop(errCallOver)
		return Reply{}, l.gaveUp(ctx, call)
	}
	return reply, err
}

// giveUp is the end of Handle for a caller that waits no longer.
func (l *Local) giveUp(ctx context.Context, call *Call, c *localCall) (Reply, error) {
	if c.claim() {
		l.reuse(c.wait)
		c.end(errCallerGaveUp)
	} else { // the answer came at the same moment
		<-c.wait.done
		reply, _ := l.received(c.wait)
		reply.Result.drop(errCallOver)
	}
	return Reply{}, l.gaveUp(ctx, call)
}

// overdue reports whether the time of the caller, whose context is ctx, is up.
func (c *localCall) overdue(ctx context.Context) bool {
	if c.timed {
		return c.late()
	}
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// check returns why a call cannot be carried out, or nil: what would keep it from
// being sent.
func (l *Local) check(ctx context.Context, call *Call) *Error {
	switch {
	case ctx.Err() != nil:
		return refusal(contextCode(ctx.Err()), "call %s: not begun: %w", target(call), context.Cause(ctx))
	case len(call.uses()) > 0 || call.keep != nil:
		return refusal(FailedPrecondition, "call %s: not begun: %w", target(call), errNotThere)
	case call.Way != Wait && len(call.Args.streams) > 0:
		return oneWaySequence(call)
	case len(call.Args.streams) > MaxStreamsPerCall:
		return refusal(ResourceExhausted, "call %s: its arguments bring %d item streams, and at most %d are allowed", target(call), len(call.Args.streams), MaxStreamsPerCall)
	case len(call.Object) > MaxObjectLen:
		return refusal(InvalidArgument, "the object's name has %d bytes, and the longest allowed is %d", len(call.Object), MaxObjectLen)
	case len(call.Method) > MaxMethodLen:
		return refusal(InvalidArgument, "the method's name has %d bytes, and the longest allowed is %d", len(call.Method), MaxMethodLen)
	case len(call.Args.Data) > l.opts.MaxPayload:
		return refusal(ResourceExhausted, "the arguments of %s have %d bytes, and the most this node takes is %d", target(call), len(call.Args.Data), l.opts.MaxPayload)
	case call.Trail.Depth > MaxChain:
		return call.Trail.tooLong(string(call.Object), call.Method)
	}
	return checkMetadata(call.Metadata)
}

// newCall returns call as the handler gets it, without the bytes of its arguments.
func (l *Local) newCall(ctx context.Context, call *Call) *localCall {
	c := &localCall{servedCall: servedCall{call: Call{
		Object: call.Object, Method: call.Method, Args: Payload{Type: call.Args.Type, streams: call.Args.streams},
		Metadata: maps.Clone(call.Metadata), Peer: l.peer, Way: call.Way, Trail: call.Trail, detached: true,
	}}}
	c.home, c.local = l.opts.Space, c
	if deadline, ok := ctx.Deadline(); ok {
		c.deadline = deadline
	} else if call.Timeout > 0 {
		c.deadline, c.call.replyOnly, c.timed = timeAfter(call.Timeout), true, true
	}
	return c
}

// admit counts c as running, or returns why it is refused.
func (l *Local) admit(c *localCall) *Error {
	most := l.opts.MaxInFlight
	if c.call.Trail.Depth > 0 {
		most *= 2 // the calls that wait for this one must not keep it out
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.gate != nil:
		e := *l.gate
		return &e
	case len(l.running) >= most:
		return refusal(ResourceExhausted, "%d calls of this process to itself are in flight, and no more are allowed", most)
	}
	l.running[c] = struct{}{}
	return nil
}

// claim reports whether who calls it first is the caller of claim: then what the
// caller of c gets is its to say.
func (c *localCall) claim() (mine bool) {
	c.claimed.Do(func() { mine = true })
	return mine
}

// received returns what came of a call, whose done has been read.
func (l *Local) received(w *localWait) (Reply, error) {
	reply, err := w.reply, w.err
	w.reply, w.err = Reply{}, nil
	l.reuse(w)
	if err != nil {
		return Reply{}, err
	}
	return reply, nil
}

// reuse keeps w for another call. Nobody may be able to set it any more.
func (l *Local) reuse(w *localWait) {
	if w.timed {
		w.timed = false
		w.timer.Stop()
	}
	l.waits.Put(w)
}

// gaveUp is the error of a caller whose ctx has ended, or whose time is up.
func (l *Local) gaveUp(ctx context.Context, call *Call) error {
	err := ctx.Err()
	if err == nil {
		err = context.DeadlineExceeded
	} else if cause := context.Cause(ctx); cause != err {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Errorf(DeadlineExceeded, "call %s on node %s: no reply before the deadline: %w", target(call), l.opts.Node, err)
	}
	return Errorf(Canceled, "call %s on node %s: the caller gave up: %w", target(call), l.opts.Node, err)
}

// serve carries out a call and answers it. It is what workers do.
func (l *Local) serve(s *servedCall) {
	returned := false
	defer func() {
		if !returned { // the handler has called runtime.Goexit
			l.answer(s.local, Reply{}, Errorf(Internal, "call %s: the handler ended its goroutine", target(&s.call)))
		}
	}()
	reply, failure := l.invoke(s)
	returned = true
	l.answer(s.local, reply, failure)
}

// invoke runs the handler: for a batch, once for each of its calls.
func (l *Local) invoke(s *servedCall) (Reply, *Error) {
	switch {
	case s.late():
		return Reply{}, refusal(DeadlineExceeded, "call %s: the deadline passed before the call could start", target(&s.call))
	case s.Err() != nil:
		return Reply{}, refusal(Canceled, "call %s: the caller gave up before the call could start", target(&s.call))
	}
	var h Handler = HandlerFunc(l.guarded)
	if s.call.Args.Type == ContentBatch {
		h = splitter{h, l.opts.MaxPayload, true}
	}
	reply, err := h.Handle(s, &s.call)
	if err != nil {
		reply.Result.drop(errCallOver)
		return Reply{}, FromError(err)
	}
	return reply, nil
}

// guarded has the handler carry out call. A panic becomes an INTERNAL error.
func (l *Local) guarded(ctx context.Context, call *Call) (reply Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			trace := string(debug.Stack())
			l.opts.Logger.Error("handler panicked", "peer", "local", "object", string(call.Object), "method", call.Method, "panic", fmt.Sprint(p), "trace", trace)
			reply, err = Reply{}, Errorf(Internal, "call %s: the handler panicked", target(call))
		}
	}()
	return l.handler.Handle(ctx, call)
}

// answer gives the outcome of c to its caller, if that still wants it.
func (l *Local) answer(c *localCall, reply Reply, failure *Error) {
	if failure == nil {
		if failure = l.checkReply(c, &reply); failure != nil {
			reply.Result.drop(errCallOver)
		}
	}
	c.finish()
	switch {
	case c.wait == nil:
		reply.Result.drop(errNobodyWaits)
	case !c.claim():
		reply.Result.drop(errCallOver)
	case failure != nil:
		c.wait.err = crossed(failure)
		c.wait.done <- struct{}{}
	default:
		reply.Result.Data = bytes.Clone(reply.Result.Data)
		reply.Metadata = maps.Clone(reply.Metadata)
		c.wait.reply = reply
		c.wait.done <- struct{}{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.running, c)
	l.idleLocked()
}

// checkReply returns why a reply could not be sent, or nil.
func (l *Local) checkReply(c *localCall, reply *Reply) *Error {
	if n := len(reply.Result.Data); n > l.opts.MaxPayload {
		return Errorf(ResourceExhausted, "the result of %s has %d bytes, and the most this node sends is %d", target(&c.call), n, l.opts.MaxPayload)
	}
	if err := checkMetadata(reply.Metadata); err != nil {
		err.Message, err.Execution = "the reply of "+target(&c.call)+": "+err.Message, Executed
		return err
	}
	return nil
}

// crossed returns e as a caller on another node would get it.
func crossed(e *Error) *Error {
	frame := appendError(nil, 0, e, true)
	if h, n, err := parseFrameHeader(frame); err == nil {
		if head, _, err := splitBody(frame[n : n+int(h.size)]); err == nil {
			return decodeError(head)
		}
	}
	return Errorf(Internal, "an error could not be passed on: %s", e.Message)
}

// idleLocked tells Shutdown when nothing runs any more.
func (l *Local) idleLocked() {
	if l.gate == nil || len(l.running) > 0 {
		return
	}
	select {
	case <-l.idle:
	default:
		close(l.idle)
	}
}

// Shutdown refuses calls from now on and waits for those under way. When ctx ends
// first, their contexts end, their callers get UNAVAILABLE, and ctx's error is
// returned; handlers are not waited for then. It may be called twice.
func (l *Local) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	if l.gate == nil {
		l.gate = refusal(Unavailable, "node %s takes no calls: %w", l.opts.Node, errLeaving)
	}
	l.idleLocked()
	l.mu.Unlock()
	defer l.workers.close()
	select {
	case <-l.idle:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	cut := make([]*localCall, 0, len(l.running))
	for c := range l.running {
		cut = append(cut, c)
	}
	l.mu.Unlock()
	for _, c := range cut {
		if c.wait != nil && c.claim() {
			c.wait.err = Errorf(Unavailable, "the call was cut off: %w", errLeaving)
			c.wait.done <- struct{}{}
		}
		c.end(errLeaving)
	}
	return fmt.Errorf("finish the calls of this process to itself: %w", context.Cause(ctx))
}
