package naming_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"farcall.dev/naming"
)

func TestParseName(t *testing.T) {
	for _, tt := range []struct {
		in     string
		reason string // part of the error; empty when in is valid
	}{
		{"greeting", ""},
		{"shop.cart", ""},
		{"Shop/Cart v2 %20", ""},
		{"größe", ""},
		{"日本語", ""},
		{"🙂", ""},
		{strings.Repeat("n", naming.MaxNameLen), ""},
		{"", "empty"},
		{strings.Repeat("n", naming.MaxNameLen+1), "256 bytes"},
		{strings.Repeat("語", 86), "258 bytes"},
		{"a\xff", "UTF-8"},
		{"a\x00", "U+0000 at byte 1"},
		{"a\nb", "U+000A at byte 1"},
		{"a\u200bb", "U+200B"},
		{"a\u00a0b", "U+00A0"},
		{" a", "space"},
		{"a ", "space"},
		{" ", "space"},
	} {
		name, err := naming.ParseName(tt.in)
		_, nodeErr := naming.ParseNodeID(tt.in)
		if (err == nil) != (nodeErr == nil) {
			t.Errorf("%q: as a name %v, as a node id %v; want the same rules", tt.in, err, nodeErr)
		}
		if tt.reason == "" {
			if err != nil || string(name) != tt.in {
				t.Errorf("ParseName(%q) = %q, %v; want it as it is", tt.in, name, err)
			}
			continue
		}
		bad, ok := errors.AsType[*naming.InvalidNameError](err)
		if !ok || !errors.Is(err, naming.ErrInvalidName) || bad.Value != tt.in || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("ParseName(%q): got %v, want an *InvalidNameError about %q", tt.in, err, tt.reason)
		}
	}
}

// FuzzParseName checks that a name that passes is what Name promises, and that
// a refusal can be printed, whatever was refused.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{
		"greeting", "shop.cart", "", " ", "a b", "a\x00b", "\xff\xfe", "日本語", "e\u0301", "\u202egnirts", "%2F", "../..",
		strings.Repeat("x", 256), strings.Repeat("語", 85), strings.Repeat("語", 86), "x" + strings.Repeat("語", 90),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := naming.ParseName(s)
		if err != nil {
			text := err.Error()
			if !errors.Is(err, naming.ErrInvalidName) || !printable(text) || len(text) > 500 {
				t.Errorf("the refusal of %q reads %q, want printable and short", s, text)
			}
			return
		}
		if string(name) != s || s == "" || len(s) > naming.MaxNameLen || !printable(s) || strings.TrimSpace(s) != s {
			t.Errorf("ParseName(%q) = %q, which is not what Name promises", s, name)
		}
		missing := &naming.NotFoundError{Name: name, Similar: []naming.Name{name, "b"}}
		if text := missing.Error(); !printable(text) || !strings.Contains(text, "did you mean") {
			t.Errorf("%q is not a helpful error", text)
		}
	})
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
