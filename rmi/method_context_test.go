package rmi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answering returns objects whose "f" adds the given metadata to its reply, and
// fails if it shall.
func answering(t *testing.T, fail *bool, md ...Metadata) *Objects {
	t.Helper()
	o := NewObjects(ObjectsOptions{})
	exportFunc(t, o, "f", func(ctx context.Context, text string) (string, error) {
		for _, m := range md {
			m = maps.Clone(m)
			if err := SetReplyMetadata(ctx, m); err != nil {
				return "", err
			}
			m["later"] = "is not sent"
		}
		if *fail {
			return "", errSoldOut
		}
		return text, nil
	})
	return o
}

func TestMetadataTravelsBack(t *testing.T) {
	var fail bool
	o := answering(t, &fail, Metadata{"cost": "7", "unit": "cent"}, Metadata{"cost": "8"})
	client, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	for where, h := range map[string]Handler{"in process": o, "remote": client} {
		fail = false
		got := Metadata{"old": "gone"}
		ctx := WithReplyMetadata(WithMetadata(t.Context(), Metadata{"k": "v"}), &got)
		var stub func(ctx context.Context, text string) (string, error)
		if err := Bind(h, "f", &stub); err != nil {
			t.Fatal(err)
		}
		for _, call := range []func() (string, error){
			func() (string, error) { return InvokeAs[string](ctx, h, "f", "", "x") },
			func() (string, error) { return stub(ctx, "x") },
		} {
			text, err := call()
			if diff := cmp.Diff(Metadata{"cost": "8", "unit": "cent"}, got); diff != "" || err != nil || text != "x" {
				t.Errorf("%s: got %q, %v, and the metadata differs (-want +got):\n%s", where, text, err, diff)
			}
		}
		fail = true
		if _, err := stub(ctx, "x"); err == nil || got != nil {
			t.Errorf("%s: a call that failed with %v brought %v", where, err, got)
		}
	}
}

func TestReplyMetadataIsBounded(t *testing.T) {
	var fail bool
	long := strings.Repeat("x", MaxMetadataSize)
	for _, tt := range []struct {
		md   Metadata
		code Code
		text string
	}{
		{Metadata{"k": long}, ResourceExhausted, "set reply metadata: the metadata is larger than"},
		{Metadata{"K": "v"}, InvalidArgument, "set reply metadata: the metadata key"},
	} {
		_, err := Invoke(t.Context(), answering(t, &fail, Metadata{"a": "b"}, tt.md), "f", "", "x")
		wantError(t, err, tt.code, Executed, tt.text)
	}
	many := make(Metadata)
	for i := range MaxMetadataKeys {
		many[fmt.Sprint("k", i)] = "v"
	}
	_, err := Invoke(t.Context(), answering(t, &fail, many, Metadata{"one": "more"}), "f", "", "x")
	wantError(t, err, ResourceExhausted, Executed, "more than 64 keys")
}

func TestReplyMetadataOutsideOfAMethod(t *testing.T) {
	wantError(t, SetReplyMetadata(t.Context(), nil), FailedPrecondition, Executed, "not that of a method")
	o := NewObjects(ObjectsOptions{})
	var kept context.Context
	exportFunc(t, o, "f", func(ctx context.Context) { kept = ctx })
	if _, err := Invoke(t.Context(), o, "f", ""); err != nil {
		t.Fatal(err)
	}
	wantError(t, SetReplyMetadata(kept, Metadata{"k": "v"}), FailedPrecondition, Executed, "f has returned")
}

// What a caller in the same process says of its calls is not said of the calls
// that the method makes, as it is not over a connection.
func TestMetadataEndsAtTheMethod(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	var got CallInfo
	exportFunc(t, o, "inner", func(ctx context.Context) error {
		got, _ = CallFrom(ctx)
		return SetReplyMetadata(ctx, Metadata{"from": "inner"})
	})
	exportFunc(t, o, "outer", func(ctx context.Context) error {
		_, err := Invoke(ctx, o, "inner", "")
		return err
	})
	var back Metadata
	ctx := WithReplyMetadata(WithMetadata(t.Context(), Metadata{"k": "v"}), &back)
	if _, err := Invoke(ctx, o, "outer", ""); err != nil || got.Metadata != nil || back != nil {
		t.Errorf("got %v; the inner call had %v, and %v came back; want none", err, got.Metadata, back)
	}
}

// One middleware serves on either side: it sees the call, what comes back with
// the reply, and the error.
func TestTheSameMiddlewareServesOnEitherSide(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	interceptor := func(side string) Middleware {
		return func(next Handler) Handler {
			return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
				if side == "client" {
					call.Metadata = Metadata{"token": "t"}
				}
				reply, err := next.Handle(ctx, call)
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, fmt.Sprintf("%s %s token=%s cost=%s soldOut=%t", side, target(call), call.Metadata["token"], reply.Metadata["cost"], errors.Is(err, errSoldOut)))
				return reply, err
			})
		}
	}
	var fail bool
	table := shopErrors(t)
	o := answering(t, &fail, Metadata{"cost": "7"})
	o.fails.known = table
	client, _ := connPair(t, nil, Chain(o, interceptor("server")), ConnOptions{}, ConnOptions{})
	h := Chain(client, interceptor("client"), table.Restore)
	for _, fail = range []bool{false, true} {
		if _, err := Invoke(t.Context(), h, "f", "", "x"); (err != nil) != fail {
			t.Fatal(err)
		}
	}
	want := []string{
		"server f token=t cost=7 soldOut=false", "client f token=t cost=7 soldOut=false",
		"server f token=t cost= soldOut=true", "client f token=t cost= soldOut=true",
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("the middleware saw (-want +got):\n%s", diff)
	}
}
