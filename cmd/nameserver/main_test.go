package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"farcall.dev/internal/boot"
	"farcall.dev/internal/boot/boottest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// free are flags that make a nameserver listen on free ports only.
func free(more ...string) []string {
	return append([]string{"--listen", "127.0.0.1:0", "--etcd-listen-client", "http://127.0.0.1:0", "--etcd-listen-peer", "http://127.0.0.1:0"}, more...)
}

// ready waits until the nameserver is ready and returns its HTTP and its etcd
// address.
func ready(r *boottest.Run) (web, etcd string) {
	etcd, _, _ = strings.Cut(strings.TrimSpace(r.Await(r.Stdout, "\n  etcd ")), " ")
	web, _, _ = strings.Cut(strings.TrimSpace(r.Await(r.Stdout, "\n  http ")), " ")
	r.Await(r.Stdout, "\nNext, in other terminals:")
	return web, etcd
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

// trouble returns the warnings and errors in log, but for those by which etcd
// says that the machine is slow: another process may be busy.
func trouble(log string) string {
	var found strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "level=WARN") && !strings.Contains(line, "level=ERROR") {
			continue
		}
		if !slices.ContainsFunc([]string{
			`"etcd: apply request took too long"`, `"etcd: request stats"`, `"etcd: slow fdatasync"`,
			`"etcd: waiting for ReadIndex response took too long, retrying"`,
		}, func(slow string) bool { return strings.Contains(line, "msg="+slow) }) {
			found.WriteString(line)
		}
	}
	return found.String()
}

func TestDevNameserverServesAndLeavesNothingBehind(t *testing.T) {
	r := boottest.Start(t, program(), nil, free("--dev", "--pprof")...)
	data := strings.TrimSpace(r.Await(r.Stdout, "\n  data "))
	data = strings.TrimSuffix(data, "  (removed at the end)")
	web, _ := ready(r)
	if _, err := os.Stat(data); err != nil {
		t.Errorf("the data directory it named: %v", err)
	}
	if status, body := get(t, web+"/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("/healthz: got %d %q", status, body)
	}
	if status, body := get(t, web+"/readyz"); status != 200 || body != "ready\netcd: ready\nregistry: ready\n" {
		t.Errorf("/readyz: got %d %q", status, body)
	}
	_, metrics := get(t, web+"/metrics")
	for _, want := range []string{
		"farcall_build_info{", "farcall_nameserver_etcd_running 1", "farcall_nameserver_etcd_has_leader 1",
		"farcall_nameserver_etcd_database_bytes ", "farcall_naming_cache_names 0", "farcall_naming_cache_in_touch 1", "go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	if status, _ := get(t, web+"/debug/pprof/cmdline"); status != 200 {
		t.Errorf("/debug/pprof/cmdline: got %d, want 200", status)
	}
	probe := boottest.Start(t, program(), []string{"FARCALL_LISTEN=" + strings.TrimPrefix(web, "http://")}, "probe")
	if code := probe.Wait(); code != boot.ExitOK || probe.Stdout.String() != "ready\netcd: ready\nregistry: ready\n" {
		t.Errorf("probe: got %d %q %q", code, probe.Stdout, probe.Stderr)
	}

	r.Signal(syscall.SIGTERM)
	if code := r.Wait(); code != boot.ExitOK {
		t.Errorf("exit status: got %d, want %d; stderr:\n%s", code, boot.ExitOK, r.Stderr)
	}
	if log := r.Stderr.String(); !strings.Contains(log, `msg=stopping why="received SIGTERM"`) || !strings.Contains(log, "msg=stopped") {
		t.Errorf("the log does not tell of the stop:\n%s", log)
	} else if got := trouble(log); got != "" {
		t.Errorf("an orderly life logged trouble:\n%s", got)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the data directory at the end: got %v, want that it is gone", err)
	}
}

func TestDataOutlivesARestartAndIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := boottest.Start(t, program(), nil, free("--data-dir", dir)...)
	ready(first)

	second := boottest.Start(t, program(), nil, free("--data-dir", dir)...)
	if code := second.Wait(); code != boot.ExitData {
		t.Errorf("the second on the same data: got status %d, want %d", code, boot.ExitData)
	}
	for _, want := range []string{"nameserver: ", dir, "is a nameserver running already?", "--data-dir"} {
		if !strings.Contains(second.Stderr.String(), want) {
			t.Errorf("its error lacks %q:\n%s", want, second.Stderr)
		}
	}

	first.Signal(os.Interrupt)
	first.Wait()
	again := boottest.Start(t, program(), nil, free("--data-dir", dir)...)
	ready(again)
}

func TestSomebodyElsesEtcd(t *testing.T) {
	theirs := boottest.Start(t, program(), nil, free("--dev")...)
	_, etcd := ready(theirs)
	r := boottest.Start(t, program(), nil, "--listen", "127.0.0.1:0", "--etcd-endpoints", etcd)
	web, _ := ready(r)
	if status, body := get(t, web+"/readyz"); status != 200 || body != "ready\nregistry: ready\n" {
		t.Errorf("/readyz: got %d %q", status, body)
	}
	if _, metrics := get(t, web+"/metrics"); strings.Contains(metrics, "farcall_nameserver_etcd_") {
		t.Error("/metrics tells of an etcd that it does not run")
	}
	theirs.Signal(os.Interrupt)
	theirs.Wait()
	r.Await(r.Stderr, "level=WARN")
	if status, body := get(t, web+"/readyz"); status != 503 || !strings.Contains(body, "registry: not ready: out of touch for ") {
		t.Errorf("/readyz without etcd: got %d %q", status, body)
	}
	if status, _ := get(t, web+"/healthz"); status != 200 {
		t.Errorf("/healthz without etcd: got %d, want 200", status)
	}
}

