package xmlrpc

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farcall.dev/xmlrpc"
)

// pythonPeer is Python itself, as a need of the tests below.
var pythonPeer = &peer{name: "Python", packages: []string{"python3"}}

// adder serves what the tutorial's server does.
func adder(t *testing.T) *httptest.Server {
	t.Helper()
	h, err := xmlrpc.NewHandler(xmlrpc.HandlerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Func("add", func(x, y int) int { return x + y }); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// TestTutorialClient runs the client that tutorials begin with against a Handler.
func TestTutorialClient(t *testing.T) {
	pythonPeer.need(t)
	out, ok := output(t, "/usr/bin/python3", "peers/tutorial_client.py", adder(t).URL)
	if want := "7\n"; !ok || out != want {
		t.Errorf("the client succeeds: %v, and prints %q, want %q", ok, out, want)
	}
}

// TestTutorialServer calls the server that tutorials begin with.
func TestTutorialServer(t *testing.T) {
	pythonPeer.need(t)
	url := startServer(t, []string{"/usr/bin/python3", "peers/tutorial_server.py", "0"})
	client := newClient(t, url, xmlrpc.ClientOptions{})
	var sum int
	if err := client.Call(t.Context(), "add", &sum, 3, 4); err != nil || sum != 7 {
		t.Errorf("add(3, 4) = %d, %v, want 7", sum, err)
	}
}

// TestTutorialOnTheWire sends what the tutorial prints: every token on a line of
// its own, or with blanks around it.
func TestTutorialOnTheWire(t *testing.T) {
	const request = `<?xml version = "1.0" ?>
<methodCall>
    <methodName>
        add
    </methodName>
    <params>
        <param>
            <value>
                <int> 3 </int>
            </value>
        </param>
        <param>
            <value>
                <int>
                    4
                </int>
            </value>
        </param>
    </params>
</methodCall>
`
	for name, request := range map[string]string{
		"as printed":       request,
		"with CRLF":        strings.ReplaceAll(request, "\n", "\r\n"),
		"with tabs":        strings.ReplaceAll(request, "    ", "\t"),
		"with blank lines": strings.ReplaceAll(request, "\n", "\n\n"),
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := http.Post(adder(t).URL+"/RPC2", "text/xml", strings.NewReader(request))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if want := "<value><int>7</int></value>"; resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(want)) {
				t.Errorf("status %s, body %s, want %s in it", resp.Status, body, want)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}
