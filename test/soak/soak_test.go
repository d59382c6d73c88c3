package soak

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

var (
	soakSeed = flag.Uint64("soak.seed", 0, "seed of the soak; 0 takes one from the clock")
	soakTime = flag.Duration("soak.time", 3*time.Second, "how long the soak makes calls")
)

const (
	// listening and calling are how many processes there are that others can
	// connect to, and that only call.
	listening, calling = 3, 4
	// workers is how many calls a process makes at a time, kept how many references
	// it holds at most.
	workers, kept = 8, 1500
	// patience bounds every wait.
	patience = time.Minute
	// heapBound is how much more may be allocated after the end than before the
	// beginning.
	heapBound = 16 << 20
)

// TestSoak has processes call each other, keep and pass on each other's objects,
// and stream, over TCP connections that break all the time. No call may be
// executed twice, nor fail but for its connection; what is held must be there; and
// in the end nothing may be left of it: neither sessions, references and records,
// nor goroutines, objects and memory.
func TestSoak(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d, for %v; repeat with -soak.seed=%d -soak.time=%v", seed, *soakTime, seed, *soakTime)
	before := heap()
	s := &soak{t: t, executed: make(map[uint64]uint8)}
	s.run(seed)
	if t.Failed() {
		return
	}
	s.executed = nil
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		after := heap()
		grown := int64(after) - int64(before)
		if s.alive.Load() == 0 && grown < heapBound {
			t.Logf("the heap has grown from %d to %d KiB", before>>10, after>>10)
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d objects are left after the end, and %d bytes more than before; want none, and less than %d", s.alive.Load(), s.objects.Load(), grown, heapBound)
		}
	}
}

// heap returns how much is allocated and reachable.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// soak is what all processes share.
type soak struct {
	t       *testing.T
	cutter  *cutter
	members []*member

	tokens, calls, doubts, streams, items atomic.Uint64
	objects, told, alive, references      atomic.Int64

	mu       sync.Mutex
	executed map[uint64]uint8 // guarded by mu; by token
}

// run does it all.
func (s *soak) run(seed uint64) {
	s.cutter = newCutter(seed)
	store := naming.NewMemory()
	for i := range listening + calling {
		s.join(i, store)
	}
	for _, m := range s.members {
		s.await(m)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), *soakTime)
	defer cancel()
	var working, cutting sync.WaitGroup
	for i, m := range s.members {
		for w := range workers {
			rng := rand.New(rand.NewPCG(seed, uint64(2+i*workers+w)))
			working.Go(func() {
				for ctx.Err() == nil {
					if !m.act(rng) { // most likely there is no connection
						<-time.After(time.Duration(1+rng.IntN(20)) * time.Millisecond)
					}
				}
			})
		}
	}
	cutting.Go(func() { s.cutter.run(ctx, 200*time.Millisecond) })
	working.Wait()
	cutting.Wait()
	held, sent := 0, uint64(0)
	for _, m := range s.members {
		held += m.checkHeld()
		sent += m.mesh.Traffic().Conn.CallsOut
	}
	s.t.Logf("%d calls (%d requests) and %d streams with %d items over connections that were cut %d times; %d calls failed in doubt",
		s.calls.Load(), sent, s.streams.Load(), s.items.Load(), s.cutter.cuts.Load(), s.doubts.Load())
	s.t.Logf("%d objects, of which references came %d times; %d are held in the end", s.objects.Load(), s.references.Load(), held)
	// A soak that does nothing finds nothing.
	seconds := int64(*soakTime / time.Second)
	for what, did := range map[string]struct{ got, least int64 }{
		"requests":   {int64(sent), 100 * seconds},
		"streams":    {int64(s.streams.Load()), 15 * seconds},
		"references": {s.references.Load(), 30 * seconds},
		"cuts":       {int64(s.cutter.cuts.Load()), seconds},
	} {
		if did.got < did.least {
			s.t.Errorf("%d %s in %v, want at least %d", did.got, what, *soakTime, did.least)
		}
	}
	for _, m := range s.members {
		m.releaseAll()
	}
	// Not all: some were passed on just now, or what brought them was lost, and they
	// are kept for a lease.
	s.until("objects to be collected", func() bool { return s.told.Load() > s.objects.Load()/10 })
	s.t.Logf("%d objects were told that nobody holds them before their processes ended", s.told.Load())
	s.leave()
}

// join adds process number i.
func (s *soak) join(i int, store *naming.Memory) {
	m := &member{s: s, service: naming.Name(fmt.Sprintf("soak-%d", i))}
	opts := farcall.Options{Node: naming.NodeID(fmt.Sprintf("member-%d", i)), Registry: store.Registry(), Dial: s.cutter.dial}
	if i < listening {
		opts.Listen = "127.0.0.1:0"
	}
	mesh, err := farcall.Join(s.t.Context(), opts)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { mesh.Close() })
	m.mesh = mesh
	if i < listening {
		if err := m.mesh.Register(s.t.Context(), m.service, &service{m}, farcall.RegisterOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
	s.members = append(s.members, m)
}

// await waits until m knows every service.
func (s *soak) await(m *member) {
	for i := range listening {
		name := s.members[i].service
		s.until(string(name), func() bool {
			entry, err := m.mesh.Resolver().Resolve(s.t.Context(), name)
			return err == nil && len(entry.Callable()) == 1
		})
	}
}

// until waits until ok.
func (s *soak) until(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		runtime.GC() // what nobody reaches any more is released by it
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// leave shuts every process down, and looks at what it holds then.
func (s *soak) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all sync.WaitGroup
	for _, m := range s.members {
		all.Go(func() {
			if err := m.mesh.Shutdown(ctx); err != nil {
				s.t.Errorf("shut %s down: %v", m.mesh.Node(), err)
			}
		})
	}
	all.Wait()
	for _, m := range s.members {
		if got := m.mesh.Space().Stats(); got != (rmi.SpaceStats{}) {
			s.t.Errorf("%s has %+v after its end, want nothing", m.mesh.Node(), got)
		}
		if got := m.mesh.Traffic(); got.Open != 0 {
			s.t.Errorf("%s has %d connections after its end, want none", m.mesh.Node(), got.Open)
		}
	}
	s.members = nil
}

// begin returns the token of a call that is about to be made.
func (s *soak) begin() uint64 {
	s.calls.Add(1)
	return s.tokens.Add(1)
}

// ran notes that the call with token is executed.
func (s *soak) ran(token uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.executed[token]++; s.executed[token] > 1 {
		s.t.Errorf("call %d is executed %d times", token, s.executed[token])
	}
}

// judge holds the outcome of a call against what is known of it, and reports
// whether it succeeded.
func (s *soak) judge(what string, token uint64, err error) bool {
	s.mu.Lock()
	n := s.executed[token]
	s.mu.Unlock()
	if err == nil {
		if n != 1 {
			s.t.Errorf("%s: call %d succeeded and was executed %d times", what, token, n)
		}
		return true
	}
	e := rmi.FromError(err)
	switch {
	case e.Execution == rmi.NotExecuted && n != 0:
		s.t.Errorf("%s: call %d was executed, and its error says it was not: %v", what, token, err)
	case e.Code == rmi.Unavailable, strings.Contains(e.Message, "came with sequences"):
		if e.Execution == rmi.Executed {
			s.doubts.Add(1)
		}
	default:
		s.t.Errorf("%s: call %d failed: %v", what, token, err)
	}
	return false
}
