package rmi

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// TestSpaceModel lets three processes do with each other at random whatever can
// be done with objects: calls that call back, references that are given, passed
// on, called and released, streams in both directions, futures, batches,
// promises, while their connections break at any byte, and at times stay broken
// for longer than the lease. What must hold: every call returns, with its own
// answer if it succeeds; none is executed twice, and none that is said not to
// have been; streams come in order and whole, or end with an error; an object is
// called for as long as a reference to it is held in a session that lives; when
// nobody holds it, it is told so, once; and in the end nothing is left.
//
// Time in it is not real, so that leases and patience pass at once.
func TestSpaceModel(t *testing.T) {
	seed := *modelSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d; repeat with -model.seed=%d", seed, seed)
	// What is garbage is found outside the bubbles of synctest, and would be told
	// from there.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	rng := rand.New(rand.NewPCG(seed, 4))
	var sum spaceModelSum
	rounds, end := 0, time.Now().Add(*modelTime)
	for ; time.Now().Before(end) && !t.Failed() && rounds < mostModelRounds; rounds++ {
		m := &spaceModel{seed: rng.Uint64(), portless: rounds%4 == 3, loose: rounds%4 == 2, breaks: rounds%3 == 2, sum: &sum}
		synctest.Test(t, func(t *testing.T) {
			m.t = t
			m.round()
		})
		if rounds%8 == 7 {
			debug.FreeOSMemory() // between bubbles
		}
	}
	t.Logf("%d rounds: %d calls, %d cuts, %d objects, %d references held to the end", rounds, sum.calls.Load(), sum.cuts.Load(), sum.objects.Load(), sum.held.Load())
}

// spaceModelSum counts over all rounds.
type spaceModelSum struct{ calls, cuts, objects, held atomic.Int64 }

// spaceModel is one round: three processes and what they do.
type spaceModel struct {
	t    *testing.T
	seed uint64
	// portless says that nobody can connect to the third process, so that others
	// reach its objects by way of who has passed them on.
	portless bool
	// loose says that objects are passed too whose references nobody can release
	// but the garbage collector.
	loose bool
	// breaks says that processes are cut off for longer than the lease.
	breaks bool
	nodes  []*modelNode
	sum    *spaceModelSum

	// cutOff counts the cuts that are longer than the lease, healed those that are
	// over.
	cutOff, healed atomic.Int64
	lastCall       atomic.Uint64

	mu       sync.Mutex
	executed map[uint64]int      // guarded by mu; by token
	refused  map[uint64]error    // guarded by mu; said not to be executed
	objects  []*modelObject      // guarded by mu; that were given away
	down     map[string]int      // guarded by mu; pairs of nodes that cannot connect
	conns    map[string][2]*Conn // guarded by mu; the ends of each, by who dialled whom
	all      []*Conn             // guarded by mu
	budgets  *rand.Rand          // guarded by mu
	ends     sync.WaitGroup      // of those who close sessions
}

// pairOf names a pair of nodes.
func pairOf(a, b naming.NodeID) string { return string(min(a, b) + max(a, b)) }

// modelObject is an object that is passed by reference.
type modelObject struct {
	m    *spaceModel
	id   uint64
	told atomic.Int64
}

// Ping returns which object it is, and the call.
func (o *modelObject) Ping(token uint64) uint64 {
	o.m.ran(token)
	return o.id<<32 | token
}

// Unreferenced counts.
func (o *modelObject) Unreferenced() { o.told.Add(1) }

// newObject returns an object that is about to be given away.
func (m *spaceModel) newObject() *modelObject {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &modelObject{m: m, id: uint64(len(m.objects) + 1)}
	m.objects = append(m.objects, o)
	return o
}

// modelNode is one of the processes. It is its own resolver and dialer.
type modelNode struct {
	m       *spaceModel
	name    naming.NodeID
	space   *Space
	objects *Objects
	way     Handler

	mu       sync.Mutex
	held     []*modelHeld  // guarded by mu
	released map[*Ref]bool // guarded by mu
}

// modelHeld is a reference that a node holds.
type modelHeld struct {
	ref *Ref
	// inUse is locked shared while ref is used.
	inUse sync.RWMutex
	// age is that of the model before it came, and id which object it is, or 0
	// while that is unknown.
	age int64
	id  atomic.Uint64
}

