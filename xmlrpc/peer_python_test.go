package xmlrpc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// python is the interpreter of the system: Debian's own, if it is Debian. What is
// used of it is in its standard library.
func python(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		return "/usr/bin/python3"
	}
	path, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("FARCALL_REQUIRE_ALL") != "" || os.Getenv("CI") != "" {
			t.Fatal("python3 is needed")
		}
		t.Skip("python3 is not there; set FARCALL_REQUIRE_ALL to make that an error")
	}
	return path
}

// runPython runs a program to its end, and returns what it prints.
func runPython(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python(t), args...)
	cmd.Env = append(os.Environ(), "no_proxy=*")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, out)
	}
	return string(out)
}

// servePython starts a server program on any port, and returns its URL without a
// path.
func servePython(t testing.TB, program string) string {
	t.Helper()
	cmd := exec.Command(python(t), filepath.Join("testdata", "peer", "serve.py"), filepath.Join("testdata", "peer", program))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the server said:\n%s", &complaints)
		}
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	return "http://127.0.0.1:" + strings.TrimSpace(port)
}

func readPeer(t testing.TB, name string) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("testdata", "peer", name))
	must(t, err)
	return string(source)
}

// The tutorial's client calls a Handler. Nothing is changed in it but the address.
func TestPythonTutorialClient(t *testing.T) {
	s := httptest.NewServer(newTestHandler(t, HandlerOptions{}))
	defer s.Close()
	client := strings.Replace(readPeer(t, "tutorial_client.py"), "127.0.0.1:8080", s.Listener.Addr().String(), 1)
	if got := runPython(t, "-c", client); got != "7\n" {
		t.Errorf("it prints %q, want 7", got)
	}
}

// A Client calls the tutorial's server, which is changed in its port only.
func TestPythonTutorialServer(t *testing.T) {
	c := dial(t, servePython(t, "tutorial_server.py"), ClientOptions{})
	var n int
	must(t, c.Call(t.Context(), "add", &n, 3, 4))
	if n != 7 {
		t.Errorf("got %d, want 7", n)
	}
}

func TestPythonClient(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/RPC2", newTestHandler(t, HandlerOptions{}))
	s := httptest.NewServer(mux)
	defer s.Close()
	if got := runPython(t, filepath.Join("testdata", "peer", "client.py"), s.URL+"/RPC2"); got != "all is well\n" {
		t.Error(got)
	}
}

func TestPythonServer(t *testing.T) {
	url := servePython(t, "server.py")
	c := dial(t, url, ClientOptions{Encode: EncodeOptions{Dialect: Plain}, Compress: true})
	when := time.Date(1998, 7, 17, 14, 8, 55, 0, time.UTC)
	many := make([]any, 10_000)
	for i := range many {
		many[i] = i
	}
	for _, want := range []any{
		0, -1, 1<<31 - 1, -1 << 31, true, false, 0.5, -1e300, 5e-324, "", " a ", "<&>'\"]]>", "line\nline\ttab", "grüße, 世界 🎉",
		strings.Repeat("x", 1_000_000), []any{}, []any{1, "a", []any{2.5, []any{}}}, map[string]any{}, nil,
		map[string]any{"a": map[string]any{"b": []any{1}}, "": 2, " blank ": 3, "ü": 4}, many, when,
		bytes.Repeat([]byte{0, 255, 128}, 100_000), []byte{},
	} {
		var got any
		if err := c.Call(t.Context(), "echo", &got, want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("echo: got %.100q, %v; want %.100q", fmt.Sprint(got), err, fmt.Sprint(want))
		}
	}
	var text string
	must(t, c.Object("greeting").Call(t.Context(), "get_fortune", &text, "letian"))
	if text != "Hello, letian. \n" {
		t.Errorf("got %q", text)
	}
	if f := faultOf(t, c.Call(t.Context(), "fail", nil, 42)); f.Code != 42 || f.String != "as you wish <&>" {
		t.Errorf("got %v", f)
	}
	if f := faultOf(t, c.Call(t.Context(), "crash", nil)); f.Code != 1 || !strings.Contains(f.String, "ValueError") || !strings.Contains(f.String, "böse") {
		t.Errorf("got %v", f)
	}
	if err := c.Call(t.Context(), "nosuch", nil); !errors.Is(err, ErrMethodNotFound) {
		t.Errorf("got %v, want ErrMethodNotFound", err)
	}

	var sum int
	calls := []*BatchCall{{Method: "add", Args: []any{3, 4}, Result: &sum}, {Method: "fail", Args: []any{5}}, {Method: "add", Args: []any{"a", "b"}, Result: &text}}
	must(t, c.Multicall(t.Context(), calls...))
	if sum != 7 || faultOf(t, calls[1].Err).Code != 5 || text != "ab" {
		t.Errorf("multicall: got %d, %v, %q", sum, calls[1].Err, text)
	}

	names, err := c.ListMethods(t.Context())
	if err != nil || !slices.Contains(names, "add") || !slices.Contains(names, "system.multicall") {
		t.Errorf("ListMethods: got %v, %v", names, err)
	}
	if signatures, err := c.MethodSignature(t.Context(), "add"); err != nil || signatures != nil {
		t.Errorf("MethodSignature: got %v, %v; Python knows none", signatures, err)
	}
	if help, err := c.MethodHelp(t.Context(), "greeting.get_fortune"); err != nil || help != "Tells a fortune." {
		t.Errorf("MethodHelp: got %q, %v", help, err)
	}
	if _, err := c.Capabilities(t.Context()); !errors.Is(err, ErrMethodNotFound) {
		t.Errorf("Capabilities: got %v; Python has none", err)
	}
	nowhere := dial(t, url+"/nowhere", ClientOptions{})
	if e, ok := errors.AsType[*HTTPError](nowhere.Call(t.Context(), "add", nil)); !ok || e.Status != 404 {
		t.Errorf("a wrong path: got %v, want 404", e)
	}
}
