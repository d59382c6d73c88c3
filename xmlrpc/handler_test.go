package xmlrpc

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestCallsOfFunctionsAndObjects(t *testing.T) {
	c := connect(t, HandlerOptions{}, ClientOptions{})
	for _, tc := range []struct {
		method string
		args   []any
		want   any
	}{
		{"add", []any{3, 4}, 7},
		{"echo", []any{"ünï <&> 🎉"}, "ünï <&> 🎉"},
		{"echo", []any{map[string]any{"a": []any{1, true, 2.5}}}, map[string]any{"a": []any{1, true, 2.5}}},
		{"raw", []any{[]any{"x", 1}}, []any{"x", 1}},
		{"none", nil, true},
		{"greeting.get_fortune", []any{"letian"}, "Hello, letian. \n"},
		{"greeting.GetFortune", []any{"letian"}, "Hello, letian. \n"},
		{"greeting.two", nil, []any{1, "b"}},
		{"greeting.sum", nil, 0},
		{"greeting.sum", []any{1, 2, 3}, 6},
	} {
		var got any
		if err := c.Call(t.Context(), tc.method, &got, tc.args...); err != nil {
			t.Errorf("%s%v: got error %v", tc.method, tc.args, err)
		} else if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s%v: got %#v, want %#v", tc.method, tc.args, got, tc.want)
		}
	}
}

func TestFaults(t *testing.T) {
	var log syncBuffer
	c := connect(t, HandlerOptions{Logger: textLogger(&log)}, ClientOptions{})
	for _, tc := range []struct {
		method string
		args   []any
		code   int
		text   string
	}{
		{"nosuch", nil, CodeMethodNotFound, `no such method: "nosuch"`},
		{"greeting.close", nil, CodeMethodNotFound, "close"},
		{"greeting.private", nil, CodeMethodNotFound, "private"},
		{"greeting.Hidden.Secret", nil, CodeMethodNotFound, "Secret"},
		{"greeting", nil, CodeMethodNotFound, "greeting"},
		{"__class__", nil, CodeMethodNotFound, "class"},
		{"add", []any{1}, CodeInvalidParams, "takes 2 arguments, got 1"},
		{"add", []any{1, 2, 3}, CodeInvalidParams, "got 3"},
		{"add", []any{1, "2"}, CodeInvalidParams, "argument 2"},
		{"fail", []any{7}, 7, "as you wish <&>"},
		{"secret", nil, CodeApplication, "the method failed"},
		{"panic", nil, CodeInternal, "the method panicked"},
	} {
		f := faultOf(t, c.Call(t.Context(), tc.method, nil, tc.args...))
		if f.Code != tc.code || !strings.Contains(f.String, tc.text) {
			t.Errorf("%s%v: got fault %d %q, want %d %q", tc.method, tc.args, f.Code, f.String, tc.code, tc.text)
		}
		if strings.Contains(f.String, "1234") {
			t.Errorf("%s tells a secret: %q", tc.method, f.String)
		}
	}
	for _, want := range []string{"method failed", "method panicked", "1234", "http_helper_test.go:"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %q:\n%s", want, log.String())
		}
	}
}

func TestTellErrorsSendsTheText(t *testing.T) {
	c := connect(t, HandlerOptions{Faults: TellErrors}, ClientOptions{})
	f := faultOf(t, c.Call(t.Context(), "secret", nil))
	if f.Code != CodeApplication || f.String != "the password is 1234" {
		t.Errorf("got %v", f)
	}
}

// An error of the method's own call elsewhere must not look like one of this call.
func TestErrorsOfTheMethodAreNotThoseOfItsCaller(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	must(t, h.Func("upstream", func() error { return &SyntaxError{Code: CodeNotWellFormed, Msg: "x"} }))
	wantFault(t, post(h, callDoc("upstream")), CodeApplication)
}

func TestResultThatCannotBeWrittenIsAFault(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	must(t, h.Func("nil", func() any { return nil }))
	must(t, h.Func("large", func() int64 { return 1 << 40 }))
	for _, m := range []string{"nil", "large"} {
		wantFault(t, post(h, callDoc(m)), CodeInternal)
	}
	plain := newTestHandler(t, HandlerOptions{Encode: EncodeOptions{Dialect: Plain}})
	w := post(plain, callDoc("none"))
	if !strings.Contains(w.Body.String(), "<nil/>") {
		t.Errorf("got %s, want nil in a dialect that has it", w.Body)
	}
}

