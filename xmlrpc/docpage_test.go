package xmlrpc

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// get serves a request without a body in memory; headers are pairs.
func get(h http.Handler, method string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost/RPC2", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestDocPage(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{Title: "Sums & more", Intro: "What this is."})
	w := get(h, "GET")
	page := w.Body.String()
	for _, want := range []string{
		"<title>Sums &amp; more</title>", "What this is.", "add(int, int) → int", "Adds two numbers.",
		"greeting.get_fortune(string) → string", "greeting.sum() → int\ngreeting.sum(int) → int", "system.multicall",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q:\n%s", want, page)
		}
	}
	if got := w.Header().Get("Content-Length"); got != strconv.Itoa(len(page)) {
		t.Errorf("got Content-Length %s, want %d", got, len(page))
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("got policy %q", policy)
	}
	// What the policy allows is the style sheet, to the byte.
	_, rest, _ := strings.Cut(page, "<style>")
	if style, _, _ := strings.Cut(rest, "</style>"); style != docStyle {
		t.Errorf("the style sheet is not the one that the policy allows: %q", style)
	}
}

func TestDocPageEscapesEverything(t *testing.T) {
	const evil = `</p></style><script>alert("x")</script>`
	h, err := NewHandler(HandlerOptions{Title: evil, Intro: evil, Dispatcher: evilDescriber{evil}})
	must(t, err)
	must(t, h.Func("f"+evil, func() {}, evil))
	page := get(h, "GET").Body.String()
	if strings.Contains(page, "<script") || strings.Count(page, "</style>") != 1 {
		t.Errorf("the page has a script:\n%s", page)
	}
	if strings.Count(page, "alert(") < 8 {
		t.Errorf("the page does not show the names:\n%s", page)
	}
	// It is one tree: nothing has closed what it did not open.
	d := xml.NewDecoder(strings.NewReader(strings.NewReplacer("<!DOCTYPE html>", "", `<meta charset="utf-8">`, "", `<meta name="viewport" content="width=device-width">`, "").Replace(page)))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v:\n%s", err, page)
		}
	}
}

type evilDescriber struct{ text string }

func (e evilDescriber) Dispatch(context.Context, *Call) (any, error) { return nil, ErrMethodNotFound }
func (e evilDescriber) ListMethods(context.Context) ([]string, error) {
	return []string{e.text, "gone"}, nil
}
func (e evilDescriber) DescribeMethod(_ context.Context, name string) (MethodInfo, error) {
	if name == "gone" {
		return MethodInfo{}, ErrMethodNotFound
	}
	return MethodInfo{Name: name, Help: e.text, Signatures: [][]string{{e.text, e.text}, {}}}, nil
}

func TestDocPageOfManyMethods(t *testing.T) {
	h, err := NewHandler(HandlerOptions{Dispatcher: manyMethods{}})
	must(t, err)
	page := get(h, "GET").Body.String()
	if n := strings.Count(page, "<h2 "); n != maxDocMethods {
		t.Errorf("got %d methods, want %d", n, maxDocMethods)
	}
	if !strings.Contains(page, "There are 10005 more methods") {
		t.Error("the page does not say that there are more")
	}
}

type manyMethods struct{ evilDescriber }

func (manyMethods) ListMethods(context.Context) ([]string, error) {
	names := make([]string, maxDocMethods+10_000)
	for i := range names {
		names[i] = "m" + strconv.Itoa(i)
	}
	return names, nil
}

type brokenDescriber struct{ evilDescriber }

func (brokenDescriber) ListMethods(context.Context) ([]string, error) {
	return nil, errors.New("a secret")
}

func TestMethodsThatCannotBeListed(t *testing.T) {
	h, err := NewHandler(HandlerOptions{Dispatcher: brokenDescriber{}})
	must(t, err)
	if w := get(h, "GET"); w.Code != 503 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("GET: got %d %s", w.Code, w.Body)
	}
	if f := wantFault(t, post(h, callDoc("system.listMethods")), CodeApplication); strings.Contains(f.String, "secret") {
		t.Errorf("got %v", f)
	}
}

