package rmi

import (
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"farcall.dev/naming"
)

// shop has a method of every form that can be exported.
type shop struct{ closed bool }

func (*shop) GetFortune(name string) string                   { return "Hello, " + name + ". \n" }
func (*shop) Fail(ctx context.Context, text string) error     { return errors.New(text) }
func (*shop) Nothing()                                        {}
func (*shop) Zoom()                                           {}
func (*shop) Several(a int, b float64) (int, string, error)   { return a * 2, "x", nil }
func (*shop) Sum(start int, more ...int) int                  { return start + sumOf(more) }
func (*shop) Place(_ context.Context, o order) (order, error) { o.ID += "!"; return o, nil }
func (*shop) Any(v any) any                                   { return v }
func (*shop) Both(name string) (string, error)                { return name, io.EOF }
func (*shop) HTTPServer(context.Context) string               { return "on" }
func (*shop) Coded() error                                    { return Errorf(NotFound, "no %s", "sock") }
func (*shop) Panic(v string) string                           { panic("secret " + v) }
func (*shop) Unsendable() any                                 { return make(chan int) }
func (s *shop) Close() error                                  { s.closed = true; return nil }
func (*shop) RMIDocs() Docs {
	return Docs{
		Doc:        "A shop.",
		Methods:    map[string]string{"get_fortune": "Greets.", "Sum": "Adds."},
		Params:     map[string][]string{"GetFortune": {"name"}, "sum": {"start", "more"}},
		Idempotent: []string{"get_fortune"},
	}
}

func sumOf(ns []int) (sum int) {
	for _, n := range ns {
		sum += n
	}
	return sum
}

