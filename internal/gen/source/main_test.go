package source

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"farcall.dev/internal/gen"
)

// run runs farcall-gen in dir.
func run(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(t.Context(), Invocation{Args: args, Stdout: &out, Stderr: &errs, Dir: dir})
	return code, out.String(), errs.String()
}

// TestGeneratedFilesAreUpToDate holds the files in testdata, which other tests
// compile and run, against the generator; go generate there writes them.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	for _, args := range [][]string{
		{"-type", "Cart,Till,Ticker,Bell,Desk,orders", "testdata/shop"},
		{"-type", "Cart", "-o", "testdata/shop/shopclient/cart.go", "-server=false", "testdata/shop"},
	} {
		if code, _, stderr := run(t, "", append([]string{"-check"}, args...)...); code != exitOK {
			t.Errorf("farcall-gen -check %v: got exit code %d and %q, want 0", args, code, stderr)
		}
	}
}

func TestOutputIsTheSameEachTime(t *testing.T) {
	_, first, _ := run(t, "", "-type", "Cart,Till,orders", "-o", "-", "testdata/shop")
	_, second, _ := run(t, "", "-type", "Cart,Till,orders", "-o", "-", "testdata/shop")
	if first != second || !strings.HasPrefix(first, gen.Header+"\n") {
		t.Errorf("got %d and %d bytes that differ, or another header: %.80q", len(first), len(second), first)
	}
}

// TestProblemsAreToldWithTheirPlaces fails when something that cannot travel is
// not told, or not where it is.
func TestProblemsAreToldWithTheirPlaces(t *testing.T) {
	place := func(name string) string {
		src, err := os.ReadFile("testdata/wrong/wrong.go")
		if err != nil {
			t.Fatal(err)
		}
		line := 1 + strings.Count(string(src[:bytes.Index(src, []byte(name))]), "\n")
		return fmt.Sprintf("wrong.go:%d:", line)
	}
	for _, tt := range []struct {
		typ  string
		out  string
		want []string
	}{
		{"Bad", "", []string{
			place("Channel(") + "17: Bad.Channel: parameter 2: chan<- bool is a channel, which cannot travel",
			place("Late(") + "14: Bad.Late: parameter 2: context.Context can only be the first parameter",
			place("Early(") + "11: Bad.Early: result 1: error can only be the last result",
			place("Deep(") + "17: Bad.Deep: result 2: wrong.Report: field Lines: complex128 is a complex number, which cannot travel (the tag `cbor:\"-\"` leaves a field out)",
			place("Unknown(") + "10: Bad.Unknown: the type of x is not known: undefined: Missing",
			place("FarcallThing(") + "2: Bad.FarcallThing: names that begin with \"farcall_\" are reserved",
			place("Urls(") + "2: Bad.Urls: its name on the wire, urls, is that of URLs too; rename one",
			place("Typo(") + "2: there is no directive //farcall:onewya; there are idempotent, oneway, oneway taken and skip",
			place("Answer(") + "2: Bad.Answer: it is one-way, and its caller cannot get what it returns",
			place("Take(f") + "31: Bad.Take: parameter 1: complex64 is a complex number, which cannot travel",
		}},
		{"Locked", "", []string{
			place("Locked struct") + "6: Locked.Lock: it comes from an embedded type of package sync, which callers could then lock; give that field a name",
			place("Locked struct") + "6: Locked.TryLock: it comes from an embedded",
		}},
		{"Generic", "", []string{place("Generic[") + "6: type Generic: it has type parameters; declare a type with arguments"}},
		{"Empty", "", []string{place("Empty struct") + "6: type Empty: it has no exported methods that callers may call"}},
		{"Number", "", []string{place("Number =") + "6: type Number: only types with methods can be called from afar"}},
		{"Taken", "", []string{place("NewTakenClient()") + "6: NewTakenClient is declared here, and is what a part of the client for Taken is to be called"}},
		{"hidden", "elsewhere/x.go", []string{place("hidden interface") + "6: type hidden: it is not exported, and the client is in another package"}},
		{"Opaque", "elsewhere/x.go", []string{place("Opaque interface") + "28: Opaque.Get: secret is not exported, and the client is in another package"}},
		{"locked", "", []string{"farcall-gen: testdata/wrong has no type locked; did you mean Locked?"}},
	} {
		t.Run(tt.typ, func(t *testing.T) {
			args := []string{"-type", tt.typ, "testdata/wrong"}
			if tt.out != "" {
				args = append([]string{"-o", tt.out}, args...)
			}
			code, _, stderr := run(t, "", args...)
			if code != exitFailed {
				t.Errorf("got exit code %d, want %d", code, exitFailed)
			}
			for _, want := range tt.want {
				if !strings.Contains("\n"+stderr, "\n"+want) && !strings.Contains(stderr, "/"+want) {
					t.Errorf("got:\n%swant in it:\n%s", stderr, want)
				}
			}
			if got := strings.Count(stderr, "\n"); tt.typ == "Bad" && got != len(tt.want) {
				t.Errorf("got %d problems, want %d:\n%s", got, len(tt.want), stderr)
			}
		})
	}
	if _, err := os.Stat("testdata/wrong/bad_farcall.go"); err == nil {
		t.Error("a file was written in spite of the problems")
	}
}

