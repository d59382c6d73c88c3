//go:build unix

package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/telemetry"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// BenchmarkAboveConn tells what the way of a call by name costs above the
// connection that it goes by. It takes turns, in one run, with the same typed call
// by an rmi.Conn alone, by a mesh, and by a mesh that counts its calls on both
// sides. It reports what each takes of the processors, both ends together, and how
// they compare: the medians of the rounds.
func BenchmarkAboveConn(b *testing.B) {
	const perRound = 8192
	for _, callers := range []int{1, 128} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			conn, plain, metered := openBareConn(b), openMesh(b, false), openMesh(b, true)
			var overConn, overPlain, forConn, forPlain, forMetered []float64
			for b.Loop() {
				c, p := callsOf(b, callers, perRound, conn), callsOf(b, callers, perRound, plain)
				m := callsOf(b, callers, perRound, metered)
				forConn, forPlain, forMetered = append(forConn, c), append(forPlain, p), append(forMetered, m)
				overConn, overPlain = append(overConn, p/c), append(overPlain, m/p)
			}
			b.ReportMetric(median(forConn), "conn-ns/call")
			b.ReportMetric(median(forPlain), "mesh-ns/call")
			b.ReportMetric(median(forMetered), "metered-ns/call")
			b.ReportMetric(median(overConn), "mesh/conn")
			b.ReportMetric(median(overPlain), "metered/mesh")
		})
	}
}

// BenchmarkWays has the same three ways one by one, for profiles and allocations.
func BenchmarkWays(b *testing.B) {
	for _, callers := range []int{1, 128} {
		for _, way := range []struct {
			name string
			open func(testing.TB) func() error
		}{
			{"conn", openBareConn},
			{"mesh", func(tb testing.TB) func() error { return openMesh(tb, false) }},
			{"metered", func(tb testing.TB) func() error { return openMesh(tb, true) }},
		} {
			b.Run(fmt.Sprintf("%s/callers=%d", way.name, callers), func(b *testing.B) {
				call := way.open(b)
				b.ReportAllocs()
				b.ResetTimer()
				b.ReportMetric(callsOf(b, callers, b.N, call), "cpu-ns/call")
			})
		}
	}
}

// median returns the middle of what it sorts.
func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// callsOf returns the nanoseconds of the processors that one of n calls takes which
// callers share.
func callsOf(tb testing.TB, callers, n int, call func() error) float64 {
	start := processorTime(tb)
	var left atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return float64(processorTime(tb)-start) / float64(n)
}

// processorTime returns what this process has used of the processors, in the kernel
// too. Unlike the time of day it is not that of other processes.
func processorTime(tb testing.TB) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// byteEcho is the object that the ways call.
type byteEcho struct{}

// Echo returns p.
func (byteEcho) Echo(_ context.Context, p []byte) ([]byte, error) { return p, nil }

// sixteen are the bytes that go there and back.
func sixteen() []byte { return []byte("sixteen bytes ok") }

// openBareConn returns typed calls by a connection of their own to a server of
// objects.
func openBareConn(tb testing.TB) func() error {
	objects := rmi.NewObjects(rmi.ObjectsOptions{})
	if err := objects.Export("echo", byteEcho{}, rmi.ExportOptions{}); err != nil {
		tb.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := rmi.NewServer(objects, rmi.ServerOptions{})
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(ln) })
	conn, err := rmi.DialConn(tb.Context(), ln.Addr().String(), rmi.DialOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		conn.Close()
		server.Close()
		serving.Wait()
	})
	ctx, want := context.Background(), sixteen()
	return func() error {
		got, err := rmi.InvokeAs[[]byte](ctx, conn, "echo", "echo", want)
		return compare(got, want, err)
	}
}

// compare returns err, or that got is not want.
func compare(got, want []byte, err error) error {
	if err == nil && !bytes.Equal(got, want) {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return err
}

// openMesh returns typed calls by name from one process of a mesh to another, with
// the metrics of both sides or without.
func openMesh(tb testing.TB, metered bool) func() error {
	store := naming.NewMemory()
	join := func(listen string) *farcall.Mesh {
		opts := farcall.Options{Registry: store.Registry(), Listen: listen}
		if metered {
			metrics := telemetry.New(telemetry.Options{})
			opts.ServeWith = []rmi.Middleware{metrics.Server(nil)}
			opts.CallWith = []rmi.Middleware{metrics.Client(nil)}
		}
		mesh, err := farcall.Join(tb.Context(), opts)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { mesh.Close() })
		return mesh
	}
	if err := join("127.0.0.1:0").Register(tb.Context(), "echo", byteEcho{}, farcall.RegisterOptions{}); err != nil {
		tb.Fatal(err)
	}
	client, ctx, want := join(""), context.Background(), sixteen()
	call := func() error {
		got, err := farcall.Call[[]byte](ctx, client, "echo", "echo", want)
		return compare(got, want, err)
	}
	if err := call(); err != nil {
		tb.Fatal(errors.Join(err, errors.New("the first call")))
	}
	return call
}
