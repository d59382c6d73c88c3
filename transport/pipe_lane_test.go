package transport

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Everything a lane of a pipe waits for is seen by synctest, and what waits while
// nobody serves is not given.
func TestPipeLaneInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := keep(t)(Pipe(Options{}, Options{}))
		lane := laneOf(a)
		end := say(t, lane, make([]byte, 1000))
		if got := lane.Given(); end != 1000 || got != 0 {
			t.Errorf("before Serve: got end %d, given %d; want 1000, 0", end, got)
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errFull)
		defer cancel()
		if _, err := lane.Lock(ctx, 1000); !errors.Is(err, errFull) || time.Since(begin) != time.Hour {
			t.Errorf("lock: got %v after %v, want %v after an hour", err, time.Since(begin), errFull)
		}
		late, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errHasty)
		defer cancel()
		if err := lane.Bulk(late, 1, make([]byte, 1)); !errors.Is(err, errHasty) || time.Since(begin) != 2*time.Hour {
			t.Errorf("bulk: got %v after %v, want %v after two hours", err, time.Since(begin), errHasty)
		}
		done := make(chan error, 2)
		var order []uint64
		for tag := range uint64(2) {
			go func() { done <- lane.Bulk(soon(t), tag, make([]byte, 4*MaxPiece)) }()
			synctest.Wait()
		}
		r := newLaneLog(t)
		r.place = func(tag uint64, _ int) bool {
			order = append(order, tag)
			return true
		}
		laneOf(b).Serve(r)
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("bulk: %v", err)
			}
		}
		if want := []uint64{0, 1, 0, 1, 0, 1, 0, 1}; !slices.Equal(order, want) {
			t.Errorf("pieces came by tags %v, want %v", order, want)
		}
		if got := lane.Given(); got != 1000 || r.said() != 1000 {
			t.Errorf("after Serve: got given %d, received %d; want 1000", got, r.said())
		}
		const total = 1000 + 8*MaxPiece
		if got := a.Stats(); got.BytesSent != total || got.Writes != 9 {
			t.Errorf("stats: got %+v, want %d bytes sent in 9 writes", got, total)
		}
		if got := b.Stats(); got.BytesReceived != total || !got.LastReceived.Equal(time.Now()) {
			t.Errorf("peer's stats: got %+v, want %d bytes received, the last just now", got, total)
		}
	})
}

// What is unlocked after the end is dropped, whichever end closed.
func TestPipeLaneDropsWhatComesAfterTheEnd(t *testing.T) {
	for _, closer := range []string{"here", "there"} {
		t.Run(closer, func(t *testing.T) {
			a, b := keep(t)(Pipe(Options{}, Options{}))
			r := newLaneLog(t)
			laneOf(b).Serve(r)
			p, err := laneOf(a).Lock(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			map[string]Session{"here": a, "there": b}[closer].Close()
			laneOf(a).Unlock(append(p, "late"...), false)
			if got := r.said(); got != 0 {
				t.Errorf("got %d bytes after the end", got)
			}
			if got := laneOf(a).Given(); got != 0 {
				t.Errorf("given: got %d, want 0", got)
			}
		})
	}
}

// A turn that comes to a Bulk that is given up at that moment goes on to the next,
// and messages whose sender relies on it are delivered.
func TestPipeLaneTurnIsNotLost(t *testing.T) {
	a, b := keep(t)(Pipe(Options{}, Options{}))
	r := newLaneLog(t)
	r.place = func(uint64, int) bool { return true }
	laneOf(b).Serve(r)
	const rounds = 2000
	for range rounds {
		ctx, giveUp := context.WithCancel(t.Context())
		bulk := make(chan error)
		for tag := range uint64(2) {
			go func() { bulk <- laneOf(a).Bulk(ctx, tag, make([]byte, 2*MaxPiece)) }()
		}
		go giveUp()
		say(t, laneOf(a), []byte("x"))
		<-bulk
		<-bulk
	}
	if err := laneOf(a).Bulk(soon(t), 9, []byte("x")); err != nil {
		t.Errorf("bulk: %v", err)
	}
	eventually(t, "all messages came", func() bool { return r.said() == rounds })
}
