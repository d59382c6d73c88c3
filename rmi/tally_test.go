package rmi

import (
	"context"
	"errors"
	"net"
	"reflect"
	"testing"
)

func TestTallyKeepsWhatEndedConnsCounted(t *testing.T) {
	var tally Tally
	const calls = 3
	var last TallyStats
	for round := 1; round <= 2; round++ {
		a, b := connPair(t, nil, echo, ConnOptions{Tally: &tally}, ConnOptions{Tally: &tally})
		for range calls {
			if _, err := a.Handle(t.Context(), callOf("echo", []byte("hi"))); err != nil {
				t.Fatal(err)
			}
		}
		live := tally.Stats()
		if live.Open != 2 || live.Opened != uint64(2*round) {
			t.Errorf("round %d: got %d open of %d, want 2 of %d", round, live.Open, live.Opened, 2*round)
		}
		if got, want := live.Conn.CallsOut, uint64(calls*round); got != want || live.Conn.CallsIn != want {
			t.Errorf("round %d: got %d calls out and %d in, want %d of each", round, got, live.Conn.CallsIn, want)
		}
		a.Close()
		b.Close()
		last = tally.Stats()
		if last.Open != 0 || last.Session.StreamsOpen != 0 {
			t.Errorf("round %d, all closed: got %d open, %d streams; want none", round, last.Open, last.Session.StreamsOpen)
		}
		if last.Session.BytesSent < live.Session.BytesSent || last.Session.BytesReceived < live.Session.BytesReceived || last.Conn.CallsIn != live.Conn.CallsIn {
			t.Errorf("round %d: closing made sums smaller: %+v, before %+v", round, last, live)
		}
	}
}

func TestTallyCountsDials(t *testing.T) {
	var tally Tally
	dead := errors.New("nobody is there")
	dial := func(context.Context, string) (net.Conn, error) { return nil, dead }
	_, err := DialConn(t.Context(), "somewhere:1", DialOptions{Dial: dial, Conn: ConnOptions{Tally: &tally}})
	if !errors.Is(err, dead) {
		t.Fatalf("got %v, want %v", err, dead)
	}
	if got := tally.Stats(); got.Dials != 1 || got.DialFailures != 1 || got.Opened != 0 {
		t.Errorf("got %d dials, %d failures, %d opened; want 1, 1, 0", got.Dials, got.DialFailures, got.Opened)
	}
}

// TestTallyAddsEveryField fails when a counter is added to ConnStats and
// forgotten here.
func TestTallyAddsEveryField(t *testing.T) {
	a, _ := connPair(t, nil, echo, ConnOptions{}, ConnOptions{})
	for _, c := range []int{16, LargePayload + 1} {
		if _, err := a.Handle(t.Context(), callOf("echo", make([]byte, c))); err != nil {
			t.Fatal(err)
		}
	}
	var sum TallyStats
	sum.add(a)
	sum.add(a)
	got, one := reflect.ValueOf(sum.Conn), reflect.ValueOf(a.Stats())
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		switch f := got.Field(i); {
		case f.CanUint() && f.Uint() != 2*one.Field(i).Uint(), f.CanInt() && f.Int() != 2*one.Field(i).Int():
			t.Errorf("%s: got %v, want twice %v", name, f, one.Field(i))
		}
	}
}
