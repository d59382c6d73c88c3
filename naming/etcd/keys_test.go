package etcd

import (
	"strings"
	"testing"

	"farcall.dev/naming"
)

func TestKeysAreReadable(t *testing.T) {
	l := layout{prefix: DefaultPrefix}
	for _, tt := range []struct{ got, want string }{
		{l.key(instances, "shop.cart", "node-1"), "/farcall/v1/instances/shop.cart/node-1"},
		{l.key(owners, "a/b", "50%"), "/farcall/v1/owners/a%2Fb/50%25"},
		{l.ofName(instances, "a"), "/farcall/v1/instances/a/"},
		{l.ofPrefix(instances, "a/"), "/farcall/v1/instances/a%2F"},
		{l.store(), "/farcall/v1/store"},
		{rangeEnd("/a/"), "/a0"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestParseRefusesWhatNobodyWrote(t *testing.T) {
	l := layout{prefix: "/p/"}
	for _, key := range []string{
		"", "/p/", "/q/instances/a/b", "/p/instances/", "/p/instances/a", "/p/instances/a/", "/p/instances//b",
		"/p/instances/a/b/c", "/p/instances/a%2f/b", "/p/instances/a%/b", "/p/instances/a%2/b", "/p/instances/%41/b",
		"/p/instances/a\x00/b", "/p/instances/a\xff/b", "/p/nodes/a/b", "/p/instances/" + strings.Repeat("a", 256) + "/b",
	} {
		if _, k, ok := l.parse(key); ok {
			t.Errorf("parse %q: got %v, want it refused", key, k)
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, s := range []string{"a", "ab", "a/b", "%", "%2F", "%25", "/", "//", "ü/%", "a b"} {
		f.Add(s, "n", s)
		f.Add("x", s, "x"+s)
	}
	f.Fuzz(func(t *testing.T, name, node, other string) {
		if got, ok := unescape(escape(name)); !ok || got != name {
			t.Fatalf("unescape(escape(%q)) = %q, %v", name, got, ok)
		}
		if s, ok := unescape(name); ok && escape(s) != name {
			t.Fatalf("%q and %q are two keys of one name", name, escape(s))
		}
		if got, want := strings.HasPrefix(escape(other), escape(name)), strings.HasPrefix(other, name); got != want {
			t.Fatalf("%q begins with %q: %v; escaped: %v", other, name, want, got)
		}
		l := layout{prefix: "/p/"}
		k := naming.Key{Name: naming.Name(name), Node: naming.NodeID(node)}
		_, err1 := naming.ParseName(name)
		_, err2 := naming.ParseNodeID(node)
		key := l.key(owners, k.Name, k.Node)
		s, got, ok := l.parse(key)
		if valid := err1 == nil && err2 == nil; ok != valid || valid && (got != k || s != owners) {
			t.Fatalf("parse %q: got %q %v %v, want %v", key, s, got, ok, k)
		}
		if p := l.ofName(owners, k.Name); !(p <= key && key < rangeEnd(p)) {
			t.Fatalf("%q is not in the range of %q", key, p)
		}
	})
}
