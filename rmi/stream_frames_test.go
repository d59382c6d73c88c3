package rmi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

// frames returns a stream of n frames of many sizes, and the sizes.
func manyFrames(n int) (stream []byte, sizes []int) {
	for i := range n {
		size := i * 37 % 5000
		if i%29 == 0 {
			size = maxFrame - i
		}
		stream = appendFrameHeader(stream, frameHeader{typ: frameReply, id: uint64(i), size: uint64(size)})
		stream = append(stream, bytes.Repeat([]byte{byte(i)}, size)...)
		sizes = append(sizes, size)
	}
	return stream, sizes
}

func TestFrameReaderCutsFramesHoweverTheyArrive(t *testing.T) {
	stream, sizes := manyFrames(200)
	for name, source := range map[string]io.Reader{
		"whole":    bytes.NewReader(stream),
		"bytewise": iotest.OneByteReader(bytes.NewReader(stream)),
		"halves":   iotest.HalfReader(bytes.NewReader(stream)),
		"with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			r := newFrameReader(source, new(counters))
			for i, size := range sizes {
				h, body, err := r.next()
				if err != nil || h.id != uint64(i) || !bytes.Equal(body, bytes.Repeat([]byte{byte(i)}, size)) {
					t.Fatalf("frame %d: got id %d, %d bytes, %v, want %d bytes", i, h.id, len(body), err, size)
				}
			}
			if _, _, err := r.next(); err != io.EOF {
				t.Errorf("at the end: got %v, want EOF", err)
			}
			if len(r.buf) > readerMax {
				t.Errorf("the buffer has %d bytes, want at most %d", len(r.buf), readerMax)
			}
		})
	}
}

func TestFrameReaderGivesItsBufferBack(t *testing.T) {
	stream, _ := manyFrames(60)
	small := appendSmallFrame(nil, framePing, 1)
	sources := []io.Reader{bytes.NewReader(stream)}
	for range readerOversize + 2 {
		sources = append(sources, bytes.NewReader(small))
	}
	r := newFrameReader(io.MultiReader(sources...), new(counters))
	largest := 0
	for {
		if _, _, err := r.next(); err != nil {
			break
		}
		largest = max(largest, len(r.buf))
	}
	if largest <= readerKeep || len(r.buf) > readerKeep {
		t.Errorf("the buffer grew to %d bytes and is now %d, want it large and then %d", largest, len(r.buf), readerKeep)
	}
}

func TestFrameReaderTellsWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name   string
		stream []byte
		want   error
	}{
		{"nothing", nil, io.EOF},
		{"type 0", []byte{0}, errBadType},
		{"half a header", []byte{1, 0, 0x80}, io.ErrUnexpectedEOF},
		{"half a body", []byte{1, 0, 1, 5, 'x'}, io.ErrUnexpectedEOF},
		{"endless id", append([]byte{1, 0}, bytes.Repeat([]byte{0xff}, 12)...), errBadVarint},
		{"endless length", append([]byte{1, 0, 1}, bytes.Repeat([]byte{0xff}, 12)...), errBadVarint},
		{"too large", []byte{1, 0, 1, 0x81, 0x80, 0x04}, errFrameTooBig},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := newFrameReader(bytes.NewReader(tc.stream), new(counters)).next()
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestFrameReaderReadsLargeItemsAsTheyArrive(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 400_000)
	stream := append(appendFrameHeader(nil, frameHeader{typ: frameItem, size: uint64(len(data))}), data...)
	r := newFrameReader(iotest.HalfReader(bytes.NewReader(stream)), new(counters))
	h, err := r.header()
	if err != nil || h.size != uint64(len(data)) {
		t.Fatalf("got %d bytes, %v, want %d", h.size, err, len(data))
	}
	if got, err := r.extend(nil, h.size); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v, want the %d sent", len(got), err, len(data))
	}

	r = newFrameReader(bytes.NewReader(stream[:1000]), new(counters))
	if h, err = r.header(); err != nil {
		t.Fatal(err)
	}
	if got, err := r.extend(nil, h.size); err != io.ErrUnexpectedEOF || cap(got) > payloadStep {
		t.Errorf("got %v with %d bytes set aside, want an unexpected EOF and no more than %d", err, cap(got), payloadStep)
	}
}

// fakeStream is a stream whose writes a test holds up.
type fakeStream struct {
	transport.Stream
	writes chan []byte // gets each write; unbuffered, so that it waits for the test
	closed chan struct{}
}

func newFakeStream() *fakeStream {
	return &fakeStream{writes: make(chan []byte), closed: make(chan struct{})}
}

