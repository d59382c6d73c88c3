package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/naming/etcd"
	"farcall.dev/rmi"
)

// codes lists every code that package rmi knows.
func codes() []rmi.Code {
	var out []rmi.Code
	for i := range 256 {
		if c := rmi.Code(i); !strings.HasPrefix(c.String(), "CODE_") {
			out = append(out, c)
		}
	}
	return out
}

// TestEveryCodeHasItsExitCode holds the table one way: what a failed call exits
// with, after the code has gone over the wire.
func TestEveryCodeHasItsExitCode(t *testing.T) {
	want := map[rmi.Code]ExitCode{
		rmi.OK: 0, rmi.Canceled: 130, rmi.Unknown: 1, rmi.InvalidArgument: 2, rmi.DeadlineExceeded: 6, rmi.NotFound: 3,
		rmi.AlreadyExists: 1, rmi.PermissionDenied: 4, rmi.ResourceExhausted: 7, rmi.FailedPrecondition: 1, rmi.Aborted: 1,
		rmi.Unimplemented: 3, rmi.Internal: 8, rmi.Unavailable: 5, rmi.Unauthenticated: 4,
	}
	f := newFixture(t)
	for _, code := range codes() {
		exit, ok := want[code]
		if !ok {
			t.Errorf("%s has no exit code", code)
		}
		if code == rmi.OK {
			continue // no failure
		}
		got := f.run("invoke", "lab", "code", fmt.Sprint(uint8(code)), "as told")
		if got.code != exit {
			t.Errorf("%s: got exit code %d, want %d; %s", code, got.code, exit, got.stderr)
		}
		if !strings.Contains(got.stderr, "as told") {
			t.Errorf("%s: got %q, want the method's own words", code, got.stderr)
		}
	}
	if got := exitOf(rmi.Code(200)); got != ExitRemote {
		t.Errorf("a code of the future: got %d, want %d", got, ExitRemote)
	}
}

// TestEveryExitCodeIsReached holds the table the other way.
func TestEveryExitCodeIsReached(t *testing.T) {
	f := newFixture(t)
	reached := map[ExitCode]bool{}
	reach := func(what string, got, want ExitCode) {
		t.Helper()
		reached[want] = true
		if got != want {
			t.Errorf("%s: got exit code %d, want %d", what, got, want)
		}
	}
	for _, tt := range []struct {
		want ExitCode
		args string
	}{
		{ExitOK, "call add 3 4"},
		{ExitRemote, "invoke lab fail no"},
		{ExitUsage, "call add 3 x"},
		{ExitNotFound, "call nothing"},
		{ExitDenied, "invoke lab code 7 no"},
		{ExitExhausted, "invoke lab code 8 no"},
		{ExitInternal, "invoke lab panic"},
	} {
		got := f.run(strings.Fields(tt.args)...)
		reach(tt.args+"; "+got.stderr, got.code, tt.want)
	}
	_, late := f.outlast(func(timeout string) outcome { return f.run("--timeout", timeout, "invoke", "lab", "wait") })
	reach("a timeout; "+late.stderr, late.code, ExitDeadline)

	opts := f.options(newOutput(), newOutput(), "", "call", "add", "3", "4")
	opts.Stdout = brokenWriter{errBroken}
	reach("a full disk", Main(t.Context(), opts), ExitOutput)

	quiet := newOutput()
	opts = f.options(newOutput(), quiet, "", "call", "add", "3", "4")
	opts.Stdout = brokenWriter{fmt.Errorf("write |1: %w", syscall.EPIPE)}
	reach("a closed pipe", Main(t.Context(), opts), ExitPipe)
	if got := quiet.String(); got != "" {
		t.Errorf("a closed pipe: got %q on standard error, want nothing", got)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.lab.started
		cancel()
	}()
	reach("an interrupt", Main(ctx, f.options(newOutput(), newOutput(), "", "invoke", "lab", "wait")), ExitCanceled)

	f.Net.Cut("client", "daemon-1")
	got := f.run("call", "add", "3", "4")
	reach("a node that cannot be reached; "+got.stderr, got.code, ExitUnavailable)

	for _, m := range exitMeanings() {
		if !reached[m.code] {
			t.Errorf("exit code %d (%s) is documented and never reached", m.code, m.text)
		}
	}
	for code := range reached {
		if !slices.ContainsFunc(exitMeanings(), func(m exitMeaning) bool { return m.code == code }) {
			t.Errorf("exit code %d is not documented", code)
		}
	}
}

