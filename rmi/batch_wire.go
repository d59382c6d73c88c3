package rmi

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

var (
	// errBatchStream says that a sequence cannot be part of a batch: its items
	// would have to wait for the calls after it.
	errBatchStream = errors.New("a batch cannot carry sequences; call the method by itself")
	// nullResult is what a method that returns nothing returns.
	nullResult = Payload{Data: []byte{cborSimple<<5 | infoNull}}
)

// batchRequest is a batch as it came. It shares the memory of the payload.
type batchRequest struct {
	stopOnError bool
	calls       []batchedCall
}

// batchedCall is one call in a batch that came.
type batchedCall struct {
	method []byte
	args   []byte // a list
}

// decodeBatch reads the payload of a batch.
func decodeBatch(data []byte) (batchRequest, error) {
	var b batchRequest
	n, rest, err := listOf(data, "a batch")
	if err != nil {
		return b, err
	}
	if n > 0 && rest[0] == cborSimple<<5|infoTrue {
		b.stopOnError, rest = true, rest[1:]
		n--
	}
	if n > MaxBatch {
		return b, tooManyInBatch(n)
	}
	b.calls = make([]batchedCall, n)
	for i := range b.calls {
		if rest, err = b.calls[i].decode(rest); err != nil {
			return b, fmt.Errorf("call %d of the batch: %w", i+1, err)
		}
	}
	if len(rest) > 0 {
		return b, errTrailing
	}
	return b, nil
}

// decode reads one call and returns what is left of data.
func (c *batchedCall) decode(data []byte) ([]byte, error) {
	n, rest, err := listOf(data, "a call of a batch")
	if err != nil {
		return nil, err
	}
	if n != 2 {
		return nil, &ValueError{Want: "a method and its arguments", Got: describeItem(data)}
	}
	h, err := readHead(rest)
	switch {
	case err != nil:
		return nil, err
	case h.major != cborText:
		return nil, &ValueError{Want: "the name of a method", Got: describeItem(rest)}
	case h.arg > MaxMethodLen:
		return nil, &ValueError{Reason: fmt.Sprintf("the method's name has %d bytes, and the longest allowed is %d", h.arg, MaxMethodLen)}
	}
	if c.method, rest, err = h.body(rest); err != nil {
		return nil, err
	}
	if !utf8.Valid(c.method) {
		return nil, &ValueError{Reason: "the method's name is not valid UTF-8"}
	}
	if _, _, err := listOf(rest, "a list of arguments"); err != nil {
		return nil, err
	}
	size, err := itemLen(rest)
	if err != nil {
		return nil, err
	}
	c.args = rest[:size:size]
	return rest[size:], nil
}

// listOf reads the head of a list, which what is wanted says.
func listOf(data []byte, what string) (n int, rest []byte, err error) {
	h, err := readHead(data)
	switch {
	case err != nil:
		return 0, nil, err
	case h.major != cborList:
		return 0, nil, &ValueError{Want: what, Got: describeItem(data)}
	case h.arg > uint64(len(data)-h.size):
		return 0, nil, errTruncated
	}
	return int(h.arg), data[h.size:], nil
}

// outcome is what came of one call of a batch.
type outcome struct {
	result  []byte
	failure *Error
}

// appendTo appends o as it travels. The trace of an error goes along only when
// withTrace is set.
func (o outcome) appendTo(dst []byte, withTrace bool) []byte {
	dst = appendHead(dst, cborList, 2)
	if o.failure == nil {
		return append(append(dst, 0), o.result...)
	}
	return appendBytesItem(append(dst, 1), errorHead(o.failure, withTrace))
}

// errorHead returns the head that e's ERROR frame has.
func errorHead(e *Error, withTrace bool) []byte {
	frame := appendError(nil, 1, e, withTrace)
	_, n, _ := parseFrameHeader(frame)
	head, _, _ := splitBody(frame[n:])
	return head
}

// decodeOutcomes reads the reply to a batch of n calls. What it returns shares
// the memory of p.
func decodeOutcomes(p Payload, n int) ([]outcome, error) {
	if p.Type != ContentBatch {
		return nil, &ContentError{Type: p.Type}
	}
	got, rest, err := listOf(p.Data, "the results of a batch")
	if err != nil {
		return nil, err
	}
	if got != n {
		return nil, &ValueError{Want: plural(n, "result"), Got: plural(got, "result")}
	}
	outcomes := make([]outcome, n)
	for i := range outcomes {
		if rest, err = outcomes[i].decode(rest); err != nil {
			return nil, fmt.Errorf("result %d of the batch: %w", i+1, err)
		}
	}
	if len(rest) > 0 {
		return nil, errTrailing
	}
	return outcomes, nil
}

// decode reads one outcome and returns what is left of data.
func (o *outcome) decode(data []byte) ([]byte, error) {
	n, rest, err := listOf(data, "the outcome of a call")
	if err != nil {
		return nil, err
	}
	if n != 2 || rest[0] > 1 {
		return nil, &ValueError{Want: "[0, result] or [1, error]", Got: describeItem(data)}
	}
	kind, item := rest[0], rest[1:]
	size, err := itemLen(item)
	if err != nil {
		return nil, err
	}
	rest = item[size:]
	if kind == 0 {
		o.result = item[:size:size]
		return rest, nil
	}
	h, err := readHead(item)
	if err != nil || h.major != cborBytes {
		return nil, &ValueError{Want: "an error", Got: describeItem(item)}
	}
	o.failure = decodeError(item[h.size:size])
	return rest, nil
}
