package cli

import (
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/builtin"
	"farcall.dev/rmi"
)

// tide has streams that end in every way.
type tide struct{ ended chan error }

func (tide) Pairs() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) { _ = yield("a", 1) && yield("b", 2) }
}

func (tide) Breaks() iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for _, v := range []any{"one line", "two\nlines", nil, map[string]any{"n": 1}} {
			if !yield(v, nil) {
				return
			}
		}
		yield(nil, rmi.Errorf(rmi.Aborted, "the tide went out"))
	}
}

func (t tide) Endless(ctx context.Context) iter.Seq[int] {
	return func(yield func(int) bool) {
		yield(1)
		<-ctx.Done()
		t.ended <- context.Cause(ctx)
	}
}

// newStreams returns a fixture with an echo object and a tide.
func newStreams(t *testing.T) (*fixture, tide) {
	t.Helper()
	f, sea := newFixture(t), tide{make(chan error, 1)}
	echo, err := builtin.Object("echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	f.register("daemon-1", "streams", echo)
	if err := f.nodes["daemon-1"].Register(t.Context(), "tide", sea, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	return f, sea
}

func TestStreamTranscript(t *testing.T) {
	f, _ := newStreams(t)
	golden(t, "testdata/streams.golden", f.transcript([][]string{
		{"describe", "streams"},
		{"invoke", "streams", "count", "3", "0"},
		{"invoke", "-o", "json", "streams", "count", "2", "0"},
		{"invoke", "-o", "jsonl", "tide", "pairs"},
		{"invoke", "-o", "yaml", "tide", "pairs"},
		{"invoke", "tide", "pairs"},
		{"invoke", "tide", "breaks"},
		{"invoke", "-o", "jsonl", "tide", "breaks"},
		{"invoke", "-o", "jsonl", "greeting", "get_fortune", "letian"},
		{"invoke", "streams", "total", "[1, 2, 3.5]"},
		{"invoke", "streams", "total", `["x"]`},
		{"invoke", "--json", "[[1, 2]]", "streams", "total"},
		{"invoke", "streams", "count", "3", "-1"},
		{"list", "-o", "jsonl"},
	}...))
}

func TestStreamIsFedFromStandardInput(t *testing.T) {
	f, _ := newStreams(t)
	for _, tc := range []struct {
		stdin string
		args  []string
		want  outcome
	}{
		{"1\n2\n\n3.5", []string{"invoke", "streams", "total", "-"}, outcome{stdout: "6.5\n"}},
		{"", []string{"invoke", "streams", "total", "-"}, outcome{stdout: "0\n"}},
		{"{\"a\": 1}\n\"x\"\n", []string{"invoke", "-o", "jsonl", "streams", "repeat", "-"}, outcome{stdout: "{\"a\":1}\n\"x\"\n"}},
		{"1\nword\n", []string{"invoke", "streams", "total", "-"}, outcome{code: ExitUsage,
			stderr: "client: standard input: line 2: want float, got \"word\": it has to be written as JSON, and is not: invalid character 'w' looking for beginning of value\n  write one JSON value a line\n"}},
		{"[1, 2]", []string{"invoke", "--json", "@-", "streams", "echo"}, outcome{stdout: "1\n2\n"}},
	} {
		got := f.pipe(tc.stdin, tc.args...)
		if got.code != tc.want.code || got.stdout != tc.want.stdout || !strings.HasPrefix(got.stderr, strings.SplitN(tc.want.stderr, "\n", 2)[0]) {
			t.Errorf("client %s with %q:\ngot  %#v\nwant %#v", strings.Join(tc.args, " "), tc.stdin, got, tc.want)
		}
	}
}

// Each line goes out, and is answered, before the next one has been written.
func TestStreamsAreConversations(t *testing.T) {
	f, _ := newStreams(t)
	in, keys := io.Pipe()
	stdout, stderr := newOutput(), newOutput()
	opts := f.options(stdout, stderr, "", "invoke", "streams", "repeat", "-")
	opts.Stdin = in
	done := make(chan ExitCode, 1)
	go func() { done <- Main(t.Context(), opts) }()
	want := ""
	for _, line := range []string{"1", "true", `"three"`} {
		if _, err := io.WriteString(keys, line+"\n"); err != nil {
			t.Fatal(err)
		}
		want += strings.Trim(line, `"`) + "\n"
		stdout.await(t, "the answer to "+line, func(got string) bool { return got == want })
	}
	keys.Close()
	if code := <-done; code != ExitOK {
		t.Errorf("got exit code %d and %q, want 0", code, stderr)
	}
}

// An interrupt ends the stream on the server; --timeout does not.
func TestStreamEndsWithTheCommand(t *testing.T) {
	f, sea := newStreams(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stdout := newOutput()
	done := make(chan ExitCode, 1)
	go func() {
		done <- Main(ctx, f.options(stdout, newOutput(), "", "invoke", "--timeout", "10s", "tide", "endless"))
	}()
	stdout.await(t, "the first item", func(got string) bool { return got == "1\n" })
	interrupt()
	if code := <-done; code != ExitCanceled {
		t.Errorf("got exit code %d, want %d", code, ExitCanceled)
	}
	select {
	case <-sea.ended:
	case <-time.After(patience):
		t.Error("the stream goes on without its reader")
	}
}

func TestStreamEndsWithItsOutput(t *testing.T) {
	f, sea := newStreams(t)
	opts := f.options(newOutput(), newOutput(), "", "invoke", "tide", "endless")
	opts.Stdout = brokenWriter{errors.New("no space left")}
	if code := Main(t.Context(), opts); code == ExitOK {
		t.Error("got exit code 0 though nothing could be written")
	}
	<-sea.ended
}
