package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"farcall.dev/gateway"
	"farcall.dev/internal/meshtest"
	"farcall.dev/rmi"
)

const jsonType = "application/json"

func TestJSONCallsReachTheirMethods(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	for _, tt := range []struct{ path, body, want string }{
		{"add", `[3, 4]`, `7`},
		{"add", `{"x": 3, "y": 4}`, `7`},
		{"add", ` {"y": 9223372036854775806, "x": 1} `, `9223372036854775807`},
		{"greeting/get_fortune", `["letian"]`, `"Hello, letian. \n"`},
		{"greeting/GetFortune", `{"name": "Jürgen <&>"}`, `"Hello, Jürgen \u003c\u0026\u003e. \n"`},
		{"shop.cart/order", `{"item": {"sku": "A1", "count": 2}}`, `{"count":3,"sku":"A1"}`},
		{"lab/sum", ``, `0`}, {"lab/sum", `{}`, `0`}, {"lab/sum", `[1, 2]`, `3`}, {"lab/sum", `{"xs": [1, 2, 3]}`, `6`},
		{"lab/nothing", ``, `null`}, {"lab/nothing", `{}`, `null`}, {"lab/two", `[]`, `["two",2]`},
		{"lab/bytes", `["aGk="]`, `"aGkh"`},
		{"lab/scale", `{"x": "NaN", "by": 1}`, `"NaN"`}, {"lab/scale", `["Infinity", -1]`, `"-Infinity"`}, {"lab/scale", `[0.1, 3]`, `0.30000000000000004`},
		{"lab/at", `["2026-01-02T03:04:05.000000006+01:00"]`, `"2026-01-02T04:04:05.000000006+01:00"`},
		{"lab/maybe", `[null]`, `"true"`}, {"lab/maybe", `{}`, `"true"`}, {"lab/maybe", `{"p": "x"}`, `"false"`},
		{"lab/same", `[123456789012345678901234567890]`, `123456789012345678901234567890`},
		{"lab/same", `[{"b": [1, 2.5, null, true], "a": 1e400000}]`, ``},
		{"lab/same", `[{"b": [1, 2.5, null, true], "a": 1e21}]`, `{"a":1e+21,"b":[1,2.5,null,true]}`},
		{"lab/large", ``, `1099511627776`},
	} {
		for name, h := range map[string]http.Handler{"whole mesh": f.whole, "own port": f.own} {
			if strings.HasPrefix(tt.path, "shop") && name == "own port" {
				continue // another node's
			}
			w := post(t, h, "/v1/call/"+tt.path, jsonType, []byte(tt.body))
			want := `{"result":` + tt.want + "}\n"
			switch {
			case tt.want == "" && w.Code == http.StatusBadRequest:
			case w.Code != http.StatusOK || w.Body.String() != want:
				t.Errorf("%s: %s %s: got %d %s, want %s", name, tt.path, tt.body, w.Code, w.Body, want)
			case !json.Valid(w.Body.Bytes()):
				t.Errorf("%s: %s: %s is not JSON", name, tt.path, w.Body)
			}
		}
	}
	if w := post(t, f.own, "/v1/call/lab/peer", jsonType, nil); w.Body.String() != "{\"result\":\"json json\"}\n" {
		t.Errorf("the method was called by %s", w.Body)
	}
}

// failed is the answer of a call that failed.
type failed struct {
	Error struct {
		Code, Message, Type string
		Details             map[string]string
		Executed            bool
	}
}