func TestTakenPortsAreNamed(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"http", []string{"--dev", "--listen", taken}, "--listen"},
		{"etcd's clients", []string{"--dev", "--listen", "127.0.0.1:0", "--etcd-listen-peer", "127.0.0.1:0", "--etcd-listen-client", taken}, "--etcd-listen-client"},
		{"etcd's peers", []string{"--dev", "--listen", "127.0.0.1:0", "--etcd-listen-client", "127.0.0.1:0", "--etcd-listen-peer", taken}, "--etcd-listen-peer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := boottest.Start(t, program(), nil, tt.args...)
			code := r.Wait()
			msg := r.Stderr.String()
			if code != boot.ExitAddress || !strings.Contains(msg, taken) || !strings.Contains(msg, tt.want) {
				t.Errorf("got %d %q, want %d and a message with %s and %s", code, msg, boot.ExitAddress, taken, tt.want)
			}
		})
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		want string
	}{
		{"unknown flag", nil, []string{"--dve"}, "nameserver: unknown flag: --dve\n  see `nameserver --help`\n"},
		{"argument", nil, []string{"start"}, `unknown command "start"`},
		{"listen", nil, []string{"--listen", "7400"}, `--listen "7400" is not an address`},
		{"grace", nil, []string{"--grace", "0"}, "--grace 0s is not a time to wait"},
		{"log level", []string{"FARCALL_LOG_LEVEL=loud"}, nil, `--log-level "loud" is none of`},
		{"log format", nil, []string{"--log-format", "xml"}, `--log-format "xml" is neither`},
		{"variable", []string{"FARCALL_GRACE=soon"}, nil, `environment variable FARCALL_GRACE: bad value "soon"`},
		{"dev and data", nil, []string{"--dev", "--data-dir", "x"}, "--dev keeps nothing, and --data-dir says where"},
		{"etcd here and there", nil, []string{"--etcd-endpoints", "a:1", "--name", "x", "--dev"}, "--dev, --name is about running one here"},
		{"etcd's scheme", nil, free("--dev", "--etcd-listen-client", "ftp://127.0.0.1:0"), `--etcd-listen-client "ftp://127.0.0.1:0": its scheme is not http`},
		{"member name", nil, free("--dev", "--name", "a,b"), `--name "a,b": it holds a comma`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := boottest.Start(t, program(), tt.env, tt.args...)
			if code := r.Wait(); code != boot.ExitUsage || !strings.Contains(r.Stderr.String(), tt.want) {
				t.Errorf("got %d %q, want %d and %q", code, r.Stderr, boot.ExitUsage, tt.want)
			}
		})
	}
}

func TestAddressesThatOthersReachAreWarnedOf(t *testing.T) {
	r := boottest.Start(t, program(), nil, free("--dev", "--listen", "0.0.0.0:0")...)
	ready(r)
	if got := strings.Count(r.Stderr.String(), "other machines can reach this address"); got != 1 {
		t.Errorf("warnings: got %d, want 1, of --listen alone:\n%s", got, r.Stderr)
	}
}

func TestJSONLogTellsTheFactsInOneRecord(t *testing.T) {
	r := boottest.Start(t, program(), []string{"FARCALL_LOG_FORMAT=json"}, free("--dev")...)
	line := r.Await(r.Stderr, `"msg":"ready"`)
	for _, want := range []string{`"etcd":"http://127.0.0.1:`, `"data":"`, `"http":"http://127.0.0.1:`} {
		if !strings.Contains(line, want) {
			t.Errorf("the record lacks %s: %s", want, line)
		}
	}
	if got := r.Stdout.String(); got != "" {
		t.Errorf("stdout: got %q, want nothing", got)
	}
}

func TestStopWhileWaitingForOtherMembers(t *testing.T) {
	r := boottest.Start(t, program(), nil, free("--dev", "--name", "a", "--etcd-advertise-peer", "http://127.0.0.1:1",
		"--initial-cluster", "a=http://127.0.0.1:1,b=http://127.0.0.1:2")...)
	r.Await(r.Stderr, "waiting for the other members")
	r.Signal(syscall.SIGTERM)
	if code := r.Wait(); code != boot.ExitOK {
		t.Errorf("exit status: got %d, want %d; stderr:\n%s", code, boot.ExitOK, r.Stderr)
	}
}

func TestHelpNamesEveryFlagItsVariableAndTheExitCodes(t *testing.T) {
	r := boottest.Start(t, program(), nil, "--help")
	r.Wait()
	for _, want := range []string{"--etcd-listen-client", "[FARCALL_ETCD_LISTEN_CLIENT]", "--data-dir", "[FARCALL_DATA_DIR]", "--grace", "Exit status:", "130  aborted"} {
		if !strings.Contains(r.Stdout.String(), want) {
			t.Errorf("--help lacks %q:\n%s", want, r.Stdout)
		}
	}
}
