package naming

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The conditions callers branch on; test for them with errors.Is.
var (
	// ErrNotFound means that nothing is registered under a name.
	ErrNotFound = errors.New("not registered")
	// ErrTaken means that an exclusive name is owned by another process.
	ErrTaken = errors.New("name is taken")
	// ErrUnavailable means that the registry could not be reached in time.
	ErrUnavailable = errors.New("registry is unavailable")
	// ErrClosed means that the registry or resolver was closed.
	ErrClosed = errors.New("registry is closed")
	// ErrInvalidName means that a name, node id or tag breaks the rules of Name.
	ErrInvalidName = errors.New("invalid name")
)

// InvalidNameError says which name is unusable and why. It is an
// [ErrInvalidName].
type InvalidNameError struct {
	// Value is the offending text, What what it was to be ("name", "node id",
	// "tag"), Reason what is wrong with it.
	Value, What, Reason string
}

// Error shows at most 64 bytes of the offending text, quoted.
func (e *InvalidNameError) Error() string {
	return fmt.Sprintf("invalid %s %s: %s", e.What, quote(e.Value, 64), e.Reason)
}

// Is makes e an ErrInvalidName.
func (e *InvalidNameError) Is(target error) bool { return target == ErrInvalidName }

// TakenError names the owner of an exclusive name. It is an [ErrTaken].
type TakenError struct {
	Name  Name
	Owner NodeID
}

// Error names the name and its owner.
func (e *TakenError) Error() string {
	return fmt.Sprintf("the name %q is taken by node %q", e.Name, e.Owner)
}

// Is makes e an ErrTaken.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// NotFoundError names what was looked for, and up to three registered names
// that resemble it, the most similar first. It is an [ErrNotFound]. Looking for
// similar names is given up when it takes too long, or was done a moment ago,
// so that there may be some although Similar is empty.
type NotFoundError struct {
	Name    Name
	Similar []Name
}

// Error names the name and those that resemble it.
func (e *NotFoundError) Error() string {
	if len(e.Similar) == 0 {
		return fmt.Sprintf("nothing named %s is registered", quote(string(e.Name), MaxNameLen))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "nothing named %s is registered; did you mean %q", quote(string(e.Name), MaxNameLen), e.Similar[0])
	for _, s := range e.Similar[1:] {
		fmt.Fprintf(&b, " or %q", s)
	}
	b.WriteByte('?')
	return b.String()
}

// Is makes e an ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// quote returns s in quotes, with what cannot be printed escaped, cut off after
// at most limit bytes.
func quote(s string, limit int) string {
	if len(s) <= limit {
		return strconv.Quote(s)
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strconv.Quote(s[:limit] + "…")
}
