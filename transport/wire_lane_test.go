package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"farcall.dev/internal/memnet"
)

// sentRecord is a record that a wire has written.
type sentRecord struct {
	kind byte
	tag  uint64 // of a piece
	data []byte
}

func (r sentRecord) String() string {
	return fmt.Sprintf("kind %d, tag %d, %d bytes", r.kind, r.tag, len(r.data))
}

// parseRecord takes the first record of b, and reports whether it is all there.
func parseRecord(b []byte) (r sentRecord, rest []byte, ok bool) {
	if len(b) < laneHeader || len(b) < laneHeader+recordSize(b) {
		return r, b, false
	}
	r.kind, r.data, rest = b[0], b[laneHeader:laneHeader+recordSize(b)], b[laneHeader+recordSize(b):]
	if r.kind == recordPiece {
		r.tag, r.data = binary.BigEndian.Uint64(r.data), r.data[8:]
	}
	return r, rest, true
}

// A message passes bulk data that waits, and two senders of bulk data take turns.
func TestWireMessagesOvertakeBulkData(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	defer far.Close()
	rec := &writeLog{Conn: near, wrote: make(chan []byte)}
	w := newWire(rec)
	defer w.Close()
	const size = 200_000 // the window has room for two of these
	sent := make(chan error, 2)
	bulk := func(tag uint64) {
		go func() { sent <- w.Bulk(soon(t), tag, content(tag, size)) }()
		eventually(t, "it waits its turn", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.out.piece != nil && w.out.piece.tag == tag || slices.ContainsFunc(w.transfers, func(t *transfer) bool { return t.tag == tag })
		})
	}
	bulk(2)
	eventually(t, "its first piece is being written", func() bool { return w.writingSince.Load() != 0 })
	bulk(4)
	say(t, w, []byte("message"))
	var b []byte
	var order []string
	came := map[uint64][]byte{}
	for len(came[2])+len(came[4]) < 2*size {
		b = append(b, <-rec.wrote...)
		for r, rest, ok := parseRecord(b); ok; r, rest, ok = parseRecord(b) {
			b = rest
			order = append(order, r.String())
			came[r.tag] = append(came[r.tag], r.data...)
			if len(order) == 2 && (r.kind != recordLane || string(r.data) != "message") {
				t.Errorf("got %v behind the first piece, want the message", r)
			}
			if len(order) == 3 && r.tag != 4 {
				t.Errorf("got %v behind the first piece of tag 2 and the message, want one of tag 4", r)
			}
		}
	}
	for range 2 {
		if err := <-sent; err != nil {
			t.Errorf("bulk: %v", err)
		}
	}
	for _, tag := range []uint64{2, 4} {
		if !bytes.Equal(came[tag], content(tag, size)) {
			t.Errorf("tag %d: got %d bytes, want the %d that were sent; records: %q", tag, len(came[tag]), size, order)
		}
	}
}

// A client that speaks at once is heard.
func TestWireFirstMessageOfAClient(t *testing.T) {
	for range 50 {
		near, far := memConn(t, memnet.New(memnet.Options{}))
		heard := make(chan *laneLog, 1)
		go func() {
			s, err := Server(context.Background(), far, Options{})
			if err != nil {
				t.Errorf("server: %v", err)
				close(heard)
				return
			}
			t.Cleanup(func() { s.Close() })
			r := newLaneLog(t)
			s.Lane().Serve(r)
			heard <- r
		}()
		c, err := Client(context.Background(), near, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		say(t, c.Lane(), []byte("message"))
		r := <-heard
		if r == nil {
			return
		}
		eventually(t, "the message came", func() bool { return r.said() == 7 })
	}
}

// More messages than one record can hold go in several.
func TestWireMessagesOfManyMegabytes(t *testing.T) {
	near, far := tcpConn(t)
	a, b := join(t, near, far, Options{}, Options{})
	r := newLaneLog(t)
	b.Lane().Serve(r)
	want := content(1, 2*maxRecordBody+3)
	say(t, a.Lane(), want)
	say(t, a.Lane(), []byte("after"))
	want = append(want, "after"...)
	eventually(t, "all came", func() bool { return r.said() >= len(want) || b.Err() != nil })
	if !bytes.Equal(r.messages, want) {
		t.Errorf("got %d bytes, %v, want the %d that were sent", len(r.messages), b.Err(), len(want))
	}
}

// Bulk that is given up while the socket takes nothing has its data back at once,
// and what is on its way goes on as it was.
func TestWireBulkGivenUpWhileTheSocketIsFull(t *testing.T) {
	for name, tc := range map[string]struct {
		size int
		err  error
	}{
		"amid its pieces": {5 * startPiece, errHasty},
		"in its last one": {startPiece, nil}, // all of it will be sent
	} {
		t.Run(name, func(t *testing.T) {
			near, far := tcpConn(t)
			defer far.Close()
			near.(*net.TCPConn).SetWriteBuffer(8 << 10)
			far.(*net.TCPConn).SetReadBuffer(8 << 10)
			w := newWire(near)
			defer w.Close()
			ctx, giveUp := context.WithCancelCause(t.Context())
			data, sent := content(2, tc.size), make(chan error, 1)
			go func() { sent <- w.Bulk(ctx, 2, data) }()
			eventually(t, "the socket is full", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				since := w.writingSince.Load()
				return w.out.piece != nil && since != 0 && w.now()-since > int64(20*time.Millisecond)
			})
			giveUp(errHasty)
			select {
			case err := <-sent:
				if !errors.Is(err, tc.err) {
					t.Errorf("bulk: got %v, want %v", err, tc.err)
				}
			case <-time.After(patience):
				t.Fatal("bulk waits for the socket")
			}
			clear(data)
			say(t, w, []byte("message"))

			header := make([]byte, laneHeader)
			next := func() sentRecord {
				if _, err := io.ReadFull(far, header); err != nil {
					t.Fatal(err)
				}
				body := make([]byte, recordSize(header))
				if _, err := io.ReadFull(far, body); err != nil {
					t.Fatal(err)
				}
				r, _, _ := parseRecord(append(bytes.Clone(header), body...))
				return r
			}
			if r := next(); r.kind != recordPiece || r.tag != 2 || !bytes.Equal(r.data, content(2, tc.size)[:startPiece]) {
				t.Errorf("got %v, want the first piece as it was", r)
			}
			if r := next(); r.kind != recordLane || string(r.data) != "message" {
				t.Errorf("got %v behind the piece, want the message", r)
			}
			eventually(t, "the wire is idle", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return !w.writing && len(w.transfers) == 0
			})
		})
	}
}