func TestFailuresAreStructuredErrors(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	for _, tt := range []struct {
		path, body string
		status     int
		code       string
		executed   bool
		text       string
	}{
		{"ad", `[3, 4]`, 404, "NOT_FOUND", false, "did you mean"},
		{"lab/ordr", ``, 501, "UNIMPLEMENTED", false, "did you mean order"},
		{"lab", ``, 501, "UNIMPLEMENTED", false, "say which method"},
		{"add/x", ``, 501, "UNIMPLEMENTED", false, "add is a function"},
		{"add", `[3]`, 400, "INVALID_ARGUMENT", false, "it takes 2 arguments and got 1"},
		{"add", `[3, 4, 5]`, 400, "INVALID_ARGUMENT", false, "it takes 2 arguments and got 3"},
		{"add", `[3, "x"]`, 400, "INVALID_ARGUMENT", false, "argument 2 (y)"},
		{"add", `[3, 4.5]`, 400, "INVALID_ARGUMENT", false, "argument 2 (y)"},
		{"add", `[3, 99999999999999999999]`, 400, "INVALID_ARGUMENT", false, "argument 2 (y)"},
		{"add", `{"x": 3}`, 400, "INVALID_ARGUMENT", false, `argument "y" is missing: add(x: int, y: int) -> int`},
		{"add", `{"x": 3, "y": 4, "z": 5}`, 400, "INVALID_ARGUMENT", false, `there is no parameter "z"`},
		{"add", `{"x": 3, "y": 4, "x": 5}`, 400, "INVALID_ARGUMENT", false, `the name "x" is there twice`},
		{"add", `[3, 4`, 400, "INVALID_ARGUMENT", false, "not JSON"},
		{"add", `[3, 4] 5`, 400, "INVALID_ARGUMENT", false, "not JSON"},
		{"add", `{"x": 3, "y": 4} {}`, 400, "INVALID_ARGUMENT", false, "more after"},
		{"add", `3`, 400, "INVALID_ARGUMENT", false, "must be an array"},
		{"lab/any", `{"v": 1}`, 400, "INVALID_ARGUMENT", false, "have no names"},
		{"lab/order", `[{"sku": "A", "colour": 1}]`, 400, "INVALID_ARGUMENT", false, `no field "colour"`},
		{"lab/fail", `["no paper"]`, 500, "UNKNOWN", true, "no paper"},
		{"lab/fault", ``, 500, "UNKNOWN", true, "mine"},
		{"lab/panic", ``, 500, "INTERNAL", true, "panicked"},
		{"lab/code", `[7, "not you"]`, 403, "PERMISSION_DENIED", true, "not you"},
		{"lab/code", `[16, "who"]`, 401, "UNAUTHENTICATED", true, "who"},
		{"lab/code", `[8, "busy"]`, 429, "RESOURCE_EXHAUSTED", true, "busy"},
	} {
		w := post(t, f.whole, "/v1/call/"+tt.path, jsonType, []byte(tt.body))
		var got failed
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != tt.status || got.Error.Code != tt.code ||
			got.Error.Executed != tt.executed || !strings.Contains(got.Error.Message, tt.text) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s %s: got %d %s, want %d %s with %q, executed %t", tt.path, tt.body, w.Code, w.Body, tt.status, tt.code, tt.text, tt.executed)
		}
	}
	w := post(t, f.whole, "/v1/call/lab/fault", jsonType, nil)
	if !strings.Contains(w.Body.String(), `"fault-code":"42"`) {
		t.Errorf("the method's own fault code is lost: %s", w.Body)
	}
}

func TestTheJSONDoorIsParticular(t *testing.T) {
	f := newFixture(t, gateway.Options{MaxBody: 100, MaxResponse: 60, MaxRequests: 1})
	add := "/v1/call/add"
	for _, tt := range []struct {
		name, method, path, contentType, body string
		headers                               []string
		want                                  int
	}{
		{"a form of a web page", "POST", add, "text/plain", "[3, 4]", nil, 415},
		{"a body of no type", "POST", add, "", "[3, 4]", nil, 415},
		{"another charset", "POST", add, jsonType + "; charset=utf-16", "[3, 4]", nil, 415},
		{"UTF-8 by name", "POST", add, jsonType + "; charset=UTF-8", "[3, 4]", nil, 200},
		{"a kind of JSON", "POST", add, "application/vnd.x+json", "[3, 4]", nil, 200},
		{"compressed", "POST", add, jsonType, "[3, 4]", []string{"Content-Encoding", "gzip"}, 415},
		{"too large", "POST", add, jsonType, "[3, 4" + strings.Repeat(" ", 100) + "]", nil, 413},
		{"too large an answer", "POST", "/v1/call/lab/fail", jsonType, "", nil, 400},
		{"too large a result", "POST", "/v1/call/greeting/get_fortune", jsonType, `["` + strings.Repeat("x", 60) + `"]`, nil, 429},
		{"a bad timeout", "POST", add, jsonType, "[3, 4]", []string{gateway.HeaderTimeout, "soon"}, 400},
		{"a call by GET", "GET", add, "", "", nil, 405},
		{"names by POST", "POST", "/v1/names", "", "", nil, 405},
		{"another path", "GET", "/v1/nothing", "", "", nil, 404},
		{"no method at the end", "POST", "/v1/call/lab/", "", "", nil, 404},
		{"the index", "GET", "/v1/", "", "", nil, 200},
		{"from a browser of another site", "POST", add, jsonType, "[3, 4]", []string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			for i := 0; i < len(tt.headers); i += 2 {
				r.Header.Set(tt.headers[i], tt.headers[i+1])
			}
			w := httptest.NewRecorder()
			f.whole.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, tt.want)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("other origins are allowed")
			}
		})
	}
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	f := newFixture(t, gateway.Options{MaxRequests: 1})
	started := make(chan struct{}, 1)
	f.must(f.one.Objects().Export("slow", &lab{started: started}, rmi.ExportOptions{Methods: []string{"wait"}}))
	ended := make(chan int)
	go func() {
		ended <- post(t, f.own, "/v1/call/slow/wait?timeout=2s", jsonType, nil).Code
	}()
	<-started
	w := post(t, f.own, "/v1/call/add", jsonType, []byte("[3, 4]"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("the second request: got %d %s, want 503", w.Code, w.Body)
	}
	if code := <-ended; code != http.StatusGatewayTimeout {
		t.Errorf("the first request: got %d, want 504", code)
	}
}

