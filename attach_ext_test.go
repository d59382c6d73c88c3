package farcall_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farcall.dev"
	"farcall.dev/gateway"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// legacy is an XML-RPC server that knows nothing of a mesh.
type legacy struct {
	url  string // as it is attached
	http *http.Client
	down atomic.Bool            // it answers by status 503
	last atomic.Pointer[string] // the last document that it got
}

// newLegacy starts a server.
func newLegacy(t *testing.T, o xmlrpc.HandlerOptions) *legacy {
	t.Helper()
	h, err := xmlrpc.NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	for name, fn := range map[string]any{
		"pow":           math.Pow,
		"sample.add":    func(x, y int) int { return x + y },
		"same":          func(v any) any { return v },
		"fault":         func() error { return &xmlrpc.Fault{Code: 42, String: "mine"} },
		"count":         func(m map[string]int) int { return len(m) },
		"private":       func() string { return "nobody's business" },
		"sample.status": func() string { return "fine" },
	} {
		if err := h.Func(name, fn, "It is "+name+"."); err != nil {
			t.Fatal(err)
		}
	}
	l := &legacy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		text := string(body)
		l.last.Store(&text)
		r.Body = io.NopCloser(strings.NewReader(text))
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	l.url, l.http = gateway.ForeignScheme+server.URL+"/", server.Client()
	return l
}

// quick is a watch that notices at once.
func (l *legacy) quick() farcall.AttachOptions {
	return farcall.AttachOptions{HTTP: l.http, Health: farcall.Health{Interval: 5 * time.Millisecond, Timeout: 10 * time.Second}}
}

func TestAnAttachedServerIsAnObjectLikeAnyOther(t *testing.T) {
	mesh := meshtest.New(t)
	node, client := mesh.Node("daemon", nil), mesh.Client("client")
	l := newLegacy(t, xmlrpc.HandlerOptions{Encode: xmlrpc.EncodeOptions{Dialect: xmlrpc.Plain}})
	opts := l.quick()
	opts.Dialect = xmlrpc.Plain
	opts.Register.Tags = []string{"old"}
	a, err := node.Attach(t.Context(), "legacy", l.url, opts)
	if err != nil {
		t.Fatal(err)
	}
	if up, why := a.Up(); !up || why != nil || a.Name() != "legacy" {
		t.Fatalf("%s is up: %t, %v", a.Name(), up, why)
	}
	meshtest.Await(t, client, "legacy", 1)

	for _, tt := range []struct {
		method string
		args   []any
		want   any
	}{
		{"sample.add", []any{3, 4}, int64(7)},
		{"pow", []any{2, 10}, 1024.0}, // integers become floats, where the server says so
		{"same", []any{[]any{int64(1), "x", nil, map[string]any{"a": []byte("b")}}}, []any{int64(1), "x", nil, map[string]any{"a": []byte("b")}}},
		{"same", []any{int64(1) << 40}, int64(1) << 40},
		{"count", []any{map[int]int{1: 1, 2: 2}}, int64(2)},
	} {
		got, err := client.Invoke(t.Context(), "legacy", tt.method, tt.args...)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s%v: %v (-want +got):\n%s", tt.method, tt.args, err, diff)
		}
	}
	// Other servers do not convert.
	opts.Health.Interval = time.Hour
	quiet := newLegacy(t, xmlrpc.HandlerOptions{})
	opts.HTTP = quiet.http
	if _, err := node.Attach(t.Context(), "quiet", quiet.url, opts); err != nil {
		t.Fatal(err)
	}
	meshtest.Await(t, client, "quiet", 1)
	if got, err := client.Invoke(t.Context(), "quiet", "pow", 2, 10); got != 1024.0 || err != nil || !strings.Contains(*quiet.last.Load(), "<double>2</double>") {
		t.Errorf("got %v, %v by %s; want floats where the server wants them", got, err, *quiet.last.Load())
	}

	for _, tt := range []struct {
		method string
		args   []any
		code   rmi.Code
		text   string
	}{
		{"fault", nil, rmi.Unknown, "mine"},
		{"sample.add", []any{3}, rmi.InvalidArgument, "argument"},
		{"same", []any{math.NaN()}, rmi.InvalidArgument, "NaN"},
		{"missing", nil, rmi.Unimplemented, "no method missing"},
		{"system.listMethods", nil, rmi.Unimplemented, "no method"},
	} {
		_, err := client.Invoke(t.Context(), "legacy", tt.method, tt.args...)
		if e := rmi.FromError(err); e == nil || e.Code != tt.code || !strings.Contains(e.Message, tt.text) {
			t.Errorf("%s%v: got %v, want %v with %q", tt.method, tt.args, err, tt.code, tt.text)
		}
	}

	info, err := client.Describe(t.Context(), "legacy", "")
	if err != nil {
		t.Fatal(err)
	}
	m, _ := info.Method("pow")
	if m.Signature() != "pow(float, float) -> float" || m.Doc != "It is pow." || info.Digest == "" {
		t.Errorf("described as %s: %s", m.Signature(), m.Doc)
	}
	if _, ok := info.Method("system.listMethods"); ok {
		t.Error("the server's own methods about itself are part of the mesh")
	}

	gate, err := client.Gateway(gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]string{
		"legacy.sample.add": "<int>7</int>", "legacy.fault": "<int>42</int>", "legacy.missing": "-32601",
	} {
		doc, err := xmlrpc.AppendRequest(nil, xmlrpc.EncodeOptions{}, method, 3, 4)
		if method == "legacy.fault" {
			doc, err = xmlrpc.AppendRequest(nil, xmlrpc.EncodeOptions{}, method)
		}
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		gate.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/RPC2", strings.NewReader(string(doc))))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s by XML-RPC: got %s, want %s", method, w.Body, want)
		}
	}
}

