package transport

import (
	"bytes"
	"fmt"
)

// protocol is what the first bytes of a connection tell that it speaks.
type protocol int

const (
	protocolUnknown protocol = iota
	protocolMesh
	protocolTLS
	protocolHTTP
	protocolPyro
)

// String names the protocol for logs.
func (p protocol) String() string {
	switch p {
	case protocolMesh:
		return "mesh"
	case protocolTLS:
		return "TLS"
	case protocolHTTP:
		return "HTTP"
	case protocolPyro:
		return "Pyro"
	}
	return fmt.Sprintf("protocol(%d)", int(p))
}

// maxHead is how many bytes it takes at most to tell protocols apart.
const maxHead = 8

// classify tells what a connection that begins with head speaks. decided is
// false while more bytes could make it one thing or another.
func classify(head []byte) (p protocol, decided bool) {
	openings := [...]struct {
		protocol protocol
		text     string
	}{
		{protocolMesh, preface},
		{protocolTLS, "\x16\x03"}, // a handshake record of any version
		{protocolPyro, "PYRO"},
		{protocolHTTP, "POST "},
		{protocolHTTP, "GET "},
		{protocolHTTP, "HEAD "},
		{protocolHTTP, "OPTIONS "},
		{protocolHTTP, "PUT "},
		{protocolHTTP, "PATCH "},
		{protocolHTTP, "DELETE "},
		{protocolHTTP, "CONNECT "},
		{protocolHTTP, "TRACE "},
		{protocolHTTP, "PRI * HT"}, // HTTP/2 that was agreed beforehand
	}
	decided = true
	for _, o := range openings {
		text := []byte(o.text)
		switch {
		case bytes.HasPrefix(head, text):
			return o.protocol, true
		case bytes.HasPrefix(text, head):
			decided = false
		}
	}
	return protocolUnknown, decided
}