// exported returns a table with a shop, a greeting and the function add.
func exported(t testing.TB, opts ObjectsOptions) *Objects {
	t.Helper()
	o := NewObjects(opts)
	if err := o.Export("shop", &shop{}, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	add := func(a, b int) int { return a + b }
	if err := o.ExportFunc("add", add, ExportOptions{Docs: Docs{Params: map[string][]string{"": {"a", "b"}}}}); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestCallsReachTheirMethods(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	tests := []struct {
		object naming.Name
		method string
		args   []any
		want   any
	}{
		{"shop", "get_fortune", []any{"letian"}, "Hello, letian. \n"},
		{"shop", "GetFortune", []any{"letian"}, "Hello, letian. \n"},
		{"shop", "nothing", nil, nil},
		{"shop", "several", []any{21, 2}, []any{int64(42), "x"}},
		{"shop", "sum", []any{1}, int64(1)},
		{"shop", "sum", []any{1, 2, 3.0}, int64(6)},
		{"shop", "place", []any{order{ID: "7", At: at}}, map[string]any{"id": "7!", "ratio": 0.0, "at": at, "by": nil, "tally": nil}},
		{"shop", "any", []any{map[int]any{1: nil}}, map[any]any{int64(1): nil}},
		{"shop", "any", []any{nil}, nil},
		{"add", "", []any{3, 4}, int64(7)},
	}
	for _, tt := range tests {
		got, err := Invoke(t.Context(), o, tt.object, tt.method, tt.args...)
		if err != nil {
			t.Errorf("%s.%s%v: %v", tt.object, tt.method, tt.args, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got, sameValue); diff != "" {
			t.Errorf("%s.%s%v (-want +got):\n%s", tt.object, tt.method, tt.args, diff)
		}
	}
}

func TestCallsThatCannotBeCarriedOutSayWhy(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	methods := "any, both, coded, fail, get_fortune, http_server, nothing, panic, place, several, sum, unsendable, …"
	tests := []struct {
		object naming.Name
		method string
		args   []any
		code   Code
		want   string
	}{
		{"shopp", "x", nil, NotFound, `this node has nothing named "shopp"; did you mean shop?`},
		{"zebra", "x", nil, NotFound, `this node has nothing named "zebra"`},
		{"shop", "get_fortun", nil, Unimplemented, "shop has no method get_fortun; did you mean get_fortune? it has: " + methods},
		{"shop", "zebra", nil, Unimplemented, "shop has no method zebra; it has: " + methods},
		{"shop", "close", nil, Unimplemented, "shop has no method close; it has: " + methods},
		{"shop", "", nil, Unimplemented, "shop is an object; say which method to call: " + methods},
		{"add", "plus", nil, Unimplemented, `add is a function and has no method "plus"; call it by its own name: add(a: int, b: int) -> int`},
		{"shop", "get_fortune", []any{42}, InvalidArgument, "shop.get_fortune: argument 1 (name): want string, got an integer (42)"},
		{"shop", "get_fortune", []any{nil}, InvalidArgument, "shop.get_fortune: argument 1 (name): want string, got null"},
		{"shop", "get_fortune", nil, InvalidArgument, "shop.get_fortune: it takes 1 argument and got 0: get_fortune(name: string) -> string"},
		{"shop", "get_fortune", []any{"a", "b"}, InvalidArgument, "shop.get_fortune: it takes 1 argument and got 2: get_fortune(name: string) -> string"},
		{"shop", "several", []any{1}, InvalidArgument, "shop.several: it takes 2 arguments and got 1: several(int, float) -> (int, string)"},
		{"shop", "several", []any{1, "2"}, InvalidArgument, `shop.several: argument 2: want float, got a string ("2")`},
		{"shop", "sum", nil, InvalidArgument, "shop.sum: it takes at least 1 argument and got 0: sum(start: int, more: int...) -> int"},
		{"shop", "sum", []any{1, 2, "x"}, InvalidArgument, `shop.sum: argument 3 (more): want int, got a string ("x")`},
		{"shop", "place", []any{map[string]any{"items": []any{map[string]any{"count": 256}}}}, InvalidArgument,
			"shop.place: argument 1: items[0].count: want int, got an integer (256): uint8 holds 0 to 255"},
		{"shop", "any", []any{make(chan<- int)}, InvalidArgument, "shop.any: argument 1: chan<- int cannot travel: unsupported type: chan<- int"},
		{"shop", "any", []any{make(chan int)}, InvalidArgument, "shop.any: a sequence came as an argument, and it takes none"},
		{"add", "", []any{1}, InvalidArgument, "add: it takes 2 arguments and got 1: add(a: int, b: int) -> int"},
		{"add", "", []any{1, 2.5}, InvalidArgument, "add: argument 2 (b): want int, got a float (2.5): it has a fraction"},
	}
	for _, tt := range tests {
		_, err := Invoke(t.Context(), o, tt.object, tt.method, tt.args...)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != tt.code || e.Message != tt.want || e.Execution != NotExecuted {
			t.Errorf("%s.%s%v:\n got %v, %+v\nwant %v: %s, NotExecuted", tt.object, tt.method, tt.args, err, e, tt.code, tt.want)
		}
	}
	for _, c := range o.Counters() {
		if c.InFlight != 0 {
			t.Errorf("%s.%s: %d calls in flight, want none", c.Object, c.Method, c.InFlight)
		}
	}
}

func TestMalformedArgumentsAreTheCallersMistake(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	for _, method := range []string{"get_fortune", "several", "sum", "place"} {
		for _, data := range []string{"\x61a", "\x81", "\x82\x61a", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "\x9f\xff", "\x81\x61a\x00", "\x81\x61\xff", "\x82\x01\xfb\x00", "\x81\x81"} {
			_, err := o.Handle(t.Context(), &Call{Object: "shop", Method: method, Args: Payload{Data: []byte(data)}})
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != InvalidArgument || e.Execution != NotExecuted || !strings.HasPrefix(e.Message, "shop."+method+": ") {
				t.Errorf("%s(%x): got %v, want INVALID_ARGUMENT", method, data, err)
			}
		}
	}
}

func TestErrorsOfMethodsReachTheCaller(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	_, err := Invoke(t.Context(), o, "shop", "fail", "on purpose")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Unknown || e.Message != "on purpose" || e.Type != "*errors.errorString" || e.Execution != Executed {
		t.Errorf("got %+v", err)
	}
	_, err = Invoke(t.Context(), o, "shop", "coded")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != NotFound || e.Message != "no sock" || e.Execution != Executed {
		t.Errorf("got %+v", err)
	}
	if got, err := Invoke(t.Context(), o, "shop", "both", "x"); got != nil || !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v; want the error alone", got, err)
	}
	_, err = Invoke(t.Context(), o, "shop", "unsendable")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Internal || e.Execution != Executed || !strings.Contains(e.Message, "shop.unsendable was carried out, but its result cannot be sent: chan int") {
		t.Errorf("got %+v", err)
	}
}

// A result that contains itself would overflow the stack of the process.
func TestResultThatContainsItselfFailsItsCallOnly(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	ring := &node{Value: 1}
	ring.Next = ring
	if err := o.ExportFunc("ring", func() (*node, any) { return ring, nil }, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := Invoke(t.Context(), o, "ring", "")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Internal || !strings.Contains(e.Message, "contains itself") {
		t.Errorf("got %v", err)
	}
}

// A method that hands on the failure of a call that it made was itself
// executed, so the call must not be repeated as if it had not been.
func TestFailureOfAnInnerCallCountsAsExecuted(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	inner := &Error{Code: Unavailable, Message: "gone", Execution: NotExecuted, Remote: true, Trace: "secret"}
	if err := o.ExportFunc("outer", func() error { return inner }, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := Invoke(t.Context(), o, "outer", "")
	if e, ok := errors.AsType[*Error](err); !ok || e.Execution != Executed || e.Code != Unavailable || e.Trace != "" {
		t.Errorf("got %+v, want UNAVAILABLE, Executed, without a trace", e)
	}
	if inner.Execution != NotExecuted || inner.Trace != "secret" {
		t.Error("the method's own error was changed")
	}
}

func TestContextReachesTheMethod(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	started := make(chan struct{})
	wait := func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		return ctx.Err()
	}
	if err := o.ExportFunc("wait", wait, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Invoke(ctx, o, "wait", "")
		done <- err
	}()
	<-started
	if c := counterOf(o, "wait", ""); c.InFlight != 1 {
		t.Errorf("got %+v, want one call in flight", c)
	}
	cancel()
	err := <-done
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Canceled || e.Execution != Executed || !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v, want CANCELED, Executed", err)
	}
	_, err = Invoke(ctx, o, "shop", "nothing")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Canceled || e.Execution != NotExecuted {
		t.Errorf("got %+v, want CANCELED, NotExecuted", err)
	}
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = Invoke(expired, o, "shop", "nothing")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != DeadlineExceeded {
		t.Errorf("got %+v, want DEADLINE_EXCEEDED", err)
	}
}

func counterOf(o *Objects, object naming.Name, method string) MethodCounters {
	for _, c := range o.Counters() {
		if c.Object == object && c.Method == method {
			return c
		}
	}
	return MethodCounters{}
}

func TestMethodsLearnOfTheirCall(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	var info CallInfo
	var ok bool
	if err := o.ExportFunc("who", func(ctx context.Context) { info, ok = CallFrom(ctx) }, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx := WithMetadata(WithMetadata(t.Context(), Metadata{"a": "1", "b": "1"}), Metadata{"b": "2"})
	if _, err := Invoke(ctx, o, "who", ""); err != nil {
		t.Fatal(err)
	}
	want := CallInfo{Object: "who", Metadata: Metadata{"a": "1", "b": "2"}}
	if diff := cmp.Diff(want, info, cmpopts.IgnoreUnexported(CallInfo{})); !ok || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	info.Metadata["a"] = "changed"
	if outgoingOf(ctx).metadata["a"] != "1" {
		t.Error("the method's metadata are the caller's")
	}
	call := &Call{Object: "who", Peer: Peer{Node: "n1", Protocol: "mesh"}}
	if _, err := o.Handle(t.Context(), call); err != nil || info.Peer.Node != "n1" {
		t.Errorf("got peer %+v, error %v", info.Peer, err)
	}
	if _, ok := CallFrom(t.Context()); ok {
		t.Error("a context without a call has one")
	}
}

// Arguments that a method keeps are not written to by the next call.
func TestKeptArgumentsStayAsTheyWere(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	var kept [][]byte
	var lists [][]int
	keep := func(b []byte, l []int) { kept, lists = append(kept, b), append(lists, l) }
	if err := o.ExportFunc("keep", keep, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		call, err := NewCall(t.Context(), "keep", "", []byte{byte(i)}, []int{i})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Handle(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		clear(call.Args.Data) // the handler may use it again
	}
	for i := range kept {
		if kept[i][0] != byte(i) || lists[i][0] != i {
			t.Errorf("call %d: kept %v and %v", i, kept[i], lists[i])
		}
	}
}

func TestConcurrentCallsExportsAndRemovals(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 50 {
				if got, err := InvokeAs[int](t.Context(), o, "shop", "sum", w, i); err != nil || got != w+i {
					t.Errorf("sum: got %d, %v", got, err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			if err := o.ExportFunc("other", func() {}, ExportOptions{}); err != nil {
				t.Error(err)
			}
			if !o.Remove("other") {
				t.Error("nothing to remove")
			}
		}
	})
	wg.Wait()
	if c := counterOf(o, "shop", "sum"); c.Calls != 400 || c.Errors != 0 || c.InFlight != 0 {
		t.Errorf("got %+v, want 400 calls", c)
	}
}

func TestCountersCountErrors(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	Invoke(t.Context(), o, "shop", "coded")
	Invoke(t.Context(), o, "shop", "Coded", 1)
	Invoke(t.Context(), o, "shop", "panic", "x")
	if c := counterOf(o, "shop", "coded"); c.Calls != 2 || c.Errors != 2 {
		t.Errorf("got %+v, want 2 calls and 2 errors", c)
	}
	if c := counterOf(o, "shop", "panic"); c.Calls != 1 || c.Errors != 1 || c.InFlight != 0 {
		t.Errorf("got %+v, want 1 call and 1 error", c)
	}
}

func TestKnownFoldsSpellings(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	for _, spelt := range []string{"get_fortune", "GetFortune"} {
		if name, method, ok := o.Known("shop", spelt); !ok || name != "shop" || method != "get_fortune" {
			t.Errorf("%s: got %q, %q, %t", spelt, name, method, ok)
		}
	}
	if !o.Idempotent("shop", "GetFortune") || o.Idempotent("shop", "sum") || o.Idempotent("x", "y") {
		t.Error("wrong methods are idempotent")
	}
	for _, c := range []Call{{Object: "shop", Method: "zebra"}, {Object: "shop"}, {Object: "zebra"}, {Object: "add", Method: "x"}} {
		if _, _, ok := o.Known(c.Object, c.Method); ok {
			t.Errorf("%s.%s is known", c.Object, c.Method)
		}
	}
	if n := testing.AllocsPerRun(100, func() { o.Known("shop", "GetFortune") }); n != 0 {
		t.Errorf("Known allocates %v times", n)
	}
}

func TestRemoveAndNames(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	if diff := cmp.Diff([]naming.Name{"add", "shop"}, o.Names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !o.Remove("shop") || o.Remove("shop") {
		t.Error("Remove does not tell whether there was something")
	}
	if _, err := Invoke(t.Context(), o, "shop", "nothing"); err == nil {
		t.Error("a removed object was called")
	}
	if _, ok := o.Interface("shop"); ok {
		t.Error("a removed object is described")
	}
}

// wordCodec reads arguments as words in a text, and writes results as text.
type wordCodec struct{}

func (wordCodec) ContentType() ContentType { return 200 }

func (wordCodec) DecodeArgs(call *Call, params []reflect.Value, variadic bool) error {
	words := strings.Fields(string(call.Args.Data))
	if len(words) != len(params) {
		return &ArgumentCountError{Got: len(words)}
	}
	for i, p := range params {
		if p.Kind() != reflect.String {
			return &ArgumentError{Index: i + 1, Err: errors.New("only strings here")}
		}
		p.SetString(words[i])
	}
	return nil
}

func (wordCodec) EncodeResult(_ *Call, results []reflect.Value) ([]byte, error) {
	if len(results) == 0 {
		return nil, errors.New("nothing to write")
	}
	return []byte(results[0].String()), nil
}

func TestCodecAddsAContentType(t *testing.T) {
	o := exported(t, ObjectsOptions{Codecs: []Codec{wordCodec{}}})
	call := func(method, args string, typ ContentType) (Reply, error) {
		return o.Handle(t.Context(), &Call{Object: "shop", Method: method, Args: Payload{Type: typ, Data: []byte(args)}})
	}
	reply, err := call("get_fortune", "letian", 200)
	if err != nil || string(reply.Result.Data) != "Hello, letian. \n" || reply.Result.Type != 200 {
		t.Errorf("got %q, %v", reply.Result.Data, err)
	}
	for _, tt := range []struct{ method, args, want string }{
		{"get_fortune", "a b", "shop.get_fortune: it takes 1 argument and got 2: get_fortune(name: string) -> string"},
		{"several", "a b", "shop.several: argument 1: only strings here"},
		{"nothing", "", "shop.nothing was carried out, but its result cannot be sent: nothing to write"},
	} {
		if _, err := call(tt.method, tt.args, 200); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.method, err, tt.want)
		}
	}
	_, err = call("get_fortune", "x", 201)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Unimplemented || e.Execution != NotExecuted {
		t.Errorf("got %v, want UNIMPLEMENTED", err)
	}
}
