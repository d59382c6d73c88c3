package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farcall.dev/internal/memnet"
)

// hasty options come to a verdict within a test's patience.
var hasty = Options{KeepAliveInterval: 20 * time.Millisecond, PeerTimeout: 100 * time.Millisecond, WriteTimeout: 100 * time.Millisecond}

// lasting options come to none.
var lasting = Options{KeepAliveInterval: time.Hour, PeerTimeout: 10 * time.Hour, WriteTimeout: 10 * time.Hour}

func TestVanishedPeerIsFound(t *testing.T) {
	n := memnet.New(memnet.Options{})
	near, far := memConn(t, n)
	a, b := join(t, near, far, hasty, hasty)
	s, _ := openPair(t, a, b)
	n.Partition("a", "b")
	for name, end := range map[string]Session{"a": a, "b": b} {
		wait(t, "the verdict of "+name, end.Done())
		if err := end.Err(); !errors.Is(err, ErrPeerSilent) {
			t.Errorf("%s: got cause %v, want %v", name, err, ErrPeerSilent)
		}
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrPeerSilent) {
		t.Errorf("read: got %v, want %v", err, ErrPeerSilent)
	}
}

func TestIdleSessionStaysAliveAndKnowsItsRoundTrip(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{Latency: time.Millisecond}))
	patient := hasty
	patient.PeerTimeout = 10 * time.Second // a busy machine is no dead peer
	a, b := join(t, near, far, patient, patient)
	eventually(t, "several pings were answered", func() bool {
		return a.Stats().Writes > 10 && b.Stats().Writes > 10
	})
	if a.Err() != nil || b.Err() != nil {
		t.Errorf("ended: %v, %v", a.Err(), b.Err())
	}
	if got := max(a.Stats().RoundTrip, b.Stats().RoundTrip); got < 2*time.Millisecond {
		t.Errorf("got round trip %v, want at least 2ms", got)
	}
}

func TestPeerThatSendsButDoesNotReadIsGivenUp(t *testing.T) {
	n := memnet.New(memnet.Options{})
	near, far := memConn(t, n)
	opts := lasting
	opts.WriteTimeout = 100 * time.Millisecond
	opts.KeepAliveInterval = 10 * time.Millisecond // the watchdog looks as often
	chatty := lasting
	chatty.KeepAliveInterval = 5 * time.Millisecond
	a, b := join(t, near, far, opts, chatty)
	s, _ := openPair(t, a, b)
	n.Stall("a", "b")
	_, err := s.Write(make([]byte, 1<<20))
	if !errors.Is(err, ErrPeerSilent) || !strings.Contains(err.Error(), "took nothing") {
		t.Errorf("got %v, want %v because it took nothing", err, ErrPeerSilent)
	}
	wait(t, "the verdict", a.Done())
	if err := a.Err(); !errors.Is(err, ErrPeerSilent) {
		t.Errorf("got cause %v, want %v", err, ErrPeerSilent)
	}
}

// While the connection takes nothing, deadlines and contexts hold, opening
// works, and Close returns.
func TestStalledConnectionHoldsNobody(t *testing.T) {
	n := memnet.New(memnet.Options{Buffer: 1024})
	near, far := memConn(t, n)
	a, b := join(t, near, far, lasting, lasting)
	s, _ := openPair(t, a, b)
	n.Stall("a", "b")
	var hogs sync.WaitGroup
	for range 16 {
		hog, err := a.Open(t.Context())
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		hogs.Go(func() { hog.Write(make([]byte, minStreamWindow)) })
	}
	wire := a.(*yamuxSession).wire
	eventually(t, "the budget is used up", func() bool {
		wire.mu.Lock()
		defer wire.mu.Unlock()
		return len(wire.queue) > 0
	})
	s.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := s.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: got %d, %v; want 0, %v", n, err, os.ErrDeadlineExceeded)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close of a stream: %v", err)
	}
	wire.mu.Lock()
	if held := wire.unsent + wire.reserved; held > writeBudget+64*yamuxHeader+MaxPiece {
		t.Errorf("%d bytes are held, and the budget is %d", held, writeBudget)
	}
	wire.mu.Unlock()
	a.Close()
	hogs.Wait()
}

