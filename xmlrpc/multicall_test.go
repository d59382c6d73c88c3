package xmlrpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

func TestMulticall(t *testing.T) {
	c := connect(t, HandlerOptions{}, ClientOptions{})
	var sum int
	var text string
	calls := []*BatchCall{
		{Method: "add", Args: []any{3, 4}, Result: &sum},
		{Method: "nosuch", Args: []any{1}},
		{Method: "panic"},
		{Method: "echo", Args: []any{map[string]any{"faultCode": 1, "faultString": "no fault"}}},
		{Method: "system.multicall", Args: []any{[]any{}}},
		{Method: "fail", Args: []any{5}},
		{Method: "add", Args: []any{1}},
		{Method: "greeting.get_fortune", Args: []any{"a"}, Result: &text},
		{Method: "add", Args: []any{1, 2}, Result: &text},
		{Method: "system.listMethods"},
	}
	must(t, c.Multicall(t.Context(), calls...))
	if sum != 7 || text != "Hello, a. \n" {
		t.Errorf("got %d and %q", sum, text)
	}
	for i, code := range map[int]int{1: CodeMethodNotFound, 2: CodeInternal, 4: CodeInvalidRequest, 5: 5, 6: CodeInvalidParams} {
		if f := faultOf(t, calls[i].Err); f.Code != code {
			t.Errorf("call %d: got %v, want code %d", i, f, code)
		}
	}
	for _, i := range []int{0, 3, 7, 9} {
		if calls[i].Err != nil {
			t.Errorf("call %d: got %v", i, calls[i].Err)
		}
	}
	if _, ok := errors.AsType[*UnmarshalTypeError](calls[8].Err); !ok {
		t.Errorf("an int into a string: got %v", calls[8].Err)
	}
	must(t, c.Multicall(t.Context()))
}

func TestMulticallEntriesThatAreNone(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{MaxBatch: 10})
	entry := func(members ...string) string {
		var b strings.Builder
		b.WriteString("<value><struct>")
		for i := 0; i < len(members); i += 2 {
			fmt.Fprintf(&b, "<member><name>%s</name><value>%s</value></member>", members[i], members[i+1])
		}
		return b.String() + "</struct></value>"
	}
	const none = "<array><data></data></array>"
	batch := func(entries string) string { return "<array><data>" + entries + "</data></array>" }
	good := entry("params", none, "methodName", "none")

	w := post(h, callDoc(multicallName, batch(good+
		"<value>text</value>"+entry("params", none)+entry("methodName", "none")+
		entry("methodName", "none", "params", "x")+entry("methodName", "<int>1</int>", "params", none)+good)))
	v, err := ParseResponse(w.Body.Bytes(), DecodeOptions{})
	must(t, err)
	i := 0
	for slot := range v.Elems() {
		if i == 0 || i == 6 {
			if slot.Kind() != KindArray {
				t.Errorf("call %d: got %v, want a result", i, slot.Kind())
			}
		} else if f, err := slot.fault(); err != nil || f.Code != CodeInvalidParams {
			t.Errorf("call %d: got %v, %v, want a fault", i, f, err)
		}
		i++
	}
	if i != 7 {
		t.Errorf("got %d results, want 7", i)
	}

	if w := post(h, callDoc(multicallName, batch(""))); !strings.Contains(w.Body.String(), "<array><data></data></array>") {
		t.Errorf("an empty batch: got %s", w.Body)
	}
	wantFault(t, post(h, callDoc(multicallName)), CodeInvalidParams)
	wantFault(t, post(h, callDoc(multicallName, "<int>1</int>")), CodeInvalidParams)
	wantFault(t, post(h, callDoc(multicallName, batch(""), batch(""))), CodeInvalidParams)
	f := wantFault(t, post(h, callDoc(multicallName, batch(strings.Repeat(good, 11)))), CodeLimit)
	if !strings.Contains(f.String, "MaxBatch") {
		t.Errorf("the fault does not name the option: %s", f.String)
	}
}

