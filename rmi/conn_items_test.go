package rmi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/transport"
)

// source is an object with endless streams that tells what becomes of them.
type source struct {
	produced atomic.Int64
	ended    chan error // the cause of a method's context, once a stream has ended
	size     int        // of an item, in bytes
}

func newSource() *source { return &source{ended: make(chan error, 2000)} }

// Endless yields items until nobody wants more.
func (s *source) Endless(ctx context.Context) iter.Seq[[]byte] {
	context.AfterFunc(ctx, func() { s.ended <- context.Cause(ctx) })
	return func(yield func([]byte) bool) {
		for s.produced.Add(1); yield(make([]byte, s.size)); s.produced.Add(1) {
		}
	}
}

// Silent returns a stream without an item that does not end.
func (s *source) Silent(ctx context.Context) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		<-ctx.Done()
		s.ended <- context.Cause(ctx)
		yield(0, ctx.Err())
	}
}

// Hold waits with its argument unread until its context ends.
func (s *source) Hold(ctx context.Context, in iter.Seq2[[]byte, error]) error {
	<-ctx.Done()
	s.ended <- context.Cause(ctx)
	return ctx.Err()
}

// First reads one item.
func (s *source) First(in iter.Seq2[[]byte, error]) (n int, err error) {
	for item, err := range in {
		return len(item), err
	}
	return 0, nil
}

// Echo answers with what it gets.
func (s *source) Echo(v any) any { return v }

// exportSource returns an Objects with s as "source".
func exportSource(t *testing.T, s *source) *Objects {
	t.Helper()
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("source", s, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	return o
}

// open returns a stream of the source behind h.
func open(ctx context.Context, t *testing.T, h Handler, method string) *Stream[any] {
	t.Helper()
	s, err := InvokeAs[*Stream[any]](ctx, h, "source", method)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantFailure fails the test unless err is an *Error of code with text in it.
func wantFailure(t *testing.T, err error, code Code, text string) {
	t.Helper()
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %v, want %v with %q", err, code, text)
	}
}

// The producer makes no more items than the consumer has allowed, even while
// nothing of it was read.
func TestItemsKeepToTheirCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		a, b := connPair(t, nil, exportSource(t, src), ConnOptions{}, ConnOptions{})
		s := open(t.Context(), t, a, "endless")
		for read := range 100 {
			synctest.Wait()
			granted := 0
			if read > 0 { // the item that was read last is not used up yet
				granted = (read - 1) / creditStep * creditStep
			}
			if got, want := int(src.produced.Load()), itemCredit+granted; got != want {
				t.Fatalf("after %d items were read, %d were produced, want %d", read, got, want)
			}
			if _, err := s.Recv(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		synctest.Wait()
		if got := src.produced.Load(); got > 132 {
			t.Errorf("%d items were produced in the end, want no more than 132", got)
		}
		if cause := <-src.ended; !errors.Is(cause, context.Canceled) {
			t.Errorf("the method's context ended because of %v, want a cancellation", cause)
		}
		wantNoItems(t, a, b)
	})
}

// A stream that nobody reads, of items large enough to fill every window, holds
// up neither small calls nor other streams.
func TestItemsOfASlowReaderHoldUpNobodyElse(t *testing.T) {
	for name, sessions := range map[string]func(testing.TB) (transport.Session, transport.Session){
		"in memory": func(testing.TB) (transport.Session, transport.Session) {
			return transport.Pipe(transport.Options{}, transport.Options{})
		},
		"over loopback": realSessions,
	} {
		t.Run(name, func(t *testing.T) {
			slow, quick := newSource(), newSource()
			slow.size = 1 << 20
			o := exportSource(t, slow)
			if err := o.Export("quick", quick, ExportOptions{}); err != nil {
				t.Fatal(err)
			}
			sa, sb := sessions(t)
			a, b := NewConn(sa, nil, ConnOptions{}), NewConn(sb, o, ConnOptions{})
			defer a.Close()
			defer b.Close()
			stuck := open(t.Context(), t, a, "endless")
			waitUntil(t, "the slow stream to fill its window", func() bool { return slow.produced.Load() > 0 })
			s, err := InvokeAs[*Stream[[]byte]](t.Context(), a, "quick", "endless")
			if err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				if _, err := Invoke(t.Context(), a, "source", "echo", 1); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Recv(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := slow.produced.Load(); n > itemCredit {
				t.Errorf("the slow stream produced %d items, want at most %d", n, itemCredit)
			}
			if v, err := stuck.Recv(t.Context()); err != nil || len(v.([]byte)) != slow.size {
				t.Errorf("the slow stream brought %v, want an item of %d bytes", err, slow.size)
			}
			stuck.Close()
			s.Close()
			waitFor(t, "the end of the slow method", slow.ended)
			wantNoItems(t, a, b)
		})
	}
}

// However a stream ends on one side, the other side's method or sequence ends at
// once, even while it waits for something else.
func TestItemsEndOnBothSidesAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(a, b *Conn, s *Stream[any], cancel func())
		code Code
		text string
	}{
		"close":         {func(_, _ *Conn, s *Stream[any], _ func()) { s.Close() }, Canceled, "closed"},
		"caller's end":  {func(_, _ *Conn, _ *Stream[any], cancel func()) { cancel() }, Canceled, "given up"},
		"caller closes": {func(a, _ *Conn, _ *Stream[any], _ func()) { a.Close() }, Unavailable, "broke while the stream"},
		"server closes": {func(_, b *Conn, _ *Stream[any], _ func()) { b.Close() }, Unavailable, "broke while the stream"},
	} {
		for _, method := range []string{"silent", "endless"} {
			t.Run(name+" "+method, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					src := newSource()
					a, b := connPair(t, nil, exportSource(t, src), ConnOptions{}, ConnOptions{})
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					s := open(ctx, t, a, method)
					synctest.Wait()
					tc.end(a, b, s, cancel)
					synctest.Wait()
					select {
					case cause := <-src.ended:
						if cause == nil {
							t.Error("the method's context ended without a cause")
						}
					default:
						t.Error("the method goes on")
					}
					var err error
					for err == nil {
						_, err = s.Recv(t.Context())
					}
					wantFailure(t, err, tc.code, tc.text)
					wantNoItems(t, a, b)
				})
			})
		}
	}
}

func TestItemsEndWithTheCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		a, b := connPair(t, nil, exportSource(t, src), ConnOptions{}, ConnOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := open(ctx, t, a, "silent").Recv(t.Context())
		wantFailure(t, err, DeadlineExceeded, "")
		if got := time.Since(start); got != time.Second {
			t.Errorf("it ended after %v, want 1s", got)
		}
		if cause := <-src.ended; !errors.Is(cause, context.DeadlineExceeded) && !errors.Is(cause, context.Canceled) {
			t.Errorf("the method's context ended because of %v", cause)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("the method ended after %v, want 1s", got)
		}
		wantNoItems(t, a, b)
	})
}

// A deadline for the reply alone is no deadline for the stream that it brings;
// it is one for the method until that has replied.
func TestItemsOutliveADeadlineForTheReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		o := exportSource(t, src)
		slow := func(ctx context.Context) (iter.Seq[int], error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		if err := o.ExportFunc("slow", slow, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
		ask := func(object string, method string) (Reply, error) {
			call, err := NewCall(t.Context(), "source", method)
			if err != nil {
				t.Fatal(err)
			}
			call.Object, call.Timeout = "source", time.Second
			if object != "" {
				call.Object, call.Method = "slow", ""
			}
			return a.Handle(t.Context(), call)
		}
		if _, err := ask("slow", ""); err == nil || FromError(err).Code != DeadlineExceeded {
			t.Errorf("a method that does not reply: got %v, want DEADLINE_EXCEEDED", err)
		}
		reply, err := ask("", "endless")
		if err != nil {
			t.Fatal(err)
		}
		var s *Stream[[]byte]
		if err := DecodeValue(reply.Result, &s); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			<-time.After(time.Second)
			if _, err := s.Recv(t.Context()); err != nil {
				t.Fatalf("the stream ended with %v", err)
			}
		}
		s.Close()
		<-src.ended
		wantNoItems(t, a, b)
	})
}

// A wait that is given up does the stream no harm, be it in the middle of an item.
func TestRecvMayBeTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, raw := rawPair(t, nil, ConnOptions{})
		s, items := rawStream(t, c, raw)
		frame := append(appendFrameHeader(nil, frameHeader{typ: frameItem, size: 200_005}), appendHead(nil, cborBytes, 200_000)...)
		frame = append(frame, make([]byte, 200_000)...)
		for _, piece := range [][]byte{nil, frame[:1], frame[1:2], frame[2:1000], frame[1000:150_000], frame[150_000 : len(frame)-1]} {
			items.Write(piece)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := s.Recv(ctx)
			cancel()
			wantFailure(t, err, DeadlineExceeded, "")
		}
		items.Write(frame[len(frame)-1:])
		if v, err := s.Recv(t.Context()); err != nil || len(v.([]byte)) != 200_000 {
			t.Fatalf("got %v, want the item", err)
		}
		if free := c.largeResults.free; free != c.opts.MaxLargeMemory {
			t.Errorf("%d bytes are free after the item, want %d", free, c.opts.MaxLargeMemory)
		}
		items.Write(appendSmallFrame(nil, frameEnd, 0))
		if _, err := s.Recv(t.Context()); err != io.EOF {
			t.Errorf("got %v, want EOF", err)
		}
		items.Close()
		wantNoItems(t, c)
	})
}

