package gateway_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farcall.dev/gateway"
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

func TestXMLRPCCallsReachTheirMethods(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		method string
		args   []any
		want   any
	}{
		{"add", []any{3, 4}, 7},
		{"greeting.get_fortune", []any{"letian"}, "Hello, letian. \n"},
		{"greeting.GetFortune", []any{"letian"}, "Hello, letian. \n"},
		{"echo", []any{[]any{1, "x", 2.5, true}}, []any{1, "x", 2.5, true}},
		{"lab.any", []any{7}, "int64 7"},
		{"lab.any", []any{[]any{map[string]any{"n": 1}}}, "[]interface {} [map[n:1]]"},
		{"lab.orders", []any{map[string]any{"n": 1}}, "int64"},
		{"lab.sum", nil, 0},
		{"lab.sum", []any{1, 2, 3}, 6},
		{"lab.order", []any{map[string]any{"sku": "A1", "count": 2}}, map[string]any{"sku": "A1", "count": 3}},
		{"lab.nothing", nil, true},
		{"lab.two", nil, []any{"two", 2}},
		{"lab.bytes", []any{[]byte("hi")}, []byte("hi!")},
		{"lab.scale", []any{2, 1.5}, 3.0},
		{"lab.at", []any{at}, at.Add(time.Hour)},
		{"lab.maybe", []any{nil}, "true"},
	} {
		for name, h := range map[string]http.Handler{"whole mesh": f.whole, "own port": f.own} {
			got, err := xmlCall(t, h, "/RPC2", tt.method, tt.args...)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%s: %s%v: %v (-want +got):\n%s", name, tt.method, tt.args, err, diff)
			}
		}
	}
	for h, want := range map[*http.Handler]string{&f.whole: "mesh xmlrpc", &f.own: "xmlrpc xmlrpc"} {
		if got, err := xmlCall(t, *h, "/RPC2", "lab.peer"); got != want || err != nil {
			t.Errorf("the method was called by %v, %v; want %q", got, err, want)
		}
	}
}

func TestTheTutorialsRequestIsAnswered(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	doc := "<?xml version='1.0'?>\n<methodCall>\n<methodName>\nadd\n</methodName>\n<params>\n<param>\n<value>\n<int> 3 </int>\n</value>\n</param>\n" +
		"<param>\n<value>\n<int> 4 </int>\n</value>\n</param>\n</params>\n</methodCall>\n"
	w := post(t, f.whole, "/RPC2", "", []byte(doc))
	if got := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(got, "<int>7</int>") {
		t.Errorf("got %d %s", w.Code, got)
	}
	if w.Header().Get("Content-Length") == "" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") {
		t.Errorf("got the headers %v", w.Header())
	}
}

func TestADocumentsCharsetTravelsWithIt(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	body := "<methodCall><methodName>echo</methodName><params><param><value><string>J\xfcrgen</string></value></param></params></methodCall>"
	for _, tt := range []struct{ contentType, prolog string }{
		{"text/xml; charset=iso-8859-1", ""},
		{"text/xml", "<?xml version='1.0' encoding='iso-8859-1'?>"},
	} {
		w := post(t, f.whole, "/RPC2", tt.contentType, []byte(tt.prolog+body))
		if got := w.Body.String(); !strings.Contains(got, "<string>Jürgen</string>") {
			t.Errorf("%s %s: got %s", tt.contentType, tt.prolog, got)
		}
	}
}

// A mesh of its own, because a miss that follows another closely gets no
// suggestions; see naming.Cache.
func TestAMisspeltObjectIsAFault(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	for name, h := range map[string]http.Handler{"whole mesh": f.whole, "own port": f.own} {
		_, err := xmlCall(t, h, "/RPC2", "greting.get_fortune", "x")
		fault, ok := errors.AsType[*xmlrpc.Fault](err)
		if !ok || fault.Code != xmlrpc.CodeMethodNotFound || !strings.Contains(fault.String, "did you mean ") {
			t.Errorf("%s: got %v, want fault %d with a suggestion", name, err, xmlrpc.CodeMethodNotFound)
		}
	}
}

