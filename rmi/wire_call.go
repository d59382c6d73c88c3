package rmi

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// The keys of the fields in the heads of requests and replies. A receiver skips
// the keys it does not know.
const fieldMetadata = 1

// requestHead is the head of a REQUEST frame. Decoded, its names share the
// memory of the frame.
type requestHead struct {
	// timeout is the time that is left; 0 for no deadline.
	timeout  time.Duration
	object   []byte
	method   []byte
	typ      ContentType
	metadata Metadata
}

// maxTimeout is the longest time left that travels; longer ones are cut to it.
const maxTimeout = 100 * 365 * 24 * time.Hour

// timeoutMicros returns timeout as it travels: whole microseconds, rounded up,
// so that a call with a deadline never seems to have none.
func timeoutMicros(timeout time.Duration) uint64 {
	if timeout <= 0 {
		return 0
	}
	return uint64((min(timeout, maxTimeout) + time.Microsecond - 1) / time.Microsecond)
}

// appendRequest appends the frame of a request, all but the payload itself: for
// a small call the caller appends it, for a large one it follows in pieces.
func appendRequest(b []byte, id uint64, timeout time.Duration, call *Call) []byte {
	micros := timeoutMicros(timeout)
	head := uvarintLen(micros) + textLen(len(call.Object)) + textLen(len(call.Method)) + 1 + metadataLen(call.Metadata)
	b = appendFrameHeader(b, frameHeader{
		typ: frameRequest, id: id,
		size: uint64(textLen(head) + len(call.Args.Data)),
	})
	b = binary.AppendUvarint(b, uint64(head))
	b = binary.AppendUvarint(b, micros)
	b = appendText(b, call.Object)
	b = appendText(b, call.Method)
	b = append(b, byte(call.Args.Type))
	return appendMetadata(b, call.Metadata)
}

// decode reads the head of a request. Its error is what the caller gets; what
// was read before it stands.
func (h *requestHead) decode(head []byte) *Error {
	c := cursor{b: head}
	micros := c.number()
	h.timeout = time.Duration(min(micros, uint64(maxTimeout/time.Microsecond))) * time.Microsecond
	h.object = c.text()
	h.method = c.text()
	h.typ = ContentType(c.octet())
	h.metadata = nil
	switch {
	case c.bad:
		return refusal(InvalidArgument, "the request cannot be read: its head ends too early")
	case len(h.object) > MaxObjectLen:
		return refusal(InvalidArgument, "the object's name has %d bytes, and the longest allowed is %d", len(h.object), MaxObjectLen)
	case len(h.method) > MaxMethodLen:
		return refusal(InvalidArgument, "the method's name has %d bytes, and the longest allowed is %d", len(h.method), MaxMethodLen)
	}
	var err *Error
	h.metadata, err = decodeMetadata(c)
	return err
}

// replyHead is the head of a REPLY frame.
type replyHead struct {
	typ      ContentType
	metadata Metadata
}

// appendReply appends the frame of a reply, all but the result itself.
func appendReply(b []byte, id uint64, r *Reply) []byte {
	head := 1 + metadataLen(r.Metadata)
	b = appendFrameHeader(b, frameHeader{
		typ: frameReply, id: id,
		size: uint64(textLen(head) + len(r.Result.Data)),
	})
	b = binary.AppendUvarint(b, uint64(head))
	b = append(b, byte(r.Result.Type))
	return appendMetadata(b, r.Metadata)
}

// decode reads the head of a reply. Its error becomes the outcome of the call.
func (h *replyHead) decode(head []byte) *Error {
	c := cursor{b: head}
	h.typ = ContentType(c.octet())
	if c.bad {
		return refusal(Internal, "the reply cannot be read: its head ends too early")
	}
	var err *Error
	h.metadata, err = decodeMetadata(c)
	return err
}

// metadataLen is how many bytes [appendMetadata] appends.
func metadataLen(m Metadata) int {
	n := 0
	for k, v := range m {
		n += 1 + textLen(textLen(len(k))+len(v))
	}
	return n
}

// appendMetadata appends m, one field for each entry, in the order of the keys.
func appendMetadata(b []byte, m Metadata) []byte {
	switch len(m) {
	case 0:
		return b
	case 1:
		for k, v := range m {
			b = appendMetadataEntry(b, k, v)
		}
		return b
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendMetadataEntry(b, k, m[k])
	}
	return b
}

// appendMetadataEntry appends one entry as a field.
func appendMetadataEntry(b []byte, k, v string) []byte {
	b = append(b, fieldMetadata)
	b = binary.AppendUvarint(b, uint64(textLen(len(k))+len(v)))
	b = appendText(b, k)
	return append(b, v...)
}

// decodeMetadata reads the fields that c stands at the first of, and returns
// the metadata among them.
func decodeMetadata(c cursor) (Metadata, *Error) {
	var m Metadata
	size := 0
	for len(c.b) > 0 {
		key := c.number()
		value := c.text()
		if c.bad {
			return nil, refusal(InvalidArgument, "the head of the call cannot be read: a field ends too early")
		}
		if key != fieldMetadata {
			continue
		}
		entry := cursor{b: value}
		k := entry.text()
		if entry.bad {
			return nil, refusal(InvalidArgument, "the metadata cannot be read: an entry ends too early")
		}
		if err := checkMetadataKey(k); err != nil {
			return nil, err
		}
		size += len(k) + len(entry.b)
		if size > MaxMetadataSize {
			return nil, metadataTooBig()
		}
		if m == nil {
			m = make(Metadata)
		}
		m[string(k)] = string(entry.b)
		if len(m) > MaxMetadataKeys {
			return nil, metadataTooMany()
		}
	}
	return m, nil
}

// checkMetadata returns why m cannot travel, or nil.
func checkMetadata(m Metadata) *Error {
	if len(m) == 0 {
		return nil
	}
	if len(m) > MaxMetadataKeys {
		return metadataTooMany()
	}
	size := 0
	for k, v := range m {
		if err := checkMetadataKey(k); err != nil {
			return err
		}
		size += len(k) + len(v)
	}
	if size > MaxMetadataSize {
		return metadataTooBig()
	}
	return nil
}

// checkMetadataKey returns why k cannot be a key of metadata, or nil.
func checkMetadataKey[T string | []byte](k T) *Error {
	if len(k) == 0 || len(k) > MaxMetadataKeyLen {
		return refusal(InvalidArgument, "a metadata key has %d bytes, and 1 to %d are allowed", len(k), MaxMetadataKeyLen)
	}
	for i := range len(k) {
		switch c := k[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return refusal(InvalidArgument, "the metadata key %q has a character other than a-z, 0-9, '-', '_' and '.'", k)
		}
	}
	return nil
}

func metadataTooMany() *Error {
	return refusal(ResourceExhausted, "the metadata has more than %d keys", MaxMetadataKeys)
}

func metadataTooBig() *Error {
	return refusal(ResourceExhausted, "the metadata is larger than %d bytes", MaxMetadataSize)
}

// refusal is an error for a call that was certainly not executed.
func refusal(code Code, format string, args ...any) *Error {
	err := Errorf(code, format, args...)
	err.Execution = NotExecuted
	return err
}
