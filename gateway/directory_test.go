package gateway

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// shelfDirectory is a Directory whose answers a test chooses, and counts.
type shelfDirectory struct {
	mu     sync.Mutex
	listed map[naming.Name]Listing // guarded by mu
	asked  map[naming.Name]int     // guarded by mu
	fail   map[naming.Name]bool    // guarded by mu
}

var _ Directory = (*shelfDirectory)(nil)

func newShelfDirectory(listings ...Listing) *shelfDirectory {
	d := &shelfDirectory{listed: map[naming.Name]Listing{}, asked: map[naming.Name]int{}, fail: map[naming.Name]bool{}}
	for _, l := range listings {
		d.listed[l.Name] = l
	}
	return d
}

func (d *shelfDirectory) Lookup(_ context.Context, name naming.Name) (Listing, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.listed[name]
	return l, ok
}

func (d *shelfDirectory) List(context.Context, string) ([]Listing, error) { return nil, nil }

func (d *shelfDirectory) Describe(_ context.Context, name naming.Name) (rmi.InterfaceInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[name]++
	if d.fail[name] {
		return rmi.InterfaceInfo{}, rmi.Errorf(rmi.Unavailable, "nobody there")
	}
	return rmi.InterfaceInfo{Name: name, Kind: naming.KindObject, Digest: d.listed[name].Digest, Methods: []rmi.MethodInfo{{Name: "m", Go: "M"}}}, nil
}

func TestInterfacesAreRememberedUntilSomethingChanges(t *testing.T) {
	shelf := newShelfDirectory(Listing{Name: "a", Digest: "1", Revision: 1}, Listing{Name: "mixed"})
	d := newDescribed(shelf)
	ask := func(name naming.Name, want int) {
		t.Helper()
		if _, err := d.Describe(t.Context(), name); err != nil || shelf.asked[name] != want {
			t.Errorf("%s was asked for %d times, %v; want %d", name, shelf.asked[name], err, want)
		}
	}
	ask("a", 1)
	ask("a", 1)
	shelf.listed["a"] = Listing{Name: "a", Digest: "1", Revision: 2} // registered anew: names of parameters may differ
	ask("a", 2)
	shelf.listed["a"] = Listing{Name: "a", Digest: "2", Revision: 2}
	ask("a", 3)
	ask("a", 3)
	ask("mixed", 1) // its instances differ
	ask("mixed", 2)
}

func TestMemoryOfInterfacesIsBounded(t *testing.T) {
	shelf := newShelfDirectory()
	d := newDescribed(shelf)
	for i := range maxDescribed + 10 {
		name := naming.Name(fmt.Sprint("n", i))
		shelf.listed[name] = Listing{Name: name, Digest: "1"}
		if _, err := d.Describe(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(d.known); got != maxDescribed {
		t.Errorf("%d interfaces are remembered, want %d", got, maxDescribed)
	}
}

func TestDescribingAllLeavesOutWhatDoesNotAnswer(t *testing.T) {
	var list []Listing
	for i := range 3 * maxDescribing {
		list = append(list, Listing{Name: naming.Name(fmt.Sprintf("n%03d", i)), Digest: "1"})
	}
	shelf := newShelfDirectory(list...)
	shelf.fail["n001"] = true
	infos, err := newDescribed(shelf).describeAll(t.Context(), list)
	if err != nil || len(infos) != len(list)-1 || infos[0].Name != "n000" || infos[1].Name != "n002" {
		t.Errorf("got %d interfaces, %v; want %d in order", len(infos), err, len(list)-1)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newDescribed(shelf).describeAll(ended, list); err == nil {
		t.Error("a listing that was given up looks whole")
	}
}

func TestMetricsAreNotNamedByStrangers(t *testing.T) {
	shelf := newShelfDirectory(
		Listing{Name: "obj", Kind: naming.KindObject, Digest: "1"}, Listing{Name: "add", Kind: naming.KindFunction, Digest: "1"})
	g, err := New(rmi.HandlerFunc(nil), shelf, Options{})
	if err != nil {
		t.Fatal(err)
	}
	check := func(name naming.Name, method string, wantName naming.Name, wantMethod string, want bool) {
		t.Helper()
		if n, m, ok := g.Known(name, method); n != wantName || m != wantMethod || ok != want {
			t.Errorf("%s.%s: got %q, %q, %t; want %q, %q, %t", name, method, n, m, ok, wantName, wantMethod, want)
		}
	}
	check("add", "", "add", "", true)
	check("add", "x", "add", "", false)
	check("nothing", "m", "", "", false)
	check("obj", "m", "obj", "", false) // nobody has told yet
	if _, err := g.dir.Describe(t.Context(), "obj"); err != nil {
		t.Fatal(err)
	}
	check("obj", "m", "obj", "m", true)
	check("obj", "M", "obj", "m", true)
	check("obj", "made up", "obj", "", false)
}