func TestNoNameServerSaysHowToGetOne(t *testing.T) {
	f := newFixture(t)
	f.env["FARCALL_NAMESERVER"] = "10.1.2.3:2379,10.1.2.4:2379"
	stderr := newOutput()
	opts := f.options(newOutput(), stderr, "", "list")
	opts.Join = func(_ context.Context, opts farcall.Options) (*farcall.Mesh, error) {
		if want := []string{"10.1.2.3:2379", "10.1.2.4:2379"}; !slices.Equal(opts.NameServers, want) {
			t.Errorf("got name servers %q, want %q", opts.NameServers, want)
		}
		return nil, fmt.Errorf("join the mesh: %w", &etcd.UnavailableError{Endpoints: opts.NameServers, Err: syscall.ECONNREFUSED})
	}
	if got := Main(t.Context(), opts); got != ExitUnavailable {
		t.Errorf("got exit code %d, want %d", got, ExitUnavailable)
	}
	want := "client: no name server answers at 10.1.2.3:2379, 10.1.2.4:2379: connection refused\n" +
		"  hint: start one with `nameserver --dev`, or say where it is with --nameserver or FARCALL_NAMESERVER\n"
	if got := stderr.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestANameServerThatCannotBeUsedSaysWhy(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		err  error
		code ExitCode
		want string
	}{
		{&etcd.UnavailableError{Err: errors.New("auth failed"), Hint: "check the password"}, ExitUnavailable,
			"client: the name server at 127.0.0.1:2379 cannot be used: auth failed\n  hint: check the password\n"},
		{&etcd.UnavailableError{Endpoints: []string{"a:1", "b:2"}, Err: errors.New("dial a:1"), Hint: "a:1 is no etcd: check the port; b:2 has no address"}, ExitUnavailable,
			"client: no name server answers at 127.0.0.1:2379\n  hint: start one with `nameserver --dev`, or say where it is with --nameserver or FARCALL_NAMESERVER\n" +
				"  a:1 is no etcd: check the port\n  b:2 has no address\n"},
		{&etcd.OptionError{Field: "Endpoints", Value: "here", Reason: "it is not host:port"}, ExitUsage,
			"client: --nameserver \"here\": it is not host:port\n  hint: give host:port, such as 127.0.0.1:2379\n"},
	} {
		stderr := newOutput()
		opts := f.options(newOutput(), stderr, "", "list")
		opts.Join = func(context.Context, farcall.Options) (*farcall.Mesh, error) {
			return nil, fmt.Errorf("join the mesh: %w", tt.err)
		}
		if got := Main(t.Context(), opts); got != tt.code || stderr.String() != tt.want {
			t.Errorf("got exit code %d and %q, want %d and %q", got, stderr, tt.code, tt.want)
		}
	}
}

// TestRegistryOutOfReach uses a registry that is there and does not answer.
func TestRegistryOutOfReach(t *testing.T) {
	f := newFixture(t)
	f.Store.SetOutage(errors.New("partitioned"))
	defer f.Store.SetOutage(nil)
	for _, args := range [][]string{{"call", "add", "3", "4"}, {"list"}, {"resolve", "add"}, {"ping", "add"}, {"describe", "add"}} {
		got := f.run(append([]string{"--timeout", "100ms"}, args...)...)
		if got.code != ExitUnavailable || !strings.Contains(got.stderr, "no name server answers at 127.0.0.1:2379") ||
			!strings.Contains(got.stderr, "hint: start one with") {
			t.Errorf("%s: got exit code %d and %q", args, got.code, got.stderr)
		}
	}
}

// TestInterruptReachesTheMethod fails when the method goes on after Ctrl-C.
func TestInterruptReachesTheMethod(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan ExitCode, 1)
	go func() { done <- Main(ctx, f.options(newOutput(), newOutput(), "", "invoke", "lab", "wait")) }()
	give := time.NewTimer(patience)
	defer give.Stop()
	select {
	case <-f.lab.started:
	case <-give.C:
		t.Fatal("the method was never called")
	}
	cancel()
	select {
	case got := <-done:
		if got != ExitCanceled {
			t.Errorf("got exit code %d, want %d", got, ExitCanceled)
		}
	case <-give.C:
		t.Fatal("the command went on after the interrupt")
	}
}
