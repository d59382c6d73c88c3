package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

func TestSessionCarriesStreamsBothWays(t *testing.T) {
	eachMaker(t, func(t *testing.T, make maker) {
		a, b := make(t, Options{Hello: Hello{Node: "a", Incarnation: 7, Features: []string{"x"}}}, Options{Hello: Hello{Node: "b"}})
		if got := b.Peer(); got.Node != "a" || got.Incarnation != 7 || !got.HasFeature("x") || got.Version != Version {
			t.Errorf("b's peer: got %+v, want node a, incarnation 7, feature x", got)
		}
		if got := a.Peer().Node; got != "b" {
			t.Errorf("a's peer: got node %q, want \"b\"", got)
		}
		for _, ends := range [][2]Session{{a, b}, {b, a}} {
			near, far := openPair(t, ends[0], ends[1])
			exchange(t, near, far)
		}
		if got := a.Stats(); got.StreamsOpened != 2 || got.StreamsOpen != 0 || got.BytesSent == 0 || got.Writes == 0 {
			t.Errorf("stats: got %+v, want 2 streams opened, 0 open, and traffic", got)
		}
	})
}

// exchange sends a question one way and an answer back, with half closes.
func exchange(t *testing.T, near, far Stream) {
	t.Helper()
	for _, s := range []Stream{near, far} {
		s.SetDeadline(time.Now().Add(patience))
	}
	if _, err := near.Write([]byte("question")); err != nil {
		t.Errorf("write: %v", err)
	}
	if err := near.CloseWrite(); err != nil {
		t.Errorf("close write: %v", err)
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after CloseWrite: got %v, want %v", err, net.ErrClosed)
	}
	if got, err := io.ReadAll(far); string(got) != "question" || err != nil {
		t.Errorf("question: got %q, %v", got, err)
	}
	if _, err := far.Write([]byte("answer")); err != nil {
		t.Errorf("write answer: %v", err)
	}
	far.Close()
	if got, err := io.ReadAll(near); string(got) != "answer" || err != nil {
		t.Errorf("answer: got %q, %v", got, err)
	}
	near.Close()
	near.Close()
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after Close: got %v, want %v", err, net.ErrClosed)
	}
	if err := near.SetReadDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("set deadline after Close: got %v, want %v", err, net.ErrClosed)
	}
}

func TestManyStreamsAtOnceKeepTheirData(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{}, Options{})
		var tasks sync.WaitGroup
		defer tasks.Wait()
		const streams = 32
		tasks.Go(func() {
			for range streams {
				s, err := b.Accept(soon(t))
				if err != nil {
					t.Errorf("accept: %v", err)
					return
				}
				tasks.Go(func() {
					io.Copy(s, s)
					s.Close()
				})
			}
		})
		for i := range streams {
			tasks.Go(func() {
				s, err := a.Open(soon(t))
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				defer s.Close()
				s.SetDeadline(time.Now().Add(patience))
				want := make([]byte, 300_000+i)
				rng := rand.NewChaCha8([32]byte{byte(i)})
				rng.Read(want)
				tasks.Go(func() {
					for rest := want; len(rest) > 0; {
						n := min(len(rest), 50+i*997)
						if _, err := s.Write(rest[:n]); err != nil {
							t.Errorf("stream %d: write: %v", i, err)
							return
						}
						rest = rest[n:]
					}
					s.CloseWrite()
				})
				got, err := io.ReadAll(s)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("stream %d: got %d bytes, %v; want the %d that were sent", i, len(got), err, len(want))
				}
			})
		}
	})
}

func TestUnreadStreamStopsOnlyItself(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{}, Options{})
		// More unread streams than the budget of writers has pieces.
		for range 20 {
			stuck, _ := openPair(t, a, b)
			if n, err := stuck.Write(make([]byte, minStreamWindow)); n != minStreamWindow || err != nil {
				t.Fatalf("one window unread: got %d, %v; want %d, nil", n, err, minStreamWindow)
			}
			stuck.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			if n, err := stuck.Write(make([]byte, 1<<20)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("more than one window unread: got %d, %v; want 0, %v", n, err, os.ErrDeadlineExceeded)
			}
			stuck.SetWriteDeadline(time.Time{})
			go stuck.Write(make([]byte, 1<<20)) // stays stuck until the session ends
		}
		near, far := openPair(t, a, b)
		exchange(t, near, far)
	})
}

func TestWriterGoesOnWhenTheReaderReads(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{StreamWindow: 1 << 20}, Options{StreamWindow: 1 << 20})
		near, far := openPair(t, a, b)
		const size = 8 << 20
		sent := make(chan error, 1)
		go func() {
			_, err := near.Write(make([]byte, size))
			near.CloseWrite()
			sent <- err
		}()
		n, err := io.Copy(io.Discard, far)
		if n != size || err != nil {
			t.Errorf("got %d bytes, %v; want %d", n, err, size)
		}
		if err := <-sent; err != nil {
			t.Errorf("write: %v", err)
		}
	})
}

