package rmi

import (
	"bytes"
	"context"
	"slices"
	"testing"
)

// byteKeeper keeps what its method gets, and returns what it was made with.
type byteKeeper struct {
	got    [][]byte
	result []byte
}

func (k *byteKeeper) Swap(_ context.Context, b []byte) []byte {
	k.got = append(k.got, b)
	return k.result
}

// Large bytes are given to a method without being copied, and its results are
// encoded into memory that is used again: what a method or a caller has must stay
// as it is all the same. The buffers of both ends are overwritten when they are
// given back.
func TestLargeBytesStayTheirOwners(t *testing.T) {
	keeper := &byteKeeper{}
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("keeper", keeper, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	a, b := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	var results, wants [][]byte
	for i, size := range []int{LargePayload + 1, 100_000, 1 << 20, 100_000, 3 << 20, LargePayload + 1} {
		arg := bytes.Repeat([]byte{byte(i), 1, 2}, size/3+1)[:size]
		keeper.result = bytes.Repeat([]byte{byte(i), 9}, size/2+1)[:size]
		result, err := InvokeAs[[]byte](t.Context(), a, "keeper", "swap", arg)
		if err != nil {
			t.Fatal(err)
		}
		results, wants = append(results, result), append(wants, arg)
		waitUntil(t, "the end of the call", func() bool { return !b.Busy() })
		if !bytes.Equal(keeper.result, bytes.Repeat([]byte{byte(i), 9}, size/2+1)[:size]) {
			t.Errorf("%d bytes: the method's own result was overwritten", size)
		}
		if !bytes.Equal(result, keeper.result) {
			t.Errorf("%d bytes: the caller got another result", size)
		}
	}
	for i, want := range wants {
		if !bytes.Equal(keeper.got[i], want) {
			t.Errorf("argument %d, which the method kept, has changed", i)
		}
		if got := results[i]; len(got) != len(want) || got[0] != byte(i) || got[1] != 9 {
			t.Errorf("result %d, which the caller kept, has changed", i)
		}
	}
}

// A handler that passes a call on to objects of its own process keeps its arguments
// and gets a result that is its own.
func TestLargeBytesOfAnInnerCallAreCopied(t *testing.T) {
	keeper := &byteKeeper{result: bytes.Repeat([]byte{7}, 100_000)}
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("keeper", keeper, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	var inner []byte
	h := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		before := bytes.Clone(call.Args.Data)
		reply, err := o.Handle(ctx, &Call{Object: "keeper", Method: "swap", Args: call.Args})
		if err != nil {
			return Reply{}, err
		}
		inner = reply.Result.Data
		clear(keeper.got[len(keeper.got)-1])
		if !bytes.Equal(call.Args.Data, before) {
			t.Error("the method got the handler's own arguments")
		}
		return Reply{}, nil
	})
	a, b := connPair(t, nil, h, ConnOptions{}, ConnOptions{})
	args := appendBytesItem([]byte{0x81}, make([]byte, 200_000))
	if _, err := a.Handle(t.Context(), callOf("x", args)); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the end of the call", func() bool { return !b.Busy() })
	if want := appendBytesItem(nil, keeper.result); !slices.Equal(inner, want) {
		t.Error("the result of the inner call was overwritten")
	}
}
