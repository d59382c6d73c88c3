package builtin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGreetingIsExact(t *testing.T) {
	g := Default()["greeting"].Value.(*Greeting)
	if got, want := g.GetFortune("letian"), "Hello, letian. \n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	thing, err := Object("greeting", Options{"greeting": "Moin"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := thing.Value.(*Greeting).GetFortune("Jürgen"), "Moin, Jürgen. \n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDefaultHostsGreetingAddAndEcho(t *testing.T) {
	got := map[naming.Name]naming.Kind{}
	for name, thing := range Default() {
		got[name] = thing.Kind
	}
	want := map[naming.Name]naming.Kind{"greeting": naming.KindObject, "add": naming.KindFunction, "echo": naming.KindFunction}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAddAddsOrSaysThatTheSumDoesNotFit(t *testing.T) {
	for _, tt := range []struct {
		x, y, want int64
		fits       bool
	}{
		{3, 4, 7, true}, {-3, 3, 0, true}, {0, 0, 0, true}, {5, 0, 5, true}, {0, -5, -5, true},
		{math.MaxInt64, 0, math.MaxInt64, true}, {math.MaxInt64, math.MinInt64, -1, true},
		{math.MaxInt64, 1, 0, false}, {math.MinInt64, -1, 0, false},
		{math.MaxInt64, math.MaxInt64, 0, false}, {math.MinInt64, math.MinInt64, 0, false},
	} {
		got, err := add(tt.x, tt.y)
		if got != tt.want || (err == nil) != tt.fits {
			t.Errorf("add(%d, %d): got %d, %v; want %d and fits %v", tt.x, tt.y, got, err, tt.want, tt.fits)
		}
		if e, ok := errors.AsType[*rmi.Error](err); !tt.fits && (!ok || e.Code != rmi.InvalidArgument) {
			t.Errorf("add(%d, %d): got %v, want INVALID_ARGUMENT", tt.x, tt.y, err)
		}
	}
}

func TestEchoReturnsItsArguments(t *testing.T) {
	for _, tt := range []struct {
		in   []any
		want any
	}{{nil, nil}, {[]any{"hi"}, "hi"}, {[]any{nil}, nil}, {[]any{1, "two"}, []any{1, "two"}}} {
		if diff := cmp.Diff(tt.want, Echo{}.Echo(tt.in...)); diff != "" {
			t.Errorf("echo %v (-want +got):\n%s", tt.in, diff)
		}
	}
	if got := (Echo{}).Fail("on purpose"); got.Error() != "on purpose" {
		t.Errorf("fail: got %v, want the message", got)
	}
}

func TestSleepEndsInTimeOrWhenTheCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := (Echo{}).Sleep(t.Context(), 1.5); err != nil || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("got %v after %v, want nil after 1.5s", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := (Echo{}).Sleep(ctx, 600); err != context.DeadlineExceeded {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
	})
	for _, seconds := range []float64{-1, 601, math.NaN(), math.Inf(1)} {
		err := (Echo{}).Sleep(t.Context(), seconds)
		if e, ok := errors.AsType[*rmi.Error](err); !ok || e.Code != rmi.InvalidArgument {
			t.Errorf("sleep %v: got %v, want INVALID_ARGUMENT", seconds, err)
		}
	}
}

func TestCounterCounts(t *testing.T) {
	thing, err := Object("counter", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := thing.Value.(*Counter)
	c.Increment()
	if got := c.Increment(); got != 2 || c.Count() != 2 {
		t.Errorf("got %d and %d, want 2 and 2", got, c.Count())
	}
}

func TestWrongWordsAndOptionsAreNamed(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func() (Thing, error)
		want string
	}{
		{"type", func() (Thing, error) { return Object("greating", nil) }, `no object type "greating"; there are counter, echo, greeting`},
		{"function", func() (Thing, error) { return Function("sub") }, `no function "sub"; there are add, echo`},
		{"option", func() (Thing, error) { return Object("greeting", Options{"word": "x"}) }, `no option "word"; there is greeting`},
		{"option of none", func() (Thing, error) { return Object("echo", Options{"word": "x"}) }, `no option "word"; this type has none`},
		{"option's kind", func() (Thing, error) { return Object("greeting", Options{"greeting": 7}) }, `option "greeting" wants text, not 7`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.make(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestEveryWordMakesADescribedThing(t *testing.T) {
	var things []Thing
	for _, typ := range ObjectTypes() {
		thing, err := Object(typ, nil)
		if err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		things = append(things, thing)
	}
	for _, word := range Functions() {
		thing, err := Function(word)
		if err != nil {
			t.Errorf("%s: %v", word, err)
		}
		things = append(things, thing)
	}
	things = slices.AppendSeq(things, maps.Values(Default()))
	objects := rmi.NewObjects(rmi.ObjectsOptions{})
	for i, thing := range things {
		name, opts := naming.Name(fmt.Sprint("thing-", i)), rmi.ExportOptions{Docs: thing.Docs}
		err := objects.Export(name, thing.Value, opts)
		if thing.Kind == naming.KindFunction {
			err = objects.ExportFunc(name, thing.Value, opts)
		}
		if err != nil {
			t.Errorf("%+v cannot be exported: %v", thing, err)
			continue
		}
		info, _ := objects.Interface(name)
		if info.Doc == "" {
			t.Errorf("%T has no words for describe", thing.Value)
		}
		for _, m := range info.Methods {
			if m.Doc == "" {
				t.Errorf("%T.%s has no words for describe", thing.Value, m.Go)
			}
			for _, p := range m.Params {
				if p.Name == "" {
					t.Errorf("%T.%s has a parameter without a name", thing.Value, m.Go)
				}
			}
		}
	}
}
