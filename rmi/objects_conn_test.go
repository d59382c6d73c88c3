package rmi

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What holds in a process holds over a connection, whose buffers are
// overwritten as soon as a call has ended.
func TestObjectsOverAConnection(t *testing.T) {
	table, err := NewErrors(Sentinel("shop.ErrSoldOut", errSoldOut))
	if err != nil {
		t.Fatal(err)
	}
	o := exported(t, ObjectsOptions{Errors: table})
	var kept []order
	var info CallInfo
	keep := func(ctx context.Context, o order) error {
		kept = append(kept, o)
		info, _ = CallFrom(ctx)
		return errors.Join(errSoldOut, io.EOF)
	}
	if err := o.ExportFunc("keep", keep, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	client, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	h := Chain(client, table.Restore)
	by := "somebody"
	sent := order{ID: "7", Items: []item{{"sku", 1}}, Notes: map[string]any{"k": []byte("bytes"), "l": []any{"x"}}, At: time.Unix(1, 2).UTC(), By: &by}
	for range 3 {
		err := InvokeInto(WithMetadata(t.Context(), Metadata{"k": "v"}), h, nil, "keep", "", sent)
		if !errors.Is(err, errSoldOut) || !errors.Is(err, io.EOF) || errors.Is(err, errClosed) {
			t.Errorf("got %v, want errSoldOut and io.EOF", err)
		}
	}
	for _, got := range kept {
		if diff := cmp.Diff(sent, got, sameValue); diff != "" {
			t.Errorf("an argument changed after the call (-sent +kept):\n%s", diff)
		}
	}
	if info.Object != "keep" || info.Metadata["k"] != "v" || info.Peer.Node != "a" || info.Peer.Protocol != "mesh" {
		t.Errorf("the method learnt %+v", info)
	}
	first, err := InvokeAs[order](t.Context(), h, "shop", "place", sent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Invoke(t.Context(), h, "shop", "get_fortune", "overwrites the buffers"); err != nil {
		t.Fatal(err)
	}
	sent.ID += "!"
	if diff := cmp.Diff(sent, first, sameValue); diff != "" {
		t.Errorf("a result changed after the next call (-want +got):\n%s", diff)
	}
	_, err = Invoke(t.Context(), h, "shop", "get_fortune", 42)
	want := "shop.get_fortune: argument 1 (name): want string, got an integer (42)"
	if e, ok := errors.AsType[*Error](err); !ok || e.Message != want || e.Execution != NotExecuted || !e.Remote {
		t.Errorf("got %+v, want %s", err, want)
	}
}
