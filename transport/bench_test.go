package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/yamux"
)

// countingConn counts writes to a bare connection, as wire does.
type countingConn struct {
	net.Conn
	writes atomic.Uint64
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// BenchmarkWire compares yamux on the bare connection with yamux on a wire, for
// echoes of 64 bytes and for 64-byte messages one way.
func BenchmarkWire(b *testing.B) {
	for _, streams := range []int{1, 8, 128} {
		for _, kind := range []string{"bare", "wire"} {
			b.Run(fmt.Sprintf("echo/%s/%d", kind, streams), func(b *testing.B) {
				client, server, writes := yamuxPair(b, kind == "wire")
				go acceptEach(server.accept, echo)
				spread(b, streams, client.open, ask)
				b.ReportMetric(float64(writes())/float64(b.N), "writes/op")
			})
		}
	}
	for _, streams := range []int{1, 128} {
		for _, kind := range []string{"bare", "wire"} {
			b.Run(fmt.Sprintf("oneway/%s/%d", kind, streams), func(b *testing.B) {
				client, server, writes := yamuxPair(b, kind == "wire")
				go acceptEach(server.accept, discard)
				spread(b, streams, client.open, tell)
				b.ReportMetric(float64(writes())/float64(b.N), "writes/op")
			})
		}
	}
}

// BenchmarkStream measures whole sessions: echoes, messages one way, bulk, and
// a stream per echo.
func BenchmarkStream(b *testing.B) {
	kinds := map[string]maker{}
	for _, m := range makers {
		kinds[m.name] = m.make
	}
	for _, kind := range []string{"pipe", "tcp"} {
		session := func(b *testing.B) (near, far func() (io.ReadWriteCloser, error), x Session) {
			x, y := kinds[kind](b, Options{}, Options{})
			return func() (io.ReadWriteCloser, error) { return x.Open(context.Background()) },
				func() (io.ReadWriteCloser, error) { return y.Accept(context.Background()) }, x
		}
		for _, streams := range []int{1, 128} {
			b.Run(fmt.Sprintf("echo/%s/%d", kind, streams), func(b *testing.B) {
				open, accept, _ := session(b)
				go acceptEach(accept, echo)
				spread(b, streams, open, ask)
			})
			b.Run(fmt.Sprintf("oneway/%s/%d", kind, streams), func(b *testing.B) {
				open, accept, _ := session(b)
				go acceptEach(accept, discard)
				spread(b, streams, open, tell)
			})
		}
		b.Run("bulk/"+kind, func(b *testing.B) {
			open, accept, _ := session(b)
			go acceptEach(accept, discard)
			b.SetBytes(1 << 20)
			piece := make([]byte, 1<<20)
			spread(b, 1, open, func(s io.ReadWriteCloser) error {
				_, err := s.Write(piece)
				return err
			})
		})
		b.Run("open/"+kind, func(b *testing.B) {
			open, accept, _ := session(b)
			go acceptEach(accept, echo)
			b.ReportAllocs()
			for b.Loop() {
				s, err := open()
				for errors.Is(err, ErrTooManyStreams) { // the other end closes its streams later
					runtime.Gosched()
					s, err = open()
				}
				if err != nil {
					b.Fatal(err)
				}
				if err := ask(s); err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		})
	}
}

// bareSession is a session of yamux, on a wire or on the bare connection.
type bareSession struct {
	*yamux.Session
	wire *wire // nil: bare
}

// bareStream asks the wire before it writes, as streams of this package do.
type bareStream struct {
	*yamux.Stream
	wire *wire
}

func (s bareSession) open() (io.ReadWriteCloser, error) {
	y, err := s.OpenStream()
	return bareStream{y, s.wire}, err
}

func (s bareSession) accept() (io.ReadWriteCloser, error) {
	y, err := s.AcceptStream()
	return bareStream{y, s.wire}, err
}

func (s bareStream) Write(p []byte) (int, error) {
	if s.wire != nil {
		if t := s.wire.reserve(len(p)); t != nil {
			<-t.granted
		}
		defer s.wire.release(len(p))
	}
	return s.Stream.Write(p)
}

// yamuxPair returns the two ends of a session of yamux over loopback TCP, and
// what counts the writes of both.
func yamuxPair(b *testing.B, wired bool) (client, server bareSession, writes func() uint64) {
	near, far := tcpConn(b)
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.LogOutput = io.Discard
	wrap := func(conn net.Conn, start func(io.ReadWriteCloser, *yamux.Config) (*yamux.Session, error)) (bareSession, *atomic.Uint64) {
		counted := &countingConn{Conn: conn}
		s := bareSession{}
		conn, writes := net.Conn(counted), &counted.writes
		if wired {
			s.wire = newWire(counted.Conn)
			conn, writes = s.wire, &s.wire.writes
		}
		var err error
		if s.Session, err = start(conn, config); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		return s, writes
	}
	client, nearWrites := wrap(near, yamux.Client)
	server, farWrites := wrap(far, yamux.Server)
	return client, server, func() uint64 { return nearWrites.Load() + farWrites.Load() }
}

// acceptEach runs serve for each stream until accept fails.
func acceptEach(accept func() (io.ReadWriteCloser, error), serve func(io.ReadWriteCloser)) {
	for {
		s, err := accept()
		if err != nil {
			return
		}
		go serve(s)
	}
}

// spread runs op b.N times over so many streams at once.
func spread(b *testing.B, streams int, open func() (io.ReadWriteCloser, error), op func(io.ReadWriteCloser) error) {
	b.Helper()
	opened := make([]io.ReadWriteCloser, streams)
	for i := range opened {
		var err error
		if opened[i], err = open(); err != nil {
			b.Fatal(err)
		}
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var tasks sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for _, s := range opened {
		tasks.Go(func() {
			for left.Add(-1) >= 0 {
				if err := op(s); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	tasks.Wait()
	b.StopTimer()
	for _, s := range opened {
		s.Close()
	}
}

var message = make([]byte, 64)

func ask(s io.ReadWriteCloser) error {
	if _, err := s.Write(message); err != nil {
		return err
	}
	var answer [64]byte
	_, err := io.ReadFull(s, answer[:])
	return err
}

func tell(s io.ReadWriteCloser) error {
	_, err := s.Write(message)
	return err
}

func echo(s io.ReadWriteCloser) {
	defer s.Close()
	buf := make([]byte, 4096)
	for {
		n, err := s.Read(buf)
		if err != nil {
			return
		}
		if _, err := s.Write(buf[:n]); err != nil {
			return
		}
	}
}

func discard(s io.ReadWriteCloser) {
	defer s.Close()
	io.Copy(io.Discard, s)
}
