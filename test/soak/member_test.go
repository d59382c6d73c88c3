package soak

import (
	"context"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// member is a process of the mesh.
type member struct {
	s       *soak
	mesh    *farcall.Mesh
	service naming.Name // of one that others can connect to

	mu   sync.Mutex
	held []*rmi.Ref // guarded by mu
}

// object is what is passed by reference.
type object struct{ s *soak }

// newObject returns an object that is counted until it is garbage.
func (s *soak) newObject() *object {
	o := &object{s}
	s.objects.Add(1)
	s.alive.Add(1)
	runtime.AddCleanup(o, func(alive interface{ Add(int64) int64 }) { alive.Add(-1) }, interface{ Add(int64) int64 }(&s.alive))
	return o
}

// Ping returns its token.
func (o *object) Ping(token uint64) uint64 { o.s.ran(token); return token }

// Unreferenced counts.
func (o *object) Unreferenced() { o.s.told.Add(1) }

// service is what a member serves.
type service struct{ m *member }

// Echo returns its token.
func (v *service) Echo(token uint64) uint64 { v.m.s.ran(token); return token }

// Give returns a new object.
func (v *service) Give(token uint64) *object { v.m.s.ran(token); return v.m.s.newObject() }

// Some returns one of the references that it holds; null for none.
func (v *service) Some(token, which uint64) *rmi.Ref {
	v.m.s.ran(token)
	v.m.mu.Lock()
	defer v.m.mu.Unlock()
	if len(v.m.held) == 0 {
		return nil
	}
	return v.m.held[which%uint64(len(v.m.held))]
}

// Take keeps what it gets, after it has called it.
func (v *service) Take(ctx context.Context, token uint64, ref *rmi.Ref) {
	v.m.s.ran(token)
	v.m.ping(ctx, ref)
	v.m.keep(ref)
}

// Back calls what it gets.
func (v *service) Back(ctx context.Context, token, inner uint64, f func(context.Context, uint64) error) {
	v.m.s.ran(token)
	v.m.s.judge("callback", inner, f(ctx, inner))
}

// Count returns n numbers.
func (v *service) Count(token uint64, n int) iter.Seq[int] { v.m.s.ran(token); return numbers(n) }

// Sum counts what comes.
func (v *service) Sum(token uint64, in iter.Seq2[int, error]) (n int, err error) {
	v.m.s.ran(token)
	for got, err := range in {
		if err != nil {
			return n, err
		}
		if got != n {
			v.m.s.t.Errorf("stream up of call %d: item %d is %d", token, n, got)
		}
		n++
	}
	return n, nil
}

// numbers are 0 to n-1.
func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}

// keep holds a reference that came, instead of another when there are many.
func (m *member) keep(ref *rmi.Ref) {
	m.s.references.Add(1)
	if _, here := ref.Local(); here {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held) < kept {
		m.held = append(m.held, ref)
	} else {
		m.held[rand.IntN(kept)] = ref // the other is garbage, if nobody uses it
	}
}

// pick returns one of the references that are held; nil when there is none.
func (m *member) pick(rng *rand.Rand) *rmi.Ref {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held) == 0 {
		return nil
	}
	return m.held[rng.IntN(len(m.held))]
}

// ping calls the object of ref, and reports whether that succeeded.
func (m *member) ping(ctx context.Context, ref *rmi.Ref) bool {
	token := m.s.begin()
	got, err := rmi.InvokeAs[uint64](ctx, ref, ref.Object(), "ping", token)
	ok := m.s.judge("ping", token, err)
	if ok && got != token {
		m.s.t.Errorf("ping %d got the answer of %d", token, got)
	}
	return ok
}

