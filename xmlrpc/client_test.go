package xmlrpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const okResponse = "<?xml version=\"1.0\"?><methodResponse><params><param><value><int>7</int></value></param></params></methodResponse>"

func TestNewClientURLs(t *testing.T) {
	for raw, want := range map[string]string{
		"http://host":                      "http://host/RPC2",
		"http://host/":                     "http://host/",
		"https://host:8443/a%20b?x=1#frag": "https://host:8443/a%20b?x=1",
		"http://user:pw@host/p":            "http://host/p",
		" http://host/p ":                  "http://host/p",
	} {
		c, err := NewClient(raw, ClientOptions{})
		if err != nil || c.URL() != want {
			t.Errorf("%q: got %v, want %s", raw, err, want)
			continue
		}
		c.Close()
	}
	for raw, want := range map[string]string{
		"localhost:8080":             "http://",
		"host":                       "http://",
		"ftp://u:hidden@host/":       "http://",
		"http:///path":               "no host",
		"http://u:hidden@host:port/": "invalid port",
		"http://u:hidden@ho st/":     "invalid",
		"":                           "http://",
	} {
		_, err := NewClient(raw, ClientOptions{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: got %v, want an error about %q without the password", raw, err, want)
		}
	}
	if _, err := NewClient("http://h", ClientOptions{HTTP: &http.Client{}, TLS: &tls.Config{}}); err == nil {
		t.Error("HTTP and TLS together: got no error")
	}
}

func TestRequestAsItIsSent(t *testing.T) {
	var got *http.Request
	var body string
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
		io.WriteString(w, okResponse)
	}))
	c := dial(t, strings.Replace(s, "http://", "http://me%40here:p%3Aw@", 1), ClientOptions{Header: http.Header{"x-extra": {"1"}, "User-Agent": {"mine"}}})
	var n int
	must(t, c.Call(t.Context(), "add", &n, 3, 4))
	user, password, _ := got.BasicAuth()
	if n != 7 || got.Method != "POST" || got.URL.Path != "/RPC2" || user != "me@here" || password != "p:w" {
		t.Errorf("got %d by %s %s of %q %q", n, got.Method, got.URL, user, password)
	}
	if got.ContentLength != int64(len(body)) || got.Header.Get("Content-Type") != "text/xml" || got.Header.Get("X-Extra") != "1" ||
		got.UserAgent() != "mine" || got.Header.Get("Accept-Encoding") != "gzip" || got.Header.Get("Content-Encoding") != "" {
		t.Errorf("got length %d and headers %v", got.ContentLength, got.Header)
	}
	req, err := ParseRequest([]byte(body), DecodeOptions{Strict: true})
	if err != nil || req.Method != "add" || len(req.Params) != 2 {
		t.Errorf("got %s, %v", body, err)
	}
	c = dial(t, s, ClientOptions{Username: "u", Password: "p"})
	must(t, c.Call(t.Context(), "add", nil))
	if user, password, _ := got.BasicAuth(); user != "u" || password != "p" {
		t.Errorf("got user %q %q, want those of the options", user, password)
	}
}

