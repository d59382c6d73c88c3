package rmi

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reservedPrefix begins the wire names that are kept for Farcall itself.
const reservedPrefix = "farcall_"

// maxSuggestions bounds how many names an error offers.
const maxSuggestions = 12

// SnakeCase returns the wire name of a Go name: words in lower case, joined by
// underscores. A run of capitals is one word, and so is its plural; a digit
// belongs to the word before it:
//
//	GetFortune -> get_fortune    GetURLByID -> get_url_by_id
//	HTTPServer -> http_server    SHA256Sum  -> sha256_sum
//	UserIDs    -> user_ids       HTTP2Push  -> http2_push
//
// Underscores in the Go name stay. The wire name of a wire name is itself.
func SnakeCase(name string) string {
	if plainLower(name) {
		return name
	}
	runes := []rune(name)
	var b strings.Builder
	b.Grow(len(name) + 4)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && startsWord(runes, i) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// plainLower reports whether SnakeCase has nothing to do.
func plainLower(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// startsWord reports whether the capital at i, which is not the first
// character, begins a word of its own.
func startsWord(runes []rune, i int) bool {
	prev := runes[i-1]
	switch {
	case prev == '_':
		return false
	case !unicode.IsUpper(prev):
		return true
	case i+1 == len(runes):
		return false
	}
	if !unicode.IsLower(runes[i+1]) {
		return false
	}
	// After capitals, a capital before a lower-case letter begins a word
	// ("HTTPServer"), unless that letter is the plural s of the capitals
	// ("IDs", "URLsByID").
	plural := runes[i+1] == 's' && (i+2 == len(runes) || !unicode.IsLower(runes[i+2]))
	return !plural
}

// nearest returns those of names that resemble name, the most similar first.
func nearest(name string, names []string) []string {
	type scored struct {
		name  string
		score int
	}
	if len(name) > 64 {
		return nil // no typing mistake, and the comparison is quadratic
	}
	want := strings.ToLower(name)
	var near []scored
	for _, n := range names {
		if len(n) > 64 {
			continue
		}
		d := editDistance(want, strings.ToLower(n))
		if limit := max(1, len(want)/3); d <= limit || len(want) > 2 && strings.HasPrefix(n, want) {
			near = append(near, scored{n, d})
		}
	}
	slices.SortStableFunc(near, func(a, b scored) int { return a.score - b.score })
	out := make([]string, 0, 3)
	for _, s := range near[:min(3, len(near))] {
		out = append(out, s.name)
	}
	return out
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that make b of a, by bytes.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// didYouMean returns "; did you mean X or Y?" for the names that resemble
// name, and "" when none does.
func didYouMean(name string, names []string) string {
	near := nearest(name, names)
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// listed joins at most maxSuggestions of names, and says how many are left out.
func listed(names []string) string {
	if len(names) <= maxSuggestions {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxSuggestions], ", ") + ", …"
}

// clip shortens text that a stranger chose to what fits in a message.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
