package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// laneKinds are those of makers whose lanes must keep the contract.
var laneKinds = map[string]bool{"pipe": true, "memnet": true, "tcp": true}

func eachLane(t *testing.T, test func(t *testing.T, a, b Session)) {
	t.Helper()
	for _, m := range makers {
		if laneKinds[m.name] {
			t.Run(m.name, func(t *testing.T) {
				a, b := m.make(t, Options{}, Options{})
				test(t, a, b)
			})
		}
	}
}

func laneOf(s Session) Lane { return s.(interface{ Lane() Lane }).Lane() }

// ample is more room than any test here fills by mistake.
const ample = 64 << 20

// say appends p to l, and nothing else.
func say(t *testing.T, l Lane, p []byte) (end uint64) {
	t.Helper()
	b, err := l.Lock(soon(t), ample)
	if err != nil {
		t.Errorf("lock: %v", err)
		return 0
	}
	return l.Unlock(append(b, p...), false)
}

// content is what the tests send under tag.
func content(tag uint64, n int) []byte {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], tag)
	p := make([]byte, n)
	rand.NewChaCha8(seed).Read(p)
	return p
}

// laneLog is a Receiver that keeps what it gets, and finds fault with how it is
// called.
type laneLog struct {
	t    *testing.T
	rng  *rand.Rand
	busy atomic.Bool

	// What to do when it is called, before anything is recorded; nil is nothing.
	receive func(p []byte)
	place   func(tag uint64, n int) (drop bool)

	mu       sync.Mutex
	messages []byte            // guarded by mu
	bulk     map[uint64][]byte // guarded by mu; by tag
	placed   map[uint64][]byte // guarded by mu; what the lane is writing to, by tag
}

func newLaneLog(t *testing.T) *laneLog {
	return &laneLog{t: t, rng: rand.New(rand.NewPCG(1, 2)), bulk: map[uint64][]byte{}, placed: map[uint64][]byte{}}
}

// enter is to be called first, and what it returns last.
func (r *laneLog) enter() (leave func()) {
	if r.busy.Swap(true) {
		r.t.Error("a Receiver is called by two goroutines")
	}
	return func() { r.busy.Store(false) }
}

func (r *laneLog) Receive(p []byte) {
	defer r.enter()()
	if r.receive != nil {
		r.receive(p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, p...)
}

func (r *laneLog) Place(tag uint64, n int) []byte {
	defer r.enter()()
	if n < 1 || n > maxPiece {
		r.t.Errorf("place for %d bytes, want 1 to %d", n, maxPiece)
	}
	if r.place != nil && r.place(tag, n) {
		return nil
	}
	if r.rng.IntN(3) == 0 {
		n = 1 + r.rng.IntN(n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.placed[tag] != nil {
		r.t.Errorf("tag %d: two places at a time", tag)
	}
	p := make([]byte, n)
	r.placed[tag] = p
	return p
}

func (r *laneLog) Placed(tag uint64) {
	defer r.enter()()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.placed[tag] == nil {
		r.t.Errorf("tag %d: placed without a place", tag)
	}
	r.bulk[tag] = append(r.bulk[tag], r.placed[tag]...)
	r.placed[tag] = nil
}

// said is how many bytes of messages came.
func (r *laneLog) said() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.messages)
}

// sent is what came under tag.
func (r *laneLog) sent(tag uint64) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bulk[tag]
}

// whole waits until all of want has come under tag.
func (r *laneLog) whole(tag uint64, want []byte) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("tag %d is whole", tag), func() bool { return len(r.sent(tag)) >= len(want) })
	if got := r.sent(tag); !bytes.Equal(got, want) {
		r.t.Errorf("tag %d: got %d bytes, want the %d that were sent", tag, len(got), len(want))
	}
}

// prefix checks that what came under tag is the beginning of want.
func (r *laneLog) prefix(tag uint64, want []byte) {
	r.t.Helper()
	if got := r.sent(tag); !bytes.HasPrefix(want, got) {
		r.t.Errorf("tag %d: got %d bytes that are not the beginning of what was sent", tag, len(got))
	}
}

// ledger is what was appended to a lane: each message by where it ends.
type ledger struct {
	mu    sync.Mutex
	ends  map[uint64][]byte // guarded by mu
	total int               // guarded by mu
}

func (g *ledger) note(end uint64, p []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ends == nil {
		g.ends = map[uint64][]byte{}
	}
	g.ends[end] = p
	g.total += len(p)
}

