package cli

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"farcall.dev/internal/builtin"
	"farcall.dev/naming"
)

func TestArgumentsComeFromEverywhere(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "name.txt")
	binary := filepath.Join(dir, "data")
	for path, content := range map[string]string{file: "letian\n", binary: "\x00ABC\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args  []string
		stdin string
		want  string
	}{
		{[]string{"invoke", "greeting", "get_fortune", "letian"}, "", "Hello, letian. \n"},
		{[]string{"invoke", "greeting", "get_fortune", "-"}, "letian\n", "Hello, letian. \n"},
		{[]string{"invoke", "greeting", "get_fortune", "@-"}, "letian\r\n", "Hello, letian. \n"},
		{[]string{"invoke", "greeting", "get_fortune", "@" + file}, "", "Hello, letian. \n"},
		{[]string{"invoke", "greeting", "get_fortune", "@@letian"}, "", "Hello, @letian. \n"},
		{[]string{"invoke", "greeting", "get_fortune", "@"}, "", "Hello, @. \n"},
		{[]string{"invoke", "greeting", "get_fortune", ""}, "", "Hello, . \n"},
		{[]string{"invoke", "greeting", "get_fortune", "--help"}, "", "Hello, --help. \n"},
		{[]string{"invoke", "greeting", "get_fortune", "--", "-v"}, "", "Hello, -v. \n"},
		{[]string{"invoke", "greeting", "get_fortune", "--", "--"}, "", "Hello, --. \n"},
		{[]string{"invoke", "greeting", "-o", "json", "get_fortune", "letian"}, "", "\"Hello, letian. \\n\"\n"},
		{[]string{"-o", "json", "invoke", "greeting", "get_fortune", "letian"}, "", "\"Hello, letian. \\n\"\n"},
		{[]string{"invoke", "greeting", "get_fortune", "日本"}, "", "Hello, 日本. \n"},
		{[]string{"invoke", "lab", "swap", "@" + binary}, "", "\x00abc\n"},
		{[]string{"invoke", "lab", "swap", "-"}, "\xffABC", "\xffabc"},
		{[]string{"invoke", "lab", "sum"}, "", "0\n"},
		{[]string{"invoke", "lab", "sum", "1", "-2", "0x10"}, "", "15\n"},
		{[]string{"call", "add", "3", "4"}, "", "7\n"},
		{[]string{"call", "add", "-3", "4"}, "", "1\n"},
		{[]string{"call", "--", "add", "-3", "-4"}, "", "-7\n"},
		{[]string{"call", "add", "--", "-3", "-4"}, "", "-7\n"},
		{[]string{"call", "add", "-", "4"}, " 3\n", "7\n"},
		{[]string{"call", "--json", "[3, 4]", "add"}, "", "7\n"},
		{[]string{"call", "--json", "-", "add"}, "[3,\n4]", "7\n"},
		{[]string{"call", "--json=[9223372036854775806, 1]", "add"}, "", "9223372036854775807\n"},
		{[]string{"invoke", "--json", `["42"]`, "greeting", "get_fortune"}, "", "Hello, 42. \n"},
		{[]string{"invoke", "--json", `["@x"]`, "greeting", "get_fortune"}, "", "Hello, @x. \n"},
		{[]string{"invoke", "--json", `["QUJD"]`, "lab", "swap"}, "", "abc"},
		{[]string{"invoke", "--json", `[]`, "lab", "sum"}, "", "0\n"},
		{[]string{"invoke", "lab", "later", "2026-02-03T04:05:06Z", "1h"}, "", "2026-02-03T05:05:06Z\n"},
		{[]string{"invoke", "lab", "scale", `{"1": 2, "-3": 0.5}`, "2"}, "", "{\n  \"-3\": 1,\n  \"1\": 4\n}\n"},
		{[]string{"call", "echo", "1267650600228229401496703205376"}, "", "1267650600228229401496703205376\n"},
		{[]string{"call", "echo", "hi", "null", "4.5"}, "", "[\n  \"hi\",\n  null,\n  4.5\n]\n"},
		{[]string{"call", "echo"}, "", ""},
		{[]string{"call", "-o", "json", "echo"}, "", "null\n"},
		{[]string{"--timeout", "20s", "--nameserver", "a:1,b:2", "call", "--node", "daemon-1", "add", "3", "4"}, "", "7\n"},
	} {
		got := f.pipe(tt.stdin, tt.args...)
		if want := (outcome{stdout: tt.want}); got != want {
			t.Errorf("client %q:\ngot  %#v\nwant %#v", tt.args, got, want)
		}
	}
}

