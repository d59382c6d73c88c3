package transport

import (
	"bytes"
	"io"
	"net"
	"reflect"
	"testing"
	"testing/synctest"

	"farcall.dev/internal/memnet"
)

// frames returns a run of yamux frames: data, control, and data of no length.
func frames() []byte {
	data := append([]byte{0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 5}, "hello"...)
	window := []byte{0, 1, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0} // its length is no body
	empty := []byte{0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 0}
	return bytes.Join([][]byte{data, window, empty, data}, nil)
}

func TestFramingFindsBoundariesHoweverCut(t *testing.T) {
	whole := map[int]bool{17: true, 29: true, 41: true, 58: true}
	for size := 1; size <= len(frames()); size++ {
		var f framing
		run := frames()
		for at := 0; at < len(run); {
			n := min(size, len(run)-at)
			f.advance(run[at : at+n])
			if at += n; f.whole() != whole[at] {
				t.Fatalf("in cuts of %d, at byte %d: got whole %v, want %v", size, at, f.whole(), whole[at])
			}
		}
	}
}

func FuzzFraming(f *testing.F) {
	f.Add(frames(), uint8(3))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 1}, uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		var once, cut framing
		once.advance(b)
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(size)+1)
			cut.advance(rest[:n])
			rest = rest[n:]
		}
		if once.whole() != cut.whole() || once.body != cut.body || once.have != cut.have {
			t.Errorf("got %+v in cuts, want %+v", cut, once)
		}
	})
}

// A header is held back until its body is there; anything else goes at once.
func TestWireJoinsFramesAndHoldsNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memConn(t, memnet.New(memnet.Options{}))
		rec := &writeLog{Conn: near, wrote: make(chan []byte, 16)}
		w := newWire(rec)
		defer far.Close()
		defer w.Close()
		run := frames()
		for _, step := range []struct {
			from, to int
			want     string // what is written then
		}{
			{0, 5, ""}, {5, 12, ""}, {12, 14, ""}, {14, 17, string(run[:17])}, // data
			{17, 29, string(run[17:29])}, // control
			{29, 41, string(run[29:41])}, // data of no length
		} {
			w.Write(run[step.from:step.to])
			synctest.Wait()
			got := ""
			if len(rec.wrote) > 0 {
				got = string(<-rec.wrote)
			}
			if got != step.want {
				t.Errorf("after byte %d: got %q on the connection, want %q", step.to, got, step.want)
			}
		}
	})
}

// What comes while a write is under way goes in one piece after it.
func TestWireMergesWhileWriting(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	rec := &writeLog{Conn: near, wrote: make(chan []byte)}
	w := newWire(rec)
	defer far.Close()
	defer w.Close()
	frame := frames()[17:29]
	w.Write(frame)
	eventually(t, "the write is under way", func() bool { return w.writingSince.Load() != 0 })
	for range 100 {
		w.Write(frame)
	}
	first, second := <-rec.wrote, <-rec.wrote
	if len(first) != 12 || len(second) != 1200 {
		t.Errorf("got writes of %d and %d bytes, want 12 and 1200", len(first), len(second))
	}
	eventually(t, "two writes are counted", func() bool { return w.writes.Load() == 2 })
}

func TestWireLetsGoOfLargeBuffers(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	w := newWire(near)
	defer far.Close()
	defer w.Close()
	go io.Copy(io.Discard, far)
	write := func(p []byte) {
		before := w.sent.Load()
		w.Write(p)
		eventually(t, "it is written", func() bool { return w.sent.Load() == before+uint64(len(p)) })
	}
	data := []byte{0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 0}
	write(append(data, make([]byte, 1<<16)...))
	for range 100 {
		write(frames()[17:29])
	}
	eventually(t, "the buffers are small", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return cap(w.buf) <= keepBuffer && cap(w.spare) <= keepBuffer
	})
}

// writeLog hands each write to the test, which lets it go on by taking it.
type writeLog struct {
	net.Conn
	wrote chan []byte
}

func (c *writeLog) Write(p []byte) (int, error) {
	c.wrote <- bytes.Clone(p)
	return len(p), nil
}

// spoken is a frame of each type.
var spoken = []controlFrame{
	{typ: framePong, body: []byte("87654321")}, {typ: framePing, body: []byte("12345678")},
	{typ: frameStop, id: 3}, {typ: frameStop, id: 300}, {typ: frameGoAway}, {typ: frameSettled},
	{typ: frameClose}, {typ: frameClose, done: true},
}

func FuzzParseControl(f *testing.F) {
	for _, frame := range spoken {
		f.Add(frame.append(nil)[laneHeader:])
	}
	f.Add([]byte("\x63unknown"))
	f.Add([]byte{5})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseControl(b)
		if err != nil || got.typ > frameStop || got.typ == 0 {
			return
		}
		if len(got.body) > maxPing {
			t.Fatalf("a ping of %d bytes was let through", len(got.body))
		}
		record := got.append(nil)
		if record[0] != recordControl || recordSize(record) != len(record)-laneHeader {
			t.Fatalf("record %x is of another kind or length", record)
		}
		back, err := parseControl(record[laneHeader:])
		if err != nil || !reflect.DeepEqual(back, got) {
			t.Fatalf("got %+v, %v; want %+v", back, err, got)
		}
	})
}

func TestGoldenControlFrames(t *testing.T) {
	var b []byte
	for _, f := range spoken {
		b = f.append(b)
	}
	golden(t, "control.hex", b)
}
