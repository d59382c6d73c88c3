package rmi

import (
	"io"
)

// frameReader cuts what a stream brings into frames. One goroutine uses it.
type frameReader struct {
	r     io.Reader
	stats *counters
	// buf[start:end] has been read from r and not yet been returned.
	buf        []byte
	start, end int
	// oversize counts reads in a row that used little of a large buffer.
	oversize int
}

const (
	// readerStart is a reader's first buffer, so small because many a session is
	// idle; readerKeep the largest that is kept whatever is read; readerMax the
	// largest there is: it holds any frame but a large item.
	readerStart = 512
	readerKeep  = 4 << 10
	readerMax   = maxFrame + maxFrameHeader
	// readerOversize is how many small reads in a row make the buffer small
	// again.
	readerOversize = 64
	// payloadStep is the memory that is set aside for a large payload before
	// any of it has arrived, and payloadGrowth how many times what has arrived
	// there may be after that.
	payloadStep   = 2 << 20
	payloadGrowth = 32
)

// newFrameReader returns a reader of frames from r.
func newFrameReader(r io.Reader, stats *counters) *frameReader {
	return &frameReader{r: r, stats: stats}
}

// kind reads the byte that begins a stream.
func (r *frameReader) kind() (streamKind, error) {
	if err := r.fill(); err != nil {
		return 0, err
	}
	r.start++
	return streamKind(r.buf[r.start-1]), nil
}

// next returns the next frame, whose body is no longer than on the lane. The body is
// the reader's and stays as it is until the next call. The error is io.EOF between
// frames, io.ErrUnexpectedEOF inside one.
func (r *frameReader) next() (frameHeader, []byte, error) {
	h, err := r.header()
	if err != nil {
		return h, nil, err
	}
	if h.size > maxFrame {
		return h, nil, errFrameTooBig
	}
	body, err := r.take(int(h.size))
	return h, body, err
}

// number reads a number that stands before the first frame of a stream.
func (r *frameReader) number() (uint64, error) {
	for {
		x, n := uvarint(r.buf[r.start:r.end])
		if n > 0 {
			r.start += n
			return x, nil
		}
		if n < 0 {
			return 0, errBadVarint
		}
		if err := r.fill(); err != nil {
			return 0, unexpected(err)
		}
	}
}

// extend reads on into out, memory of its own, until it has n bytes. It grows as they
// arrive, so that a peer has to send what it makes us set aside. After an error what
// it returns can be extended further.
func (r *frameReader) extend(out []byte, n uint64) ([]byte, error) {
	if out == nil {
		out = make([]byte, 0, min(n, payloadStep))
	}
	for uint64(len(out)) < n {
		if len(out) == cap(out) {
			out = appendBytes(make([]byte, 0, min(n, payloadGrowth*uint64(cap(out)))), out)
		}
		free := out[len(out):min(uint64(cap(out)), n)]
		k := copy(free, r.buf[r.start:r.end])
		r.start += k
		if k == 0 {
			var err error
			if k, err = r.r.Read(free); k == 0 && err != nil {
				return out, unexpected(err)
			}
		}
		out = out[:len(out)+k]
	}
	return out, nil
}

// header reads the next frame's header.
func (r *frameReader) header() (frameHeader, error) {
	for {
		h, n, err := parseFrameHeader(r.buf[r.start:r.end])
		if err != nil {
			return h, err
		}
		if n > 0 {
			r.start += n
			r.stats.framesReceived.Add(1)
			return h, nil
		}
		empty := r.start == r.end
		if err := r.fill(); err != nil {
			if !empty {
				err = unexpected(err)
			}
			return h, err
		}
	}
}

// take returns the next n bytes, at most readerMax.
func (r *frameReader) take(n int) ([]byte, error) {
	if r.start+n > len(r.buf) {
		r.grow(n)
	}
	for r.end-r.start < n {
		if err := r.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
	r.start += n
	return r.buf[r.start-n : r.start : r.start], nil
}

// fill reads once more from the stream, behind what is there. It may move what
// is there.
func (r *frameReader) fill() error {
	switch {
	case r.start == r.end:
		r.start, r.end = 0, 0
		r.shrink()
		if r.buf == nil {
			r.buf = make([]byte, readerStart)
		}
	case r.end == len(r.buf):
		r.grow(r.end - r.start + 1)
	}
	n, err := r.r.Read(r.buf[r.end:])
	r.end += n
	if n > len(r.buf)/4 {
		r.oversize = 0
	}
	if n > 0 {
		if r.end == len(r.buf) && len(r.buf) < readerMax {
			r.grow(min(2*len(r.buf), readerMax))
		}
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// grow makes room for n bytes from start on.
func (r *frameReader) grow(n int) {
	buf := r.buf
	if n > len(buf) {
		size := max(len(buf), readerStart)
		for size < n {
			size *= 2
		}
		buf = make([]byte, min(size, readerMax))
	}
	r.end = copy(buf, r.buf[r.start:r.end])
	r.start = 0
	r.buf = buf
}

// shrink counts how often little of a large buffer was used, and gives it up in
// the end. The buffer must be empty.
func (r *frameReader) shrink() {
	if len(r.buf) <= readerKeep {
		return
	}
	if r.oversize++; r.oversize > readerOversize {
		r.oversize = 0
		r.buf = nil
	}
}

// unexpected turns io.EOF into io.ErrUnexpectedEOF.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
