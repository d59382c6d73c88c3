package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"farcall.dev/internal/memnet"
)

// wireRecord returns a record with a body of n bytes, whatever is in body.
func wireRecord(kind byte, n int, body ...[]byte) []byte {
	b := make([]byte, laneHeader)
	putRecord(b, kind, n)
	return append(b, bytes.Join(body, nil)...)
}

// eight returns x as eight bytes.
func eight(x uint64) []byte { return binary.BigEndian.AppendUint64(nil, x) }

// cutConn is a connection that brings b in cuts of size bytes, and takes what is
// written to it.
type cutConn struct {
	net.Conn
	b    []byte
	size int
}

func (c *cutConn) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(len(c.b), c.size)])
	c.b = c.b[n:]
	return n, nil
}

func (c *cutConn) Write(p []byte) (int, error) { return len(p), nil }
func (c *cutConn) Close() error                { return nil }

// heard is what a wire makes of what comes: what the receiver, the session and yamux
// got, one after another. Nobody wants bulk data with an odd tag.
type heard struct {
	t     *testing.T
	runs  []run
	place []byte // what Place returned last
}

// run is what came of one kind, without a break.
type run struct {
	what string
	data []byte
}

func (h *heard) add(what string, p []byte) {
	if n := len(h.runs); n > 0 && h.runs[n-1].what == what {
		h.runs[n-1].data = append(h.runs[n-1].data, p...)
		return
	}
	h.runs = append(h.runs, run{what, bytes.Clone(p)})
}

func (h *heard) Receive(p []byte) {
	if len(p) == 0 {
		h.t.Error("the receiver got no bytes")
	}
	h.add("message", p)
}

func (h *heard) Place(tag uint64, n int) []byte {
	if n < 1 {
		h.t.Errorf("place for %d bytes", n)
	}
	if tag&1 == 1 {
		return nil
	}
	h.place = make([]byte, min(n, 1+int(tag>>1)%3000))
	return h.place
}

func (h *heard) Placed(tag uint64) { h.add(fmt.Sprint("bulk ", tag), h.place) }

// hear reads b in cuts of size, into memory of room bytes, and returns what was
// heard and how it ended.
func hear(t *testing.T, b []byte, size, room int) ([]run, error) {
	t.Helper()
	h := &heard{t: t}
	w := newWire(&cutConn{b: b, size: size})
	defer w.Close()
	w.hear = func(f controlFrame) { h.add(fmt.Sprint("control ", f.typ), f.body) }
	w.bulkSent = 1000
	w.Serve(h)
	p := make([]byte, room)
	for {
		n, err := w.Read(p)
		if n > 0 {
			h.add("yamux", p[:n])
		}
		if len(w.in.buf) > readMost {
			t.Errorf("it reads into a buffer of %d bytes, want at most %d", len(w.in.buf), readMost)
		}
		if err != nil {
			return h.runs, err
		}
	}
}

func TestWireReadTellsRecordsAndFramesApart(t *testing.T) {
	yamux := frames()
	for _, tc := range []struct {
		name string
		in   [][]byte
		want []run
		err  error
	}{
		{"messages", [][]byte{wireRecord(recordLane, 2, []byte("ab")), wireRecord(recordLane, 0), wireRecord(recordLane, 1, []byte("c"))},
			[]run{{"message", []byte("abc")}}, io.EOF},
		{"between frames", [][]byte{yamux[:17], wireRecord(recordLane, 1, []byte("a")), yamux[17:]},
			[]run{{"yamux", yamux[:17]}, {"message", []byte("a")}, {"yamux", yamux[17:]}}, io.EOF},
		{"bulk data nobody wants", [][]byte{wireRecord(recordPiece, 10, eight(3), []byte("ab")), wireRecord(recordLane, 1, []byte("c"))},
			[]run{{"message", []byte("c")}}, io.EOF},
		{"an empty piece", [][]byte{wireRecord(recordPiece, 8, eight(2)), yamux}, []run{{"yamux", yamux}}, io.EOF},
		{"control", [][]byte{controlRecord(framePing, 'h', 'i'), yamux, controlRecord(99, make([]byte, maxControl-1)...), controlRecord(frameGoAway)},
			[]run{{"control 1", []byte("hi")}, {"yamux", yamux}, {"control 99", nil}, {"control 3", nil}}, io.EOF},
		{"half a control frame", [][]byte{controlRecord(framePing, 'h', 'i')[:laneHeader+2]}, nil, io.EOF},
		{"control without a type", [][]byte{wireRecord(recordControl, 0), yamux}, nil, errControl},
		{"control too long", [][]byte{controlRecord(99, make([]byte, maxControl)...), yamux}, nil, errControl},
		{"an empty close", [][]byte{controlRecord(frameClose), yamux}, nil, errControlBody},
		{"kinds to come", [][]byte{wireRecord(5, 3, []byte("abc")), wireRecord(15, 0), wireRecord(recordLane, 1, []byte("c"))},
			[]run{{"message", []byte("c")}}, io.EOF},
		{"more in a record than is known", [][]byte{wireRecord(recordTaken, 10, eight(1000), []byte("ab")), yamux},
			[]run{{"yamux", yamux}}, io.EOF},
		{"a kind that never is", [][]byte{wireRecord(recordLane, 1, []byte("a")), wireRecord(16, 0), yamux},
			[]run{{"message", []byte("a")}}, errNoRecord},
		{"a piece without a tag", [][]byte{wireRecord(recordPiece, 7, eight(2)), yamux}, nil, errRecord},
		{"a short number", [][]byte{wireRecord(recordTaken, 7, eight(2)), yamux}, nil, errRecord},
		{"more arrived than was sent", [][]byte{wireRecord(recordTaken, 8, eight(1001)), yamux}, nil, errTaken},
		{"less arrived than before", [][]byte{wireRecord(recordTaken, 8, eight(9)), wireRecord(recordTaken, 8, eight(8)), yamux}, nil, errTaken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := bytes.Join(tc.in, nil)
			for size := range len(in) {
				got, err := hear(t, in, size+1, 100)
				if !sameRuns(got, tc.want) || !errors.Is(err, tc.err) {
					t.Errorf("in cuts of %d: got %q, %v, want %q, %v", size+1, got, err, tc.want, tc.err)
				}
			}
		})
	}
}

