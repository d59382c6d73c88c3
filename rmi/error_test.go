package rmi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"testing"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

func TestFromErrorGivesKnownFailuresTheirCode(t *testing.T) {
	for err, want := range map[error]Code{
		context.Canceled:            Canceled,
		context.DeadlineExceeded:    DeadlineExceeded,
		os.ErrDeadlineExceeded:      DeadlineExceeded,
		naming.ErrNotFound:          NotFound,
		naming.ErrTaken:             AlreadyExists,
		naming.ErrInvalidName:       InvalidArgument,
		naming.ErrUnavailable:       Unavailable,
		naming.ErrClosed:            Unavailable,
		transport.ErrTooManyStreams: ResourceExhausted,
		transport.ErrGoAway:         Unavailable,
		transport.ErrHandshake:      Unavailable,
		transport.ErrClosed:         Unavailable,
		transport.ErrPeerClosed:     Unavailable,
		transport.ErrPeerSilent:     Unavailable,
		transport.ErrReset:          Unavailable,
		&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}: DeadlineExceeded,
		&net.DNSError{IsTimeout: true}:                        DeadlineExceeded,
		fs.ErrNotExist:                                        Unknown,
		errors.New("anything"):                                Unknown,
	} {
		for _, e := range []error{err, fmt.Errorf("wrapped: %w", err)} {
			got := FromError(e)
			if got.Code != want || got.Message != e.Error() || got.Execution != Executed || !errors.Is(got, err) {
				t.Errorf("%v: got %v (execution %d), want %v, executed, of the same text and chain", e, got, got.Execution, want)
			}
		}
	}
	if got := FromError(nil); got != nil {
		t.Errorf("nil: got %v, want nil", got)
	}
	if got, want := FromError(&fs.PathError{Op: "open", Err: fs.ErrNotExist}).Type, "*fs.PathError"; got != want {
		t.Errorf("got the type %q, want %q", got, want)
	}
}

func TestFromErrorKeepsAnErrorInTheChain(t *testing.T) {
	e := &Error{Code: Aborted, Message: "lost the race", Details: map[string]string{"k": "v"}, Execution: NotExecuted, Remote: true}
	if got := FromError(e); got == e || got.Code != Aborted || got.Message != "lost the race" || !got.Remote || got.Execution != NotExecuted {
		t.Errorf("got %+v, want a copy of %+v", got, e)
	}
	got := FromError(fmt.Errorf("put it in the cart: %w", e))
	if got.Code != Aborted || got.Message != "put it in the cart: lost the race" || got.Details["k"] != "v" || !errors.Is(got, e) {
		t.Errorf("got %+v, want the error with the text around it", got)
	}
	if got, want := got.Error(), "ABORTED: put it in the cart: lost the race"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := FromError((*Error)(nil)); got == nil || got.Code != Internal {
		t.Errorf("a nil *Error: got %v, want an INTERNAL error", got)
	}
}

func TestErrorIsTheContextsError(t *testing.T) {
	for code, want := range map[Code]error{Canceled: context.Canceled, DeadlineExceeded: context.DeadlineExceeded} {
		for _, target := range []error{context.Canceled, context.DeadlineExceeded} {
			err := error(&Error{Code: code, Remote: true})
			if got := errors.Is(err, target); got != (target == want) {
				t.Errorf("%v is %v: got %v", err, target, got)
			}
		}
	}
}
