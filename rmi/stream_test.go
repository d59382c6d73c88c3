package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// tick is an item of a stream.
type tick struct {
	Symbol string
	N      int
}

// streamer has a method for each form of a sequence.
type streamer struct{}

func (streamer) Count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func (streamer) Pairs(n int) iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for i := range n {
			if !yield(fmt.Sprint("k", i), i) {
				return
			}
		}
	}
}

func (streamer) Fail(n int) (iter.Seq2[int, error], error) {
	if n < 0 {
		return nil, errSoldOut
	}
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		yield(0, fmt.Errorf("after %d items: %w", n, errSoldOut))
	}, nil
}

func (streamer) Channel(ctx context.Context, n int) <-chan tick {
	ch := make(chan tick)
	go func() {
		defer close(ch)
		for i := range n {
			select {
			case ch <- tick{fmt.Sprint(i), i}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

func (streamer) Several() (string, iter.Seq[int], []string) {
	return "first", slices.Values([]int{1, 2}), []string{"last"}
}

func (streamer) None() (iter.Seq[int], <-chan int, *Stream[string]) { return nil, nil, nil }

func (streamer) Sum(in iter.Seq[int]) (sum int) {
	for n := range in {
		sum += n
	}
	return sum
}

func (streamer) SumPairs(in iter.Seq2[string, int]) map[string]int { return maps.Collect(in) }

func (streamer) SumFallible(in iter.Seq2[int, error]) (sum int, err error) {
	for n, err := range in {
		if err != nil {
			return sum, fmt.Errorf("after %d: %w", sum, err)
		}
		sum += n
	}
	return sum, nil
}

func (streamer) SumChannel(in <-chan int) (sum int) {
	for n := range in {
		sum += n
	}
	return sum
}

func (streamer) SumStream(ctx context.Context, in *Stream[int]) (sum int, err error) {
	for {
		n, err := in.Recv(ctx)
		if err == io.EOF {
			return sum, nil
		} else if err != nil {
			return sum, err
		}
		sum += n
	}
}

// Double answers each item with its double, both ways at once.
func (streamer) Double(in iter.Seq2[int, error]) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for n, err := range in {
			if !yield(2*n, err) {
				return
			}
		}
	}
}

// Back gives back what it gets.
func (streamer) Back(in *Stream[int]) *Stream[int] { return in }

// streamHandlers returns ways to a streamer: in this process, and over a
// connection.
func streamHandlers(t *testing.T, export func(*Objects)) map[string]Handler {
	t.Helper()
	table, err := NewErrors(Sentinel("shop.ErrSoldOut", errSoldOut))
	if err != nil {
		t.Fatal(err)
	}
	o := NewObjects(ObjectsOptions{Errors: table})
	if err := o.Export("streamer", streamer{}, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	if export != nil {
		export(o)
	}
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	t.Cleanup(func() { wantNoItems(t, a, b) })
	return map[string]Handler{"in process": Chain(o, table.Restore), "over a connection": Chain(a, table.Restore)}
}

// wantNoItems waits until no item stream is held by any of conns.
func wantNoItems(t *testing.T, conns ...*Conn) {
	t.Helper()
	for _, c := range conns {
		waitUntil(t, "the end of all item streams", func() bool {
			runtime.GC() // for streams that nobody has any more
			return c.items.in.Load() == 0 && c.items.out.Load() == 0 && c.items.live.Load() == 0
		})
	}
}

// collect reads a sequence with an error.
func collect[T any](seq iter.Seq2[T, error]) (all []T, err error) {
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

func TestStreamResultsInEveryForm(t *testing.T) {
	for name, h := range streamHandlers(t, nil) {
		t.Run(name, func(t *testing.T) {
			const n = 100 // more than the credit at the start
			want := slices.Collect(streamer{}.Count(n))
			s, err := InvokeAs[*Stream[int]](t.Context(), h, "streamer", "count", n)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := collect(s.All()); err != nil || !slices.Equal(got, want) {
				t.Errorf("a Stream: got %v, %v, want %v", got, err, want)
			}
			if _, err := s.Recv(t.Context()); err != io.EOF {
				t.Errorf("after the end: got %v, want EOF", err)
			}
			seq, err := InvokeAs[iter.Seq2[int, error]](t.Context(), h, "streamer", "count", n)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := collect(seq); err != nil || !slices.Equal(got, want) {
				t.Errorf("a Seq2: got %v, %v, want %v", got, err, want)
			}
			if _, err := collect(seq); err == nil || FromError(err).Code != FailedPrecondition {
				t.Errorf("ranged over once more: got %v, want FAILED_PRECONDITION", err)
			}
			pairs, err := InvokeAs[*Stream[Pair[string, int]]](t.Context(), h, "streamer", "pairs", n)
			if err != nil {
				t.Fatal(err)
			}
			all, err := collect(pairs.All())
			if err != nil || len(all) != n || all[99].Key != "k99" || all[99].Value != 99 {
				t.Errorf("pairs: got %v, %v, want %d", all, err, n)
			}
			items, err := InvokeAs[*Stream[tick]](t.Context(), h, "streamer", "channel", n)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := collect(items.All()); err != nil || len(got) != n || got[7] != (tick{"7", 7}) {
				t.Errorf("a channel: got %v, %v, want %d items", got, err, n)
			}
			whatever, err := Invoke(t.Context(), h, "streamer", "channel", 2)
			if err != nil {
				t.Fatal(err)
			}
			got, err := collect(whatever.(*Stream[any]).All())
			if s := fmt.Sprint(got); err != nil || s != "[map[N:0 Symbol:0] map[N:1 Symbol:1]]" {
				t.Errorf("into any: got %v, %v", s, err)
			}
		})
	}
}

func TestStreamAmongSeveralResults(t *testing.T) {
	for name, h := range streamHandlers(t, nil) {
		t.Run(name, func(t *testing.T) {
			var stub struct {
				Several func() (string, iter.Seq2[int, error], []string, error)
				None    func(ctx context.Context) (iter.Seq2[int, error], *Stream[int], *Stream[string], error)
			}
			if err := Bind(h, "streamer", &stub); err != nil {
				t.Fatal(err)
			}
			first, seq, last, err := stub.Several()
			if err != nil || first != "first" || last[0] != "last" {
				t.Fatalf("got %v, %v, %v", first, last, err)
			}
			if got, err := collect(seq); err != nil || !slices.Equal(got, []int{1, 2}) {
				t.Errorf("got %v, %v, want 1 and 2", got, err)
			}
			list, err := Invoke(t.Context(), h, "streamer", "several")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := collect(list.([]any)[1].(*Stream[any]).All()); err != nil || len(got) != 2 {
				t.Errorf("into any: got %v, %v, want two items", got, err)
			}
			a, b, c, err := stub.None(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n, err := collect(a)
			if _, errB := b.Recv(t.Context()); err != nil || len(n) != 0 || errB != io.EOF {
				t.Errorf("nil sequences: got %v, %v, %v, want nothing", n, err, errB)
			}
			c.Close()
			if _, _, _, err := stub.Several(); err != nil { // the sequence is abandoned
				t.Fatal(err)
			}
			if err := InvokeInto(t.Context(), h, nil, "streamer", "count", 1000); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStreamArgumentsInEveryForm(t *testing.T) {
	for name, h := range streamHandlers(t, nil) {
		t.Run(name, func(t *testing.T) {
			const n, want = 100, 4950
			counted := streamer{}.Count(n)
			fallible := func(yield func(int, error) bool) {
				for i := range counted {
					if !yield(i, nil) {
						return
					}
				}
			}
			channel := func() <-chan int {
				ch := make(chan int, n)
				for i := range n {
					ch <- i
				}
				close(ch)
				return ch
			}
			list := slices.Collect(counted)
			for _, method := range []string{"sum", "sum_fallible", "sum_channel", "sum_stream"} {
				stream, err := InvokeAs[*Stream[int]](t.Context(), h, "streamer", "count", n)
				if err != nil {
					t.Fatal(err)
				}
				both := make(chan int, 1)
				close(both)
				for form, arg := range map[string]any{
					"Seq": counted, "fallible": iter.Seq2[int, error](fallible), "channel": channel(),
					"stream": stream, "list": list,
				} {
					got, err := InvokeAs[int](t.Context(), h, "streamer", method, arg)
					if err != nil || got != want {
						t.Errorf("%s of a %s: got %d, %v, want %d", method, form, got, err, want)
					}
				}
				if got, err := InvokeAs[int](t.Context(), h, "streamer", method, both); err != nil || got != 0 {
					t.Errorf("%s of a channel of both directions: got %d, %v, want 0", method, got, err)
				}
			}
			var stub struct {
				SumPairs func(iter.Seq2[string, int]) (map[string]int, error)
				Double   func(ctx context.Context, in <-chan int) (iter.Seq2[int, error], error)
			}
			if err := Bind(h, "streamer", &stub); err != nil {
				t.Fatal(err)
			}
			if got, err := stub.SumPairs(streamer{}.Pairs(40)); err != nil || len(got) != 40 || got["k39"] != 39 {
				t.Errorf("pairs: got %v, %v, want 40", got, err)
			}
			doubled, err := stub.Double(t.Context(), channel())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := collect(doubled); err != nil || len(got) != n || got[99] != 198 {
				t.Errorf("both ways: got %v, %v, want %d doubled", got, err, n)
			}
		})
	}
}

// A conversation: each item is sent when the answer to the last has come.
func TestStreamsBothWaysTakeTurns(t *testing.T) {
	for name, h := range streamHandlers(t, nil) {
		t.Run(name, func(t *testing.T) {
			in := make(chan int, 1)
			out, err := InvokeAs[*Stream[int]](t.Context(), h, "streamer", "double", in)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 200 {
				in <- n
				if got, err := out.Recv(t.Context()); err != nil || got != 2*n {
					t.Fatalf("got %d, %v, want %d", got, err, 2*n)
				}
			}
			close(in)
			if _, err := out.Recv(t.Context()); err != io.EOF {
				t.Errorf("at the end: got %v, want EOF", err)
			}
		})
	}
}

// A stream is passed on through a third, and comes back whole.
func TestStreamsArePassedOn(t *testing.T) {
	for name, h := range streamHandlers(t, nil) {
		t.Run(name, func(t *testing.T) {
			first, err := InvokeAs[*Stream[int]](t.Context(), h, "streamer", "count", 1000)
			if err != nil {
				t.Fatal(err)
			}
			second, err := InvokeAs[*Stream[int]](t.Context(), h, "streamer", "back", first)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := first.Recv(t.Context()); err == nil || err == io.EOF {
				t.Errorf("the stream that was passed on: got %v, want an error", err)
			}
			if got, err := collect(second.All()); err != nil || len(got) != 1000 || got[999] != 999 {
				t.Errorf("got %d items, %v, want 1000", len(got), err)
			}
			if _, err := Invoke(t.Context(), h, "streamer", "sum", first); err == nil || !strings.Contains(err.Error(), "passed on already") {
				t.Errorf("passed on twice: got %v, want an error", err)
			}
		})
	}
}

func TestStreamErrorsArriveAfterTheItems(t *testing.T) {
	for name, h := range streamHandlers(t, nil) {
		t.Run(name, func(t *testing.T) {
			s, err := InvokeAs[*Stream[int]](t.Context(), h, "streamer", "fail", 40)
			if err != nil {
				t.Fatal(err)
			}
			got, err := collect(s.All())
			if len(got) != 40 || !errors.Is(err, errSoldOut) || !strings.Contains(err.Error(), "after 40 items") {
				t.Errorf("got %d items and %v, want 40 and errSoldOut", len(got), err)
			}
			if _, again := s.Recv(t.Context()); again == nil || again.Error() != err.Error() {
				t.Errorf("read once more: got %v, want %v", again, err)
			}
			if _, err := InvokeAs[*Stream[int]](t.Context(), h, "streamer", "fail", -1); !errors.Is(err, errSoldOut) {
				t.Errorf("instead of a stream: got %v, want errSoldOut", err)
			}
		})
	}
}

// What becomes of a method whose argument breaks off: in the forms that can say
// so it learns of it, in the others its context ends and the call fails.
func TestStreamArgumentsThatBreakOff(t *testing.T) {
	causes := make(chan error, 1)
	var h map[string]Handler
	watch := func(ctx context.Context, in iter.Seq[int]) (n int, err error) {
		for range in {
			n++
		}
		causes <- context.Cause(ctx)
		return n, nil
	}
	h = streamHandlers(t, func(o *Objects) {
		if err := o.ExportFunc("watch", watch, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	broken := iter.Seq2[int, error](func(yield func(int, error) bool) {
		for i := range 3 {
			yield(i, nil)
		}
		yield(0, Errorf(Aborted, "the source ran dry"))
		if yield(1, nil) {
			t.Error("a sequence that has failed is asked for more")
		}
	})
	for name, h := range h {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"sum", "sum_fallible", "sum_channel", "sum_stream"} {
				_, err := Invoke(t.Context(), h, "streamer", method, broken)
				if e := FromError(err); err == nil || e.Code != Aborted || !strings.Contains(e.Message, "ran dry") {
					t.Errorf("%s: got %v, want the error of the sequence", method, err)
				}
			}
			if _, err := Invoke(t.Context(), h, "watch", "", broken); err == nil || FromError(err).Code != Aborted {
				t.Errorf("got %v, want the error of the sequence", err)
			}
			if cause := waitFor(t, "the cause", causes); cause == nil || FromError(cause).Code != Aborted {
				t.Errorf("the method's context ended because of %v, want the error of the sequence", cause)
			}
			_, err := Invoke(t.Context(), h, "streamer", "sum", slices.Values([]string{"word"}))
			if e := FromError(err); err == nil || e.Code != InvalidArgument || !strings.Contains(e.Message, "want int") {
				t.Errorf("items of another type: got %v, want INVALID_ARGUMENT", err)
			}
			s, err := InvokeAs[*Stream[string]](t.Context(), h, "streamer", "count", 3)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Recv(t.Context()); err == nil || FromError(err).Code != InvalidArgument {
				t.Errorf("a result's items of another type: got %v, want INVALID_ARGUMENT", err)
			}
		})
	}
}

func TestStreamPanicsBecomeErrors(t *testing.T) {
	panics := func(yield func(int) bool) {
		yield(1)
		panic("on purpose")
	}
	h := streamHandlers(t, func(o *Objects) {
		if err := o.ExportFunc("panics", func() iter.Seq[int] { return panics }, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	for name, h := range h {
		t.Run(name, func(t *testing.T) {
			s, err := InvokeAs[*Stream[int]](t.Context(), h, "panics", "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := collect(s.All())
			if e := FromError(err); len(got) != 1 || err == nil || e.Code != Internal || e.Trace != "" || strings.Contains(e.Message, "purpose") {
				t.Errorf("got %v and %v, want one item and INTERNAL without a trace", got, err)
			}
			if _, err := Invoke(t.Context(), h, "streamer", "sum", iter.Seq[int](panics)); err == nil || FromError(err).Code != Internal {
				t.Errorf("an argument that panics: got %v, want INTERNAL", err)
			}
		})
	}
}

func TestSequencesThatCannotTravelAreRefused(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	for _, tt := range []struct {
		fn   any
		want string
	}{
		{func(struct{ S iter.Seq[int] }) {}, "field S: iter.Seq[int] is a sequence, and one can only be a whole parameter or result"},
		{func([]<-chan int) {}, "<-chan int is a sequence, and one can only be a whole"},
		{func() iter.Seq[iter.Seq[int]] { return nil }, "is a sequence of sequences"},
		{func() iter.Seq[complex64] { return nil }, "an item of iter.Seq[complex64]: complex64 is a complex number"},
		{func(...iter.Seq[int]) {}, "parameter 1: iter.Seq[int] is a sequence, and one cannot be variadic"},
		{func(chan int) {}, "chan int is a channel, which cannot travel"},
		{func() map[string]*Stream[int] { return nil }, "is a sequence, and one can only"},
	} {
		if err := o.ExportFunc("f", tt.fn, ExportOptions{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%T: got %v, want %q", tt.fn, err, tt.want)
		}
	}
	var stub struct {
		Count func() (iter.Seq[int], error)
		Pairs func() (iter.Seq2[string, int], error)
		Chan  func() (<-chan int, error)
	}
	err := Bind(o, "x", &stub)
	for _, want := range []string{
		"iter.Seq[int] could not say that the stream broke off; use iter.Seq2[int, error] or *rmi.Stream[int]",
		"use iter.Seq2[rmi.Pair[string,int], error]", "<-chan int could not say",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := InvokeAs[iter.Seq[int]](t.Context(), exportedStreamer(t), "streamer", "count", 1); err == nil || !strings.Contains(err.Error(), "could not say") {
		t.Errorf("got %v, want why it cannot be", err)
	}
}

// exportedStreamer returns an Objects with a streamer.
func exportedStreamer(t *testing.T) *Objects {
	t.Helper()
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("streamer", streamer{}, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSequencesAreDescribed(t *testing.T) {
	info, _ := exportedStreamer(t).Interface("streamer")
	for method, want := range map[string]string{
		"count": "count(int) -> stream<int>", "pairs": "pairs(int) -> stream<string, int>", "fail": "fail(int) -> stream<int>",
		"channel": "channel(int) -> stream<{Symbol: string, N: int}>", "double": "double(stream<int>) -> stream<int>",
		"several": "several() -> (string, stream<int>, list<string>)", "sum_pairs": "sum_pairs(stream<string, int>) -> map<string, int>",
	} {
		m, ok := info.Method(method)
		if got := m.Signature(); !ok || got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	digests := map[string]bool{}
	for i, fn := range []any{
		func() []int { return nil }, func() iter.Seq[int] { return nil }, func() iter.Seq[string] { return nil },
		func() iter.Seq2[string, int] { return nil }, func() iter.Seq2[int, int] { return nil },
	} {
		o := NewObjects(ObjectsOptions{})
		if err := o.ExportFunc("f", fn, ExportOptions{}); err != nil {
			t.Fatal(err)
		}
		info, _ := o.Interface("f")
		if digests[info.Digest] {
			t.Errorf("function %d has the digest of another", i)
		}
		digests[info.Digest] = true
	}
}