// check holds what came against what was appended. Messages that did not come
// whole are passed over.
func (g *ledger) check(t *testing.T, got []byte) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(got) > g.total {
		t.Errorf("got %d bytes of messages, want at most the %d that were appended", len(got), g.total)
	}
	for end, p := range g.ends {
		if end > uint64(len(got)) {
			continue
		}
		if begin := end - uint64(len(p)); !bytes.Equal(got[begin:end], p) {
			t.Errorf("the message that ends at %d: got %x, want %x", end, got[begin:end], p)
		}
	}
}

func TestLaneKeepsMessagesInOrder(t *testing.T) {
	eachLane(t, func(t *testing.T, a, b Session) {
		var tasks sync.WaitGroup
		defer tasks.Wait()
		for _, ends := range [][2]Session{{a, b}, {b, a}} {
			lane, r := laneOf(ends[0]), newLaneLog(t)
			seen := uint64(0)
			r.receive = func(p []byte) {
				if seen += uint64(len(p)); lane.Given() < seen {
					t.Errorf("the peer has seen %d bytes, %d were given", seen, lane.Given())
				}
			}
			laneOf(ends[1]).Serve(r)
			var said ledger
			var senders sync.WaitGroup
			for i := range 8 {
				senders.Go(func() {
					rng, last := rand.New(rand.NewPCG(3, uint64(i))), uint64(0)
					for range 400 {
						p := content(rng.Uint64(), 1+rng.IntN(300)*rng.IntN(10))
						end := say(t, lane, p)
						if end < last+uint64(len(p)) {
							t.Errorf("a message of %d bytes ends at %d, the one before it at %d", len(p), end, last)
						}
						last = end
						said.note(end, p)
					}
				})
			}
			tasks.Go(func() {
				senders.Wait()
				eventually(t, "all messages came", func() bool { return r.said() >= said.total })
				said.check(t, r.messages)
				if got := lane.Given(); got != uint64(said.total) {
					t.Errorf("given: got %d, want %d", got, said.total)
				}
			})
		}
	})
}

// fill appends messages to a lane whose peer does not take them, until there is
// no room, and returns how much it appended.
func fill(t *testing.T, l Lane, room int) (total uint64) {
	t.Helper()
	p := make([]byte, 5000)
	for {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errFull)
		b, err := l.Lock(ctx, room)
		cancel()
		if err != nil {
			if !errors.Is(err, errFull) {
				t.Errorf("lock without room: got %v, want ctx's cause", err)
			}
			return total
		}
		total = l.Unlock(append(b, p...), false)
		if waits := total - l.Given(); waits >= uint64(room+len(p)) {
			t.Fatalf("%d bytes wait, want fewer than %d, and one message", waits, room)
		}
		if total > ample {
			t.Fatalf("%d bytes were taken for a peer that takes nothing", total)
		}
	}
}

var errFull = errors.New("there is no room")

func TestLaneBoundsWhatWaits(t *testing.T) {
	eachLane(t, func(t *testing.T, a, b Session) {
		const room = 100_000
		lane := laneOf(a)
		total := fill(t, lane, room)
		eventually(t, "there is no room", func() bool {
			got, ok, err := lane.TryLock(room)
			if err != nil {
				t.Fatalf("try lock: %v", err)
			}
			if ok {
				total = lane.Unlock(append(got, 1), false)
			}
			return !ok
		})
		if got, ok, err := lane.TryLock(ample); !ok || err != nil {
			t.Errorf("try lock with ample room: got %v, %v", ok, err)
		} else if end := lane.Unlock(got, false); end != total {
			t.Errorf("end: got %d, want %d", end, total)
		}
		const waiters = 4
		soon := soon(t)
		done := make(chan error, waiters)
		for range waiters {
			go func() {
				got, err := lane.Lock(soon, room)
				if err == nil {
					lane.Unlock(append(got, 1), false)
				}
				done <- err
			}()
		}
		r := newLaneLog(t)
		laneOf(b).Serve(r)
		for range waiters {
			if err := <-done; err != nil {
				t.Errorf("lock, when the peer takes what waits: %v", err)
			}
		}
		const each = 500
		var tasks sync.WaitGroup
		for range waiters {
			tasks.Go(func() {
				for range each {
					got, err := lane.Lock(soon, 1)
					if err != nil {
						t.Errorf("lock with room for one message: %v", err)
						return
					}
					lane.Unlock(append(got, 1), false)
				}
			})
		}
		tasks.Wait()
		eventually(t, "everything came", func() bool { return uint64(r.said()) == total+waiters*(1+each) })
	})
}

