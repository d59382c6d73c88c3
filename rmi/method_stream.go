package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"
	"sync"
	"time"
)

// maxGathered bounds the items of a sequence that goes by a protocol that has
// none: it becomes a list.
const maxGathered = 10_000

// methodLife is how long a method lives that takes or returns sequences: until
// it has returned and the sequences of its result have ended. Its context then
// ends, and with it the sequences of its arguments. A nil one is that of the
// side that calls.
type methodLife struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	reply   *replyContext
	unlink  func() bool // from the context of the call
	fails   *failures
	onPanic func(v any) *Error
	atEnd   func() // called once, at the end; may be nil

	mu       sync.Mutex
	args     []itemSource // guarded by mu; end with the life
	results  int          // guarded by mu; sequences that have not ended
	returned bool         // guarded by mu
	broken   error        // guarded by mu; why a sequence without a word for it broke off
}

// beginLife begins the life of the method that call calls, with the call's
// context.
func (o *Objects) beginLife(ctx context.Context, call *Call) *methodLife {
	of := &Call{Object: call.Object, Method: call.Method, Peer: call.Peer}
	l := &methodLife{fails: &o.fails, args: call.Args.streams}
	l.onPanic = func(v any) *Error { return o.guard.panicked(l.ctx, of, v) }
	l.reply = &replyContext{Context: context.WithoutCancel(ctx)}
	if deadline, ok := ctx.Deadline(); ok {
		l.reply.begin(deadline)
	}
	l.ctx, l.cancel = context.WithCancelCause(l.reply)
	l.unlink = context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			l.reply.expire()
		} else {
			l.cancel(context.Cause(ctx))
		}
		l.stopArgs(waitError(ctx))
	})
	context.AfterFunc(l.ctx, func() { l.stopArgs(waitError(l.ctx)) })
	return l
}

// context returns what ends with l.
func (l *methodLife) context() context.Context {
	if l == nil {
		return context.Background()
	}
	return l.ctx
}

// opened counts a sequence of the result.
func (l *methodLife) opened() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results++
}

// ended counts a sequence of the result as ended because of cause.
func (l *methodLife) ended(cause error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	l.results--
	over := l.returned && l.results == 0
	l.mu.Unlock()
	if over {
		l.end(cause)
	}
}

// returns ends l, unless sequences of the result live on; those do without the
// context of the call, and without its deadline when liftDeadline is set.
func (l *methodLife) returns(liftDeadline bool) {
	l.unlink()
	l.mu.Lock()
	l.returned = true
	over := l.results == 0
	l.mu.Unlock()
	switch {
	case over:
		l.end(context.Canceled)
	case liftDeadline:
		l.reply.lift()
	}
}

// end ends the context and the sequences of the arguments.
func (l *methodLife) end(cause error) {
	l.unlink()
	l.reply.lift()
	l.cancel(cause)
	l.stopArgs(errCallOver)
	l.mu.Lock()
	atEnd := l.atEnd
	l.atEnd = nil
	l.mu.Unlock()
	if atEnd != nil {
		atEnd()
	}
}

// stopArgs stops the sequences of the arguments.
func (l *methodLife) stopArgs(cause error) {
	l.mu.Lock()
	args := l.args
	l.mu.Unlock()
	dropSources(args, cause)
}

// broke notes that a sequence of the arguments broke off whose reader is not
// told otherwise.
func (l *methodLife) broke(err error) {
	if l == nil {
		return
	}
	l.mu.Lock()
	if l.broken == nil && l.ctx.Err() == nil {
		l.broken = err
	}
	l.mu.Unlock()
	l.cancel(err)
}

// breakage returns what broke was told.
func (l *methodLife) breakage() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// failure makes of an error that a sequence yielded that of the stream.
func (l *methodLife) failure(err error) *Error {
	if l == nil {
		return FromError(err)
	}
	return l.fails.of(err)
}

