package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"farcall.dev/internal/memnet"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name, which holds bytes in hexadecimal.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if hex.Dump(got) != string(want) {
		t.Errorf("%s: got\n%swant\n%s", name, hex.Dump(got), want)
	}
}

var fullGreeting = greeting{lowest: 1, maxStreams: 512, Hello: Hello{
	Version: 1, Node: "node-1", Incarnation: 300, Features: []string{"trace", "zstd"},
}}

func TestGoldenHandshake(t *testing.T) {
	hello, err := fullGreeting.encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "hello.hex", sent(t, func(h handshake) { h.send(recordHello, hello) }))
	golden(t, "refusal.hex", sent(t, func(h handshake) {
		h.send(recordRefusal, refusal{2, 3, "no version that both sides speak"}.encode())
	}))
	got, err := decodeGreeting(hello)
	if err != nil || !reflect.DeepEqual(got, fullGreeting) {
		t.Errorf("got %+v, %v; want %+v", got, err, fullGreeting)
	}
}

// sent returns what send puts on the wire.
func sent(t *testing.T, send func(h handshake)) []byte {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	send(handshake{conn: near})
	near.Close()
	defer far.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(far); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHelloThatIsTooLargeIsRefusedHere(t *testing.T) {
	many := make([]string, maxFeatures+1)
	for i := range many {
		many[i] = "f"
	}
	big := make([]string, maxFeatures)
	for i := range big {
		big[i] = strings.Repeat("f", maxFeature)
	}
	for name, h := range map[string]Hello{
		"node too long":      {Node: strings.Repeat("n", maxNode+1)},
		"node not UTF-8":     {Node: "\xff"},
		"too many features":  {Features: many},
		"feature too long":   {Features: []string{strings.Repeat("f", maxFeature+1)}},
		"feature empty":      {Features: []string{""}},
		"more than a record": {Features: big},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := memConn(t, memnet.New(memnet.Options{}))
			defer far.Close()
			if _, err := Client(t.Context(), near, Options{Hello: h}); !errors.Is(err, ErrHandshake) {
				t.Errorf("got %v, want %v", err, ErrHandshake)
			}
		})
	}
}

func TestDecodeGreetingRefuses(t *testing.T) {
	field := func(key uint64, value ...byte) []byte { return appendField([]byte{1, 1}, key, value) }
	for name, body := range map[string][]byte{
		"nothing":           {},
		"one version":       {1},
		"no range":          {2, 1},
		"version zero":      {0, 0},
		"half a key":        {1, 1, 0x80},
		"no length":         {1, 1, 9},
		"length too long":   {1, 1, 9, 2, 0},
		"node twice":        append(field(keyNode, 'a'), appendField(nil, keyNode, []byte("b"))...),
		"incarnation cut":   field(keyIncarnation, 0x80),
		"incarnation plus":  field(keyIncarnation, 1, 1),
		"no streams":        field(keyMaxStreams, 0),
		"feature empty":     field(keyFeature),
		"node not UTF-8":    field(keyNode, 0xff),
		"too many features": append([]byte{1, 1}, bytes.Repeat(appendField(nil, keyFeature, []byte("f")), maxFeatures+1)...),
	} {
		t.Run(name, func(t *testing.T) {
			if g, err := decodeGreeting(body); err == nil {
				t.Errorf("got %+v, want an error", g)
			}
		})
	}
}

// wirePeer is the other side of a handshake, played by hand: it sends send,
// closes its direction if shut is set, and returns everything it was sent.
type wirePeer struct {
	send []byte
	shut bool
}

