package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/gateway"
	"farcall.dev/internal/builtin"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// item is a struct that travels.
type item struct {
	SKU   string `json:"sku"`
	Count int32  `json:"count"`
}

// lab is an object whose methods take and return everything, and fail in every
// way.
type lab struct {
	started chan struct{}
}

func (*lab) Any(v any) any                   { return fmt.Sprintf("%T %v", v, v) }
func (*lab) Same(v any) any                  { return v }
func (*lab) Sum(xs ...int64) (sum int64)     { return total(xs) }
func (*lab) Order(it item) item              { it.Count++; return it }
func (*lab) Orders(m map[string]any) string  { return fmt.Sprintf("%T", m["n"]) }
func (*lab) Nothing()                        {}
func (*lab) Two() (string, int)              { return "two", 2 }
func (*lab) Large() int64                    { return 1 << 40 }
func (*lab) Bytes(b []byte) []byte           { return append(b, '!') }
func (*lab) Fault() error                    { return fmt.Errorf("wrapped: %w", &xmlrpc.Fault{Code: 42, String: "mine"}) }
func (*lab) Fail(message string) error       { return errors.New(message) }
func (*lab) Panic()                          { panic("a secret") }
func (*lab) Code(code int, m string) error   { return rmi.Errorf(rmi.Code(code), "%s", m) }
func (*lab) Scale(x, by float64) float64     { return x * by }
func (*lab) Maybe(p *string) string          { return fmt.Sprint(p == nil) }
func (*lab) At(t time.Time) time.Time        { return t.Add(time.Hour) }
func (*lab) Peer(ctx context.Context) string { return forwarded(ctx) }

// Left returns how many seconds the call has left.
func (*lab) Left(ctx context.Context) float64 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return -1
	}
	return time.Until(deadline).Seconds()
}

// Wait returns when its caller gives up.
func (l *lab) Wait(ctx context.Context) error {
	select {
	case l.started <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

// RMIDocs names some parameters.
func (*lab) RMIDocs() rmi.Docs {
	return rmi.Docs{
		Doc:     "Everything there is.",
		Methods: map[string]string{"scale": "Multiplies."},
		Params:  map[string][]string{"scale": {"x", "by"}, "sum": {"xs"}, "order": {"item"}, "maybe": {"p"}},
	}
}

func total(xs []int64) (sum int64) {
	for _, x := range xs {
		sum += x
	}
	return sum
}

func forwarded(ctx context.Context) string {
	info, _ := rmi.CallFrom(ctx)
	protocol, _, _ := strings.Cut(info.Metadata[gateway.MetadataForwarded], " ")
	return info.Peer.Protocol + " " + protocol
}

// fixture is a mesh of two nodes, a gateway to all of it, and the gateway of the
// first node alone.
type fixture struct {
	*meshtest.Mesh
	t          *testing.T
	one, gate  *farcall.Mesh // gate has the gateway for the whole mesh
	whole, own http.Handler
}

// newFixture makes the mesh: node one has greeting, add, echo and lab, node two
// greeting and shop.cart.
func newFixture(t *testing.T, opts gateway.Options) *fixture {
	t.Helper()
	f := &fixture{Mesh: meshtest.New(t), t: t}
	f.one = f.Node("one", func(o *farcall.Options) { o.Gateway = opts })
	two := f.Node("two", nil)
	for name, thing := range builtin.Default() {
		register := f.one.Register
		if thing.Kind == naming.KindFunction {
			register = f.one.RegisterFunc
		}
		f.must(register(t.Context(), name, thing.Value, farcall.RegisterOptions{Docs: thing.Docs}))
	}
	f.must(f.one.Register(t.Context(), "lab", &lab{started: make(chan struct{}, 1)}, farcall.RegisterOptions{}))
	f.must(two.Register(t.Context(), "greeting", builtin.Default()["greeting"].Value, farcall.RegisterOptions{}))
	f.must(two.Register(t.Context(), "shop.cart", &lab{}, farcall.RegisterOptions{Methods: []string{"order"}}))
	f.gate = f.Client("gate")
	for _, name := range []naming.Name{"lab", "shop.cart", "add", "echo"} {
		meshtest.Await(t, f.gate, name, 1)
	}
	meshtest.Await(t, f.gate, "greeting", 2)
	whole, err := f.gate.Gateway(opts)
	f.must(err)
	f.whole, f.own = whole, overNetwork(f)
	return f
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// overNetwork sends requests to the port of node one.
func overNetwork(f *fixture) http.Handler {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return f.Net.Dialer("caller")(ctx, "one:7500")
	}}
	f.t.Cleanup(transport.CloseIdleConnections)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", "one:7500"
		resp, err := transport.RoundTrip(out)
		if err != nil {
			f.t.Errorf("%s: %v", r.URL, err)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
}

// post sends body to h and returns the answer.
func post(t testing.TB, h http.Handler, url, contentType string, body []byte, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// xmlCall calls a method by XML-RPC.
func xmlCall(t testing.TB, h http.Handler, url, method string, args ...any) (any, error) {
	t.Helper()
	doc, err := xmlrpc.AppendRequest(nil, xmlrpc.EncodeOptions{Dialect: xmlrpc.Apache}, method, args...)
	if err != nil {
		t.Fatal(err)
	}
	w := post(t, h, url, "text/xml", doc)
	if w.Code != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", w.Code, w.Body)
	}
	v, err := xmlrpc.ParseResponse(w.Body.Bytes(), xmlrpc.DecodeOptions{})
	if err != nil {
		return nil, err
	}
	return v.Any()
}

// farcallMethods registers just these methods.
func farcallMethods(methods ...string) farcall.RegisterOptions {
	return farcall.RegisterOptions{Methods: methods}
}

// untilStarted returns a context that ends when l's Wait has begun.
func untilStarted(t *testing.T, l *lab) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		select {
		case <-l.started:
		case <-t.Context().Done():
		}
	}()
	return ctx
}
