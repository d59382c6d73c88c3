package rmi

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

func TestLargeClassesHoldWhatTheyAreFor(t *testing.T) {
	last, lastClass := LargePayload, -1
	for n := LargePayload + 1; n <= 1<<largeMaxBits; {
		class, size := largeClass(n)
		if class != lastClass+1 || size < n || size > n+n/4 {
			t.Fatalf("%d bytes: got class %d of %d bytes, want class %d, with at most a quarter more", n, class, size, lastClass+1)
		}
		if again, same := largeClass(size); again != class || same != size {
			t.Fatalf("%d bytes: got class %d of %d bytes for a buffer of class %d", size, again, same, class)
		}
		last, lastClass, n = size, class, size+1
	}
	if last != 1<<largeMaxBits || lastClass != largeClasses-1 {
		t.Errorf("the last is class %d of %d bytes, want class %d of %d", lastClass, last, largeClasses-1, 1<<largeMaxBits)
	}
	for _, n := range []int{0, LargePayload, 1<<largeMaxBits + 1} {
		if class, size := largeClass(n); class != -1 || size != n {
			t.Errorf("%d bytes: got class %d of %d bytes, want none", n, class, size)
		}
	}
}

func TestLargeBuffersAreUsedAgain(t *testing.T) {
	var p buffers
	if buf, room := p.takeLarge(1 << 20); buf != nil || room != 1<<20 {
		t.Fatalf("got %v and room for %d, want no buffer yet, and room for 1 MiB", buf, room)
	}
	taken := 0
	for range 100 { // the race detector has a sync.Pool forget some
		b := make([]byte, 7, 1<<20)
		p.release(&b)
		if buf, _ := p.takeLarge(1<<20 - 100); buf != nil {
			taken++
			if len(*buf) != 0 || cap(*buf) != 1<<20 {
				t.Fatalf("got %d bytes with room for %d, want none, and 1 MiB", len(*buf), cap(*buf))
			}
		}
	}
	if taken == 0 {
		t.Error("no buffer was used again")
	}
	exact := make([]byte, 1<<20+3) // of no class
	p.release(&exact)
	if buf, _ := p.takeLarge(1<<20 + 3); buf != nil {
		t.Errorf("got a buffer with room for %d, want none", cap(*buf))
	}
}

// Large arguments must stay as they are until the reply is on its way, also when
// the reply is made of them and is long in being taken, and must not be read later.
func TestLargeArgumentsLiveAsLongAsTheCall(t *testing.T) {
	var kept []byte
	h := HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
		kept = call.Args.Data
		return Reply{Result: call.Args}, nil
	})
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
	for _, size := range []int{LargePayload + 1, 1<<20 + 6, 5 << 20} {
		want := bytes.Repeat([]byte("arguments "), size/10+1)[:size]
		for range 3 {
			reply, err := a.Handle(t.Context(), callOf("keep", want))
			if err != nil || !bytes.Equal(reply.Result.Data, want) {
				t.Fatalf("%d bytes: got %d bytes, %v, want the arguments", size, len(reply.Result.Data), err)
			}
			waitUntil(t, "the end of the call", func() bool { return !b.Busy() })
			if bytes.Equal(kept, want) {
				t.Errorf("%d bytes: the handler that kept its arguments was not found out", size)
			}
		}
	}
}

