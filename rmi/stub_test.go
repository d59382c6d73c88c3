package rmi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type greeter struct {
	GetFortune func(ctx context.Context, name string) (string, error) `rmi:",idempotent"`
}

type shopStub struct {
	greeter
	Several func(int, float64) (int, string, error)
	Total   func(ctx context.Context, start int, more ...int) (int64, error) `rmi:"sum"`
	Place   func(order) (*order, error)
	Nothing func() error
	Fail    func(string) error
	Zebra   func() error
	Wrong   func() (int, error)         `rmi:"http_server"`
	One     func(int, int) (int, error) `rmi:"several"`
	Ignored int                         `rmi:"-"`
	_       int
	//lint:ignore U1000 fields that are not exported are left alone
	internal int
}

func TestStubsCall(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	var last *Call
	h := HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) { last = call; return o.Handle(ctx, call) })
	var s shopStub
	if err := Bind(h, "shop", &s); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetFortune(WithMetadata(t.Context(), Metadata{"k": "v"}), "letian"); err != nil || got != "Hello, letian. \n" {
		t.Errorf("got %q, %v", got, err)
	}
	if !last.Idempotent || last.Metadata["k"] != "v" {
		t.Errorf("got the call %+v, want it idempotent and with metadata", last)
	}
	if a, b, err := s.Several(21, 2); a != 42 || b != "x" || err != nil || last.Idempotent {
		t.Errorf("got %d, %q, %v", a, b, err)
	}
	if got, err := s.Total(nil, 1, 2, 3); got != 6 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	if got, err := s.Total(t.Context(), 1); got != 1 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	sent := order{ID: "7", At: time.Unix(9, 9).UTC()}
	got, err := s.Place(sent)
	sent.ID = "7!"
	if diff := cmp.Diff(&sent, got, sameValue); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	if err := s.Nothing(); err != nil {
		t.Error(err)
	}
	if err := s.Fail("on purpose"); err == nil || err.Error() != "UNKNOWN: on purpose" {
		t.Errorf("got %v", err)
	}
	if err := s.Zebra(); err == nil || !strings.HasPrefix(err.Error(), "UNIMPLEMENTED: shop has no method zebra") {
		t.Errorf("got %v", err)
	}
	if _, err := s.Wrong(); err == nil || err.Error() != `INTERNAL: result of shop.http_server: want int, got a string ("on")` {
		t.Errorf("got %v", err)
	}
	if _, err := s.One(1, 2); err == nil || err.Error() != "INTERNAL: result of shop.several: want int, got a list of 2" {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.GetFortune(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the stub's context to count", err)
	}
}

func TestBindAFunction(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	var add func(a, b int) (int, error)
	if err := Bind(o, "add", &add); err != nil {
		t.Fatal(err)
	}
	if got, err := add(3, 4); got != 7 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestStubArgumentsThatCannotTravel(t *testing.T) {
	var s struct {
		Any func(...any) error
	}
	if err := Bind(exported(t, ObjectsOptions{}), "shop", &s); err != nil {
		t.Fatal(err)
	}
	self := []any{nil}
	self[0] = self
	err := s.Any(1, self)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != InvalidArgument || e.Execution != NotExecuted || !strings.HasPrefix(e.Message, "shop.any: argument 2: ") {
		t.Errorf("got %v", err)
	}
}

func TestBindErrorListsEveryField(t *testing.T) {
	var s struct {
		Good    func() error
		NoError func() int
		Channel func(chan int) error
		Late    func(int, context.Context) error
		Name    string
		Tagged  func() error `rmi:"x,idempotnt"`
		Two     func(complex64) (func(), error)
		hidden  func() error
		Inner   struct{ X func() error }
	}
	err := Bind(nil, "shop", &s)
	e, ok := errors.AsType[*BindError](err)
	if !ok {
		t.Fatalf("got %v, want a BindError", err)
	}
	want := []FieldProblem{
		{"NoError", "its last result must be an error, since a call can fail"},
		{"Channel", "parameter 1: chan int is a channel, which cannot travel"},
		{"Late", "parameter 2: context.Context is an interface, and the receiver could not know what is in it; use a concrete type or any"},
		{"Name", "it is a string and not a func; the tag `rmi:\"-\"` leaves it alone"},
		{"Tagged", `its tag has the word "idempotnt", and those known are idempotent, oneway and taken`},
		{"Two", "parameter 1: complex64 is a complex number, which cannot travel; result 1: func() is a function, which cannot travel"},
		{"hidden", "it is not exported, so it cannot be set"},
		{"Inner", "it is a struct { X func() error } and not a func; the tag `rmi:\"-\"` leaves it alone"},
	}
	if diff := cmp.Diff(want, e.Fields); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.Good != nil {
		t.Error("a field was filled in although others could not be")
	}
	if s.hidden != nil || e.Error() == "" {
		t.Error("unreachable")
	}
}

func TestBindErrorsOfTheWhole(t *testing.T) {
	var noFunc struct {
		A int `rmi:"-"`
	}
	for _, tt := range []struct {
		stub any
		want string
	}{
		{nil, `bind "shop" to nil: the stub must be a pointer`},
		{greeter{}, `bind "shop" to rmi.greeter: the stub must be a pointer`},
		{(*greeter)(nil), "the stub must be a pointer"},
		{new(int), "the stub must be a pointer to a struct of funcs"},
		{&noFunc, "it has no func to fill"},
		{new(func()), "its last result must be an error"},
	} {
		if err := Bind(nil, "shop", tt.stub); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if err := Bind(nil, "", &greeter{}); err == nil || !strings.Contains(err.Error(), "invalid name") {
		t.Errorf("got %v", err)
	}
}