// A stream that nobody reads, or that nobody has any more, does not live on.
func TestItemsOfAbandonedStreamsEnd(t *testing.T) {
	src := newSource()
	for name, h := range map[string]func() Handler{
		"in process": func() Handler { return exportSource(t, src) },
		"over a connection": func() Handler {
			a, b := connPair(t, nil, exportSource(t, src), ConnOptions{}, ConnOptions{})
			t.Cleanup(func() { wantNoItems(t, a, b) })
			return a
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := h()
			s := open(t.Context(), t, h, "endless")
			if _, err := s.Recv(t.Context()); err != nil {
				t.Fatal(err)
			}
			s = nil
			seq, err := InvokeAs[iter.Seq2[any, error]](t.Context(), h, "source", "endless")
			if err != nil {
				t.Fatal(err)
			}
			_ = seq
			seq = nil
			for range 2 {
				waitUntil(t, "the end of an abandoned stream", func() bool {
					runtime.GC()
					return len(src.ended) > 0
				})
				<-src.ended
			}
		})
	}
}

// The sequences of the arguments end with the call, whatever the method did with
// them, and wherever it failed.
func TestItemsOfArgumentsEndWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		o := exportSource(t, src)
		a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{MaxInFlight: 2})
		var ended atomic.Int64
		endless := iter.Seq[[]byte](func(yield func([]byte) bool) {
			for yield(make([]byte, 10)) {
			}
			ended.Add(1)
		})
		wantEnded := func(what string) {
			t.Helper()
			synctest.Wait()
			if n := ended.Swap(0); n > 1 || n == 0 && !strings.Contains(what, "refused") {
				t.Errorf("%s: the sequence ended %d times, want once", what, n)
			}
			if a.items.live.Load()+b.items.live.Load() != 0 {
				t.Errorf("%s: %d and %d item streams are left", what, a.items.live.Load(), b.items.live.Load())
			}
		}
		if n, err := InvokeAs[int](t.Context(), a, "source", "first", endless); err != nil || n != 10 {
			t.Errorf("got %d, %v, want 10", n, err)
		}
		wantEnded("a method that reads one item")
		if _, err := Invoke(t.Context(), a, "source", "echo", endless); err == nil || FromError(err).Code != InvalidArgument {
			t.Errorf("got %v, want INVALID_ARGUMENT", err)
		}
		wantEnded("a method that takes no sequence")
		if _, err := Invoke(t.Context(), a, "nothing", "there", endless); err == nil || FromError(err).Code != NotFound {
			t.Errorf("got %v, want NOT_FOUND", err)
		}
		wantEnded("an object that is not there")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Invoke(ctx, a, "source", "hold", endless); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		<-src.ended
		wantEnded("a call that is given up")
		ctx, cancel = context.WithCancel(t.Context())
		for range 2 {
			go Invoke(ctx, a, "source", "hold", nil)
		}
		synctest.Wait()
		if _, err := Invoke(t.Context(), a, "source", "first", endless); err == nil || FromError(err).Code != ResourceExhausted {
			t.Errorf("got %v, want RESOURCE_EXHAUSTED", err)
		}
		cancel()
		<-src.ended
		<-src.ended
		wantEnded("a call that is refused")
		pass(11 * time.Second) // what nobody claims is forgotten by then
		wantNoItems(t, a, b)
	})
}

// pass lets d pass on the clock of a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