func (m *spaceModel) newNode(name naming.NodeID, inc naming.Incarnation) *modelNode {
	n := &modelNode{m: m, name: name, released: make(map[*Ref]bool)}
	n.space = NewSpace(SpaceOptions{Node: name, Incarnation: inc,
		Dial:      func(ctx context.Context, node naming.NodeID) (*Conn, error) { return n.Get(ctx, string(node)) },
		Redial:    n.Get,
		Reachable: m.listens,
	})
	n.objects = NewObjects(ObjectsOptions{Space: n.space})
	if err := n.objects.Export("model-"+naming.Name(name), &modelService{n}, ExportOptions{}); err != nil {
		m.t.Fatal(err)
	}
	n.way = n.space.Caller(NewRouter(n, n, RouterOptions{}))
	return n
}

// listens reports whether others can connect to node.
func (m *spaceModel) listens(node naming.NodeID) bool { return node != "c" || !m.portless }

// Resolve implements naming.Resolver.
func (n *modelNode) Resolve(_ context.Context, name naming.Name) (*naming.Entry, error) {
	node := strings.TrimPrefix(string(name), "model-")
	e := entryOf(1, func(_ int, inst *naming.Instance) {
		inst.Name, inst.Node = name, naming.NodeID(node)
		inst.Addrs[naming.ProtocolMesh] = node
	})
	e.Name = name
	return e, nil
}

// Get implements Dialer. A node has a connection of its own to each other.
func (n *modelNode) Get(_ context.Context, address string) (*Conn, error) {
	m, to := n.m, naming.NodeID(address)
	m.mu.Lock()
	defer m.mu.Unlock()
	key := string(n.name) + address
	if c := m.conns[key][0]; c != nil && c.Err() == nil {
		return c, nil
	}
	if m.down[pairOf(n.name, to)] > 0 || !m.listens(to) {
		return nil, refusal(Unavailable, "nobody listens at %s", address)
	}
	var peer *modelNode
	for _, other := range m.nodes {
		if other.name == to {
			peer = other
		}
	}
	hello := func(n *modelNode) transport.Options {
		return transport.Options{Hello: transport.Hello{Node: string(n.name), Incarnation: uint64(n.space.opts.Incarnation)}}
	}
	sa, sb := transport.Pipe(hello(n), hello(peer))
	var once sync.Once
	cut := func() {
		once.Do(func() {
			m.sum.cuts.Add(1)
			m.ends.Go(func() {
				sa.Close()
				sb.Close()
			})
		})
	}
	wrap := func(s transport.Session) transport.Session {
		cs := &cutSession{Session: s, cut: cut, limited: m.budgets.IntN(3) > 0}
		cs.left.Store(50 + m.budgets.Int64N(8000))
		return cs
	}
	opts := ConnOptions{Space: n.space, buffers: &buffers{poison: true}, dialled: address}
	a := NewConn(wrap(sa), n.objects, opts)
	b := NewConn(wrap(sb), peer.objects, ConnOptions{Space: peer.space, buffers: &buffers{poison: true}})
	m.conns[key] = [2]*Conn{a, b}
	m.all = append(m.all, a, b)
	return a, nil
}

