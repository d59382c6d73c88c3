package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

// held returns a handler that waits until release is closed.
func held() (h Handler, began chan struct{}, release chan struct{}) {
	began, release = make(chan struct{}, 10_000), make(chan struct{})
	return HandlerFunc(func(ctx context.Context, _ *Call) (Reply, error) {
		began <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return Reply{}, ctx.Err()
	}), began, release
}

func TestConnLimitsCallsInFlight(t *testing.T) {
	h, began, release := held()
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{MaxInFlight: 3})
	results := make(chan error, 3)
	for _, size := range []int{0, 10, LargePayload + 1} {
		go func() {
			_, err := a.Handle(t.Context(), callOf("wait", make([]byte, size)))
			results <- err
		}()
		waitFor(t, "the call", began)
	}
	for _, size := range []int{0, LargePayload + 1} {
		_, err := a.Handle(t.Context(), callOf("more", make([]byte, size)))
		wantError(t, err, ResourceExhausted, NotExecuted, "3 calls of this connection are in flight")
	}
	if s := b.Stats(); s.InFlightIn != 3 || s.Refused != 2 {
		t.Errorf("got %+v, want 3 in flight and 2 refused", s)
	}
	close(release)
	for range 3 {
		if err := waitFor(t, "a held call", results); err != nil {
			t.Errorf("a call that was admitted failed: %v", err)
		}
	}
	if _, err := a.Handle(t.Context(), callOf("again", nil)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestConnLimitsPayloads(t *testing.T) {
	result := func(n int) Handler {
		return HandlerFunc(func(context.Context, *Call) (Reply, error) {
			return Reply{Result: Payload{Data: make([]byte, n)}}, nil
		})
	}
	const small, large = 1000, 100_000
	for _, limit := range []int{small, large} {
		for _, tc := range []struct {
			name       string
			oa, ob     ConnOptions
			args       int
			handler    Handler
			execution  Execution
			text       string
			sentFrames uint64
		}{
			{"sender's arguments", ConnOptions{MaxPayload: limit}, ConnOptions{}, limit + 1, echo, NotExecuted, "the most this node sends", 0},
			{"receiver's arguments", ConnOptions{}, ConnOptions{MaxPayload: limit}, limit + 1, echo, NotExecuted, "the most this node takes", 1},
			{"sender's result", ConnOptions{}, ConnOptions{MaxPayload: limit}, 0, result(limit + 1), Executed, "the most this node sends", 1},
			{"receiver's result", ConnOptions{MaxPayload: limit}, ConnOptions{}, 0, result(limit + 1), Executed, "the most this node takes", 1},
		} {
			t.Run(fmt.Sprint(tc.name, limit), func(t *testing.T) {
				a, _ := connPair(t, nil, tc.handler, tc.oa, tc.ob)
				_, err := a.Handle(t.Context(), callOf("x", make([]byte, tc.args)))
				wantError(t, err, ResourceExhausted, tc.execution, tc.text)
				if tc.name == "receiver's result" && limit == large {
					tc.sentFrames++ // a CANCEL, so that the result is not sent to its end
				}
				if got := a.Stats().FramesSent; got != tc.sentFrames {
					t.Errorf("%d frames were sent, want %d", got, tc.sentFrames)
				}
				a.handler, a.opts.MaxPayload = echo, DefaultMaxPayload
				if _, err := a.Ping(t.Context()); err != nil {
					t.Errorf("the connection did not survive: %v", err)
				}
			})
		}
	}
	a, _ := connPair(t, nil, echo, ConnOptions{MaxPayload: large}, ConnOptions{MaxPayload: large})
	if _, err := a.Handle(t.Context(), callOf("x", make([]byte, large))); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

// The peer refuses a large call from its head: the caller must not need to get
// rid of all its arguments first.
func TestConnRefusesLargeArgumentsUnread(t *testing.T) {
	a, b := connPair(t, nil, echo, ConnOptions{}, ConnOptions{MaxPayload: 1 << 20})
	_, err := a.Handle(t.Context(), callOf("x", make([]byte, 32<<20)))
	wantError(t, err, ResourceExhausted, NotExecuted, "33554432 bytes")
	if got := b.session.Stats().BytesReceived; got > 1<<20 {
		t.Errorf("%d bytes were read of what was refused", got)
	}
}

func TestConnLimitsLargeMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, began, release := held()
		a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{MaxPayload: 1 << 20, MaxLargeMemory: 1 << 20})
		args := make([]byte, 700<<10)
		results := make(chan error, 2)
		do := func() {
			_, err := a.Handle(t.Context(), callOf("wait", args))
			results <- err
		}
		go do()
		<-began
		start := time.Now()
		_, err := a.Handle(t.Context(), callOf("more", args))
		wantError(t, err, ResourceExhausted, NotExecuted, "1048576 bytes")
		if took := time.Since(start); took != DefaultLargeWait {
			t.Errorf("it was refused after %v, want after %v", took, DefaultLargeWait)
		}
		go do()
		synctest.Wait()
		close(release) // the first call ends and makes room
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("with room in time: %v", err)
			}
		}
		synctest.Wait()
		if b.largeArgs.free != 1<<20 {
			t.Errorf("%d bytes are free in the end, want all", b.largeArgs.free)
		}
	})
}

