package naming

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		name, other Name
		far         int
		similar     bool
	}{
		{"greeting", "greeting", 0, true},
		{"greting", "greeting", 1, true},
		{"greeeting", "greeting", 1, true},
		{"greetong", "greeting", 1, true},
		{"greetign", "greeting", 1, true},
		{"rgeetign", "greeting", 2, true},
		{"GREETING", "greeting", 0, true},
		{"greeting", "Greeting", 0, true},
		{"gretin", "greeting", 2, true},
		{"a", "b", 1, true},
		{"a", "bc", 0, false},
		{"ab", "cd", 0, false},
		{"add", "sub", 0, false},
		{"cart", "shop.cart", 1, true},
		{"cart", "shop/cart", 1, true},
		{"cart", "shopcart", 0, false},
		{"shop.cart", "cart", 0, false},
		{"größe", "grösse", 2, true},
		{"grösse", "größe", 2, true},
		{"日本語", "日木語", 1, true},
		{"日本語", "日", 0, false},
		{"ÄRGER", "ärger", 0, true},
		{"greeting", "an entirely different and much longer name", 0, false},
	} {
		far, ok := newSpelling(tt.name).distance(tt.other, sign(tt.other))
		if ok != tt.similar || ok && far != tt.far {
			t.Errorf("distance of %q from %q is %d, similar %v; want %d, %v", tt.other, tt.name, far, ok, tt.far, tt.similar)
		}
	}
}

// FuzzDistance compares the distance, which gives up early in several ways,
// with a plain one that does not.
func FuzzDistance(f *testing.F) {
	for _, seed := range [][2]string{
		{"greting", "greeting"}, {"ab", "ba"}, {"größe", "grosse"}, {"\xff\xfe", "a"}, {"", "a"}, {"Ⱥ", "ⱥ"}, {"aaaaaaaab", "bbaaaaaaa"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 60 || len(b) > 60 || invalid(a) != "" || invalid(b) != "" {
			return
		}
		s := newSpelling(Name(a))
		far, ok := s.distance(Name(b), sign(Name(b)))
		if strings.HasSuffix(b, a) && far == 1 {
			return // a path in front
		}
		want := plainDistance([]rune(strings.ToLower(a)), []rune(strings.ToLower(b)))
		if ok != (want <= s.limit) || ok && far != want {
			t.Errorf("distance of %q from %q is %d, similar %v; want %d of at most %d", b, a, far, ok, want, s.limit)
		}
	})
}

// plainDistance is the optimal string alignment by its definition.
func plainDistance(a, b []rune) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// TestMissesTakeASmallShare shows that searches are spaced by what they cost.
func TestMissesTakeASmallShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, s := newTable(), &speller{}
		tab.put(newEntry("greeting", make([]Instance, 1), 1))
		if got := s.similar(tab, "greting"); !slices.Equal(got, []Name{"greeting"}) {
			t.Fatalf("the first search found %q, want greeting", got)
		}
		s.rest = time.Now().Add(time.Second)
		if got := s.similar(tab, "greting"); got != nil {
			t.Errorf("a search found %q while it is to rest, want nothing", got)
		}
		<-time.After(time.Second) // on the clock of the bubble
		if got := s.similar(tab, "greting"); len(got) != 1 {
			t.Errorf("a search after the rest found %q, want greeting", got)
		}
		s.mu.Lock()
		if got := s.similar(tab, "greting"); got != nil {
			t.Errorf("a search found %q while another is running, want nothing", got)
		}
		s.mu.Unlock()
		if got := s.similar(tab, Name(strings.Repeat("x", MaxNameLen+1))); got != nil {
			t.Errorf("a search for an over-long name found %q, want nothing", got)
		}
	})
}

func BenchmarkSimilar(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			tab := newTable()
			for i := range n {
				tab.put(newEntry(Name(fmt.Sprintf("shop.service-%d.object", i)), make([]Instance, 1), 1))
			}
			b.ReportAllocs()
			for b.Loop() {
				s := &speller{}
				s.similar(tab, "shop.servise-123.object")
			}
		})
	}
}
