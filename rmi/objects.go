package rmi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"farcall.dev/naming"
)

// ObjectsOptions are the settings of [NewObjects]. The zero value works.
type ObjectsOptions struct {
	// Errors are those that callers shall recognise by errors.Is and errors.AsType;
	// nil means those of [NewErrors] without any of one's own.
	Errors *Errors
	// Codecs add content types to CBOR, which is always there.
	Codecs []Codec
	// Space is what the process shares with others beyond single calls. Without
	// it methods can neither take nor return objects.
	Space *Space
	// MaxInstances bounds the instances that factories have made and that are not
	// closed yet. A call that needs one more is refused with RESOURCE_EXHAUSTED.
	// Default 65 536.
	MaxInstances int
	// Logger gets each panic of a method with its stack. Nil discards them.
	Logger *slog.Logger
	// Operator says whether a peer may see the traces of errors; see
	// [RecoverOptions]. Nil means that nobody may.
	Operator func(Peer) bool
}

// Objects is the table of what a node exports: it finds the method that a call
// is for, decodes the arguments into its parameter types, calls it and encodes
// the result. A method that panics fails its call and nothing else. Objects is
// the [Handler] at the end of the chain; what concerns all calls is wrapped
// around it. Its methods may be called from any number of goroutines, and calls
// take no lock.
type Objects struct {
	guard  guard
	fails  failures
	space  *Space       // may be nil
	oneWay atomic.Int64 // one-way calls of this process that run
	codecs map[ContentType]Codec
	made   *instances
	// table is replaced as a whole, by the holder of mu.
	table atomic.Pointer[map[naming.Name]*object]
	mu    sync.Mutex
}

var _ Handler = (*Objects)(nil)

// object is what is exported under one name.
type object struct {
	info InterfaceInfo
	// methods holds each plan under its wire name and its Go name, and a
	// function's under "".
	methods map[string]*plan
	// plans holds each plan once, in the order of info.Methods.
	plans []*plan
	// instances, when not nil, are what a factory makes of it.
	instances *instanced
	// relay, when not nil, carries out any method by passing it on.
	relay *plan
	// unname ends that the value travels by reference because it has a name; nil
	// without a Space.
	unname func()
}

// NewObjects returns an empty table.
func NewObjects(opts ObjectsOptions) *Objects {
	o := &Objects{
		guard:  newGuard(RecoverOptions{Logger: opts.Logger, Operator: opts.Operator}),
		fails:  failures{known: opts.Errors},
		space:  opts.Space,
		codecs: make(map[ContentType]Codec, len(opts.Codecs)),
	}
	if o.fails.known == nil {
		o.fails.known = standardErrors()
	}
	if o.space != nil {
		o.fails.node = o.space.opts.Node
	}
	for _, c := range opts.Codecs {
		o.codecs[c.ContentType()] = c
	}
	o.made = newInstances(opts.MaxInstances, o.guard.log)
	o.table.Store(&map[naming.Name]*object{})
	if o.space != nil {
		o.space.objects.Store(o)
	}
	return o
}

// Space returns the Space that o was made with; nil without one.
func (o *Objects) Space() *Space { return o.space }

// Handle carries out one call. Failures before the method runs are
// NOT_FOUND, UNIMPLEMENTED (no such method, or a content type that is not read
// here), INVALID_ARGUMENT, and what ctx says when it has ended; they are marked
// NotExecuted. A panic is INTERNAL. What the method returns as an error is what
// [FromError] makes of it, with the known [Errors] in its chain.
//
// A one-way call of this process runs on a goroutine of its own, no more than
// [MaxLocalOneWay] at a time; what its method returns, and panics with, does
// not reach the caller.
func (o *Objects) Handle(ctx context.Context, call *Call) (Reply, error) {
	if call.Way != Wait && call.Peer.local() && !call.detached {
		return Reply{}, o.begin(ctx, call)
	}
	return o.carryOut(ctx, call)
}