// TestWritingAFile walks through what go generate does to a package.
func TestWritingAFile(t *testing.T) {
	dir := module(t, "package greet\n\ntype Greeting interface{ Hello(name string) string }\n\nvar client *GreetingClient\n")
	file := filepath.Join(dir, "greeting_farcall.go")
	step := func(what string, wantCode int, wantErr string, args ...string) {
		t.Helper()
		code, _, stderr := run(t, dir, args...)
		if code != wantCode || !strings.Contains(stderr, wantErr) {
			t.Fatalf("%s: got exit code %d and %q, want %d and %q", what, code, stderr, wantCode, wantErr)
		}
	}
	step("before it is there", exitFailed, "does not exist; run go generate", "-type", "Greeting", "-check")
	step("written", exitOK, "", "-type", "Greeting")
	step("up to date", exitOK, "", "-type", "Greeting", "-check")
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	step("again", exitOK, "", "-type", "Greeting")
	if after, err := os.Stat(file); err != nil || after.ModTime() != before.ModTime() || before.Mode().Perm() != 0o644 {
		t.Errorf("a file that did not change was written again, or has mode %v", before.Mode())
	}
	write(t, filepath.Join(dir, "greet.go"), "package greet\n\ntype Greeting interface{ Hello(name string, loud bool) string }\n")
	step("out of date", exitFailed, "greeting_farcall.go is out of date; run go generate", "-type", "Greeting", "-check")
	step("rewritten", exitOK, "", "-type", "Greeting")
	step("up to date again", exitOK, "", "-type", "Greeting", "-check")
	write(t, file, "package greet\n\n// mine\n")
	step("somebody's work", exitFailed, "was not written by farcall-gen, and is left as it is", "-type", "Greeting")
	step("elsewhere", exitFailed, "", "-type", "Greeting", "-o", filepath.Join(dir, "no", "such", "folder.go"))

	step("no type", exitUsage, "say which -type")
	step("unknown flag", exitUsage, "flag provided but not defined", "-nope")
	step("two folders", exitUsage, "in one folder", "-type", "A", "a", "b")
	step("check of nothing", exitUsage, "-o - names none", "-type", "A", "-check", "-o", "-")
	step("help", exitOK, "//go:generate go tool farcall-gen -type Greeting", "-help")
	step("no package", exitFailed, "", "-type", "A", os.DevNull)
	step("two packages in a folder", exitFailed, "cannot be in a package other of the same folder", "-type", "Greeting", "-package", "other", "-o", filepath.Join(dir, "x.go"))
}

// TestProgramsKeepTheirClients fails when a client is written that would have to
// import a program.
func TestProgramsKeepTheirClients(t *testing.T) {
	dir := module(t, "package main\n\ntype Greeting interface{ Hello(name string) string }\n\nfunc main() {}\n")
	if code, _, stderr := run(t, dir, "-type", "Greeting", "-o", filepath.Join(t.TempDir(), "x.go")); code != exitFailed || !strings.Contains(stderr, "is a program, whose types no other package can import") {
		t.Errorf("got exit code %d and %q", code, stderr)
	}
	if code, _, stderr := run(t, dir, "-type", "Greeting"); code != exitOK {
		t.Errorf("in the program itself: got exit code %d and %q", code, stderr)
	}
}

// module makes a module with one file in it. It needs no other module as long as
// nothing is compiled.
func module(t *testing.T, src string) (dir string) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Fatalf("farcall-gen needs the go command: %v", err)
	}
	dir = t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module greet\n\ngo 1.26.0\n")
	write(t, filepath.Join(dir, "greet.go"), src)
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
