package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// boundary is one row of the table at the edge of the mesh: what a code is called
// outside.
type boundary struct {
	code rmi.Code
	// fault is the XML-RPC fault code. No two codes share one.
	fault int
	// status is the HTTP status. Where two codes share one, the first is what
	// the status alone means.
	status int
}

// boundaries is the table. The faults are those of the interoperability
// specification where it has one that fits, and otherwise from the range that it
// leaves to implementations: -32010 less the code's number.
func boundaries() []boundary {
	return []boundary{
		{rmi.Canceled, -32011, statusCanceled},
		{rmi.Unknown, xmlrpc.CodeApplication, http.StatusInternalServerError},
		{rmi.InvalidArgument, xmlrpc.CodeInvalidParams, http.StatusBadRequest},
		{rmi.DeadlineExceeded, -32014, http.StatusGatewayTimeout},
		{rmi.NotFound, -32015, http.StatusNotFound},
		{rmi.AlreadyExists, -32016, http.StatusConflict},
		{rmi.PermissionDenied, -32017, http.StatusForbidden},
		{rmi.ResourceExhausted, xmlrpc.CodeLimit, http.StatusTooManyRequests},
		{rmi.FailedPrecondition, -32019, http.StatusPreconditionFailed},
		{rmi.Aborted, -32020, http.StatusConflict},
		{rmi.Unimplemented, xmlrpc.CodeMethodNotFound, http.StatusNotImplemented},
		{rmi.Internal, xmlrpc.CodeInternal, http.StatusInternalServerError},
		{rmi.Unavailable, xmlrpc.CodeTransport, http.StatusServiceUnavailable},
		{rmi.Unauthenticated, -32026, http.StatusUnauthorized},
	}
}

// statusCanceled is what others use for a request that its client gave up.
const statusCanceled = 499

// FaultCode returns the XML-RPC fault code that stands for code, that of UNKNOWN
// for one that it does not know.
func FaultCode(code rmi.Code) int {
	for _, b := range boundaries() {
		if b.code == code {
			return b.fault
		}
	}
	return xmlrpc.CodeApplication
}

// CodeOfFault returns the code that an XML-RPC fault code stands for, that of
// other implementations than this one included: UNKNOWN, an error of the
// application, for one that nobody has agreed on.
func CodeOfFault(fault int) rmi.Code {
	for _, b := range boundaries() {
		if b.fault == fault {
			return b.code
		}
	}
	switch fault {
	case xmlrpc.CodeNotWellFormed, xmlrpc.CodeUnsupportedEncoding, xmlrpc.CodeInvalidCharacter, xmlrpc.CodeInvalidRequest:
		return rmi.InvalidArgument
	case xmlrpc.CodeSystem:
		return rmi.Internal
	case -506: // xmlrpc-c's own for a method that is not there
		return rmi.Unimplemented
	}
	return rmi.Unknown
}

// HTTPStatus returns the HTTP status that stands for code, 500 for one that it
// does not know.
func HTTPStatus(code rmi.Code) int {
	for _, b := range boundaries() {
		if b.code == code {
			return b.status
		}
	}
	return http.StatusInternalServerError
}

// CodeOfStatus returns the code that an HTTP status stands for that came without
// a code: OK for success.
func CodeOfStatus(status int) rmi.Code {
	for _, b := range boundaries() {
		if b.status == status {
			return b.code
		}
	}
	switch {
	case status >= 200 && status < 300:
		return rmi.OK
	case status == http.StatusRequestEntityTooLarge:
		return rmi.ResourceExhausted
	case status == http.StatusRequestTimeout:
		return rmi.DeadlineExceeded
	case status == http.StatusBadGateway:
		return rmi.Unavailable
	case status == http.StatusMethodNotAllowed:
		return rmi.Unimplemented
	case status >= 400 && status < 500:
		return rmi.InvalidArgument
	}
	return rmi.Unknown
}

// DetailFault is the key in rmi.Error.Details under which the fault code of a
// method's own error travels, in decimal: that of an [*xmlrpc.Fault] which it
// returned, or which a server behind a [Foreign] answered with. The doors give
// it back as it was.
const DetailFault = "fault-code"

// Faults is the [rmi.Middleware] of the side that serves: it lets the code of an
// [*xmlrpc.Fault] that a method returns reach callers by every protocol, in the
// error's details.
func Faults(next rmi.Handler) rmi.Handler {
	return rmi.HandlerFunc(func(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
		reply, err := next.Handle(ctx, call)
		if err == nil {
			return reply, nil
		}
		f, ok := errors.AsType[*xmlrpc.Fault](err)
		if !ok || f == nil {
			return reply, err
		}
		e := rmi.FromError(err)
		if e.Details[DetailFault] != "" {
			return reply, e
		}
		return reply, faultError(e, f)
	})
}

// faultError gives e the code of f, in a copy of its details.
func faultError(e *rmi.Error, f *xmlrpc.Fault) *rmi.Error {
	details := make(map[string]string, len(e.Details)+1)
	for k, v := range e.Details {
		details[k] = v
	}
	details[DetailFault] = strconv.Itoa(f.Code)
	e.Details, e.Message = details, f.String
	return e
}

// faultOf is what an XML-RPC caller is told of a call that failed with err.
func faultOf(err error) *xmlrpc.Fault {
	e := rmi.FromError(err)
	if code, err := strconv.ParseInt(e.Details[DetailFault], 10, 32); err == nil {
		return &xmlrpc.Fault{Code: int(code), String: e.Message}
	}
	if e.Code == rmi.NotFound && e.Execution == rmi.NotExecuted {
		// There is nothing of that name: to an XML-RPC client, no such method. A
		// method's own NOT_FOUND says something else.
		return &xmlrpc.Fault{Code: xmlrpc.CodeMethodNotFound, String: e.Message}
	}
	return &xmlrpc.Fault{Code: FaultCode(e.Code), String: e.Message}
}