func TestFailuresAreFaults(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	for _, tt := range []struct {
		method string
		args   []any
		code   int
		text   string
	}{
		{"ad", []any{3, 4}, xmlrpc.CodeMethodNotFound, `did you mean `},
		{"lab.ordr", nil, xmlrpc.CodeMethodNotFound, "did you mean order"},
		{"lab", nil, xmlrpc.CodeMethodNotFound, "say which method"},
		{"add.x", nil, xmlrpc.CodeMethodNotFound, "add is a function"},
		{"shop.cart.missing", nil, xmlrpc.CodeMethodNotFound, "shop.cart has no method missing"},
		{"add", []any{3}, xmlrpc.CodeInvalidParams, "it takes 2 arguments and got 1"},
		{"add", []any{3, "x"}, xmlrpc.CodeInvalidParams, "argument 2 (y)"},
		{"lab.fail", []any{"no paper"}, xmlrpc.CodeApplication, "no paper"},
		{"lab.fault", nil, 42, "mine"},
		{"lab.panic", nil, xmlrpc.CodeInternal, "panicked"},
		{"lab.code", []any{7, "not you"}, gateway.FaultCode(rmi.PermissionDenied), "not you"},
		{"lab.code", []any{5, "no such user"}, gateway.FaultCode(rmi.NotFound), "no such user"},
		{"lab.large", nil, xmlrpc.CodeInternal, "X-Farcall-Dialect: plain"},
	} {
		for name, h := range map[string]http.Handler{"whole mesh": f.whole, "own port": f.own} {
			if tt.method == "shop.cart.missing" && name == "own port" {
				continue // another node's
			}
			_, err := xmlCall(t, h, "/RPC2", tt.method, tt.args...)
			fault, ok := errors.AsType[*xmlrpc.Fault](err)
			if !ok || fault.Code != tt.code || !strings.Contains(fault.String, tt.text) {
				t.Errorf("%s: %s%v: got %v, want fault %d with %q", name, tt.method, tt.args, err, tt.code, tt.text)
			}
			if ok && strings.Contains(fault.String, "secret") {
				t.Errorf("%s: a stranger is told %q", tt.method, fault.String)
			}
		}
	}
}

func TestCallersChooseTheDialect(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	for _, tt := range []struct {
		url, method string
		want        any
	}{
		{"/RPC2?dialect=plain", "lab.large", 1 << 40},
		{"/RPC2?dialect=apache", "lab.large", 1 << 40},
		{"/RPC2?dialect=plain", "lab.nothing", nil},
	} {
		got, err := xmlCall(t, f.whole, tt.url, tt.method)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s %s: %v\n%s", tt.url, tt.method, err, diff)
		}
	}
	if _, err := xmlCall(t, f.whole, "/RPC2?dialect=klingon", "add", 3, 4); err == nil || !strings.Contains(err.Error(), "klingon") {
		t.Errorf("got %v, want a fault about the dialect", err)
	}
}

func TestIntrospectionListsTheMesh(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	list, err := xmlCall(t, f.whole, "/RPC2", "system.listMethods")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range list.([]any) {
		names = append(names, n.(string))
	}
	if !slices.IsSorted(names) {
		t.Errorf("the list is not sorted: %q", names)
	}
	for _, want := range []string{"add", "echo", "greeting.get_fortune", "lab.order", "shop.cart.order", "system.multicall"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not listed in %q", want, names)
		}
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "farcall.") }) {
		t.Errorf("the mesh's own objects are listed: %q", names)
	}
	for _, tt := range []struct {
		method, of string
		want       any
	}{
		{"system.methodSignature", "add", []any{[]any{"int", "int", "int"}}},
		{"system.methodSignature", "greeting.get_fortune", []any{[]any{"string", "string"}}},
		{"system.methodSignature", "lab.sum", []any{[]any{"int"}, []any{"int", "int"}}},
		{"system.methodSignature", "lab.order", []any{[]any{"struct", "struct"}}},
		{"system.methodSignature", "lab.any", []any{[]any{"undef", "undef"}}},
		{"system.methodSignature", "lab.two", []any{[]any{"array"}}},
		{"system.methodHelp", "lab.scale", "Multiplies.\nlab.scale(x: float, by: float) -> float"},
	} {
		got, err := xmlCall(t, f.whole, "/RPC2", tt.method, tt.of)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s(%s): %v (-want +got):\n%s", tt.method, tt.of, err, diff)
		}
	}
	for _, of := range []string{"nothing", "lab.nothing_like_it", "lab"} {
		_, err := xmlCall(t, f.whole, "/RPC2", "system.methodSignature", of)
		if fault, ok := errors.AsType[*xmlrpc.Fault](err); !ok || fault.Code != xmlrpc.CodeMethodNotFound {
			t.Errorf("%s: got %v, want fault %d", of, err, xmlrpc.CodeMethodNotFound)
		}
	}
}