func TestLaneServeGetsWhatCameBefore(t *testing.T) {
	eachLane(t, func(t *testing.T, a, b Session) {
		var said ledger
		for i := range 100 {
			p := content(uint64(i), 1+i)
			said.note(say(t, laneOf(a), p), p)
		}
		want, done := content(7, 100_000), make(chan error)
		go func() { done <- laneOf(a).Bulk(soon(t), 7, want) }()
		r := newLaneLog(t)
		r.place = func(uint64, int) bool {
			if r.said() < said.total {
				t.Error("bulk data came before messages that were appended before it")
			}
			return false
		}
		laneOf(b).Serve(r)
		if err := <-done; err != nil {
			t.Errorf("bulk: %v", err)
		}
		r.whole(7, want)
		said.check(t, r.messages)
	})
}

func TestLaneBulkArrivesWholeAndBehindItsMessage(t *testing.T) {
	sizes := []int{0, 1, 2, 1000, MaxPiece - 1, MaxPiece, MaxPiece + 1, 2*MaxPiece + 1, 1 << 20, 3<<20 + 7}
	eachLane(t, func(t *testing.T, a, b Session) {
		var tasks sync.WaitGroup
		defer tasks.Wait()
		for _, ends := range [][2]Session{{a, b}, {b, a}} {
			lane, r := laneOf(ends[0]), newLaneLog(t)
			var begun sync.Map // end of the message before it, by tag
			r.place = func(tag uint64, _ int) bool {
				if end, ok := begun.Load(tag); !ok || uint64(r.said()) < end.(uint64) {
					t.Errorf("tag %d came before the message that was appended before it", tag)
				}
				return false
			}
			laneOf(ends[1]).Serve(r)
			for i, size := range sizes {
				tag := uint64(i)
				tasks.Go(func() {
					begun.Store(tag, say(t, lane, content(tag, 100)))
					want := content(tag, size)
					if err := lane.Bulk(soon(t), tag, want); err != nil {
						t.Errorf("bulk of %d: %v", size, err)
					}
					r.whole(tag, want)
				})
				tasks.Go(func() {
					for range 200 {
						say(t, lane, []byte("between"))
					}
				})
			}
		}
	})
}

func TestLaneDropsWhatHasNoPlace(t *testing.T) {
	eachLane(t, func(t *testing.T, a, b Session) {
		r, asked := newLaneLog(t), 0
		r.place = func(tag uint64, _ int) bool {
			if tag == 1 {
				asked++
			}
			return tag == 1 && asked > 3
		}
		laneOf(b).Serve(r)
		var tasks sync.WaitGroup
		for tag := range uint64(3) {
			tasks.Go(func() {
				if err := laneOf(a).Bulk(soon(t), tag, content(tag, 1<<20)); err != nil {
					t.Errorf("bulk %d: %v", tag, err)
				}
			})
		}
		tasks.Wait()
		say(t, laneOf(a), []byte("after"))
		eventually(t, "the message came", func() bool { return r.said() == 5 })
		r.whole(0, content(0, 1<<20))
		r.whole(2, content(2, 1<<20))
		r.prefix(1, content(1, 1<<20))
		if got := len(r.sent(1)); got > 3*maxPiece {
			t.Errorf("got %d bytes in 3 places", got)
		}
	})
}

var errHasty = errors.New("given up")

