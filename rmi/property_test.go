package rmi

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farcall.dev/naming"
)

// stall has properties of every kind.
type stall struct {
	mu sync.RWMutex

	Price    float64
	Owner    string
	Tags     []string
	Opened   time.Time
	Size     *int32
	Weights  map[int]float32
	Nested   struct{ Depth uint8 }
	Callback func()
	//lint:ignore U1000 a field that cannot be a property
	hidden int

	Address
	*Lease
}

// Address is embedded, so that its fields are the stall's.
type Address struct{ StreetName string }

// Lease is embedded by a pointer, which may be nil.
type Lease struct{ Until time.Time }

// Total is what an item costs with tax.
func (s *stall) Total() float64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.Price * 1.25
}

// Rename sets the owner.
func (s *stall) Rename(ctx context.Context, name string) error {
	if _, ok := CallFrom(ctx); !ok || name == "" {
		return errSoldOut
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Owner = name
	return nil
}

// stallProperties are what the tests list.
func stallProperties() []Property {
	return []Property{
		{Name: "Price", Doc: "What it costs."}, {Name: "tags"}, {Name: "Opened", ReadOnly: true}, {Name: "size"}, {Name: "weights"},
		{Name: "nested"}, {Name: "StreetName"}, {Name: "until"},
		{Name: "owner", Set: (*stall).Rename},
		{Name: "total", Get: (*stall).Total},
		{Name: "greeting", Get: func() string { return "hello" }},
		{Name: "failing", Get: func(context.Context) (int, error) { return 0, errSoldOut }, Set: func(int) {}},
	}
}

// exportStall exports a stall, itself and by a factory.
func exportStall(t testing.TB) (*Objects, *stall) {
	t.Helper()
	o := NewObjects(ObjectsOptions{Errors: shopErrors(t)})
	s := &stall{Price: 2, Owner: "ann", Opened: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	made := NewFactory(Shared, func(context.Context) (*stall, error) { return s, nil })
	for name, v := range map[naming.Name]any{"stall": s, "made": made} {
		if err := o.Export(name, v, ExportOptions{Properties: stallProperties(), Guard: &s.mu}); err != nil {
			t.Fatal(err)
		}
	}
	return o, s
}

func TestPropertiesAreReadAndWritten(t *testing.T) {
	o, s := exportStall(t)
	client, _ := connPair(t, nil, o, ConnOptions{}, ConnOptions{})
	for where, h := range map[string]Handler{"in process": o, "remote": client} {
		for _, name := range []naming.Name{"stall", "made"} {
			s.Price, s.Owner, s.Tags, s.Size, s.Lease = 2, "ann", nil, nil, &Lease{}
			size := int32(7)
			for _, tt := range []struct {
				property string
				value    any
				got      func() any
			}{
				{"price", 2.5, func() any { return s.Price }},
				{"Price", int64(3), func() any { return int64(s.Price) }},
				{"tags", []string{"a", "b"}, func() any { return s.Tags }},
				{"size", size, func() any { return *s.Size }},
				{"weights", map[int]float32{1: 2}, func() any { return s.Weights }},
				{"nested", map[string]any{"Depth": 9}, func() any { return map[string]any{"Depth": int(s.Nested.Depth)} }},
				{"street_name", "main", func() any { return s.StreetName }},
				{"until", s.Opened, func() any { return s.Until }},
				{"owner", "bob", func() any { return s.Owner }},
			} {
				if err := Set(t.Context(), h, name, tt.property, tt.value); err != nil {
					t.Errorf("%s, %s: set %s: %v", where, name, tt.property, err)
					continue
				}
				if diff := cmp.Diff(tt.value, tt.got()); diff != "" {
					t.Errorf("%s, %s: %s was set to (-want +got):\n%s", where, name, tt.property, diff)
				}
			}
			wantProperty(t, h, name, "price", 3.0)
			wantProperty(t, h, name, "price", 3)
			wantProperty(t, h, name, "Tags", []string{"a", "b"})
			wantProperty(t, h, name, "opened", s.Opened)
			wantProperty(t, h, name, "size", &size)
			wantProperty(t, h, name, "weights", map[int]float32{1: 2})
			wantProperty(t, h, name, "nested", struct{ Depth uint8 }{9})
			wantProperty(t, h, name, "street_name", "main")
			wantProperty(t, h, name, "owner", "bob")
			wantProperty(t, h, name, "Total", 3.75)
			wantProperty(t, h, name, "greeting", "hello")

			if err := Set(t.Context(), h, name, "size", nil); err != nil || s.Size != nil {
				t.Errorf("set size to null: got %v, %v", s.Size, err)
			}
			list, err := InvokeAs[[]PropertyInfo](t.Context(), h, name, PropertiesMethod)
			info, _ := o.Interface(name)
			if diff := cmp.Diff(info.Properties, list); err != nil || diff != "" {
				t.Errorf("the list: %v; (-described +listed):\n%s", err, diff)
			}
		}
	}
}

// wantProperty fails the test unless the property is want.
func wantProperty[T any](t *testing.T, h Handler, object naming.Name, property string, want T) {
	t.Helper()
	got, err := Get[T](t.Context(), h, object, property)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("get %s.%s: %v; (-want +got):\n%s", object, property, err, diff)
	}
}

func TestPropertyErrorsSayWhatToDo(t *testing.T) {
	o, s := exportStall(t)
	set := func(property string, value any) error { return Set(t.Context(), o, "stall", property, value) }
	get := func(property string) error {
		_, err := Get[any](t.Context(), o, "stall", property)
		return err
	}
	wantError(t, get("prise"), NotFound, Executed, "stall has no property prise; did you mean price? it has: failing, greeting, nested,")
	wantError(t, set("zzz", 1), NotFound, Executed, "stall has no property zzz; it has: ")
	wantError(t, set("opened", s.Opened), FailedPrecondition, Executed, "stall.opened is read-only")
	wantError(t, set("total", 1), FailedPrecondition, Executed, "stall.total is read-only")
	wantError(t, set("price", "much"), InvalidArgument, Executed, `stall.price: want float, got a string ("much")`)
	wantError(t, set("price", nil), InvalidArgument, Executed, "stall.price: want float, got null")
	wantError(t, get("until"), FailedPrecondition, Executed, "stall.until: the struct that it is in is not there")
	wantError(t, set("until", s.Opened), FailedPrecondition, Executed, "stall.until: the struct that it is in is not there")
	for _, err := range []error{get("failing"), set("owner", "")} {
		if !errors.Is(err, errSoldOut) {
			t.Errorf("got %v, want the function's own error", err)
		}
	}
	if _, err := Get[string](t.Context(), o, "stall", "total"); FromError(err).Code != Internal {
		t.Errorf("got %v, want INTERNAL for a value of another type", err)
	}
	if err := o.Export("plain", &shop{}, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	wantError(t, Set(t.Context(), o, "plain", "x", 1), Unimplemented, NotExecuted, "plain has no properties: its owner lists none")
	wantError(t, Set(t.Context(), o, "plain", "x", func() {}), InvalidArgument, NotExecuted, "argument 2")
}

// Every wrong property is told of at once.
func TestExportTellsOfEveryWrongProperty(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	for _, tt := range []struct {
		property Property
		want     string
	}{
		{Property{Name: "prize"}, `property "prize": there is no such field; did you mean price? one that is computed needs a Get`},
		{Property{Name: "zzz"}, "there is no such field; one that is computed needs a Get"},
		{Property{Name: "hidden"}, "the field is not exported"},
		{Property{Name: "callback"}, "callback"},
		{Property{Name: ""}, "a name has 1 to 255 bytes"},
		{Property{Name: "price"}, "it is listed twice"},
		{Property{Name: "a", Get: 7}, "Get: a value of type int is not a function"},
		{Property{Name: "b", Get: func(int) int { return 0 }}, "Get: a func(int) int does not fit: it must be a func() T"},
		{Property{Name: "c", Get: func() {}}, "must be a func() T"},
		{Property{Name: "d", Get: func() (int, int) { return 0, 0 }}, "must be a func() T"},
		{Property{Name: "e", Get: func() int { return 0 }, Set: func(string) {}}, "its type is int, and Set takes string"},
		{Property{Name: "f", Get: func() int { return 0 }, Set: func(int) int { return 0 }}, "Set: a func(int) int does not fit: it must be a func(T)"},
		{Property{Name: "g", Get: func() int { return 0 }, Set: func(int) {}, ReadOnly: true}, "it is read-only and has a Set"},
		{Property{Name: "h", Get: func() chan int { return nil }}, `property "h"`},
		{Property{Name: "i", Set: func(...int) {}}, "there is no such field"},
		{Property{Name: "owner", Set: func(...string) {}}, "must be a func(T)"},
	} {
		err := o.Export("stall", &stall{}, ExportOptions{Properties: []Property{{Name: "Price"}, tt.property, {Name: "nothing"}}})
		bad, ok := errors.AsType[*ExportError](err)
		if !ok || len(bad.Properties) != 2 || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), `property "nothing"`) {
			t.Errorf("%+v: got %v, want %q and the other one", tt.property, err, tt.want)
		}
	}
	err := o.Export("stall", stall{}, ExportOptions{Properties: []Property{{Name: "Price"}}}) //nolint:govet // its lock is not used
	if err == nil || !strings.Contains(err.Error(), "export &stall{…}") {
		t.Errorf("got %v, want the pointer to be asked for", err)
	}
	if err := o.Export("n", errno(7), ExportOptions{Properties: []Property{{Name: "Price"}}}); err == nil || !strings.Contains(err.Error(), "rmi.errno has no fields") {
		t.Errorf("got %v, want that there are no fields", err)
	}
	if err := o.ExportFunc("f", func() {}, ExportOptions{Properties: []Property{{Name: "Price"}}}); err == nil || !strings.Contains(err.Error(), "no properties") {
		t.Errorf("got %v, want that a function has none", err)
	}
}

