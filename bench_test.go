package farcall_test

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/naming"
)

// BenchmarkByName compares a typed call by name, by all of the way a program's
// call takes (resolve, balance, pool, session, lane, dispatch), with net/rpc, on
// one connection over loopback, caller and server in this process. It reports
// calls per second for 128 callers and the median latency for one. Repeat it
// with
//
//	go test -run '^$' -bench ByName -count 5 .
func BenchmarkByName(b *testing.B) {
	for _, callers := range []int{1, 128} {
		for _, way := range []struct {
			name string
			open func(*testing.B) func() error
		}{{"netrpc", openNetRPC}, {"farcall", openFarcall}} {
			b.Run(fmt.Sprintf("%s/callers=%d", way.name, callers), func(b *testing.B) {
				benchmarkCalls(b, callers, way.open(b))
			})
		}
	}
}

// benchmarkCalls has callers share b.N calls.
func benchmarkCalls(b *testing.B, callers int, call func() error) {
	if err := call(); err != nil { // connected, and every table has its entry
		b.Fatal(err)
	}
	times := make([]time.Duration, 0, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	if callers == 1 {
		for range b.N {
			start := time.Now()
			if err := call(); err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(start))
		}
		b.StopTimer()
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1e3, "p50-µs")
		return
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
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

// fortune is the text of 16 bytes that goes there and back.
const fortune = "sixteen bytes ok"

// Echo returns what it is given.
type Echo struct{}

// Say returns text.
func (Echo) Say(text string) string { return text }

// openFarcall returns calls by name to a node of its own.
func openFarcall(b *testing.B) func() error {
	store := naming.NewMemory()
	join := func(listen string) *farcall.Mesh {
		mesh, err := farcall.Join(b.Context(), farcall.Options{Registry: store.Registry(), Listen: listen})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { mesh.Close() })
		return mesh
	}
	if err := join("127.0.0.1:0").Register(b.Context(), "echo", Echo{}, farcall.RegisterOptions{}); err != nil {
		b.Fatal(err)
	}
	client, ctx := join(""), context.WithoutCancel(b.Context())
	return func() error {
		got, err := farcall.Call[string](ctx, client, "echo", "say", fortune)
		if err == nil && got != fortune {
			err = fmt.Errorf("got %q", got)
		}
		return err
	}
}

// NetEcho is Echo in the form that net/rpc wants.
type NetEcho struct{}

// Say puts text in reply.
func (NetEcho) Say(text string, reply *string) error {
	*reply = text
	return nil
}

// openNetRPC returns calls to a net/rpc server of its own.
func openNetRPC(b *testing.B) func() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	server := rpc.NewServer()
	if err := server.RegisterName("echo", NetEcho{}); err != nil {
		b.Fatal(err)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // the benchmark has ended
			}
			go server.ServeConn(conn)
		}
	}()
	client, err := rpc.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	return func() error {
		var got string
		err := client.Call("echo.Say", fortune, &got)
		if err == nil && got != fortune {
			err = fmt.Errorf("got %q", got)
		}
		return err
	}
}