func TestConnectionErrorsAreTheCause(t *testing.T) {
	n := memnet.New(memnet.Options{})
	near, far := memConn(t, n)
	a, b := join(t, near, far, Options{}, Options{})
	s, _ := openPair(t, a, b)
	n.Cut("a", "b")
	for name, end := range map[string]Session{"a": a, "b": b} {
		wait(t, "the end of "+name, end.Done())
		if err := end.Err(); !errors.Is(err, syscall.ECONNRESET) || !strings.Contains(err.Error(), end.RemoteAddr().String()) {
			t.Errorf("%s: got cause %v, want %v and the address", name, err, syscall.ECONNRESET)
		}
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: got %v, want the cause, %v", err, syscall.ECONNRESET)
	}
}

// A peer that is killed closes its connection and says nothing. Its streams must
// not look as if they were complete.
func TestPeerThatDiesIsNoEndOfFile(t *testing.T) {
	near, far := tcpConn(t)
	a, b := join(t, near, far, Options{}, Options{})
	s, peer := openPair(t, a, b)
	peer.Write([]byte("half"))
	io.ReadFull(s, make([]byte, 4))
	far.Close()
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: got %v, want %v", err, io.ErrUnexpectedEOF)
	}
	wait(t, "the end", a.Done())
	if err := a.Err(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got cause %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

// failingConn fails writes once told to, and goes on reading.
type failingConn struct {
	net.Conn
	failing *signal
}

func (c failingConn) Write(p []byte) (int, error) {
	if c.failing.fired() {
		return 0, syscall.EPIPE
	}
	return c.Conn.Write(p)
}

func TestWriteErrorsSurface(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	conn := failingConn{near, newSignal()}
	a, b := join(t, conn, far, Options{}, Options{})
	s, _ := openPair(t, a, b)
	conn.failing.fire()
	s.Write([]byte("x"))
	wait(t, "the end", a.Done())
	if err := a.Err(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("got cause %v, want %v", err, syscall.EPIPE)
	}
}

// What a peer said before it went is heard although writing to it fails.
func TestLastWordsAreReadThoughWritingFails(t *testing.T) {
	n := memnet.New(memnet.Options{})
	near, far := memConn(t, n)
	conn := failingConn{near, newSignal()}
	a, b := join(t, conn, far, Options{}, Options{})
	s, peer := openPair(t, a, b)
	s.CloseWrite()
	io.ReadAll(peer)
	n.Stall("b", "a")
	peer.Write([]byte("answer"))
	peer.Close()
	down := make(chan error, 1)
	go func() { down <- b.Shutdown(soon(t)) }()
	conn.failing.fire()
	late, err := a.Open(t.Context()) // fails to be sent
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "writing has failed", func() bool {
		w := a.(*yamuxSession).wire
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.dropping
	})
	n.Heal("a", "b")
	if got, err := io.ReadAll(s); string(got) != "answer" || err != nil {
		t.Errorf("got %q, %v; want \"answer\", nil", got, err)
	}
	late.Close()
	<-down
}

// rawPeer is a client that speaks the wire by hand.
type rawPeer struct {
	net.Conn
	t *testing.T
}

// raw returns a session on the server's side and its peer, played by hand, after
// the hellos.
func raw(t *testing.T, n *memnet.Network, opts Options) (Session, rawPeer) {
	t.Helper()
	near, far := memConn(t, n)
	p := rawPeer{near, t}
	result := make(chan Session, 1)
	go func() {
		s, err := Server(context.Background(), far, opts)
		if err != nil {
			t.Errorf("server: %v", err)
		}
		result <- s
	}()
	if _, err := (handshake{near, greeting{lowest: 1, Hello: Hello{Version: 1}}}).asClient(); err != nil {
		t.Fatal(err)
	}
	s := <-result
	t.Cleanup(func() {
		near.Close()
		s.Close()
	})
	return s, p
}