func TestPropertiesAreDescribed(t *testing.T) {
	o, _ := exportStall(t)
	info, _ := o.Interface("stall")
	var got []string
	for _, p := range info.Properties {
		ro := ""
		if p.ReadOnly {
			ro = " read-only"
		}
		got = append(got, p.Name+" "+p.Go+": "+p.Type.String()+ro+p.Doc)
	}
	want := []string{
		"failing failing: int", "greeting greeting: string read-only", "nested Nested: {Depth: int}", "opened Opened: time read-only",
		"owner Owner: string", "price Price: floatWhat it costs.", "size Size: int?", "street_name StreetName: string", "tags Tags: list<string>",
		"total total: float read-only", "until Until: time", "weights Weights: map<int, float>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, m := range info.Methods {
		if strings.HasPrefix(m.Name, reservedPrefix) {
			t.Errorf("the method %s is described", m.Name)
		}
	}
	if _, ok := info.Property("StreetName"); !ok {
		t.Error("a property is not found by its name in Go")
	}
	if _, ok := info.Property(""); ok {
		t.Error("a property without a name is found")
	}
	digests := map[string]bool{info.Digest: true}
	for _, properties := range [][]Property{nil, {{Name: "Price"}}, {{Name: "Price", ReadOnly: true}}, {{Name: "Owner"}}} {
		o := NewObjects(ObjectsOptions{})
		if err := o.Export("stall", &stall{}, ExportOptions{Properties: properties}); err != nil {
			t.Fatal(err)
		}
		info, _ := o.Interface("stall")
		digests[info.Digest] = true
	}
	if len(digests) != 5 {
		t.Errorf("got %d digests, want 5: one for each set of properties", len(digests))
	}

	// Metrics and retries know the methods behind the properties.
	for method, idempotent := range map[string]bool{GetMethod: true, SetMethod: false, PropertiesMethod: true} {
		object, name, ok := o.Known("stall", method)
		if object != "stall" || name != method || !ok || o.Idempotent("stall", method) != idempotent {
			t.Errorf("%s: got %s, %s, %t, idempotent: %t", method, object, name, ok, o.Idempotent("stall", method))
		}
	}
	wantProperty(t, o, "stall", "greeting", "hello")
	counted := false
	for _, c := range o.Counters() {
		counted = counted || c.Object == "stall" && c.Method == GetMethod && c.Calls == 1
	}
	if !counted {
		t.Errorf("the call is not counted: %+v", o.Counters())
	}
}