func TestObjects(t *testing.T) {
	c := connect(t, HandlerOptions{}, ClientOptions{})
	var s string
	must(t, c.Object("greeting").Call(t.Context(), "get_fortune", &s, "letian"))
	if s != "Hello, letian. \n" {
		t.Errorf("got %q", s)
	}
	err := c.Object("a").Object("b").Call(t.Context(), "c", nil)
	if f := faultOf(t, err); !strings.Contains(f.String, `"a.b.c"`) {
		t.Errorf("got %v, want a fault about a.b.c", f)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(newTestHandler(t, HandlerOptions{}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := dial(t, s.URL, ClientOptions{})
	for i := range 20 {
		if i%2 == 0 {
			must(t, c.Call(t.Context(), "add", nil, 1, 2))
		} else if err := c.Call(t.Context(), "fail", nil, 1); err == nil {
			t.Error("got no fault")
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("20 calls took %d connections, want 1", n)
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				if err := c.Call(t.Context(), "add", nil, 1, 2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := conns.Load(); n > 160 { // of 320 calls: a transport dials ahead
		t.Errorf("32 callers took %d connections", n)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(newTestHandler(t, HandlerOptions{}))
	defer s.Close()
	s.Config.ErrorLog = nil
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for name, o := range map[string]ClientOptions{
		"own transport":   {TLS: &tls.Config{RootCAs: roots}},
		"given transport": {HTTP: s.Client()},
	} {
		var n int
		if err := dial(t, s.URL, o).Call(t.Context(), "add", &n, 3, 4); err != nil || n != 7 {
			t.Errorf("%s: got %d, %v", name, n, err)
		}
	}
}

func TestUntrustedCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(newTestHandler(t, HandlerOptions{}))
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	defer s.Close()
	err := dial(t, s.URL, ClientOptions{}).Call(t.Context(), "add", nil, 3, 4)
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("got %v, want that the authority is unknown", err)
	}
}

func TestProxyOfTheEnvironment(t *testing.T) {
	c := dial(t, "http://rpc.example/RPC2", ClientOptions{})
	if c.own.Proxy == nil {
		t.Fatal("the transport asks for no proxy")
	}
	// net/http reads the environment once in a process, so a proxy is given here.
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		newTestHandler(t, HandlerOptions{}).ServeHTTP(w, r)
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	must(t, err)
	c.own.Proxy = http.ProxyURL(at)
	must(t, c.Call(t.Context(), "add", nil, 3, 4))
	if asked != "http://rpc.example/RPC2" {
		t.Errorf("the proxy was asked for %q", asked)
	}
}

func TestGzipBothWays(t *testing.T) {
	var requestCoding, responseCoding string
	h := newTestHandler(t, HandlerOptions{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requestCoding = r.Header.Get("Content-Encoding")
		h.ServeHTTP(w, r)
		responseCoding = w.Header().Get("Content-Encoding")
	}))
	large := strings.Repeat("text ", 1000)
	for _, tc := range []struct {
		compress  bool
		arg       string
		out, back string
	}{{true, large, "gzip", "gzip"}, {false, large, "", "gzip"}, {true, "small", "", ""}} {
		c := dial(t, s, ClientOptions{Compress: tc.compress})
		var got string
		must(t, c.Call(t.Context(), "echo", &got, tc.arg))
		if got != tc.arg || requestCoding != tc.out || responseCoding != tc.back {
			t.Errorf("compress %v, %d bytes: got codings %q and %q, %v", tc.compress, len(tc.arg), requestCoding, responseCoding, got == tc.arg)
		}
	}
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP;q=1.0, deflate": true, "deflate": false, "gzip;q=0": false, "gzip; q=0.0": false,
		"*": false, "identity, x-gzip": true, "gzip;q=x": false,
	} {
		w := post(h, callDoc("echo", "<string>"+large+"</string>"), "Accept-Encoding", header)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: gzip is %v, want %v", header, got, want)
		}
	}
}

func TestLimitsOfResponses(t *testing.T) {
	endless := func(coding string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			chunk := []byte(strings.Repeat("x", 4096))
			if coding == "gzip" {
				chunk = []byte(gzipped(t, strings.Repeat("x", 1<<20)))
			}
			for r.Context().Err() == nil {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		})
	}
	for name, h := range map[string]http.Handler{
		"a response without end": endless(""),
		"a bomb without end":     endless("gzip"),
		"a length that is too big": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10000000000")
			w.WriteHeader(200)
		}),
	} {
		c := dial(t, serve(t, h), ClientOptions{Decode: DecodeOptions{Limits: Limits{Bytes: 100_000}}})
		err := c.Call(t.Context(), "add", nil)
		if e, ok := errors.AsType[*LimitError](err); !ok || e.Name != "Bytes" || e.Limit != 100_000 {
			t.Errorf("%s: got %v, want a LimitError", name, err)
		}
	}
	c := dial(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, strings.Repeat("x", 10<<20))
	})), ClientOptions{})
	if e, ok := errors.AsType[*HTTPError](c.Call(t.Context(), "add", nil)); !ok || len(e.Body) > 600 {
		t.Errorf("a long page of an error: got %v", e)
	}
}

