package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/boot/boottest"
	"farcall.dev/naming"
)

// pythonServer is a server as tutorials have it, on a free port, which it prints.
const pythonServer = `
from xmlrpc.server import SimpleXMLRPCServer

def add(x, y):
    return x + y

def refuse():
    raise ValueError("not today")

server = SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False, allow_none=True)
server.register_introspection_functions()
server.register_multicall_functions()
server.register_function(add)
server.register_function(lambda v: v, "same")
server.register_function(refuse)
print(server.server_address[1], flush=True)
server.serve_forever()
`

// pythonClient calls what a daemon serves, by the port it is given.
const pythonClient = `
import datetime, sys, xmlrpc.client

proxy = xmlrpc.client.ServerProxy("http://%s/RPC2" % sys.argv[1])
print(proxy.add(3, 4))
print(proxy.greeting.get_fortune("letian"), end="")
print(proxy.echo({"a": [1, 2.5, True, "é"], "b": xmlrpc.client.Binary(b"\x00\xff")}))
print(proxy.echo(xmlrpc.client.DateTime(datetime.datetime(1998, 7, 17, 14, 8, 55))))
print(proxy.legacy.add(3, 4), proxy.legacy.same(["x", {"y": 1}]))
print(sorted(m for m in proxy.system.listMethods() if not m.startswith("system.")))
print(proxy.system.methodSignature("add"), proxy.system.methodHelp("add"))
batch = xmlrpc.client.MultiCall(proxy)
batch.add(1, 2)
batch.legacy.add(3, 4)
print(list(batch()))
for call in (lambda: proxy.missing(), lambda: proxy.add(1), lambda: proxy.legacy.refuse()):
    try:
        print(call())
    except xmlrpc.client.Fault as fault:
        print(fault.faultCode, fault.faultString)
plain = xmlrpc.client.ServerProxy("http://%s/RPC2?dialect=plain" % sys.argv[1])
print(plain.echo(2**31-1), plain.add(2**31-1, 1))
`

// python is Debian's.
func python(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		if os.Getenv("FARCALL_REQUIRE_ALL") != "" || os.Getenv("CI") != "" {
			t.Fatalf("this test needs Python: %v", err)
		}
		t.Skipf("this test needs Python: %v", err)
	}
	return path
}

// startPython runs the server until the test ends or stop is called, and returns
// its port.
func startPython(t *testing.T, script, port string) (at string, stop func()) {
	t.Helper()
	script = strings.Replace(script, `("127.0.0.1", 0)`, `("127.0.0.1", `+port+`)`, 1)
	cmd := exec.Command(python(t), "-c", script)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	return strings.TrimSpace(line), stop
}

// TestPythonCallsAndIsCalled has Python's own client call a daemon, which hosts
// things of its own and has attached Python's own server.
func TestPythonCallsAndIsCalled(t *testing.T) {
	port, stop := startPython(t, pythonServer, "0")
	config := filepath.Join(t.TempDir(), "daemon.yaml")
	err := os.WriteFile(config, fmt.Appendf(nil, `
objects: [{name: greeting, type: greeting}]
functions: [{name: add, function: add}, {name: echo, function: echo}]
attach: [{name: legacy, url: "xmlrpc+http://127.0.0.1:%s/", health: {interval: 20ms, timeout: 10s}}]
`, port), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	etcd := nameserver(t)
	r := boottest.Start(t, program(), nil, free(etcd, "--node", "a", "--config", config)...)
	mesh, web := ready(r)
	if !strings.Contains(r.Stdout.String(), "attach legacy: http://127.0.0.1:"+port+"/\n") {
		t.Errorf("stdout does not tell of the server:\n%s", r.Stdout)
	}

	want := `7
Hello, letian. 
{'a': [1, 2.5, True, 'é'], 'b': <xmlrpc.client.Binary object>}
19980717T14:08:55
7 ['x', {'y': 1}]
['add', 'echo', 'greeting.get_fortune', 'legacy.add', 'legacy.refuse', 'legacy.same']
[['int', 'int', 'int']] Returns x + y; an error when the sum does not fit 64 bits.
add(x: int, y: int) -> int
[3, 7]
-32601 this node has nothing named "missing"
-32602 add: it takes 2 arguments and got 1: add(x: int, y: int) -> int
1 <class 'ValueError'>:not today
2147483647 2147483648
`
	cmd := exec.CommandContext(t.Context(), python(t), "-c", pythonClient, mesh)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err = cmd.Run()
	got := strings.Replace(out.String(), "<xmlrpc.client.Binary object at 0x", "<xmlrpc.client.Binary object>", 1)
	if at := strings.Index(got, "object>"); at >= 0 { // the address is never the same
		end := strings.Index(got[at:], ">}")
		got = got[:at+len("object")] + got[at+end:]
	}
	if err != nil || got != want {
		t.Errorf("Python's client: %v\n%s\ngot:\n%s\nwant:\n%s", err, &stderr, got, want)
	}

	_, metrics := get(t, web+"/metrics")
	for _, want := range []string{`method="get_fortune",object="greeting",side="server"`, `method="add",object="legacy",side="server"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}

	m := join(t, etcd)
	if sum, err := farcall.Call[int](t.Context(), m, "legacy", "add", 3, 4); err != nil || sum != 7 {
		t.Errorf("by RMI: got %d, %v; want 7", sum, err)
	}
	gone := func(want bool) {
		t.Helper()
		give := time.After(30 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			_, err := m.Resolver().Resolve(t.Context(), naming.Name("legacy"))
			if (err != nil) == want {
				return
			}
			select {
			case <-tick.C:
			case <-give:
				t.Fatalf("legacy is gone: %v, want %t", err, want)
			}
		}
	}
	stop()
	gone(true)
	startPython(t, pythonServer, port)
	gone(false)
	if sum, err := farcall.Call[int](t.Context(), m, "legacy", "add", 3, 4); err != nil || sum != 7 {
		t.Errorf("after its return: got %d, %v; want 7", sum, err)
	}
}
