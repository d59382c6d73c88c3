package rmi

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"
)

// modelService is what a process of the model serves under its name.
type modelService struct{ n *modelNode }

// modelGiven is a reference that is given.
type modelGiven struct {
	Ref *Ref
	ID  uint64
}

// Do acts as its caller might, and returns its token.
func (s *modelService) Do(ctx context.Context, token, seed uint64, depth int) uint64 {
	s.n.m.ran(token)
	rng := rand.New(rand.NewPCG(seed, 7))
	if depth > 0 {
		s.n.act(ctx, rng, depth-1)
	}
	select {
	case <-time.After(time.Duration(rng.IntN(3)) * time.Millisecond):
	case <-ctx.Done():
	}
	return token
}

// Take keeps a reference, which it calls if it is told to.
func (s *modelService) Take(ctx context.Context, token, id uint64, ref *Ref, ping bool) uint64 {
	s.n.m.ran(token)
	age := s.n.m.passedAge() // it may have been on its way for long
	s.n.take(ref, id, age)
	if ping && ref != nil {
		s.n.ping(ctx, &modelHeld{ref: ref, age: lost})
	}
	return token
}

// TakeAny is Take of an any.
func (s *modelService) TakeAny(ctx context.Context, token, id uint64, v any) uint64 {
	switch v := v.(type) {
	case *Ref:
		return s.Take(ctx, token, id, v, false)
	case *modelObject:
		s.n.m.ran(token)
		if v.id != id {
			s.n.m.t.Errorf("round %d: object %d came home as %d", s.n.m.seed, id, v.id)
		}
	}
	return token
}

// Give returns a new object.
func (s *modelService) Give(token uint64) (modelGiven, error) {
	s.n.m.ran(token)
	return s.n.give()
}

// Object returns a new object by itself.
func (s *modelService) Object(token uint64) *modelObject {
	s.n.m.ran(token)
	return s.n.m.newObject()
}

// Some returns a reference that is held, or a new object.
func (s *modelService) Some(token, seed uint64) (modelGiven, error) {
	s.n.m.ran(token)
	h := s.n.pick(rand.New(rand.NewPCG(seed, 8)))
	if h == nil {
		return s.n.give()
	}
	return modelGiven{h.ref, h.id.Load()}, nil // locked for good: it is used after this
}

// Back calls what it gets.
func (s *modelService) Back(ctx context.Context, token, inner uint64, f func(context.Context, uint64) (uint64, error)) uint64 {
	s.n.m.ran(token)
	age := s.n.m.age()
	if v, err := f(ctx, inner); err != nil {
		s.n.m.failed(ctx, "callback", inner, err, age)
	} else {
		s.n.m.succeeded("callback", inner, v, inner)
	}
	return token
}

// Count returns n items, and after them an error if it is told to fail.
func (s *modelService) Count(token uint64, n int, fail bool) iter.Seq2[uint64, error] {
	s.n.m.ran(token)
	return modelItems(token, n, fail)
}

// Sum counts the items that come, up to most.
func (s *modelService) Sum(ctx context.Context, token uint64, most int, in iter.Seq2[uint64, error]) (uint64, error) {
	s.n.m.ran(token)
	n := 0
	for v, err := range in {
		if err != nil {
			return 0, err
		}
		s.n.m.item("stream up", token, v, n)
		if n++; n == most {
			break
		}
	}
	return uint64(n), nil
}

// Echo returns what comes.
func (s *modelService) Echo(token uint64, in iter.Seq2[uint64, error]) iter.Seq2[uint64, error] {
	s.n.m.ran(token)
	return in
}

// Note does nothing.
func (s *modelService) Note(token uint64) uint64 { s.n.m.ran(token); return token }

// give returns a new object's reference.
func (n *modelNode) give() (modelGiven, error) {
	o := n.m.newObject()
	ref, err := n.space.Export(o, ExportOptions{})
	return modelGiven{ref, o.id}, err
}

// modelItems are n items of call token, and an error.
func modelItems(token uint64, n int, fail bool) iter.Seq2[uint64, error] {
	return func(yield func(uint64, error) bool) {
		for i := range n {
			if !yield(token<<16|uint64(i), nil) {
				return
			}
		}
		if fail {
			yield(0, &Error{Code: Aborted, Message: "as asked"})
		}
	}
}

// item judges item i of a stream.
func (m *spaceModel) item(what string, token, got uint64, i int) {
	if want := token<<16 | uint64(i); got != want {
		m.t.Errorf("round %d: %s of call %d: item %d is %d, want %d", m.seed, what, token, i, got, want)
	}
}