// Bulk that is given up lets go of its data at once, while the peer takes nothing.
func TestLaneBulkGivenUpWhileThePeerIsStuck(t *testing.T) {
	eachLane(t, func(t *testing.T, a, b Session) {
		stuck, free := make(chan struct{}), make(chan struct{})
		r := newLaneLog(t)
		var once sync.Once
		r.receive = func([]byte) {
			once.Do(func() {
				close(stuck)
				<-free
			})
		}
		laneOf(b).Serve(r)
		told := make(chan struct{})
		go func() {
			defer close(told)
			say(t, laneOf(a), []byte("stuck"))
		}()
		wait(t, "the receiver is stuck", stuck)

		ctx, giveUp := context.WithCancelCause(t.Context())
		var tasks sync.WaitGroup
		const size = 24 << 20 // more than any path here holds
		for tag := range uint64(2) {
			tasks.Go(func() {
				data := content(tag, size)
				if err := laneOf(a).Bulk(ctx, tag, data); !errors.Is(err, errHasty) {
					t.Errorf("bulk %d: got %v, want %v", tag, err, errHasty)
				}
				clear(data)
			})
		}
		patient := make(chan error, 1)
		go func() { patient <- laneOf(a).Bulk(soon(t), 3, content(3, 1<<20)) }()
		giveUp(errHasty)
		tasks.Wait()
		close(free)
		wait(t, "the message is delivered", told)
		if err := <-patient; err != nil {
			t.Errorf("bulk that was not given up: %v", err)
		}
		r.whole(3, content(3, 1<<20))
		say(t, laneOf(a), []byte("after"))
		eventually(t, "the message came", func() bool { return r.said() == 10 })
		r.prefix(0, content(0, size))
		r.prefix(1, content(1, size))
	})
}

func TestLaneBulkGivenUpOnItsWay(t *testing.T) {
	eachLane(t, func(t *testing.T, a, b Session) {
		ctx, giveUp := context.WithCancelCause(t.Context())
		r, left := newLaneLog(t), 50
		r.place = func(uint64, int) bool {
			if left--; left == 0 {
				giveUp(errHasty)
			}
			return false
		}
		laneOf(b).Serve(r)
		const size = 24 << 20
		data := content(1, size)
		if err := laneOf(a).Bulk(ctx, 1, data); !errors.Is(err, errHasty) {
			t.Errorf("bulk: got %v, want %v", err, errHasty)
		}
		clear(data)
		if err := laneOf(a).Bulk(ctx, 2, data); !errors.Is(err, errHasty) {
			t.Errorf("bulk with a context that has ended: got %v, want %v", err, errHasty)
		}
		want := content(3, 1<<20)
		if err := laneOf(a).Bulk(soon(t), 3, want); err != nil {
			t.Errorf("bulk: %v", err)
		}
		r.whole(3, want)
		r.prefix(1, content(1, size))
	})
}

func TestLaneEndsWithItsSession(t *testing.T) {
	eachLane(t, func(t *testing.T, a, b Session) {
		const room = 50_000
		var tasks sync.WaitGroup
		causes := map[Session]error{a: ErrClosed, b: ErrPeerClosed}
		for s := range causes {
			lane := laneOf(s)
			fill(t, lane, room)
			for range 3 {
				tasks.Go(func() {
					for {
						got, err := lane.Lock(context.Background(), room)
						if err == nil {
							lane.Unlock(append(got, make([]byte, 5000)...), false)
							continue
						}
						return // the connection's own error, where that comes first
					}
				})
			}
			for tag := range uint64(3) {
				tasks.Go(func() {
					data := make([]byte, 24<<20)
					if err := lane.Bulk(context.Background(), tag, data); err == nil {
						t.Error("bulk: got no error, though the session ended")
					}
					clear(data)
				})
			}
		}
		a.Close()
		tasks.Wait()
		wait(t, "the end", a.Done())
		wait(t, "the peer's end", b.Done())
		for s, cause := range causes {
			if s == b {
				cause = b.Err() // a connection on which nothing was read may not have told
			}
			lane := laneOf(s)
			lane.Serve(newLaneLog(t))
			if _, err := lane.Lock(t.Context(), ample); !errors.Is(err, cause) {
				t.Errorf("lock: got %v, want %v", err, cause)
			}
			if _, ok, err := lane.TryLock(ample); ok || !errors.Is(err, cause) {
				t.Errorf("try lock: got %v, %v, want %v", ok, err, cause)
			}
			for _, data := range [][]byte{nil, {1}} {
				if err := lane.Bulk(soon(t), 1, data); !errors.Is(err, cause) {
					t.Errorf("bulk: got %v, want %v", err, cause)
				}
			}
		}
	})
}

// Receivers send from inside Receive, both at once and by the lanes they serve.
func TestLaneReceiversSend(t *testing.T) {
	eachLane(t, func(t *testing.T, a, b Session) {
		const balls, rounds = 5, 500
		var done sync.WaitGroup
		done.Add(balls)
		for _, s := range []Session{a, b} {
			lane, r := laneOf(s), newLaneLog(t)
			var rest []byte
			r.receive = func(p []byte) {
				for rest = append(rest, p...); len(rest) >= 4; rest = rest[4:] {
					n := binary.BigEndian.Uint32(rest)
					if n == rounds {
						done.Done()
						continue
					}
					say(t, lane, binary.BigEndian.AppendUint32(nil, n+1))
				}
			}
			lane.Serve(r)
		}
		for i := range balls {
			go say(t, laneOf([]Session{a, b}[i%2]), make([]byte, 4))
		}
		over := make(chan struct{})
		go func() {
			done.Wait()
			close(over)
		}()
		wait(t, "all balls came home", over)
	})
}

