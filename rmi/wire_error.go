package rmi

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"farcall.dev/naming"
)

// The keys of the fields in the head of an ERROR frame.
const (
	fieldMessage = 1
	fieldType    = 2
	fieldDetail  = 3
	fieldTrace   = 4
	fieldValue   = 5
	fieldHop     = 6
)

// appendError appends the frame of a failed call. Text that is too long for the
// wire is cut. The trace goes along only when withTrace is set.
func appendError(b []byte, id uint64, e *Error, withTrace bool) []byte {
	message := cut(e.Message, maxErrorText)
	typ := cut(e.Type, maxErrorType)
	details := detailsThatFit(e.Details)
	values := valuesThatFit(e.values)
	hops := hopsThatFit(e.Hops)

	head := 2 + fieldLen(message) + fieldLen(typ)
	for _, k := range details {
		head += pairLen(k, len(e.Details[k]))
	}
	for _, v := range values {
		head += pairLen(v.name, len(v.data))
	}
	for _, h := range hops {
		head += pairLen(string(h.Node), len(h.Called))
	}
	trace := ""
	if withTrace {
		trace = cut(e.Trace, min(maxErrorText, maxFrameHead-head-1-binary.MaxVarintLen16))
	}
	head += fieldLen(trace)
	b = appendFrameHeader(b, frameHeader{typ: frameError, id: id, size: uint64(textLen(head))})
	b = binary.AppendUvarint(b, uint64(head))
	b = append(b, byte(e.Code), byte(e.Execution))
	b = appendField(b, fieldMessage, message)
	b = appendField(b, fieldType, typ)
	for _, k := range details {
		b = appendPair(b, fieldDetail, k, e.Details[k])
	}
	for _, v := range values {
		b = appendPair(b, fieldValue, v.name, v.data)
	}
	for _, h := range hops {
		b = appendPair(b, fieldHop, string(h.Node), h.Called)
	}
	return appendField(b, fieldTrace, trace)
}

// pairLen is how many bytes [appendPair] appends for a name and n bytes.
func pairLen(name string, n int) int { return 1 + textLen(textLen(len(name))+n) }

// appendPair appends a field of a text, the name, and what is left, the value.
func appendPair[T ~string | ~[]byte](b []byte, key byte, name string, value T) []byte {
	b = binary.AppendUvarint(append(b, key), uint64(textLen(len(name))+len(value)))
	b = appendText(b, name)
	return append(b, value...)
}

// valuesThatFit returns those of an error's values that may travel.
func valuesThatFit(values []errorValue) []errorValue {
	size := 0
	var fit []errorValue
	for _, v := range values {
		if n := len(v.name) + len(v.data); len(fit) < maxErrorValues && size+n <= maxErrorValueSize {
			size += n
			fit = append(fit, v)
		}
	}
	return fit
}

// hopsThatFit returns the first hops that may travel, what was called cut.
func hopsThatFit(hops []Hop) []Hop {
	size := 0
	var fit []Hop
	for _, h := range hops {
		h.Node, h.Called = naming.NodeID(cut(string(h.Node), naming.MaxNameLen)), cut(h.Called, maxErrorCalled)
		if size += len(h.Node) + len(h.Called); size > maxErrorHopSize || len(fit) == maxErrorHops {
			break
		}
		fit = append(fit, h)
	}
	return fit
}

// fieldLen is how many bytes [appendField] appends.
func fieldLen(s string) int {
	if s == "" {
		return 0
	}
	return 1 + textLen(len(s))
}

// appendField appends a field of text, unless it is empty.
func appendField(b []byte, key byte, s string) []byte {
	if s == "" {
		return b
	}
	return appendText(append(b, key), s)
}

// detailsThatFit returns the keys of the details that may travel, sorted.
func detailsThatFit(details map[string]string) []string {
	if len(details) == 0 {
		return nil
	}
	keys := slices.Sorted(maps.Keys(details))
	size, n := 0, 0
	for _, k := range keys {
		if n == maxErrorDetails || size+len(k)+len(details[k]) > maxErrorDetailSize {
			continue
		}
		size += len(k) + len(details[k])
		keys[n] = k
		n++
	}
	return keys[:n]
}

// cut returns s, shortened to at most n bytes of valid UTF-8.
func cut(s string, n int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if len(s) <= n {
		return s
	}
	const mark = "…"
	end := n - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// decodeError reads the head of an ERROR frame. What cannot be read becomes an
// INTERNAL error: the call did fail, and its caller must learn so.
func decodeError(head []byte) *Error {
	c := cursor{b: head}
	e := &Error{Code: Code(c.octet()), Execution: Executed, Remote: true}
	if c.octet() == byte(NotExecuted) {
		e.Execution = NotExecuted
	}
	details, valueSize, hopSize := 0, 0, 0
	for len(c.b) > 0 && !c.bad {
		key := c.number()
		value := c.text()
		if c.bad {
			break
		}
		switch key {
		case fieldMessage:
			e.Message = peerText(value, maxErrorText)
		case fieldType:
			e.Type = peerText(value, maxErrorType)
		case fieldTrace:
			e.Trace = peerText(value, maxErrorText)
		case fieldDetail:
			entry := cursor{b: value}
			k := entry.text()
			if details++; entry.bad || details > maxErrorDetails {
				continue
			}
			if e.Details == nil {
				e.Details = make(map[string]string)
			}
			e.Details[string(k)] = string(entry.b)
		case fieldValue:
			if entry := (cursor{b: value}); len(e.values) < maxErrorValues {
				name := entry.text()
				if valueSize += len(name) + len(entry.b); !entry.bad && valueSize <= maxErrorValueSize {
					e.values = append(e.values, errorValue{string(name), bytes.Clone(entry.b)})
				}
			}
		case fieldHop:
			if entry := (cursor{b: value}); len(e.Hops) < maxErrorHops {
				node := entry.text()
				if hopSize += len(node) + len(entry.b); !entry.bad && hopSize <= maxErrorHopSize {
					e.Hops = append(e.Hops, Hop{naming.NodeID(peerText(node, naming.MaxNameLen)), peerText(entry.b, maxErrorCalled)})
				}
			}
		}
	}
	if c.bad {
		return &Error{Code: Internal, Message: "the peer's error cannot be read: its head ends too early", Remote: true}
	}
	if e.Code == OK {
		e.Code = Unknown
	}
	return e
}

// peerText returns text of the peer as at most n bytes of valid UTF-8.
func peerText(b []byte, n int) string { return cut(string(b), n) }
