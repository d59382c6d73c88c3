package gateway_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farcall.dev"
	"farcall.dev/gateway"
	"farcall.dev/internal/builtin"
	"farcall.dev/naming"
	"farcall.dev/xmlrpc"
)

// BenchmarkXMLRPC compares a call of add over HTTP on loopback, by many callers:
// direct is to the handler of package xmlrpc, own to a node's own port, and
// through goes by a gateway in another node and a session of the mesh.
func BenchmarkXMLRPC(b *testing.B) {
	store := naming.NewMemory()
	join := func(o farcall.Options) *farcall.Mesh {
		o.Registry = store.Registry()
		m, err := farcall.Join(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { m.Close() })
		return m
	}
	node := join(farcall.Options{Node: "node", Listen: "127.0.0.1:0"})
	add := builtin.Default()["add"]
	if err := node.RegisterFunc(b.Context(), "add", add.Value, farcall.RegisterOptions{Docs: add.Docs}); err != nil {
		b.Fatal(err)
	}
	if err := node.RegisterFunc(b.Context(), "length", func(s string) int { return len(s) }, farcall.RegisterOptions{}); err != nil {
		b.Fatal(err)
	}
	gate, err := join(farcall.Options{Node: "gate"}).Gateway(gateway.Options{})
	if err != nil {
		b.Fatal(err)
	}
	direct, err := xmlrpc.NewHandler(xmlrpc.HandlerOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for name, fn := range map[string]any{"add": add.Value, "length": func(s string) int { return len(s) }} {
		if err := direct.Func(name, fn); err != nil {
			b.Fatal(err)
		}
	}
	serve := func(h http.Handler) string {
		server := httptest.NewServer(h)
		b.Cleanup(server.Close)
		return server.URL + "/RPC2"
	}
	urls := map[string]string{"direct": serve(direct), "own": "http://" + node.Addr() + "/RPC2", "through": serve(gate)}
	for _, call := range []struct {
		name, method string
		args         []any
	}{{"add", "add", []any{3, 4}}, {"100kB", "length", []any{strings.Repeat("x", 100_000)}}} {
		doc, err := xmlrpc.AppendRequest(nil, xmlrpc.EncodeOptions{}, call.method, call.args...)
		if err != nil {
			b.Fatal(err)
		}
		for _, way := range []string{"direct", "own", "through"} {
			b.Run(call.name+"/"+way, func(b *testing.B) { benchmarkPost(b, urls[way], doc) })
		}
	}
}

// benchmarkPost posts doc to url from 64 callers.
func benchmarkPost(b *testing.B, url string, doc []byte) {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 256, DisableCompression: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Post(url, "text/xml", bytes.NewReader(doc))
			if err != nil {
				b.Error(err)
				return
			}
			if n, err := io.Copy(io.Discard, resp.Body); err != nil || n == 0 || resp.StatusCode != http.StatusOK {
				b.Errorf("got %d, %d bytes, %v", resp.StatusCode, n, err)
			}
			resp.Body.Close()
		}
	})
}
