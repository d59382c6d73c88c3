package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/naming"
)

// patience bounds every wait for something that should happen soon. It is long
// because a busy machine is slow, and costs nothing when things work.
const patience = 60 * time.Second

// binaries is the folder of the built commands; set by TestMain.
var binaries string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "farcall-process-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binaries = dir
		build := exec.Command("go", "build", "-o", dir, "farcall.dev/cmd/nameserver", "farcall.dev/cmd/daemon", "farcall.dev/cmd/client")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the commands: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// process is one running command.
type process struct {
	name string
	cmd  *exec.Cmd
	out  logBuffer
	done chan struct{} // closed when it has ended
	err  error         // of Wait; read after done
}

// logBuffer collects output for the message of a failed test.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a command until the test ends.
func start(t *testing.T, command string, args ...string) *process {
	t.Helper()
	p := &process{name: command, cmd: exec.Command(filepath.Join(binaries, command), args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", command, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("output of %s %s:\n%s", command, strings.Join(args, " "), p.out.String())
		}
	})
	return p
}

// signal sends sig to the process.
func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal %s: %v", p.name, err)
	}
}

// wait returns the exit code of a process that is about to end.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s has not ended after %v", p.name, patience)
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
		return exit.ExitCode()
	}
	return 0
}

// eventually polls cond until it returns nil.
func eventually(t *testing.T, what string, cond func() error) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not after %v: %v", what, patience, err)
		}
	}
}

// freeAddrs returns n loopback addresses that nobody listens on. Their ports are
// below those that a system hands out by itself, of which one could be another
// process's by the time that it is listened on.
func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	const low, high, tries = 20000, 32000, 100
	var addrs []string
	var err error
	for range tries {
		var ln net.Listener
		if ln, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low))); err != nil {
			continue
		}
		defer ln.Close()
		if addrs = append(addrs, ln.Addr().String()); len(addrs) == n {
			return addrs
		}
	}
	t.Fatalf("got %d of %d free ports in %d tries: %v", len(addrs), n, tries, err)
	return nil
}

// ready waits until the admin or HTTP listener at addr says so.
func ready(t *testing.T, addr string) {
	t.Helper()
	eventually(t, addr+" is ready", func() error {
		resp, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(resp.Body)
			return fmt.Errorf("%s: %s", resp.Status, body)
		}
		return nil
	})
}

// nameServer is a running nameserver command.
type nameServer struct {
	*process
	etcd string   // host:port for clients
	args []string // to start it again
	http string
}

// startNameServer starts a name server that keeps its data in a folder of the
// test's.
func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	a := freeAddrs(t, 3)
	ns := &nameServer{etcd: a[0], http: a[2], args: []string{
		"--data-dir", filepath.Join(t.TempDir(), "data"), "--listen", a[2],
		"--etcd-listen-client", "http://" + a[0], "--etcd-advertise-client", "http://" + a[0],
		"--etcd-listen-peer", "http://" + a[1], "--etcd-advertise-peer", "http://" + a[1],
	}}
	ns.process = start(t, "nameserver", ns.args...)
	ready(t, ns.http)
	return ns
}

// daemon is a running daemon command.
type daemon struct {
	*process
	node  naming.NodeID
	admin string
}

// startDaemon starts a daemon with the built-in objects and waits until it
// serves.
func startDaemon(t *testing.T, ns *nameServer, node string, more ...string) *daemon {
	t.Helper()
	a := freeAddrs(t, 2)
	args := append([]string{"--nameserver", ns.etcd, "--node", node, "--listen", a[0], "--admin", a[1]}, more...)
	d := &daemon{process: start(t, "daemon", args...), node: naming.NodeID(node), admin: a[1]}
	ready(t, d.admin)
	return d
}

// client runs the client command to its end.
func client(t *testing.T, ns *nameServer, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(binaries, "client"), append([]string{"--nameserver", ns.etcd}, args...)...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("run client %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errOut.String(), code
}

// join makes this test a client of the mesh.
func join(t *testing.T, ns *nameServer) *farcall.Mesh {
	t.Helper()
	m, err := farcall.Join(t.Context(), farcall.Options{NameServers: []string{ns.etcd}})
	if err != nil {
		t.Fatalf("join: %v", err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// instances waits until name has exactly want instances in state live.
func instances(t *testing.T, m *farcall.Mesh, name naming.Name, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s has %d live instances", name, want), func() error {
		live := 0
		entry, err := m.Resolver().Resolve(t.Context(), name)
		if err != nil && want > 0 {
			return err
		}
		if err == nil {
			for _, inst := range entry.Instances {
				if inst.State == naming.StateLive {
					live++
				}
			}
		}
		if live != want {
			return fmt.Errorf("it has %d", live)
		}
		return nil
	})
}
