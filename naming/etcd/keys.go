package etcd

import (
	"strings"

	"farcall.dev/naming"
)

// layout makes and reads keys under one prefix. It is the whole of what this
// package knows about where things stand in etcd.
type layout struct{ prefix string }

// space is one of the two kinds of key that name a name and a node.
type space string

const (
	instances space = "instances/"
	owners    space = "owners/"
)

// store is the key that tells one store from the next.
func (l layout) store() string { return l.prefix + "store" }

// key returns the key of node's entry for name.
func (l layout) key(s space, name naming.Name, node naming.NodeID) string {
	return l.ofName(s, name) + escape(string(node))
}

// ofName returns what the keys of every node's entry for name begin with.
func (l layout) ofName(s space, name naming.Name) string {
	return l.prefix + string(s) + escape(string(name)) + "/"
}

// ofPrefix returns what the keys of all names that begin with p begin with.
func (l layout) ofPrefix(s space, p string) string {
	return l.prefix + string(s) + escape(p)
}

// parse takes key apart. ok is false when it is none that key could have made.
func (l layout) parse(key string) (s space, k naming.Key, ok bool) {
	rest, ok := strings.CutPrefix(key, l.prefix)
	if !ok {
		return "", k, false
	}
	for _, s = range []space{instances, owners} {
		if pair, found := strings.CutPrefix(rest, string(s)); found {
			k, ok = parsePair(pair)
			return s, k, ok
		}
	}
	return "", k, false
}

// parsePair reads an escaped name, a slash and an escaped node.
func parsePair(pair string) (naming.Key, bool) {
	name, node, ok := strings.Cut(pair, "/")
	if !ok {
		return naming.Key{}, false
	}
	name, nameOK := unescape(name)
	node, nodeOK := unescape(node)
	if !nameOK || !nodeOK {
		return naming.Key{}, false
	}
	n, err1 := naming.ParseName(name)
	d, err2 := naming.ParseNodeID(node)
	return naming.Key{Name: n, Node: d}, err1 == nil && err2 == nil
}

// escape returns s without slashes. It works byte by byte, so that escape(a+b)
// is escape(a)+escape(b): what begins with a, escaped begins with a escaped.
func escape(s string) string {
	if !strings.ContainsAny(s, "%/") {
		return s
	}
	s = strings.ReplaceAll(s, "%", "%25")
	return strings.ReplaceAll(s, "/", "%2F")
}

// unescape undoes escape, and accepts nothing that escape does not make: one
// name has one key.
func unescape(s string) (string, bool) {
	if strings.Contains(s, "/") {
		return "", false
	}
	if !strings.Contains(s, "%") {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		plain, rest, found := strings.Cut(s, "%")
		b.WriteString(plain)
		if !found {
			return b.String(), true
		}
		switch {
		case strings.HasPrefix(rest, "25"):
			b.WriteByte('%')
		case strings.HasPrefix(rest, "2F"):
			b.WriteByte('/')
		default:
			return "", false
		}
		s = rest[2:]
	}
}

// rangeEnd returns the end of the range of keys that begin with p, which is not
// empty and does not consist of bytes 0xff: prefixes are UTF-8 and a space.
func rangeEnd(p string) string {
	end := []byte(p)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return string(end[:i+1])
		}
	}
	return "\x00"
}
