package xmlrpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"farcall.dev/xmlrpc"
)

// TestServers calls each peer's server by a Client, with every case: "describe"
// tells what the server reads, "echo" sends it back.
func TestServers(t *testing.T) {
	for _, p := range servers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.need(t)
			url := startServer(t, p.run(t))
			standard := newClient(t, url, xmlrpc.ClientOptions{})
			plain := newClient(t, url, xmlrpc.ClientOptions{Encode: xmlrpc.EncodeOptions{Dialect: xmlrpc.Plain}})
			for _, c := range cases {
				if !c.forServers() {
					continue
				}
				client := standard
				should := outcome{got: c.want()}
				if c.sends() {
					should.sent = c.want().as(p.reads)
				}
				if c.plain {
					client = plain
				}
				p.judge(t, c, callServer(t, client, c), should)
				// Some serve one connection at a time.
				client.Close()
			}
		})
	}
}

// forServers reports whether the case is put to servers. i8 is sent both ways, so
// that send_i8 says nothing.
func (c testCase) forServers() bool { return c.name != "send_i8" }

// sends reports whether the case puts a value to a server.
func (c testCase) sends() bool {
	return c.of == "" && !slices.Contains([]string{"none", "fault", "unknown"}, c.name)
}

// callServer puts one case to a server.
func callServer(t *testing.T, client *xmlrpc.Client, c testCase) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	call := func(method string, args ...any) value {
		var raw xmlrpc.RawValue
		if err := client.Call(ctx, method, &raw, args...); err != nil {
			return fromError(err)
		}
		return fromRaw(raw)
	}
	switch c.name {
	case "none":
		return outcome{got: call("none")}
	case "fault":
		return outcome{got: call("fault", 1)}
	case "unknown":
		err := client.Call(ctx, "probe.unknown", nil, 1)
		if errors.Is(err, xmlrpc.ErrMethodNotFound) {
			return outcome{got: c.want()}
		}
		return outcome{got: fromError(err)}
	case "list":
		names, err := client.ListMethods(ctx)
		if err != nil {
			return outcome{got: fromError(err)}
		}
		if !slices.Contains(names, "add") {
			t.Errorf("system.listMethods = %q, want add in it", names)
		}
		return outcome{got: c.want()}
	case "multicall":
		return outcome{got: multicall(ctx, client)}
	}
	arg := c.want().golang()
	described := call("describe", arg)
	if described.kind == "string" {
		words, err := parseWords(described.text)
		if err != nil {
			t.Errorf("%s: the server describes what it gets by %q: %v", c.name, described.text, err)
		}
		described = words
	}
	return outcome{sent: described, got: call("echo", arg)}
}

// multicall adds and fails in one batch.
func multicall(ctx context.Context, client *xmlrpc.Client) value {
	var sum xmlrpc.RawValue
	batch := []*xmlrpc.BatchCall{
		{Method: "add", Args: []any{3, 4}, Result: &sum},
		{Method: "fault", Args: []any{1}},
	}
	if err := client.Multicall(ctx, batch...); err != nil {
		return fromError(err)
	}
	v := list()
	for i, call := range batch {
		switch {
		case call.Err != nil:
			v.elems = append(v.elems, fromError(call.Err))
		case i == 0:
			v.elems = append(v.elems, fromRaw(sum))
		default:
			v.elems = append(v.elems, scalar("error", "the second call has not failed"))
		}
	}
	return v
}

func newClient(t *testing.T, url string, o xmlrpc.ClientOptions) *xmlrpc.Client {
	t.Helper()
	c, err := xmlrpc.NewClient(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// startServer runs a peer's server until the test ends, and returns its URL, which
// it prints when it can be called.
func startServer(t *testing.T, command []string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = environment()
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // It has been killed.
		if t.Failed() {
			said := stderr.String()
			t.Logf("the last that %s says:\n%s", strings.Join(command, " "), said[max(0, len(said)-1000):])
		}
	})
	stop := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	stop.Stop()
	if err != nil {
		t.Fatalf("%s says no URL: %v", strings.Join(command, " "), err)
	}
	return strings.TrimSpace(line)
}
