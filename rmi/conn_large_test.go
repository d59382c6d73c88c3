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
		synctest.Test(t, func(t *testing.T) {
			c, raw := rawPair(t, nil, ConnOptions{})
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
			stream, err := raw.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until the window is full

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
			r := newFrameReader(stream, new(counters))
			r.kind()
			_, _, size, err := r.nextHead()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.payload(size); err == nil {
				t.Errorf("%v: the peer got all %d bytes of a request that was given up", way, len(got))
			}
			stream.Close()
			synctest.Wait()
			if n := len(c.callSlots); n != 0 {
				t.Errorf("%v: %d streams are held in the end, want none", way, n)
			}
		})
	}
}

// A request that is refused while it is on its way must not be written to its end,
// and one whose session breaks before the last piece was certainly not carried out.
func TestLargeRequestIsCutOff(t *testing.T) {
	for _, tc := range []struct {
		name string
		cut  func(*Conn, transport.Session, transport.Stream)
		code Code
		text string
	}{
		{"by an error", func(_ *Conn, _ transport.Session, s transport.Stream) {
			s.Write(appendError(nil, 1, refusal(PermissionDenied, "go away"), false))
		}, PermissionDenied, "go away"},
		{"by the end of its stream", func(_ *Conn, _ transport.Session, s transport.Stream) { s.Close() }, Unavailable, "stream of the call ended"},
		{"by the end of the session", func(_ *Conn, raw transport.Session, _ transport.Stream) { raw.Close() }, Unavailable, "before the call was sent"},
		{"by Close", func(c *Conn, _ transport.Session, _ transport.Stream) { c.Close() }, Unavailable, "before the call was sent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, raw := rawPair(t, nil, ConnOptions{})
				var returned atomic.Bool
				result := make(chan error, 1)
				go func() {
					_, err := c.Handle(t.Context(), callOf("big", make([]byte, 8<<20)))
					returned.Store(true)
					result <- err
				}()
				stream, err := raw.Accept(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if returned.Load() {
					t.Fatalf("it returned before anything was taken: %v", <-result)
				}
				tc.cut(c, raw, stream)
				wantError(t, <-result, tc.code, NotExecuted, tc.text)
			})
		})
	}
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
