package cli

import (
	"farcall.dev/rmi"
)

// ExitCode is the status the command ends with. A number never changes its
// meaning.
type ExitCode int

// The exit codes.
const (
	// ExitOK: the command did what it was asked.
	ExitOK ExitCode = 0
	// ExitRemote: the method ran and returned an error of its own.
	ExitRemote ExitCode = 1
	// ExitUsage: the command line or an argument is wrong.
	ExitUsage ExitCode = 2
	// ExitNotFound: no such name, method or instance.
	ExitNotFound ExitCode = 3
	// ExitDenied: the caller may not do this, or did not prove who it is.
	ExitDenied ExitCode = 4
	// ExitUnavailable: no name server or no instance could be reached.
	ExitUnavailable ExitCode = 5
	// ExitDeadline: no answer within the timeout.
	ExitDeadline ExitCode = 6
	// ExitExhausted: the other side is at a limit and refused.
	ExitExhausted ExitCode = 7
	// ExitInternal: a bug, here or there; a method that panicked is one.
	ExitInternal ExitCode = 8
	// ExitOutput: the result could not be written.
	ExitOutput ExitCode = 9
	// ExitCanceled: the command was interrupted.
	ExitCanceled ExitCode = 130
	// ExitPipe: the reader of the output went away.
	ExitPipe ExitCode = 141
)

// exitMeaning is one line of the table that help and reference show.
type exitMeaning struct {
	code ExitCode
	text string
}

// exitMeanings lists every exit code with what it says, in order.
func exitMeanings() []exitMeaning {
	return []exitMeaning{
		{ExitOK, "done"},
		{ExitRemote, "the method ran and returned an error of its own"},
		{ExitUsage, "the command line or an argument is wrong"},
		{ExitNotFound, "no such name, method or instance"},
		{ExitDenied, "not allowed, or not authenticated"},
		{ExitUnavailable, "no name server or no instance could be reached"},
		{ExitDeadline, "no answer within --timeout"},
		{ExitExhausted, "refused: the other side is at a limit"},
		{ExitInternal, "a bug, here or there (a method that panicked)"},
		{ExitOutput, "the output could not be written"},
		{ExitCanceled, "interrupted"},
		{ExitPipe, "the reader of the output went away"},
	}
}

// exitOf is the table from the code of a failed call to the exit code. A code
// that it does not know is a remote error: it comes from a newer peer.
func exitOf(code rmi.Code) ExitCode {
	switch code {
	case rmi.OK:
		return ExitOK
	case rmi.Canceled:
		return ExitCanceled
	case rmi.InvalidArgument:
		return ExitUsage
	case rmi.DeadlineExceeded:
		return ExitDeadline
	case rmi.NotFound, rmi.Unimplemented:
		return ExitNotFound
	case rmi.PermissionDenied, rmi.Unauthenticated:
		return ExitDenied
	case rmi.ResourceExhausted:
		return ExitExhausted
	case rmi.Internal:
		return ExitInternal
	case rmi.Unavailable:
		return ExitUnavailable
	case rmi.Unknown, rmi.AlreadyExists, rmi.FailedPrecondition, rmi.Aborted:
		return ExitRemote
	}
	return ExitRemote
}