// round lets the processes act until they have done enough, and looks at what is
// left.
func (m *spaceModel) round() {
	m.executed, m.refused = make(map[uint64]int), make(map[uint64]error)
	m.down, m.conns = make(map[string]int), make(map[string][2]*Conn)
	rng := rand.New(rand.NewPCG(m.seed, 5))
	m.budgets = rand.New(rand.NewPCG(m.seed, 6))
	m.lastCall.Store(1000)
	for i, name := range []naming.NodeID{"a", "b", "c"} {
		m.nodes = append(m.nodes, m.newNode(name, naming.Incarnation(i+1)))
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	var actors, cutter sync.WaitGroup
	for i := range 3 + rng.IntN(15) {
		own := rand.New(rand.NewPCG(m.seed, uint64(i)+10))
		n := m.nodes[i%3]
		actors.Go(func() {
			for range 1 + own.IntN(40) {
				n.act(ctx, own, 3)
				<-time.After(time.Duration(own.IntN(4)) * time.Millisecond)
			}
		})
	}
	acting, over := context.WithCancel(ctx)
	cutter.Go(func() { m.cut(acting, rng) })
	actors.Wait()
	over()
	cutter.Wait()
	<-time.After(2 * DefaultLease) // nothing is in transit any more
	m.checkHeld(ctx)
	if !m.loose && !m.portless { // else the garbage collector is needed
		m.checkCollected()
	}
	cancel()
	m.checkEnd()
}

// cut breaks connections until ctx ends.
func (m *spaceModel) cut(ctx context.Context, rng *rand.Rand) {
	var long sync.WaitGroup
	defer long.Wait()
	for ctx.Err() == nil {
		select {
		case <-time.After(time.Duration(1+rng.IntN(20)) * time.Millisecond):
		case <-ctx.Done():
			return
		}
		i := rng.IntN(3)
		a, b := m.nodes[i].name, m.nodes[(i+1+rng.IntN(2))%3].name
		switch {
		case m.breaks && rng.IntN(12) == 0:
			d := DefaultLease + time.Duration(rng.IntN(3))*DefaultLease/2
			m.cutOff.Add(1)
			long.Go(func() {
				m.disconnect(a, b, d)
				m.healed.Add(1)
			})
		case rng.IntN(2) == 0:
			m.disconnect(a, b, time.Duration(rng.IntN(3000))*time.Millisecond)
		default:
			m.disconnect(a, b, 0)
		}
	}
}

// disconnect breaks the connections between a and b, and lets no others be made
// for d.
func (m *spaceModel) disconnect(a, b naming.NodeID, d time.Duration) {
	m.mu.Lock()
	m.down[pairOf(a, b)]++
	broken := slices.Concat(sliceOf(m.conns[string(a+b)]), sliceOf(m.conns[string(b+a)]))
	m.mu.Unlock()
	for _, c := range broken {
		c.session.Close()
		m.sum.cuts.Add(1)
	}
	if d > 0 {
		<-time.After(d)
	}
	m.mu.Lock()
	m.down[pairOf(a, b)]--
	m.mu.Unlock()
}

// sliceOf returns the ends of a connection that there is.
func sliceOf(ends [2]*Conn) []*Conn {
	if ends[0] == nil {
		return nil
	}
	return ends[:1]
}

// ran notes that a call is executed.
func (m *spaceModel) ran(token uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.executed[token]++; m.executed[token] > 1 {
		m.t.Errorf("round %d: call %d is executed %d times", m.seed, token, m.executed[token])
	}
}

// token returns what makes a call unique.
func (m *spaceModel) token() uint64 {
	m.sum.calls.Add(1)
	return m.lastCall.Add(1)
}

// succeeded judges a call that has succeeded.
func (m *spaceModel) succeeded(what string, token, got, want uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if got != want || m.executed[token] != 1 {
		m.t.Errorf("round %d: %s, call %d: got %d, want %d; it was executed %d times", m.seed, what, token, got, want, m.executed[token])
	}
}

// failed judges a call, or a stream of one, that has failed. age is that of the
// model when what it needs was there for certain.
func (m *spaceModel) failed(ctx context.Context, what string, token uint64, err error, age int64) {
	e := FromError(err)
	ok := false
	switch e.Code {
	case Unavailable:
		ok = true
	case Canceled, DeadlineExceeded: // the peer may notice at the same moment
		at, limited := ctx.Deadline()
		ok = ctx.Err() != nil || limited && !time.Now().Before(at)
	case NotFound, FailedPrecondition:
		ok = m.aged(age) || strings.Contains(e.Message, "came with sequences")
	}
	if strings.Contains(e.Message, errReleased.Error()) {
		// by the one that passes calls on, or after it came in a promise
		ok = ok || m.portless || m.loose
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !ok {
		m.t.Errorf("round %d (portless %v, loose %v, breaks %v, cut off %d, healed %d): %s, call %d failed with %v: %v", m.seed, m.portless, m.loose, m.breaks, m.cutOff.Load(), m.healed.Load(), what, token, e.Code, e)
	}
	if e.Execution == NotExecuted {
		m.refused[token] = err
	}
}

// lost is the age of what may be gone.
const lost = -1

// age is what [spaceModel.aged] takes for what is there by now.
func (m *spaceModel) age() int64 {
	if healed := m.healed.Load(); m.cutOff.Load() == healed {
		return healed
	}
	return lost
}

// aged reports whether somebody was cut off for longer than the lease since age.
func (m *spaceModel) aged(age int64) bool { return age == lost || m.cutOff.Load() != age }

// take keeps a reference that came, to object id if that is not 0; age is that of
// the model before it came.
func (n *modelNode) take(ref *Ref, id uint64, age int64) {
	if ref == nil {
		return
	}
	if _, here := ref.Local(); here {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.released[ref] || slices.ContainsFunc(n.held, func(h *modelHeld) bool { return h.ref == ref }) {
		return
	}
	h := &modelHeld{ref: ref, age: age}
	h.id.Store(id)
	n.held = append(n.held, h)
}

// pick returns one of the references that are held, locked for use; nil when
// there is none.
func (n *modelNode) pick(rng *rand.Rand) *modelHeld {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.held) == 0 {
		return nil
	}
	h := n.held[rng.IntN(len(n.held))]
	h.inUse.RLock() // nobody waits for it while holding mu
	return h
}

// release releases one of the references that nobody uses.
func (n *modelNode) release(rng *rand.Rand) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.held) == 0 {
		return
	}
	i := rng.IntN(len(n.held))
	if h := n.held[i]; h.inUse.TryLock() {
		n.held = slices.Delete(n.held, i, i+1)
		n.released[h.ref] = true
		h.ref.Release()
	}
}