// A result that cannot be written fails only its own call.
func TestMulticallResultThatCannotBeWritten(t *testing.T) {
	for _, d := range []Dialect{Standard, Plain, Apache} {
		h := newTestHandler(t, HandlerOptions{Encode: EncodeOptions{Dialect: d}})
		must(t, h.Func("bad", func() any { return "\x00" }))
		must(t, h.Func("nil", func() any { return nil }))
		c := dial(t, serve(t, h), ClientOptions{})
		var got any = "unset"
		calls := []*BatchCall{{Method: "add", Args: []any{1, 2}}, {Method: "bad"}, {Method: "nil", Result: &got}, {Method: "add", Args: []any{1, 2}}}
		must(t, c.Multicall(t.Context(), calls...))
		if calls[0].Err != nil || faultOf(t, calls[1].Err).Code != CodeInternal || calls[3].Err != nil {
			t.Errorf("dialect %d: got %v, %v, %v", d, calls[0].Err, calls[1].Err, calls[3].Err)
		}
		if d == Standard && calls[2].Err == nil || d != Standard && (calls[2].Err != nil || got != nil) {
			t.Errorf("dialect %d: nil: got %v, %v", d, got, calls[2].Err)
		}
	}
}

// A result may be as deep as readers take it, with what is around it in a batch.
func TestMulticallResultsThatAreTooDeep(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	must(t, h.Func("deep", func(n int) any {
		var v any = 1
		for range n - 1 {
			v = []any{v}
		}
		return v
	}))
	c := dial(t, serve(t, h), ClientOptions{})
	must(t, c.Call(t.Context(), "deep", new(any), 64)) // as deep as a reader goes
	calls := []*BatchCall{{Method: "deep", Args: []any{61}, Result: new(any)}, {Method: "deep", Args: []any{63}}, {Method: "add", Args: []any{1, 2}}}
	must(t, c.Multicall(t.Context(), calls...))
	if calls[0].Err != nil || faultOf(t, calls[1].Err).Code != CodeInternal || calls[2].Err != nil {
		t.Errorf("got %v, %v and %v", calls[0].Err, calls[1].Err, calls[2].Err)
	}
}

func TestMulticallResultsAreBounded(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{MaxResponse: 10_000})
	var ran atomic.Int64
	must(t, h.Func("large", func() string { ran.Add(1); return strings.Repeat("x", 3000) }))
	c := dial(t, serve(t, h), ClientOptions{})
	calls := make([]*BatchCall, 6)
	for i := range calls {
		calls[i] = &BatchCall{Method: "large"}
	}
	must(t, c.Multicall(t.Context(), calls...))
	for i, call := range calls {
		if i < 2 && call.Err != nil || i >= 3 && faultOf(t, call.Err).Code != CodeLimit {
			t.Errorf("call %d: got %v", i, call.Err)
		}
	}
	if n := ran.Load(); n > 3 {
		t.Errorf("%d calls were run, whose results nobody can get", n)
	}
}

