package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"farcall.dev"
	"farcall.dev/internal/boot"
	"farcall.dev/internal/boot/boottest"
	"farcall.dev/internal/etcdserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nameserver runs etcd for one test and returns its address.
func nameserver(t *testing.T) string {
	t.Helper()
	return startEtcd(t, "127.0.0.1:0")
}

// startEtcd runs etcd at address for one test and returns where it listens.
func startEtcd(t *testing.T, address string) string {
	t.Helper()
	s, err := etcdserver.Start(t.Context(), etcdserver.Options{
		Dev: true, ListenClient: []string{address}, ListenPeer: []string{"127.0.0.1:0"},
		Heartbeat: 20 * time.Millisecond, Election: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return strings.TrimPrefix(s.Endpoints()[0], "http://")
}

// free are flags that make a daemon listen on free ports only.
func free(etcd string, more ...string) []string {
	return append([]string{"--nameserver", etcd, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, more...)
}

// ready waits until the daemon is ready and returns its mesh and its HTTP
// address.
func ready(r *boottest.Run) (mesh, web string) {
	mesh, _, _ = strings.Cut(strings.TrimSpace(r.Await(r.Stdout, "\n  mesh ")), " ")
	web, _, _ = strings.Cut(strings.TrimSpace(r.Await(r.Stdout, "\n  http ")), " ")
	r.Await(r.Stdout, "\nNext, in another terminal:")
	return mesh, web
}

// join makes this test a caller.
func join(t *testing.T, etcd string) *farcall.Mesh {
	t.Helper()
	m, err := farcall.Join(t.Context(), farcall.Options{NameServers: []string{etcd}, Node: "caller"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// get returns the status and body of a page.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestDaemonHostsTheBuiltInThings(t *testing.T) {
	etcd := nameserver(t)
	r := boottest.Start(t, program(), nil, free(etcd, "--node", "a", "--zone", "here", "--tag", "blue,eu")...)
	_, web := ready(r)
	for _, want := range []string{
		"is ready as node a\n",
		"hosts  object greeting: get_fortune(name: string) -> string\n",
		"function add(x: int, y: int) -> int\n",
		"function echo(values: any...) -> any\n",
		"client --nameserver " + etcd + " invoke greeting get_fortune letian\n",
	} {
		if !strings.Contains(r.Stdout.String(), want) {
			t.Errorf("stdout lacks %q:\n%s", want, r.Stdout)
		}
	}

	m := join(t, etcd)
	if got, err := farcall.Call[string](t.Context(), m, "greeting", "get_fortune", "letian"); err != nil || got != "Hello, letian. \n" {
		t.Errorf("get_fortune: got %q, %v; want %q", got, err, "Hello, letian. \n")
	}
	if got, err := farcall.Call[int](t.Context(), m, "add", "", 3, 4); err != nil || got != 7 {
		t.Errorf("add 3 4: got %d, %v; want 7", got, err)
	}
	if got, err := farcall.Call[string](t.Context(), m, "echo", "", "hi"); err != nil || got != "hi" {
		t.Errorf("echo: got %q, %v; want hi", got, err)
	}
	if _, err := m.Invoke(t.Context(), "greeting", "made_up"); err == nil {
		t.Error("a method that does not exist was called")
	}
	entry, err := m.Resolver().Resolve(t.Context(), "greeting")
	if err != nil {
		t.Fatal(err)
	}
	if i := entry.Instances[0]; i.Node != "a" || i.Zone != "here" || strings.Join(i.Tags, ",") != "blue,eu" {
		t.Errorf("the record: got %+v, want node a, zone here, tags blue and eu", i)
	}

	if status, body := get(t, web+"/readyz"); status != 200 || body != "ready\nnameserver: ready\nobjects: ready\n" {
		t.Errorf("/readyz: got %d %q", status, body)
	}
	_, metrics := get(t, web+"/metrics")
	for _, want := range []string{
		`farcall_rmi_calls_finished_total{code="OK",method="get_fortune",object="greeting",side="server"} 1`,
		`farcall_rmi_calls_finished_total{code="OK",method="",object="add",side="server"} 1`,
		`farcall_naming_lease_state{state="live"} 1`,
		"farcall_naming_cache_in_touch 1",
		"farcall_transport_sessions_open 1",
		`reason="unknown",side="server"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	if strings.Contains(metrics, "made_up") {
		t.Error("/metrics tells of a method that does not exist")
	}
	probe := boottest.Start(t, program(), nil, "probe", "--admin", strings.TrimPrefix(web, "http://"))
	if code := probe.Wait(); code != boot.ExitOK {
		t.Errorf("probe: got %d %q", code, probe.Stderr)
	}

	r.Signal(syscall.SIGTERM)
	if code := r.Wait(); code != boot.ExitOK {
		t.Errorf("exit status: got %d, want 0; stderr:\n%s", code, r.Stderr)
	}
	if log := r.Stderr.String(); !strings.Contains(log, `msg=draining why="received SIGTERM"`) || !strings.Contains(log, "msg=stopped") {
		t.Errorf("the log does not tell of the stop:\n%s", log)
	} else if strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
		t.Errorf("an orderly life logged trouble:\n%s", log)
	}
}

func TestDaemonHostsWhatItsConfigurationLists(t *testing.T) {
	etcd := nameserver(t)
	path := filepath.Join(t.TempDir(), "daemon.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("objects:\n  - {name: shop.greeter, type: greeting, options: {greeting: Moin}, weight: 7, version: 1.10, tags: [blue]}\nfunctions:\n  - {name: sum, function: add}\n")
	r := boottest.Start(t, program(), nil, free(etcd, "--config", path, "--tag", "eu")...)
	ready(r)
	m := join(t, etcd)
	if got, err := farcall.Call[string](t.Context(), m, "shop.greeter", "GetFortune", "letian"); err != nil || got != "Moin, letian. \n" {
		t.Errorf("got %q, %v; want Moin", got, err)
	}
	entry, err := m.Resolver().Resolve(t.Context(), "shop.greeter")
	if err != nil {
		t.Fatal(err)
	}
	if i := entry.Instances[0]; i.Weight != 7 || i.Version != "1.10" || strings.Join(i.Tags, ",") != "blue,eu" {
		t.Errorf("the record: got %+v, want weight 7, version 1.10, tags blue and eu", i)
	}
	if _, err := m.Invoke(t.Context(), "add", "", 1, 2); err == nil {
		t.Error("add is hosted, though the configuration does not list it")
	}

	write("objects:\n  - {name: a, typ: greeting}\n  - {name: b, type: greeting, weight: x}\n")
	bad := boottest.Start(t, program(), nil, free(etcd, "--config", path)...)
	if code := bad.Wait(); code != boot.ExitUsage {
		t.Errorf("a wrong configuration: got status %d, want %d", code, boot.ExitUsage)
	}
	for _, want := range []string{path + ":2: ", `did you mean "type"?`, path + ":3: ", "weight wants a whole number"} {
		if !strings.Contains(bad.Stderr.String(), want) {
			t.Errorf("its error lacks %q:\n%s", want, bad.Stderr)
		}
	}
	write("objects:\n  - {name: a, type: greeting, methods: [get_fortunes]}\n")
	odd := boottest.Start(t, program(), nil, free(etcd, "--config", path)...)
	if code := odd.Wait(); code != boot.ExitUsage || !strings.Contains(odd.Stderr.String(), "get_fortunes") {
		t.Errorf("a method that is not there: got %d %q", code, odd.Stderr)
	}
}

func TestAdvertisedHostGetsThePortThatWasPicked(t *testing.T) {
	etcd := nameserver(t)
	r := boottest.Start(t, program(), []string{"FARCALL_LOG_FORMAT=json", "FARCALL_ADVERTISE=127.0.0.1"},
		"--nameserver", etcd, "--listen", "0.0.0.0:0", "--admin", "off")
	facts := r.Await(r.Stderr, `"msg":"ready"`)
	if !strings.Contains(facts, `"mesh":"127.0.0.1:`) || !strings.Contains(facts, `"http":"off"`) || !strings.Contains(facts, `"hosts":["greeting","add","echo"]`) {
		t.Errorf("the record of being ready: got %s", facts)
	}
	if got := r.Stdout.String(); got != "" {
		t.Errorf("stdout: got %q, want nothing beside the log", got)
	}
	if log := r.Stderr.String(); strings.Count(log, "other machines can reach this address") != 1 {
		t.Errorf("the log warns of something else than --listen:\n%s", log)
	}
	if got, err := farcall.Call[int](t.Context(), join(t, etcd), "add", "", 3, 4); err != nil || got != 7 {
		t.Errorf("add 3 4: got %d, %v; want 7", got, err)
	}
}

func TestExclusiveNameThatIsTaken(t *testing.T) {
	etcd := nameserver(t)
	path := filepath.Join(t.TempDir(), "daemon.yaml")
	if err := os.WriteFile(path, []byte("objects: [{name: the.counter, type: counter, mode: exclusive}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := boottest.Start(t, program(), nil, free(etcd, "--node", "a", "--config", path)...)
	ready(first)
	second := boottest.Start(t, program(), nil, free(etcd, "--node", "b", "--config", path)...)
	code := second.Wait()
	msg := second.Stderr.String()
	if code != boot.ExitFailure || !strings.Contains(msg, `"the.counter" is taken by node "a"`) || !strings.Contains(msg, "mode: standby") {
		t.Errorf("got %d %q, want %d and who has the name", code, msg, boot.ExitFailure)
	}
}

func TestDaemonWaitsForTheNameserver(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close() // nobody listens there for now
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := admin.Addr().String()
	admin.Close()

	r := boottest.Start(t, program(), nil, "--nameserver", address, "--listen", "127.0.0.1:0", "--admin", web)
	r.Await(r.Stderr, "the name server does not answer; trying again")
	status, body := get(t, "http://"+web+"/readyz")
	if status != 503 || !strings.Contains(body, "nameserver: not ready: "+address+" does not answer") || !strings.Contains(body, "objects: not ready: they are not registered yet") {
		t.Errorf("/readyz: got %d %q", status, body)
	}
	if status, _ := get(t, "http://"+web+"/healthz"); status != 200 {
		t.Errorf("/healthz: got %d, want 200", status)
	}
	startEtcd(t, address)
	ready(r)
	if got, err := farcall.Call[int](t.Context(), join(t, address), "add", "", 3, 4); err != nil || got != 7 {
		t.Errorf("add 3 4: got %d, %v; want 7", got, err)
	}
}

func TestStopAndGiveUpWithoutANameserver(t *testing.T) {
	r := boottest.Start(t, program(), nil, free("127.0.0.1:1")...)
	r.Await(r.Stderr, "the name server does not answer")
	r.Signal(os.Interrupt)
	if code := r.Wait(); code != boot.ExitOK {
		t.Errorf("stopped while waiting: got %d, want 0; stderr:\n%s", code, r.Stderr)
	}
	r = boottest.Start(t, program(), nil, free("127.0.0.1:1", "--nameserver-timeout", "100ms")...)
	code := r.Wait()
	msg := r.Stderr.String()
	if code != boot.ExitUnavailable || !strings.Contains(msg, "daemon: reach the name server at 127.0.0.1:1 within 100ms") || !strings.Contains(msg, "start one with `nameserver`") {
		t.Errorf("gave up: got %d %q, want %d and what to do", code, msg, boot.ExitUnavailable)
	}
}

func TestStopFinishesTheCallUnderWay(t *testing.T) {
	etcd := nameserver(t)
	path := filepath.Join(t.TempDir(), "daemon.yaml")
	if err := os.WriteFile(path, []byte("objects: [{name: slow, type: echo}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, grace string
		seconds     float64
		fails       bool
		code        boot.ExitCode
	}{
		{"in time", "30s", 0.5, false, boot.ExitOK},
		{"too late", "200ms", 60, true, boot.ExitGrace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := boottest.Start(t, program(), nil, free(etcd, "--config", path, "--grace", tt.grace)...)
			_, web := ready(r)
			m := join(t, etcd)
			result := make(chan error, 1)
			call := func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				_, err := m.Invoke(ctx, "slow", "sleep", tt.seconds)
				result <- err
			}
			go call()
			await(t, func() bool {
				_, metrics := get(t, web+"/metrics")
				if strings.Contains(metrics, `farcall_rmi_calls_in_flight{side="server"} 1`) {
					return true
				}
				select {
				case err := <-result: // it was over before anybody looked
					if err != nil {
						t.Fatalf("the call before the signal: %v", err)
					}
					go call()
				default:
				}
				return false
			})
			r.Signal(syscall.SIGTERM)
			if err := <-result; (err != nil) != tt.fails {
				t.Errorf("the call: got %v, want failure %v", err, tt.fails)
			}
			if code := r.Wait(); code != tt.code {
				t.Errorf("exit status: got %d, want %d; stderr:\n%s", code, tt.code, r.Stderr)
			}
		})
	}
}

func TestSecondSignalAborts(t *testing.T) {
	etcd := nameserver(t)
	path := filepath.Join(t.TempDir(), "daemon.yaml")
	if err := os.WriteFile(path, []byte("objects: [{name: slow, type: echo}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := boottest.Start(t, program(), nil, free(etcd, "--config", path, "--grace", "10m")...)
	_, web := ready(r)
	m := join(t, etcd)
	result := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := m.Invoke(ctx, "slow", "sleep", 60.0)
		result <- err
	}()
	await(t, func() bool {
		_, metrics := get(t, web+"/metrics")
		return strings.Contains(metrics, `farcall_rmi_calls_in_flight{side="server"} 1`)
	})
	r.Signal(syscall.SIGTERM)
	r.Await(r.Stderr, "msg=draining")
	if status, body := get(t, web+"/readyz"); status != 503 || !strings.Contains(body, "objects: not ready: they are draining") {
		t.Errorf("/readyz while draining: got %d %q", status, body)
	}
	r.Signal(syscall.SIGTERM)
	if code := r.Wait(); code != boot.ExitAborted {
		t.Errorf("exit status: got %d, want %d; stderr:\n%s", code, boot.ExitAborted, r.Stderr)
	}
	if err := <-result; err == nil {
		t.Error("the call outlived the abort")
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{"unknown flag", nil, []string{"--nod", "a"}, "daemon: unknown flag: --nod\n  see `daemon --help`\n"},
		{"listen", nil, []string{"--listen", "7500"}, `--listen "7500" is not an address`},
		{"admin", []string{"FARCALL_ADMIN=nowhere"}, nil, `--admin "nowhere" is not an address`},
		{"every address", nil, []string{"--listen", "0.0.0.0:7500"}, "none of them can be advertised by itself\n  give "},
		{"every address of IPv6", nil, []string{"--listen", "[::]:7500"}, "none of them can be advertised by itself"},
		{"no address", nil, []string{"--listen", ":7500"}, "--advertise "},
		{"advertise everything", nil, []string{"--advertise", "0.0.0.0:7500"}, `--advertise "0.0.0.0:7500" is no address that anybody can call`},
		{"advertise a URL", nil, []string{"--advertise", "http://a"}, `--advertise "http://a" is not an address`},
		{"advertise no port", nil, []string{"--advertise", "a:b"}, `--advertise "a:b": "b" is not a port`},
		{"grace", nil, []string{"--grace", "-1s"}, "--grace -1s is not a time to wait"},
		{"weight", []string{"FARCALL_WEIGHT=0"}, nil, "--weight 0 is not between 1 and 10000"},
		{"node", nil, []string{"--node", "a\x01"}, `--node: invalid node id`},
		{"tag", nil, []string{"--tag", " a"}, `--tag: invalid tag " a": it begins or ends with a space`},
		{"nameserver", nil, free("not an address"), `--nameserver `},
		{"lease", nil, free("127.0.0.1:1", "--lease-ttl", "1ms"), `--lease-ttl 1ms: it is not between`},
		{"config", nil, []string{"--config", "/nowhere/daemon.yaml"}, "open /nowhere/daemon.yaml: no such file or directory\n  nothing was started"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := boottest.Start(t, program(), tt.env, tt.args...)
			if code := r.Wait(); code != boot.ExitUsage || !strings.Contains(r.Stderr.String(), tt.want) {
				t.Errorf("got %d %q, want %d and %q", code, r.Stderr, boot.ExitUsage, tt.want)
			}
		})
	}
}

func TestTakenPortsAreNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for flag, other := range map[string]string{"listen": "admin", "admin": "listen"} {
		r := boottest.Start(t, program(), nil, "--nameserver", "127.0.0.1:1", "--"+flag, taken, "--"+other, "127.0.0.1:0")
		code := r.Wait()
		want := "daemon: listen on " + taken + " (--" + flag + "): address already in use\n  another process uses that port"
		if code != boot.ExitAddress || !strings.Contains(r.Stderr.String(), want) {
			t.Errorf("--%s: got %d %q, want %d and %q", flag, code, r.Stderr, boot.ExitAddress, want)
		}
	}
}

func TestAdvertisedAddress(t *testing.T) {
	for _, tt := range []struct{ advertise, port, want string }{
		{"", "7500", ""},
		{"10.0.0.7:80", "7500", "10.0.0.7:80"},
		{"10.0.0.7", "7500", "10.0.0.7:7500"},
		{"host.example", "7500", "host.example:7500"},
		{"fd00::7", "7500", "[fd00::7]:7500"},
		{"[fd00::7]", "7500", "[fd00::7]:7500"},
		{"[fd00::7]:80", "7500", "[fd00::7]:80"},
	} {
		s := &settings{advertise: tt.advertise}
		if got := s.advertised(tt.port); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.advertise, got, tt.want)
		}
	}
}

// await waits until cond holds.
func await(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("waited in vain")
		}
	}
}
