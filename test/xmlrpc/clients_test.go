package xmlrpc

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"farcall.dev/xmlrpc"
)

// TestClients lets each peer's client call a Handler, with every case. What it
// sends is compared as it comes in, and what it reads as it tells.
func TestClients(t *testing.T) {
	for _, p := range clients {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.need(t)
			command := p.run(t)
			server := newProbe(t)
			got := runClient(t, command, server.input(cases))
			for _, c := range cases {
				answer, ok := got[c.name]
				if !ok {
					t.Errorf("%s: the peer says nothing", c.name)
					continue
				}
				should := outcome{sent: c.value, got: c.want().as(p.reads)}
				if c.name == "unknown" {
					should.sent = value{}
				}
				p.judge(t, c, outcome{sent: server.sent(c.name), got: answer}, should)
			}
		})
	}
}

// runClient runs a client with its input, and returns what it tells of each case.
func runClient(t *testing.T, command []string, input string) map[string]value {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
	cmd.Env = environment()
	err := cmd.Run()
	got := make(map[string]value)
	for line := range strings.Lines(stdout.String()) {
		var told struct{ Case, Got string }
		if err := json.Unmarshal([]byte(line), &told); err != nil {
			t.Errorf("the peer prints %.200q: %v", line, err)
			continue
		}
		v, err := parseWords(told.Got)
		if err != nil {
			t.Errorf("%s: the peer prints %.200q: %v", told.Case, told.Got, err)
			continue
		}
		got[told.Case] = v
	}
	if err != nil || t.Failed() {
		t.Fatalf("%s: %v, after %d cases\nstderr: %s", strings.Join(cmd.Args, " "), err, len(got), stderr.String())
	}
	return got
}

// A probe serves the cases to one peer, and keeps what that sends.
type probe struct {
	server *httptest.Server

	mu       sync.Mutex
	received map[string]value // guarded by mu
	encoding string           // the Content-Encoding of the last request. Guarded by mu
}

// newProbe serves until the test ends.
func newProbe(t *testing.T) *probe {
	t.Helper()
	p := &probe{received: make(map[string]value)}
	mux := http.NewServeMux()
	for path, dialect := range map[string]xmlrpc.Dialect{"/RPC2": xmlrpc.Standard, "/plain": xmlrpc.Plain} {
		h, err := xmlrpc.NewHandler(xmlrpc.HandlerOptions{Encode: xmlrpc.EncodeOptions{Dialect: dialect}})
		if err != nil {
			t.Fatal(err)
		}
		p.register(t, h)
		mux.Handle(path, h)
	}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.encoding = r.Header.Get("Content-Encoding")
		p.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *probe) register(t *testing.T, h *xmlrpc.Handler) {
	t.Helper()
	register := func(name string, fn any) {
		if err := h.Func(name, fn); err != nil {
			t.Fatal(err)
		}
	}
	register("add", func(x, y int) int { return x + y })
	for _, c := range cases {
		switch {
		case c.of != "" || c.name == "unknown":
		case c.noArg:
			register(c.method(), func() any { return c.want().golang() })
		default:
			register(c.method(), func(args ...xmlrpc.RawValue) (any, error) {
				p.mu.Lock()
				defer p.mu.Unlock()
				// A peer that cannot send a value may read it.
				for _, v := range args {
					p.received[c.name] = fromRaw(v)
				}
				if c.name == "fault" {
					return nil, &xmlrpc.Fault{Code: faultCode, String: faultText}
				}
				return c.want().golang(), nil
			})
		}
	}
}

// input tells a client of the cases.
func (p *probe) input(cases []testCase) string {
	var b strings.Builder
	for _, c := range cases {
		b.WriteString(c.name + " " + p.url(c) + " " + c.method())
		if !c.noArg {
			b.WriteString(" " + c.value.words())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// url is the address at which a case is called.
func (p *probe) url(c testCase) string {
	if c.plain {
		return p.server.URL + "/plain"
	}
	return p.server.URL + "/RPC2"
}

// sent is what came in; a value without a kind if nothing did.
func (p *probe) sent(name string) value {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received[name]
}
