package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"reflect"
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

// Errors is a table of the errors that both sides of a call know by a name, so
// that errors.Is and errors.AsType recognise them on the caller's side of the
// wire, too: the side that serves gives it to [NewObjects], the side that calls
// wraps its handler in [Errors.Restore]. It never changes after [NewErrors].
type Errors struct {
	sentinels map[string]error
	names     []string // of the sentinels, sorted
	types     map[string]*errorKind
	typeNames []string // sorted
}

// ErrorEntry is one error, or one type of errors, under its name; [Sentinel] and
// [ErrorType] make one.
type ErrorEntry struct {
	name     string
	sentinel error
	kind     *errorKind
}

// errorKind is a type of errors that travels with its fields.
type errorKind struct {
	t reflect.Type
	// find returns the first error of the type in a chain.
	find func(error) (error, bool)
	// what travels is elem, which t is or points to.
	elem    reflect.Type
	out, in *rootShape
}

// Sentinel is an entry for one error value, which errors.Is recognises. Every
// program that shares it must give it the same name: "shop.ErrSoldOut" is a good
// one.
func Sentinel(name string, err error) ErrorEntry { return ErrorEntry{name: name, sentinel: err} }

// ErrorType is an entry for the errors of type E, which errors.AsType recognises
// and which travel with their exported fields. E is what errors.AsType is asked
// for, mostly a pointer to a struct; the name ("shop.OutOfStock") is what every
// program that shares it calls it, whatever its Go type is called there.
//
// The first error of each type in a chain travels, in up to 8 KiB of an error;
// one that does not fit is left out, and its text still arrives.
func ErrorType[E error](name string) ErrorEntry {
	find := func(err error) (error, bool) {
		e, ok := errors.AsType[E](err)
		return e, ok
	}
	return ErrorEntry{name: name, kind: &errorKind{t: reflect.TypeFor[E](), find: find}}
}

// NewErrors returns a table of entries, and of the usual sentinels of the
// standard library and package naming: io.EOF, io.ErrUnexpectedEOF,
// fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid, fs.ErrClosed,
// os.ErrDeadlineExceeded, errors.ErrUnsupported, naming.ErrNotFound,
// naming.ErrTaken, naming.ErrUnavailable and naming.ErrInvalidName. The errors of
// package context have codes of their own instead, CANCELED and
// DEADLINE_EXCEEDED. An error tells of every entry that is nil, is badly named,
// or cannot travel.
func NewErrors(entries ...ErrorEntry) (*Errors, error) {
	std := standardErrors()
	if len(entries) == 0 {
		return std, nil
	}
	sentinels, types := maps.Clone(std.sentinels), make(map[string]*errorKind)
	var bad []error
	for _, entry := range entries {
		if err := entry.addTo(sentinels, types); err != nil {
			bad = append(bad, fmt.Errorf("error %q: %w", clip(entry.name, 64), err))
		}
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	return errorTable(sentinels, types), nil
}

// addTo adds the entry to one of the maps.
func (entry ErrorEntry) addTo(sentinels map[string]error, types map[string]*errorKind) error {
	if _, err := naming.ParseName(entry.name); err != nil {
		return err
	}
	if strings.Contains(entry.name, ",") {
		return errors.New("its name has a comma")
	}
	known, kind := sentinels[entry.name], types[entry.name]
	if entry.kind != nil {
		switch {
		case known != nil || kind != nil && kind.t != entry.kind.t:
			return errors.New("the name is taken")
		case kind != nil:
			return nil
		}
		types[entry.name] = entry.kind
		return entry.kind.shape()
	}
	switch {
	case entry.sentinel == nil:
		return errors.New("the error is nil")
	case kind != nil || known != nil && known != entry.sentinel:
		return errors.New("the name is taken, perhaps by an error that every table has")
	}
	sentinels[entry.name] = entry.sentinel
	return nil
}

// shape finds out how the errors travel, or why they cannot.
func (k *errorKind) shape() error {
	k.elem = k.t
	switch {
	case k.t.Kind() == reflect.Interface:
		return fmt.Errorf("%s is an interface; name the type behind it", goName(k.t))
	case k.t == reflect.TypeFor[*Error]():
		return errors.New("*rmi.Error travels as it is")
	case k.t.Kind() == reflect.Pointer:
		k.elem = k.t.Elem()
	}
	var err error
	if k.out, err = shapeOf(k.elem, outward); err == nil {
		k.in, err = shapeOf(k.elem, inward)
	}
	if err != nil {
		return fmt.Errorf("%s cannot travel: %w", goName(k.t), err)
	}
	return nil
}

// standardErrors returns the table that every node has.
var standardErrors = sync.OnceValue(func() *Errors {
	return errorTable(map[string]error{
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
	}, nil)
})

func errorTable(sentinels map[string]error, types map[string]*errorKind) *Errors {
	return &Errors{
		sentinels: sentinels, names: slices.Sorted(maps.Keys(sentinels)),
		types: types, typeNames: slices.Sorted(maps.Keys(types)),
	}
}

// Restore is the [Middleware] of the side that calls: it gives an error that
// came with the names of sentinels, or with errors of types, that are in t those
// as its cause, so that errors.Is and errors.AsType find them. So it does with
// the error that a stream of the result ends with.
func (t *Errors) Restore(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, call *Call) (Reply, error) {
		reply, err := next.Handle(ctx, call)
		if err != nil {
			err = t.restore(err)
		} else if call.mend != nil {
			*call.mend = append(*call.mend, t.restore)
		}
		for i, source := range reply.Result.streams {
			reply.Result.streams[i] = restoredSource{source, t}
		}
		return reply, err
	})
}

func (t *Errors) restore(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e == nil {
		return err
	}
	var causes []error
	for _, v := range e.values {
		if kind := t.types[v.name]; kind != nil {
			if _, there := kind.find(err); there {
				continue
			}
			if known := kind.decode(v.data); known != nil {
				causes = append(causes, known)
			}
		}
	}
	for i, name := range sentinelNames(e) {
		if known := t.sentinels[name]; known != nil && i < maxSentinels && !errors.Is(err, known) {
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

// sentinelNames returns the names that e carries.
func sentinelNames(e *Error) []string {
	if d := e.Details[sentinelDetail]; d != "" {
		return strings.Split(d, ",")
	}
	return nil
}

// decode returns the error that travelled as data; nil when that cannot be read.
// Whatever a stranger sent, and whatever the type's own methods do with it, costs
// no more than the error as a value.
func (k *errorKind) decode(data []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	ptr := reflect.New(k.elem)
	if rest, bad := k.in.decode(data, ptr.Elem(), ptr.Interface(), nil); bad != nil || len(rest) > 0 {
		return nil
	}
	if k.t != k.elem {
		return ptr.Interface().(error)
	}
	return ptr.Elem().Interface().(error)
}

// encode returns err, which is of the type, as it travels; false when it cannot.
func (k *errorKind) encode(err error) ([]byte, bool) {
	v := reflect.ValueOf(err)
	if k.t != k.elem {
		if v.IsNil() {
			return nil, false
		}
		v = v.Elem()
	}
	data, bad := k.out.append(nil, v, nil)
	return data, bad == nil
}

// restoredSource is a sequence whose last error is restored.
type restoredSource struct {
	itemSource
	known *Errors
}

// next implements itemSource.
func (s restoredSource) next(ctx context.Context) ([]byte, error) {
	item, err := s.itemSource.next(ctx)
	if err != nil && err != io.EOF {
		err = s.known.restore(err)
	}
	return item, err
}
