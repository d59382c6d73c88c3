package xmlrpc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// newTestHandler returns a Handler with the methods that most tests call.
func newTestHandler(t testing.TB, o HandlerOptions) *Handler {
	t.Helper()
	h, err := NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	must(t, h.Func("add", func(x, y int) int { return x + y }, "Adds two numbers."))
	must(t, h.Func("echo", func(v any) any { return v }))
	must(t, h.Func("raw", func(v RawValue) RawValue { return v }))
	must(t, h.Func("fail", func(code int) error { return &Fault{code, "as you wish <&>"} }))
	must(t, h.Func("secret", func() error { return errors.New("the password is 1234") }))
	must(t, h.Func("panic", func() { panic("the password is 1234") }))
	must(t, h.Func("none", func() {}))
	must(t, h.Object("greeting", &greeter{}, ObjectOptions{Help: map[string]string{"GetFortune": "Tells a fortune."}}))
	return h
}

// greeter is an object.
type greeter struct{ Hidden struct{ Secret string } }

func (*greeter) GetFortune(name string) string { return "Hello, " + name + ". \n" }
func (*greeter) Two() (int, string, error)     { return 1, "b", nil }
func (*greeter) Sum(_ context.Context, n ...int) (s int) {
	for _, i := range n {
		s += i
	}
	return s
}
func (*greeter) Close() error { return nil }

//lint:ignore U1000 it is here to be left out: methods that are not exported are not served
func (*greeter) private() {}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve serves h on a loopback port, and returns the URL of /RPC2 there.
func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/RPC2"
}

// dial returns a Client of url.
func dial(t testing.TB, url string, o ClientOptions) *Client {
	t.Helper()
	c, err := NewClient(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// connect returns a Client of a Handler with the usual methods.
func connect(t testing.TB, ho HandlerOptions, co ClientOptions) *Client {
	t.Helper()
	return dial(t, serve(t, newTestHandler(t, ho)), co)
}

// faultOf returns the fault that err is.
func faultOf(t testing.TB, err error) *Fault {
	t.Helper()
	f, ok := errors.AsType[*Fault](err)
	if !ok {
		t.Fatalf("got error %v (%T), want a fault", err, err)
	}
	return f
}

// call returns a methodCall document; params are the insides of values.
func callDoc(method string, params ...string) string {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0"?><methodCall><methodName>` + method + `</methodName><params>`)
	for _, p := range params {
		b.WriteString("<param><value>" + p + "</value></param>")
	}
	b.WriteString("</params></methodCall>")
	return b.String()
}

// post serves one POST in memory; headers are pairs of name and value.
func post(h http.Handler, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://localhost/RPC2", strings.NewReader(body))
	r.Header.Set("Content-Length", "0") // Go counts; only its presence matters.
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wantFault fails the test unless w is a fault with the code.
func wantFault(t testing.TB, w *httptest.ResponseRecorder, code int) *Fault {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d (%s), want 200", w.Code, w.Body)
	}
	_, err := ParseResponse(w.Body.Bytes(), DecodeOptions{})
	f := faultOf(t, err)
	if f.Code != code {
		t.Errorf("got fault %d (%s), want %d", f.Code, f.String, code)
	}
	return f
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// textLogger logs to w.
func textLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// poll waits until the condition holds.
func poll(t testing.TB, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not come to pass")
		}
	}
}

// answer is a server that answers everything by the same body.
func answer(contentType, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	})
}

// discardLog is for servers whose complaints are expected.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
