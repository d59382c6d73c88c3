package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
)

var (
	errSoldOut = errors.New("sold out")
	errClosed  = fmt.Errorf("shop is closed: %w", fs.ErrClosed)
)

// acrossTheWire is a handler whose errors have lost everything that does not
// travel.
func acrossTheWire(h Handler) Handler {
	return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		reply, err := h.Handle(ctx, call)
		if e, ok := errors.AsType[*Error](err); ok {
			err = &Error{Code: e.Code, Message: e.Message, Type: e.Type, Details: e.Details, Execution: e.Execution, Remote: true, Hops: e.Hops, values: e.values}
		}
		return reply, err
	})
}

func TestSentinelsAreRecognisedAcrossTheWire(t *testing.T) {
	table, err := NewErrors(Sentinel("shop.ErrSoldOut", errSoldOut), Sentinel("shop.ErrClosed", errClosed))
	if err != nil {
		t.Fatal(err)
	}
	var result error
	o := NewObjects(ObjectsOptions{Errors: table})
	if err := o.ExportFunc("f", func() error { return result }, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	_, pathErr := os.Open("/nonexistent/x")
	tests := []struct {
		result error
		is     []error
		not    []error
	}{
		{errSoldOut, []error{errSoldOut}, []error{errClosed, io.EOF}},
		{fmt.Errorf("shelf 4: %w", errSoldOut), []error{errSoldOut}, nil},
		{errors.Join(errSoldOut, io.EOF), []error{errSoldOut, io.EOF}, nil},
		{errClosed, []error{errClosed, fs.ErrClosed}, []error{errSoldOut}},
		{pathErr, []error{fs.ErrNotExist}, []error{fs.ErrExist}},
		{errors.New("sold out"), nil, []error{errSoldOut}},
		{Errorf(NotFound, "no sock: %w", errSoldOut), []error{errSoldOut}, nil},
	}
	remote := Chain(o, table.Restore, acrossTheWire)
	for _, tt := range tests {
		result = tt.result
		for where, h := range map[string]Handler{"in process": o, "remote": remote} {
			_, err := Invoke(t.Context(), h, "f", "")
			for _, is := range tt.is {
				if !errors.Is(err, is) {
					t.Errorf("%s: %v is not %v", where, err, is)
				}
			}
			for _, not := range tt.not {
				if errors.Is(err, not) {
					t.Errorf("%s: %v is %v", where, err, not)
				}
			}
			if !strings.HasSuffix(err.Error(), strings.TrimPrefix(tt.result.Error(), "NOT_FOUND: ")) {
				t.Errorf("%s: got the text %q, want that of %q", where, err, tt.result)
			}
		}
	}
}

// An error that passes a node which does not know its sentinel keeps it.
func TestSentinelsSurviveAHopThatDoesNotKnowThem(t *testing.T) {
	table, err := NewErrors(Sentinel("shop.ErrSoldOut", errSoldOut))
	if err != nil {
		t.Fatal(err)
	}
	far, middle := NewObjects(ObjectsOptions{Errors: table}), NewObjects(ObjectsOptions{})
	if err := far.ExportFunc("far", func() error { return errSoldOut }, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	relay := func(ctx context.Context) error {
		_, err := Invoke(ctx, acrossTheWire(far), "far", "")
		return fmt.Errorf("relayed: %w", err)
	}
	if err := middle.ExportFunc("middle", relay, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = Invoke(t.Context(), table.Restore(acrossTheWire(middle)), "middle", "")
	if !errors.Is(err, errSoldOut) || !strings.Contains(err.Error(), "relayed: ") {
		t.Errorf("got %v, want errSoldOut, relayed", err)
	}
}

func TestRestoreKeepsWhatIsWrappedAroundAnError(t *testing.T) {
	table, _ := NewErrors()
	inner := &Error{Code: NotFound, Message: "gone", Details: map[string]string{sentinelDetail: "io.EOF,no.Such"}, Remote: true}
	outer := errors.New("outer")
	h := table.Restore(HandlerFunc(func(context.Context, *Call) (Reply, error) {
		return Reply{}, fmt.Errorf("%w: %w", outer, inner)
	}))
	_, err := h.Handle(t.Context(), &Call{})
	e, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, io.EOF) || !errors.Is(err, outer) || e.Code != NotFound || e.Message != "outer: gone" || !e.Remote {
		t.Errorf("got %+v", err)
	}
}

func TestNewErrorsTellsOfEveryBadEntry(t *testing.T) {
	for _, tt := range []struct {
		entry ErrorEntry
		want  string
	}{
		{Sentinel("", io.EOF), "error \"\": "},
		{Sentinel("x", nil), "error \"x\": the error is nil"},
		{Sentinel("a,b", errSoldOut), "comma"},
		{Sentinel("io.EOF", errSoldOut), "the name is taken"},
		{Sentinel("a\n", errSoldOut), "error \"a\\n\": "},
		{ErrorType[*outOfStock]("io.EOF"), "the name is taken"},
		{ErrorType[error]("any"), "error is an interface"},
		{ErrorType[*Error]("rmi"), "travels as it is"},
		{ErrorType[*os.PathError]("path"), "*fs.PathError cannot travel: "},
	} {
		_, err := NewErrors(tt.entry, Sentinel("nil", nil))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "error \"nil\": the error is nil") {
			t.Errorf("%q: got %v, want %q and the other one", tt.entry.name, err, tt.want)
		}
	}
	if _, err := NewErrors(Sentinel("io.EOF", io.EOF)); err != nil {
		t.Errorf("naming a standard sentinel as it is called: %v", err)
	}
}
