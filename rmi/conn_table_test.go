package rmi

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTableGivesEachCallToOneTaker(t *testing.T) {
	var tab table[int]
	for id := range uint64(100) {
		if !tab.put(id, int(id)) {
			t.Fatalf("%d was not taken in", id)
		}
	}
	if tab.put(7, 1) {
		t.Error("an id that is in use was taken in")
	}
	if v, ok := tab.get(7); !ok || v != 7 {
		t.Errorf("get: %d, %v, want 7", v, ok)
	}
	if v, ok := tab.take(7); !ok || v != 7 {
		t.Errorf("take: %d, %v, want 7", v, ok)
	}
	if _, ok := tab.take(7); ok {
		t.Error("the same call was taken twice")
	}
	if got := len(tab.close()); got != 99 {
		t.Errorf("close returned %d calls, want 99", got)
	}
	if tab.put(200, 1) || len(tab.close()) != 0 {
		t.Error("a closed table is not empty for good")
	}
}

func TestBudgetIsFairAndGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget{free: 100}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.acquire(ctx, 60); err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 3)
		try := func(name string, ctx context.Context, n int64) {
			go func() {
				if err := b.acquire(ctx, n); err != nil {
					name += " gave up"
				}
				order <- name
			}()
			synctest.Wait()
		}
		try("first", ctx, 90)
		try("second", t.Context(), 30) // would fit, but came later
		try("third", t.Context(), 20)
		if len(order) != 0 {
			t.Errorf("%s did not wait", <-order)
		}
		got := []string{<-order, <-order}
		slices.Sort(got)
		if want := []string{"first gave up", "second"}; !slices.Equal(got, want) {
			t.Errorf("when the first gave up: got %q, want %q", got, want)
		}
		b.release(60)
		if got := <-order; got != "third" || b.free != 50 {
			t.Errorf("got %q with %d left, want third and 50", got, b.free)
		}
		if err := b.acquire(ctx, 51); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}

func TestBuffersComeInClasses(t *testing.T) {
	p := buffers{poison: true}
	for _, n := range []int{0, 1, 256, 257, 1024, LargePayload, LargePayload + 1} {
		data := bytes.Repeat([]byte{7}, n)
		buf := p.copyOf(data)
		if n == 0 {
			if buf != nil {
				t.Error("nothing takes a buffer")
			}
			continue
		}
		held := *buf
		if !bytes.Equal(held, data) || cap(held) < n || n <= LargePayload && cap(held) > max(bufferMin, 2*n) {
			t.Errorf("%d bytes: got %d with room for %d", n, len(held), cap(held))
		}
		p.release(buf)
		if held[0] != 0xdb {
			t.Errorf("%d bytes: what was given back is still readable", n)
		}
	}
	p.release(nil)
}

// The arguments must stay as they are until the reply is on its way, also when
// the reply is made of them, and must not be read later.
func TestBuffersLiveAsLongAsTheCall(t *testing.T) {
	var kept []byte
	h := HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
		if call.Method == "keep" {
			kept = call.Args.Data
		}
		return Reply{Result: call.Args}, nil
	})
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
	want := bytes.Repeat([]byte("arguments "), 50)
	reply, err := a.Handle(t.Context(), callOf("keep", want))
	if err != nil || !bytes.Equal(reply.Result.Data, want) {
		t.Fatalf("got %q, %v, want the arguments", reply.Result.Data, err)
	}
	waitUntil(t, "the end of the call", func() bool { return !b.Busy() })
	if bytes.Equal(kept, want) {
		t.Error("the handler that kept its arguments was not found out")
	}
}
