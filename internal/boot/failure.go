package boot

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// ExitCode is the status that a command ends with. A number never changes its
// meaning.
type ExitCode int

// The exit codes of the long-running commands.
const (
	// ExitOK: stopped because it was asked to, and nothing was lost.
	ExitOK ExitCode = 0
	// ExitFailure: something broke that has no code of its own.
	ExitFailure ExitCode = 1
	// ExitUsage: the command line, the environment or a file given on it is
	// wrong.
	ExitUsage ExitCode = 2
	// ExitAddress: an address could not be listened on.
	ExitAddress ExitCode = 3
	// ExitData: the data directory could not be used.
	ExitData ExitCode = 4
	// ExitUnavailable: the name server could not be reached in time.
	ExitUnavailable ExitCode = 5
	// ExitGrace: stopped because it was asked to, but the grace period was over
	// before everything had come to its end.
	ExitGrace ExitCode = 6
	// ExitAborted: a second signal cut the stop short.
	ExitAborted ExitCode = 130
)

// ExitCodes lists the codes with their meaning, one a line, for help texts.
func ExitCodes() string {
	return `Exit status:
    0  stopped because it was asked to
    1  something broke that has no code of its own
    2  the command line, the environment or a file given there is wrong
    3  an address could not be listened on
    4  the data directory could not be used
    5  the name server could not be reached in time
    6  stopped, but the grace period was over before everything had ended
  130  aborted by a second signal
`
}

// Failure is why a command ends early: the error, what to try, and the code.
type Failure struct {
	// Code is the exit status; 0 means ExitFailure.
	Code ExitCode
	// Err is what went wrong.
	Err error
	// Try says what to do about it, as a sentence without a full stop; empty
	// when there is nothing to say.
	Try string
}

// Error returns the text of Err.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// Hint returns Try.
func (f *Failure) Hint() string { return f.Try }

// Usagef returns a Failure with ExitUsage and a formatted error; try may be
// empty.
func Usagef(try, format string, args ...any) *Failure {
	return &Failure{Code: ExitUsage, Err: fmt.Errorf(format, args...), Try: try}
}

// Report writes err and its hint to w, in the name of command, and returns the
// status to exit with: that of the first [Failure] in err's tree, or
// ExitFailure. A nil err is ExitOK and writes nothing.
func Report(w io.Writer, command string, err error) ExitCode {
	if err == nil {
		return ExitOK
	}
	code, hint := ExitFailure, ""
	if f, ok := errors.AsType[*Failure](err); ok {
		hint = f.Try
		if f.Code != 0 {
			code = f.Code
		}
	} else if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		hint = h.Hint()
	}
	fmt.Fprintf(w, "%s: %s\n", command, err)
	if hint != "" {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(hint, "\n", "\n  "))
	}
	return code
}

// ListenFailure turns the failure to listen on the address that flag gave into
// a Failure with ExitAddress and a hint that fits the cause.
func ListenFailure(flag, address string, err error) *Failure {
	f := &Failure{Code: ExitAddress, Err: fmt.Errorf("listen on %s (--%s): %w", address, flag, reason(err))}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		f.Try = fmt.Sprintf("another process uses that port, maybe an earlier one of these: stop it, or choose another with --%s", flag)
	case errors.Is(err, syscall.EACCES):
		f.Try = fmt.Sprintf("ports below 1024 need privileges: choose a higher one with --%s", flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		f.Try = fmt.Sprintf("no interface of this machine has that address: see `ip address`, and correct --%s", flag)
	default:
		f.Try = fmt.Sprintf("--%s wants host:port, such as 127.0.0.1:7500", flag)
	}
	return f
}

// reason leaves out of a network error what ListenFailure says itself.
func reason(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "listen" {
		err = op.Err
	}
	if sys, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sys.Err
	}
	return err
}