func TestACallEndsWithItsRequest(t *testing.T) {
	f := newFixture(t, gateway.Options{Timeout: time.Hour})
	slow := &lab{started: make(chan struct{}, 1)}
	f.must(f.one.Objects().Export("slow", slow, rmi.ExportOptions{Methods: []string{"wait"}}))
	server := httptest.NewServer(f.whole)
	defer server.Close()
	f.must(f.one.Register(t.Context(), "patient", slow, farcallMethods("wait")))
	meshtest.Await(t, f.gate, "patient", 1)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/call/patient/wait?timeout=5m", nil)
	f.must(err)
	transport := &http.Transport{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := transport.RoundTrip(r.WithContext(untilStarted(t, slow))); err == nil {
			resp.Body.Close()
			t.Errorf("got %d, want that the request was given up", resp.StatusCode)
		}
	}()
	<-ended
	transport.CloseIdleConnections()
	// The method's context has ended, or the mesh could not shut down in time.
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for inFlight := int64(1); inFlight > 0; <-poll.C {
		inFlight = 0
		for _, c := range f.one.Objects().Counters() {
			inFlight += c.InFlight
		}
	}
}

func TestNamesAreListedInPages(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	type page struct {
		Names []gateway.Listing
		Next  string
	}
	get := func(query string) (page, int) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/names"+query, nil)
		w := httptest.NewRecorder()
		f.whole.ServeHTTP(w, r)
		var p page
		if w.Code == http.StatusOK {
			f.must(json.Unmarshal(w.Body.Bytes(), &p))
		}
		return p, w.Code
	}
	all, after := []string{}, ""
	for {
		p, _ := get("?limit=2&after=" + after)
		for _, l := range p.Names {
			all = append(all, string(l.Name)+" "+string(l.Kind))
		}
		if after = p.Next; after == "" {
			break
		}
	}
	want := "add function, echo function, greeting object, lab object, shop.cart object"
	if got := strings.Join(all, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if p, _ := get("?prefix=gr"); len(p.Names) != 1 || p.Names[0].Instances != 2 || p.Names[0].Digest == "" {
		t.Errorf("with a prefix: got %+v", p)
	}
	if p, _ := get("?all=true&prefix=farcall."); len(p.Names) == 0 {
		t.Error("the mesh's own names are not listed when asked for")
	}
	for _, bad := range []string{"?limit=0", "?limit=x", "?limit=10001"} {
		if _, code := get(bad); code != http.StatusBadRequest {
			t.Errorf("%s: got %d, want 400", bad, code)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/names/lab", nil)
	w := httptest.NewRecorder()
	f.whole.ServeHTTP(w, r)
	var info rmi.InterfaceInfo
	if err := json.Unmarshal(w.Body.Bytes(), &info); err != nil || info.Name != "lab" || len(info.Methods) < 10 {
		t.Errorf("described as %s, %v", w.Body, err)
	}
}
