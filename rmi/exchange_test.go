package rmi

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
)

// echoer returns what it is given.
type echoer struct{}

func (echoer) Bytes(b []byte) []byte { return b }
func (echoer) Text(s string) string  { return s }
func (echoer) Words(w []string) []string {
	return w
}

// echoStub calls an echoer.
type echoStub struct {
	Bytes func(context.Context, []byte) ([]byte, error)
	Words func([]string) ([]string, error)
}

// callKeeper is a Handler that keeps the calls that pass through it, which it must not.
type callKeeper struct {
	Handler
	space *Space
	calls []*Call
	args  [][]byte
}

func (k *callKeeper) Space() *Space { return k.space }

func (k *callKeeper) Handle(ctx context.Context, call *Call) (Reply, error) {
	k.calls, k.args = append(k.calls, call), append(k.args, call.Args.Data)
	return k.Handler.Handle(ctx, call)
}

// TestEndedCallsAreNobodys makes calls in every way that uses their memory again:
// the results stay what they were, while the calls and their arguments do not.
func TestEndedCallsAreNobodys(t *testing.T) {
	client, server := refPair(t, nil)
	server.export("echo", echoer{})
	ctx, long := t.Context(), bytes.Repeat([]byte("long "), 1000)
	for _, way := range []struct {
		name string
		call func(h Handler, b []byte) ([]byte, error)
	}{
		{"InvokeAs", func(h Handler, b []byte) ([]byte, error) { return InvokeAs[[]byte](ctx, h, "echo", "bytes", b) }},
		{"InvokeInto", func(h Handler, b []byte) (got []byte, err error) {
			return got, InvokeInto(ctx, h, &got, "echo", "bytes", b)
		}},
		{"text", func(h Handler, b []byte) ([]byte, error) {
			got, err := InvokeAs[string](ctx, h, "echo", "text", string(b))
			return []byte(got), err
		}},
		{"any", func(h Handler, b []byte) ([]byte, error) {
			got, err := Invoke(ctx, h, "echo", "bytes", b)
			if err != nil {
				return nil, err
			}
			return got.([]byte), nil
		}},
		{"library", func(h Handler, b []byte) ([]byte, error) {
			got, err := InvokeAs[[]string](ctx, h, "echo", "words", []string{string(b)})
			if err != nil {
				return nil, err
			}
			return []byte(got[0]), nil
		}},
		{"Bind", func(h Handler, b []byte) ([]byte, error) {
			var stub echoStub
			if err := Bind(h, "echo", &stub); err != nil {
				return nil, err
			}
			return stub.Bytes(ctx, b)
		}},
		{"Client", func(h Handler, b []byte) (got []byte, err error) {
			c := NewClient(h, "echo", nil)
			return got, c.Call(ctx, Method{Name: "bytes"}, Into(&got), b)
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			for _, want := range [][]byte{[]byte("short"), long, {}} {
				k := &callKeeper{Handler: client.to(server), space: client.space}
				first, err := way.call(k, want)
				if err != nil || !bytes.Equal(first, want) {
					t.Fatalf("got %.20q and error %v, want %.20q", first, err, want)
				}
				if got := k.calls[0].Object; got != "poison" {
					t.Errorf("the call was for %q after it ended, want it to be used again", got)
				}
				if got := k.args[0][0]; got != 0xdb {
					t.Errorf("the arguments began with %#x after the call ended, want them to be used again", got)
				}
				copied := slices.Clone(first)
				if _, err := way.call(k, []byte("the next call")); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(first, copied) {
					t.Errorf("a result became %.20q with the next call, want %.20q still", first, copied)
				}
			}
		})
	}
}

// TestResultBytesAreTheCallersOwn writes to results, and behind them.
func TestResultBytesAreTheCallersOwn(t *testing.T) {
	client, server := refPair(t, nil)
	fixed := []byte("what the method keeps")
	if err := server.objects.ExportFunc("fixed", func() []byte { return fixed }, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]Handler{
		"afar": client.to(server), "here": server.objects,
		"a handler": HandlerFunc(func(context.Context, *Call) (Reply, error) {
			return Reply{Result: Payload{Data: appendBytesItem(nil, fixed)}}, nil
		}),
	} {
		got, err := InvokeAs[[]byte](t.Context(), h, "fixed", "")
		if err != nil {
			t.Fatal(err)
		}
		if cap(got) > len(got) && name == "afar" {
			t.Errorf("%s: the result has room for %d bytes, want just its %d", name, cap(got), len(got))
		}
		clear(got)
		again, err := InvokeAs[[]byte](t.Context(), h, "fixed", "")
		if err != nil || string(again) != "what the method keeps" {
			t.Errorf("%s: got %q and error %v after the first result was overwritten", name, again, err)
		}
	}
}

