package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

// laneFrames returns what a lane hands to its Conn when b comes in cuts of n
// bytes: the frames, in a form of their own, and how it ended.
func laneFrames(t testing.TB, b []byte, n int) (frames []byte, err error) {
	sa, sb := transport.Pipe(transport.Options{}, transport.Options{})
	defer sa.Close()
	defer sb.Close()
	c := NewConn(sa, nil, ConnOptions{})
	defer c.Close()
	l := &lane{c: c}
	l.handle = func(h frameHeader, body []byte) error {
		frames = fmt.Appendf(frames, "%v %x %d %d % x\n", h.typ, h.flags, h.id, h.size, body)
		return nil
	}
	l.failed = func(e error) { err = e }
	for len(b) > 0 {
		k := min(n, len(b))
		l.Receive(b[:k])
		b = b[k:]
	}
	return frames, err
}

func TestLaneCutsFramesHoweverTheyArrive(t *testing.T) {
	b, _ := manyFrames(60)
	for name, frame := range sampleFrames() {
		if name != "items" { // which begins a stream
			b = append(b, frame...)
		}
	}
	big := callOf("x", make([]byte, LargePayload+1))
	b = append(appendRequestApart(b, 9, 0, big), appendSmallFrame(nil, framePing, 5)...)
	want, err := laneFrames(t, b, len(b))
	if err != nil || bytes.Count(want, []byte("\n")) < 60 {
		t.Fatalf("whole: got %d frames, %v", bytes.Count(want, []byte("\n")), err)
	}
	for _, n := range []int{1, 2, 3, 7, 100, 4096, 70_000} {
		if got, err := laneFrames(t, b, n); err != nil || !bytes.Equal(got, want) {
			t.Errorf("in cuts of %d: got other frames than whole, %v", n, err)
		}
	}
}

func TestLaneGivesItsBufferBack(t *testing.T) {
	sa, _ := transport.Pipe(transport.Options{}, transport.Options{})
	defer sa.Close()
	c := NewConn(sa, nil, ConnOptions{})
	defer c.Close()
	l := &lane{c: c, handle: func(frameHeader, []byte) error { return nil }}
	frame := func(n int) []byte {
		return append(appendFrameHeader(nil, frameHeader{typ: 99, size: uint64(n)}), make([]byte, n)...)
	}
	cut := func(b []byte) {
		l.Receive(b[:len(b)/2])
		l.Receive(b[len(b)/2:])
	}
	cut(frame(maxFrame))
	if cap(l.part) <= partKeep {
		t.Fatalf("a frame in two parts left room for %d bytes, want more than %d", cap(l.part), partKeep)
	}
	for range partLittle + 1 {
		cut(frame(10))
	}
	if cap(l.part) > partKeep {
		t.Errorf("after small frames there is room for %d bytes, want at most %d", cap(l.part), partKeep)
	}
}

func TestLaneTellsWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"type 0", []byte{0}, errBadType},
		{"endless id", append([]byte{1, 0}, bytes.Repeat([]byte{0xff}, 12)...), errBadVarint},
		{"too large", []byte{1, 0, 1, 0x81, 0x80, 0x04}, errFrameTooBig},
		{"apart, endless head", append([]byte{1, flagApart, 1, 5}, bytes.Repeat([]byte{0xff}, 12)...), errBadVarint},
		{"apart, head beyond its body", []byte{1, flagApart, 1, 5, 9}, errBadHead},
		{"apart, head too large", append([]byte{1, flagApart, 1, 0xff, 0xff, 0xff, 0x7f}, 0xff, 0xff, 0x7f), errBadHead},
	} {
		for _, n := range []int{1, len(tc.bytes)} {
			if _, err := laneFrames(t, tc.bytes, n); !errors.Is(err, tc.want) {
				t.Errorf("%s, in cuts of %d: got %v, want %v", tc.name, n, err, tc.want)
			}
		}
	}
}

// Callers wait for room as long as their contexts last; the reader has as much room
// again, and gives the session up when that is full for StallTimeout.
func TestLaneIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := rawPair(t, nil, ConnOptions{MaxBuffered: 1000})
		block := make([]byte, 500)
		send := func(ctx context.Context) error {
			return c.lane.send(ctx, func(b []byte) ([]byte, int) { return append(b, block...), 1 })
		}
		for range 2 {
			if err := send(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := send(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("full: got %v, want the context's error", err)
		}
		if _, err := c.lane.lock(t.Context(), time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("full, with a second to wait: got %v, want the deadline's error", err)
		}
		urgent := func() error { return c.lane.urgent(func(b []byte) []byte { return append(b, block...) }) }
		for range 2 {
			if err := urgent(); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		if err := urgent(); !errors.Is(err, errStalled) || time.Since(start) != DefaultStallTimeout {
			t.Errorf("full for the reader: got %v after %v, want %v after %v", err, time.Since(start), errStalled, DefaultStallTimeout)
		}
		c.lane.force(frameCancel, 1)
		if b, ok, _ := c.lane.TryLock(1 << 20); !ok || len(b) != 2004 {
			t.Errorf("got %d bytes in the buffer, %v, want 2000 and the CANCEL", len(b), ok)
		} else {
			c.lane.Unlock(b, false)
		}
	})
}

func TestLaneRemembersABoundedNumberOfNames(t *testing.T) {
	l := new(lane)
	for i := range 3 * maxInterned {
		for _, name := range []string{"object", fmt.Sprint("method", i)} {
			if got := l.intern([]byte(name)); got != name {
				t.Fatalf("got %q, want %q", got, name)
			}
		}
	}
	if n := len(l.names); n > maxInterned {
		t.Errorf("%d names are remembered, want at most %d", n, maxInterned)
	}
	b := []byte("object")
	if n := testing.AllocsPerRun(100, func() { l.intern(b) }); n != 0 {
		t.Errorf("a known name takes %v allocations, want none", n)
	}
}

// FuzzLane holds the cutting of what a lane brings against any bytes in any pieces.
func FuzzLane(f *testing.F) {
	for _, frame := range sampleFrames() {
		f.Add(frame, uint16(3))
	}
	f.Add(appendRequestApart(nil, 9, 0, callOf("x", make([]byte, LargePayload+1))), uint16(5))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		whole, err := laneFrames(t, b, len(b)+1)
		cut, err2 := laneFrames(t, b, int(n)+1)
		if !bytes.Equal(whole, cut) || err != err2 {
			t.Errorf("in cuts of %d: got\n%s%v, want\n%s%v", int(n)+1, cut, err2, whole, err)
		}
	})
}