func TestResponseLimit(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{MaxResponse: 1000})
	f := wantFault(t, post(h, callDoc("echo", "<string>"+strings.Repeat("x", 1000)+"</string>")), CodeLimit)
	if !strings.Contains(f.String, "MaxResponse") {
		t.Errorf("the fault does not name the option: %s", f.String)
	}
}

func TestContextOfTheRequestReachesFunctions(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	began, ended := make(chan *Call, 1), make(chan error, 1)
	must(t, h.Func("wait", func(ctx context.Context) error {
		call := CallFrom(ctx)
		began <- &Call{Method: call.Method, HTTP: call.HTTP}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	}))
	c := dial(t, serve(t, h), ClientOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Call(ctx, "wait", nil) }()
	call := <-began
	if call.Method != "wait" || call.HTTP.RemoteAddr == "" {
		t.Errorf("CallFrom: got %+v", call)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v, want context.Canceled", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the function's context ended by %v, want context.Canceled", err)
	}
	if CallFrom(t.Context()) != nil {
		t.Error("CallFrom another context is not nil")
	}
}

func TestTooManyRequestsAreRefused(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{MaxRequests: 1})
	began, end := make(chan bool), make(chan bool)
	must(t, h.Func("wait", func() { began <- true; <-end }))
	c := dial(t, serve(t, h), ClientOptions{})
	done := make(chan error, 1)
	go func() { done <- c.Call(t.Context(), "wait", nil) }()
	<-began
	err := c.Call(t.Context(), "add", nil, 1, 2)
	if e, ok := errors.AsType[*HTTPError](err); !ok || e.Status != http.StatusServiceUnavailable || e.Header.Get("Retry-After") == "" {
		t.Errorf("got %v, want status 503 with Retry-After", err)
	}
	close(end)
	must(t, <-done)
	must(t, c.Call(t.Context(), "add", nil, 1, 2))
}

func TestAdmitIsAskedForEachCall(t *testing.T) {
	var asked []string
	h := newTestHandler(t, HandlerOptions{Admit: func(_ context.Context, call *Call) error {
		asked = append(asked, call.Method)
		if call.Method == "fail" {
			return &Fault{403, "not for you"}
		}
		return nil
	}})
	c := dial(t, serve(t, h), ClientOptions{})
	if f := faultOf(t, c.Call(t.Context(), "fail", nil, 1)); f.Code != 403 {
		t.Errorf("got %v, want 403", f)
	}
	calls := []*BatchCall{{Method: "add", Args: []any{1, 2}}, {Method: "fail", Args: []any{1}}, {Method: "nosuch"}}
	must(t, c.Multicall(t.Context(), calls...))
	if f := faultOf(t, calls[1].Err); f.Code != 403 {
		t.Errorf("in a batch: got %v, want 403", f)
	}
	if got, want := strings.Join(asked, " "), "fail add fail nosuch"; got != want {
		t.Errorf("Admit was asked for %s, want %s", got, want)
	}
}

// dispatcher serves one method, "far", and passes documents on.
type dispatcher struct{ next http.Handler }

func (d dispatcher) Dispatch(_ context.Context, call *Call) (any, error) {
	switch call.Method {
	case "far":
		return call.Params[0], nil
	case "args":
		return nil, &ArgumentError{Index: -1, Got: 1, Want: 2}
	}
	if d.next == nil {
		return nil, ErrMethodNotFound
	}
	doc := call.Document
	if doc == nil {
		args := make([]any, len(call.Params))
		for i, p := range call.Params {
			args[i] = p
		}
		var err error
		if doc, err = AppendRequest(nil, EncodeOptions{}, call.Method, args...); err != nil {
			return nil, err
		}
	}
	return Document(post(d.next, string(doc)).Body.Bytes()), nil
}

func (dispatcher) ListMethods(context.Context) ([]string, error) { return []string{"far", "add"}, nil }

func (dispatcher) DescribeMethod(_ context.Context, name string) (MethodInfo, error) {
	if name != "far" {
		return MethodInfo{}, ErrMethodNotFound
	}
	return MethodInfo{Name: name, Help: "Far away.", Signatures: nil}, nil
}

