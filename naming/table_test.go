package naming

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestTableIsAMap compares the table with a map under random writes, while
// readers look.
func TestTableIsAMap(t *testing.T) {
	tab, model := newTable(), map[Name]*Entry{}
	rnd := rand.New(rand.NewPCG(1, 2))
	names := make([]Name, 3000)
	for i := range names {
		names[i] = Name(fmt.Sprintf("name.%d", i))
		if i%3 == 0 { // too long for its slot
			names[i] = Name(fmt.Sprintf("a.name.that.is.longer.than.most.names.%d", i))
		}
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				want := names[i%len(names)]
				if e := tab.get(want); e != nil && e.Name != want {
					t.Errorf("get(%q) returned the entry of %q", want, e.Name)
					return
				}
			}
		})
	}
	check := func(when string) {
		t.Helper()
		got := map[Name]*Entry{}
		for e := range tab.all() {
			got[e.Name] = e
		}
		taken := 0
		for i := range *tab.slots.Load() {
			if (*tab.slots.Load())[i].entry.Load() != nil {
				taken++
			}
		}
		if taken != tab.taken {
			t.Fatalf("%s: %d slots are taken and the table says %d", when, taken, tab.taken)
		}
		if !maps.Equal(got, model) || tab.size != len(model) {
			t.Fatalf("%s: the table has %d entries and says %d, want %d", when, len(got), tab.size, len(model))
		}
		for _, n := range names {
			if tab.get(n) != model[n] {
				t.Fatalf("%s: get(%q) is wrong", when, n)
			}
		}
	}
	for _, phase := range []struct {
		what  string
		grow  float64
		steps int
	}{{"grown", 0.9, 6000}, {"churned", 0.5, 6000}, {"shrunk", 0.02, 12000}} {
		for range phase.steps {
			name := names[rnd.IntN(len(names))]
			if rnd.Float64() < phase.grow {
				e := newEntry(name, make([]Instance, 1), 1)
				tab.put(e)
				model[name] = e
			} else {
				tab.delete(name)
				delete(model, name)
			}
			if n := len(*tab.slots.Load()); tab.taken > n*3/4 {
				t.Fatalf("while being %s, %d of %d slots are taken, want three quarters at most", phase.what, tab.taken, n)
			}
		}
		check(phase.what)
	}
	if n, most := len(*tab.slots.Load()), 8*len(model); n > most {
		t.Errorf("a shrunk table of %d names has %d slots, want at most %d", len(model), n, most)
	}
	for _, n := range names {
		tab.delete(n)
	}
	clear(model)
	check("emptied")
	if n := len(*tab.slots.Load()); n != minSlots {
		t.Errorf("an emptied table has %d slots, want %d", n, minSlots)
	}
	close(stop)
	readers.Wait()
}

// TestTableUpdateDoesNotCopyTheTable pins the cost of an update in a table of
// many names.
func TestTableUpdateDoesNotCopyTheTable(t *testing.T) {
	tab := newTable()
	entries := make([]*Entry, 50_000)
	for i := range entries {
		entries[i] = newEntry(Name(fmt.Sprintf("name.%d", i)), make([]Instance, 1), 1)
		tab.put(entries[i])
	}
	i := 0
	if got := testing.AllocsPerRun(1000, func() { tab.put(entries[i]); i += 7 }); got > 0 {
		t.Errorf("replacing an entry allocates %v times, want 0", got)
	}
	slots := tab.slots.Load()
	for range 200_000 { // a name that comes and goes takes no more room
		tab.delete(entries[0].Name)
		tab.put(entries[0])
	}
	if tab.slots.Load() != slots {
		t.Error("one name that came and went moved the whole table")
	}
}

// BenchmarkTable looks names up in random order, by strings of the caller's
// own that are at hand, beside a bare map that nobody writes to: once without
// looking at what it finds, and once with.
func BenchmarkTable(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		tab, model := newTable(), map[Name]*Entry{}
		for i := range n {
			e := newEntry(Name(fmt.Sprintf("shop.service-%d.object", i)), []Instance{{State: StateLive}}, 1)
			tab.put(e)
			model[e.Name] = e
		}
		asked := make([]Name, n)
		for i, at := range rand.Perm(n) {
			asked[i] = Name(fmt.Sprintf("shop.service-%d.object", at))
		}
		for what, get := range map[string]func(Name) *Entry{
			"table": tab.get,
			"map":   func(name Name) *Entry { return model[name] },
		} {
			for use, bad := range map[string]func(*Entry) bool{
				"found": func(e *Entry) bool { return e == nil },
				"used":  func(e *Entry) bool { return len(e.callable) == 0 },
			} {
				b.Run(fmt.Sprintf("names=%d/%s/%s", n, what, use), func(b *testing.B) {
					i := 0
					for b.Loop() {
						if bad(get(asked[i])) {
							b.Fatal("it is not there")
						}
						if i++; i == n {
							i = 0
						}
					}
				})
			}
		}
	}
}
