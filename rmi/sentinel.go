package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"farcall.dev/naming"
)

// sentinelDetail is the key in Error.Details under which the names of the
// sentinels in an error's chain travel, joined by commas.
const sentinelDetail = "farcall-sentinels"

// maxSentinels bounds how many sentinels of one error travel.
const maxSentinels = 16

// Sentinels is a table of named errors that both sides of a call know, so that
// errors.Is recognises them on the caller's side of the wire, too: the side
// that serves gives it to [NewObjects], the side that calls wraps its handler
// in [Sentinels.Restore]. It never changes after [NewSentinels].
type Sentinels struct {
	byName map[string]error
	names  []string // sorted
}

// NewSentinels returns a table of the errors in byName, which every program
// that shares them must give the same names ("shop.ErrSoldOut" is a good one),
// and of the usual sentinels of the standard library and package naming:
// io.EOF, io.ErrUnexpectedEOF, fs.ErrNotExist, fs.ErrExist, fs.ErrPermission,
// fs.ErrInvalid, fs.ErrClosed, os.ErrDeadlineExceeded, errors.ErrUnsupported,
// naming.ErrNotFound, naming.ErrTaken, naming.ErrUnavailable and
// naming.ErrInvalidName. The errors of
// package context have codes of their own instead, CANCELED and
// DEADLINE_EXCEEDED. An error says which entry is nil or badly named.
func NewSentinels(byName map[string]error) (*Sentinels, error) {
	std := standardSentinels()
	if len(byName) == 0 {
		return std, nil
	}
	all := maps.Clone(std.byName)
	for name, err := range byName {
		if _, bad := naming.ParseName(name); bad != nil {
			return nil, fmt.Errorf("sentinel %q: %w", clip(name, 64), bad)
		}
		switch known := all[name]; {
		case err == nil:
			return nil, fmt.Errorf("sentinel %q: the error is nil", name)
		case strings.Contains(name, ","):
			return nil, fmt.Errorf("sentinel %q: its name has a comma", name)
		case known != nil && known != err:
			return nil, fmt.Errorf("sentinel %q: the name is taken by an error that every table has", name)
		}
		all[name] = err
	}
	return sentinelTable(all), nil
}

// standardSentinels returns the table that every node has.
var standardSentinels = sync.OnceValue(func() *Sentinels {
	return sentinelTable(map[string]error{
		"io.EOF":                 io.EOF,
		"io.ErrUnexpectedEOF":    io.ErrUnexpectedEOF,
		"fs.ErrNotExist":         fs.ErrNotExist,
		"fs.ErrExist":            fs.ErrExist,
		"fs.ErrPermission":       fs.ErrPermission,
		"fs.ErrInvalid":          fs.ErrInvalid,
		"fs.ErrClosed":           fs.ErrClosed,
		"os.ErrDeadlineExceeded": os.ErrDeadlineExceeded,
		"errors.ErrUnsupported":  errors.ErrUnsupported,
		"naming.ErrNotFound":     naming.ErrNotFound,
		"naming.ErrTaken":        naming.ErrTaken,
		"naming.ErrUnavailable":  naming.ErrUnavailable,
		"naming.ErrInvalidName":  naming.ErrInvalidName,
	})
})

func sentinelTable(byName map[string]error) *Sentinels {
	return &Sentinels{byName: byName, names: slices.Sorted(maps.Keys(byName))}
}

// methodError makes of the error that a method returned the failure of its
// call: it ran, whatever became of the calls that it made itself; and the
// names of the sentinels in its chain go along.
func (s *Sentinels) methodError(err error) *Error {
	e := FromError(err)
	if e.Code == OK {
		e.Code = Unknown
	}
	e.Execution = Executed
	found := sentinelNames(e) // of a call further on, which may know others than s
	for _, name := range s.names {
		if errors.Is(err, s.byName[name]) && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return e
	}
	e.Details = maps.Clone(e.Details)
	if e.Details == nil {
		e.Details = make(map[string]string, 1)
	}
	e.Details[sentinelDetail] = strings.Join(found[:min(len(found), maxSentinels)], ",")
	return e
}

// sentinelNames returns the names that e carries.
func sentinelNames(e *Error) []string {
	if d := e.Details[sentinelDetail]; d != "" {
		return strings.Split(d, ",")
	}
	return nil
}

// Restore is the [Middleware] of the side that calls: it gives an error that
// carries the names of sentinels in s those sentinels as its cause, so that
// errors.Is finds them.
func (s *Sentinels) Restore(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		reply, err := next.Handle(ctx, call)
		if err != nil {
			err = s.restore(err)
		}
		return reply, err
	})
}

func (s *Sentinels) restore(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e == nil {
		return err
	}
	var causes []error
	for i, name := range sentinelNames(e) {
		if known := s.byName[name]; known != nil && i < maxSentinels && !errors.Is(err, known) {
			causes = append(causes, known)
		}
	}
	if len(causes) == 0 {
		return err
	}
	made := *e
	if e.cause != nil {
		causes = append(causes, e.cause)
	}
	made.cause = errors.Join(causes...)
	if error(e) != err { // keep what was wrapped around e
		made.Message, made.cause = FromError(err).Message, errors.Join(made.cause, err)
	}
	return &made
}
