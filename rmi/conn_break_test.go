package rmi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"farcall.dev/transport"
)

func TestConnPanicFailsOneCall(t *testing.T) {
	var log lockedBuffer
	h, _, release := held()
	h2 := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		switch call.Method {
		case "panic":
			panic("the secret reason")
		case "exit":
			runtime.Goexit()
		case "nil":
			var e *Error
			return Reply{}, e
		}
		return h.Handle(ctx, call)
	})
	logger := slog.New(slog.NewTextHandler(&log, nil))
	a, b := connPair(t, nil, h2, ConnOptions{}, ConnOptions{Logger: logger})
	other := make(chan error, 1)
	go func() {
		_, err := a.Handle(t.Context(), callOf("wait", nil))
		other <- err
	}()
	for range 3 {
		_, err := a.Handle(t.Context(), callOf("panic", nil))
		wantError(t, err, Internal, Executed, "object.panic: the handler panicked")
		if e := failure(t, err); e.Trace != "" || strings.Contains(e.Message, "secret") {
			t.Errorf("a stranger was told %q and %q", e.Message, e.Trace)
		}
		_, err = a.Handle(t.Context(), callOf("exit", nil))
		wantError(t, err, Internal, Executed, "ended its goroutine")
		_, err = a.Handle(t.Context(), callOf("nil", nil))
		wantError(t, err, Internal, Executed, "nil")
	}
	if got := log.String(); !strings.Contains(got, "the secret reason") || !strings.Contains(got, "conn_break_test.go") {
		t.Errorf("the log has %q, want the reason and the stack", got)
	}
	close(release)
	if err := waitFor(t, "the other call", other); err != nil {
		t.Errorf("the other call failed: %v", err)
	}
	waitUntil(t, "no call in flight", func() bool { return !b.Busy() })

	a, _ = connPair(t, nil, h2, ConnOptions{}, ConnOptions{SendTrace: func(Peer) bool { return true }})
	_, err := a.Handle(t.Context(), callOf("panic", nil))
	if e := failure(t, err); !strings.Contains(e.Trace, "conn_break_test.go") {
		t.Errorf("got the trace %q, want the stack", e.Trace)
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestConnPeerClosesWhileCallsAreUnderWay(t *testing.T) {
	for name, args := range map[string][]byte{"small": nil, "large": make([]byte, 1<<20)} {
		t.Run(name, func(t *testing.T) {
			h, began, ended := waiting()
			a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
			go func() {
				<-began
				b.Close()
			}()
			_, err := a.Handle(t.Context(), callOf("wait", args))
			wantError(t, err, Unavailable, Executed, "the connection to node b broke while the call was under way")
			if !errors.Is(err, transport.ErrPeerClosed) {
				t.Errorf("got %v, want it to say that the peer closed", err)
			}
			served := waitFor(t, "the handler", ended)
			if !errors.Is(context.Cause(served), transport.ErrClosed) {
				t.Errorf("the handler's context ended because of %v, want %v", context.Cause(served), transport.ErrClosed)
			}
			waitFor(t, "the end", a.Done())
			_, err = a.Handle(t.Context(), callOf("again", nil))
			wantError(t, err, Unavailable, NotExecuted, "has ended")
			if !errors.Is(a.Err(), transport.ErrPeerClosed) || b.Err() != transport.ErrClosed {
				t.Errorf("ended with %v and %v, want %v and %v", a.Err(), b.Err(), transport.ErrPeerClosed, transport.ErrClosed)
			}
		})
	}
}

// When the session breaks, what was never given to it must be known as not
// executed, and what was as possibly executed.
func TestConnKnowsWhatWasNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, raw := rawPair(t, nil, ConnOptions{MaxBuffered: 128 << 10})
		args := make([]byte, 16<<10)
		const callers = 70 // the buffer holds 8
		errs := make(chan error, callers)
		for range callers {
			go func() {
				_, err := a.Handle(t.Context(), callOf("x", args))
				errs <- err
			}()
		}
		synctest.Wait()
		hold := make(chan struct{})
		held := make(chan struct{})
		go raw.Lane().Serve(&stuckReceiver{held, hold}) // takes what is in the buffer, and no more
		<-held
		synctest.Wait()
		raw.Close()
		close(hold)
		executed, buffered := 0, 0
		for range callers {
			e := failure(t, <-errs)
			switch {
			case e.Code != Unavailable:
				t.Fatalf("got %v, want UNAVAILABLE", e)
			case e.Execution == Executed:
				executed++
			case strings.Contains(e.Message, "before the call was sent"):
				buffered++
			}
		}
		if executed != 8 || buffered < 8 {
			t.Errorf("of %d calls %d are said to be possibly executed and %d to have waited in the buffer, want the 8 that the peer had in hand, and at least 8", callers, executed, buffered)
		}
	})
}