// panicked makes an error of what a sequence panicked with.
func (l *methodLife) panicked(v any) *Error {
	if l == nil {
		return &Error{Code: Internal, Message: fmt.Sprintf("the sequence panicked: %v", v), Trace: string(debug.Stack())}
	}
	return l.onPanic(v)
}

// attach makes source, which a method passes on, one of its result's.
func (l *methodLife) attach(source itemSource) itemSource {
	if l == nil {
		return source
	}
	l.opened()
	return &attachedSource{itemSource: source, life: l}
}

// attachedSource is a sequence of others that a method returned.
type attachedSource struct {
	itemSource
	life *methodLife
	once sync.Once
}

// next implements itemSource.
func (s *attachedSource) next(ctx context.Context) ([]byte, error) {
	item, err := s.itemSource.next(ctx)
	if err != nil && ctx.Err() == nil {
		s.once.Do(func() { s.life.ended(err) })
	}
	return item, err
}

// stop implements itemSource.
func (s *attachedSource) stop(cause error) {
	s.itemSource.stop(cause)
	s.once.Do(func() { s.life.ended(cause) })
}

// replyContext has the values of a call's context, and its deadline until that
// is lifted. It has one child.
type replyContext struct {
	context.Context
	done  chan struct{} // nil without a deadline
	timer *time.Timer

	mu       sync.Mutex
	deadline time.Time // guarded by mu; zero for none
	expired  bool      // guarded by mu
	after    func()    // guarded by mu; to be called when it expires
}

// begin gives c its deadline, before it is used.
func (c *replyContext) begin(deadline time.Time) {
	c.deadline, c.done = deadline, make(chan struct{})
	c.timer = time.AfterFunc(time.Until(deadline), c.expire)
}

// expire ends c, unless the deadline was lifted.
func (c *replyContext) expire() {
	c.mu.Lock()
	if c.expired || c.deadline.IsZero() {
		c.mu.Unlock()
		return
	}
	c.expired = true
	after := c.after
	c.mu.Unlock()
	close(c.done)
	if after != nil {
		after()
	}
}

// lift takes the deadline away, if it has not passed.
func (c *replyContext) lift() {
	if c.timer == nil {
		return
	}
	c.timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.expired {
		c.deadline = time.Time{}
	}
}

// Deadline implements context.Context.
func (c *replyContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deadline, !c.deadline.IsZero()
}

// Done implements context.Context.
func (c *replyContext) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *replyContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expired {
		return context.DeadlineExceeded
	}
	return nil
}

// AfterFunc has f called when c ends: package context asks for it, so as not to
// need a goroutine for the child.
func (c *replyContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	expired := c.expired
	c.after = f
	c.mu.Unlock()
	if expired {
		go f()
	}
	return func() bool { return false }
}

// callStreaming is call for a method that takes or returns sequences, whose life
// has begun. ctx is made from the life's.
func (p *plan) callStreaming(ctx context.Context, call *Call, codec Codec, vc *valueContext, life *methodLife) (result []byte, err error) {
	lives := false
	defer func() {
		if !lives {
			vc.drop(errCallOver)
			life.end(context.Canceled)
		}
	}()
	vc.ctx, vc.life = nil, life // the life stops the sequences of the arguments
	s := p.slots.Get().(*argSlots)
	if codec == nil {
		err = p.decodeArgs(call.Args.Data, s, vc)
	} else {
		err = p.decodeLists(codec, call, s, vc)
	}
	if err != nil {
		return nil, p.badArgs(err)
	}
	vc.dropUnclaimed()
	vc.streams, vc.claimed = nil, 0
	fn := p.fn
	if p.instances != nil {
		use, err := p.instances.acquire(ctx, call, life.fails)
		if err != nil {
			return nil, err
		}
		life.uses(use)
		ctx, fn = use.ctx, p.bind(use.value)
	}
	out, err := p.run(ctx, fn, s)
	if err != nil {
		if broken := life.breakage(); broken != nil {
			err = broken
		}
		return nil, life.fails.of(err)
	}
	if broken := life.breakage(); broken != nil {
		return nil, life.fails.of(broken)
	}
	if codec == nil {
		result, err = p.encodeResult(out, vc)
	} else {
		result, err = p.encodeLists(codec, call, out, vc)
	}
	if e, ok := errors.AsType[*Error](err); ok { // a sequence that was gathered broke off
		return nil, life.fails.of(e)
	} else if err != nil {
		return nil, p.badResult(err)
	}
	lives = true
	life.returns(call.replyOnly)
	return result, nil
}

