package cli

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"farcall.dev/internal/builtin"
	"farcall.dev/naming"
	"farcall.dev/xmlrpc"
)

func TestCallSendsADocument(t *testing.T) {
	f := newFixture(t)
	got := f.run("call", "-v", "add", "3", "4")
	if got.code != ExitOK || got.stdout != "7\n" {
		t.Fatalf("got %+v", got)
	}
	for _, want := range []string{
		"<methodCall><methodName>add</methodName><params><param><value><int>3</int></value></param><param><value><int>4</int></value></param></params></methodCall>",
		"<methodResponse><params><param><value><int>7</int></value></param></params></methodResponse>",
		"call add on node daemon-1",
	} {
		if !strings.Contains(strings.NewReplacer("\n", "", "\r", "").Replace(got.stderr), want) {
			t.Errorf("-v lacks %q:\n%s", want, got.stderr)
		}
	}
	got = f.run("call", "-v", "--native", "add", "3", "4")
	if got.code != ExitOK || got.stdout != "7\n" || strings.Contains(got.stderr, "<methodCall>") {
		t.Errorf("--native: got %+v", got)
	}
	f.register("daemon-1", "half", builtin.Thing{Kind: naming.KindFunction, Value: func(x float64) bool { return math.IsNaN(x / 2) }})
	got = f.run("call", "-v", "half", "NaN")
	if got.code != ExitOK || got.stdout != "true\n" || !strings.Contains(got.stderr, "own encoding") {
		t.Errorf("what XML-RPC does not have: got %+v", got)
	}
}

// errOutOfPaper is what a method of the server fails with.
var errOutOfPaper = errors.New("out of paper")

// xmlServer runs an XML-RPC server that is not in the mesh.
func xmlServer(t *testing.T, o xmlrpc.HandlerOptions) string {
	t.Helper()
	o.Faults = xmlrpc.TellErrors
	h, err := xmlrpc.NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	for name, fn := range map[string]any{
		"add":       func(x, y int) int { return x + y },
		"repeat":    func(s string, n int) string { return strings.Repeat(s, n) },
		"kind":      func(v any) string { return xmlrpc.TypeName(typeOf(v)) },
		"fail":      func() error { return errOutOfPaper },
		"fault":     func() error { return &xmlrpc.Fault{Code: 7, String: "seven"} },
		"when":      func(at time.Time) time.Time { return at.Add(time.Hour) },
		"list.last": func(l []any) any { return l[len(l)-1] },
	} {
		if err := h.Func(name, fn); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/RPC2", h)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestCallReachesAnyServer(t *testing.T) {
	f := newFixture(t)
	url := xmlServer(t, xmlrpc.HandlerOptions{})
	for _, tt := range []struct {
		args   []string
		stdout string
		code   ExitCode
		stderr string
	}{
		{[]string{"add", "3", "4"}, "7\n", ExitOK, ""},
		{[]string{"add", "-3", "4"}, "1\n", ExitOK, ""},
		{[]string{"repeat", "42", "2"}, "4242\n", ExitOK, ""}, // a string, since the server says so
		{[]string{"kind", "42"}, "int\n", ExitOK, ""},         // what it looks like
		{[]string{"kind", "forty-two"}, "string\n", ExitOK, ""},
		{[]string{"when", "2026-01-02T03:04:05+01:00"}, "2026-01-02T03:04:05Z\n", ExitOK, ""},
		{[]string{"list.last", `[1, {"a": 2}]`}, "{\n  \"a\": 2\n}\n", ExitOK, ""},
		{[]string{"system.methodHelp", "add"}, "\n", ExitOK, ""},
		{[]string{"add", "3"}, "", ExitUsage, "takes 2 arguments"},
		{[]string{"add", "3", "x"}, "", ExitUsage, "add(int, int) -> int"},
		{[]string{"add", "3", "4294967296"}, "", ExitUsage, "argument 2"},
		{[]string{"kind", "4294967296"}, "", ExitUsage, "--dialect plain"},
		{[]string{"kind", "null"}, "", ExitUsage, "--dialect plain"},
		{[]string{"fail"}, "", ExitRemote, "out of paper"},
		{[]string{"fault"}, "", ExitRemote, "fault 7: seven"},
		{[]string{"subtract", "3", "4"}, "", ExitNotFound, "system.listMethods"},
	} {
		got := f.run(append([]string{"call", "--url", url}, tt.args...)...)
		if got.stdout != tt.stdout || got.code != tt.code || !strings.Contains(got.stderr, tt.stderr) || (tt.code == ExitOK && got.stderr != "") {
			t.Errorf("%q: got %+v, want %q, %d and %q", tt.args, got, tt.stdout, tt.code, tt.stderr)
		}
	}
	if got := f.run("call", "--url", url, "--dialect", "plain", "kind", "4294967296"); got.code != ExitOK {
		t.Errorf("with a dialect: got %+v", got)
	}
	got := f.run("call", "-v", "--url", url, "add", "3", "4")
	if got.stdout != "7\n" || strings.Count(got.stderr, "<methodCall>") != 1 || strings.Count(got.stderr, "<methodResponse>") != 1 ||
		!strings.Contains(got.stderr, "POST /RPC2 HTTP/1.1\n") || !strings.Contains(got.stderr, "HTTP/1.1 200 OK\n") {
		t.Errorf("-v: got %+v", got)
	}
	if got, _ := f.complete("call", "--url", url, "re"); len(got) != 1 || got[0] != "repeat" {
		t.Errorf("completed to %q", got)
	}
}

func TestCallOfAServerSaysWhatIsWrong(t *testing.T) {
	f := newFixture(t)
	url := xmlServer(t, xmlrpc.HandlerOptions{Omit: xmlrpc.Introspection})
	gone := httptest.NewServer(nil)
	gone.Close()
	// Without introspection words are what they look like.
	if got := f.run("call", "--url", url, "add", "3", "4"); got.stdout != "7\n" {
		t.Errorf("without introspection: got %+v", got)
	}
	for _, tt := range []struct {
		args   []string
		code   ExitCode
		stderr string
	}{
		{[]string{"--url", gone.URL, "add", "3", "4"}, ExitUnavailable, "connection refused"},
		{[]string{"--url", url + "/elsewhere", "add", "3", "4"}, ExitNotFound, "status 404"},
		{[]string{"--url", "ftp://x", "add"}, ExitUsage, "http"},
		{[]string{"--url", "http://", "add"}, ExitUsage, "host"},
		{[]string{"--url", url, "--node", "a", "add"}, ExitUsage, "--node"},
		{[]string{"--url", url, "--native", "add"}, ExitUsage, "--native"},
		{[]string{"--url", url, "--dialect", "klingon", "add"}, ExitUsage, "klingon"},
		{[]string{"--dialect", "plain", "add"}, ExitUsage, "--url"},
		{[]string{"--url", url}, ExitUsage, "FUNCTION"},
		{[]string{"--url", url, ""}, ExitUsage, "empty"},
	} {
		got := f.run(append([]string{"call"}, tt.args...)...)
		if got.code != tt.code || !strings.Contains(got.stderr, tt.stderr) || got.stdout != "" {
			t.Errorf("%q: got %+v, want %d and %q", tt.args, got, tt.code, tt.stderr)
		}
	}
}

// typeOf is the type of v.
func typeOf(v any) reflect.Type { return reflect.TypeOf(v) }