// frame sends a frame of yamux.
func (p rawPeer) frame(typ byte, flags uint16, id, length uint32, body []byte) error {
	b := binary.BigEndian.AppendUint16([]byte{0, typ}, flags)
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, length)
	_, err := p.Write(append(b, body...))
	return err
}

// control sends a control frame.
func (p rawPeer) control(f controlFrame) { p.Write(f.append(nil)) }

// controlRecord returns a control frame of any type.
func controlRecord(typ frameType, body ...byte) []byte {
	b := append(make([]byte, laneHeader), byte(typ))
	putRecord(b, recordControl, 1+len(body))
	return append(b, body...)
}

func TestPeerThatBreaksTheProtocolLosesTheSession(t *testing.T) {
	for name, breach := range map[string]func(p rawPeer){
		"no yamux":               func(p rawPeer) { p.Write([]byte("\xffsomething else")) },
		"window exceeded":        func(p rawPeer) { p.frame(0, 1, 1, 1<<20, make([]byte, 1<<16)) },
		"no yamux, later":        func(p rawPeer) { p.frame(1, 1, 1, 0, nil); p.Write([]byte("\xffsomething else")) },
		"no such yamux frame":    func(p rawPeer) { p.frame(9, 0, 1, 0, nil) },
		"no control frame":       func(p rawPeer) { p.Write([]byte{recordControl, 0, 0, 0}) },
		"control frame too long": func(p rawPeer) { p.Write(controlRecord(99, make([]byte, maxControl)...)) },
		"ping too long":          func(p rawPeer) { p.Write(controlRecord(framePing, make([]byte, maxPing+1)...)) },
		"empty close":            func(p rawPeer) { p.Write(controlRecord(frameClose)) },
		"stop of nothing":        func(p rawPeer) { p.Write(controlRecord(frameStop)) },
		"a record too short":     func(p rawPeer) { p.Write([]byte{recordPiece, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7}) },
		"bulk that was not sent": func(p rawPeer) { p.Write([]byte{recordTaken, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1}) },
		"more streams than told": func(p rawPeer) { flood(p, 64) },
	} {
		t.Run(name, func(t *testing.T) {
			n := memnet.New(memnet.Options{Buffer: 1 << 20})
			defer n.Close()
			s, p := raw(t, n, Options{MaxStreams: 8})
			breach(p)
			wait(t, "the end", s.Done())
			if err := s.Err(); !errors.Is(err, ErrProtocol) {
				t.Errorf("got cause %v, want %v", err, ErrProtocol)
			}
		})
	}
}

// flood opens streams, each when the one before is acknowledged.
func flood(p rawPeer, streams int) {
	for i := range streams {
		if p.frame(1, 1, uint32(2*i+1), 0, nil) != nil {
			return
		}
		head := make([]byte, yamuxHeader)
		for binary.BigEndian.Uint32(head[4:]) != uint32(2*i+1) {
			if _, err := io.ReadFull(p, head); err != nil {
				return
			}
			if head[1] == 0 {
				io.CopyN(io.Discard, p, int64(binary.BigEndian.Uint32(head[8:])))
			}
		}
	}
}

