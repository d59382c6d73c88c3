package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// flags returns a set with one flag of each kind that the commands use.
func flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.String("listen", "127.0.0.1:7400", "address")
	fs.StringSlice("tag", nil, "tags")
	fs.Duration("grace", time.Second, "grace period")
	fs.Bool("pprof", false, "profiles")
	fs.Bool("help", false, "help")
	return fs
}

// environ makes a lookup of m.
func environ(m map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func TestEnvironmentSetsWhatTheCommandLineLeftAlone(t *testing.T) {
	fs := flags()
	if err := fs.Parse([]string{"--listen", "127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	err := BindEnv(fs, environ(map[string]string{
		"FARCALL_LISTEN": "127.0.0.1:2", "FARCALL_TAG": "a,b", "FARCALL_GRACE": "3s", "FARCALL_PPROF": "true", "FARCALL_HELP": "true", "FARCALL_OTHER": "x",
	}))
	if err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"listen": "127.0.0.1:1", "tag": "[a,b]", "grace": "3s", "pprof": "true", "help": "false"} {
		if got := fs.Lookup(flag).Value.String(); got != want {
			t.Errorf("--%s: got %s, want %s", flag, got, want)
		}
	}
}

func TestEmptyVariableCountsAsUnset(t *testing.T) {
	fs := flags()
	if err := BindEnv(fs, environ(map[string]string{"FARCALL_GRACE": ""})); err != nil {
		t.Fatal(err)
	}
	if got, want := fs.Lookup("grace").Value.String(), "1s"; got != want {
		t.Errorf("--grace: got %s, want the default %s", got, want)
	}
}

func TestEveryBadVariableIsNamed(t *testing.T) {
	err := BindEnv(flags(), environ(map[string]string{"FARCALL_GRACE": "soon", "FARCALL_PPROF": "maybe"}))
	var f *Failure
	if !errors.As(err, &f) || f.Code != ExitUsage {
		t.Fatalf("got %v, want a Failure with code %d", err, ExitUsage)
	}
	for _, want := range []string{`FARCALL_GRACE: bad value "soon" for a flag that wants duration`, `FARCALL_PPROF: bad value "maybe"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, which lacks %q", err, want)
		}
	}
}

func TestUsageNamesTheVariable(t *testing.T) {
	fs := flags()
	DescribeEnv(fs)
	usage := fs.FlagUsages()
	if !strings.Contains(usage, "[FARCALL_LISTEN]") || strings.Contains(usage, "FARCALL_HELP") {
		t.Errorf("want FARCALL_LISTEN and no FARCALL_HELP in\n%s", usage)
	}
}

func TestReportWritesTheErrorItsHintAndTheCode(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code ExitCode
		text string
	}{
		{"none", nil, ExitOK, ""},
		{"plain", errors.New("it broke"), ExitFailure, "daemon: it broke\n"},
		{"failure", fmt.Errorf("boot: %w", &Failure{Code: ExitData, Err: errors.New("locked"), Try: "stop the other\nor wait"}),
			ExitData, "daemon: boot: locked\n  stop the other\n  or wait\n"},
		{"failure without a code", &Failure{Err: errors.New("x")}, ExitFailure, "daemon: x\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if code := Report(&b, "daemon", tt.err); code != tt.code || b.String() != tt.text {
				t.Errorf("got %d %q, want %d %q", code, b.String(), tt.code, tt.text)
			}
		})
	}
}

func TestListenFailureSaysWhatToDo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	_, err = net.Listen("tcp", taken)
	f := ListenFailure("listen", taken, err)
	if want := "listen on " + taken + " (--listen): address already in use"; f.Code != ExitAddress || f.Error() != want {
		t.Errorf("got %d %q, want %d %q", f.Code, f, ExitAddress, want)
	}
	if !strings.Contains(f.Hint(), "another process uses that port") || !errors.Is(f, syscall.EADDRINUSE) {
		t.Errorf("hint: got %q, want one about the other process", f.Hint())
	}
}

func TestCheckListen(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:7400": true, ":0": true, "[::1]:80": true, "host:http": true,
		"": false, "7400": false, "127.0.0.1": false, "host:99999": false, "::1:80": false,
	} {
		if err := CheckListen("listen", address); (err == nil) != ok {
			t.Errorf("%q: got %v, want ok %v", address, err, ok)
		}
	}
}

func TestExposed(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": false, "localhost:1": false, "[::1]:1": false,
		":1": true, "0.0.0.0:1": true, "[::]:1": true, "10.0.0.1:1": true, "host:1": true,
	} {
		if got := Exposed(address); got != want {
			t.Errorf("%q: got %v, want %v", address, got, want)
		}
	}
}

func TestLogger(t *testing.T) {
	for _, tt := range []struct{ level, format, want string }{
		{"info", "text", "level=INFO msg=hello\n"},
		{"info", "json", `"level":"INFO","msg":"hello"}` + "\n"},
		{"error", "text", ""},
	} {
		var b bytes.Buffer
		l, err := (&Log{Level: tt.level, Format: tt.format}).Logger(&b)
		if err != nil {
			t.Fatal(err)
		}
		l.Info("hello")
		if got := b.String(); !strings.HasSuffix(got, tt.want) || (tt.want == "") != (got == "") {
			t.Errorf("%s %s: got %q, want it to end in %q", tt.level, tt.format, got, tt.want)
		}
	}
	for _, l := range []*Log{{Level: "loud", Format: "text"}, {Level: "info", Format: "xml"}} {
		if _, err := l.Logger(nil); err == nil {
			t.Errorf("%+v was accepted", l)
		}
	}
}

func TestFirstSignalStopsAndSecondAborts(t *testing.T) {
	source := make(chan os.Signal, 3)
	s := notify(t.Context(), source, func(int) { t.Error("exited by force") })
	source <- syscall.SIGTERM
	<-s.Stop.Done()
	if got, want := fmt.Sprint(context.Cause(s.Stop)), "received SIGTERM"; got != want {
		t.Errorf("cause of Stop: got %q, want %q", got, want)
	}
	if s.Abort.Err() != nil {
		t.Error("one signal aborted")
	}
	source <- os.Interrupt
	<-s.Abort.Done()
	if got := context.Cause(s.Abort); got != ErrAborted {
		t.Errorf("cause of Abort: got %v, want %v", got, ErrAborted)
	}
	s.close()
}

func TestCommandThatHangsAfterTheSecondSignalIsEndedByForce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		third bool
		after time.Duration
	}{{"by time", false, lastWord}, {"by a third signal", true, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, exited := make(chan os.Signal, 3), make(chan int, 1)
				s := notify(t.Context(), source, func(code int) { exited <- code })
				start := time.Now()
				source <- os.Interrupt
				source <- os.Interrupt
				if tt.third {
					source <- os.Interrupt
				}
				if got := <-exited; got != int(ExitAborted) {
					t.Errorf("exit status: got %d, want %d", got, ExitAborted)
				}
				if got := time.Since(start); got != tt.after {
					t.Errorf("exited after %v, want %v", got, tt.after)
				}
				s.close()
			})
		})
	}
}
