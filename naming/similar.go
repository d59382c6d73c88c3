package naming

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// maxSimilar is how many names a NotFoundError suggests.
	maxSimilar = 3
	// maxSearch is how long one search for similar names may take. It suffices
	// for some hundred thousand names.
	maxSearch = 10 * time.Millisecond
	// searchShare is the part of one processor that searches may take: after a
	// search there is none for this many times as long as it took.
	searchShare = 20
)

// speller finds registered names that resemble one that is not. A search looks
// at every name, so only one runs at a time and all together take a small,
// fixed share of one processor; a miss that comes too soon after another gets
// no suggestions, and costs next to nothing.
type speller struct {
	mu   sync.Mutex
	rest time.Time // guarded by mu; no search before that
}

// similar returns at most maxSimilar names of t that resemble name, the most
// similar first.
func (s *speller) similar(t *table, name Name) []Name {
	if name == "" || len(name) > MaxNameLen || !s.mu.TryLock() {
		return nil
	}
	defer s.mu.Unlock()
	start := time.Now()
	if start.Before(s.rest) {
		return nil
	}
	defer func() {
		now := time.Now()
		s.rest = now.Add(searchShare * now.Sub(start))
	}()

	var found []suggestion
	want := newSpelling(name)
	seen := 0
	for e := range t.all() {
		if seen++; seen%1024 == 0 && time.Since(start) > maxSearch {
			break
		}
		far, ok := want.distance(e.Name, e.sign)
		if !ok {
			continue
		}
		found = append(found, suggestion{e.Name, far})
		if len(found) > maxSimilar {
			slices.SortFunc(found, suggestion.compare)
			found = found[:maxSimilar]
		}
	}
	slices.SortFunc(found, suggestion.compare)
	names := make([]Name, 0, len(found))
	for _, f := range found {
		if f.far <= found[0].far+1 { // beside a good one, a poor one only confuses
			names = append(names, f.name)
		}
	}
	return names
}

// suggestion is a name and how far it is from the one asked for.
type suggestion struct {
	name Name
	far  int
}

func (s suggestion) compare(o suggestion) int {
	return cmp.Or(cmp.Compare(s.far, o.far), cmp.Compare(s.name, o.name))
}

// signature has a bit set for each character of a name, upper and lower case
// alike, so that names which cannot resemble each other are told apart by one
// instruction.
type signature uint64

func sign(name Name) signature {
	var s signature
	for i := range len(name) {
		s |= 1 << (lower(name[i]) & 63)
	}
	return s
}

// lower returns c in lower case, when it is an ASCII letter.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// spelling is a name prepared for comparison with many.
type spelling struct {
	name  Name
	lower string
	ascii bool
	sign  signature
	limit int // the largest distance that counts as similar
	runes [2][]rune
	rows  [3][]int
}

func newSpelling(name Name) *spelling {
	lower := strings.ToLower(string(name))
	s := &spelling{name: name, lower: lower, ascii: isASCII(name), sign: sign(name)}
	s.limit = min(3, 1+utf8.RuneCountInString(lower)/4)
	for i := range s.rows {
		s.rows[i] = make([]int, len(lower)+1)
	}
	return s
}

// distance returns how far other is from s, and whether they are similar at
// all: a few typing errors apart, or the same but for a path in front, as
// "cart" and "shop.cart".
func (s *spelling) distance(other Name, sign signature) (far int, ok bool) {
	longer := len(other) - len(s.name)
	if longer > 1 && strings.IndexByte("./:", other[longer-1]) >= 0 && other[longer:] == s.name {
		return 1, true
	}
	if s.ascii && isASCII(other) {
		// A character that was replaced changes two bits, others one or none.
		if longer > s.limit || -longer > s.limit || bits.OnesCount64(uint64(sign^s.sign)) > 2*s.limit {
			return 0, false
		}
	}
	far = s.edits(strip(s.lower, strings.ToLower(string(other))))
	return far, far <= s.limit
}

// strip returns a and b without the ASCII characters that both begin and end
// with.
func strip(a, b string) (string, string) {
	for a != "" && b != "" && a[0] == b[0] && a[0] < utf8.RuneSelf {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] && a[len(a)-1] < utf8.RuneSelf {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

// edits counts the characters that must be added, removed, replaced or swapped
// with their neighbour to make to of from (optimal string alignment). It stops
// counting beyond the limit. from is no longer than s.
func (s *spelling) edits(from, to string) int {
	a, b := s.runes[0][:0], s.runes[1][:0]
	for _, r := range from {
		a = append(a, r)
	}
	for _, r := range to {
		b = append(b, r)
	}
	s.runes[0], s.runes[1] = a, b
	before, last, row := s.rows[0], s.rows[1], s.rows[2]
	for j := range len(a) + 1 {
		last[j] = j
	}
	for i := range b {
		row[0] = i + 1
		best := row[0]
		for j := range a {
			cost := 1
			if a[j] == b[i] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, last[j+1]+1, last[j]+cost)
			if i > 0 && j > 0 && a[j] == b[i-1] && a[j-1] == b[i] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
			best = min(best, row[j+1])
		}
		if best > s.limit {
			return best
		}
		before, last, row = last, row, before
	}
	return last[len(a)]
}

func isASCII(name Name) bool {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