// A caller must return when its context ends while the peer takes nothing of its
// large request, must not have its arguments used after that, and must have held
// up nobody else.
func TestLargeRequestEndsWithItsContext(t *testing.T) {
	for _, way := range []Way{Wait, OneWay, OneWayTaken} {
		for _, served := range []bool{true, false} { // else not even the first bytes are taken
			synctest.Test(t, func(t *testing.T) {
				c, raw := rawPair(t, nil, ConnOptions{})
				var lane *rawLane
				if served {
					lane = openLane(t, raw)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				args := make([]byte, 8<<20)
				call := callOf("big", args)
				call.Way = way
				start := time.Now()
				result := make(chan error)
				go func() {
					_, err := c.Handle(ctx, call)
					clear(args) // the race detector sees who still reads them
					result <- err
				}()
				synctest.Wait() // until it waits for GRANT

				// Nobody else waits for that.
				lost := make(chan error)
				go func() {
					small, stop := context.WithTimeout(t.Context(), time.Millisecond)
					defer stop()
					_, err := c.Handle(small, callOf("small", nil))
					lost <- err
				}()
				wantError(t, <-lost, DeadlineExceeded, Executed, "no reply")

				wantError(t, <-result, DeadlineExceeded, NotExecuted, "not sent")
				if took := time.Since(start); took != time.Second {
					t.Errorf("%v: it returned after %v, want after its second", way, took)
				}
				if !served {
					lane = openLane(t, raw)
				}
				synctest.Wait()
				for _, want := range []struct {
					typ frameType
					id  uint64
				}{{frameRequest, 1}, {frameRequest, 2}, {frameCancel, 2}, {frameCancel, 1}} {
					if h, _ := lane.next(); h.typ != want.typ || h.id != want.id {
						t.Errorf("%v: the peer got %v %d, want %v %d", way, h.typ, h.id, want.typ, want.id)
					}
				}
				if got := len(lane.data(argsTag(1))); got > bulkAhead || served && got != bulkAhead {
					t.Errorf("%v: the peer got %d bytes of what it did not grant, want %d", way, got, bulkAhead)
				}
				if n := len(c.callSlots); n != 0 || c.grants.n.Load() != 0 {
					t.Errorf("%v: %d large calls are under way in the end, and %d wait for GRANT, want none", way, n, c.grants.n.Load())
				}
			})
		}
	}
}

// A request that is refused while it is on its way must not be sent to its end,
// and one whose session breaks before the last piece was certainly not carried out.
func TestLargeRequestIsCutOff(t *testing.T) {
	for _, tc := range []struct {
		name string
		cut  func(*Conn, transport.Session, *rawLane)
		code Code
		text string
	}{
		{"by an error", func(_ *Conn, _ transport.Session, l *rawLane) {
			l.Write(appendError(nil, 1, refusal(PermissionDenied, "go away"), false))
		}, PermissionDenied, "go away"},
		{"by the end of the session", func(_ *Conn, raw transport.Session, _ *rawLane) { raw.Close() }, Unavailable, "before the call was sent"},
		{"by Close", func(c *Conn, _ transport.Session, _ *rawLane) { c.Close() }, Unavailable, "before the call was sent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, raw := rawPair(t, nil, ConnOptions{})
				lane := openLane(t, raw)
				var returned atomic.Bool
				result := make(chan error, 1)
				go func() {
					_, err := c.Handle(t.Context(), callOf("big", make([]byte, 8<<20)))
					returned.Store(true)
					result <- err
				}()
				synctest.Wait()
				if returned.Load() {
					t.Fatalf("it returned before anything was taken: %v", <-result)
				}
				tc.cut(c, raw, lane)
				wantError(t, <-result, tc.code, NotExecuted, tc.text)
			})
		})
	}
}

