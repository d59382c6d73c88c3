package rmi

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// rawCaller is a bare session with a Conn that records, for tests that send what a
// Conn would not.
type rawCaller struct {
	t      *testing.T
	lane   *rawLane
	nextID uint64
}

// newRawCaller connects to a node in space that is served by h.
func newRawCaller(t *testing.T, space *Space, h Handler) (*rawCaller, *Conn) {
	t.Helper()
	sa, sb := transport.Pipe(transport.Options{}, transport.Options{Hello: transport.Hello{Node: "raw", Incarnation: 7}})
	c := NewConn(sa, h, ConnOptions{Space: space, MaxInFlight: 2 * MaxRecords, MaxBuffered: 64 << 20})
	t.Cleanup(func() {
		c.Close()
		sb.Close()
	})
	return &rawCaller{t: t, lane: openLane(t, sb), nextID: 1}, c
}

// send sends a call of method with a number.
func (c *rawCaller) send(method string, seq, least uint64) {
	c.t.Helper()
	call := callOf(method, nil)
	call.token = callToken{seq, least}
	c.lane.Write(appendRequest(nil, c.nextID, 0, call))
	c.nextID++
}

// answer returns the result of the next call that is answered, or its error.
func (c *rawCaller) answer() (string, *Error) {
	c.t.Helper()
	h, head, payload := nextFrame(c.t, c.lane)
	if h.typ == frameError {
		return "", decodeError(head)
	}
	return string(payload), nil
}

// wants fails the test unless the next answer is this.
func (c *rawCaller) wants(want string) {
	c.t.Helper()
	if got, err := c.answer(); err != nil || got != want {
		c.t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// refused fails the test unless the next answer is an error with this code.
func (c *rawCaller) refused(code Code, execution Execution, text string) {
	c.t.Helper()
	got, err := c.answer()
	if err == nil {
		c.t.Fatalf("got %q, want an error", got)
	}
	wantError(c.t, err, code, execution, text)
}

// numbering returns a handler that answers with how often it was called, or as
// the method says: "large" with more than is recorded, "fail" with an error; and
// that, for "wait", tells began and waits for release.
func numbering() (h Handler, began, release chan struct{}) {
	began, release = make(chan struct{}, 2*MaxRecords), make(chan struct{})
	calls := make(chan int, 1)
	calls <- 0
	return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		n := <-calls + 1
		calls <- n
		switch call.Method {
		case "fail":
			return Reply{}, &Error{Code: NotFound, Message: fmt.Sprintf("failure %d", n), Details: map[string]string{"k": "v"}}
		case "wait":
			began <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
			}
		case "large":
			return Reply{Result: Payload{Data: bytes.Repeat([]byte{1}, MaxRecordedAnswer+1)}}, nil
		case "full":
			return Reply{Result: Payload{Data: bytes.Repeat([]byte{byte('0' + n%10)}, LargePayload)}}, nil
		}
		return Reply{Result: Payload{Data: fmt.Append(nil, n)}, Metadata: Metadata{"n": fmt.Sprint(n)}}, nil
	}), began, release
}

// newServerSpace returns a Space for a node that is served.
func newServerSpace(t *testing.T) *Space {
	space := NewSpace(SpaceOptions{Node: "b", Incarnation: 2})
	t.Cleanup(space.Close)
	return space
}

func TestRecordsAnswerCopiesAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		space := newServerSpace(t)
		h, began, release := numbering()
		a, _ := newRawCaller(t, space, h)
		b, bc := newRawCaller(t, space, h)
		a.send("plain", 1, 1)
		a.wants("1")
		for _, c := range []*rawCaller{a, b} {
			c.send("plain", 1, 1)
			h, head, payload := nextFrame(t, c.lane)
			var rh replyHead
			if err := rh.decode(head); err != nil || h.typ != frameReply || string(payload) != "1" || rh.metadata["n"] != "1" {
				t.Errorf("got a %v with %q and %v, want the same answer", h.typ, payload, rh.metadata)
			}
		}
		b.send("fail", 2, 1)
		b.refused(NotFound, Executed, "failure 2")
		a.send("fail", 2, 1)
		_, err := a.answer()
		if err == nil || err.Message != "failure 2" || err.Details["k"] != "v" {
			t.Errorf("got %+v, want the same error", err)
		}
		// Numbers need not come in order, and 3 runs while others come.
		a.send("wait", 3, 1)
		<-began
		b.send("wait", 3, 1)
		b.send("wait", 3, 1)
		a.send("plain", 6, 1)
		a.wants("4")
		a.send("plain", 4, 3) // 1 and 2 are acknowledged
		a.wants("5")
		if s := space.Stats(); s.Records != 3 || s.RecordedBytes == 0 {
			t.Errorf("got %+v, want 3 records", s)
		}
		close(release)
		a.wants("3")
		b.wants("3")
		b.wants("3")
		b.send("plain", 2, 1)
		b.refused(FailedPrecondition, Executed, "it waits for it no more")
		b.send("plain", 7, 7)
		b.wants("6")
		if s := space.Stats(); s.Records != 1 {
			t.Errorf("got %+v, want 1 record", s)
		}
		space.Sessions()[0].end(errLeaseOver)
		b.send("plain", 8, 8)
		b.refused(Unavailable, Executed, "may have been executed: the session with its caller has ended")
		if s := space.Stats(); s != (SpaceStats{}) {
			t.Errorf("got %+v, want nothing", s)
		}
		bc.Close()
	})
}

func TestRecordsKeepNoLargeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		space := newServerSpace(t)
		h, _, _ := numbering()
		a, _ := newRawCaller(t, space, h)
		a.send("large", 1, 1)
		synctest.Wait()
		if h, _ := a.lane.next(); h.typ != frameReply || h.flags != flagApart {
			t.Errorf("got %v with flags %#x, want a reply whose payload comes apart", h.typ, h.flags)
		}
		a.send("large", 1, 1)
		a.refused(FailedPrecondition, Executed, "too large to be kept")
		if s := space.Stats(); s.Records != 1 || s.RecordedBytes != 0 {
			t.Errorf("got %+v, want a record without an answer", s)
		}
	})
}

func TestRecordsLimitTheBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		space := newServerSpace(t)
		h, _, _ := numbering()
		a, _ := newRawCaller(t, space, h)
		const fit = MaxRecordedBytes / LargePayload
		for seq := uint64(1); seq <= fit+2; seq++ {
			a.send("full", seq, 1)
			if got, err := a.answer(); err != nil || len(got) != LargePayload {
				t.Fatalf("got %d bytes, %v", len(got), err)
			}
		}
		if s := space.Stats(); s.RecordedBytes > MaxRecordedBytes || s.Records < fit-2 {
			t.Errorf("got %+v, want no more than %d bytes, and nearly as many", s, MaxRecordedBytes)
		}
		a.send("full", 1, 1)
		a.refused(FailedPrecondition, Executed, "its answer was given up")
		a.send("full", fit+2, 1)
		if got, err := a.answer(); err != nil || len(got) != LargePayload {
			t.Errorf("the newest: got %d bytes, %v, want it", len(got), err)
		}
	})
}

func TestRecordsLimitTheirNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		space := newServerSpace(t)
		h, began, release := numbering()
		a, _ := newRawCaller(t, space, h)
		// Answered ones make room, the oldest first.
		for seq := uint64(1); seq <= 10; seq++ {
			a.send("plain", seq, 1)
			a.wants(fmt.Sprint(seq))
		}
		for seq := uint64(11); seq <= MaxRecords+10; seq++ {
			a.send("wait", seq, 1)
		}
		for range MaxRecords {
			<-began
		}
		a.send("plain", 3, 1)
		a.refused(FailedPrecondition, Executed, "its answer was given up")
		// Running ones do not: one more is refused, and may come again later.
		for range 2 {
			a.send("plain", MaxRecords+11, 1)
			a.refused(ResourceExhausted, NotExecuted, "4096 numbered calls")
		}
		// Of the copies of one, the first gives way.
		for range maxRecordCopies + 1 {
			a.send("wait", 11, 1)
			synctest.Wait()
		}
		a.refused(FailedPrecondition, Executed, "sent again too often")
		close(release)
		for range MaxRecords + maxRecordCopies {
			if _, err := a.answer(); err != nil {
				t.Fatal(err)
			}
		}
		a.send("plain", MaxRecords+11, 1)
		a.wants(fmt.Sprint(MaxRecords + 11))
		a.send("plain", MaxRecords+12, MaxRecords+12)
		a.wants(fmt.Sprint(MaxRecords + 12))
		if s := space.Stats(); s.Records != 1 {
			t.Errorf("got %+v, want 1 record", s)
		}
	})
}