func TestANameGoesAndComesWithItsServer(t *testing.T) {
	mesh := meshtest.New(t)
	node, client := mesh.Node("daemon", nil), mesh.Client("client")
	l := newLegacy(t, xmlrpc.HandlerOptions{})
	l.down.Store(true)
	a, err := node.Attach(t.Context(), "legacy", l.url, l.quick())
	if err != nil {
		t.Fatalf("a server that is down cannot be attached: %v", err)
	}
	if up, why := a.Up(); up || why == nil || !strings.Contains(why.Error(), "503") {
		t.Errorf("up %t, %v; want that it is down for status 503", up, why)
	}
	for range 3 {
		l.down.Store(false)
		meshtest.Await(t, client, "legacy", 1)
		if got, err := client.Invoke(t.Context(), "legacy", "sample.status"); got != "fine" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		l.down.Store(true)
		meshtest.Await(t, client, "legacy", 0)
		if _, err := client.Invoke(t.Context(), "legacy", "sample.status"); rmi.FromError(err).Code != rmi.NotFound {
			t.Errorf("a call while it is down: got %v, want NOT_FOUND", err)
		}
	}
	l.down.Store(false)
	meshtest.Await(t, client, "legacy", 1)
	if err := a.Close(t.Context()); err != nil {
		t.Error(err)
	}
	meshtest.Await(t, client, "legacy", 0)
	if err := a.Close(t.Context()); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

func TestAFailedCallHasTheServerLookedAt(t *testing.T) {
	mesh := meshtest.New(t)
	node, client := mesh.Node("daemon", nil), mesh.Client("client")
	l := newLegacy(t, xmlrpc.HandlerOptions{})
	opts := l.quick()
	opts.Health = farcall.Health{Interval: time.Hour, Failures: 1}
	if _, err := node.Attach(t.Context(), "legacy", l.url, opts); err != nil {
		t.Fatal(err)
	}
	meshtest.Await(t, client, "legacy", 1)
	l.down.Store(true)
	if _, err := client.Invoke(t.Context(), "legacy", "sample.status"); rmi.FromError(err).Code != rmi.Unavailable {
		t.Errorf("got %v, want UNAVAILABLE", err)
	}
	meshtest.Await(t, client, "legacy", 0)
}

func TestOnlyWhatIsListedIsAttached(t *testing.T) {
	mesh := meshtest.New(t)
	node, client := mesh.Node("daemon", nil), mesh.Client("client")
	l := newLegacy(t, xmlrpc.HandlerOptions{Omit: xmlrpc.Introspection | xmlrpc.Multicall})
	a, err := node.Attach(t.Context(), "silent", l.url, l.quick())
	if err != nil {
		t.Fatal(err)
	}
	if up, why := a.Up(); up || why == nil || !strings.Contains(why.Error(), "list them where it is attached") {
		t.Errorf("a server that lists nothing is up: %t, %v", up, why)
	}
	opts := l.quick()
	opts.Register.Methods = []string{"sample.add"}
	if _, err := node.Attach(t.Context(), "legacy", l.url, opts); err != nil {
		t.Fatal(err)
	}
	meshtest.Await(t, client, "legacy", 1)
	if got, err := client.Invoke(t.Context(), "legacy", "sample.add", 3, 4); got != int64(7) || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := client.Invoke(t.Context(), "legacy", "private"); rmi.FromError(err).Code != rmi.Unimplemented {
		t.Errorf("a method that is not listed: got %v, want UNIMPLEMENTED", err)
	}
}

func TestWhatCannotBeAttachedIsRefused(t *testing.T) {
	mesh := meshtest.New(t)
	node, client := mesh.Node("daemon", nil), mesh.Client("client")
	l := newLegacy(t, xmlrpc.HandlerOptions{})
	if err := node.RegisterFunc(t.Context(), "add", func(x, y int) int { return x + y }, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	owner := mesh.Node("owner", nil)
	if err := owner.RegisterFunc(t.Context(), "owned", func() {}, farcall.RegisterOptions{Mode: naming.ModeExclusive}); err != nil {
		t.Fatal(err)
	}
	meshtest.Await(t, node, "owned", 1)
	if _, err := node.Attach(t.Context(), "twice", l.url, l.quick()); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, tt := range []struct {
		what string
		mesh *farcall.Mesh
		name naming.Name
		url  string
		is   error
	}{
		{"a name that is none", node, "", l.url, naming.ErrInvalidName},
		{"a URL that is none", node, "x", "http://h/", nil},
		{"a name in use here", node, "add", l.url, nil},
		{"a name attached here", node, "twice", l.url, nil},
		{"a name that another owns", node, "owned", l.url, naming.ErrTaken},
		{"to a process that only calls", client, "x", l.url, nil},
	} {
		if _, err := tt.mesh.Attach(ctx, tt.name, tt.url, l.quick()); err == nil || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: got %v, want an error %v", tt.what, err, tt.is)
		}
	}
}