// act does something at random with another process.
func (n *modelNode) act(ctx context.Context, rng *rand.Rand, depth int) {
	m := n.m
	to := m.nodes[rng.IntN(3)]
	for to == n {
		to = m.nodes[rng.IntN(3)]
	}
	switch rng.IntN(5) {
	case 0:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(4))*time.Millisecond)
		defer cancel()
	case 1:
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(time.Duration(rng.IntN(4))*time.Millisecond, cancel).Stop()
	}
	acts := []func(context.Context, *modelNode, *rand.Rand){
		n.actGive, n.actSome, n.actPassNew, n.actPassOn, n.actPing, n.actPing, n.actRelease, n.actRelease,
		n.actStreamDown, n.actStreamUp, n.actStreamBoth, n.actOneWay, n.actFuture, n.actBatch,
	}
	if m.loose || m.portless {
		acts = append(acts, n.actPromise) // it may decode a reference that nobody takes
	}
	if m.loose {
		acts = append(acts, n.actFunc, n.actFunc)
	}
	if k := rng.IntN(len(acts) + 3); k < len(acts) {
		acts[k](ctx, to, rng)
		return
	}
	invokeModel(ctx, n, to, "do", func(token uint64) []any { return []any{token, rng.Uint64(), depth} }, func(v uint64) {})
}

// invokeModel calls a method that returns its token, or what use takes.
func invokeModel[T any](ctx context.Context, n, to *modelNode, method string, args func(token uint64) []any, use func(T)) {
	token, age := n.m.token(), n.m.age()
	v, err := InvokeAs[T](ctx, n.way, to.service(), method, args(token)...)
	if err != nil {
		n.m.failed(ctx, method, token, err, age)
		return
	}
	got := token
	if echoed, ok := any(v).(uint64); ok {
		got = echoed
	}
	n.m.succeeded(method, token, got, token)
	use(v)
}

func (n *modelNode) actGive(ctx context.Context, to *modelNode, _ *rand.Rand) {
	age := n.m.age()
	invokeModel(ctx, n, to, "give", func(token uint64) []any { return []any{token} }, func(g modelGiven) { n.take(g.Ref, g.ID, age) })
}

func (n *modelNode) actSome(ctx context.Context, to *modelNode, rng *rand.Rand) {
	// It may be lost already to the one that passes it on.
	invokeModel(ctx, n, to, "some", func(token uint64) []any { return []any{token, rng.Uint64()} }, func(g modelGiven) { n.take(g.Ref, g.ID, n.m.passedAge()) })
}

// passedAge is the age of what somebody has passed on, who may have lost it before.
func (m *spaceModel) passedAge() int64 {
	if m.cutOff.Load() == 0 {
		return 0
	}
	return lost
}

func (n *modelNode) actPassNew(ctx context.Context, to *modelNode, rng *rand.Rand) {
	o := n.m.newObject()
	invokeModel(ctx, n, to, "take", func(token uint64) []any { return []any{token, o.id, o, rng.IntN(2) == 0} }, func(uint64) {})
}

func (n *modelNode) actPassOn(ctx context.Context, to *modelNode, rng *rand.Rand) {
	h := n.pick(rng)
	if h == nil {
		return
	}
	defer h.inUse.RUnlock()
	if id := h.id.Load(); id != 0 && rng.IntN(2) == 0 {
		n.passOn(ctx, to, h, "take_any", id, h.ref)
	} else {
		n.passOn(ctx, to, h, "take", id, h.ref, rng.IntN(2) == 0)
	}
}

func (n *modelNode) passOn(ctx context.Context, to *modelNode, h *modelHeld, method string, args ...any) {
	token := n.m.token()
	v, err := InvokeAs[uint64](ctx, n.way, to.service(), method, append([]any{token}, args...)...)
	if err != nil {
		n.m.failed(ctx, method+" of what is held", token, err, h.age)
		return
	}
	n.m.succeeded(method, token, v, token)
}

func (n *modelNode) actPing(ctx context.Context, _ *modelNode, rng *rand.Rand) {
	if h := n.pick(rng); h != nil {
		defer h.inUse.RUnlock()
		n.ping(ctx, h)
	}
}

// ping calls the object of h.
func (n *modelNode) ping(ctx context.Context, h *modelHeld) {
	token := n.m.token()
	v, err := InvokeAs[uint64](ctx, h.ref, h.ref.Object(), "ping", token)
	if err != nil {
		n.m.failed(ctx, "ping", token, err, h.age)
		return
	}
	n.m.succeeded("ping", token, v, h.want(token, v))
}

func (n *modelNode) actRelease(_ context.Context, _ *modelNode, rng *rand.Rand) { n.release(rng) }

func (n *modelNode) actStreamDown(ctx context.Context, to *modelNode, rng *rand.Rand) {
	items, most, fail := rng.IntN(100), 1+rng.IntN(120), rng.IntN(4) == 0
	token, age := n.m.token(), n.m.age()
	seq, err := InvokeAs[iter.Seq2[uint64, error]](ctx, n.way, to.service(), "count", token, items, fail)
	if err != nil {
		n.m.failed(ctx, "count", token, err, age)
		return
	}
	n.read(ctx, "stream down", seq, token, items, most, fail, age)
}