// stuckReceiver says when it gets something, and keeps it until it may go on.
type stuckReceiver struct{ held, goOn chan struct{} }

func (r *stuckReceiver) Receive([]byte) {
	r.held <- struct{}{}
	<-r.goOn
}

func (r *stuckReceiver) Place(uint64, int) []byte { return nil }
func (r *stuckReceiver) Placed(uint64)            {}

func TestConnEndsWithAPeerThatBreaksTheProtocol(t *testing.T) {
	request := appendRequest(nil, 1, 0, callOf("wait", nil))
	for _, tc := range []struct {
		name  string
		bytes []byte
		text  string
	}{
		{"type 0", []byte{0, 0, 0, 0}, "no frame type 0"},
		{"endless number", append([]byte{1, 0}, bytes.Repeat([]byte{0xff}, 20)...), "longer than 64 bits"},
		{"too large", []byte{1, 0, 1, 0xff, 0xff, 0xff, 0x7f}, "too large"},
		{"head beyond its body", []byte{1, 0, 1, 2, 9, 0}, "head does not fit"},
		{"reply without a head", []byte{2, 0, 1, 0}, "head does not fit"},
		{"goaway without a head", []byte{5, 0, 0, 1, 0}, "head does not fit"},
		{"same id", bytes.Repeat(request, 2), "same id"},
		{"text", []byte("\x00GET / HTTP/1.1\r\n\r\n"), "no frame type 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _, _ := held()
			c, raw := rawPair(t, h, ConnOptions{})
			openLane(t, raw).Write(tc.bytes)
			waitFor(t, "the end", c.Done())
			wantProtocolError(t, c, tc.text)
			<-raw.Done()
		})
	}
}

// What one version does not know, and what is wrong with one call only, must
// leave the session and every other call alone.
func TestConnSurvivesWhatItDoesNotKnow(t *testing.T) {
	c, raw := rawPair(t, echo, ConnOptions{})
	r := openLane(t, raw)
	frame := func(typ frameType, flags byte, id uint64, body ...byte) {
		b := appendFrameHeader(nil, frameHeader{typ: typ, flags: flags, id: id, size: uint64(len(body))})
		r.Write(append(b, body...))
	}
	wantRefusal := func(id uint64, code Code, text string) {
		t.Helper()
		h, head, _ := nextFrame(t, r)
		if h.typ != frameError || h.id != id {
			t.Fatalf("got %v of call %d, want an ERROR of %d", h.typ, h.id, id)
		}
		wantError(t, decodeError(head), code, NotExecuted, text)
	}
	frame(99, 0, 1, 1, 2, 3)                    // an unknown type
	frame(frameReply, 0, 77, 1, 0)              // nobody waits for this
	frame(frameCancel, 0, 77)                   // nor runs this
	frame(framePong, 0, 77)                     //
	frame(frameGoAway, 0, 0, 1, 200)            // an unknown word
	frame(frameCancel, 0, 77, 5, 'm', 'o', 'r') // a body that may come to mean something
	frame(frameRequest, 0, 1, 1, 0xff)
	wantRefusal(1, InvalidArgument, "head ends too early")
	frame(frameRequest, 0x40, 2, 5, 0, 1, 'o', 0, 0)
	wantRefusal(2, Unimplemented, "flags (0x40)")
	frame(frameGrant, 0, 77) // nobody waits for it
	frame(frameRequest, 0, 3, append(append([]byte{0x87, 0x02, 0, 0x82, 0x02}, make([]byte, 258)...), 0, 0)...)
	wantRefusal(3, InvalidArgument, "object's name has 258 bytes")
	frame(frameRequest, 0, 4, 8, 0, 0, 0, 0, fieldMetadata, 2, 1, 'K')
	wantRefusal(4, InvalidArgument, `metadata key "K"`)

	frame(frameRequest, 0x06, 5, 5, 0, 1, 'o', 0, 0, 'h', 'i') // flags that may be ignored
	if h, _, payload := nextFrame(t, r); h.typ != frameReply || h.id != 5 || string(payload) != "hi" {
		t.Errorf("got %v of call %d with %q, want the reply", h.typ, h.id, payload)
	}
	frame(framePing, 0, 6)
	if h, _, _ := nextFrame(t, r); h.typ != framePong || h.id != 6 {
		t.Errorf("got %v %d, want PONG 6", h.typ, h.id)
	}
	waitUntil(t, "no call in flight", func() bool { return c.Stats().InFlightIn == 0 })
	if c.Err() != nil {
		t.Errorf("ended with %v, want that it lives", c.Err())
	}
}

