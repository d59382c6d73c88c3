package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"farcall.dev/naming"
)

// OptionError says which option is unusable and why.
type OptionError struct {
	// Field is the option's field in [Options], Value what it holds, Reason
	// what is wrong with it.
	Field, Value, Reason string
}

// Error names the option, its value where it has one, and the reason.
func (e *OptionError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("etcd option %s: %s", e.Field, e.Reason)
	}
	return fmt.Sprintf("etcd option %s: %q: %s", e.Field, e.Value, e.Reason)
}

// UnavailableError says that etcd could not be used, where, and what to check.
// It is a [naming.ErrUnavailable].
type UnavailableError struct {
	// Endpoints are the members that were tried.
	Endpoints []string
	// Hint says what to check; it may be empty.
	Hint string
	// Err is the last thing that went wrong.
	Err error
}

// Error names the endpoints, what went wrong, and what to check.
func (e *UnavailableError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: etcd at %s: %v", naming.ErrUnavailable, strings.Join(e.Endpoints, ", "), e.Err)
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return b.String()
}

// Is makes e a naming.ErrUnavailable.
func (e *UnavailableError) Is(target error) bool { return target == naming.ErrUnavailable }

// Unwrap returns what went wrong.
func (e *UnavailableError) Unwrap() error { return e.Err }

// What goes wrong inside, and is seen in Status.Err and Update.Err.
var (
	errSilent       = errors.New("etcd does not answer")
	errStoreChanged = errors.New("etcd holds another store than before: it lost its data, or was restored")
	errUnsettled    = errors.New("a record was changed by somebody else each time it was written")
)

// clean returns err without gRPC's wrapping where etcd's own error, or a
// context's, says the same.
func clean(err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[rpctypes.EtcdError](rpctypes.Error(err)); ok {
		return known
	}
	switch s, ok := status.FromError(err); {
	case errors.Is(err, context.DeadlineExceeded):
		return errSilent // etcd's client drops what gRPC said about it
	case !ok:
		return err
	case s.Code() == codes.DeadlineExceeded:
		return fmt.Errorf("%w: %s", errSilent, s.Message())
	default:
		return errors.New(strings.TrimPrefix(s.Message(), "connection error: desc = "))
	}
}

// hint says what to check about err, or "".
func hint(err error) string {
	switch {
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return "check the user name and the password"
	case errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrInvalidAuthToken):
		return "this etcd wants a user name and a password"
	case errors.Is(err, rpctypes.ErrAuthNotEnabled):
		return "this etcd knows no users; use no user name"
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return "give the user a role that may read and write all keys under the prefix"
	case errors.Is(err, rpctypes.ErrNoSpace):
		return "etcd's database is full: compact and defragment it, then disarm its alarm"
	}
	return ""
}

// hopeless reports whether err will not go away by itself, so that whoever
// waits had better be told at once.
func hopeless(err error) bool {
	for _, e := range []error{rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty, rpctypes.ErrPermissionDenied, rpctypes.ErrNoSpace} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isLeaseLost reports whether err says that a lease has ended.
func isLeaseLost(err error) bool { return errors.Is(err, rpctypes.ErrLeaseNotFound) }

// unavailable wraps err for a caller that waited in vain.
func (o *Options) unavailable(err error) error {
	if u, ok := errors.AsType[*UnavailableError](err); ok {
		return u
	}
	return &UnavailableError{Endpoints: o.Endpoints, Hint: hint(err), Err: err}
}