// record is the preface and a record.
func record(kind byte, body ...byte) []byte {
	b := append([]byte(preface), kind)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

func TestHandshakeFailures(t *testing.T) {
	tests := []struct {
		name   string
		server bool // the peer is the server
		peer   wirePeer
		want   []string // in the error's text
	}{
		{"wrong magic at client", true, wirePeer{send: []byte("HTTP/1.1 400 Bad Request\r\n")}, []string{`"HTTP/1.1"`, "(HTTP)"}},
		{"wrong magic at server", false, wirePeer{send: []byte("GET / HTTP/1.1\r\n")}, []string{`"GET / HT"`, "(HTTP)"}},
		{"TLS at server", false, wirePeer{send: []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc")}, []string{`\x16\x03\x01`, "(TLS)"}},
		{"Pyro at server", false, wirePeer{send: []byte("PYRO\x01\xf6\x00\x00")}, []string{"(Pyro)"}},
		{"few wrong bytes and the end", false, wirePeer{send: []byte("abc"), shut: true}, []string{`"abc"`}},
		{"nothing and the end", true, wirePeer{shut: true}, []string{"0 of 8 bytes", "EOF"}},
		{"half a preface and silence", true, wirePeer{send: []byte(preface[:4])}, []string{"4 of 8 bytes", "not done within 5s"}},
		{"silence", false, wirePeer{}, []string{"waiting for the client's preface", "not done within 5s"}},
		{"preface and silence", false, wirePeer{send: []byte(preface)}, []string{"waiting for the client's hello", "not done within 5s"}},
		{"half a hello and silence", true, wirePeer{send: record(recordHello, 1, 1, 9, 4, 0)[:14]}, []string{"in the middle of the server's hello", "5s"}},
		{"oversized hello", false, wirePeer{send: append([]byte(preface), recordHello, 0xff, 0xff)}, []string{"65535 bytes", "4096"}},
		{"malformed hello", true, wirePeer{send: record(recordHello, 1, 1, 9, 4, 0)}, []string{"field 9 is cut short"}},
		{"unknown record", false, wirePeer{send: record(7)}, []string{"unknown kind 7"}},
		{"refusal at server", false, wirePeer{send: record(recordRefusal, 1, 1)}, []string{"not a hello"}},
		{"refusal", true, wirePeer{send: record(recordRefusal, refusal{3, 4, "too old"}.encode()...)},
			[]string{`"too old"`, "peer speaks versions 3 to 4", "this side version 1"}},
		{"malformed refusal", true, wirePeer{send: record(recordRefusal)}, []string{"refusal"}},
		{"newer client", false, wirePeer{send: record(recordHello, 2, 3)}, []string{"peer speaks versions 2 to 3", "this side version 1"}},
		{"newer server", true, wirePeer{send: record(recordHello, 2, 2)}, []string{"peer speaks version 2", "this side version 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // yamux starts in none of these
				near, far := memConn(t, memnet.New(memnet.Options{}))
				defer far.Close()
				far.Write(tt.peer.send)
				if tt.peer.shut {
					far.(interface{ CloseWrite() error }).CloseWrite()
				}
				make := Server
				if tt.server {
					make = Client
				}
				_, err := make(t.Context(), near, Options{})
				if e, ok := errors.AsType[*HandshakeError](err); !ok || !errors.Is(err, ErrHandshake) || e.Addr != near.RemoteAddr().String() {
					t.Fatalf("got %v, want a *HandshakeError that names the peer", err)
				}
				for _, want := range tt.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q does not say %q", err, want)
					}
				}
				if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the connection is not closed: %v", err)
				}
			})
		})
	}
}

func TestNewerClientGetsAReadableRefusal(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	served := make(chan error, 1)
	go func() {
		_, err := Server(t.Context(), far, Options{})
		served <- err
	}()
	h := handshake{near, greeting{lowest: 2, Hello: Hello{Version: 3}}}
	_, err := h.asClient()
	for side, err := range map[string]error{"client": err, "server": <-served} {
		e, ok := errors.AsType[*HandshakeError](err)
		if !ok {
			t.Fatalf("%s: got %v, want a *HandshakeError", side, err)
		}
		ours, theirs := VersionRange{1, 1}, VersionRange{2, 3}
		if side == "client" {
			ours, theirs = theirs, ours
		}
		if e.Ours != ours || e.Theirs != theirs {
			t.Errorf("%s: got ours %v, theirs %v; want %v, %v", side, e.Ours, e.Theirs, ours, theirs)
		}
	}
	near.Close()
}

