package transport

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"farcall.dev/internal/memnet"
)

// A session that has had no stream does without yamux, and does all else.
func TestSessionWithoutStreamsHasNoYamux(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	a, b := join(t, near, far, Options{}, Options{})
	got := newLaneLog(t)
	b.Lane().Serve(got)
	say(t, a.Lane(), []byte("hello"))
	eventually(t, "the message arrived", func() bool { return got.said() == 5 })
	if err := b.Shutdown(soon(t)); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	wait(t, "the peer's end", a.Done())
	if err := a.Err(); !errors.Is(err, ErrPeerClosed) {
		t.Errorf("got cause %v, want %v", err, ErrPeerClosed)
	}
	for name, s := range map[string]Session{"a": a, "b": b} {
		if s.(*yamuxSession).mux.Load() != nil {
			t.Errorf("%s has a yamux", name)
		}
	}
}

// The first stream may be opened while nothing comes from the peer, and then yamux
// and the session each get what is theirs of what comes, together or in pieces.
func TestFirstStreamWhileNothingComes(t *testing.T) {
	data := append([]byte{0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2}, "hi"...) // accepts stream 2
	run := bytes.Join([][]byte{controlRecord(framePong, 1), data, data, controlRecord(frameGoAway)}, nil)
	for _, size := range []int{1, 7, len(run)} {
		n := memnet.New(memnet.Options{})
		s, p := raw(t, n, lasting)
		m, err := s.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m.Write([]byte("question"))
		if _, err := io.ReadFull(p, make([]byte, 2*yamuxHeader+8)); err != nil {
			t.Fatalf("the opening and the question did not arrive: %v", err)
		}
		for rest := run; len(rest) > 0; {
			k := min(size, len(rest))
			p.Write(rest[:k])
			rest = rest[k:]
		}
		answer := make([]byte, 4)
		if _, err := io.ReadFull(m, answer); string(answer) != "hihi" || err != nil {
			t.Errorf("in cuts of %d: got %q, %v; want \"hihi\", nil", size, answer, err)
		}
		wait(t, "the GoAway", s.PeerGoingAway())
		s.Close()
		n.Close()
	}
}

// A session can end while its first reader waits, with and without a yamux that
// waits for it, and leaves nothing behind.
func TestSessionEndsWhileNothingComes(t *testing.T) {
	for name, open := range map[string]bool{"no stream": false, "a stream": true} {
		for ender, end := range map[string]func(s Session, p rawPeer){
			"close": func(s Session, p rawPeer) { s.Close() },
			"death": func(s Session, p rawPeer) { p.Close() },
		} {
			t.Run(name+", "+ender, func(t *testing.T) {
				n := memnet.New(memnet.Options{})
				defer n.Close()
				s, p := raw(t, n, lasting)
				read := make(chan error, 1)
				if open {
					m, err := s.Open(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					go func() {
						_, err := m.Read(make([]byte, 1))
						read <- err
					}()
				}
				end(s, p)
				wait(t, "the end", s.Done())
				if open {
					if err := <-read; !errors.Is(err, s.Err()) {
						t.Errorf("read: got %v, want the cause, %v", err, s.Err())
					}
				}
				s.Close()
				if _, err := s.Open(t.Context()); !errors.Is(err, s.Err()) {
					t.Errorf("open: got %v, want the cause, %v", err, s.Err())
				}
			})
		}
	}
}

// Both sides open their first streams at the same moment, while control frames and
// messages pass, and one of them leaves.
func TestFirstStreamsAtOnce(t *testing.T) {
	for range 100 {
		near, far := memConn(t, memnet.New(memnet.Options{}))
		a, b := join(t, near, far, Options{}, Options{})
		var tasks sync.WaitGroup
		for _, ends := range [][2]Session{{a, b}, {b, a}} {
			got := newLaneLog(t)
			ends[1].Lane().Serve(got)
			tasks.Go(func() {
				say(t, ends[0].Lane(), []byte("hello"))
				ends[0].(*yamuxSession).say(controlFrame{typ: framePing, body: []byte("12345678")})
			})
			for range 2 {
				tasks.Go(func() {
					m, err := ends[0].Open(t.Context())
					if err != nil {
						t.Errorf("open: %v", err)
						return
					}
					m.Write([]byte("x"))
					m.CloseWrite()
					if _, err := io.ReadAll(m); err != nil {
						t.Errorf("read: %v", err)
					}
					m.Close()
				})
				tasks.Go(func() {
					m, err := ends[1].Accept(soon(t))
					if err != nil {
						t.Errorf("accept: %v", err)
						return
					}
					if got, err := io.ReadAll(m); string(got) != "x" || err != nil {
						t.Errorf("got %q, %v; want \"x\", nil", got, err)
					}
					m.Close()
				})
			}
		}
		tasks.Wait()
		if err := a.Shutdown(soon(t)); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	}
}
