package rmi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ledger is an object that remembers what was called.
type ledger struct {
	mu   sync.Mutex
	seen []string // guarded by mu
}

func (l *ledger) saw(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, what)
}

func (l *ledger) Add(a, b int) int { l.saw(fmt.Sprint("add ", a)); return a + b }
func (l *ledger) Pair() (string, int) {
	l.saw("pair")
	return "two", 2
}
func (l *ledger) Sleep(time.Duration) { l.saw("sleep") }
func (l *ledger) Fail(text string) error {
	l.saw("fail")
	return fmt.Errorf("%s: %w", text, errSoldOut)
}
func (l *ledger) Blob(n int) []byte {
	l.saw("blob")
	return make([]byte, n)
}

// ledgerObjects exports a ledger.
func ledgerObjects(t testing.TB) (*ledger, *Objects, *Errors) {
	t.Helper()
	table, err := NewErrors(Sentinel("shop.ErrSoldOut", errSoldOut))
	if err != nil {
		t.Fatal(err)
	}
	l, o := new(ledger), NewObjects(ObjectsOptions{Errors: table})
	if err := o.Export("ledger", l, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	return l, o, table
}

func TestBatchGoesInOneFrame(t *testing.T) {
	l, o, table := ledgerObjects(t)
	var seen []string
	counted := Chain(o, func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
			seen = append(seen, call.Method)
			if call.Method == "panics" {
				panic("in the middleware")
			}
			reply, err := next.Handle(ctx, call)
			reply.Metadata = Metadata{call.Method: "seen"}
			return reply, err
		})
	})
	a, b := connPair(t, nil, counted, ConnOptions{}, ConnOptions{})
	for name, h := range map[string]Handler{"connection": Chain(a, table.Restore), "objects": Chain(o, table.Restore), "split": Chain(counted, table.Restore, SplitBatches)} {
		t.Run(name, func(t *testing.T) {
			l.seen, seen = nil, nil
			batch := NewBatch(h, "ledger")
			sum := Add[int](batch, "add", 1, 2)
			pair := Add[[]any](batch, "pair")
			failed := Add[any](batch, "fail", "gone")
			none := Add[any](batch, "sleep", time.Second)
			unknown := Add[any](batch, "no_such")
			wrong := Add[int](batch, "pair")
			last := Add[float64](batch, "add", 3, 4)
			if _, err := sum.Result(); err == nil {
				t.Error("there is a result before the batch was carried out")
			}
			if err := batch.Do(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, err := sum.Result(); got != 3 || err != nil {
				t.Errorf("add: got %v, %v", got, err)
			}
			if got, err := pair.Result(); fmt.Sprint(got) != "[two 2]" || err != nil {
				t.Errorf("pair: got %v, %v", got, err)
			}
			if _, err := failed.Result(); !errors.Is(err, errSoldOut) || !strings.Contains(err.Error(), "gone") {
				t.Errorf("fail: got %v, want errSoldOut", err)
			}
			if got, err := none.Result(); got != nil || err != nil {
				t.Errorf("sleep: got %v, %v", got, err)
			}
			_, err := unknown.Result()
			wantError(t, err, Unimplemented, NotExecuted, "ledger has no method no_such")
			_, err = wrong.Result()
			wantError(t, err, Internal, Executed, "result of ledger.pair: want int")
			if got, err := last.Result(); got != 7 || err != nil {
				t.Errorf("add: got %v, %v", got, err)
			}
			if want := []string{"add 1", "pair", "fail", "sleep", "pair", "add 3"}; !slices.Equal(l.seen, want) {
				t.Errorf("the calls ran in the order %v, want %v", l.seen, want)
			}
			if want := []string{"add", "pair", "fail", "sleep", "no_such", "pair", "add"}; name != "objects" && !slices.Equal(seen, want) {
				t.Errorf("middleware saw %v, want %v", seen, want)
			}
			wantError(t, batch.Do(t.Context()), FailedPrecondition, NotExecuted, "was carried out before")
		})
	}
	if s := a.Stats(); s.FramesSent != 1 || s.FramesReceived != 1 {
		t.Errorf("%d frames were sent and %d came back, want 1 and 1", s.FramesSent, s.FramesReceived)
	}
	batch := NewBatch(a, "ledger")
	bad, good := Add[any](batch, "panics"), Add[int](batch, "add", 1, 1)
	if err := batch.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := bad.Result()
	wantError(t, err, Internal, Executed, "call ledger.panics: the handler panicked")
	if got, err := good.Result(); got != 2 || err != nil {
		t.Errorf("after a panic: got %v, %v", got, err)
	}
	waitUntil(t, "the end", func() bool { return !b.Busy() })
}