func TestABatchGoesAllOverTheMesh(t *testing.T) {
	f := newFixture(t, gateway.Options{MaxBatch: 5})
	entry := func(method string, args ...any) map[string]any {
		return map[string]any{"methodName": method, "params": append([]any{}, args...)}
	}
	got, err := xmlCall(t, f.whole, "/RPC2", "system.multicall", []any{
		entry("add", 3, 4), entry("shop.cart.order", map[string]any{"sku": "A", "count": 1}), entry("nothing"),
		entry("system.multicall", []any{}), entry("greeting.get_fortune", "letian"),
	})
	if err != nil {
		t.Fatal(err)
	}
	results := got.([]any)
	if diff := cmp.Diff([]any{7}, results[0]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{map[string]any{"sku": "A", "count": 2}}, results[1]); diff != "" {
		t.Error(diff)
	}
	for _, i := range []int{2, 3} {
		if slot, ok := results[i].(map[string]any); !ok || slot["faultCode"] == nil {
			t.Errorf("result %d is %v, want a fault", i, results[i])
		}
	}
	if diff := cmp.Diff([]any{"Hello, letian. \n"}, results[4]); diff != "" {
		t.Error(diff)
	}
	_, err = xmlCall(t, f.whole, "/RPC2", "system.multicall", slices.Repeat([]any{entry("add", 3, 4)}, 6))
	if fault, ok := errors.AsType[*xmlrpc.Fault](err); !ok || fault.Code != xmlrpc.CodeLimit {
		t.Errorf("six calls: got %v, want fault %d", err, xmlrpc.CodeLimit)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	f := newFixture(t, gateway.Options{MaxBody: 2000, MaxResponse: 500, MaxTimeout: time.Minute, Timeout: time.Minute})
	call := func(url string, n int) *xmlrpc.Fault {
		_, err := xmlCall(t, f.whole, url, "lab.bytes", make([]byte, n))
		fault, _ := errors.AsType[*xmlrpc.Fault](err)
		return fault
	}
	if fault := call("/RPC2", 10); fault != nil {
		t.Errorf("a small call: %v", fault)
	}
	if fault := call("/RPC2", 600); fault == nil || fault.Code != xmlrpc.CodeLimit {
		t.Errorf("a large result: got %v, want fault %d", fault, xmlrpc.CodeLimit)
	}
	if w := post(t, f.whole, "/RPC2", "text/xml", make([]byte, 2001)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large request: got %d, want 413", w.Code)
	}
	for _, timeout := range []string{"soon", "-1s", "0", "2m", "NaN", "1e300"} {
		if w := post(t, f.whole, "/RPC2", "text/xml", nil, gateway.HeaderTimeout, timeout); w.Code != http.StatusBadRequest {
			t.Errorf("timeout %s: got %d, want 400", timeout, w.Code)
		}
	}
	for h, name := range map[*http.Handler]string{&f.whole: "whole mesh", &f.own: "own port"} {
		for timeout, most := range map[string]float64{"": 60, "?timeout=50s": 50, "?timeout=40": 40} {
			left, err := xmlCall(t, *h, "/RPC2"+timeout, "lab.left")
			if got, ok := left.(float64); err != nil || !ok || got > most || got < most-30 {
				t.Errorf("%s: with %q a call has %v s left, %v; want %v", name, timeout, left, err, most)
			}
		}
	}
	_, err := xmlCall(t, f.whole, "/RPC2?timeout=20ms", "lab.wait")
	if fault, ok := errors.AsType[*xmlrpc.Fault](err); !ok || fault.Code != gateway.FaultCode(rmi.DeadlineExceeded) {
		t.Errorf("a call that takes too long: got %v, want fault %d", err, gateway.FaultCode(rmi.DeadlineExceeded))
	}
}

func TestForeignPagesMayNotCall(t *testing.T) {
	f := newFixture(t, gateway.Options{Origins: []string{"https://console.example"}})
	for _, tt := range []struct {
		origin string
		want   int
	}{{"https://evil.example", http.StatusForbidden}, {"null", http.StatusForbidden}, {"https://console.example", http.StatusOK}} {
		w := post(t, f.whole, "/v1/call/add", "application/json", []byte("[3, 4]"), "Origin", tt.origin)
		if w.Code != tt.want {
			t.Errorf("JSON from %s: got %d, want %d", tt.origin, w.Code, tt.want)
		}
		doc, err := xmlrpc.AppendRequest(nil, xmlrpc.EncodeOptions{}, "add", 3, 4)
		f.must(err)
		if w := post(t, f.whole, "/RPC2", "text/xml", doc, "Origin", tt.origin); w.Code != tt.want {
			t.Errorf("XML-RPC from %s: got %d, want %d", tt.origin, w.Code, tt.want)
		}
	}
}