// A peer that sends more than it was granted breaks the protocol; what nobody
// waits for is dropped.
func TestLargePayloadsKeepToTheirGrant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, began, release := held()
		c, raw := rawPair(t, h, ConnOptions{MaxPayload: 1 << 20, MaxLargeMemory: 1 << 20})
		defer close(release)
		lane := openLane(t, raw)
		send := func(id uint64, n int) {
			lane.lane.Bulk(t.Context(), argsTag(id), make([]byte, n))
			synctest.Wait()
		}
		big := callOf("wait", make([]byte, 700<<10))
		lane.Write(appendRequestApart(nil, 1, 0, big))
		if h, _ := lane.next(); h.typ != frameGrant || h.id != 1 || h.flags != 0 {
			t.Fatalf("got %v %d, want GRANT 1 of a request", h.typ, h.id)
		}
		send(1, 700<<10)
		<-began
		send(1, 1000) // after its end
		send(77, 100) // of no call
		lane.Write(appendRequestApart(nil, 2, 0, big))
		send(2, bulkAhead)
		if n := lane.frames(); n != 0 || c.Err() != nil {
			t.Fatalf("%d frames came though there is no memory, ended with %v; want nothing", n, c.Err())
		}
		send(2, 1)
		<-c.Done()
		wantProtocolError(t, c, "more of a large payload came than was granted")
		if c.arrivals.count() != 0 {
			t.Errorf("%d arrivals are left", c.arrivals.count())
		}
	})
}

// A caller that gives up while its request is on its way takes it back: the call is
// never carried out, and its memory is free.
func TestLargeRequestIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, raw := rawPair(t, HandlerFunc(func(context.Context, *Call) (Reply, error) {
			t.Error("the call was carried out")
			return Reply{}, nil
		}), ConnOptions{})
		lane := openLane(t, raw)
		call := callOf("x", make([]byte, 1<<20))
		lane.Write(appendRequestApart(nil, 1, 0, call))
		lane.lane.Bulk(t.Context(), argsTag(1), call.Args.Data[:1000])
		lane.Write(appendSmallFrame(nil, frameCancel, 1))
		lane.lane.Bulk(t.Context(), argsTag(1), call.Args.Data[1000:])
		synctest.Wait()
		if c.Busy() || c.arrivals.count() != 0 || c.largeArgs.free != c.opts.MaxLargeMemory {
			t.Errorf("busy %v, %d arrivals, %d bytes free; want nothing left", c.Busy(), c.arrivals.count(), c.largeArgs.free)
		}
	})
}

// More large requests at a time than are allowed are refused one by one.
func TestLargePayloadsAreLimitedInNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, raw := rawPair(t, nil, ConnOptions{})
		lane := openLane(t, raw)
		call := callOf("x", make([]byte, LargePayload+1))
		for id := range uint64(maxArrivals + 1) {
			lane.Write(appendRequestApart(nil, id+1, 0, call))
		}
		h, head, _ := nextFrame(t, lane)
		if h.typ != frameError || h.id != maxArrivals+1 {
			t.Fatalf("got %v %d, want an ERROR of the last", h.typ, h.id)
		}
		wantError(t, decodeError(head), ResourceExhausted, NotExecuted, "256 large payloads")
		if c.arrivals.count() != maxArrivals || c.Err() != nil {
			t.Errorf("%d arrivals, ended with %v; want %d", c.arrivals.count(), c.Err(), maxArrivals)
		}
	})
}

func TestBytesAreCopiedWhole(t *testing.T) {
	for _, n := range []int{0, 1, LargePayload, LargePayload + 1, copyStep, copyStep + 1, 3*copyStep + 7} {
		src := make([]byte, n)
		for i := range src {
			src[i] = byte(i * 7 >> 3)
		}
		if got := cloneBytes(src); got == nil || !bytes.Equal(got, src) {
			t.Errorf("%d bytes: got a copy of %d bytes that differs, or nil", n, len(got))
		}
		if got := appendBytes([]byte("ab"), src); string(got[:2]) != "ab" || !bytes.Equal(got[2:], src) {
			t.Errorf("%d bytes: what was appended to 2 bytes differs", n)
		}
		item := appendBytesItem(nil, src)
		h, err := readHead(item)
		if err != nil {
			t.Fatal(err)
		}
		if body, rest, err := h.body(item); err != nil || len(rest) > 0 || !bytes.Equal(body, src) {
			t.Errorf("%d bytes: encoded and decoded they are %d bytes and %d more, %v", n, len(body), len(rest), err)
		}
	}
}
