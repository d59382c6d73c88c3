package rmi

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"farcall.dev/naming"
)

// Trail tells which calls led to a call: a method that is called and calls on,
// with its context, makes it longer. The zero value is that of a call that
// nothing led to.
type Trail struct {
	// Depth is how many calls stand before this one.
	Depth int
	// Correlation is the id that all calls of the chain have in common; empty
	// when none was needed yet. Up to 64 bytes.
	Correlation string
	// Recent are the newest of the calls before this one, the newest last, each
	// as "greeting.get_fortune on node-1". Old ones are left out where the text
	// of all would be longer than 1 KiB. It is shared and read-only.
	Recent []string
}

// empty reports whether there is nothing to tell.
func (t *Trail) empty() bool { return t.Depth == 0 && t.Correlation == "" }

// wireLen is how many bytes appendTo appends.
func (t *Trail) wireLen() int {
	n := uvarintLen(uint64(t.Depth)) + textLen(len(t.Correlation))
	for _, s := range t.Recent {
		n += textLen(len(s))
	}
	return n
}

// appendTo appends t as it travels.
func (t *Trail) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(t.Depth))
	b = appendText(b, t.Correlation)
	for _, s := range t.Recent {
		b = appendText(b, s)
	}
	return b
}

// decode reads what appendTo wrote.
func (t *Trail) decode(v cursor) *Error {
	t.Depth = v.small()
	correlation := v.text()
	if len(correlation) > maxCorrelation || len(v.b) > 2*maxChainText {
		return refusal(InvalidArgument, "the chain of the call cannot be read: it is longer than allowed")
	}
	t.Correlation = string(correlation)
	t.Recent = nil
	for len(v.b) > 0 {
		s := v.text()
		if !utf8.Valid(s) {
			v.bad = true
			break
		}
		t.Recent = append(t.Recent, string(s))
	}
	if t.empty() {
		t.Recent = nil
	}
	return v.short("the chain")
}

// tooLong is the error of a call of object and method with too many before it.
func (t *Trail) tooLong(object, method string) *Error {
	return refusal(FailedPrecondition, "call %s: %d calls led to this one, and at most %d may; do they call each other in a circle? the newest were: %s",
		called(&Call{Object: naming.Name(object), Method: method}), t.Depth, MaxChain, strings.Join(t.Recent, ", "))
}