func TestConnLimitsMetadataAndNames(t *testing.T) {
	h := HandlerFunc(func(context.Context, *Call) (Reply, error) {
		return Reply{Metadata: Metadata{"k": strings.Repeat("v", MaxMetadataSize)}}, nil
	})
	a, _ := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
	for _, tc := range []struct {
		call Call
		code Code
		text string
	}{
		{Call{Object: naming255 + "o"}, InvalidArgument, "object's name"},
		{Call{Method: strings.Repeat("m", MaxMethodLen+1)}, InvalidArgument, "method's name"},
		{Call{Metadata: Metadata{"K": ""}}, InvalidArgument, "metadata key"},
		{Call{Metadata: Metadata{"k": strings.Repeat("v", MaxMetadataSize)}}, ResourceExhausted, "metadata"},
	} {
		_, err := a.Handle(t.Context(), &tc.call)
		wantError(t, err, tc.code, NotExecuted, tc.text)
	}
	if n := a.Stats().FramesSent; n != 0 {
		t.Errorf("%d frames were sent, want none", n)
	}
	_, err := a.Handle(t.Context(), callOf("x", nil))
	wantError(t, err, ResourceExhausted, Executed, "the reply of object.x: the metadata")
}

// wantProtocolError fails the test unless c ended because the peer broke the
// protocol in this way.
func wantProtocolError(t *testing.T, c *Conn, text string) {
	t.Helper()
	e, ok := errors.AsType[*ProtocolError](c.Err())
	if !ok || !strings.Contains(e.Error(), text) || !strings.Contains(e.Error(), "node raw") {
		t.Errorf("the end came from %v, want a protocol error of node raw with %q", c.Err(), text)
	}
}

func TestConnLimitsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, raw := rawPair(t, echo, ConnOptions{MaxStreams: 1})
		var streams []transport.Stream
		const most = spareStreams + 1 // one of them might have been an item stream
		for range most + 1 {
			s, err := raw.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
			synctest.Wait()
		}
		start := time.Now()
		one := make([]byte, 1)
		if _, err := streams[most].Read(one); err != io.EOF || time.Since(start) != 0 {
			t.Errorf("one more stream: got %v after %v, want its end at once", err, time.Since(start))
		}
		if _, err := streams[0].Read(one); err != io.EOF || time.Since(start) != streamHeadTimeout {
			t.Errorf("a stream without a word: got %v after %v, want its end after %v", err, time.Since(start), streamHeadTimeout)
		}
		if c.Err() != nil {
			t.Errorf("the session ended: %v", c.Err())
		}
	})
}

func TestConnClosesStreamsOfUnknownKind(t *testing.T) {
	c, raw := rawPair(t, echo, ConnOptions{})
	s, err := raw.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte{200, 1, 2, 3})
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("a stream of an unknown kind was answered")
	}
	if c.Err() != nil {
		t.Errorf("the session ended: %v", c.Err())
	}
}

// A peer that calls and never reads the replies must hold up its own session
// only, within a bounded amount of memory.
func TestConnBoundsWhatASlowReaderHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const inFlight, buffered = 64, 64 << 10
		c, raw := rawPair(t, echo, ConnOptions{MaxInFlight: inFlight, MaxBuffered: buffered})
		lane := raw.Lane() // whose receiver is never there
		call := callOf("echo", bytes.Repeat([]byte{1}, 16<<10))
		go func() {
			for id := uint64(1); ; id++ {
				b, err := lane.Lock(t.Context(), 64<<10)
				if err != nil {
					return
				}
				lane.Unlock(append(appendRequest(b, id, 0, call), call.Args.Data...), false)
			}
		}()
		synctest.Wait() // all is full, and everybody waits
		s := c.Stats()
		b, _, _ := c.lane.TryLock(1 << 30)
		held := len(b)
		c.lane.Unlock(b, false)
		c.workers.mu.Lock()
		workers := c.workers.running
		c.workers.mu.Unlock()
		if s.InFlightIn > inFlight || held > 2*buffered+maxFrame || workers > inFlight {
			t.Errorf("%d calls in flight, %d bytes in the buffer, %d workers; want at most %d, %d, %d",
				s.InFlightIn, held, workers, inFlight, 2*buffered+maxFrame, inFlight)
		}
		start := time.Now()
		<-c.Done()
		if !errors.Is(c.Err(), transport.ErrPeerSilent) || time.Since(start) != DefaultStallTimeout {
			t.Errorf("ended with %v after %v, want a silent peer after %v", c.Err(), time.Since(start), DefaultStallTimeout)
		}
	})
}
