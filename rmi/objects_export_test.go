package rmi

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"farcall.dev/naming"
)

// misfits has a method for every reason that a method cannot be exported.
type misfits struct{ sync.RWMutex }

//lint:ignore U1000 a struct of which nothing can travel
type hidden struct{ a, b int }

type holdsChan struct {
	Name  string
	Inner struct{ Done chan int }
}

func (*misfits) Channel(c chan int)                     {}
func (*misfits) Callback(f func())                      {}
func (*misfits) Complex() complex128                    { return 0 }
func (*misfits) Hidden(h hidden)                        {}
func (*misfits) Field(holdsChan)                        {}
func (*misfits) Reader(io.Reader, map[point]int)        {}
func (*misfits) LateContext(a int, ctx context.Context) {}

//lint:ignore ST1008 it is refused for just this
func (*misfits) EarlyError() (error, int) { return nil, 0 }

func (*misfits) GetURL()              {}
func (*misfits) GetUrl()              {}
func (*misfits) FarcallPing()         {}
func (*misfits) Fine(x int) int       { return x }
func (*misfits) Variadic(...chan int) {}

func TestExportErrorListsEveryMethodAndWhy(t *testing.T) {
	err := NewObjects(ObjectsOptions{}).Export("misfits", &misfits{}, ExportOptions{})
	e, ok := errors.AsType[*ExportError](err)
	if !ok {
		t.Fatalf("got %v, want an ExportError", err)
	}
	got := map[string]string{}
	for _, m := range e.Methods {
		got[m.Method] = m.Reason
	}
	for method, want := range map[string]string{
		"Channel":     "parameter 1: chan int is a channel, which cannot travel",
		"Callback":    "parameter 1: func() is a function, which cannot travel",
		"Complex":     "result 1: complex128 is a complex number, which cannot travel",
		"Hidden":      "parameter 1: rmi.hidden has no exported fields, so nothing of it would travel",
		"Field":       "parameter 1: rmi.holdsChan: field Inner.Done: chan int is a channel, which cannot travel (the tag",
		"Reader":      "parameter 1: io.Reader is an interface, and the receiver could not know what is in it; use a concrete type or any; parameter 2: map[rmi.point]int has keys of type rmi.point, and a key has to be a scalar",
		"LateContext": "parameter 2: context.Context can only be the first parameter",
		"EarlyError":  "result 1: error can only be the last result",
		"GetURL":      "its name on the wire, get_url, is that of GetUrl too",
		"GetUrl":      "its name on the wire, get_url, is that of GetURL too",
		"FarcallPing": `names that begin with "farcall_" are reserved`,
		"Lock":        "it comes from the embedded sync.RWMutex, which callers could then lock",
		"RUnlock":     "it comes from the embedded sync.RWMutex",
		"Variadic":    "parameter 1: chan int is a channel",
	} {
		if !strings.HasPrefix(got[method], want) {
			t.Errorf("%s: got %q, want %q", method, got[method], want)
		}
	}
	if why, ok := got["Fine"]; ok {
		t.Errorf("Fine is refused: %s", why)
	}
	if text := err.Error(); !strings.HasPrefix(text, `export "misfits" (*rmi.misfits): `) || strings.Count(text, "\n\t") != len(e.Methods) {
		t.Errorf("the text is not one line per method:\n%s", text)
	}
}

