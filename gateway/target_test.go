package gateway

import (
	"strings"
	"testing"

	"farcall.dev/naming"
)

// shelf is what is registered in these tests.
func shelf(name naming.Name) (naming.Kind, bool) {
	kind, ok := map[naming.Name]naming.Kind{
		"add": naming.KindFunction, "math.add": naming.KindFunction, "math": naming.KindObject, "shop": naming.KindObject,
		"shop.cart": naming.KindObject, "shop.cart.add": naming.KindObject, "old": naming.KindObject,
	}[name]
	return kind, ok
}

func TestMethodNamesAreSplit(t *testing.T) {
	for full, want := range map[string]target{
		"add":               {"add", ""},
		"math.add":          {"math.add", ""}, // the function, not the method of math
		"math.sub":          {"math", "sub"},
		"shop.list":         {"shop", "list"},
		"shop.cart.order":   {"shop.cart", "order"},
		"shop.cart.add":     {"shop.cart", "add"}, // an object cannot be called by itself
		"shop.cart.add.one": {"shop.cart.add", "one"},
		"old.sample.add":    {"old", "sample.add"},
		"old":               {"old", ""},
		"nothing":           {"nothing", ""},
		"no.such.thing":     {"no.such", "thing"},
		"add.x":             {"add", "x"},
		".x":                {".x", ""},
		"shop.":             {"shop.", ""},
		"shop..x":           {"shop", ".x"},
		"":                  {"", ""},
		".":                 {".", ""},
	} {
		if got := resolveTarget(full, shelf); got != want {
			t.Errorf("%q: got %q and %q, want %q and %q", full, got.name, got.method, want.name, want.method)
		}
	}
}

func TestLongMethodNamesAreNotLookedUp(t *testing.T) {
	asked := 0
	resolveTarget(strings.Repeat("a.", maxTarget), func(naming.Name) (naming.Kind, bool) { asked++; return "", false })
	if asked > 0 {
		t.Errorf("a name of %d bytes was looked up %d times", 2*maxTarget, asked)
	}
}

func FuzzResolveTarget(f *testing.F) {
	for _, seed := range []string{"add", "shop.cart.order", "shop..x", ".", "a.b.c.d", "old.\x00", strings.Repeat(".", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, full string) {
		got := resolveTarget(full, shelf)
		if got.String() != full {
			t.Errorf("%q became %q and %q, which is not all of it", full, got.name, got.method)
		}
		if kind, known := shelf(got.name); known && kind == naming.KindFunction && got.method == "" && string(got.name) != full {
			t.Errorf("%q calls the function %q", full, got.name)
		}
	})
}
