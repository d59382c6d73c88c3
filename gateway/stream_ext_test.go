package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"farcall.dev"
	"farcall.dev/gateway"
	"farcall.dev/internal/builtin"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// tide has streams that end in every way.
type tide struct{ ended chan error }

func (tide) Pairs() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) { _ = yield("a", 1) && yield("b", 2) }
}

func (tide) Breaks() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		yield("first", nil)
		yield("", rmi.Errorf(rmi.Aborted, "the tide went out"))
	}
}

func (tide) Many(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := 0; i < n && yield(i); i++ {
		}
	}
}

func (t tide) Endless(ctx context.Context) iter.Seq[int] {
	return func(yield func(int) bool) {
		yield(1)
		<-ctx.Done()
		t.ended <- context.Cause(ctx)
	}
}

// newStreams adds an echo object and a tide to a fixture.
func newStreams(t *testing.T) (*fixture, tide) {
	t.Helper()
	f, sea := newFixture(t, gateway.Options{}), tide{make(chan error, 1)}
	echo, err := builtin.Object("echo", nil)
	f.must(err)
	f.must(f.one.Register(t.Context(), "streams", echo.Value, farcall.RegisterOptions{Docs: echo.Docs}))
	f.must(f.one.Register(t.Context(), "tide", sea, farcall.RegisterOptions{}))
	for _, name := range []naming.Name{"streams", "tide"} {
		meshtest.Await(t, f.gate, name, 1)
	}
	return f, sea
}

func TestStreamsByJSON(t *testing.T) {
	f, _ := newStreams(t)
	for _, tt := range []struct{ path, body, want string }{
		{"streams/count", `[2, 0]`, "{\"item\":1}\n{\"item\":2}\n"},
		{"streams/count", `[0, 0]`, ""},
		{"tide/pairs", ``, "{\"item\":[\"a\",1]}\n{\"item\":[\"b\",2]}\n"},
		{"tide/breaks", ``, "{\"item\":\"first\"}\n{\"error\":{\"code\":\"ABORTED\",\"message\":\"the tide went out\",\"executed\":true}}\n"},
		{"streams/total", `{"numbers": [1, 2, 3.5]}`, "{\"result\":6.5}\n"},
		{"streams/repeat", `[[1, "x"]]`, "{\"item\":1}\n{\"item\":\"x\"}\n"},
	} {
		for name, h := range map[string]http.Handler{"whole mesh": f.whole, "own port": f.own} {
			w := post(t, h, "/v1/call/"+tt.path, jsonType, []byte(tt.body))
			if w.Code != http.StatusOK || w.Body.String() != tt.want {
				t.Errorf("%s: %s %s: got %d %q, want %q", name, tt.path, tt.body, w.Code, w.Body, tt.want)
			}
			if strings.Contains(tt.want, "result") != (w.Header().Get("Content-Type") == jsonType) {
				t.Errorf("%s: %s has the Content-Type %s", name, tt.path, w.Header().Get("Content-Type"))
			}
		}
	}
	if w := post(t, f.whole, "/v1/call/streams/count", jsonType, []byte(`[1, -1]`)); w.Code != http.StatusBadRequest {
		t.Errorf("a stream that is refused: got %d %s, want 400", w.Code, w.Body)
	}
}

// Items come while the stream goes on, and it ends with its client.
func TestStreamsByJSONEndWithTheClient(t *testing.T) {
	f, sea := newStreams(t)
	s := httptest.NewServer(f.whole)
	defer s.Close()
	resp, err := http.Post(s.URL+"/v1/call/tide/endless", jsonType, nil)
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || line != "{\"item\":1}\n" {
		t.Errorf("got %q, %v, want the first item", line, err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	<-sea.ended
}

func TestStreamsByXMLRPCAreArrays(t *testing.T) {
	f, _ := newStreams(t)
	for _, tt := range []struct{ doc, want string }{
		{"<methodCall><methodName>streams.count</methodName><params><param><value><int>2</int></value></param><param><value><double>0</double></value></param></params></methodCall>", "<array><data><value><int>1</int></value><value><int>2</int></value></data></array>"},
		{"<methodCall><methodName>streams.total</methodName><params><param><value><array><data><value><double>1</double></value><value><int>2</int></value></data></array></value></param></params></methodCall>", "<double>3</double>"},
		{"<methodCall><methodName>tide.pairs</methodName></methodCall>", "<value><array><data><value><string>a</string></value><value><int>1</int></value></data></array></value>"},
		{"<methodCall><methodName>tide.breaks</methodName></methodCall>", "the tide went out"},
		{"<methodCall><methodName>tide.many</methodName><params><param><value><int>10001</int></value></param></params></methodCall>", "<int>-32001</int>"},
		{"<methodCall><methodName>tide.endless</methodName></methodCall>", "<int>-32014</int>"},
	} {
		w := post(t, f.whole, "/RPC2?timeout=1", "text/xml", []byte(tt.doc))
		body := strings.NewReplacer("\n", "", "<i4>", "<int>", "</i4>", "</int>").Replace(w.Body.String())
		if !strings.Contains(body, tt.want) {
			t.Errorf("%s: got %s, want %s", tt.doc, body, tt.want)
		}
	}
}

func TestOpenAPITellsOfStreams(t *testing.T) {
	f, _ := newStreams(t)
	w := get(t, f.whole, "/v1/openapi.json?prefix=streams")
	var doc struct {
		Paths map[string]struct {
			Post struct {
				Summary   string
				Responses map[string]struct{ Content map[string]any }
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	op := doc.Paths["/v1/call/streams/count"].Post
	if op.Summary != "count(n: int, every: float) -> stream<int>" || op.Responses["200"].Content["application/x-ndjson"] == nil {
		t.Errorf("got %+v, want a stream of lines", op)
	}
}