// TestCallsReachTheNodeAskedFor fails when --node is not heeded.
func TestCallsReachTheNodeAskedFor(t *testing.T) {
	f := newFixture(t)
	f.register("daemon-1", "word", builtin.Thing{Kind: naming.KindObject, Value: builtin.NewGreeting("One")})
	f.register("daemon-2", "word", builtin.Thing{Kind: naming.KindObject, Value: builtin.NewGreeting("Two")})
	for range 5 {
		f.want("One, x. \n", "invoke", "--node", "daemon-1", "word", "get_fortune", "x")
		f.want("Two, x. \n", "invoke", "--node", "daemon-2", "word", "get_fortune", "x")
	}
}

func TestVerboseTellsWhatIsDoneOnStandardError(t *testing.T) {
	f := newFixture(t)
	got := f.run("call", "-v", "add", "3", "4")
	if got.stdout != "7\n" || got.code != ExitOK {
		t.Errorf("got %q and exit code %d, want 7 and 0", got.stdout, got.code)
	}
	for _, want := range []string{
		"client: joined the mesh by name server 127.0.0.1:2379 in ",
		"client: add has 1 instance, at revision ", ", confirmed ",
		"client: described add in ", "client: call add on node daemon-1 at daemon-1:7500",
		"client: reply from node daemon-1 after ",
	} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("got %q, want %q in it", got.stderr, want)
		}
	}
}

func TestTimeoutComesFromTheEnvironment(t *testing.T) {
	f := newFixture(t)
	timeout, got := f.outlast(func(timeout string) outcome {
		f.env["FARCALL_TIMEOUT"] = timeout
		return f.run("invoke", "lab", "wait")
	})
	if got.code != ExitDeadline || !strings.Contains(got.stderr, "it was "+timeout) {
		t.Errorf("got exit code %d and %q, want %d and that it was %s", got.code, got.stderr, ExitDeadline, timeout)
	}
	f.env["FARCALL_TIMEOUT"] = "soon"
	f.want("7\n", "--timeout", "20s", "call", "add", "3", "4") // the flag wins
	if got := f.run("list"); got.code != ExitUsage || !strings.Contains(got.stderr, `FARCALL_TIMEOUT="soon"`) {
		t.Errorf("got exit code %d and %q", got.code, got.stderr)
	}
	if got := f.run("--help"); got.code != ExitOK {
		t.Errorf("help: got exit code %d and %q", got.code, got.stderr)
	}
}

// TestInputIsReadBeforeTheNameServerIsAsked fails when a missing file costs a
// round trip, or the time for typing counts against the timeout.
func TestInputIsReadBeforeTheNameServerIsAsked(t *testing.T) {
	f := newFixture(t)
	opts := f.options(newOutput(), newOutput(), "", "call", "add", "@/no/such/file", "4")
	opts.Join = nil
	if got := Main(t.Context(), opts); got != ExitUsage {
		t.Errorf("got exit code %d, want %d", got, ExitUsage)
	}
}

// TestInterruptWhileTyping fails when a read of standard input holds up the end.
func TestInterruptWhileTyping(t *testing.T) {
	f := newFixture(t)
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	opts := f.options(newOutput(), newOutput(), "", "call", "add", "-", "4")
	opts.Stdin = r
	if got := Main(ctx, opts); got != ExitCanceled {
		t.Errorf("got exit code %d, want %d", got, ExitCanceled)
	}
}

func TestListWatchShowsEachChange(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr := newOutput(), newOutput()
	done := make(chan ExitCode, 1)
	go func() { done <- Main(ctx, f.options(stdout, stderr, "", "list", "--watch", "--tag", "blue")) }()
	has := func(lines ...string) func(string) bool {
		return func(got string) bool {
			for _, line := range lines {
				if !strings.Contains("\n"+got, "\n"+line) {
					return false
				}
			}
			return true
		}
	}
	stdout.await(t, "the listing", has("+ add daemon-1 function live daemon-1:7500 version=v1 tags=blue\n", "+ greeting daemon-1 ", "+ lab daemon-1 "))
	if err := f.nodes["daemon-1"].Unregister(t.Context(), "add"); err != nil {
		t.Fatal(err)
	}
	stdout.await(t, "the removal", has("- add daemon-1\n"))
	f.register("daemon-1", "add", builtin.Default()["add"])
	if err := f.nodes["daemon-1"].Registry().Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	stdout.await(t, "the change", has("~ add daemon-1 function draining daemon-1:7500 "))
	if got := stdout.String(); strings.Contains(got, "daemon-2") || strings.Contains(got, "farcall.") {
		t.Errorf("got %q, want neither daemon-2 nor the mesh's own names", got)
	}

	f.Store.SetOutage(errBroken)
	stderr.await(t, "the loss of the name server", has("client: out of touch with the name server"))
	f.Store.SetOutage(nil)
	stderr.await(t, "the name server", has("client: in touch with the name server again\n"))

	cancel()
	if got := <-done; got != ExitOK {
		t.Errorf("got exit code %d, want 0; %s", got, stderr)
	}
}

