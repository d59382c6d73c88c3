package rmi

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSnakeCase(t *testing.T) {
	tests := []struct{ in, want string }{
		{"GetFortune", "get_fortune"},
		{"Get", "get"},
		{"HTTPServer", "http_server"},
		{"GetURLByID", "get_url_by_id"},
		{"ID", "id"},
		{"GetHTTP", "get_http"},
		{"A", "a"},
		{"ABTest", "ab_test"},
		{"SHA256Sum", "sha256_sum"},
		{"Sum256", "sum256"},
		{"V2Get", "v2_get"},
		{"GetV2", "get_v2"},
		{"HTTP2Push", "http2_push"},
		{"X509Certificate", "x509_certificate"},
		{"Base64Encode", "base64_encode"},
		{"UserIDs", "user_ids"},
		{"URLsByID", "urls_by_id"},
		{"GetAs", "get_as"},
		{"HTTPServes", "http_serves"},
		{"Get_Thing", "get_thing"},
		{"Get__Thing", "get__thing"},
		{"ÜberMaß", "über_maß"},
		{"get_fortune", "get_fortune"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := SnakeCase(tt.in); got != tt.want {
			t.Errorf("SnakeCase(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzSnakeCase(f *testing.F) {
	for _, s := range []string{"GetFortune", "HTTPServer", "UserIDs", "X509", "Get_Thing", "ÜberMaß", "\xff", "ǅx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := SnakeCase(name)
		if again := SnakeCase(got); utf8.ValidString(name) && again != got && strings.ToLower(got) == got {
			t.Errorf("SnakeCase(%q) = %q, and SnakeCase of that = %q", name, got, again)
		}
		if strings.Contains(got, "__") && !strings.Contains(name, "_") {
			t.Errorf("SnakeCase(%q) = %q doubles an underscore", name, got)
		}
		if strings.HasPrefix(got, "_") && !strings.HasPrefix(name, "_") {
			t.Errorf("SnakeCase(%q) = %q begins with an underscore", name, got)
		}
	})
}

func TestNearest(t *testing.T) {
	names := []string{"get_fortune", "set_fortune", "list", "ping", "get_future"}
	tests := []struct {
		in   string
		want []string
	}{
		{"get_fortun", []string{"get_fortune", "set_fortune"}},
		{"GETFORTUNE", []string{"get_fortune", "set_fortune"}},
		{"lsit", []string{"list"}},
		{"pin", []string{"ping"}},
		{"zebra", []string{}},
		{strings.Repeat("x", 1000), nil},
	}
	for _, tt := range tests {
		if got := nearest(tt.in, names); !slices.Equal(got, tt.want) {
			t.Errorf("nearest(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestClipKeepsWholeCharacters(t *testing.T) {
	if got, want := clip("aßb", 2), "a…"; got != want {
		t.Errorf("clip = %q, want %q", got, want)
	}
}