// carryOut is Handle for a call that is waited for here.
func (o *Objects) carryOut(ctx context.Context, call *Call) (reply Reply, err error) {
	if len(call.uses()) > 0 {
		return Reply{}, refusal(FailedPrecondition, "call %s: %w", target(call), errNotThere)
	}
	if call.Args.Type == ContentBatch {
		return splitter{HandlerFunc(o.carryOut), DefaultMaxPayload, true}.Handle(ctx, call)
	}
	p, err := o.find(call)
	if err != nil {
		return Reply{}, err
	}
	var codec Codec
	if call.Args.Type != ContentCBOR && p.handler == nil {
		if codec = o.codecs[call.Args.Type]; codec == nil {
			return Reply{}, &Error{Code: Unimplemented, Execution: NotExecuted,
				Message: fmt.Sprintf("%v: content type %d is not read here", p, call.Args.Type)}
		}
	}
	if call.Trail.Depth > MaxChain {
		return Reply{}, call.Trail.tooLong(string(call.Object), call.Method)
	}
	if call.Timeout > 0 {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, call.Timeout)
			defer cancel() // it bounds the reply, and not what that brings
			call.replyOnly = true
		}
	}
	if err := notBegun(ctx); err != nil {
		e := Errorf(contextCode(err), "%v: not begun: %w", p, context.Cause(ctx))
		e.Execution = NotExecuted
		return Reply{}, e
	}
	p.calls.Add(1)
	p.inFlight.Add(1)
	failed := true
	defer func() {
		p.inFlight.Add(-1)
		if failed {
			p.errs.Add(1)
			if v := recover(); v != nil {
				reply, err = Reply{}, o.guard.panicked(ctx, call, v)
			}
		}
	}()
	if p.handler != nil {
		if reply, err = p.forward(ctx, call, o.space); err != nil {
			return Reply{}, o.guard.untraced(call, err)
		}
		failed = false
		return reply, nil
	}
	vc := valueContext{space: o.space, streams: call.Args.streams, from: call.Args.from}
	var life *methodLife
	if p.streams {
		life = o.beginLife(ctx, call)
		ctx = life.ctx
	}
	var method *callContext
	if p.hasContext {
		method = withCall(ctx, call, p, o.space)
		ctx = method
	}
	var result []byte
	if life != nil {
		result, err = p.callStreaming(ctx, call, codec, &vc, life)
	} else {
		result, err = p.call(ctx, call, codec, &o.fails, &vc)
	}
	if err != nil {
		return Reply{}, o.guard.untraced(call, err)
	}
	failed = false
	reply = Reply{Result: vc.payload(result), Metadata: method.settle()}
	reply.Result.Type = call.Args.Type
	return reply, nil
}

// notBegun returns why a call should not begin: its context has ended. That the time
// of a call of the peer is not up its worker has seen just now.
func notBegun(ctx context.Context) error {
	if s, ok := ctx.(*servedCall); ok && s.conn != nil && !s.unwanted() {
		return nil
	}
	return ctx.Err()
}

// find returns the plan that call is for.
func (o *Objects) find(call *Call) (*plan, error) {
	obj, ok := (*o.table.Load())[call.Object]
	if !ok {
		var err error
		if obj, err = o.referred(call); err != nil {
			return nil, err
		}
	}
	p, ok := obj.methods[call.Method]
	if !ok && obj.relay != nil {
		return obj.relay, nil
	}
	if !ok {
		return nil, obj.noMethod(call.Method)
	}
	return p, nil
}

// referred returns the object without a name that call is for.
func (o *Objects) referred(call *Call) (*object, error) {
	if o.space == nil || !strings.HasPrefix(string(call.Object), refPrefix) {
		return nil, o.noObject(call.Object)
	}
	if call.ref != nil && call.ref.own != nil && call.ref.space == o.space {
		return call.ref.own.object() // it is kept by who calls it
	}
	obj, err := o.space.refs.find(call.Object)
	if obj == nil && err == nil {
		err = o.space.refs.gone()
	}
	return obj, err
}

// lookup returns what is exported as name, or called by the reference name.
func (o *Objects) lookup(name naming.Name) (*object, bool) {
	if obj, ok := (*o.table.Load())[name]; ok {
		return obj, true
	}
	if o.space == nil || !strings.HasPrefix(string(name), refPrefix) {
		return nil, false
	}
	obj, err := o.space.refs.find(name)
	return obj, obj != nil && err == nil
}

// noObject says that nothing is exported as name.
func (o *Objects) noObject(name naming.Name) *Error {
	var names []string
	for _, n := range o.Names() {
		names = append(names, string(n))
	}
	return &Error{Code: NotFound, Execution: NotExecuted,
		Message: fmt.Sprintf("this node has nothing named %q%s", clip(string(name), 64), didYouMean(string(name), names))}
}

// noMethod says that obj has no such method, and which it has.
func (obj *object) noMethod(method string) *Error {
	e := &Error{Code: Unimplemented, Execution: NotExecuted}
	name := obj.info.Name
	if obj.info.Kind == naming.KindFunction {
		e.Message = fmt.Sprintf("%s is a function and has no method %q; call it by its own name: %s%s",
			name, clip(method, 64), name, obj.info.Methods[0].Signature())
		return e
	}
	names := make([]string, 0, len(obj.plans))
	for _, p := range obj.plans {
		if !strings.HasPrefix(p.name, reservedPrefix) {
			names = append(names, p.name)
		}
	}
	if method == "" {
		e.Message = fmt.Sprintf("%s is an object; say which method to call: %s", name, listed(names))
		return e
	}
	if method == GetMethod || method == SetMethod || method == PropertiesMethod {
		e.Message = fmt.Sprintf("%s has no properties: its owner lists none", name)
		return e
	}
	hint := didYouMean(SnakeCase(method), names)
	if hint == "" {
		hint = ";"
	}
	e.Message = fmt.Sprintf("%s has no method %s%s it has: %s", name, clip(method, 64), hint, listed(names))
	return e
}

