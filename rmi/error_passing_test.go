package rmi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"farcall.dev/naming"
)

// outOfStock is an error struct of an application.
type outOfStock struct {
	SKU  string `json:"sku"`
	Left int
	note string
}

func (e *outOfStock) Error() string { return fmt.Sprintf("%s: %d left", e.SKU, e.Left) }

// errno is an error that is no struct.
type errno int

func (e errno) Error() string { return fmt.Sprintf("errno %d", int(e)) }

// sulky cannot be encoded: its own method panics.
type sulky struct{ Mood string }

func (sulky) Error() string                { return "sulky" }
func (sulky) MarshalText() ([]byte, error) { return []byte("x"), nil }
func (*sulky) UnmarshalText([]byte) error  { panic("no") }

// shopErrors is the table of the tests.
func shopErrors(t testing.TB) *Errors {
	t.Helper()
	table, err := NewErrors(Sentinel("shop.ErrSoldOut", errSoldOut), ErrorType[*outOfStock]("shop.OutOfStock"),
		ErrorType[errno]("shop.Errno"), ErrorType[sulky]("shop.Sulky"))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// nodeObjects returns the objects of a node with a name.
func nodeObjects(t testing.TB, node naming.NodeID, opts ObjectsOptions) *Objects {
	t.Helper()
	space := NewSpace(SpaceOptions{Node: node, Incarnation: 1})
	t.Cleanup(space.Close)
	opts.Space = space
	return NewObjects(opts)
}

// exportFunc exports fn or fails the test.
func exportFunc(t testing.TB, o *Objects, name naming.Name, fn any) {
	t.Helper()
	if err := o.ExportFunc(name, fn, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestErrorStructsAreRecognisedAcrossTheWire(t *testing.T) {
	table := shopErrors(t)
	var result error
	o := nodeObjects(t, "far", ObjectsOptions{Errors: table})
	exportFunc(t, o, "f", func() error { return result })
	client, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	h := Chain(client, table.Restore)
	full := &outOfStock{SKU: "socks", Left: 2, note: "stays here"}

	for _, wrap := range []func(error) error{
		func(err error) error { return err },
		func(err error) error { return fmt.Errorf("shelf 4: %w", err) },
		func(err error) error { return errors.Join(io.EOF, errSoldOut, err, errno(7)) },
		func(err error) error { return Errorf(ResourceExhausted, "too few: %w", err) },
	} {
		result = wrap(full)
		_, err := Invoke(t.Context(), h, "f", "")
		got, ok := errors.AsType[*outOfStock](err)
		if !ok || *got != (outOfStock{SKU: "socks", Left: 2}) {
			t.Errorf("%v: got %+v, %t, want the exported fields of %+v", result, got, ok, full)
		}
		if want := FromError(result); FromError(err).Message != want.Message || FromError(err).Code != want.Code {
			t.Errorf("got %v, want %v", err, want)
		}
		for _, is := range []error{io.EOF, errSoldOut, errno(7)} {
			if errors.Is(err, is) != errors.Is(result, is) {
				t.Errorf("%v: errors.Is %v: got %t, want %t", result, is, errors.Is(err, is), errors.Is(result, is))
			}
		}
	}

	// Who does not know the type gets its name and its text.
	result = full
	_, err := Invoke(t.Context(), client, "f", "")
	if e := failure(t, err); e.Type != "*rmi.outOfStock" || e.Message != full.Error() {
		t.Errorf("got %+v, want the type's name and text", e)
	}
	if _, ok := errors.AsType[*outOfStock](err); ok {
		t.Error("an error was restored without a table")
	}
	result = sulky{}
	if _, err = Invoke(t.Context(), h, "f", ""); FromError(err).Message != "sulky" {
		t.Errorf("got %v, want the error without its value", err)
	}
	var none *outOfStock
	if _, ok := shopErrors(t).types["shop.OutOfStock"].encode(none); ok {
		t.Error("a nil pointer was encoded")
	}
}

func TestErrorValuesThatAreTooLargeAreLeftOut(t *testing.T) {
	table := shopErrors(t)
	var result error
	o := nodeObjects(t, "far", ObjectsOptions{Errors: table})
	exportFunc(t, o, "f", func() error { return result })
	client, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	h := Chain(client, table.Restore)
	for _, tt := range []struct {
		size int
		want bool
	}{{maxErrorValueSize - 100, true}, {maxErrorValueSize, false}} {
		result = errors.Join(&outOfStock{SKU: strings.Repeat("x", tt.size)}, errno(7), errSoldOut)
		_, err := Invoke(t.Context(), h, "f", "")
		if _, got := errors.AsType[*outOfStock](err); got != tt.want || !errors.Is(err, errno(7)) || !errors.Is(err, errSoldOut) {
			t.Errorf("%d bytes: got %t, want %t, and the other errors", tt.size, got, tt.want)
		}
	}
}

// passedAlong returns objects of a chain of nodes; each passes on to the one before,
// over a connection of its own, and the first fails with err.
func passedAlong(t *testing.T, err func() error, opts ObjectsOptions, nodes ...naming.NodeID) Handler {
	t.Helper()
	first := nodeObjects(t, nodes[0], ObjectsOptions{Errors: shopErrors(t), Operator: opts.Operator})
	exportFunc(t, first, "shop", err)
	to, name := first, naming.Name("shop")
	for _, node := range nodes[1:] {
		next, _ := connPair(t, nil, to, ConnOptions{}, ConnOptions{SendTrace: opts.Operator})
		called := name
		to, name = nodeObjects(t, node, opts), naming.Name(node)
		exportFunc(t, to, name, func(ctx context.Context) error {
			_, err := Invoke(ctx, next, called, "")
			return fmt.Errorf("at %s: %w", node, err)
		})
	}
	client, _ := connPair(t, nil, to, ConnOptions{}, ConnOptions{SendTrace: opts.Operator})
	return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		call.Object = name
		return client.Handle(ctx, call)
	})
}

// The nodes in between know none of the errors.
func TestErrorsSurviveHopsThatAreNamed(t *testing.T) {
	fail := func() error { return fmt.Errorf("buy: %w", errors.Join(errSoldOut, &outOfStock{SKU: "socks"})) }
	h := Chain(passedAlong(t, fail, ObjectsOptions{}, "n1", "n2", "n3"), shopErrors(t).Restore)
	_, err := Invoke(t.Context(), h, "", "")
	e := failure(t, err)
	if want := "at n3: at n2: buy: sold out\nsocks: 0 left"; e.Message != want {
		t.Errorf("got the message %q, want %q", e.Message, want)
	}
	want := []Hop{{Node: "n2", Called: "shop"}, {Node: "n3", Called: "n2"}}
	if diff := cmp.Diff(want, e.Hops); diff != "" {
		t.Errorf("the hops differ (-want +got):\n%s", diff)
	}
	if got, ok := errors.AsType[*outOfStock](err); !ok || got.SKU != "socks" || !errors.Is(err, errSoldOut) || e.Type != "*fmt.wrapError" || e.Execution != Executed {
		t.Errorf("got %+v, want the shop's own errors", e)
	}
	for i, want := range []string{"passed on by n2, which called shop", "passed on by n3, which called n2"} {
		if got := e.Hops[i].String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := (Hop{}).String(); got != "passed on by a node without a name" {
		t.Errorf("got %q", got)
	}
}

// A node that knows none of them passes on the errors of all its calls.
func TestErrorsOfSeveralCallsArePassedOn(t *testing.T) {
	far := failures{known: shopErrors(t)}
	one, two := far.of(&outOfStock{SKU: "socks"}), far.of(errors.Join(errSoldOut, errno(7)))
	other := far.of(io.EOF)
	for _, e := range []*Error{one, two, other} {
		e.Remote, e.cause = true, nil
	}
	middle := failures{known: standardErrors(), node: "n"}
	e := middle.of(errors.Join(other, one, fmt.Errorf("and: %w", two)))
	e.cause = nil
	err := shopErrors(t).restore(e)
	got, ok := errors.AsType[*outOfStock](err)
	if !ok || got.SKU != "socks" || !errors.Is(err, errSoldOut) || !errors.Is(err, errno(7)) || !errors.Is(err, io.EOF) {
		t.Errorf("got %#v, want the errors of all three", err)
	}
}

func TestHopsAreBounded(t *testing.T) {
	f := failures{known: standardErrors(), node: "n"}
	e := &Error{Code: Unknown, Message: "m", Remote: true, called: "x"}
	for range maxErrorHops + 5 {
		if e = f.of(e); e.called != "" {
			t.Fatal("what was called stayed behind")
		}
		e.called = "x"
	}
	if len(e.Hops) != maxErrorHops {
		t.Errorf("got %d hops, want %d", len(e.Hops), maxErrorHops)
	}
	long := Hop{Node: naming.NodeID(strings.Repeat("n", 300)), Called: strings.Repeat("é", 300)}
	e.Hops = []Hop{long, long, long, long, long, long, long}
	_, head, _ := frameOf(t, appendError(nil, 1, e, true))
	got := decodeError(head).Hops
	size := 0
	for _, h := range got {
		size += len(h.Node) + len(h.Called)
		if len(h.Node) != naming.MaxNameLen || len(h.Called) > maxErrorCalled {
			t.Errorf("got a hop of %d and %d bytes, want at most %d and %d", len(h.Node), len(h.Called), naming.MaxNameLen, maxErrorCalled)
		}
	}
	if size > maxErrorHopSize || len(got) != maxErrorHopSize/(naming.MaxNameLen+maxErrorCalled) {
		t.Errorf("got %d hops of %d bytes, want as many as fit into %d", len(got), size, maxErrorHopSize)
	}
}

// The trace of a panic, and of an error that has one, reaches who may see it, by
// way of a node in between too, and nobody else.
func TestTracesOverAConnectionGoToOperatorsOnly(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		operator := func(p Peer) bool { return allowed && p.Node == "a" }
		for name, tt := range map[string]struct {
			fail func() error
			want string
		}{
			"panic": {func() error { panic("the secret reason") }, "panic: the secret reason"},
			"error": {func() error { return &Error{Code: Internal, Message: "m", Trace: "far away"} }, "far away"},
		} {
			for _, nodes := range [][]naming.NodeID{{"n1"}, {"n1", "n2"}} {
				_, err := Invoke(t.Context(), passedAlong(t, tt.fail, ObjectsOptions{Operator: operator}, nodes...), "", "")
				e := failure(t, err)
				if allowed && !strings.Contains(e.Trace, tt.want) || !allowed && e.Trace != "" || strings.Contains(e.Message, "secret") {
					t.Errorf("%s, %d nodes, operator %t: got %q with the trace %q", name, len(nodes), allowed, e.Message, e.Trace)
				}
			}
		}
	}
}

// FuzzErrorValue holds what a stranger sends as an error's value against the
// types of the table: whatever it is, the error is one, and nothing else happens.
func FuzzErrorValue(f *testing.F) {
	table := shopErrors(f)
	for name, kind := range table.types {
		for _, err := range []error{&outOfStock{SKU: "socks", Left: 3}, errno(7), sulky{}} {
			if found, ok := kind.find(err); ok {
				data, _ := kind.encode(found)
				f.Add(name, data)
			}
		}
	}
	f.Add("shop.Errno", []byte{0xf6})
	f.Add("shop.OutOfStock", []byte{0xa1, 0x63, 's', 'k', 'u'})
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		sent := &Error{Code: Aborted, Message: "m", values: []errorValue{{name, data}}}
		_, head, _ := frameOf(t, appendError(nil, 1, sent, false))
		e := decodeError(head)
		if len(name)+len(data) <= maxErrorValueSize && (len(e.values) != 1 || e.values[0].name != name || !bytes.Equal(e.values[0].data, data)) {
			t.Fatalf("got %+v, want what was sent", e.values)
		}
		restored := table.restore(e)
		if got := FromError(restored); got.Code != Aborted || got.Message != "m" {
			t.Fatalf("got %+v, want the error as it was", got)
		}
		if got, ok := errors.AsType[*outOfStock](restored); ok && (got == nil || name != "shop.OutOfStock") {
			t.Fatalf("%q became %+v", name, got)
		}
	})
}