func TestListWatchInJSONIsOneDocumentALine(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := newOutput()
	done := make(chan ExitCode, 1)
	go func() { done <- Main(ctx, f.options(stdout, newOutput(), "", "list", "-w", "-o", "json", "add")) }()
	stdout.await(t, "the listing", func(got string) bool { return strings.HasSuffix(got, "\n") })
	cancel()
	<-done
	var e listEvent
	line := stdout.String()
	if err := json.Unmarshal([]byte(line), &e); err != nil || strings.Count(line, "\n") != 1 {
		t.Fatalf("got %q: %v", line, err)
	}
	if e.Event != eventAdd || e.Name != "add" || e.Node != "daemon-1" || e.Instance == nil || e.Instance.Addrs[naming.ProtocolMesh] != "daemon-1:7500" || e.Revision == 0 {
		t.Errorf("got %+v", e)
	}
}

func TestListWatchEndsWithItsReader(t *testing.T) {
	f := newFixture(t)
	opts := f.options(newOutput(), newOutput(), "", "list", "--watch")
	opts.Stdout = brokenWriter{io.ErrClosedPipe}
	if got := Main(t.Context(), opts); got != ExitPipe {
		t.Errorf("got exit code %d, want %d", got, ExitPipe)
	}
}

// TestFollowerTellsWhatAResetChanged fails when a new listing repeats what is
// known, or forgets what is gone.
func TestFollowerTellsWhatAResetChanged(t *testing.T) {
	inst := func(name naming.Name, node naming.NodeID, weight int) naming.Instance {
		return naming.Instance{Name: name, Node: node, Weight: weight, State: naming.StateLive}
	}
	f := follower{known: map[naming.Key]naming.Instance{}}
	first := f.follow(naming.Update{Reset: true, Put: []naming.Instance{inst("b", "n", 1), inst("a", "n", 1), inst("c", "n", 1)}})
	second := f.follow(naming.Update{Reset: true, Put: []naming.Instance{inst("b", "n", 2), inst("a", "n", 1), inst("d", "n", 1)}})
	words := func(events []listEvent) string {
		var out []string
		for _, e := range events {
			out = append(out, e.sign()+string(e.Name))
		}
		return strings.Join(out, " ")
	}
	if got, want := words(first), "+a +b +c"; got != want {
		t.Errorf("first listing: got %q, want %q", got, want)
	}
	if got, want := words(second), "-c ~b +d"; got != want {
		t.Errorf("second listing: got %q, want %q", got, want)
	}
}

func TestPingMeasuresEachInstance(t *testing.T) {
	f := newFixture(t)
	got := f.run("ping", "-o", "json", "-c", "3", "-i", "0s", "greeting")
	var results []pinged
	if err := json.Unmarshal([]byte(got.stdout), &results); err != nil || got.code != ExitOK {
		t.Fatalf("got %+v: %v", got, err)
	}
	if len(results) != 2 {
		t.Fatalf("got %d instances, want 2", len(results))
	}
	for i, node := range []naming.NodeID{"daemon-1", "daemon-2"} {
		r := results[i]
		if r.Node != node || r.Sent != 3 || r.Lost != 0 || r.Connect == nil || r.Min == nil || *r.Min > *r.Median || *r.Median > *r.Max {
			t.Errorf("got %+v, want 3 of 3 from %s", r, node)
		}
	}
	got = f.run("ping", "--node", "daemon-2", "-c", "1")
	lines := strings.Split(got.stdout, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "NODE      ADDRESS        SENT  LOST  CONNECT") || !strings.HasPrefix(lines[1], "daemon-2  daemon-2:7500  1     0     ") {
		t.Errorf("got %q", got.stdout)
	}
}

func TestPingTellsWhoDoesNotAnswer(t *testing.T) {
	f := newFixture(t)
	f.Net.Cut("client", "daemon-2")
	got := f.run("ping", "-c", "1", "greeting")
	if got.code != ExitUnavailable || !strings.Contains(got.stderr, "client: node daemon-2 does not answer: ") {
		t.Errorf("got exit code %d and %q", got.code, got.stderr)
	}
	if !strings.Contains(got.stdout, "daemon-1  daemon-1:7500  1     0 ") || !strings.Contains(got.stdout, "daemon-2  daemon-2:7500  1     1     -") {
		t.Errorf("got %q", got.stdout)
	}
}
