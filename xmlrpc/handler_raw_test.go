package xmlrpc

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// rawConn is a connection to a server, without a client between.
type rawConn struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

// dialRaw serves h and connects to it.
func dialRaw(t testing.TB, h http.Handler) *rawConn {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return redialRaw(t, s)
}

func redialRaw(t testing.TB, s *httptest.Server) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	return &rawConn{t, conn, bufio.NewReader(conn)}
}

func (c *rawConn) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads a response with its body, and fails if there is none.
func (c *rawConn) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("half a response: %v", err)
	}
	return resp, string(body)
}

// request is a POST with the headers, which end in \r\n, and the body.
func request(body string, headers ...string) string {
	return "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(headers, "") +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
}

// chunked is a POST without a length.
func chunked(body string, headers ...string) string {
	return "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(headers, "") +
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
}

// compressed is text as a compressor writes it.
func compressed(t testing.TB, text string, open func(io.Writer) io.WriteCloser) string {
	t.Helper()
	var buf bytes.Buffer
	w := open(&buf)
	_, err := io.WriteString(w, text)
	must(t, err)
	must(t, w.Close())
	return buf.String()
}

func gzipped(t testing.TB, text string) string {
	return compressed(t, text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func TestHTTPOnTheWire(t *testing.T) {
	const limit = 10_000
	add := callDoc("add", "<int>3</int>", "<int>4</int>")
	zipped := compressed(t, add, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	deflated := compressed(t, add, func(w io.Writer) io.WriteCloser { fw, _ := flate.NewWriter(w, 9); return fw })
	bomb := gzipped(t, strings.Repeat("x", 1000*limit))
	gz := gzipped(t, add)
	const gzipHeader = "Content-Encoding: gzip\r\n"
	closing := "Connection: close\r\n"

	for _, tc := range []struct {
		name, send string
		status     int
		want       string // in the body
	}{
		{"a call", request(add), 200, "<int>7</int>"},
		{"a call without a Content-Type", request(add, "User-Agent: davexmlrpc\r\n"), 200, "<int>7</int>"},
		{"a call as plain text", request(add, "Content-Type: text/plain\r\n"), 200, "<int>7</int>"},
		{"a call with a Content-Type that is none", request(add, "Content-Type: ;;\r\n"), 200, "<int>7</int>"},
		{"HTTP/1.0 without a Host", strings.Replace(strings.Replace(request(add), "HTTP/1.1", "HTTP/1.0", 1), "Host: localhost\r\n", "", 1), 200, "<int>7</int>"},
		{"headers in lower case", strings.NewReplacer("Host:", "host:", "Content-Length:", "content-length:").Replace(request(add)), 200, "<int>7</int>"},
		{"another path", strings.Replace(request(add), "/RPC2", "/any/where?x=1", 1), 200, "<int>7</int>"},
		{"a chunked call", chunked(add), 200, "<int>7</int>"},
		{"no length", "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 411, "Content-Length"},
		{"no body", request(""), 200, "-32700"},
		{"two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400, ""},
		{"a negative length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello", 400, ""},
		{"no number as length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10\r\n\r\n", 400, ""},
		{"a length that is too large, and nothing more", fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", limit+1), 413, "10000 bytes"},
		{"an absurd length", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\n", 413, "bytes"},
		{"a chunked body that is too large", chunked(strings.Repeat("x", limit+1)), 413, "bytes"},
		{"chunks that are none", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "cannot be read"},
		{"another transfer coding", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, ""},
		{"gzip", request(gz, gzipHeader), 200, "<int>7</int>"},
		{"gzip in upper case", request(gz, "Content-Encoding: X-GZIP\r\n"), 200, "<int>7</int>"},
		{"gzip, chunked", chunked(gz, gzipHeader), 200, "<int>7</int>"},
		{"gzip in two members", request(gzipped(t, add[:50])+gzipped(t, add[50:]), gzipHeader), 200, "<int>7</int>"},
		{"gzip cut off", request(gz[:len(gz)-9], gzipHeader), 400, "cannot be read"},
		{"gzip and rubbish", request(gz+"rubbish, and more of it", gzipHeader), 400, "cannot be read"},
		{"gzip of nothing", request("", gzipHeader), 400, "cannot be read"},
		{"no gzip", request(add, gzipHeader), 400, "cannot be read"},
		{"a bomb", request(bomb, gzipHeader), 413, "bytes"},
		{"empty gzip members without end", request(strings.Repeat(gzipped(t, ""), 400), gzipHeader), 200, "-32700"},
		{"too many empty gzip members", chunked(strings.Repeat(gzipped(t, ""), 600), gzipHeader), 413, "bytes"},
		{"deflate", request(zipped, "Content-Encoding: deflate\r\n"), 200, "<int>7</int>"},
		{"deflate and too much rubbish", chunked(zipped+strings.Repeat("x", limit), "Content-Encoding: deflate\r\n"), 413, "bytes"},
		{"deflate without its frame", request(deflated, "Content-Encoding: deflate\r\n"), 400, "cannot be read"},
		{"brotli", request(add, "Content-Encoding: br\r\n"), 501, "gzip"},
		{"gzip twice", request(gzipped(t, gz), "Content-Encoding: gzip, gzip\r\n"), 501, "gzip"},
		{"gzip twice, in two headers", request(gzipped(t, gz), gzipHeader, gzipHeader), 501, "gzip"},
		{"PUT", strings.Replace(request(add), "POST", "PUT", 1), 405, "POST"},
		{"PUT without its body", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", 405, "POST"},
		{"an unknown expectation", request(add, "Expect: miracles\r\n"), 417, ""},
		{"a header with a line break", request(add, "X: a\nb\r\n"), 400, ""},
		{"no HTTP", "<?xml version=\"1.0\"?>\r\n\r\n", 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newTestHandler(t, HandlerOptions{Decode: DecodeOptions{Limits: Limits{Bytes: limit}}, ReadTimeout: 10 * time.Second})
			c := dialRaw(t, h)
			c.send(tc.send)
			resp, body := c.answer("POST")
			if resp.StatusCode != tc.status || !strings.Contains(body, tc.want) {
				t.Fatalf("got %s %q, want %d and %q", resp.Status, body, tc.status, tc.want)
			}
			if resp.ContentLength < 0 && tc.want != "" {
				t.Error("the response has no Content-Length")
			}
			if promised := strings.HasSuffix(tc.send, "\r\n\r\n") && strings.Contains(tc.send, "Length: ") && !strings.Contains(tc.send, "Content-Length: 0\r\n"); promised && tc.status != 200 && !resp.Close {
				t.Error("the server waits for a body that it has refused")
			}
			if tc.status == 405 && !strings.Contains(resp.Header.Get("Allow"), "POST") {
				t.Errorf("got Allow %q, want POST in it", resp.Header.Get("Allow"))
			}
			if tc.status != 200 || strings.Contains(tc.name, "1.0") {
				return
			}
			if got := resp.Header.Get("Content-Type"); got != "text/xml" {
				t.Errorf("got Content-Type %q, want text/xml", got)
			}
			// The connection is as good as before.
			c.send(request(add, closing))
			if _, body := c.answer("POST"); !strings.Contains(body, "<int>7</int>") {
				t.Errorf("the next call on the connection got %q", body)
			}
		})
	}
}

// Go takes the chunks and drops the length, as RFC 9112 demands; there is one
// request in it, not two.
func TestLengthAndChunksAreOneRequest(t *testing.T) {
	add := callDoc("add", "<int>3</int>", "<int>4</int>")
	c := dialRaw(t, newTestHandler(t, HandlerOptions{}))
	c.send(chunked(add, "Content-Length: 3\r\n"))
	_, body := c.answer("POST")
	if !strings.Contains(body, "<int>7</int>") {
		t.Errorf("got %q, want 7", body)
	}
}

func TestPipelinedCallsAreAnsweredInOrder(t *testing.T) {
	c := dialRaw(t, newTestHandler(t, HandlerOptions{}))
	var all strings.Builder
	for i := range 20 {
		all.WriteString(request(callDoc("echo", fmt.Sprintf("<int>%d</int>", i))))
	}
	c.send(all.String())
	for i := range 20 {
		if _, body := c.answer("POST"); !strings.Contains(body, fmt.Sprintf("<int>%d</int>", i)) {
			t.Fatalf("answer %d: got %q", i, body)
		}
	}
}

func TestSlowBodyIsGivenUp(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{ReadTimeout: 50 * time.Millisecond})
	for _, tc := range []struct{ name, send string }{
		{"nothing of it", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"},
		{"a part of it", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<?xml"},
		{"a chunk", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<?xml\r\n"},
		{"never after Expect", "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dialRaw(t, h)
			c.send(tc.send)
			resp, _ := c.answer("POST")
			if resp.StatusCode == http.StatusContinue {
				resp, _ = c.answer("POST")
			}
			if resp.StatusCode != http.StatusRequestTimeout || !resp.Close {
				t.Errorf("got %s, closing %v, want 408 and the end of the connection", resp.Status, resp.Close)
			}
			if _, err := c.r.ReadByte(); err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

// deadlines records the deadlines that are set on a connection.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = append(d.read, t); return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = append(d.write, t); return nil }

// The deadlines are for a body and a response, and gone when they are over: the
// method, and what comes next on the connection, have theirs.
func TestDeadlinesAreTakenBack(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	serve := func(server *http.Server) *deadlines {
		body := callDoc("echo", "<string>"+strings.Repeat("x", 5000)+"</string>")
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r = r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, server))
		d := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		h.ServeHTTP(d, r)
		if d.Code != 200 {
			t.Fatalf("got status %d", d.Code)
		}
		return d
	}
	d := serve(&http.Server{})
	for what, set := range map[string][]time.Time{"read": d.read, "write": d.write} {
		if len(set) != 2 || set[0].IsZero() || !set[1].IsZero() {
			t.Errorf("%s deadlines: got %v, want one, and none", what, set)
		}
	}
	d = serve(&http.Server{ReadTimeout: time.Hour, WriteTimeout: time.Hour})
	if len(d.read)+len(d.write) > 0 {
		t.Errorf("deadlines of a server that has its own: got %v, %v", d.read, d.write)
	}
}

func TestExpectContinue(t *testing.T) {
	add := callDoc("add", "<int>3</int>", "<int>4</int>")
	c := dialRaw(t, newTestHandler(t, HandlerOptions{Decode: DecodeOptions{Limits: Limits{Bytes: 1000}}}))
	head, _, _ := strings.Cut(request(add, "Expect: 100-continue\r\n"), "\r\n\r\n")
	c.send(head + "\r\n\r\n")
	if resp, _ := c.answer("POST"); resp.StatusCode != http.StatusContinue {
		t.Fatalf("got %s, want 100", resp.Status)
	}
	c.send(add)
	if _, body := c.answer("POST"); !strings.Contains(body, "<int>7</int>") {
		t.Errorf("got %q, want 7", body)
	}
	// What is too large is refused before it is sent.
	c.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
	if resp, _ := c.answer("POST"); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %s, want 413 at once", resp.Status)
	}
}

func TestEarlyHangUpHurtsNobody(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	large := strings.Repeat("x", 1<<20)
	began, ended := make(chan bool, 1), make(chan bool, 1)
	must(t, h.Func("large", func() string { return large }))
	must(t, h.Func("observed", func() string { began <- true; <-ended; return large }))
	s := httptest.NewServer(h)
	defer s.Close()
	add := callDoc("add", "<int>3</int>", "<int>4</int>")
	whole := request(add)
	for at := 0; at < len(whole); at += 7 {
		c := redialRaw(t, s)
		c.send(whole[:at])
		c.Close()
	}
	for range 5 { // inside of the response
		c := redialRaw(t, s)
		c.send(request(callDoc("large")))
		if _, err := io.ReadFull(c.r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	c := redialRaw(t, s) // before it
	c.send(request(callDoc("observed")))
	<-began
	c.Close()
	ended <- true
	c = redialRaw(t, s)
	c.send(whole)
	if _, body := c.answer("POST"); !strings.Contains(body, "<int>7</int>") {
		t.Errorf("got %q, want 7", body)
	}
}

// A client that does not read its response costs a connection for WriteTimeout
// only.
func TestSlowReaderIsGivenUp(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{WriteTimeout: 50 * time.Millisecond, MaxResponse: -1})
	large := strings.Repeat("x", 32<<20)
	must(t, h.Func("large", func() string { return large }))
	done := make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		h.ServeHTTP(w, r)
	}))
	defer s.Close()
	c := redialRaw(t, s)
	c.send(request(callDoc("large")))
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the server still waits for its client")
	}
}

// The tutorial shows each token on a line of its own or between blanks.
func TestTutorialRequest(t *testing.T) {
	const doc = "<?xml version='1.0'?>\n<methodCall>\n<methodName>\nadd\n</methodName>\n<params>\n" +
		"<param>\n<value>\n<int> 3 </int>\n</value>\n</param>\n<param>\n<value>\n<int> 4 </int>\n</value>\n</param>\n" +
		"</params>\n</methodCall>\n"
	c := dialRaw(t, newTestHandler(t, HandlerOptions{}))
	c.send(request(doc, "Content-Type: text/xml\r\n"))
	_, body := c.answer("POST")
	v, err := ParseResponse([]byte(body), DecodeOptions{})
	must(t, err)
	if got, _ := v.Any(); got != 7 {
		t.Errorf("got %v, want 7", got)
	}
}
