package naming_test

import (
	"fmt"
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