// uses has l hold the instance of u until its end, and end with it.
func (l *methodLife) uses(u use) {
	undo := context.AfterFunc(u.ctx, func() { l.cancel(context.Cause(u.ctx)) })
	l.atEnd = func() {
		undo()
		u.release()
	}
}

// drop stops the sequences of a payload that is not sent.
func (vc *valueContext) drop(cause error) {
	if vc != nil {
		dropSources(vc.streams, cause)
	}
}

// decodeLists decodes arguments by codec, whose protocol has lists in place of
// sequences.
func (p *plan) decodeLists(codec Codec, call *Call, s *argSlots, vc *valueContext) error {
	params := append([]reflect.Value(nil), s.params...)
	for i, param := range p.params {
		if param.stream != nil {
			params[i] = reflect.New(reflect.SliceOf(param.stream.itemGoType())).Elem()
		}
	}
	if err := codec.DecodeArgs(call, params, p.variadic); err != nil {
		return err
	}
	for i, param := range p.params {
		if param.stream == nil {
			continue
		}
		list, err := appendValue(nil, params[i].Interface(), nil)
		if err != nil {
			return &ArgumentError{Index: i + 1, Err: err}
		}
		if _, err := param.decodeStream(list, s.params[i], vc); err != nil {
			return &ArgumentError{Index: i + 1, Err: err}
		}
	}
	return nil
}

// encodeLists encodes results by codec, with the items of sequences gathered
// into lists.
func (p *plan) encodeLists(codec Codec, call *Call, out []reflect.Value, vc *valueContext) ([]byte, error) {
	out = append([]reflect.Value(nil), out...)
	for i, r := range p.results {
		if r.stream == nil {
			continue
		}
		list, err := r.stream.gather(out[i], vc)
		if err != nil {
			return nil, err
		}
		out[i] = list
	}
	vc.streams = nil
	return codec.EncodeResult(call, out)
}

// itemGoType is the Go type of an item, that of a pair being a list of two.
func (f *streamForm) itemGoType() reflect.Type {
	if f.key != nil {
		return reflect.TypeFor[[]any]()
	}
	return f.elem.t
}

// gather reads the sequence v into a list, of at most maxGathered items.
func (f *streamForm) gather(v reflect.Value, vc *valueContext) (reflect.Value, error) {
	list := reflect.MakeSlice(reflect.SliceOf(f.itemGoType()), 0, 0)
	stands, err := f.appendStream(nil, v, vc)
	if err != nil {
		return list, err
	}
	source, err := sequenceIn(stands, vc)
	if err != nil {
		return list, err
	}
	defer source.stop(errUnread)
	item, err := shapeOf(f.itemGoType(), inward)
	if err != nil {
		return list, err
	}
	for {
		data, err := source.next(vc.life.ctx)
		switch {
		case err == io.EOF:
			return list, nil
		case err != nil:
			return list, err
		case list.Len() == maxGathered:
			return list, Errorf(ResourceExhausted, "the stream has more than %d items, and this protocol has no streams", maxGathered)
		}
		into := reflect.New(item.t)
		if _, err := item.decode(data, into.Elem(), into.Interface(), &valueContext{space: vc.space}); err != nil {
			return list, err
		}
		list = reflect.Append(list, into.Elem())
	}
}
