package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/naming"
)

// complete asks for the words that can come next, as the shells' scripts do.
func (f *fixture) complete(words ...string) (suggestions []string, directive string) {
	f.t.Helper()
	got := f.run(append([]string{"__complete"}, words...)...)
	lines := strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")
	if got.code != ExitOK || len(lines) == 0 {
		f.t.Fatalf("complete %q: got %+v", words, got)
	}
	return lines[:len(lines)-1], lines[len(lines)-1]
}

func TestCompletionKnowsWhatIsThere(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		words string // the last one is being typed; _ is empty
		want  string
	}{
		{"inv", "invoke\tCall a method of an object"},
		{"invoke _", "greeting\tobject on daemon-1 and daemon-2|lab\tobject on daemon-1"},
		{"invoke g", "greeting\tobject on daemon-1 and daemon-2"},
		{"invoke --node daemon-1 gr", "greeting\tobject on daemon-1"},
		{"invoke greeting _", "get_fortune\tget_fortune(name: string) -> string"},
		{"invoke lab s", "scale\tscale(map<int, float>, float) -> map<int, float>|sum\tsum(xs: int...) -> int|swap\tswap(bytes) -> bytes"},
		{"invoke lab upper _", "_activeHelp_ upper(text: string) -> string"},
		{"invoke nothing _", ""},
		{"call _", "add\tfunction on daemon-1|echo\tfunction on daemon-1"},
		{"call add _", "_activeHelp_ add(x: int, y: int) -> int"},
		{"list fa", ""},
		{"list farcall.", "farcall.node\tobject on daemon-1 and daemon-2"},
		{"list --tag _", "blue|green"},
		{"describe l", "lab\tobject on daemon-1"},
		{"describe greeting g", "get_fortune\tget_fortune(name: string) -> string"},
		{"resolve a", "add\tfunction on daemon-1"},
		{"ping e", "echo\tfunction on daemon-1"},
		{"ping --node _", "daemon-1|daemon-2"},
		{"list -o _", "text|json|yaml"},
		{"describe -o _", "text|json|yaml|go|openapi|jsonschema"},
		{"completion z", "zsh\tGenerate the autocompletion script for zsh"},
	} {
		words := strings.Fields(tt.words)
		if last := len(words) - 1; words[last] == "_" {
			words[last] = ""
		}
		got, directive := f.complete(words...)
		if strings.Join(got, "|") != tt.want {
			t.Errorf("%s: got %q, want %q", tt.words, got, tt.want)
		}
		if directive != ":4" {
			t.Errorf("%s: got directive %s, want :4 (no files)", tt.words, directive)
		}
	}
}

func TestCompletionOfFilesAfterAnAt(t *testing.T) {
	f := newFixture(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "report.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, _ := f.complete("call", "echo", "@"+filepath.Join(dir, "rep"))
	if want := "@" + filepath.Join(dir, "report.txt"); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCompletionIsSilentWithoutANameServer(t *testing.T) {
	f := newFixture(t)
	stdout, stderr := newOutput(), newOutput()
	opts := f.options(stdout, stderr, "", "__complete", "invoke", "-v", "g")
	opts.Join = func(ctx context.Context, opts farcall.Options) (*farcall.Mesh, error) {
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left > completeTimeout {
			t.Errorf("got %s to complete, want at most %s", left, completeTimeout)
		}
		return nil, fmt.Errorf("join: %w", naming.ErrUnavailable)
	}
	if got := Main(t.Context(), opts); got != ExitOK {
		t.Errorf("got exit code %d, want 0", got)
	}
	if got, want := stdout.String(), ":4\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := stderr.String(); strings.Contains(got, "client:") {
		t.Errorf("got %q on standard error, want nothing of ours", got)
	}
}

func TestScriptsForTheShells(t *testing.T) {
	f := newFixture(t)
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		got := f.run("completion", shell)
		if got.code != ExitOK || !strings.Contains(got.stdout, "client") || got.stderr != "" {
			t.Errorf("%s: got exit code %d, %d bytes and %q", shell, got.code, len(got.stdout), got.stderr)
		}
	}
}
