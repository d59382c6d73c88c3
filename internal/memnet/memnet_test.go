package memnet

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect returns a connection from host a to host b, both ends.
func connect(t *testing.T, n *Network) (near, far net.Conn) {
	t.Helper()
	l, err := n.Listen("b:0")
	if err != nil {
		t.Fatal(err)
	}
	near, err = n.Dial(t.Context(), "a", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return near, far
}

func TestConnCarriesBothWaysAndHalfCloses(t *testing.T) {
	near, far := connect(t, New(Options{}))
	if _, err := near.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	near.(*conn).CloseWrite()
	got, err := io.ReadAll(far)
	if string(got) != "ping" || err != nil {
		t.Errorf("got %q, %v; want \"ping\", nil", got, err)
	}
	far.Write([]byte("pong"))
	far.Close()
	got, err = io.ReadAll(near)
	if string(got) != "pong" || err != nil {
		t.Errorf("got %q, %v; want \"pong\", nil", got, err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after half close: got %v, want %v", err, net.ErrClosed)
	}
}

func TestWriteBlocksWhenTheBufferIsFullUntilDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connect(t, New(Options{Buffer: 10}))
		near.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := near.Write(make([]byte, 11))
		if n != 10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %d, %v; want 10, %v", n, err, os.ErrDeadlineExceeded)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is not a timeout", err)
		}
		far.SetReadDeadline(time.Now().Add(time.Second))
		io.ReadFull(far, make([]byte, 10))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want %v", err, os.ErrDeadlineExceeded)
		}
	})
}

func TestLatencyDelaysDataAndTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := connect(t, New(Options{Latency: time.Second}))
		start := time.Now()
		near.Write([]byte("x"))
		near.Close()
		if _, err := io.ReadAll(far); err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("arrived after %v, want 1s", got)
		}
	})
}

func TestCutResetsAndRefusesUntilHealed(t *testing.T) {
	n := New(Options{})
	near, far := connect(t, n)
	addr := far.LocalAddr().String()
	n.Cut("a", "b")
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: got %v, want %v", err, syscall.ECONNRESET)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("write: got %v, want %v", err, syscall.ECONNRESET)
	}
	if _, err := n.Dial(t.Context(), "a", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: got %v, want %v", err, syscall.ECONNREFUSED)
	}
	if _, err := n.Dial(t.Context(), "c", addr); err != nil {
		t.Errorf("dial from another host: %v", err)
	}
	n.Heal("a", "b")
	again, err := n.Dial(t.Context(), "a", addr)
	if err != nil {
		t.Fatalf("dial after heal: %v", err)
	}
	again.Close()
	again.Close()
}

func TestPartitionHoldsDataAndDialsUntilHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		near, far := connect(t, n)
		n.Partition("b", "a")
		near.Write([]byte("late"))
		far.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := far.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read in a partition: got %v, want %v", err, os.ErrDeadlineExceeded)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, "a", far.LocalAddr().String()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial in a partition: got %v, want %v", err, context.DeadlineExceeded)
		}
		n.Heal("a", "b")
		far.SetReadDeadline(time.Time{})
		buf := make([]byte, 8)
		if k, err := far.Read(buf); string(buf[:k]) != "late" || err != nil {
			t.Errorf("got %q, %v; want \"late\", nil", buf[:k], err)
		}
	})
}

func TestStallHoldsOneDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Buffer: 4})
		near, far := connect(t, n)
		n.Stall("a", "b")
		near.SetWriteDeadline(time.Now().Add(time.Minute))
		if k, err := near.Write([]byte("12345")); k != 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("stalled write: got %d, %v; want 4, %v", k, err, os.ErrDeadlineExceeded)
		}
		far.Write([]byte("ok"))
		buf := make([]byte, 4)
		if k, err := near.Read(buf); string(buf[:k]) != "ok" || err != nil {
			t.Errorf("other direction: got %q, %v; want \"ok\", nil", buf[:k], err)
		}
	})
}

func TestListenAndDialErrors(t *testing.T) {
	n := New(Options{})
	l, err := n.Listen("b:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("b:1"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: got %v, want %v", err, syscall.EADDRINUSE)
	}
	pending, err := n.Dial(t.Context(), "a", "b:1")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	l.Close()
	if _, err := pending.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connection nobody accepted: got %v, want %v", err, syscall.ECONNRESET)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: got %v, want %v", err, net.ErrClosed)
	}
	if _, err := n.Dial(t.Context(), "a", "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: got %v, want %v", err, syscall.ECONNREFUSED)
	}
}