func TestDeadlines(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{}, Options{})
		near, far := openPair(t, a, b)
		near.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := near.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: got %v, want %v", err, os.ErrDeadlineExceeded)
		}
		if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() {
			t.Errorf("read: %v does not say that it is a timeout", err)
		}
		near.SetReadDeadline(time.Time{})
		result := make(chan error, 1)
		go func() {
			_, err := near.Read(make([]byte, 1))
			result <- err
		}()
		near.SetReadDeadline(past) // reaches a reader that waits
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("waiting read: got %v, want %v", err, os.ErrDeadlineExceeded)
		}
		near.SetDeadline(time.Time{})
		far.Write([]byte("x"))
		if n, err := near.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("read after the deadline was lifted: got %d, %v; want 1, nil", n, err)
		}
		go func() {
			_, err := near.Write(make([]byte, 1<<20))
			result <- err
		}()
		near.SetWriteDeadline(past)
		if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("waiting write: got %v, want %v", err, os.ErrDeadlineExceeded)
		}
	})
}

func TestCloseFreesReaderAndPeersWriter(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{}, Options{})
		near, far := openPair(t, a, b)
		read, wrote := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := near.Read(make([]byte, 1))
			read <- err
		}()
		far2 := far
		near2, far2 := openPair(t, a, b)
		go func() {
			_, err := far2.Write(make([]byte, 1<<20)) // near2 reads nothing
			wrote <- err
		}()
		near.Close()
		near2.Close()
		if err := <-read; !errors.Is(err, net.ErrClosed) {
			t.Errorf("local reader: got %v, want %v", err, net.ErrClosed)
		}
		if err := <-wrote; !errors.Is(err, ErrReset) {
			t.Errorf("peer's writer: got %v, want %v", err, ErrReset)
		}
		if n, err := far.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("peer's reader: got %d, %v; want 0, EOF", n, err)
		}
		far.Close()
		far2.Close()
		eventually(t, "no stream is open", func() bool { return a.Stats().StreamsOpen+b.Stats().StreamsOpen == 0 })
	})
}

func TestGoAwayRefusesNewStreamsAndKeepsOldOnes(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{}, Options{})
		near, far := openPair(t, a, b)
		if err := b.GoAway(); err != nil {
			t.Fatal(err)
		}
		wait(t, "the peer's GoAway", a.PeerGoingAway())
		for name, s := range map[string]Session{"peer": a, "leaver": b} {
			if _, err := s.Open(soon(t)); !errors.Is(err, ErrGoAway) {
				t.Errorf("%s opens: got %v, want %v", name, err, ErrGoAway)
			}
		}
		exchange(t, near, far)
		if err := a.Err(); err != nil {
			t.Errorf("session ended: %v", err)
		}
	})
}

func TestShutdownWaitsForStreamsAndTellsThePeer(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{}, Options{})
		near, far := openPair(t, a, b)
		down := make(chan error, 1)
		go func() { down <- b.Shutdown(soon(t)) }()
		wait(t, "the peer's GoAway", a.PeerGoingAway())
		near.Write([]byte("question"))
		near.CloseWrite()
		io.ReadAll(far)
		answer := bytes.Repeat([]byte("answer"), 20_000)
		far.Write(answer)
		far.Close()
		if err := <-down; err != nil {
			t.Errorf("shutdown: %v", err)
		}
		wait(t, "the peer's end", a.Done())
		if got := a.Err(); !errors.Is(got, ErrPeerClosed) {
			t.Errorf("peer's cause: got %v, want %v", got, ErrPeerClosed)
		}
		if got := b.Err(); !errors.Is(got, ErrClosed) {
			t.Errorf("own cause: got %v, want %v", got, ErrClosed)
		}
		// The answer was complete before the session ended, and a slow reader
		// gets all of it, and a true EOF.
		if got, err := io.ReadAll(near); err != nil || !bytes.Equal(got, answer) {
			t.Errorf("answer after the end: got %d bytes, %v; want %d, nil", len(got), err, len(answer))
		}
	})
}

func TestShutdownCutsOffWhatIsLeftWhenItsContextEnds(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{}, Options{})
		near, _ := openPair(t, a, b)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := b.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: got %v, want %v", err, context.DeadlineExceeded)
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, ErrPeerClosed) {
			t.Errorf("reader of a stream that was cut off: got %v, want %v", err, ErrPeerClosed)
		}
	})
}