// read judges a stream of items items, of which it reads most.
func (n *modelNode) read(ctx context.Context, what string, seq iter.Seq2[uint64, error], token uint64, items, most int, fail bool, age int64) {
	got := 0
	for v, err := range seq {
		if err != nil {
			if !fail || got != items || FromError(err).Code != Aborted {
				n.m.failed(ctx, what, token, err, age)
			}
			return
		}
		n.m.item(what, token, v, got)
		if got++; got == most {
			return
		}
	}
	if got != items || fail {
		n.m.t.Errorf("round %d: %s of call %d ended after %d items, want %d, and an error: %v", n.m.seed, what, token, got, items, fail)
	}
}

func (n *modelNode) actStreamUp(ctx context.Context, to *modelNode, rng *rand.Rand) {
	items, most, fail := rng.IntN(100), 1+rng.IntN(120), rng.IntN(4) == 0
	token, age := n.m.token(), n.m.age()
	v, err := InvokeAs[uint64](ctx, n.way, to.service(), "sum", token, most, modelItems(token, items, fail))
	switch {
	case err == nil:
		n.m.succeeded("sum", token, v, uint64(min(items, most)))
	case fail && FromError(err).Code == Aborted:
	default:
		n.m.failed(ctx, "sum", token, err, age)
	}
}

func (n *modelNode) actStreamBoth(ctx context.Context, to *modelNode, rng *rand.Rand) {
	items, most, fail := rng.IntN(100), 1+rng.IntN(120), rng.IntN(4) == 0
	token, age := n.m.token(), n.m.age()
	seq, err := InvokeAs[iter.Seq2[uint64, error]](ctx, n.way, to.service(), "echo", token, modelItems(token, items, fail))
	if err != nil {
		n.m.failed(ctx, "echo", token, err, age)
		return
	}
	n.read(ctx, "stream there and back", seq, token, items, most, fail, age)
}

func (n *modelNode) actOneWay(ctx context.Context, to *modelNode, rng *rand.Rand) {
	token, age := n.m.token(), n.m.age()
	call, err := NewCall(ctx, to.service(), "note", token)
	if err != nil {
		n.m.t.Error(err)
		return
	}
	call.Way = OneWay + Way(rng.IntN(2))
	if _, err := n.way.Handle(ctx, call); err != nil {
		n.m.failed(ctx, "one way", token, err, age)
	}
}

func (n *modelNode) actFuture(ctx context.Context, to *modelNode, rng *rand.Rand) {
	age := n.m.age()
	tokens, futures := make([]uint64, 1+rng.IntN(8)), []*Future[uint64](nil)
	for i := range tokens {
		tokens[i] = n.m.token()
		futures = append(futures, Go[uint64](ctx, n.way, to.service(), "do", tokens[i], rng.Uint64(), 0))
	}
	for i, f := range Completed(futures...) {
		if v, err := f.Wait(context.Background()); err != nil {
			n.m.failed(ctx, "future", tokens[i], err, age)
		} else {
			n.m.succeeded("future", tokens[i], v, tokens[i])
		}
	}
}

func (n *modelNode) actBatch(ctx context.Context, to *modelNode, rng *rand.Rand) {
	age := n.m.age()
	b := NewBatch(n.way, to.service())
	tokens, added := make([]uint64, 1+rng.IntN(8)), []*Added[uint64](nil)
	for i := range tokens {
		tokens[i] = n.m.token()
		added = append(added, Add[uint64](b, "do", tokens[i], rng.Uint64(), 0))
	}
	b.Do(ctx) // its error is also that of each call
	for i, a := range added {
		if v, err := a.Result(); err != nil {
			n.m.failed(ctx, "batch", tokens[i], err, age)
		} else {
			n.m.succeeded("batch", tokens[i], v, tokens[i])
		}
	}
}

func (n *modelNode) actPromise(ctx context.Context, to *modelNode, rng *rand.Rand) {
	m, age := n.m, n.m.age()
	first, second, third := m.token(), m.token(), m.token()
	object := Start(ctx, n.way, to.service(), "object", first)
	ping := object.Start(ctx, "ping", second)
	taker := m.nodes[rng.IntN(3)]
	take := Go[uint64](ctx, n.way, taker.service(), "take", third, 0, object, false)
	if rng.IntN(2) == 0 {
		object.Release()
	}
	ref, err := Await[*Ref](context.Background(), object)
	if err != nil {
		m.failed(ctx, "promise", first, err, age)
	} else {
		m.succeeded("promise", first, first, first)
		n.take(ref, 0, age)
	}
	if v, err := Await[uint64](context.Background(), ping); err != nil {
		m.failed(ctx, "call of a promise", second, err, age)
	} else {
		m.succeeded("call of a promise", second, v&(1<<32-1), second)
	}
	if v, err := take.Wait(context.Background()); err != nil {
		m.failed(ctx, "call with a promise", third, err, age)
	} else {
		m.succeeded("call with a promise", third, v, third)
	}
	object.Release()
}

func (n *modelNode) actFunc(ctx context.Context, to *modelNode, _ *rand.Rand) {
	inner := n.m.token()
	f := func(_ context.Context, token uint64) (uint64, error) {
		n.m.ran(token)
		return token, nil
	}
	invokeModel(ctx, n, to, "back", func(token uint64) []any { return []any{token, inner, f} }, func(uint64) {})
}