func TestPeerThatAsksAndDoesNotReadIsGivenUp(t *testing.T) {
	for name, ask := range map[string][]byte{
		"yamux":  {0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, // a ping, which yamux answers
		"ping":   controlRecord(framePing, make([]byte, maxPing)...),
		"goaway": controlRecord(frameGoAway),
	} {
		t.Run(name, func(t *testing.T) {
			n := memnet.New(memnet.Options{Buffer: 1 << 16})
			defer n.Close()
			s, p := raw(t, n, lasting)
			n.Stall("b", "a")
			for many := bytes.Repeat(ask, 1000); ; {
				if _, err := p.Write(many); err != nil {
					break
				}
			}
			wait(t, "the end", s.Done())
			if err := s.Err(); !errors.Is(err, ErrPeerSilent) {
				t.Errorf("got cause %v, want %v", err, ErrPeerSilent)
			}
		})
	}
}

func TestUnknownControlFramesAreSkipped(t *testing.T) {
	n := memnet.New(memnet.Options{})
	defer n.Close()
	s, p := raw(t, n, Options{})
	p.Write(controlRecord(99, make([]byte, maxControl-1)...))
	p.Write(controlRecord(frameGoAway, []byte("with more in it")...))
	wait(t, "the GoAway", s.PeerGoingAway())
	if err := s.Err(); err != nil {
		t.Errorf("ended: %v", err)
	}
}

// A control frame may come in the middle of streams, and in pieces.
func TestControlFramesComeBetweenThoseOfStreams(t *testing.T) {
	n := memnet.New(memnet.Options{})
	defer n.Close()
	s, p := raw(t, n, Options{})
	data := append([]byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2}, "hi"...) // opens stream 1
	run := bytes.Join([][]byte{
		controlRecord(framePong, 1), data, controlRecord(frameGoAway), controlRecord(99, 1, 2, 3),
		{0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0}, // ends it
	}, nil)
	for i := range run {
		p.Write(run[i : i+1])
	}
	m, err := s.Accept(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(m); string(got) != "hi" || err != nil {
		t.Errorf("got %q, %v; want \"hi\", nil", got, err)
	}
	wait(t, "the GoAway", s.PeerGoingAway())
}

// An end of the connection in whatever the peer was saying is its death, before
// there is a stream and after.
func TestPeerThatDiesInAControlFrame(t *testing.T) {
	for name, last := range map[string][]byte{
		"nothing":          nil,
		"half a header":    {recordControl, 0},
		"half a frame":     {recordControl, 0, 0, 9, byte(framePing), 1, 2},
		"a stream":         {0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0},
		"half of yamux's":  {0, 1, 0, 1},
		"a stream, a half": {0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, recordControl, 0, 0, 9, byte(framePing)},
	} {
		t.Run(name, func(t *testing.T) {
			n := memnet.New(memnet.Options{})
			defer n.Close()
			s, p := raw(t, n, lasting)
			p.Write(last)
			p.Close()
			wait(t, "the end", s.Done())
			if err := s.Err(); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrProtocol) {
				t.Errorf("got cause %v, want %v", err, io.ErrUnexpectedEOF)
			}
		})
	}
}

// A stream that crosses GoAway on the wire is served, and Shutdown waits for the
// peer's word that none is on its way.
func TestShutdownServesStreamsThatCrossItsGoAway(t *testing.T) {
	n := memnet.New(memnet.Options{})
	defer n.Close()
	s, p := raw(t, n, Options{})
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(soon(t)) }()
	goAway := controlRecord(frameGoAway)
	for seen := []byte{}; !bytes.HasSuffix(seen, goAway); {
		b := make([]byte, 1)
		if _, err := p.Read(b); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, b...)
	}
	p.frame(1, 1, 1, 0, nil)
	m, err := s.Accept(soon(t))
	if err != nil {
		t.Fatalf("accept: %v", err)
	}
	m.Close()
	select {
	case err := <-down:
		t.Errorf("shutdown ended with %v before the peer had settled", err)
	default:
	}
	p.control(controlFrame{typ: frameSettled})
	p.control(controlFrame{typ: frameClose})
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// A stop frame may be read before the acceptor has its stream.
func TestEarlyStopIsNotLost(t *testing.T) {
	n := memnet.New(memnet.Options{})
	defer n.Close()
	s, p := raw(t, n, Options{})
	p.control(controlFrame{typ: frameStop, id: 1})
	eventually(t, "the stop frame was read", func() bool {
		early := &s.(*yamuxSession).early
		early.mu.Lock()
		defer early.mu.Unlock()
		return len(early.ids) == 1
	})
	p.frame(1, 1, 1, 0, nil)
	m, err := s.Accept(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Write([]byte("x")); !errors.Is(err, ErrReset) {
		t.Errorf("write: got %v, want %v", err, ErrReset)
	}
}

func TestEarlyStopsAreBounded(t *testing.T) {
	var p stops
	for id := range uint32(10_000) {
		p.put(id)
	}
	if len(p.ids) != maxStops || len(p.ring) != maxStops {
		t.Errorf("%d ids are kept, and %d in their order, want %d", len(p.ids), len(p.ring), maxStops)
	}
	if !p.take(9_999) || p.take(9_999) || p.take(1) {
		t.Error("the newest id is not there once, or the oldest still is")
	}
}

func TestSessionAsksToBeReplacedBeforeIdsRunOut(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	a, b := join(t, near, far, Options{}, Options{})
	a.(*yamuxSession).rotateAt = 3
	openPair(t, a, b) // id 1
	select {
	case <-a.PeerGoingAway():
		t.Error("it asks too early")
	default:
	}
	openPair(t, a, b) // id 3
	wait(t, "the signal", a.PeerGoingAway())
	openPair(t, a, b) // goes on meanwhile
}

// A writer whose window is closed waits; it does not try again and again.
func TestWriterWithoutWindowSleeps(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	a, b := join(t, near, far, lasting, lasting)
	s, peer := openPair(t, a, b)
	wrote := make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, minStreamWindow+1))
		wrote <- err
	}()
	m := s.(*yamuxStream)
	eventually(t, "the writer waits inside yamux", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.waiting
	})
	if _, err := io.ReadFull(peer, make([]byte, minStreamWindow+1)); err != nil {
		t.Errorf("read: %v", err)
	}
	if err := <-wrote; err != nil {
		t.Errorf("write: %v", err)
	}
}