func (s *fakeStream) Write(p []byte) (int, error) {
	select {
	case s.writes <- bytes.Clone(p):
		return len(p), nil
	case <-s.closed:
		return 0, net.ErrClosed
	}
}

// send appends b as one frame.
func send(ctx context.Context, w *writer, b []byte) error {
	if err := w.lock(ctx); err != nil {
		return err
	}
	w.buf = append(w.buf, b...)
	w.unlock(1)
	return nil
}

func TestWriterMergesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStream()
		w := newWriter(s, 1<<20, new(counters), 'L')
		var run sync.WaitGroup
		run.Go(w.run)
		for i := range 100 {
			if err := send(t.Context(), w, []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // the flusher is in its first write
		var writes [][]byte
		for range 2 {
			select {
			case b := <-s.writes:
				writes = append(writes, b)
				synctest.Wait()
			default:
			}
		}
		all := slices.Concat(writes...)
		if len(writes) > 2 || len(all) != 101 || all[0] != 'L' || all[1] != 0 || all[100] != 99 {
			t.Errorf("got %d writes, % x, want at most 2 with all in order", len(writes), all)
		}
		w.close(net.ErrClosed)
		run.Wait()
	})
}

func TestWriterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeStream()
		w := newWriter(s, 1000, new(counters))
		var run sync.WaitGroup
		run.Go(w.run)
		block := make([]byte, 500)
		for range 3 { // one in the stream's hands, two in the buffer
			if err := send(t.Context(), w, block); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := send(ctx, w, block); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("full: got %v, want the context's error", err)
		}
		waiting := make(chan error, 1)
		wait := func() {
			go func() { waiting <- send(t.Context(), w, block) }()
			synctest.Wait()
		}
		wait()
		<-s.writes
		if err := <-waiting; err != nil {
			t.Errorf("after a write: got %v, want room", err)
		}
		if err := send(t.Context(), w, block); err != nil {
			t.Fatal(err)
		}
		wait()
		w.close(net.ErrClosed)
		if err := <-waiting; err != net.ErrClosed {
			t.Errorf("closed: got %v, want %v", err, net.ErrClosed)
		}
		close(s.closed)
		run.Wait()
	})
}

func TestWriterShrinksAfterABurst(t *testing.T) {
	s := newFakeStream()
	w := newWriter(s, 1<<20, new(counters))
	go func() {
		for range s.writes {
		}
	}()
	defer close(s.writes)
	flush := func(n int) {
		if err := send(t.Context(), w, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		<-w.wake
		for w.flush() {
		}
	}
	flush(writerKeep * 4)
	flush(writerKeep * 4)
	for range 3 * writerOversize {
		flush(10)
	}
	if cap(w.buf)+cap(w.spare) > 2*writerKeep {
		t.Errorf("after small writes the buffers hold %d and %d bytes, want at most %d each", cap(w.buf), cap(w.spare), writerKeep)
	}
}

// FuzzFrameReader holds the reader of frames against any bytes in any pieces.
func FuzzFrameReader(f *testing.F) {
	for _, frame := range sampleFrames() {
		f.Add(frame, byte(3))
	}
	f.Add(appendFrameHeader(nil, frameHeader{typ: frameReply, size: maxFrame + 1}), byte(255))
	f.Fuzz(func(t *testing.T, stream []byte, piece byte) {
		pieces := func() io.Reader { return &pieceReader{stream, int(piece)%64 + 1} }
		r := newFrameReader(pieces(), new(counters))
		whole := newFrameReader(bytes.NewReader(stream), new(counters))
		for {
			h, body, err := r.next()
			h2, body2, err2 := whole.next()
			if h != h2 || !bytes.Equal(body, body2) || err != err2 {
				t.Fatalf("in pieces: %v, %d bytes, %v; whole: %v, %d bytes, %v", h, len(body), err, h2, len(body2), err2)
			}
			if err != nil {
				break
			}
		}
		r = newFrameReader(pieces(), new(counters))
		for {
			h, err := r.header()
			if err != nil {
				break
			}
			if b, err := r.extend(nil, h.size); uint64(len(b)) > h.size || err == nil && uint64(len(b)) < h.size {
				t.Fatalf("got %d bytes of %d, %v", len(b), h.size, err)
			} else if err != nil {
				break
			}
		}
	})
}

// pieceReader returns n bytes at a time.
type pieceReader struct {
	b []byte
	n int
}

func (r *pieceReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[:min(r.n, len(r.b))])
	r.b = r.b[n:]
	return n, nil
}