func TestAnswersThatAreNoResponse(t *testing.T) {
	for _, tc := range []struct {
		name, contentType, body, want string
	}{
		{"a login page", "text/html", "<!DOCTYPE html>\n<html><body>log in</body></html>", `"text/html" and begins with "<!DOCTYPE html>"`},
		{"nothing", "text/xml", "", "unusable response"},
		{"half a document", "text/xml", okResponse[:80], "unusable response"},
		{"another document", "text/xml", callDoc("add"), "unusable response"},
		{"no result", "text/xml", "<methodResponse><params/></methodResponse>", "it has no result"},
	} {
		var n int
		err := dial(t, serve(t, answer(tc.contentType, tc.body)), ClientOptions{}).Call(t.Context(), "add", &n)
		if e, ok := errors.AsType[*ResponseError](err); !ok || !strings.Contains(e.Error(), tc.want) || e.Method != "add" {
			t.Errorf("%s: got %v, want a ResponseError with %q", tc.name, err, tc.want)
		}
	}
	ok := dial(t, serve(t, answer("text/html", okResponse)), ClientOptions{})
	must(t, ok.Call(t.Context(), "add", nil)) // PHP says so of everything
	strict := dial(t, serve(t, answer("text/html", okResponse)), ClientOptions{StrictContentType: true})
	if e, ok := errors.AsType[*ResponseError](strict.Call(t.Context(), "add", nil)); !ok {
		t.Errorf("strict: got %v", e)
	}
	none := dial(t, serve(t, answer("text/xml", "<methodResponse><params/></methodResponse>")), ClientOptions{})
	must(t, none.Call(t.Context(), "add", nil))
	coding := dial(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "br") })), ClientOptions{})
	if err := coding.Call(t.Context(), "add", nil); err == nil || !strings.Contains(err.Error(), `"br"`) {
		t.Errorf("an unknown coding: got %v", err)
	}
}

func TestStatusesAreErrors(t *testing.T) {
	fault := string(AppendFault(nil, &Fault{42, "so it is"}))
	for _, tc := range []struct {
		status     int
		body, want string
		fault      int
	}{
		{401, "", "user name and password", 0},
		{404, "404 page not found\n", `404 Not Found: "404 page not found"`, 0},
		{500, fault, "fault 42: so it is", 42},
		{302, "", `"http://elsewhere.example/"; redirects are not followed`, 0},
		{204, "", "No Content", 0},
	} {
		var asked atomic.Int64
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header().Set("Location", "http://elsewhere.example/")
			w.WriteHeader(tc.status)
			if tc.body != "" {
				io.WriteString(w, tc.body)
			}
		}))
		err := dial(t, strings.Replace(s, "http://", "http://u:hidden@", 1), ClientOptions{}).Call(t.Context(), "add", nil)
		e, ok := errors.AsType[*HTTPError](err)
		if !ok || e.Status != tc.status || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hidden") || asked.Load() != 1 {
			t.Errorf("status %d: got %v after %d requests, want %q", tc.status, err, asked.Load(), tc.want)
		}
		if f, ok := errors.AsType[*Fault](err); ok != (tc.fault != 0) || ok && f.Code != tc.fault {
			t.Errorf("status %d: got fault %v", tc.status, f)
		}
	}
}