// TestResultOfArguments has a handler answer with the arguments of its call, which
// are used again.
func TestResultOfArguments(t *testing.T) {
	space := newRefNode(t, "n", nil).space
	h := space.Caller(HandlerFunc(func(_ context.Context, call *Call) (Reply, error) {
		return Reply{Result: Payload{Data: call.Args.Data[1:]}}, nil // after the head of the list
	}))
	want := []byte("both argument and result")
	got, err := InvokeAs[[]byte](t.Context(), h, "o", "m", want)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q and error %v, want %q", got, err, want)
	}
}

// TestArgumentsOfMiddleware replaces the arguments of a call by others, which are not
// the exchange's to use again.
func TestArgumentsOfMiddleware(t *testing.T) {
	client, server := refPair(t, nil)
	server.export("echo", echoer{})
	other, err := EncodeArgs([]byte("the middleware's own"))
	if err != nil {
		t.Fatal(err)
	}
	h := client.space.Caller(HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		call.Args = other
		return client.to(server).Handle(ctx, call)
	}))
	for range 2 {
		got, err := InvokeAs[[]byte](t.Context(), h, "echo", "bytes", []byte("the caller's"))
		if err != nil || string(got) != "the middleware's own" {
			t.Fatalf("got %q and error %v, want the middleware's own", got, err)
		}
	}
}

// TestDecodePlain compares decodePlain with DecodeValue: what it decodes is the same,
// and it leaves the rest alone.
func TestDecodePlain(t *testing.T) {
	var payloads []Payload
	for _, v := range []any{nil, true, false, 0, -1, int64(-1 << 63), uint64(1 << 63), 1.5, "text", "", []byte("bytes"), []byte{}, []int{1, 2}} {
		p, err := EncodeValue(v)
		if err != nil {
			t.Fatal(err)
		}
		short, long := p, p
		short.Data, long.Data = p.Data[:len(p.Data)-1], append(slices.Clone(p.Data), 0)
		payloads = append(payloads, p, short, long, Payload{Type: ContentXMLRPC, Data: p.Data})
	}
	payloads = append(payloads, Payload{}, Payload{Data: []byte{cborText<<5 | 1, 0xff}}, Payload{Data: []byte{0xf9, 0x3c, 0x00}})
	plain := 0
	for _, p := range payloads {
		plain += decodesAlike[[]byte](t, p) + decodesAlike[string](t, p) + decodesAlike[bool](t, p) +
			decodesAlike[int64](t, p) + decodesAlike[float64](t, p) + decodesAlike[int](t, p) + decodesAlike[any](t, p)
	}
	if want := 2 + 3 + 2 + 2 + 2; plain != want {
		t.Errorf("%d values were plain, want %d", plain, want)
	}
}

// decodesAlike returns 1 when p is a plain T, and fails when it is not that to
// DecodeValue.
func decodesAlike[T any](t *testing.T, p Payload) int {
	t.Helper()
	var got, want T
	is := p.decodePlain(&got)
	err := DecodeValue(p, &want)
	switch {
	case is && err != nil:
		t.Errorf("%x is a plain %T, and DecodeValue says: %v", p.Data, got, err)
	case is && !equalValues(got, want):
		t.Errorf("%x: got %#v, want %#v", p.Data, got, want)
	case !is && !equalValues(got, *new(T)):
		t.Errorf("%x is no plain %T and left %v", p.Data, got, got)
	case is:
		return 1
	}
	return 0
}

// equalValues reports whether a and b encode alike.
func equalValues(a, b any) bool {
	pa, errA := EncodeValue(a)
	pb, errB := EncodeValue(b)
	return errors.Join(errA, errB) == nil && bytes.Equal(pa.Data, pb.Data)
}