// A bulk stream holds a small one up by what is under way, and not by what it
// still has to send.
func TestPiecesOfStreamsInterleave(t *testing.T) {
	n := memnet.New(memnet.Options{Buffer: 1024})
	near, far := memConn(t, n)
	rec := &recorder{Conn: near}
	opts := lasting
	opts.StreamWindow = maxStreamWindow
	a, b := join(t, rec, far, opts, opts)
	bulk, bulkPeer := openPair(t, a, b)
	small, smallPeer := openPair(t, a, b)
	// The peer's window for the bulk stream opens when it is accepted.
	n.Stall("a", "b")
	var tasks sync.WaitGroup
	tasks.Go(func() { bulk.Write(make([]byte, 4<<20)) })
	tasks.Go(func() { io.Copy(io.Discard, bulkPeer) })
	w := a.(*yamuxSession).wire
	queued := func(n int) func() bool {
		return func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.queue) == n
		}
	}
	eventually(t, "the bulk stream waits its turn", queued(1))
	tasks.Go(func() { small.Write([]byte("x")) })
	eventually(t, "the small stream is behind it", queued(2))
	n.Heal("a", "b")
	if _, err := io.ReadFull(smallPeer, make([]byte, 1)); err != nil {
		t.Errorf("small stream: %v", err)
	}
	bulk.CloseWrite()
	a.Close()
	tasks.Wait()
	before := 0
	for _, f := range rec.dataFrames() {
		if f.length > MaxPiece {
			t.Errorf("a data frame has %d bytes, and the most allowed is %d", f.length, MaxPiece)
		}
		if f.stream == small.(*yamuxStream).y.StreamID() {
			break
		}
		before += int(f.length)
	}
	if most := writeBudget + 2*MaxPiece; before > most {
		t.Errorf("%d bytes of the bulk stream went before the small one's, want at most %d", before, most)
	}
}

// recorder keeps the headers of the data frames that are written.
type recorder struct {
	net.Conn
	mu   sync.Mutex
	hand bool // guarded by mu; the hello has gone
	f    framing
	data []dataFrame
}

type dataFrame struct{ stream, length uint32 }

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	if r.hand {
		for i := range p {
			r.f.advance(p[i : i+1])
			h := r.f.header
			if r.f.have == 0 && h[1] == 0 && r.f.body == binary.BigEndian.Uint32(h[8:]) && r.f.body > 0 {
				r.data = append(r.data, dataFrame{binary.BigEndian.Uint32(h[4:]), r.f.body})
			}
		}
	}
	r.hand = true
	r.mu.Unlock()
	return r.Conn.Write(p)
}

func (r *recorder) dataFrames() []dataFrame {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data
}
