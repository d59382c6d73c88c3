package rmi

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farcall.dev/transport"
)

var (
	modelSeed = flag.Uint64("model.seed", 0, "seed of the model test; 0 takes one from the clock")
	modelTime = flag.Duration("model.time", 500*time.Millisecond, "how long the model test of Spaces runs; that of a Conn runs four times as long")
)

// TestConnModel lets two peers do everything at random: calls small and large,
// with deadlines, cancelled, nested in callbacks, into panicking and failing
// handlers, with lost connections, shutdowns and slow readers. What must hold:
// every call returns; a call that succeeds has its own answer; none is executed
// twice; one that is said not to have been executed was not; and in the end
// nothing is held.
func TestConnModel(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d; repeat with -model.seed=%d", seed, seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	rounds, end := 0, time.Now().Add(4**modelTime)
	for ; time.Now().Before(end) && !t.Failed(); rounds++ {
		m := &model{t: t, seed: rng.Uint64(), real: rounds%4 == 3}
		m.round()
	}
	t.Logf("%d rounds", rounds)
}

// model is one round: one session and what is done with it.
type model struct {
	t    *testing.T
	seed uint64
	real bool // over loopback and not in memory

	mu       sync.Mutex
	executed map[uint64]int // guarded by mu; how often each call ran
	lastCall atomic.Uint64
	outcomes [20]atomic.Int64 // by code
}

// What a call asks of its handler; the second part of its arguments.
const (
	modelEcho = iota
	modelFail
	modelPanic
	modelWait
	modelBack
	modelBig
	modelActs
)

// round runs callers on both sides of one session, and something that happens
// to the session, until all is over.
func (m *model) round() {
	m.executed = make(map[uint64]int)
	rng := rand.New(rand.NewPCG(m.seed, 2))
	a, b := m.pair(rng)
	ctx, cancel := context.WithCancel(m.t.Context())
	var all sync.WaitGroup
	for i := range 2 + rng.IntN(24) {
		c := a
		if i%2 == 1 {
			c = b
		}
		own := rand.New(rand.NewPCG(m.seed, uint64(i)+10))
		all.Go(func() {
			for range 1 + own.IntN(60) {
				if !m.call(ctx, c, own, 3) {
					return
				}
			}
		})
	}
	all.Go(func() { m.fate(rng, a, b) })
	finished := make(chan struct{})
	go func() {
		all.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-time.After(60 * time.Second):
		m.t.Errorf("round %d: calls have not returned after a minute", m.seed)
	}
	cancel()
	a.Close()
	b.Close()
	m.check(a, b)
}

// pair returns two connected Conns with limits that are easy to reach.
func (m *model) pair(rng *rand.Rand) (a, b *Conn) {
	options := func() ConnOptions {
		return ConnOptions{
			MaxInFlight: 1 + rng.IntN(100), MaxBuffered: 1 << (8 + rng.IntN(12)),
			MaxPayload: 1 << (16 + rng.IntN(4)), MaxLargeMemory: 1 << 19,
			LargeWait: 20 * time.Millisecond, WorkerIdle: time.Millisecond,
			buffers: &buffers{poison: true},
		}
	}
	var sa, sb transport.Session
	if m.real {
		sa, sb = realSessions(m.t)
	} else {
		sa, sb = transport.Pipe(transport.Options{}, transport.Options{})
	}
	return NewConn(sa, HandlerFunc(m.handle), options()), NewConn(sb, HandlerFunc(m.handle), options())
}

// fate is what becomes of the session.
func (m *model) fate(rng *rand.Rand, a, b *Conn) {
	<-time.After(time.Duration(rng.IntN(20_000)) * time.Microsecond)
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Duration(rng.IntN(20))*time.Millisecond)
	defer cancel()
	switch rng.IntN(6) {
	case 0:
		a.Close()
	case 1:
		b.session.Close()
	case 2:
		a.Shutdown(ctx)
	case 3:
		var both sync.WaitGroup
		both.Go(func() { a.Shutdown(ctx) })
		b.Shutdown(ctx)
		both.Wait()
	case 4:
		b.session.GoAway()
	} // 5: nothing happens to it
}

// call makes one random call and judges its outcome. It reports whether it is
// worth going on.
func (m *model) call(ctx context.Context, c *Conn, rng *rand.Rand, depth int) bool {
	id := m.lastCall.Add(1)
	size := 32 + rng.IntN(300)
	if rng.IntN(10) == 0 {
		size = LargePayload/2 + rng.IntN(3*LargePayload)
	}
	args := make([]byte, size)
	fill(args, id)
	act := rng.IntN(modelActs)
	binary.BigEndian.PutUint64(args, id)
	args[8], args[9] = byte(act), byte(depth)
	binary.BigEndian.PutUint64(args[10:], rng.Uint64())

	switch rng.IntN(4) {
	case 0:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(5000))*time.Microsecond)
		defer cancel()
	case 1:
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		timer := time.AfterFunc(time.Duration(rng.IntN(3000))*time.Microsecond, cancel)
		defer timer.Stop()
		defer cancel()
	default: // a call that waits must end some time
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
	}
	want := bytes.Clone(args)
	reply, err := c.Handle(ctx, &Call{Object: "model", Method: fmt.Sprint(act), Args: Payload{Data: args}})
	clear(args) // the Conn has no business with them any more
	m.judge(id, act, want, reply, err)
	return err == nil || failure(m.t, err).Code != Unavailable
}

