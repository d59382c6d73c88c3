package xmlrpc

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"sync"
)

// maxPooled is the size up to which buffers are used again: one large document
// must not hold its memory for ever.
const maxPooled = 1 << 20

// errTooLarge is the error of a body beyond its limit.
var errTooLarge = errors.New("xmlrpc: body exceeds the limit")

// buffer is memory for a document.
type buffer struct{ b []byte }

// bufferPool keeps buffers that are not in use.
type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *buffer {
	if b, ok := p.pool.Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, 4<<10)}
}

// put takes back b, to which nothing may refer any more.
func (p *bufferPool) put(b *buffer) {
	if cap(b.b) > maxPooled {
		return
	}
	b.b = b.b[:0]
	p.pool.Put(b)
}

// appendAll appends what r has to dst, up to limit bytes. size is how many were
// announced, or -1.
func appendAll(dst []byte, r io.Reader, size int64, limit int) ([]byte, error) {
	base := len(dst)
	// Announcing costs a stranger nothing, so it does not get much for it.
	if size > 0 {
		dst = slices.Grow(dst, int(min(size, 64<<10)))
	}
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, 512)
		}
		room := min(cap(dst)-len(dst), base+limit+1-len(dst))
		n, err := r.Read(dst[len(dst) : len(dst)+room])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-base > limit:
			return dst, errTooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}

// cappedReader reads at most left bytes, and fails beyond.
type cappedReader struct {
	r    io.Reader
	left int
}

func (c *cappedReader) Read(p []byte) (int, error) {
	if len(p) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	if n > c.left {
		return 0, errTooLarge
	}
	c.left -= n
	return n, err
}

// gzipReaders keeps decompressors that are not in use.
type gzipReaders struct{ pool sync.Pool }

// inflate reads what src has compressed into into, up to limit bytes.
func (g *gzipReaders) inflate(into *buffer, src io.Reader, limit int) (err error) {
	zr, ok := g.pool.Get().(*gzip.Reader)
	if !ok {
		zr = new(gzip.Reader)
	}
	defer func() {
		zr.Reset(nothing{}) //nolint:errcheck // It lets go of src, and always fails.
		g.pool.Put(zr)
	}()
	if err := zr.Reset(src); err != nil {
		return err
	}
	into.b, err = appendAll(into.b[:0], zr, -1, limit)
	return err
}

// nothing is a reader without content.
type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, io.EOF }
func (nothing) ReadByte() (byte, error)  { return 0, io.EOF }

// gzipWriters keeps compressors that are not in use.
type gzipWriters struct{ pool sync.Pool }

// compress appends data to dst, compressed.
func (g *gzipWriters) compress(dst, data []byte) []byte {
	buf := bytes.NewBuffer(dst)
	zw, ok := g.pool.Get().(*gzip.Writer)
	if ok {
		zw.Reset(buf)
	} else {
		zw, _ = gzip.NewWriterLevel(buf, gzip.BestSpeed)
	}
	zw.Write(data) //nolint:errcheck // Nothing fails in memory.
	zw.Close()     //nolint:errcheck
	zw.Reset(io.Discard)
	g.pool.Put(zw)
	return buf.Bytes()
}