func TestBatchStopsWhereItIsTold(t *testing.T) {
	l, o, _ := ledgerObjects(t)
	a, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	batch := NewBatch(a, "ledger")
	batch.StopOnError = true
	first, failed, rest := Add[int](batch, "add", 1, 2), Add[any](batch, "fail", "x"), Add[int](batch, "add", 3, 4)
	if err := batch.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := first.Result(); got != 3 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	_, err := failed.Result()
	wantError(t, err, Unknown, Executed, "x: sold out")
	_, err = rest.Result()
	wantError(t, err, Aborted, NotExecuted, "call 2 of the batch failed")

	ctx, cancel := context.WithCancel(t.Context())
	h := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		if call.Method == "sleep" {
			cancel()
		}
		return o.Handle(context.WithoutCancel(ctx), call)
	})
	batch = NewBatch(SplitBatches(h), "ledger")
	begun, left := Add[any](batch, "sleep", time.Second), Add[int](batch, "add", 5, 6)
	if err := batch.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := begun.Result(); err != nil {
		t.Error(err)
	}
	_, err = left.Result()
	wantError(t, err, Canceled, NotExecuted, "not executed")
	if want := []string{"add 1", "fail", "sleep"}; !slices.Equal(l.seen, want) {
		t.Errorf("%v ran, want %v", l.seen, want)
	}
}

func TestBatchLimits(t *testing.T) {
	l, o, _ := ledgerObjects(t)
	a, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{MaxPayload: 100_000})
	fill := func(n int) (*Batch, []*Added[[]byte]) {
		b := NewBatch(a, "ledger")
		var all []*Added[[]byte]
		for range n {
			all = append(all, Add[[]byte](b, "blob", 30_000))
		}
		return b, all
	}
	b, all := fill(6)
	if err := b.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, f := range all {
		got, err := f.Result()
		switch {
		case i < 3:
			if len(got) != 30_000 || err != nil {
				t.Errorf("result %d: got %d bytes, %v", i, len(got), err)
			}
		case i == 3:
			wantError(t, err, ResourceExhausted, Executed, "larger than 100000 bytes")
		default:
			wantError(t, err, ResourceExhausted, NotExecuted, "larger than 100000 bytes")
		}
	}
	if len(l.seen) != 4 {
		t.Errorf("%d calls ran, want 4", len(l.seen))
	}

	b, all = fill(MaxBatch + 1)
	wantError(t, b.Do(t.Context()), ResourceExhausted, NotExecuted, "the batch has 1025 calls, and at most 1024 may go together")
	_, err := all[0].Result()
	wantError(t, err, ResourceExhausted, NotExecuted, "1025")
	data := appendHead(nil, cborList, MaxBatch+1)
	for range MaxBatch + 1 {
		data = append(data, 0x82, 0x60, 0x80)
	}
	_, err = a.Handle(t.Context(), &Call{Object: "ledger", Args: Payload{Type: ContentBatch, Data: data}})
	wantError(t, err, ResourceExhausted, NotExecuted, "the batch has 1025 calls")

	b = NewBatch(a, "ledger")
	Add[any](b, "add", 1, 2)
	Add[any](b, "add", func() {})
	wantError(t, b.Do(t.Context()), InvalidArgument, NotExecuted, "call 2 of the batch: ledger.add: argument 1")
	b = NewBatch(a, "ledger")
	Add[any](b, "add", make([]byte, 100_001))
	wantError(t, b.Do(t.Context()), ResourceExhausted, NotExecuted, "the most this node takes is 100000")
	if err := NewBatch(a, "ledger").Do(t.Context()); err != nil {
		t.Errorf("an empty batch: %v", err)
	}
	for name, call := range map[string]*Call{
		"names its methods itself":      {Object: "ledger", Method: "add", Args: Payload{Type: ContentBatch, Data: []byte{0x80}}},
		"want a batch, got null":        {Object: "ledger", Args: Payload{Type: ContentBatch, Data: []byte{0xf6}}},
		"call 1 of the batch: want a m": {Object: "ledger", Args: Payload{Type: ContentBatch, Data: []byte{0x81, 0x81, 0x60}}},
		"want a list of arguments":      {Object: "ledger", Args: Payload{Type: ContentBatch, Data: []byte{0x81, 0x82, 0x60, 0x00}}},
		"data after its end":            {Object: "ledger", Args: Payload{Type: ContentBatch, Data: []byte{0x80, 0x00}}},
	} {
		_, err := a.Handle(t.Context(), call)
		wantError(t, err, InvalidArgument, NotExecuted, name)
	}
	if len(l.seen) != 4 {
		t.Errorf("%d calls ran, want no more than before", len(l.seen))
	}
}