func TestExportJudgesOnlyTheListedMethods(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("some", &misfits{}, ExportOptions{Methods: []string{"Fine", "get_url", "fine"}}); err != nil {
		t.Fatal(err)
	}
	info, _ := o.Interface("some")
	if len(info.Methods) != 2 || info.Methods[0].Name != "fine" || info.Methods[1].Name != "get_url" {
		t.Errorf("got methods %+v, want fine and get_url", info.Methods)
	}
	err := o.Export("other", &misfits{}, ExportOptions{Methods: []string{"fin", "channel", "zebra"}})
	want := "export \"other\" (*rmi.misfits): 3 methods cannot be called from afar\n" +
		"\tfin: there is no such method; did you mean fine\n" +
		"\tzebra: there is no such method\n" +
		"\tChannel: parameter 1: chan int is a channel, which cannot travel"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

type byPointer struct{}

func (*byPointer) Get() int { return 1 }

type byValue int

func (v byValue) Get() int { return int(v) }

type closer struct{}

func (*closer) Close() error { return nil }
func (*closer) Use()         {}

type lockService struct{ sync.Mutex }

func (*lockService) Lock(_ context.Context, name string) error { return nil }
func (*lockService) TryLock() bool                             { return false }

func TestExportErrorsOfTheWhole(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	tests := []struct {
		name naming.Name
		v    any
		opts ExportOptions
		want string
	}{
		{"x", nil, ExportOptions{}, `export "x" (nil): the value is nil`},
		{"x", (*byPointer)(nil), ExportOptions{}, `export "x" (*rmi.byPointer): the pointer is nil`},
		{"x", byPointer{}, ExportOptions{}, `export "x" (rmi.byPointer): its methods are those of a pointer to it; export &byPointer{…}`},
		{"x", 5, ExportOptions{}, `export "x" (int): it has no exported methods`},
		{"x", func() {}, ExportOptions{}, `export "x" (func()): it is a function; use ExportFunc`},
		{"", &byPointer{}, ExportOptions{}, `invalid name "": it is empty`},
		{"x\n", &byPointer{}, ExportOptions{}, "not printable"},
		{"x", &byPointer{}, ExportOptions{Docs: Docs{Params: map[string][]string{"Get": {"a"}}}}, "Get: its docs name 1 parameter, and it takes 0"},
		{"x", &byPointer{}, ExportOptions{Docs: Docs{Methods: map[string]string{"got": "?"}}}, "got: docs are given for it, and there is no such method"},
	}
	for _, tt := range tests {
		err := o.Export(tt.name, tt.v, tt.opts)
		if _, ok := errors.AsType[*ExportError](err); !ok || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if err := o.Export("", &byPointer{}, ExportOptions{}); !errors.Is(err, naming.ErrInvalidName) {
		t.Errorf("got %v, want an ErrInvalidName", err)
	}
	if len(o.Names()) != 0 {
		t.Errorf("failed exports left %q", o.Names())
	}
}

func TestExportFuncErrors(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	for _, tt := range []struct {
		fn   any
		opts ExportOptions
		want string
	}{
		{nil, ExportOptions{}, "the function is nil"},
		{(func())(nil), ExportOptions{}, "the function is nil"},
		{&byPointer{}, ExportOptions{}, "it is not a function; use Export"},
		{func(chan int, func()) {}, ExportOptions{}, "parameter 1: chan int is a channel, which cannot travel; parameter 2: func() is"},
		{func() {}, ExportOptions{Methods: []string{"x"}}, "a function has no methods"},
		{func() {}, ExportOptions{Docs: Docs{Methods: map[string]string{"x": "?"}}}, `docs are given for "x"`},
	} {
		err := o.ExportFunc("f", tt.fn, tt.opts)
		if _, ok := errors.AsType[*ExportError](err); !ok || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if err := o.ExportFunc("f", func() {}, ExportOptions{Docs: Docs{Idempotent: []string{""}}}); err != nil || !o.Idempotent("f", "") {
		t.Errorf("got error %v", err)
	}
}

func TestExportTakesEachNameOnce(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("x", byValue(7), ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	err := o.ExportFunc("x", func() {}, ExportOptions{})
	if err == nil || err.Error() != `export "x" (func()): the name is taken by a rmi.byValue; remove that first` {
		t.Errorf("got %v", err)
	}
	if got, err := InvokeAs[int](t.Context(), o, "x", "get"); err != nil || got != 7 {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestCloseIsTheOwnersUnlessListed(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	for name, opts := range map[naming.Name]ExportOptions{"a": {}, "b": {Methods: []string{"Close", "use"}}} {
		if err := o.Export(name, &closer{}, opts); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok := o.Known("a", "close"); ok {
		t.Error("Close is exported without being listed")
	}
	if _, _, ok := o.Known("b", "close"); !ok {
		t.Error("Close is not exported although it is listed")
	}
}

// Only what the mutex itself brings is refused.
func TestOwnMethodMayBeCalledLock(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	if err := o.Export("locks", &lockService{}, ExportOptions{Methods: []string{"lock"}}); err != nil {
		t.Error(err)
	}
	if err := o.Export("locks2", &lockService{}, ExportOptions{Methods: []string{"unlock"}}); err == nil {
		t.Error("the mutex's Unlock was exported")
	}
}