func TestManyItemStreamsAtOnce(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("streamer", streamer{}, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	sa, sb := realSessions(t)
	a, b := NewConn(sa, nil, ConnOptions{}), NewConn(sb, o, ConnOptions{})
	defer a.Close()
	defer b.Close()
	const n = 1000
	streams := make([]*Stream[int], n)
	for i := range streams {
		var err error
		if streams[i], err = InvokeAs[*Stream[int]](t.Context(), a, "streamer", "count", 40+i%40); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i, s := range streams {
		all.Go(func() {
			got, err := collect(s.All())
			if err != nil || len(got) != 40+i%40 || !slices.IsSorted(got) {
				t.Errorf("stream %d: got %d items, %v, want %d in order", i, len(got), err, 40+i%40)
			}
		})
	}
	all.Wait()
	wantNoItems(t, a, b)
}

// Items of every size arrive whole, in order.
func TestItemsOfEverySize(t *testing.T) {
	sizes := []int{0, 1, 4095, 4096, 4097, LargePayload, maxFrame - 5, maxFrame, maxFrame + 1, 1 << 20, 3}
	h := streamHandlers(t, func(o *Objects) {
		back := func(in iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] { return in }
		if err := o.ExportFunc("back", back, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	for name, h := range h {
		t.Run(name, func(t *testing.T) {
			s, err := InvokeAs[*Stream[[]byte]](t.Context(), h, "back", "", iter.Seq[[]byte](func(yield func([]byte) bool) {
				for i, n := range sizes {
					if !yield(bytes.Repeat([]byte{byte(i)}, n)) {
						return
					}
				}
			}))
			if err != nil {
				t.Fatal(err)
			}
			got, err := collect(s.All())
			if err != nil || len(got) != len(sizes) {
				t.Fatalf("got %d items, %v, want %d", len(got), err, len(sizes))
			}
			for i, n := range sizes {
				if !bytes.Equal(got[i], bytes.Repeat([]byte{byte(i)}, n)) {
					t.Errorf("item %d has %d bytes, want %d", i, len(got[i]), n)
				}
			}
		})
	}
}

// A connection that is left waits for its streams.
func TestShutdownWaitsForItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := NewObjects(ObjectsOptions{})
		if err := o.Export("streamer", streamer{}, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		for _, side := range []string{"consumer", "producer"} {
			a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
			s, err := InvokeAs[*Stream[int]](t.Context(), a, "streamer", "count", 100)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() {
				if side == "consumer" {
					done <- a.Shutdown(t.Context())
				} else {
					done <- b.Shutdown(t.Context())
				}
			}()
			synctest.Wait()
			select {
			case err := <-done:
				t.Errorf("%s left with %v while a stream was under way", side, err)
			default:
			}
			if got, err := collect(s.All()); err != nil || len(got) != 100 {
				t.Errorf("%s: got %d items, %v, want 100", side, len(got), err)
			}
			if err := <-done; err != nil {
				t.Errorf("%s: %v", side, err)
			}
		}
	})
}

func TestConnLimitsItemStreams(t *testing.T) {
	src := newSource()
	for name, tc := range map[string]struct {
		oa, ob    ConnOptions
		text      string
		execution Execution
	}{
		"of the producer": {ConnOptions{}, ConnOptions{MaxStreams: 2}, "2 item streams go to node a", Executed},
		"of the consumer": {ConnOptions{MaxStreams: 2}, ConnOptions{}, "2 item streams come from node b", Executed},
	} {
		t.Run("results, "+name, func(t *testing.T) {
			a, b := connPair(t, nil, exportSource(t, src), tc.oa, tc.ob)
			kept := []*Stream[any]{open(t.Context(), t, a, "endless"), open(t.Context(), t, a, "endless")}
			_, err := Invoke(t.Context(), a, "source", "endless")
			wantError(t, err, ResourceExhausted, tc.execution, tc.text)
			kept[0].Close()
			waitUntil(t, "room for another", func() bool { return a.items.in.Load() < 2 && b.items.out.Load() < 2 })
			open(t.Context(), t, a, "endless").Close()
			kept[1].Close()
			wantNoItems(t, a, b)
		})
		t.Run("arguments, "+name, func(t *testing.T) {
			a, b := connPair(t, nil, exportSource(t, src), tc.ob, tc.oa)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var held sync.WaitGroup
			endless := iter.Seq[[]byte](func(yield func([]byte) bool) {
				for yield(nil) {
				}
			})
			for range 2 {
				held.Go(func() { Invoke(ctx, a, "source", "hold", endless) })
			}
			waitUntil(t, "two calls with streams", func() bool { return b.items.live.Load() == 2 })
			_, err := Invoke(t.Context(), a, "source", "first", endless)
			wantError(t, err, ResourceExhausted, NotExecuted, "2 item streams")
			cancel()
			held.Wait()
			for range 2 {
				waitFor(t, "the end of a call", src.ended)
			}
			a.Close()
			b.Close()
			wantNoItems(t, a, b)
		})
	}
	a, _ := connPair(t, nil, exportSource(t, src), ConnOptions{}, ConnOptions{})
	many := make([]any, MaxStreamsPerCall+1)
	for i := range many {
		many[i] = slices.Values([]int{i})
	}
	_, err := Invoke(t.Context(), a, "source", "echo", many...)
	wantError(t, err, InvalidArgument, NotExecuted, "too many sequences")
}

// A stream that comes with a result which is refused is closed when it comes, and
// not when nobody has claimed it for a while.
func TestItemsOfARefusedResultEndAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newSource()
		a, b := connPair(t, nil, exportSource(t, src), ConnOptions{MaxStreams: 1}, ConnOptions{})
		kept := open(t.Context(), t, a, "endless")
		_, err := Invoke(t.Context(), a, "source", "silent")
		wantError(t, err, ResourceExhausted, Executed, "1 item streams come from node b")
		synctest.Wait()
		if got := b.items.live.Load(); got != 1 || len(src.ended) != 1 {
			t.Errorf("%d streams go on, and %d methods have ended, want 1 and 1", got, len(src.ended))
		}
		kept.Close()
		wantNoItems(t, a, b)
	})
}