func TestBatchOneWay(t *testing.T) {
	for name, via := range map[string]bool{"connection": true, "objects": false} {
		l, o, _ := ledgerObjects(t)
		var h Handler = o
		if via {
			h, _ = connPair(t, nil, o, ConnOptions{}, ConnOptions{})
		}
		b := NewBatch(h, "ledger")
		b.Way = OneWay
		var want []string
		for i := range 20 {
			f := Add[any](b, "add", i, 0)
			defer func() {
				if _, err := f.Result(); err != nil {
					t.Errorf("%s: call %d: %v", name, i, err)
				}
			}()
			want = append(want, fmt.Sprint("add ", i))
		}
		if err := b.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "the calls", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.seen) == len(want)
		})
		if !slices.Equal(l.seen, want) {
			t.Errorf("%s: the calls ran in the order %v", name, l.seen)
		}
	}
}

// batchSamples are the payloads whose bytes are the protocol.
func batchSamples() map[string][]byte {
	b := NewBatch(nil, "cart")
	b.StopOnError = true
	Add[any](b, "add", "book", 2)
	Add[any](b, "total")
	request, err := b.encode()
	if err != nil {
		panic(err)
	}
	results := appendHead(nil, cborList, 2)
	results = outcome{result: []byte{0x18, 0x2a}}.appendTo(results, false)
	results = outcome{failure: &Error{Code: NotFound, Message: "no such thing", Execution: NotExecuted}}.appendTo(results, false)
	return map[string][]byte{"batch": request.Data, "batch_results": results}
}

func TestBatchGoldenBytes(t *testing.T) {
	for name, data := range batchSamples() {
		path := filepath.Join("testdata", "wire", name+".hex")
		if *update {
			if err := os.WriteFile(path, []byte(hexLines(data)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := hexLines(data); got != string(want) {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

func FuzzBatch(f *testing.F) {
	for _, data := range batchSamples() {
		f.Add(data)
	}
	f.Add([]byte{0x81, 0xf5})
	f.Add([]byte{0x82, 0xf5, 0x82, 0x61, 'm', 0x80})
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := decodeBatch(data); err == nil {
			again := &Batch{StopOnError: b.stopOnError}
			for _, c := range b.calls {
				again.calls = append(again.calls, batchCall{method: string(c.method), args: c.args})
			}
			p, err := again.encode()
			if err != nil {
				t.Fatalf("what was decoded cannot be encoded: %v", err)
			}
			second, err := decodeBatch(p.Data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b, second, cmp.AllowUnexported(batchRequest{}, batchedCall{})); diff != "" {
				t.Errorf("the batch changed (-first +second):\n%s", diff)
			}
		}
		for n := range 3 {
			outcomes, err := decodeOutcomes(Payload{Type: ContentBatch, Data: data}, n)
			if err != nil {
				continue
			}
			if len(outcomes) != n {
				t.Errorf("got %d outcomes, want %d", len(outcomes), n)
			}
			for _, o := range outcomes {
				if (o.failure == nil) == (o.result == nil) {
					t.Errorf("got %+v, want a result or a failure", o)
				}
			}
		}
	})
}