func TestDispatcherGetsUndecodedCalls(t *testing.T) {
	c := connect(t, HandlerOptions{Dispatcher: dispatcher{}}, ClientOptions{})
	var got any
	must(t, c.Call(t.Context(), "far", &got, []any{"x", 1}))
	if !reflect.DeepEqual(got, []any{"x", 1}) {
		t.Errorf("got %v", got)
	}
	if f := faultOf(t, c.Call(t.Context(), "nosuch", nil)); f.Code != CodeMethodNotFound {
		t.Errorf("got %v, want that there is no such method", f)
	}
	if f := faultOf(t, c.Call(t.Context(), "args", nil)); f.Code != CodeInvalidParams {
		t.Errorf("got %v, want wrong arguments", f)
	}
	names, err := c.ListMethods(t.Context())
	must(t, err)
	if !slices.Contains(names, "far") || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("ListMethods: got %v, want far in it, sorted, and none twice", names)
	}
	if help, err := c.MethodHelp(t.Context(), "far"); err != nil || help != "Far away." {
		t.Errorf("MethodHelp: got %q, %v", help, err)
	}
	if s, err := c.MethodSignature(t.Context(), "far"); err != nil || s != nil {
		t.Errorf("MethodSignature: got %v, %v", s, err)
	}
	if _, err := c.MethodSignature(t.Context(), "nosuch"); !errors.Is(err, ErrMethodNotFound) {
		t.Errorf("MethodSignature of nothing: got %v", err)
	}
}

func TestDispatcherPassesDocumentsThrough(t *testing.T) {
	behind := newTestHandler(t, HandlerOptions{})
	front, err := NewHandler(HandlerOptions{Dispatcher: dispatcher{next: behind}})
	must(t, err)
	c := dial(t, serve(t, front), ClientOptions{})
	var sum int
	must(t, c.Call(t.Context(), "add", &sum, 3, 4))
	if sum != 7 {
		t.Errorf("got %d, want 7", sum)
	}
	if f := faultOf(t, c.Call(t.Context(), "fail", nil, 9)); f.Code != 9 {
		t.Errorf("got %v, want fault 9", f)
	}
	var text string
	calls := []*BatchCall{
		{Method: "add", Args: []any{1, 2}, Result: &sum}, {Method: "fail", Args: []any{9}},
		{Method: "greeting.get_fortune", Args: []any{"a"}, Result: &text},
	}
	must(t, c.Multicall(t.Context(), calls...))
	if calls[0].Err != nil || sum != 3 || faultOf(t, calls[1].Err).Code != 9 || text != "Hello, a. \n" {
		t.Errorf("got %d, %v, %q", sum, calls[1].Err, text)
	}
}

func TestRegistrationErrorsListAllProblems(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	for _, tc := range []struct {
		what string
		err  error
		want []string
	}{
		{"taken", h.Func("add", func() {}), []string{`"add" already`}},
		{"system", h.Func("system.x", func() {}), []string{"server's own"}},
		{"no name", h.Func("", func() {}), []string{"empty"}},
		{"nil", h.Func("f", nil), []string{"nil"}},
		{"no function", h.Func("f", 1), []string{"Object"}},
		{"function as object", h.Object("f", func() {}, ObjectOptions{}), []string{"Func"}},
		{"bad types", h.Func("f", func(chan int, context.Context, error) (func(), error, error) { return nil, nil, nil }),
			[]string{"parameter 1: XML-RPC has nothing for chan int", "parameter 2: a context", "parameter 3: a value cannot be read into the interface error", "result 1: XML-RPC has nothing for func()", "result 2: an error"}},
		{"methods", h.Object("bad", &badObject{}, ObjectOptions{}), []string{"A: parameter 1", "B: result 1: field C of"}},
		{"clash", h.Object("clash", clashing{}, ObjectOptions{}), []string{`there is a method "clash.get_id" already`}},
		{"of a pointer", h.Object("x", greeter{}, ObjectOptions{}), []string{"register a pointer"}},
		{"list", h.Object("x", &greeter{}, ObjectOptions{Methods: []string{"nosuch"}, Help: map[string]string{"other": "x"}}),
			[]string{"nosuch: there is no such method", "other: help is given"}},
	} {
		e, ok := errors.AsType[*RegisterError](tc.err)
		if !ok {
			t.Errorf("%s: got %v, want a RegisterError", tc.what, tc.err)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(e.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", tc.what, e, want)
			}
		}
	}
	if _, ok := h.table.Load().methods["clash.get_id"]; ok {
		t.Error("a part of a refused object is registered")
	}
}

