package etcd

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestOptionsDefaults(t *testing.T) {
	got, err := Options{Endpoints: []string{"http://h:1", "h:2", "http://[::1]:3/"}, Prefix: "/p", TTL: 1500 * time.Millisecond}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if want := "h:1 h:2 [::1]:3"; strings.Join(got.Endpoints, " ") != want {
		t.Errorf("endpoints: got %q, want %q", got.Endpoints, want)
	}
	if got.Prefix != "/p/" || got.TTL != 2*time.Second || got.TLS != nil || got.Logger == nil {
		t.Errorf("got %+v, want the prefix /p/, a TTL of 2s, no TLS and a logger", got)
	}
	got, err = Options{Endpoints: []string{"https://h:1", "h:2"}}.withDefaults()
	if err != nil || got.TLS == nil || got.TTL != DefaultTTL || got.Prefix != DefaultPrefix {
		t.Errorf("got %+v, %v, want TLS and the defaults", got, err)
	}
}

func TestOptionsRefused(t *testing.T) {
	ok := []string{"h:1"}
	for _, tt := range []struct {
		field string
		o     Options
	}{
		{"Endpoints", Options{}},
		{"Endpoints", Options{Endpoints: make([]string, maxEndpoints+1)}},
		{"Endpoints", Options{Endpoints: []string{""}}},
		{"Endpoints", Options{Endpoints: []string{"h"}}},
		{"Endpoints", Options{Endpoints: []string{":1"}}},
		{"Endpoints", Options{Endpoints: []string{"ftp://h:1"}}},
		{"Endpoints", Options{Endpoints: []string{"http://h:1/path"}}},
		{"Endpoints", Options{Endpoints: []string{"http://h:1"}, TLS: &tls.Config{}}},
		{"Endpoints", Options{Endpoints: []string{"http://h:1", "https://h:2"}}},
		{"TTL", Options{Endpoints: ok, TTL: time.Millisecond}},
		{"TTL", Options{Endpoints: ok, TTL: time.Hour}},
		{"DialTimeout", Options{Endpoints: ok, DialTimeout: -1}},
		{"Username", Options{Endpoints: ok, Username: "u"}},
		{"Username", Options{Endpoints: ok, Password: "p"}},
		{"Prefix", Options{Endpoints: ok, Prefix: "/a\n/"}},
		{"Prefix", Options{Endpoints: ok, Prefix: strings.Repeat("a", maxPrefix)}},
	} {
		_, err := New(tt.o)
		if oe, ok := errors.AsType[*OptionError](err); !ok || oe.Field != tt.field {
			t.Errorf("%+v: got %v, want an OptionError of %s", tt.o, err, tt.field)
		}
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	b := backoff{max: time.Second}
	for i := range 100 {
		bound := min(minBackoff<<min(i, 16), b.max)
		if d := b.next(); d <= 0 || d > bound+time.Millisecond {
			t.Fatalf("wait %d: got %v, want up to %v", i, d, bound)
		}
	}
	b.reset()
	if d := b.next(); d > minBackoff+time.Millisecond {
		t.Errorf("after reset: got %v, want up to %v", d, minBackoff)
	}
}
