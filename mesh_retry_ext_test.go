package farcall_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// tally counts its calls by an id.
type tally struct {
	mu    sync.Mutex
	calls map[int]int
}

// Add counts a call of id and returns how often there was one.
func (c *tally) Add(id int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[id]++
	return c.calls[id]
}

// brittle is a connection that breaks after some bytes in one direction.
type brittle struct {
	net.Conn
	reads bool
	left  atomic.Int64
}

func (c *brittle) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.reads {
		n, err = c.spend(n, err)
	}
	return n, err
}

func (c *brittle) Write(p []byte) (int, error) {
	if c.reads {
		return c.Conn.Write(p)
	}
	left, _ := c.spend(len(p), nil)
	n, err := c.Conn.Write(p[:left])
	if err == nil && n < len(p) {
		c.Conn.Close()
		err = net.ErrClosed
	}
	return n, err
}

// spend returns how many of n bytes may still go, and breaks the connection when
// those are not all.
func (c *brittle) spend(n int, err error) (int, error) {
	left := c.left.Add(-int64(n)) + int64(n)
	if left >= int64(n) {
		return n, err
	}
	if c.reads {
		c.Conn.Close()
	}
	return int(max(left, 0)), net.ErrClosed
}

// A call by name is carried out once, whichever byte of its connection is the
// last one, from the first of the handshake on, in either direction.
func TestCallsRunOnceWhereverTheConnectionBreaks(t *testing.T) {
	const bytes, step = 700, 23
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	offset := int(seed % step)
	tm := meshtest.New(t)
	counts := &tally{calls: map[int]int{}}
	node := tm.Node("server", nil)
	if err := node.Register(t.Context(), "tally", counts, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	var breaks atomic.Int64
	run := func(k int, reads bool) {
		id := 2 * k
		if reads {
			id++
		}
		name := naming.NodeID(fmt.Sprintf("client-%d", id))
		dial := tm.Net.Dialer(string(name))
		first := true
		client, err := farcall.Join(t.Context(), farcall.Options{
			Node: name, Registry: tm.Store.Registry(),
			Dial: func(ctx context.Context, address string) (net.Conn, error) {
				conn, err := dial(ctx, address)
				if err != nil || !first {
					return conn, err
				}
				first = false
				b := &brittle{Conn: conn, reads: reads}
				b.left.Store(int64(k))
				breaks.Add(1)
				return b, nil
			},
		})
		if err != nil {
			t.Error(err)
			return
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for {
			got, err := farcall.Call[int](ctx, client, "tally", "add", id)
			if e, ok := errors.AsType[*rmi.Error](err); ok && e.Execution == rmi.NotExecuted && ctx.Err() == nil {
				<-time.After(10 * time.Millisecond)
				continue // the handshake broke: the caller may call again
			}
			if err != nil || got != 1 {
				t.Errorf("broken after %d bytes (read: %v): got %d, %v, want 1", k, reads, got, err)
			}
			return
		}
	}
	slots := make(chan struct{}, 16)
	var all sync.WaitGroup
	for k := offset; k < bytes; k += step {
		for _, reads := range []bool{false, true} {
			slots <- struct{}{}
			all.Go(func() {
				defer func() { <-slots }()
				run(k, reads)
			})
		}
	}
	all.Wait()
	counts.mu.Lock()
	defer counts.mu.Unlock()
	for id, n := range counts.calls {
		if n != 1 {
			t.Errorf("call %d was carried out %d times, want once", id, n)
		}
	}
	if len(counts.calls) != int(breaks.Load()) {
		t.Errorf("%d calls were carried out, want %d", len(counts.calls), breaks.Load())
	}
}