// fill writes what only the call with this id has.
func fill(b []byte, id uint64) {
	for i := range b {
		b[i] = byte(id>>(i%8) + uint64(i))
	}
}

// judge holds the outcome of a call against what the model knows.
func (m *model) judge(id uint64, act int, want []byte, reply Reply, err error) {
	m.mu.Lock()
	executed := m.executed[id]
	m.mu.Unlock()
	if err == nil {
		m.outcomes[OK].Add(1)
		ok := bytes.Equal(reply.Result.Data, want)
		if act == modelBig {
			ok = isModelResult(reply.Result.Data, id)
		}
		if !ok || executed != 1 || act == modelFail || act == modelPanic {
			m.t.Errorf("round %d: call %d (act %d) succeeded with %d bytes, its own: %v, executed %d times", m.seed, id, act, len(reply.Result.Data), ok, executed)
		}
		return
	}
	e := failure(m.t, err)
	m.outcomes[e.Code].Add(1)
	switch e.Code {
	case Canceled, DeadlineExceeded, Unavailable, ResourceExhausted:
	case Aborted:
		if act != modelFail || e.Details["id"] != fmt.Sprint(id) {
			m.t.Errorf("round %d: call %d got the error of another: %v %v", m.seed, id, e, e.Details)
		}
	case Internal:
		if act != modelPanic {
			m.t.Errorf("round %d: call %d (act %d) failed with %v", m.seed, id, act, e)
		}
	default:
		m.t.Errorf("round %d: call %d (act %d) failed with %v", m.seed, id, act, e)
	}
	if e.Execution == NotExecuted && executed != 0 {
		m.t.Errorf("round %d: call %d was executed, and its error says it was not: %v", m.seed, id, e)
	}
}

// handle is the handler of both sides.
func (m *model) handle(ctx context.Context, call *Call) (Reply, error) {
	args := call.Args.Data
	id := binary.BigEndian.Uint64(args)
	act, depth, seed := int(args[8]), int(args[9]), binary.BigEndian.Uint64(args[10:])
	m.mu.Lock()
	m.executed[id]++
	m.mu.Unlock()
	if call.Method != fmt.Sprint(act) || len(args) > 32 && args[31] != byte(id>>(31%8)+31) {
		m.t.Errorf("round %d: call %d has the name or the arguments of another", m.seed, id)
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	switch act {
	case modelFail:
		return Reply{}, &Error{Code: Aborted, Message: "as asked", Details: map[string]string{"id": fmt.Sprint(id)}}
	case modelPanic:
		panic("as asked")
	case modelWait:
		select {
		case <-ctx.Done():
			return Reply{}, &Error{Code: FromError(ctx.Err()).Code}
		case <-time.After(time.Duration(rng.IntN(3000)) * time.Microsecond):
		}
	case modelBack:
		if depth > 0 {
			m.call(ctx, CallerConn(ctx), rng, depth-1)
		}
	case modelBig:
		return Reply{Result: Payload{Data: modelResult(id, rng)}}, nil
	}
	return Reply{Result: call.Args}, nil
}

// modelResult returns a large result that belongs to the call with this id.
func modelResult(id uint64, rng *rand.Rand) []byte {
	b := make([]byte, 9+rng.IntN(3*LargePayload))
	fill(b[8:], id)
	binary.BigEndian.PutUint64(b, id)
	return b
}

// isModelResult reports whether b is what modelResult returned.
func isModelResult(b []byte, id uint64) bool {
	if len(b) < 9 || binary.BigEndian.Uint64(b) != id {
		return false
	}
	want := make([]byte, len(b)-8)
	fill(want, id)
	return bytes.Equal(b[8:], want)
}

// check looks for what is still held after the end.
func (m *model) check(a, b *Conn) {
	waitUntil(m.t, "handlers to end", func() bool { return !a.Busy() && !b.Busy() })
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, n := range m.executed {
		if n > 1 {
			m.t.Errorf("round %d: call %d was executed %d times", m.seed, id, n)
		}
	}
	for _, c := range []*Conn{a, b} {
		c.workers.mu.Lock()
		queued := len(c.workers.queue) - c.workers.head
		c.workers.mu.Unlock()
		pending, serving := len(c.pending.close()), len(c.serving.close())
		if queued+pending+serving+len(c.callSlots)+len(c.resultSlots)+c.arrivals.count() != 0 ||
			c.largeArgs.free != c.opts.MaxLargeMemory || c.largeResults.free != c.opts.MaxLargeMemory {
			m.t.Errorf("round %d: in the end %d calls are queued, %d pending, %d served; %d and %d slots, %d arrivals, %d and %d of %d bytes are free",
				m.seed, queued, pending, serving, len(c.callSlots), len(c.resultSlots), c.arrivals.count(), c.largeArgs.free, c.largeResults.free, c.opts.MaxLargeMemory)
		}
	}
}
