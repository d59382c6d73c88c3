package naming

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxNameLen is the longest name, in bytes of UTF-8.
const MaxNameLen = 255

// Name is what an object or a function is called in the mesh: 1 to
// [MaxNameLen] bytes of printable UTF-8, the space among them but not at either
// end. Dotted lower case, such as "shop.cart", is the custom; case matters.
// Names are compared byte by byte. The zero Name is not valid.
type Name string

// NodeID is what a process is called: unique among the processes that run at
// one time, chosen by the operator or derived from the host. It follows the
// rules of [Name].
type NodeID string

// Incarnation tells one start of a node from the next. A later start of the
// same node has a larger incarnation, so that the records and references of an
// earlier one can be told apart and never overwrite a newer one's.
type Incarnation uint64

// ParseName returns s as a Name, or an [*InvalidNameError] that says what is
// wrong with it.
func ParseName(s string) (Name, error) {
	if why := invalid(s); why != "" {
		return "", &InvalidNameError{Value: s, What: "name", Reason: why}
	}
	return Name(s), nil
}

// ParseNodeID returns s as a NodeID, or an [*InvalidNameError] that says what
// is wrong with it.
func ParseNodeID(s string) (NodeID, error) {
	if why := invalid(s); why != "" {
		return "", &InvalidNameError{Value: s, What: "node id", Reason: why}
	}
	return NodeID(s), nil
}

// invalid returns why s cannot name anything, or "".
func invalid(s string) string {
	switch {
	case s == "":
		return "it is empty"
	case len(s) > MaxNameLen:
		return fmt.Sprintf("it has %d bytes, and the longest allowed is %d", len(s), MaxNameLen)
	case !utf8.ValidString(s):
		return "it is not valid UTF-8"
	}
	for i, r := range s {
		if !unicode.IsPrint(r) {
			return fmt.Sprintf("the character %U at byte %d is not printable", r, i)
		}
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return "it begins or ends with a space"
	}
	return ""
}
