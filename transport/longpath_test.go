package transport

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

const (
	pathDelay = 25 * time.Millisecond // each way
	pathRate  = 125e6                 // bytes a second: 1 Gbit/s
)

// BenchmarkLongPath sends bulk over a path of 1 Gbit/s with a round trip of 50 ms,
// made in this process, and reports what part of it is filled. A stream moves one
// window per round trip, so that a single one fills such a path only with a
// StreamWindow of more than the 6.25 MB that are on their way at a time.
func BenchmarkLongPath(b *testing.B) {
	for _, window := range []int{minStreamWindow, 1 << 20, 8 << 20, maxStreamWindow} {
		for _, streams := range []int{1, 8} {
			b.Run(fmt.Sprintf("window=%dKiB/streams=%d", window>>10, streams), func(b *testing.B) {
				ca, cb := longPath(b)
				opts := Options{StreamWindow: window}
				x, y := join(b, ca, cb, opts, opts)
				const each = 16 << 20
				arrived := make(chan error, streams)
				go func() {
					for range streams {
						s, err := y.Accept(b.Context())
						if err != nil {
							arrived <- err
							return
						}
						go func() {
							for {
								if _, err := io.CopyN(io.Discard, s, each); err != nil {
									select {
									case arrived <- err:
									default: // nobody waits: it is over
									}
									return
								}
								arrived <- nil
							}
						}()
					}
				}()
				var open []Stream
				for range streams {
					s, err := x.Open(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					defer s.Close()
					open = append(open, s)
				}
				data := make([]byte, each)
				b.SetBytes(int64(streams * each))
				for b.Loop() {
					for _, s := range open {
						go s.Write(data)
					}
					for range open {
						if err := <-arrived; err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(100*float64(b.N*streams*each)/b.Elapsed().Seconds()/pathRate, "%filled")
			})
		}
	}
}

// BenchmarkLongPathLane is BenchmarkLongPath by the bulk data of a lane: one
// sender, which a stream's window would hold up, and eight.
func BenchmarkLongPathLane(b *testing.B) {
	for _, window := range []int{minStreamWindow, 8 << 20} {
		for _, senders := range []int{1, 8} {
			b.Run(fmt.Sprintf("window=%dKiB/senders=%d", window>>10, senders), func(b *testing.B) {
				ca, cb := longPath(b)
				opts := Options{StreamWindow: window}
				x, y := join(b, ca, cb, opts, opts)
				from, ok := x.(interface{ Lane() Lane })
				to, too := y.(interface{ Lane() Lane })
				if !ok || !too {
					b.Skipf("%T HAS NO LANE", x)
				}
				const each = 16 << 20
				all := int64(senders * each)
				sink := &laneSink{all: all, arrived: make(chan struct{}, 1)}
				to.Lane().Serve(sink)
				data, sent := make([]byte, each), make(chan error, senders)
				b.SetBytes(all)
				for b.Loop() {
					for tag := range senders {
						go func() { sent <- from.Lane().Bulk(b.Context(), uint64(tag), data) }()
					}
					for range senders {
						if err := <-sent; err != nil {
							b.Fatal(err)
						}
					}
					select {
					case <-sink.arrived:
					case <-y.Done():
						b.Fatal(y.Err())
					}
				}
				b.ReportMetric(100*float64(b.N)*float64(all)/b.Elapsed().Seconds()/pathRate, "%filled")
			})
		}
	}
}

// laneSink is a Receiver that drops bulk data and says so each time that as much
// as all has come.
type laneSink struct {
	all, got int64
	scratch  [MaxPiece]byte
	placed   int
	arrived  chan struct{}
}

func (s *laneSink) Receive([]byte) {}

func (s *laneSink) Place(_ uint64, n int) []byte {
	s.placed = min(n, len(s.scratch))
	return s.scratch[:s.placed]
}

func (s *laneSink) Placed(uint64) {
	if s.got += int64(s.placed); s.got == s.all {
		s.got = 0
		s.arrived <- struct{}{}
	}
}

// longPath returns the ends of a connection over a long path.
func longPath(t testing.TB) (a, b net.Conn) {
	a, near := tcpConn(t)
	far, b := tcpConn(t)
	go carry(far, near)
	go carry(near, far)
	return a, b
}

// carry passes on to dst what comes from src, no faster than pathRate and
// pathDelay later.
func carry(dst, src net.Conn) {
	type packet struct {
		data []byte
		due  time.Time
	}
	// As much as is on its way, and a queue of 2 MB.
	onTheWay := make(chan packet, 128)
	go func() {
		defer close(onTheWay)
		free := time.Now()
		for {
			data := make([]byte, 64<<10)
			n, err := src.Read(data)
			if err != nil {
				return
			}
			if now := time.Now(); free.Before(now) {
				free = now
			}
			free = free.Add(time.Duration(float64(n) / pathRate * float64(time.Second)))
			onTheWay <- packet{data[:n], free.Add(pathDelay)}
		}
	}()
	defer dst.Close()
	for p := range onTheWay {
		if wait := time.Until(p.due); wait > 0 {
			<-time.After(wait)
		}
		if _, err := dst.Write(p.data); err != nil {
			src.Close()
		}
	}
}