// checkHeld calls every object that is held, which must be there.
func (m *spaceModel) checkHeld(ctx context.Context) {
	for _, n := range m.nodes {
		n.mu.Lock()
		held := slices.Clone(n.held)
		n.mu.Unlock()
		for _, h := range held {
			m.sum.held.Add(1)
			for try := 0; ; try++ {
				token := m.token()
				v, err := InvokeAs[uint64](ctx, h.ref, h.ref.Object(), "ping", token)
				if err == nil {
					m.succeeded("object that is held", token, v, h.want(token, v))
					break
				}
				m.failed(ctx, "object that is held", token, err, h.age)
				if FromError(err).Code != Unavailable {
					break
				}
				if try == 1000 {
					if !m.aged(h.age) {
						m.t.Errorf("round %d: node %s holds %v and cannot reach it: %v", m.seed, n.name, h.ref, err)
					}
					break
				}
				<-time.After(100 * time.Millisecond)
			}
		}
	}
}

// want returns what a ping of h has to return, given what it did.
func (h *modelHeld) want(token, got uint64) uint64 {
	h.id.CompareAndSwap(0, got>>32)
	return h.id.Load()<<32 | token
}

// checkCollected releases everything; every object must then be told so, once.
func (m *spaceModel) checkCollected() {
	for _, n := range m.nodes {
		for _, h := range n.held {
			h.ref.Release()
		}
	}
	<-time.After(3 * DefaultLease)
	synctest.Wait()
	for _, o := range m.objects {
		if n := o.told.Load(); n != 1 {
			m.t.Errorf("round %d: object %d was told %d times that nobody holds it, want once", m.seed, o.id, n)
		}
	}
	for _, n := range m.nodes {
		if s := n.space.Stats(); s.Exported != 1 || s.Waiting != 0 || s.Lent != 0 || s.Held != 0 {
			m.t.Errorf("round %d: node %s has %+v when everything was released, want only what has a name", m.seed, n.name, s)
		}
	}
}

// checkEnd closes everything; nothing must be left.
func (m *spaceModel) checkEnd() {
	m.mu.Lock()
	all := m.all
	for pair := range maps.Keys(m.conns) {
		m.down[pairOf(naming.NodeID(pair[:1]), naming.NodeID(pair[1:]))]++
	}
	m.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
	m.ends.Wait()
	for _, n := range m.nodes {
		n.space.Close()
		if s := n.space.Stats(); s != (SpaceStats{}) {
			m.t.Errorf("round %d: node %s has %+v after its end, want nothing", m.seed, n.name, s)
		}
	}
	synctest.Wait() // for methods, which a connection does not wait for
	for _, c := range all {
		if n := c.items.live.Load(); n != 0 || c.Busy() {
			m.t.Errorf("round %d: a connection to %s has %d item streams after its end, busy: %v", m.seed, c.peerName(), n, c.Busy())
		}
	}
	for token, err := range m.refused {
		if m.executed[token] != 0 {
			m.t.Errorf("round %d: call %d was executed, and its error said that it was not: %v", m.seed, token, err)
		}
	}
	for _, o := range m.objects {
		if n := o.told.Load(); n > 1 {
			m.t.Errorf("round %d: object %d was told %d times that nobody holds it", m.seed, o.id, n)
		}
	}
	m.sum.objects.Add(int64(len(m.objects)))
}

// name is that of the service of n.
func (n *modelNode) service() naming.Name { return naming.Name(fmt.Sprint("model-", n.name)) }