func TestCloseEndsEverythingWithItsCause(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{}, Options{})
		near, far := openPair(t, a, b)
		near2, far2 := openPair(t, a, b)
		type waiter struct {
			what string
			want error
			call func() error
		}
		waiters := []waiter{
			{"accept here", ErrClosed, func() error { _, err := a.Accept(context.Background()); return err }},
			{"accept there", ErrPeerClosed, func() error { _, err := b.Accept(context.Background()); return err }},
			{"read here", ErrClosed, func() error { _, err := near.Read(make([]byte, 1)); return err }},
			{"read there", ErrPeerClosed, func() error { _, err := far.Read(make([]byte, 1)); return err }},
			{"write here", ErrClosed, func() error { _, err := near2.Write(make([]byte, 1<<20)); return err }},
			{"write there", ErrPeerClosed, func() error { _, err := far2.Write(make([]byte, 1<<20)); return err }},
		}
		var tasks sync.WaitGroup
		for _, w := range waiters {
			tasks.Go(func() {
				if err := w.call(); !errors.Is(err, w.want) {
					t.Errorf("%s: got %v, want %v", w.what, err, w.want)
				}
			})
		}
		eventually(t, "the writers are under way", func() bool {
			return a.Stats().BytesSent >= minStreamWindow && b.Stats().BytesSent >= minStreamWindow
		})
		for range 3 {
			tasks.Go(func() { a.Close() })
		}
		tasks.Wait()
		if got := a.Err(); !errors.Is(got, ErrClosed) {
			t.Errorf("cause here: got %v, want %v", got, ErrClosed)
		}
		wait(t, "the peer's end", b.Done())
		if got := b.Err(); !errors.Is(got, ErrPeerClosed) {
			t.Errorf("cause there: got %v, want %v", got, ErrPeerClosed)
		}
		if _, err := a.Open(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("open: got %v, want %v", err, ErrClosed)
		}
		if err := a.GoAway(); !errors.Is(err, ErrClosed) {
			t.Errorf("go away: got %v, want %v", err, ErrClosed)
		}
		if err := b.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown of an ended session: got %v, want nil", err)
		}
	})
}

func TestOpenHasALimitAndRecovers(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{MaxStreams: 8}, Options{MaxStreams: 4})
		var open []Stream
		for range 4 {
			near, far := openPair(t, a, b)
			open = append(open, near, far)
		}
		for name, s := range map[string]Session{"a": a, "b": b} {
			if _, err := s.Open(t.Context()); !errors.Is(err, ErrTooManyStreams) {
				t.Errorf("%s opens a fifth: got %v, want %v", name, err, ErrTooManyStreams)
			}
		}
		open[0].Close()
		open[1].Close()
		eventually(t, "a stream can be opened again", func() bool {
			s, err := b.Open(t.Context())
			if err == nil {
				s.Close()
			}
			return err == nil
		})
		if err := a.Err(); err != nil {
			t.Errorf("the session ended: %v", err)
		}
	})
}

func TestOpenAndAcceptObeyTheirContext(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, _ := make_(t, Options{}, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			_, err := a.Accept(ctx)
			result <- err
		}()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("accept: got %v, want %v", err, context.Canceled)
		}
		if _, err := a.Open(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("open: got %v, want %v", err, context.Canceled)
		}
	})
}

// Whatever a program does with streams, none is left over at the end, no
// goroutine waits for ever, and what was read is a prefix of what was written.
func TestRandomUseLeavesNothingBehind(t *testing.T) {
	eachMaker(t, func(t *testing.T, make_ maker) {
		a, b := make_(t, Options{MaxStreams: 64}, Options{MaxStreams: 64})
		use := func(rng *rand.Rand, s Stream) {
			defer s.Close()
			s.SetDeadline(time.Now().Add(time.Duration(rng.IntN(20)) * time.Millisecond))
			buf := make([]byte, 1+rng.IntN(50_000))
			for range rng.IntN(8) {
				switch rng.IntN(5) {
				case 0:
					s.CloseWrite()
				case 1, 2:
					for i := range buf {
						buf[i] = 'x'
					}
					s.Write(buf)
				default:
					clear(buf)
					n, _ := s.Read(buf)
					for i := range n {
						if buf[i] != 'x' {
							t.Errorf("read byte %d", buf[i])
							return
						}
					}
				}
			}
		}
		var tasks sync.WaitGroup
		for i, ends := range [][2]Session{{a, b}, {b, a}} {
			for j := range 4 {
				tasks.Go(func() {
					rng := rand.New(rand.NewPCG(uint64(i), uint64(j)))
					for range 30 {
						if s, err := ends[0].Open(soon(t)); err == nil {
							use(rng, s)
						} else if !errors.Is(err, ErrTooManyStreams) {
							t.Errorf("open: %v", err)
						}
					}
				})
				go func() {
					rng := rand.New(rand.NewPCG(uint64(i), uint64(100+j)))
					for {
						s, err := ends[1].Accept(context.Background())
						if err != nil {
							return
						}
						use(rng, s)
					}
				}()
			}
		}
		tasks.Wait()
		if err := a.Shutdown(soon(t)); err != nil {
			t.Errorf("shutdown: %v, open here %d, there %d", err, a.Stats().StreamsOpen, b.Stats().StreamsOpen)
		}
		wait(t, "the peer's end", b.Done())
		if !errors.Is(b.Err(), ErrPeerClosed) {
			t.Errorf("peer's cause: got %v, want %v", b.Err(), ErrPeerClosed)
		}
	})
}
