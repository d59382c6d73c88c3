package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/naming/etcd"
	"farcall.dev/rmi"
)

// failure is a failed command in words: what failed, what to try next, and the
// code to exit with.
type failure struct {
	code ExitCode
	// err says what failed, in one line.
	err error
	// hint says what to try next; empty when there is nothing to say.
	hint string
	// more are further lines, such as a remote stack; mostly empty.
	more []string
}

// Error says what failed.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns the error behind the words.
func (f *failure) Unwrap() error { return f.err }

// Hint says what to try next.
func (f *failure) Hint() string { return f.hint }

// usagef is a wrong command line; hint says how to write it.
func usagef(hint, format string, args ...any) error {
	return &failure{code: ExitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// report says on standard error why the command failed, and returns the code to
// exit with.
func (a *app) report(ctx context.Context, err error) ExitCode {
	if err == nil || errors.Is(err, errDone) {
		return ExitOK
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = a.classify(err)
	}
	if ctx.Err() != nil && f.code != ExitOutput && f.code != ExitPipe {
		// Whatever it looks like, it failed because it was interrupted.
		interrupted := errors.New("interrupted")
		if !errors.Is(f.err, context.Canceled) {
			interrupted = fmt.Errorf("interrupted: %w", f.err)
		}
		f = &failure{code: ExitCanceled, err: interrupted}
	}
	if f.code == ExitPipe {
		return f.code // as a process that dies of SIGPIPE: without a word
	}
	text := strings.ReplaceAll(strings.TrimRight(f.Error(), "\n"), "\n", "; ")
	fmt.Fprintf(a.opts.Stderr, "client: %s\n", cleanLine(text))
	if f.hint != "" {
		fmt.Fprintf(a.opts.Stderr, "  hint: %s\n", clean(f.hint))
	}
	for _, line := range f.more {
		fmt.Fprintf(a.opts.Stderr, "  %s\n", clean(line))
	}
	return f.code
}

// classify finds the exit code of an error that came without one.
func (a *app) classify(err error) *failure {
	if oe, ok := errors.AsType[*outputError](err); ok {
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
			return &failure{code: ExitPipe, err: err}
		}
		return &failure{code: ExitOutput, err: oe}
	}
	fe, ok := errors.AsType[*rmi.Error](err)
	if !ok {
		switch {
		case errors.Is(err, naming.ErrNotFound):
			return &failure{code: ExitNotFound, err: err}
		case errors.Is(err, naming.ErrUnavailable):
			return &failure{code: ExitUnavailable, err: err}
		case errors.Is(err, naming.ErrInvalidName):
			return &failure{code: ExitUsage, err: err}
		}
		fe = rmi.FromError(err)
	}
	f := &failure{code: exitOf(fe.Code), err: err}
	if fe.Code == rmi.DeadlineExceeded {
		f.hint = "allow more time with --timeout; it was " + a.global.timeout.String()
	}
	return f
}

// unjoined is the failure to enter the mesh, or to learn anything in it.
func (a *app) unjoined(err error) error {
	if oe, ok := errors.AsType[*etcd.OptionError](err); ok {
		return usagef("give host:port, such as "+farcall.DefaultNameServer, "--nameserver %q: %s", oe.Value, oe.Reason)
	}
	if !errors.Is(err, naming.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	f := &failure{
		code: ExitUnavailable,
		err:  fmt.Errorf("no name server answers at %s", a.global.where()),
		hint: "start one with `nameserver --dev`, or say where it is with --nameserver or FARCALL_NAMESERVER",
	}
	ue, ok := errors.AsType[*etcd.UnavailableError](err)
	switch {
	case !ok:
	case slices.ContainsFunc(ue.Endpoints, func(e string) bool { return strings.HasPrefix(ue.Hint, e+" ") }):
		// It looked at what is at each address.
		f.more = strings.Split(ue.Hint, "; ")
	case ue.Hint != "":
		f.err = fmt.Errorf("the name server at %s cannot be used: %w", a.global.where(), ue.Err)
		f.hint = ue.Hint
	default:
		f.err = fmt.Errorf("%w: %w", f.err, ue.Err)
	}
	return f
}

// notFound is the failure of a name under which nothing is registered.
func (a *app) notFound(err error, what string, name naming.Name) error {
	f := &failure{code: ExitNotFound, err: fmt.Errorf("no %s named %s is registered", what, quoted(string(name))), hint: "client list shows the names there are"}
	if nf, ok := errors.AsType[*naming.NotFoundError](err); ok && len(nf.Similar) > 0 {
		f.hint = fmt.Sprintf("did you mean %s?", orList(nf.Similar))
	}
	return f
}

// callFailed is the failure of a call of t, in words. Node is where it was
// sent, empty when it got nowhere.
func (a *app) callFailed(err error, t target, node naming.NodeID) error {
	fe := rmi.FromError(err)
	f := a.failed(fe, t, node)
	if !strings.HasPrefix(fe.Message, string(t.name)) { // most messages say it themselves
		f.err = fmt.Errorf("%s: %w", t, f.err)
	}
	return f
}

// failed puts a failed call into words, without what was called.
func (a *app) failed(fe *rmi.Error, t target, node naming.NodeID) *failure {
	f := &failure{code: exitOf(fe.Code)}
	var about []string
	if fe.Type != "" {
		about = append(about, fe.Type)
	}
	if node != "" {
		about = append(about, "node "+string(node))
	}
	text := fmt.Sprintf("%s: %s", fe.Code, fe.Message)
	if len(about) > 0 {
		text += " (" + strings.Join(about, ", ") + ")"
	}
	f.err = errors.New(text)
	for _, hop := range fe.Hops {
		f.more = append(f.more, hop.String())
	}
	for _, k := range slices.Sorted(maps.Keys(fe.Details)) {
		if a.global.verbose || !strings.HasPrefix(k, "farcall-") {
			f.more = append(f.more, k+": "+fe.Details[k])
		}
	}
	if a.global.verbose && fe.Trace != "" {
		f.more = append(f.more, strings.Split(strings.TrimRight(fe.Trace, "\n"), "\n")...)
	}
	f.hint = a.callHint(fe, t, node)
	return f
}

// callHint says what to try after a failed call.
func (a *app) callHint(fe *rmi.Error, t target, node naming.NodeID) string {
	name := quoted(string(t.name))
	switch fe.Code {
	case rmi.DeadlineExceeded:
		hint := "allow more time with --timeout; it was " + a.global.timeout.String()
		if fe.Execution == rmi.Executed {
			hint += ". The call may have been carried out all the same"
		}
		return hint
	case rmi.Unavailable:
		if fe.Execution == rmi.Executed {
			return "the connection broke; the call may have been carried out all the same"
		}
		return fmt.Sprintf("client resolve %s shows the instances, client ping %s which of them answer", name, name)
	case rmi.PermissionDenied:
		return "ask whoever runs the mesh for access to it"
	case rmi.Unauthenticated:
		return "the other side wants to know who calls"
	case rmi.ResourceExhausted:
		return "try again later, or another instance with --node"
	case rmi.Internal:
		if fe.Remote && node != "" {
			return fmt.Sprintf("a bug in what was called: the log of node %s has the stack", node)
		}
	case rmi.Unimplemented, rmi.InvalidArgument:
		return fmt.Sprintf("client describe %s shows what can be called, and how", name)
	}
	return ""
}

// quoted returns s as it is where that cannot be misread, else in quotes.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"'\\`$&|;<>()*?[]#~!{}") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