func TestPeersSettleOnTheLowerVersion(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	a, b := join(t, near, far, Options{Hello: Hello{Version: 7}}, Options{})
	if got := b.Peer().Version; got != 7 {
		t.Errorf("got peer version %d, want 7", got)
	}
	s, c := openPair(t, a, b)
	exchange(t, s, c)
}

func TestUnknownHelloKeysAndFramesAreSkipped(t *testing.T) {
	body, err := fullGreeting.encode()
	if err != nil {
		t.Fatal(err)
	}
	body = appendField(body, 99, []byte("from a later version"))
	body = appendField(body, 99, []byte("twice"))
	got, err := decodeGreeting(body)
	if err != nil || !reflect.DeepEqual(got, fullGreeting) {
		t.Errorf("got %+v, %v; want %+v", got, err, fullGreeting)
	}
}

func TestHandshakeObeysItsContext(t *testing.T) {
	near, far := memConn(t, memnet.New(memnet.Options{}))
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := Client(ctx, near, Options{})
		result <- err
	}()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) || !errors.Is(err, ErrHandshake) {
		t.Errorf("got %v, want %v and %v", err, context.Canceled, ErrHandshake)
	}
}

// A peer that sends a byte now and then does not stretch the handshake.
func TestSlowHandshakeIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := memConn(t, memnet.New(memnet.Options{}))
		defer far.Close()
		dripped := make(chan struct{})
		go func() {
			defer close(dripped)
			for _, b := range record(recordHello, 1, 1) {
				far.Write([]byte{b})
				pass(time.Second)
			}
		}()
		defer func() { <-dripped }()
		start := time.Now()
		_, err := Server(t.Context(), near, Options{})
		if !errors.Is(err, ErrHandshake) || time.Since(start) != 5*time.Second {
			t.Errorf("got %v after %v, want %v after 5s", err, time.Since(start), ErrHandshake)
		}
	})
}

func TestOptionsOutOfBounds(t *testing.T) {
	for name, opts := range map[string]Options{
		"window small":       {StreamWindow: 1000},
		"window large":       {StreamWindow: 17 << 20},
		"streams":            {MaxStreams: 20000},
		"negative":           {WriteTimeout: -1},
		"timeout < interval": {KeepAliveInterval: time.Minute, PeerTimeout: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := memConn(t, memnet.New(memnet.Options{}))
			defer far.Close()
			if _, err := Client(t.Context(), near, opts); err == nil || !strings.Contains(err.Error(), "transport options") {
				t.Errorf("got %v, want an error about an option", err)
			}
			if _, err := near.Read(nil); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the connection is not closed: %v", err)
			}
		})
	}
}

func FuzzDecodeGreeting(f *testing.F) {
	hello, _ := fullGreeting.encode()
	f.Add(hello)
	f.Add([]byte{1, 1})
	f.Add([]byte{1, 1, 9, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := decodeGreeting(b)
		if err != nil {
			return
		}
		again, err := g.encode()
		if err != nil {
			if len(b) <= maxRecord {
				t.Fatalf("cannot encode what was decoded: %v", err)
			}
			return
		}
		if back, err := decodeGreeting(again); err != nil || !reflect.DeepEqual(back, g) {
			t.Fatalf("got %+v, %v; want %+v", back, err, g)
		}
	})
}

func FuzzDecodeRefusal(f *testing.F) {
	f.Add(refusal{1, 2, "reason"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRefusal(b)
		if err != nil {
			return
		}
		if back, err := decodeRefusal(r.encode()); err != nil || back != r {
			t.Fatalf("got %+v, %v; want %+v", back, err, r)
		}
	})
}