type badObject struct{}

func (badObject) A(chan int)                  {}
func (badObject) B() (r struct{ C chan int }) { return r }

type clashing struct{}

func (clashing) GetID() int  { return 1 }
func (clashing) Get_id() int { return 1 }

func TestObjectOptions(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	must(t, h.Object("g", &greeter{}, ObjectOptions{Methods: []string{"Close", "get_fortune"}}))
	must(t, h.Object("", &greeter{}, ObjectOptions{Methods: []string{"Two"}}))
	var got []string
	for _, n := range h.table.Load().names() {
		if strings.HasPrefix(n, "g.") || n == "two" {
			got = append(got, n)
		}
	}
	if want := "g.close g.get_fortune two"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"GetFortune": "get_fortune", "GetURLByID": "get_url_by_id", "HTTPServer": "http_server",
		"SHA256Sum": "sha256_sum", "UserIDs": "user_ids", "HTTP2Push": "http2_push", "A": "a", "Get_X": "get_x", "add": "add",
	} {
		if got := snakeCase(name); got != want {
			t.Errorf("snakeCase(%q): got %q, want %q", name, got, want)
		}
	}
}

// Functions are registered while others are called.
func TestRegisteringWhileServing(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	done := make(chan error, 1)
	go func() {
		for i := range 50 {
			if err := h.Func("f"+strings.Repeat("x", i), func() {}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 50 {
		if w := post(h, callDoc("add", "<int>3</int>", "<int>4</int>")); !strings.Contains(w.Body.String(), "<int>7</int>") {
			t.Fatal(w.Body)
		}
	}
	must(t, <-done)
}

// Memory is used again: what a function keeps must be its own.
func TestValuesOutliveTheirDocument(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	var kept []RawValue
	must(t, h.Func("keep", func(v RawValue, _ struct{ X RawValue }) { kept = append(kept, v) }))
	for _, s := range []string{"first", "secon", "third"} {
		post(h, callDoc("keep", "<string>"+s+"</string>", "<struct><member><name>X</name><value>"+s+"</value></member></struct>"))
	}
	for i, want := range []string{"first", "secon", "third"} {
		if got, err := kept[i].Any(); got != want || err != nil {
			t.Errorf("kept %v, %v; want %s", got, err, want)
		}
	}
	c := connect(t, HandlerOptions{}, ClientOptions{})
	var a, b struct{ X RawValue }
	must(t, c.Call(t.Context(), "echo", &a, map[string]any{"X": "one"}))
	must(t, c.Call(t.Context(), "echo", &b, map[string]any{"X": "two"}))
	if got, err := a.X.Any(); got != "one" || err != nil {
		t.Errorf("the client kept %v, %v; want one", got, err)
	}
}

func TestSeveralPaths(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/RPC2", newTestHandler(t, HandlerOptions{}))
	other, err := NewHandler(HandlerOptions{})
	must(t, err)
	must(t, other.Func("add", func(a, b string) string { return a + b }))
	mux.Handle("/strings", other)
	s := httptest.NewServer(mux)
	defer s.Close()
	var n int
	must(t, dial(t, s.URL, ClientOptions{}).Call(t.Context(), "add", &n, 3, 4))
	var text string
	must(t, dial(t, s.URL+"/strings", ClientOptions{}).Call(t.Context(), "add", &text, "3", "4"))
	if n != 7 || text != "34" {
		t.Errorf("got %d and %q, want 7 and 34", n, text)
	}
	if e, ok := errors.AsType[*HTTPError](dial(t, s.URL+"/none", ClientOptions{}).Call(t.Context(), "add", nil)); !ok || e.Status != 404 {
		t.Errorf("got %v, want 404", e)
	}
}

func TestBadOriginIsAnError(t *testing.T) {
	if _, err := NewHandler(HandlerOptions{Origins: []string{"example"}}); err == nil || !strings.Contains(err.Error(), "Origins") {
		t.Errorf("got %v, want an error about Origins", err)
	}
}