func TestHEADAndOPTIONS(t *testing.T) {
	c := dialRaw(t, newTestHandler(t, HandlerOptions{}))
	c.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, body := c.answer("HEAD")
	if resp.StatusCode != 200 || resp.ContentLength < 100 || body != "" {
		t.Errorf("HEAD: got %s with length %d", resp.Status, resp.ContentLength)
	}
	c.send("OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, _ = c.answer("OPTIONS")
	if resp.StatusCode != 204 || !strings.Contains(resp.Header.Get("Allow"), "POST") || resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("OPTIONS: got %s %v", resp.Status, resp.Header)
	}
}

func TestRequestsOfWebPages(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{Origins: []string{"https://console.example"}})
	for _, tc := range []struct {
		name    string
		headers []string
		local   string // the listener's address
		status  int
	}{
		{"a program", nil, "127.0.0.1", 200},
		{"a program by a name for the address", []string{"Host", "any.example"}, "127.0.0.1", 200},
		{"a page of another origin", []string{"Origin", "https://evil.example"}, "192.0.2.1", 403},
		{"a page of another port", []string{"Origin", "http://localhost:1234"}, "127.0.0.1", 403},
		{"a form of another site", []string{"Origin", "null", "Content-Type", "text/plain"}, "127.0.0.1", 403},
		{"what a browser calls foreign", []string{"Sec-Fetch-Site", "cross-site"}, "192.0.2.1", 403},
		{"a page of the server's own", []string{"Origin", "http://localhost"}, "127.0.0.1", 200},
		{"a page of an address", []string{"Origin", "http://127.0.0.1:80", "Host", "127.0.0.1:80"}, "127.0.0.1", 200},
		{"a page whose name was turned to this machine", []string{"Origin", "http://evil.example:80", "Host", "evil.example:80"}, "127.0.0.1", 403},
		{"a page of the name of a public server", []string{"Origin", "http://rpc.example", "Host", "rpc.example"}, "192.0.2.1", 200},
		{"a page that is listed", []string{"Origin", "https://console.example"}, "127.0.0.1", 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onListener := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if host := r.Header.Get("Host"); host != "" {
					r.Host = host
				}
				addr := &net.TCPAddr{IP: net.ParseIP(tc.local), Port: 80}
				h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, addr)))
			})
			w := post(onListener, callDoc("add", "<int>3</int>", "<int>4</int>"), tc.headers...)
			if w.Code != tc.status {
				t.Fatalf("got status %d, want %d", w.Code, tc.status)
			}
			want := ""
			if tc.name == "a page that is listed" {
				want = "https://console.example"
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("got Access-Control-Allow-Origin %q, want %q", got, want)
			}
		})
	}
	w := get(h, "OPTIONS", "Origin", "https://console.example", "Access-Control-Request-Method", "POST")
	if w.Header().Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("the preflight of a listed page: got %v", w.Header())
	}
}

func TestStrictContentType(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{StrictContentType: true})
	for value, status := range map[string]int{
		"text/xml": 200, "application/xml; charset=utf-8": 200, "TEXT/XML": 200, "": 415, "text/plain": 415, "text/html": 415,
	} {
		if w := post(h, callDoc("none"), "Content-Type", value); w.Code != status {
			t.Errorf("%q: got status %d, want %d", value, w.Code, status)
		}
	}
}

// The declaration counts, then the header.
func TestCharsetOfTheHeader(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	latin := strings.Replace(callDoc("echo", "<string>\xe9</string>"), `<?xml version="1.0"?>`, "", 1)
	if w := post(h, latin, "Content-Type", "text/xml; charset=iso-8859-1"); !strings.Contains(w.Body.String(), "é") {
		t.Errorf("got %s", w.Body)
	}
	wantFault(t, post(h, latin), CodeInvalidCharacter)
	wantFault(t, post(h, latin, "Content-Type", "text/xml; charset=klingon"), CodeUnsupportedEncoding)
}
