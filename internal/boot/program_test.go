package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"farcall.dev/internal/admin"
)

// program returns a Program that runs run.
func program(run func(*Signals, io.Writer) error) Program {
	return Program{
		Name: "thing", Short: "Do a thing", AdminFlag: "listen", AdminDefault: "127.0.0.1:7400",
		Flags: func(fs *pflag.FlagSet) { fs.String("listen", "127.0.0.1:7400", "where") },
		Run: func(s *Signals, stdout, _ io.Writer, changed func(string) bool) error {
			fmt.Fprintf(stdout, "running, listen changed %v\n", changed("listen"))
			return run(s, stdout)
		},
	}
}

// execute runs p and returns what it wrote and its exit status.
func execute(p Program, env map[string]string, signals chan os.Signal, args ...string) (stdout, stderr string, code ExitCode) {
	var out, errs bytes.Buffer
	code = Main(p, Process{Args: append([]string{}, args...), Stdout: &out, Stderr: &errs, LookupEnv: environ(env), Signals: signals,
		Exit: func(int) { panic("exited by force") }})
	return out.String(), errs.String(), code
}

func TestMainRunsTheProgram(t *testing.T) {
	fine := func(*Signals, io.Writer) error { return nil }
	for _, tt := range []struct {
		name           string
		run            func(*Signals, io.Writer) error
		env            map[string]string
		args           []string
		stdout, stderr string
		code           ExitCode
	}{
		{"plain", fine, nil, nil, "running, listen changed false\n", "", ExitOK},
		{"by the environment", fine, map[string]string{"FARCALL_LISTEN": "x"}, nil, "running, listen changed true\n", "", ExitOK},
		{"that fails", func(*Signals, io.Writer) error { return &Failure{Code: ExitData, Err: errors.New("locked")} }, nil, nil,
			"running, listen changed false\n", "thing: locked\n", ExitData},
		{"with an unknown flag", fine, nil, []string{"--listne", "x"}, "", "thing: unknown flag: --listne\n  see `thing --help`\n", ExitUsage},
		{"with an unknown command", fine, nil, []string{"prob"}, "", "thing: unknown command \"prob\" for \"thing\"", ExitUsage},
		{"with an argument", fine, nil, []string{"version", "x"}, "", "thing: unknown command \"x\" for \"thing version\"", ExitUsage},
		{"version", fine, nil, []string{"version"}, "thing ", "", ExitOK},
		{"help", fine, nil, []string{"--help"}, "Exit status:", "", ExitOK},
		{"probe of nothing to dial", fine, nil, []string{"probe", "--listen", "off"}, "", "thing: --listen \"off\" is not an address to listen on", ExitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := execute(program(tt.run), tt.env, make(chan os.Signal), tt.args...)
			if !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) || (tt.stderr == "") != (stderr == "") || code != tt.code {
				t.Errorf("got status %d, stdout %q, stderr %q; want %d, %q, %q", code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
			}
		})
	}
}

func TestSecondSignalDecidesTheStatus(t *testing.T) {
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGTERM
	signals <- syscall.SIGTERM
	_, stderr, code := execute(program(func(s *Signals, _ io.Writer) error {
		<-s.Stop.Done()
		<-s.Abort.Done()
		return errors.New("cut off")
	}), nil, signals)
	if code != ExitAborted || stderr != "thing: aborted by a second signal\n" {
		t.Errorf("got %d %q, want %d and that it was aborted", code, stderr, ExitAborted)
	}
}

func TestProbeEndsWithTheAnswer(t *testing.T) {
	var reason error
	s, err := admin.Listen("127.0.0.1:0", admin.Options{Checks: []admin.Check{{Name: "etcd", Run: func(context.Context) error { return reason }}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := program(func(*Signals, io.Writer) error { return nil })
	env := map[string]string{"FARCALL_LISTEN": s.Addr().String()}
	if stdout, stderr, code := execute(p, env, nil, "probe"); code != ExitOK || stdout != "ready\netcd: ready\n" {
		t.Errorf("ready: got %d %q %q", code, stdout, stderr)
	}
	reason = errors.New("no leader")
	if _, stderr, code := execute(p, env, nil, "probe"); code != ExitFailure || !strings.Contains(stderr, "etcd: not ready: no leader") {
		t.Errorf("not ready: got %d %q", code, stderr)
	}
	if stdout, stderr, code := execute(p, env, nil, "probe", "--live"); code != ExitOK || stdout != "ok\n" {
		t.Errorf("live: got %d %q %q", code, stdout, stderr)
	}
}