// Remove takes back what is exported as name, and reports whether there was
// something. Calls that have begun go on. The instances of a [Factory] end after
// them; Remove does not wait for that.
func (o *Objects) Remove(name naming.Name) bool {
	removed := o.take(name)
	if removed != nil && removed.instances != nil {
		o.made.remove(removed.instances)
	}
	return removed != nil
}

// take takes what is exported as name out of the table; nil when there is
// nothing.
func (o *Objects) take(name naming.Name) *object {
	o.mu.Lock()
	defer o.mu.Unlock()
	old := *o.table.Load()
	gone, ok := old[name]
	if !ok {
		return nil
	}
	if gone.unname != nil {
		defer gone.unname()
	}
	table := make(map[naming.Name]*object, len(old))
	for n, obj := range old {
		if n != name {
			table[n] = obj
		}
	}
	o.table.Store(&table)
	return old[name]
}

// Shutdown ends the instances that factories have made: it ends the contexts of
// the calls to them, waits until these have returned, closes them, and returns
// when the last is closed; or, with ctx's error, when ctx ends first. From then on
// a call that needs an instance is refused with UNAVAILABLE. Other objects know
// nothing of it. It may be called twice.
func (o *Objects) Shutdown(ctx context.Context) error { return o.made.shutdown(ctx) }

// add puts obj into the table, unless its name is taken.
func (o *Objects) add(obj *object) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	old := *o.table.Load()
	if taken, ok := old[obj.info.Name]; ok {
		return &ExportError{Name: obj.info.Name, Type: obj.info.Go,
			Reason: fmt.Sprintf("the name is taken by a %s; remove that first", taken.info.Go)}
	}
	table := make(map[naming.Name]*object, len(old)+1)
	for n, have := range old {
		table[n] = have
	}
	table[obj.info.Name] = obj
	o.table.Store(&table)
	return nil
}

// Names returns the names of everything exported, sorted.
func (o *Objects) Names() []naming.Name {
	table := *o.table.Load()
	names := make([]naming.Name, 0, len(table))
	for n := range table {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Interface describes what is exported as name, or called by the reference that
// [Ref.Object] names. The result is shared and
// read-only.
func (o *Objects) Interface(name naming.Name) (InterfaceInfo, bool) {
	obj, ok := o.lookup(name)
	if !ok {
		return InterfaceInfo{}, false
	}
	return obj.info, true
}

// Known returns the names on the wire of an exported method, which a caller
// may have spelt as in Go, and whether there is one. It serves metrics, whose
// series must not be named by strangers. All objects without a name are called
// "#" here, since there may be any number of them. It does not allocate.
func (o *Objects) Known(name naming.Name, method string) (naming.Name, string, bool) {
	obj, ok := o.lookup(name)
	if !ok {
		return "", "", false
	}
	p, ok := obj.methods[method]
	switch {
	case !ok:
		return "", "", false
	case strings.HasPrefix(string(name), refPrefix):
		return refPrefix, p.name, true
	}
	return p.object, p.name, true
}

// Idempotent reports whether the owner declared the method idempotent.
func (o *Objects) Idempotent(name naming.Name, method string) bool {
	obj, ok := o.lookup(name)
	if !ok {
		return false
	}
	p, ok := obj.methods[method]
	return ok && p.idempotent
}

// MethodCounters are the counts of one method since it was exported.
type MethodCounters struct {
	// Object and Method name it; Method is empty for a function.
	Object naming.Name `json:"object"`
	Method string      `json:"method"`
	// Calls counts the calls that found the method, Errors those that failed,
	// be it by their arguments, and InFlight those that have not ended.
	Calls    uint64 `json:"calls"`
	Errors   uint64 `json:"errors"`
	InFlight int64  `json:"in_flight"`
}

// Counters returns the counts of every exported method, sorted by object and
// method.
func (o *Objects) Counters() []MethodCounters {
	table := *o.table.Load()
	var out []MethodCounters
	for _, name := range o.Names() {
		obj, ok := table[name]
		if !ok {
			continue
		}
		for _, p := range obj.plans {
			out = append(out, MethodCounters{Object: name, Method: p.name,
				Calls: p.calls.Load(), Errors: p.errs.Load(), InFlight: p.inFlight.Load()})
		}
	}
	return out
}

// contextCode is the code of a context's error.
func contextCode(err error) Code {
	if errors.Is(err, context.DeadlineExceeded) {
		return DeadlineExceeded
	}
	return Canceled
}

// typeName is how messages call v's type.
func typeName(v any) string {
	if v == nil {
		return "nil"
	}
	return goName(reflect.TypeOf(v))
}