func TestConnFailsCallsWhoseAnswerItCannotRead(t *testing.T) {
	c, raw := rawPair(t, nil, ConnOptions{})
	answers := [][]byte{
		appendFrameHeader(nil, frameHeader{typ: frameReply, flags: 0x80, size: 2}),
		appendFrameHeader(nil, frameHeader{typ: frameReply, size: 2}),
		appendFrameHeader(nil, frameHeader{typ: frameError, size: 2}),
	}
	bodies := []string{"\x01\x00", "\x00x", "\x01\x05"}
	var serve sync.WaitGroup
	serve.Go(func() {
		lane := openLane(t, raw)
		for i, answer := range answers {
			h, _ := lane.next()
			answer[2] = byte(h.id)
			lane.Write(append(answer, bodies[i]...))
		}
	})
	for _, text := range []string{"flags 0x80", "the reply cannot be read", "error cannot be read"} {
		_, err := c.Handle(t.Context(), callOf("x", nil))
		wantError(t, err, Internal, Executed, text)
	}
	serve.Wait()
}

// The server calls the client back on the client's own session while the
// client's call is under way, several times over.
func TestConnCallsBack(t *testing.T) {
	const depth = 50
	countdown := func(conn func(context.Context) *Conn) Handler {
		return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
			n := call.Args.Data[0]
			if n == 0 {
				return Reply{Result: Payload{Data: []byte("bottom")}}, nil
			}
			args := append([]byte{n - 1}, call.Args.Data[1:]...)
			return conn(ctx).Handle(ctx, callOf("down", args))
		})
	}
	for _, size := range []int{1, LargePayload + 1} {
		a, b := connPair(t, countdown(CallerConn), countdown(CallerConn), ConnOptions{}, ConnOptions{})
		args := make([]byte, size)
		args[0] = depth
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				reply, err := a.Handle(t.Context(), callOf("down", args))
				if err != nil || string(reply.Result.Data) != "bottom" {
					t.Errorf("%d bytes: got %q, %v, want the bottom", size, reply.Result.Data, err)
				}
			})
		}
		all.Wait()
		if got := b.Stats().CallsOut; got != 4*depth/2 {
			t.Errorf("the server called back %d times, want %d", got, 4*depth/2)
		}
	}
}

func TestConnCloseFromItsOwnHandler(t *testing.T) {
	h := HandlerFunc(func(ctx context.Context, _ *Call) (Reply, error) {
		return Reply{}, CallerConn(ctx).Close()
	})
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
	_, err := a.Handle(t.Context(), callOf("close", nil))
	wantError(t, err, Unavailable, Executed, "broke")
	waitFor(t, "the end", b.Done())
}

// FuzzConn holds a whole Conn against a peer that sends anything on the lane, as bulk
// data and on a stream: it answers or ends.
func FuzzConn(f *testing.F) {
	for _, frame := range sampleFrames() {
		f.Add(frame, append([]byte{byte(streamItems)}, frame...))
	}
	big := callOf("x", make([]byte, LargePayload+1))
	f.Add(appendRequestApart(nil, 9, 0, big), big.Args.Data)
	f.Add(appendReplyApart(nil, 1, &Reply{Result: big.Args}), big.Args.Data)
	f.Fuzz(func(t *testing.T, one, two []byte) {
		c, raw := rawPair(t, echo, ConnOptions{})
		go func() {
			for { // read whatever comes
				s, err := raw.Accept(context.Background())
				if err != nil {
					return
				}
				go io.Copy(io.Discard, readOnly{s})
			}
		}()
		ctx, cancel := context.WithCancel(t.Context())
		call := make(chan error, 1)
		go func() {
			_, err := c.Handle(ctx, callOf("x", nil))
			call <- err
		}()
		lane := openLane(t, raw)
		lane.Write(one)
		for _, tag := range []uint64{argsTag(9), resultTag(1)} {
			lane.lane.Bulk(t.Context(), tag, two)
		}
		if s, err := raw.Open(t.Context()); err == nil {
			go io.Copy(io.Discard, readOnly{s})
			s.Write(two)
			s.CloseWrite()
		}
		cancel()
		if err := <-call; err != nil {
			if _, ok := err.(*Error); !ok {
				t.Errorf("got %#v, want an *Error", err)
			}
		}
		c.Close()
		raw.Close()
	})
}

// readOnly hides a stream's other methods.
type readOnly struct{ s transport.Stream }

func (r readOnly) Read(p []byte) (int, error) { return r.s.Read(p) }