// Numbers that jump, go back and never come cost no more memory than allowed.
func TestRecordsLimitWhatIsMissing(t *testing.T) {
	var r records
	for i := range uint64(10 * maxMissingRanges) {
		if !r.comesLocked(2*i + 2) {
			t.Fatalf("number %d is said to have come before", 2*i+2)
		}
	}
	if len(r.missing) != maxMissingRanges {
		t.Errorf("got %d ranges, want %d", len(r.missing), maxMissingRanges)
	}
	if r.comesLocked(1) || !r.comesLocked(20*maxMissingRanges-1) {
		t.Error("want the lowest missing number to count as having come, and the highest not")
	}
	for _, seq := range []uint64{1 << 40, 1<<64 - 1, 1 << 20} {
		if !r.comesLocked(seq) || r.comesLocked(seq) {
			t.Errorf("number %d: want it to come once", seq)
		}
	}
	r.acknowledgeLocked(1<<64 - 1)
	if len(r.missing) > 1 {
		t.Errorf("got %d ranges, want those below what was acknowledged forgotten", len(r.missing))
	}
}

// The numbers that have come are known exactly, in whatever order they come.
func TestRecordsKnowWhatCame(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		var r records
		came, least := map[uint64]bool{}, uint64(0)
		for range 300 {
			seq := least + 1 + random.Uint64N(40)
			switch random.IntN(10) {
			case 0:
				least += random.Uint64N(5)
				r.acknowledgeLocked(least)
			case 1:
				if came[seq] {
					came[seq] = false
					r.missLocked(seq)
				}
			default:
				if got, want := r.comesLocked(seq), !came[seq]; got != want {
					t.Fatalf("number %d: came for the first time: %v, want %v (missing %v up to %d)", seq, got, want, r.missing, r.seen)
				}
				came[seq] = true
			}
			for i := 1; i < len(r.missing); i++ {
				if r.missing[i].first <= r.missing[i-1].last {
					t.Fatalf("the ranges %v overlap", r.missing)
				}
			}
		}
	}
}

// A caller knows which is the least number that it waits for.
func TestNumbersKnowTheLeast(t *testing.T) {
	var n numbers
	random := rand.New(rand.NewPCG(1, 2))
	var waiting []*number
	for i := range uint64(10_000) {
		x, token := n.begin()
		waiting = append(waiting, x)
		least := x.seq
		for _, w := range waiting {
			least = min(least, w.seq)
		}
		if token.seq != i+1 || token.least != least {
			t.Fatalf("got the number %d with least %d, want %d and %d", token.seq, token.least, i+1, least)
		}
		for len(waiting) > random.IntN(20) {
			k := random.IntN(len(waiting))
			n.end(waiting[k])
			waiting[k] = waiting[len(waiting)-1]
			waiting = waiting[:len(waiting)-1]
		}
	}
	if n.close() != 10_000 {
		t.Error("the last number is not what was given last")
	}
	if x, token := n.begin(); x != nil || token.seq != 0 {
		t.Error("a closed list gives numbers")
	}
}

// The numbers of an ended session are remembered for as many peers as allowed.
func TestPastNumbersAreLimited(t *testing.T) {
	var p pastNumbers
	for i := range 2 * maxPastPeers {
		p.past(peerID{"n", naming.Incarnation(i + 1)}, uint64(i), 5)
	}
	if len(p.seen) != maxPastPeers || len(p.order) != maxPastPeers || p.last != 2*maxPastPeers-1 {
		t.Errorf("got %d peers, %d in order, last %d; want %d, as many, %d", len(p.seen), len(p.order), p.last, maxPastPeers, 2*maxPastPeers-1)
	}
	s := &Session{peer: peerID{"n", 2 * maxPastPeers}}
	p.resume(s)
	if s.records.seen != 5 || s.numbers.last != p.last {
		t.Errorf("got %d and %d, want 5 and %d", s.records.seen, s.numbers.last, p.last)
	}
}

// In the steady state a numbered call costs no memory on either side.
func TestNumberedCallsDoNotAllocate(t *testing.T) {
	var n numbers
	var r records
	s := &servedCall{call: Call{Object: "o", Method: "m"}}
	reply := &Reply{Result: Payload{Data: []byte(strings.Repeat("x", 100))}}
	round := func() {
		x, token := n.begin()
		if run, _ := r.begin(s, token); !run {
			t.Fatal("the call is not to be run")
		}
		r.end(s, reply, nil)
		n.end(x)
	}
	for range 10 {
		round()
	}
	if got := testing.AllocsPerRun(1000, round); got != 0 {
		t.Errorf("got %v allocations for a numbered call, want 0", got)
	}
}