// bare has fields and no methods.
type bare struct{ N int }

// own locks itself.
type own struct {
	mu sync.Mutex
	N  int
}

func (o *own) Lock()   { o.mu.Lock() }
func (o *own) Unlock() { o.mu.Unlock() }
func (o *own) Inc() {
	o.Lock()
	defer o.Unlock()
	o.N++
}

// With a guard, without one, and with the object as its own, nothing races; run
// with -race.
func TestPropertiesAreGuarded(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	self, plain, guarded := &own{}, &bare{}, &own{}
	for name, err := range map[string]error{
		"self":    o.Export("self", self, ExportOptions{Methods: []string{"inc"}, Properties: []Property{{Name: "N"}}}),
		"plain":   o.Export("plain", plain, ExportOptions{Properties: []Property{{Name: "N"}}}),
		"guarded": o.Export("guarded", guarded, ExportOptions{Methods: []string{"inc"}, Properties: []Property{{Name: "N"}}, Guard: &guarded.mu}),
	} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	var all sync.WaitGroup
	for i := range 20 {
		for _, name := range []naming.Name{"self", "plain", "guarded"} {
			all.Go(func() {
				if err := Set(t.Context(), o, name, "n", i); err != nil {
					t.Error(err)
				}
				if _, err := Get[int](t.Context(), o, name, "n"); err != nil {
					t.Error(err)
				}
				if name != "plain" {
					if _, err := Invoke(t.Context(), o, name, "inc"); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	all.Wait()
}
