package naming_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"farcall.dev/naming"
)

// filled returns a cache of n names, with one instance each.
func filled(tb testing.TB, n int) (*naming.Cache, *fakeRegistry, []naming.Name) {
	tb.Helper()
	reg := newFakeRegistry()
	cache := naming.NewCache(reg, naming.CacheOptions{})
	tb.Cleanup(cache.Close)
	names := make([]naming.Name, n)
	all := make([]naming.Instance, n)
	for i := range names {
		names[i] = naming.Name(fmt.Sprintf("shop.service-%d.object", i))
		all[i] = instance(tb, names[i], "node-1")
	}
	reg.reset(all...)
	if err := cache.Ready(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return cache, reg, names
}

func TestResolveDoesNotAllocate(t *testing.T) {
	cache, reg, names := filled(t, 1000)
	for _, name := range names { // so that not all instances are callable
		reg.put(instance(t, name, "node-2", inState(naming.StateDraining)))
	}
	reg.put(instance(t, "fence", "node-1"))
	if _, err := cache.Wait(t.Context(), "fence"); err != nil {
		t.Fatal(err)
	}
	i := 0
	got := testing.AllocsPerRun(1000, func() {
		e, err := cache.Resolve(t.Context(), names[i%len(names)])
		if err != nil || len(e.Callable()) != 1 {
			t.Fatalf("got %v, %v", e, err)
		}
		i++
	})
	if got != 0 {
		t.Errorf("Resolve allocates %v times, want 0", got)
	}
}

func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			cache, _, names := filled(b, n)
			ctx := b.Context()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := cache.Resolve(ctx, names[i]); err != nil {
					b.Fatal(err)
				}
				if i += 7919; i >= n {
					i %= n
				}
			}
		})
		b.Run(fmt.Sprintf("names=%d/parallel", n), func(b *testing.B) {
			cache, _, names := filled(b, n)
			ctx := b.Context()
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, err := cache.Resolve(ctx, names[i%n]); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkResolveBesideMap takes turns, in one run, between Resolve and a look-up in
// a plain map of the same names, in an order that no cache of the processor foresees,
// and compares what they take: the medians of the rounds.
func BenchmarkResolveBesideMap(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			cache, _, names := filled(b, n)
			plain := make(map[naming.Name]*naming.Entry, n)
			for _, name := range names {
				plain[naming.Name(strings.Clone(string(name)))] = cache.Lookup(name) // a caller's name has bytes of its own
			}
			const perRound = 20_000
			order := rand.New(rand.NewPCG(1, 2)).Perm(max(n, 2*perRound))
			var ours, theirs, ratio []float64
			ctx := b.Context()
			for b.Loop() {
				start := time.Now()
				for _, i := range order[:perRound] {
					if _, err := cache.Resolve(ctx, names[i%n]); err != nil {
						b.Fatal(err)
					}
				}
				between := time.Now()
				for _, i := range order[perRound : 2*perRound] { // not those that are at hand now
					if plain[names[i%n]] == nil {
						b.Fatal("it is not there")
					}
				}
				resolved, found := between.Sub(start), time.Since(between)
				ours, theirs = append(ours, float64(resolved)/perRound), append(theirs, float64(found)/perRound)
				ratio = append(ratio, float64(resolved)/float64(found))
				order = append(order[perRound:], order[:perRound]...)
			}
			for what, of := range map[string][]float64{"resolve-ns": ours, "map-ns": theirs, "resolve/map": ratio} {
				slices.Sort(of)
				b.ReportMetric(of[len(of)/2], what)
			}
		})
	}
}

// BenchmarkMiss is a name that is not there, asked for in a loop.
func BenchmarkMiss(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			cache, _, _ := filled(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cache.Resolve(b.Context(), "shop.servise-12.object"); err == nil {
					b.Fatal("it is there")
				}
			}
		})
	}
}

// BenchmarkUpdate is one changed instance, from the watch to the table.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			_, reg, names := filled(b, n)
			inst := instance(b, names[0], "node-1")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				inst.Name, inst.Weight = names[i%n], 1+i%9999
				reg.updates <- naming.Update{Put: []naming.Instance{inst}, Revision: naming.Revision(i), Time: time.Now()}
			}
		})
	}
}
