package xmlrpc

import (
	"slices"
	"testing"

	"farcall.dev/xmlrpc"
)

// big are the cases whose documents are large.
func big() []testCase {
	return slices.DeleteFunc(slices.Clone(cases), func(c testCase) bool {
		return c.name != "large_string" && c.name != "large_array"
	})
}

// TestCompressedRequests has the clients that can compress do so: Python by gzip,
// RPC::XML by what it calls deflate.
func TestCompressedRequests(t *testing.T) {
	for name, encoding := range map[string]string{"Python": "gzip", "RPC::XML": "deflate"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := clients[slices.IndexFunc(clients, func(p *peer) bool { return p.name == name })]
			p.need(t)
			server := newProbe(t)
			got := runClient(t, append(p.run(t), "compress"), server.input(big()))
			for _, c := range big() {
				p.judge(t, c, outcome{sent: server.sent(c.name), got: got[c.name]}, outcome{sent: c.value, got: c.want()})
			}
			server.mu.Lock()
			defer server.mu.Unlock()
			if server.encoding != encoding {
				t.Errorf("the requests have Content-Encoding %q, want %q", server.encoding, encoding)
			}
		})
	}
}

// TestCompressedCalls has a Client compress what it sends to Python, which
// compresses what it answers.
func TestCompressedCalls(t *testing.T) {
	pythonPeer.need(t)
	url := startServer(t, []string{"/usr/bin/python3", "peers/python_server.py"})
	client := newClient(t, url, xmlrpc.ClientOptions{Compress: true})
	for _, c := range big() {
		if o := callServer(t, client, c); o.sent.String() != c.value.String() || o.got.String() != c.value.String() {
			t.Errorf("%s: sent %s, got %s, want %s", c.name, o.sent, o.got, c.value)
		}
	}
}
