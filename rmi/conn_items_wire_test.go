package rmi

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

// rawStream returns a stream of a call to a peer that is played by the test, and
// the peer's end of it.
func rawStream(t *testing.T, c *Conn, raw transport.Session) (*Stream[any], transport.Stream) {
	t.Helper()
	got := make(chan *Stream[any], 1)
	go func() {
		s, err := InvokeAs[*Stream[any]](t.Context(), c, "object", "stream")
		if err != nil {
			t.Error(err)
		}
		got <- s
	}()
	lane := openLane(t, raw)
	h, _ := lane.next()
	vc := valueContext{}
	data, _ := vc.send(nil, &listSource{})
	reply := vc.payload(data)
	lane.Write(append(appendReply(nil, h.id, &Reply{Result: reply}), data...))
	items, err := raw.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	items.Write(appendItemsKey(nil, itemsKey{call: h.id, own: false}))
	return <-got, items
}

// What a peer sends that it should not costs its own stream, and nothing else.
func TestItemsThatBreakTheRulesCostTheirStreamOnly(t *testing.T) {
	item := append(appendFrameHeader(nil, frameHeader{typ: frameItem, size: 1}), 0x07)
	for name, tc := range map[string]struct {
		send []byte
		code Code
		text string
	}{
		"end in an item":     {item[:len(item)-1], Unavailable, "ended it before its end"},
		"end between items":  {item, Unavailable, "ended it before its end"},
		"bad item":           {append(appendFrameHeader(nil, frameHeader{typ: frameItem, size: 1}), 0xff), InvalidArgument, "does not fit"},
		"two in one":         {append(appendFrameHeader(nil, frameHeader{typ: frameItem, size: 2}), 1, 2), InvalidArgument, "data after its end"},
		"empty item":         {appendFrameHeader(nil, frameHeader{typ: frameItem}), InvalidArgument, "does not fit"},
		"frame of type 0":    {make([]byte, 8), Internal, "no frame type 0"},
		"long number":        {append([]byte{byte(frameItem), 0}, bytes.Repeat([]byte{0xff}, 11)...), Internal, "longer than 64 bits"},
		"too large an item":  {appendFrameHeader(nil, frameHeader{typ: frameItem, size: 1 << 30}), ResourceExhausted, "the most this node takes"},
		"too large an error": {appendFrameHeader(nil, frameHeader{typ: frameError, size: 1 << 20}), Internal, "too large"},
		"error":              {appendError(nil, 0, Errorf(Aborted, "over"), false), Aborted, "over"},
		"unreadable error":   {append(appendFrameHeader(nil, frameHeader{typ: frameError, size: 2}), 1, 5), Internal, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			c, raw := rawPair(t, nil, ConnOptions{})
			s, items := rawStream(t, c, raw)
			items.Write(append(append(appendSmallFrame(nil, 99, 7), item...), tc.send...))
			items.CloseWrite()
			var err error
			for err == nil {
				_, err = s.Recv(t.Context())
			}
			wantFailure(t, err, tc.code, tc.text)
			if c.Err() != nil {
				t.Errorf("the session ended: %v", c.Err())
			}
			items.Close()
			wantNoItems(t, c)
		})
	}
}

// A stream and the frame that announces it wait for each other, in either order,
// and not for ever.
func TestItemsAndTheirFrameMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, raw := rawPair(t, nil, ConnOptions{MaxStreams: 2})
		var early []transport.Stream
		for i := range 3 {
			s, err := raw.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.Write(appendItemsKey(nil, itemsKey{call: 77, own: true, number: uint64(i)}))
			s.Write(append(appendFrameHeader(nil, frameHeader{typ: frameItem, size: 1}), byte(i)))
			early = append(early, s)
			synctest.Wait()
		}
		if _, err := early[2].Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a stream beyond the limit: got %v, want its end", err)
		}
		if inlets, err := c.newInlets(77, false, 1); err != nil {
			t.Error(err)
		} else if item, err := inlets[0].next(t.Context()); err != nil || item[0] != 0 {
			t.Errorf("a stream that came first: got %v, %v, want its item", item, err)
		} else {
			inlets[0].stop(errUnread)
		}
		start := time.Now()
		if _, err := early[1].Read(make([]byte, 1)); err != io.EOF || time.Since(start) != streamHeadTimeout {
			t.Errorf("a stream that nobody speaks of: got %v after %v, want its end after %v", err, time.Since(start), streamHeadTimeout)
		}
		inlets, refused := c.newInlets(78, false, 2)
		if refused != nil {
			t.Fatal(refused)
		}
		start = time.Now()
		_, err := inlets[0].next(t.Context())
		wantFailure(t, err, Unavailable, "did not begin to come")
		if time.Since(start) != streamHeadTimeout {
			t.Errorf("the wait for a stream took %v, want %v", time.Since(start), streamHeadTimeout)
		}
		inlets[1].stop(errUnread)
		pass(streamHeadTimeout)
		for _, s := range early {
			s.Close()
		}
		wantNoItems(t, c)
	})
}

// FuzzItems reads what a peer may send on an items stream.
func FuzzItems(f *testing.F) {
	item := append(appendFrameHeader(nil, frameHeader{typ: frameItem, size: 1}), 0x07)
	f.Add(item)
	f.Add(append(bytes.Clone(item), appendSmallFrame(nil, frameEnd, 0)...))
	f.Add(append(bytes.Clone(item), appendError(nil, 0, Errorf(Aborted, "over"), false)...))
	f.Add(appendFrameHeader(nil, frameHeader{typ: frameItem, size: 1 << 17}))
	f.Add(append(appendSmallFrame(nil, frameCredit, 1<<40), 0))
	c := &Conn{opts: ConnOptions{MaxPayload: 1 << 16}.withDefaults(), session: deadSession{}}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.largeArgs.free, c.largeResults.free = c.opts.MaxLargeMemory, c.opts.MaxLargeMemory
	f.Fuzz(func(t *testing.T, sent []byte) {
		in := &inlet{c: c, arrived: make(chan struct{})}
		in.attach(deadStream{}, newFrameReader(bytes.NewReader(sent), &c.stats))
		for n := 0; ; n++ {
			item, err := in.next(t.Context())
			if err == nil && len(item) <= len(sent) && n <= len(sent) {
				continue
			}
			if err == nil {
				t.Fatalf("got %d items and one of %d bytes out of %d", n, len(item), len(sent))
			}
			if _, again := in.next(t.Context()); again != err {
				t.Errorf("got %v and then %v", err, again)
			}
			break
		}
		if c.largeArgs.free != c.opts.MaxLargeMemory || c.largeResults.free != c.opts.MaxLargeMemory {
			t.Error("memory was not given back")
		}
	})
}

// deadSession and deadStream are a session and a stream that do nothing.
type (
	deadSession struct{ transport.Session }
	deadStream  struct{ transport.Stream }
)

func (deadSession) Err() error                      { return nil }
func (deadStream) Close() error                     { return nil }
func (deadStream) Write(b []byte) (int, error)      { return len(b), nil }
func (deadStream) SetReadDeadline(time.Time) error  { return nil }
func (deadStream) SetWriteDeadline(time.Time) error { return nil }