// A batch ends when its client goes away.
func TestMulticallIsGivenUp(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	began, ran := make(chan bool), make(chan bool, 100)
	must(t, h.Func("wait", func(ctx context.Context) { began <- true; <-ctx.Done() }))
	must(t, h.Func("next", func() { ran <- true }))
	s := serve(t, h)
	c := dial(t, s, ClientOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	calls := []*BatchCall{{Method: "wait"}, {Method: "next"}}
	done := make(chan error, 1)
	go func() { done <- c.Multicall(ctx, calls...) }()
	<-began
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(calls[1].Err, context.Canceled) {
		t.Errorf("got %v and %v, want context.Canceled", err, calls[1].Err)
	}
	// The server has come to the end of the batch when it has no request left.
	poll(t, func() bool { return h.active.Load() == 0 })
	if len(ran) > 0 {
		t.Error("the batch went on for nobody")
	}
}

func TestMulticallWithoutTheServersHelp(t *testing.T) {
	o := HandlerOptions{Omit: Multicall}
	calls := []*BatchCall{{Method: "add", Args: []any{3, 4}, Result: new(int)}, {Method: "fail", Args: []any{5}}}
	err := connect(t, o, ClientOptions{}).Multicall(t.Context(), calls...)
	if !errors.Is(err, ErrMethodNotFound) || calls[0].Err == nil {
		t.Errorf("got %v and %v, want ErrMethodNotFound", err, calls[0].Err)
	}
	must(t, connect(t, o, ClientOptions{SingleCalls: true}).Multicall(t.Context(), calls...))
	if *calls[0].Result.(*int) != 7 || faultOf(t, calls[1].Err).Code != 5 {
		t.Errorf("got %v and %v", calls[0].Result, calls[1].Err)
	}
}

func TestMulticallResponsesThatAreNone(t *testing.T) {
	for _, result := range []string{
		"<int>1</int>", "<array><data></data></array>",
		"<array><data><value><int>1</int></value></data></array>",
		"<array><data><value><array><data></data></array></value></data></array>",
		"<array><data><value><struct></struct></value></data></array>",
	} {
		c := dial(t, serve(t, answer("text/xml", "<methodResponse><params><param><value>"+result+"</value></param></params></methodResponse>")), ClientOptions{})
		call := &BatchCall{Method: "add", Result: new(int)}
		c.Multicall(t.Context(), call)
		if _, ok := errors.AsType[*ResponseError](call.Err); !ok {
			t.Errorf("%s: got %v, want a ResponseError", result, call.Err)
		}
	}
	c := dial(t, serve(t, newTestHandler(t, HandlerOptions{})), ClientOptions{})
	for _, call := range []*BatchCall{{Method: ""}, {Method: "echo", Args: []any{make(chan int)}}} {
		if err := c.Multicall(t.Context(), call); err == nil || call.Err == nil {
			t.Errorf("%+v: got no error", call)
		}
	}
}

func TestIntrospection(t *testing.T) {
	c := connect(t, HandlerOptions{}, ClientOptions{})
	names, err := c.ListMethods(t.Context())
	must(t, err)
	want := strings.Fields("add echo fail greeting.get_fortune greeting.sum greeting.two none panic raw secret " +
		"system.getCapabilities system.listMethods system.methodHelp system.methodSignature system.multicall")
	if !reflect.DeepEqual(names, want) {
		t.Errorf("ListMethods: got %v, want %v", names, want)
	}
	for method, want := range map[string][][]string{
		"add":                    {{"int", "int", "int"}},
		"echo":                   {{"undef", "undef"}},
		"none":                   {{"boolean"}},
		"greeting.two":           {{"array"}},
		"greeting.sum":           {{"int"}, {"int", "int"}},
		"greeting.GetFortune":    {{"string", "string"}},
		"system.multicall":       {{"array", "array"}},
		"system.methodSignature": {{"array", "string"}},
	} {
		if got, err := c.MethodSignature(t.Context(), method); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("MethodSignature of %s: got %v, %v; want %v", method, got, err, want)
		}
	}
	for method, want := range map[string]string{"add": "Adds two numbers.", "echo": "", "greeting.get_fortune": "Tells a fortune."} {
		if got, err := c.MethodHelp(t.Context(), method); err != nil || got != want {
			t.Errorf("MethodHelp of %s: got %q, %v; want %q", method, got, err, want)
		}
	}
	if _, err := c.MethodHelp(t.Context(), "nosuch"); !errors.Is(err, ErrMethodNotFound) {
		t.Errorf("MethodHelp of nothing: got %v", err)
	}
	can, err := c.Capabilities(t.Context())
	must(t, err)
	if can["faults_interop"].SpecVersion != 20010516 || can["system.multicall"].SpecURL == "" || can["nil"].SpecVersion != 0 {
		t.Errorf("Capabilities: got %v", can)
	}
	if f := faultOf(t, c.Call(t.Context(), "system.listMethods", nil, 1)); f.Code != CodeInvalidParams {
		t.Errorf("listMethods of something: got %v", f)
	}
}

func TestOmittedFeatures(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{Omit: Introspection | Multicall | DocPage})
	for _, m := range []string{"system.listMethods", "system.methodHelp", "system.methodSignature", "system.getCapabilities", "system.multicall"} {
		wantFault(t, post(h, callDoc(m)), CodeMethodNotFound)
	}
	if w := get(h, "GET"); w.Code != 405 || strings.Contains(w.Header().Get("Allow"), "GET") {
		t.Errorf("GET: got status %d, Allow %q; want 405 and no GET", w.Code, w.Header().Get("Allow"))
	}
}
