package rmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// Code is the kind of a failure: the canonical set that gRPC uses, with the
// same numbers, in which no number ever changes its meaning.
type Code uint8

// The codes. A caller may branch on them.
const (
	// OK is not an error.
	OK Code = 0
	// Canceled: the caller gave up.
	Canceled Code = 1
	// Unknown: the method returned an error that carries no code.
	Unknown Code = 2
	// InvalidArgument: the arguments do not fit the method.
	InvalidArgument Code = 3
	// DeadlineExceeded: the deadline passed before the reply arrived.
	DeadlineExceeded Code = 4
	// NotFound: no such object, function or instance.
	NotFound Code = 5
	// AlreadyExists: the thing to be made is there already.
	AlreadyExists Code = 6
	// PermissionDenied: the caller is known and may not do this.
	PermissionDenied Code = 7
	// ResourceExhausted: a limit was reached; the message says which.
	ResourceExhausted Code = 8
	// FailedPrecondition: the system is not in the state that the call needs.
	FailedPrecondition Code = 9
	// Aborted: the call lost a race with another; the whole may be tried again.
	Aborted Code = 10
	// Unimplemented: the object has no such method, or not in this form.
	Unimplemented Code = 12
	// Internal: a bug, here or there; a panicking method is one.
	Internal Code = 13
	// Unavailable: nobody could be reached, or the connection broke. Whether
	// the call was executed is told by [Error.Executed].
	Unavailable Code = 14
	// Unauthenticated: the caller did not prove who it is.
	Unauthenticated Code = 16
)

// codeNames holds the canonical spelling of each code, for people and JSON.
var codeNames = map[Code]string{
	OK: "OK", Canceled: "CANCELED", Unknown: "UNKNOWN", InvalidArgument: "INVALID_ARGUMENT",
	DeadlineExceeded: "DEADLINE_EXCEEDED", NotFound: "NOT_FOUND", AlreadyExists: "ALREADY_EXISTS",
	PermissionDenied: "PERMISSION_DENIED", ResourceExhausted: "RESOURCE_EXHAUSTED",
	FailedPrecondition: "FAILED_PRECONDITION", Aborted: "ABORTED", Unimplemented: "UNIMPLEMENTED",
	Internal: "INTERNAL", Unavailable: "UNAVAILABLE", Unauthenticated: "UNAUTHENTICATED",
}

// String returns the canonical name, such as "NOT_FOUND".
func (c Code) String() string {
	if s, ok := codeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("CODE_%d", uint8(c))
}

// Execution says whether a failed call was carried out.
type Execution uint8

const (
	// Executed: the method ran, or may have run; the zero value.
	Executed Execution = iota
	// NotExecuted: the method did certainly not run, so the call may be sent
	// again, elsewhere.
	NotExecuted
)

// Error is a failed call: what every failure becomes at the edge of a node.
type Error struct {
	// Code is the kind of failure.
	Code Code
	// Message is for people: what failed, on what, why, what to do.
	Message string
	// Type is the Go type of the method's own error, such as "*fs.PathError";
	// empty when the failure is not the method's.
	Type string
	// Details are small facts for programs; may be nil.
	Details map[string]string
	// Trace is the remote stack, for operators; empty for strangers.
	Trace string
	// Hops are the nodes that passed the error on, the first first, at most 16:
	// each had it from a call that a method made there. Nil when it came straight
	// from the node that was called.
	Hops []Hop
	// Execution says whether the method ran.
	Execution Execution
	// Remote says that the error came from a peer, and was not made here.
	Remote bool

	// cause is the local error behind a local failure; it does not travel. Of an
	// error from a peer it is what [Errors.Restore] has recognised in it.
	cause error
	// values are the method's own errors as values.
	values []errorValue
	// called is what this process called when it got the error from a peer.
	called string
}

// Errorf returns an Error of code whose message is formatted as by
// fmt.Errorf, %w included.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: err}
}

// Error returns the message, with the code in front.
func (e *Error) Error() string { return e.Code.String() + ": " + e.Message }

// Unwrap returns the local error behind a local failure, and of an error from a
// peer what [Errors.Restore] has recognised in it.
func (e *Error) Unwrap() error { return e.cause }

// Is makes an Error with code CANCELED or DEADLINE_EXCEEDED, a peer's too, the
// error of package context that it stands for.
func (e *Error) Is(target error) bool {
	return e.Code == Canceled && target == context.Canceled ||
		e.Code == DeadlineExceeded && target == context.DeadlineExceeded
}

// ProtocolError is why a connection ended whose peer sent what the protocol does
// not allow.
type ProtocolError struct {
	// Peer says who, Err what was wrong.
	Peer string
	Err  error
}

// Error names the peer and the reason.
func (e *ProtocolError) Error() string { return e.Peer + " broke the protocol: " + e.Err.Error() }

// Unwrap returns Err.
func (e *ProtocolError) Unwrap() error { return e.Err }

// isWireError reports whether err says that the peer broke the protocol.
func isWireError(err error) bool {
	_, ok := errors.AsType[wireError](err)
	return ok
}

// FromError returns err as an Error: the one in its chain, with the text that
// was wrapped around it; or, by one table, the code that the failure of a
// context, of the naming package or of a session stands for; or else code
// UNKNOWN with err's text and type. Only an Error in the chain can say that the
// call was not executed. FromError returns nil for nil; what it returns is the
// caller's to change.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if e == nil {
			return &Error{Code: Internal, Message: "a nil *rmi.Error was returned as an error"}
		}
		made := *e
		if error(e) != err {
			made.Message, made.cause = strings.Replace(err.Error(), e.Error(), e.Message, 1), err
		}
		return &made
	}
	if code, ok := codeOf(err); ok {
		return &Error{Code: code, Message: err.Error(), cause: err}
	}
	return &Error{Code: Unknown, Message: err.Error(), Type: fmt.Sprintf("%T", err), cause: err}
}

// codeOf returns the code that a failure which is known here stands for.
func codeOf(err error) (Code, bool) {
	for _, row := range [...]struct {
		is   error
		code Code
	}{
		{context.Canceled, Canceled},
		{context.DeadlineExceeded, DeadlineExceeded},
		{os.ErrDeadlineExceeded, DeadlineExceeded},
		{naming.ErrNotFound, NotFound},
		{naming.ErrTaken, AlreadyExists},
		{naming.ErrInvalidName, InvalidArgument},
		{naming.ErrUnavailable, Unavailable},
		{naming.ErrClosed, Unavailable},
		{transport.ErrTooManyStreams, ResourceExhausted},
		{transport.ErrGoAway, Unavailable},
		{transport.ErrHandshake, Unavailable},
		{transport.ErrClosed, Unavailable},
		{transport.ErrPeerClosed, Unavailable},
		{transport.ErrPeerSilent, Unavailable},
		{transport.ErrReset, Unavailable},
	} {
		if errors.Is(err, row.is) {
			return row.code, true
		}
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return DeadlineExceeded, true
	}
	return 0, false
}
