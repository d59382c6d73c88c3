package rmi

import (
	"context"
	"net"
	"net/rpc"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farcall.dev/internal/barelane"
	"farcall.dev/transport"
)

// BenchmarkCall compares a call of 16 bytes, there and back, over loopback:
// net/rpc, a Conn on a real session, and a Conn on a bare TCP connection, which
// is the limit of what a Conn can do. Calls per second are the figure for 128
// callers, p50 that for one.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 128} {
		for _, way := range []struct {
			name string
			open func(testing.TB) func(context.Context, []byte) error
		}{
			{"net-rpc", openNetRPC},
			{"bare", func(t testing.TB) func(context.Context, []byte) error { return openConn(t, bareSessions) }},
			{"conn", func(t testing.TB) func(context.Context, []byte) error { return openConn(t, realSessions) }},
		} {
			b.Run(way.name+"/callers="+strconv.Itoa(callers), func(b *testing.B) {
				benchCalls(b, callers, way.open(b))
			})
		}
	}
}

// BenchmarkCallLarge echoes 1 MiB for four callers over a real session.
func BenchmarkCallLarge(b *testing.B) {
	call := openConn(b, realSessions)
	args := make([]byte, 1<<20)
	b.SetBytes(2 << 20)
	b.ReportAllocs()
	b.SetParallelism(2)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := call(b.Context(), args); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// benchCalls has callers share b.N calls.
func benchCalls(b *testing.B, callers int, call func(context.Context, []byte) error) {
	args := []byte("sixteen bytes ..")
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	times := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	if callers == 1 {
		for range b.N {
			start := time.Now()
			if err := call(ctx, args); err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(start))
		}
		b.StopTimer()
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2])/1e3, "p50-µs")
		return
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(ctx, args); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// openConn returns calls by a Conn over what sessions makes.
func openConn(t testing.TB, sessions func(testing.TB) (a, b transport.Session)) func(context.Context, []byte) error {
	sa, sb := sessions(t)
	client, server := NewConn(sa, nil, ConnOptions{}), NewConn(sb, echo, ConnOptions{})
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return func(ctx context.Context, args []byte) error {
		_, err := client.Handle(ctx, &Call{Object: "echo", Method: "echo", Args: Payload{Data: args}})
		return err
	}
}

// realSessions returns the ends of a session over loopback.
func realSessions(t testing.TB) (client, server transport.Session) {
	a, b := loopback(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var err error
		if server, err = transport.Server(t.Context(), b, transport.Options{}); err != nil {
			t.Error(err)
		}
	}()
	client, err := transport.Client(t.Context(), a, transport.Options{})
	<-done
	if err != nil || t.Failed() {
		t.Fatal(err)
	}
	return client, server
}

// bareSessions returns the ends of a session that is a connection and nothing more.
func bareSessions(t testing.TB) (client, server transport.Session) {
	a, b := loopback(t)
	return barelane.New(a.(*net.TCPConn)), barelane.New(b.(*net.TCPConn))
}

// loopback returns the ends of a TCP connection.
func loopback(t testing.TB) (a, b net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

// netRPCEcho is the service of net/rpc.
type netRPCEcho struct{}

// Echo returns its argument.
func (netRPCEcho) Echo(in []byte, out *[]byte) error {
	*out = in
	return nil
}

// openNetRPC returns calls by net/rpc.
func openNetRPC(t testing.TB) func(context.Context, []byte) error {
	server := rpc.NewServer()
	if err := server.RegisterName("echo", netRPCEcho{}); err != nil {
		t.Fatal(err)
	}
	a, b := loopback(t)
	var serving sync.WaitGroup
	serving.Go(func() { server.ServeConn(b) })
	client := rpc.NewClient(a)
	t.Cleanup(func() {
		client.Close()
		serving.Wait()
	})
	return func(_ context.Context, args []byte) error {
		var out []byte
		return client.Call("echo.Echo", args, &out)
	}
}