// Whatever goes over a lane, and whenever its session ends: messages come in
// order and bulk data whole, or the beginning of them.
func TestLaneRandomUse(t *testing.T) {
	for round := range 12 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			eachLane(t, func(t *testing.T, a, b Session) {
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				useLanes(t, a, b, seed, round%2 == 0)
			})
		})
	}
}

// useLanes does what seed says, and ends the session amid it when cut.
func useLanes(t *testing.T, a, b Session, seed uint64, cut bool) {
	const senders, steps = 6, 40
	type way struct {
		lane Lane
		r    *laneLog
		said ledger
		bulk sync.Map // *parcel by tag
	}
	var tasks sync.WaitGroup
	var ways []*way
	var done atomic.Int32
	for i, ends := range [][2]Session{{a, b}, {b, a}} {
		w := &way{lane: laneOf(ends[0]), r: newLaneLog(t)}
		w.r.rng = rand.New(rand.NewPCG(seed, uint64(100+i)))
		w.r.place = func(tag uint64, _ int) bool { return tag%7 == 0 }
		ways = append(ways, w)
		tasks.Go(func() {
			<-time.After(time.Duration(rand.New(rand.NewPCG(seed, uint64(i))).IntN(int(2 * time.Millisecond))))
			laneOf(ends[1]).Serve(w.r)
		})
		for j := range senders {
			rng := rand.New(rand.NewPCG(seed, uint64(10*i+j+200)))
			tasks.Go(func() {
				for step := range steps {
					if done.Add(1) == senders*steps && cut {
						a.Close()
					}
					switch rng.IntN(8) {
					case 0, 1:
						p := &parcel{size: rng.IntN(1 + 1<<rng.IntN(20))}
						tag := uint64(j*steps + step)
						ctx, cancel := context.WithCancelCause(t.Context())
						if p.hasty = rng.IntN(3) == 0; p.hasty {
							time.AfterFunc(time.Duration(rng.IntN(int(time.Millisecond))), func() { cancel(errHasty) })
						}
						data := content(tag, p.size)
						p.err = w.lane.Bulk(ctx, tag, data)
						cancel(nil)
						clear(data)
						w.bulk.Store(tag, p)
					case 2:
						if got, ok, err := w.lane.TryLock(1 + rng.IntN(20_000)); ok && err == nil {
							p := content(rng.Uint64(), 1+rng.IntN(2000))
							w.said.note(w.lane.Unlock(append(got, p...), false), p)
						}
					default:
						ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(rng.IntN(int(time.Millisecond))), errFull)
						got, err := w.lane.Lock(ctx, 1+rng.IntN(20_000))
						cancel()
						if err == nil {
							p := content(rng.Uint64(), 1+rng.IntN(2000))
							w.said.note(w.lane.Unlock(append(got, p...), false), p)
						} else if !errors.Is(err, errFull) && !cut {
							t.Errorf("lock: %v", err)
						}
					}
				}
			})
		}
	}
	tasks.Wait()
	for _, w := range ways {
		if !cut {
			eventually(t, "all messages came", func() bool { return w.r.said() >= w.said.total })
		}
		w.r.mu.Lock()
		w.said.check(t, w.r.messages)
		w.r.mu.Unlock()
		for k, v := range w.bulk.Range {
			tag, p := k.(uint64), v.(*parcel)
			switch {
			case tag%7 == 0:
				if got := w.r.sent(tag); len(got) > 0 {
					t.Errorf("tag %d: got %d bytes that had no place", tag, len(got))
				}
			case p.err == nil && !cut:
				w.r.whole(tag, content(tag, p.size))
			case cut || p.hasty && errors.Is(p.err, errHasty):
				w.r.prefix(tag, content(tag, p.size))
			default:
				t.Errorf("bulk: %v", p.err)
			}
		}
	}
}

// parcel is bulk data that was sent under a tag of its own.
type parcel struct {
	size  int
	hasty bool // it may be given up
	err   error
}