// A record's beginning that the buffer's end cuts in two is put together.
func TestWireReadAcrossItsBuffer(t *testing.T) {
	var in, want []byte
	for i := range 200 {
		p := content(uint64(i), i)
		in = append(in, wireRecord(recordLane, len(p), p)...)
		in = append(in, wireRecord(recordPiece, 9, eight(1), []byte("x"))...)
		want = append(want, p...)
	}
	for size := 1; size < 2*readStart; size += 3 {
		got, err := hear(t, in, size, 100)
		if !sameRuns(got, []run{{"message", want}}) || err != io.EOF {
			t.Fatalf("in cuts of %d: got %d runs, %v, want all messages", size, len(got), err)
		}
	}
}

func sameRuns(a, b []run) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].what != b[i].what || !bytes.Equal(a[i].data, b[i].data) {
			return false
		}
	}
	return true
}

// FuzzWireRead holds the reading side of a wire against any bytes: cut anywhere
// they give the same, and never more than there was.
func FuzzWireRead(f *testing.F) {
	all := bytes.Join([][]byte{
		frames(), wireRecord(recordLane, 5, []byte("hello")), wireRecord(recordPiece, 12, eight(4), []byte("bulk")),
		wireRecord(recordTaken, 8, eight(7)), wireRecord(9, 2, []byte("??")), controlRecord(framePing, 'h', 'i'), controlRecord(frameStop, 3), wireRecord(recordPiece, 9, eight(5), []byte("x")), frames(),
	}, nil)
	f.Add(all, uint16(0), uint16(0))
	f.Add(all, uint16(2), uint16(6))
	f.Add(wireRecord(recordPiece, 1<<23, eight(2), make([]byte, 2*takenStep)), uint16(700), uint16(9))
	f.Add(append([]byte{0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0x20, 0}, make([]byte, 1<<13)...), uint16(5000), uint16(6000))
	f.Add(wireRecord(16, 0), uint16(0), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, size, room uint16) {
		want, wantErr := hear(t, b, 1<<20, 1<<20)
		got, err := hear(t, b, int(size)+1, int(room)+1)
		if !sameRuns(got, want) || !errors.Is(err, wantErr) {
			t.Errorf("in cuts of %d: got %q, %v, want %q, %v", int(size)+1, got, err, want, wantErr)
		}
		total := 0
		for _, r := range got {
			total += len(r.data)
		}
		if total > len(b) {
			t.Errorf("%d bytes came of %d", total, len(b))
		}
	})
}

// The bytes of the three records, as a wire writes them.
func TestGoldenRecords(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	defer far.Close()
	rec := &writeLog{Conn: near, wrote: make(chan []byte, 16)}
	w := newWire(rec)
	defer w.Close()
	var got []byte
	written := func(n int) {
		for end := len(got) + n; len(got) < end; {
			got = append(got, <-rec.wrote...)
		}
	}
	b, err := w.Lock(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.Unlock(append(b, "message"...), false)
	written(laneHeader + 7)
	if err := w.Bulk(t.Context(), 0x0102030405060708, []byte("bulk data")); err != nil {
		t.Fatal(err)
	}
	written(pieceHeader + 9)
	w.sayTaken(0x20000)
	written(laneHeader + 8)
	golden(t, "records.hex", got)
}
