package xmlrpc

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fuzzedHandler is a Handler with small limits.
func fuzzedHandler(t testing.TB) *Handler {
	return newTestHandler(t, HandlerOptions{
		Decode:   DecodeOptions{Limits: Limits{Bytes: 1 << 16, Depth: 16, Elements: 10_000}},
		MaxBatch: 8, MaxResponse: 1 << 17, Logger: slog.New(slog.DiscardHandler),
	})
}

// checkAnswer fails the test if what a Handler answered is not what clients can
// rely on.
func checkAnswer(t *testing.T, r *http.Request, w *httptest.ResponseRecorder) {
	allowed := []int{200, 204, 400, 403, 405, 408, 411, 413, 501}
	if !slices.Contains(allowed, w.Code) {
		t.Fatalf("got status %d", w.Code)
	}
	if w.Code != 204 && w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
		t.Fatalf("got Content-Length %s for %d bytes", w.Header().Get("Content-Length"), w.Body.Len())
	}
	if r.Method != http.MethodPost || w.Code != 200 {
		return
	}
	body := w.Body.Bytes()
	if w.Header().Get("Content-Encoding") == "gzip" {
		into := &buffer{}
		if err := new(gzipReaders).inflate(into, w.Body, 1<<20); err != nil {
			t.Fatal(err)
		}
		body = into.b
	}
	if got := w.Header().Get("Content-Type"); got != "text/xml" {
		t.Fatalf("got Content-Type %q", got)
	}
	_, err := ParseResponse(body, DecodeOptions{Strict: true})
	if _, ok := errors.AsType[*Fault](err); ok || err == nil {
		return
	}
	t.Fatalf("got a document that is no response: %v\n%s", err, body)
}

// FuzzHandlerDocument feeds a Handler with bodies.
func FuzzHandlerDocument(f *testing.F) {
	h := fuzzedHandler(f)
	add := callDoc("add", "<int>3</int>", "<int>4</int>")
	f.Add("POST", "text/xml", "", "", add)
	f.Add("POST", "", "gzip", "gzip", gzipped(f, add))
	f.Add("POST", "text/xml; charset=iso-8859-1", "identity", "", callDoc("echo", "<string>\xe9</string>"))
	f.Add("POST", "", "", "gzip", callDoc("echo", "<string>"+strings.Repeat("a", 2000)+"</string>"))
	f.Add("POST", "", "", "", callDoc(multicallName, "<array><data><value><struct><member><name>methodName</name><value>add</value></member>"+
		"<member><name>params</name><value><array><data><value><int>1</int></value></data></array></value></member></struct></value></data></array>"))
	f.Add("POST", "", "", "", callDoc("system.methodHelp", "add"))
	f.Add("POST", "", "", "", callDoc("greeting.sum", "<int>1</int>", "<i4>2</i4>"))
	f.Add("POST", "", "", "", callDoc("fail", "<int>5</int>"))
	f.Add("POST", "", "", "", callDoc("panic"))
	f.Add("POST", "", "deflate", "", "x\x9c")
	f.Add("GET", "", "", "", "")
	f.Add("PUT", "", "", "", "x")
	f.Fuzz(func(t *testing.T, method, contentType, coding, accepted, body string) {
		r := &http.Request{
			Method: method, URL: &url.URL{Path: "/RPC2"}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "localhost",
			Header: http.Header{"Content-Type": {contentType}, "Content-Encoding": {coding}, "Accept-Encoding": {accepted}},
			Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		checkAnswer(t, r, w)
	})
}

// FuzzHandlerWire feeds a Handler with whatever net/http makes a request of.
func FuzzHandlerWire(f *testing.F) {
	h := fuzzedHandler(f)
	f.Add(request(callDoc("add", "<int>3</int>", "<int>4</int>"), "Content-Type: text/xml\r\n"))
	f.Add(chunked(callDoc("none"), "Accept-Encoding: gzip\r\n"))
	f.Add(request(gzipped(f, callDoc("none")), "Content-Encoding: gzip\r\n"))
	f.Add("GET /RPC2 HTTP/1.0\r\nOrigin: http://a.example\r\n\r\n")
	f.Add("OPTIONS * HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: none\r\n\r\n")
	f.Add("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
	f.Add("POST / HTTP/1.1\r\nHost: x\r\n\r\n")
	f.Fuzz(func(t *testing.T, wire string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire)))
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		checkAnswer(t, r, w)
	})
}

// FuzzClientResponse feeds a Client with answers.
func FuzzClientResponse(f *testing.F) {
	f.Add(200, "text/xml", "", okResponse)
	f.Add(200, "text/html", "gzip", gzipped(f, okResponse))
	f.Add(500, "text/xml", "", string(AppendFault(nil, &Fault{1, "x"})))
	f.Add(302, "", "br", "")
	f.Fuzz(func(t *testing.T, status int, contentType, coding, body string) {
		if status < 200 || status > 599 {
			return
		}
		c, err := NewClient("http://localhost", ClientOptions{
			Decode: DecodeOptions{Limits: Limits{Bytes: 1 << 16}},
			HTTP: &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
				r.Body.Close()
				return &http.Response{
					StatusCode: status, Proto: "HTTP/1.1", ContentLength: -1, Request: r,
					Header: http.Header{"Content-Type": {contentType}, "Content-Encoding": {coding}},
					Body:   io.NopCloser(strings.NewReader(body)),
				}, nil
			})},
			Verbose: io.Discard,
		})
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := c.Call(t.Context(), "add", &v, 3, 4); err == nil && status != 200 {
			t.Fatalf("status %d is no error", status)
		}
		c.Multicall(t.Context(), &BatchCall{Method: "add", Result: &v})
	})
}

// transportFunc is a function that is a transport.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