// A call whose connection breaks once it is sent may have been made: it is never
// sent again.
func TestNothingIsSentTwice(t *testing.T) {
	var asked atomic.Int64
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			io.WriteString(w, okResponse) // so that the connection is one that was kept
			return
		}
		conn, _, _ := http.NewResponseController(w).Hijack()
		conn.Close()
	}))
	c := dial(t, s, ClientOptions{})
	must(t, c.Call(t.Context(), "add", nil))
	err := c.Call(t.Context(), "add", nil)
	if err == nil || !strings.Contains(err.Error(), "call add") {
		t.Errorf("got %v, want an error about the call", err)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("two calls were sent %d times", n)
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	gate := make(chan bool)
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}))
	defer close(gate)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := dial(t, s, ClientOptions{}).Call(ctx, "add", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: got %v", err)
	}
	if err := dial(t, s, ClientOptions{Timeout: 20 * time.Millisecond}).Call(t.Context(), "add", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a Timeout: got %v", err)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	err := dial(t, strings.Replace(closed.URL, "http://", "http://u:hidden@", 1), ClientOptions{}).Call(t.Context(), "add", nil)
	if _, ok := errors.AsType[*net.OpError](err); !ok || strings.Contains(err.Error(), "hidden") {
		t.Errorf("nobody listens: got %v", err)
	}
}

func TestBadArgumentsAreNotSent(t *testing.T) {
	c := dial(t, serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") })), ClientOptions{})
	if _, ok := errors.AsType[*UnsupportedTypeError](c.Call(t.Context(), "f", nil, make(chan int))); !ok {
		t.Error("a channel was accepted")
	}
	if err := c.Call(t.Context(), "", nil); err == nil {
		t.Error("an empty name was accepted")
	}
}

func TestFaultsThatSayThereIsNoMethod(t *testing.T) {
	for _, tc := range []struct {
		f    Fault
		want bool
	}{
		{Fault{CodeMethodNotFound, "x"}, true},
		{Fault{-506, "Method 'x' not defined"}, true},
		{Fault{1, `<class 'Exception'>:method "x" is not supported`}, true},
		{Fault{1, "Method x missing or wrong number of parameters!"}, true},
		{Fault{200, "Unknown method: x"}, true},
		{Fault{3, "no such method"}, true},
		{Fault{1, "<class 'ValueError'>:x"}, false},
		{Fault{4, "unknown method"}, false},
	} {
		if got := errors.Is(fmt.Errorf("call: %w", &tc.f), ErrMethodNotFound); got != tc.want {
			t.Errorf("%v: got %v, want %v", tc.f, got, tc.want)
		}
	}
}

func TestVerbose(t *testing.T) {
	var out syncBuffer
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "hidden"})
		w.Header().Set("Content-Type", "text/xml")
		io.WriteString(w, strings.Replace(okResponse, "?>", "?>\r\n<!-- \x1b[31m -->\r\n", 1))
	}))
	c := dial(t, strings.Replace(s, "http://", "http://me:hidden@", 1)+"?q=1", ClientOptions{Verbose: &out, Compress: true, Header: http.Header{"Cookie": {"hidden"}}})
	_ = c.Call(t.Context(), "add", nil, 3, strings.Repeat("4", 2000))
	got := out.String()
	for _, want := range []string{
		"POST /RPC2?q=1 HTTP/1.1\nHost: 127.0.0.1:", "\nAuthorization: (not shown)\n", "\nCookie: (not shown)\n", "\nSet-Cookie: (not shown)\n",
		"\nContent-Encoding: gzip\n", "\nContent-Length: ", "\n\n<?xml version=\"1.0\"", "<methodName>add</methodName>", "</methodCall>\n\n",
		"HTTP/1.1 200 OK\n", "\nContent-Type: text/xml\n", "\n<!-- \\x1b[31m -->\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "hidden") || strings.Contains(got, "\x1b") || strings.Contains(got, "\r") {
		t.Errorf("this should not be shown:\n%q", got)
	}
}

// The transport may read a request after its response has come: its memory must
// not be used again before.
func TestRequestsOutliveTheirResponses(t *testing.T) {
	early := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.Header().Set("Connection", "close")
		io.WriteString(w, okResponse)
	}))
	c := dial(t, early, ClientOptions{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				_ = c.Call(t.Context(), "echo", nil, strings.Repeat("x", 300_000))
			}
		})
	}
	wg.Wait()
}