// act makes a call at random, and reports whether it succeeded.
func (m *member) act(rng *rand.Rand) (ok bool) {
	ctx, cancel := context.WithTimeout(m.s.t.Context(), patience)
	defer cancel()
	to := m.s.members[rng.IntN(listening)]
	for to == m {
		to = m.s.members[rng.IntN(listening)]
	}
	token, h := m.s.begin(), m.mesh.Handler()
	switch rng.IntN(10) {
	case 0:
		ref, err := rmi.InvokeAs[*rmi.Ref](ctx, h, to.service, "give", token)
		if ok = m.s.judge("give", token, err); ok {
			m.keep(ref)
		}
	case 1:
		ref, err := rmi.InvokeAs[*rmi.Ref](ctx, h, to.service, "some", token, rng.Uint64()>>1)
		if ok = m.s.judge("some", token, err); ok && ref != nil {
			m.keep(ref)
			m.ping(ctx, ref)
		}
	case 2:
		_, err := rmi.Invoke(ctx, h, to.service, "take", token, m.s.newObject())
		ok = m.s.judge("take", token, err)
	case 3:
		if ref := m.pick(rng); ref != nil {
			_, err := rmi.Invoke(ctx, h, to.service, "take", token, ref)
			ok = m.s.judge("take of what is held", token, err)
		}
	case 4:
		if ref := m.pick(rng); ref != nil {
			ok = m.ping(ctx, ref)
		}
	case 5:
		inner := m.s.begin()
		_, err := rmi.Invoke(ctx, h, to.service, "back", token, inner, func(_ context.Context, token uint64) error { m.s.ran(token); return nil })
		ok = m.s.judge("back", token, err)
	case 6:
		ok = m.streamDown(ctx, to, token, rng)
	case 7:
		m.s.streams.Add(1)
		n := rng.IntN(100)
		got, err := rmi.InvokeAs[int](ctx, h, to.service, "sum", token, numbers(n))
		if ok = m.s.judge("sum", token, err); ok && got != n {
			m.s.t.Errorf("sum: call %d got %d, want %d", token, got, n)
		}
	case 8:
		b := rmi.NewBatch(h, to.service)
		tokens := []uint64{token, m.s.begin(), m.s.begin()}
		var added []*rmi.Added[uint64]
		for _, token := range tokens {
			added = append(added, rmi.Add[uint64](b, "echo", token))
		}
		b.Do(ctx) // its error is also that of each call
		for i, a := range added {
			got, err := a.Result()
			if ok = m.s.judge("batch", tokens[i], err); ok && got != tokens[i] {
				m.s.t.Errorf("batch: call %d got the answer of %d", tokens[i], got)
			}
		}
	default:
		got, err := rmi.Go[uint64](ctx, h, to.service, "echo", token).Wait(ctx)
		if ok = m.s.judge("echo", token, err); ok && got != token {
			m.s.t.Errorf("echo: call %d got the answer of %d", token, got)
		}
	}
	return ok
}

// streamDown reads a stream, or a part of it.
func (m *member) streamDown(ctx context.Context, to *member, token uint64, rng *rand.Rand) bool {
	m.s.streams.Add(1)
	n, most := rng.IntN(100), 1+rng.IntN(120)
	seq, err := rmi.InvokeAs[iter.Seq2[int, error]](ctx, m.mesh.Handler(), to.service, "count", token, n)
	if !m.s.judge("count", token, err) {
		return false
	}
	got := 0
	for item, err := range seq {
		if err != nil {
			m.s.judge("stream down", token, err)
			return false
		}
		if item != got {
			m.s.t.Errorf("stream of call %d: item %d is %d", token, got, item)
		}
		m.s.items.Add(1)
		if got++; got == most {
			return true
		}
	}
	if got != n {
		m.s.t.Errorf("stream of call %d ended after %d items without an error, want %d", token, got, n)
	}
	return true
}

// checkHeld calls every object that is held, which must be there, and returns how
// many those are.
func (m *member) checkHeld() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range m.held {
		m.s.until("an object that is held to answer", func() bool {
			ctx, cancel := context.WithTimeout(m.s.t.Context(), patience)
			defer cancel()
			return m.ping(ctx, ref) || m.s.t.Failed()
		})
	}
	return len(m.held)
}

// releaseAll gives up what is held.
func (m *member) releaseAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ref := range m.held {
		ref.Release()
	}
	m.held = nil
}
