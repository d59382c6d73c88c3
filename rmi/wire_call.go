package rmi

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// The keys of the fields in the heads of requests and replies. A receiver skips
// the keys it does not know.
const (
	fieldMetadata = 1
	fieldTrail    = 2
	fieldStreams  = 3
	fieldPromise  = 4
	fieldToken    = 5
)

// callFields are what the head of a request or a reply holds besides its fixed
// parts. A reply has metadata and streams only.
type callFields struct {
	metadata Metadata
	trail    Trail
	// streams counts the item streams that the payload brings.
	streams  int
	promises []promiseUse
	token    callToken
}

// callToken makes a request recognisable when it comes again. The zero value is
// that of a request that has none.
type callToken struct {
	// seq is the number of the call, from 1; least is the smallest number whose
	// answer the caller still waits for.
	seq, least uint64
}

// promiseUse says that a part of a request is the result of another call.
type promiseUse struct {
	// arg is 0 for the object, or the argument's number from 1.
	arg int
	// call is the id of the call whose result is meant, and result which of its
	// results, from 1; 0 for the whole.
	call   uint64
	result int
	// of is that call where it was made; it does not travel.
	of *started
}

// requestHead is the head of a REQUEST frame. Decoded, its names share the
// memory of the frame.
type requestHead struct {
	// timeout is the time that is left; 0 for no deadline.
	timeout time.Duration
	object  []byte
	method  []byte
	typ     ContentType
	callFields
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
// a small call the caller appends it, that of a large one comes apart.
func appendRequest(b []byte, id uint64, timeout time.Duration, call *Call) []byte {
	micros := timeoutMicros(timeout)
	head := uvarintLen(micros) + textLen(len(call.Object)) + textLen(len(call.Method)) + 1 + metadataLen(call.Metadata)
	extra := call.extraLen()
	b = appendFrameHeader(b, frameHeader{
		typ: frameRequest, flags: call.flags(), id: id,
		size: uint64(textLen(head+extra) + len(call.Args.Data)),
	})
	b = binary.AppendUvarint(b, uint64(head+extra))
	b = binary.AppendUvarint(b, micros)
	b = appendText(b, call.Object)
	b = appendText(b, call.Method)
	b = append(b, byte(call.Args.Type))
	b = appendMetadata(b, call.Metadata)
	if extra > 0 {
		b = call.appendExtra(b)
	}
	return b
}

// appendRequestApart appends the frame of a request whose payload comes apart.
func appendRequestApart(b []byte, id uint64, timeout time.Duration, call *Call) []byte {
	start := len(b)
	b = appendRequest(b, id, timeout, call)
	b[start+1] |= flagApart
	return b
}

// flags returns those of call's request.
func (call *Call) flags() byte {
	var f byte
	switch call.Way {
	case OneWay:
		f = flagOneWay
	case OneWayTaken:
		f = flagOneWay | flagTaken
	}
	if call.replyOnly {
		f |= flagReplyOnly
	}
	if call.keep != nil {
		f |= flagKeep
	}
	if len(call.uses()) > 0 {
		f |= flagPromises
	}
	return f
}

// extraLen is how many bytes appendExtra appends; 0 for most calls.
func (call *Call) extraLen() int {
	n := 0
	if !call.Trail.empty() {
		n += 1 + textLen(call.Trail.wireLen())
	}
	if k := len(call.Args.streams); k > 0 {
		n += 1 + textLen(uvarintLen(uint64(k)))
	}
	for _, p := range call.uses() {
		n += 1 + textLen(p.wireLen())
	}
	if t := call.token; t.seq != 0 {
		n += 1 + textLen(uvarintLen(t.seq)+uvarintLen(t.least))
	}
	return n
}

// appendExtra appends the fields of call's head other than metadata.
func (call *Call) appendExtra(b []byte) []byte {
	if !call.Trail.empty() {
		b = binary.AppendUvarint(append(b, fieldTrail), uint64(call.Trail.wireLen()))
		b = call.Trail.appendTo(b)
	}
	b = appendStreams(b, len(call.Args.streams))
	for _, p := range call.uses() {
		b = binary.AppendUvarint(append(b, fieldPromise), uint64(p.wireLen()))
		b = binary.AppendUvarint(b, uint64(p.arg))
		b = binary.AppendUvarint(b, p.call)
		b = binary.AppendUvarint(b, uint64(p.result))
	}
	if t := call.token; t.seq != 0 {
		b = binary.AppendUvarint(append(b, fieldToken), uint64(uvarintLen(t.seq)+uvarintLen(t.least)))
		b = binary.AppendUvarint(b, t.seq)
		b = binary.AppendUvarint(b, t.least)
	}
	return b
}

// wireLen is how many bytes the three numbers of p take.
func (p promiseUse) wireLen() int {
	return uvarintLen(uint64(p.arg)) + uvarintLen(p.call) + uvarintLen(uint64(p.result))
}

// appendStreams appends the field that says that n item streams come along.
func appendStreams(b []byte, n int) []byte {
	if n == 0 {
		return b
	}
	b = binary.AppendUvarint(append(b, fieldStreams), uint64(uvarintLen(uint64(n))))
	return binary.AppendUvarint(b, uint64(n))
}

// streamsLen is how many bytes appendStreams appends.
func streamsLen(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + textLen(uvarintLen(uint64(n)))
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
	h.callFields = callFields{}
	switch {
	case c.bad:
		return refusal(InvalidArgument, "the request cannot be read: its head ends too early")
	case len(h.object) > MaxObjectLen:
		return refusal(InvalidArgument, "the object's name has %d bytes, and the longest allowed is %d", len(h.object), MaxObjectLen)
	case len(h.method) > MaxMethodLen:
		return refusal(InvalidArgument, "the method's name has %d bytes, and the longest allowed is %d", len(h.method), MaxMethodLen)
	}
	return h.callFields.decode(c)
}

// replyHead is the head of a REPLY frame.
type replyHead struct {
	typ ContentType
	callFields
}

// appendReply appends the frame of a reply, all but the result itself.
func appendReply(b []byte, id uint64, r *Reply) []byte {
	head := 1 + metadataLen(r.Metadata) + streamsLen(len(r.Result.streams))
	b = appendFrameHeader(b, frameHeader{
		typ: frameReply, id: id,
		size: uint64(textLen(head) + len(r.Result.Data)),
	})
	b = binary.AppendUvarint(b, uint64(head))
	b = append(b, byte(r.Result.Type))
	b = appendMetadata(b, r.Metadata)
	return appendStreams(b, len(r.Result.streams))
}

// appendReplyApart appends the frame of a reply whose payload comes apart.
func appendReplyApart(b []byte, id uint64, r *Reply) []byte {
	start := len(b)
	b = appendReply(b, id, r)
	b[start+1] |= flagApart
	return b
}

// decode reads the head of a reply. Its error becomes the outcome of the call.
func (h *replyHead) decode(head []byte) *Error {
	c := cursor{b: head}
	h.typ = ContentType(c.octet())
	if c.bad {
		return refusal(Internal, "the reply cannot be read: its head ends too early")
	}
	return h.callFields.decode(c)
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

// decode reads the fields that c stands at the first of.
func (f *callFields) decode(c cursor) *Error {
	size := 0
	for len(c.b) > 0 {
		key := c.number()
		value := c.text()
		if c.bad {
			return refusal(InvalidArgument, "the head of the call cannot be read: a field ends too early")
		}
		v := cursor{b: value}
		var err *Error
		switch key {
		case fieldMetadata:
			err = f.metadataEntry(v, &size)
		case fieldTrail:
			err = f.trail.decode(v)
		case fieldStreams:
			n := v.number()
			if n > MaxStreamsPerCall {
				return refusal(ResourceExhausted, "the call brings %d item streams, and at most %d may come along", n, MaxStreamsPerCall)
			}
			f.streams = int(n)
			err = v.short("the number of item streams")
		case fieldPromise:
			p := promiseUse{arg: v.small(), call: v.number(), result: v.small()}
			if len(f.promises) == maxPromiseUses {
				return refusal(ResourceExhausted, "the call uses more than %d results of others", maxPromiseUses)
			}
			f.promises = append(f.promises, p)
			err = v.short("a promise")
		case fieldToken:
			if f.token = (callToken{seq: v.number(), least: v.number()}); f.token.seq == 0 {
				f.token.least = 0
			}
			err = v.short("the sequence number")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// small reads a number that must fit 31 bits.
func (c *cursor) small() int {
	x := c.number()
	if x > 1<<31-1 {
		c.bad = true
		return 0
	}
	return int(x)
}

// short says that what c read ended too early, if it did.
func (c *cursor) short(what string) *Error {
	if !c.bad {
		return nil
	}
	return refusal(InvalidArgument, "the head of the call cannot be read: %s ends too early", what)
}

// metadataEntry reads one entry of metadata; size is that of all so far.
func (f *callFields) metadataEntry(entry cursor, size *int) *Error {
	k := entry.text()
	if entry.bad {
		return refusal(InvalidArgument, "the metadata cannot be read: an entry ends too early")
	}
	if err := checkMetadataKey(k); err != nil {
		return err
	}
	if *size += len(k) + len(entry.b); *size > MaxMetadataSize {
		return metadataTooBig()
	}
	if f.metadata == nil {
		f.metadata = make(Metadata)
	}
	f.metadata[string(k)] = string(entry.b)
	if len(f.metadata) > MaxMetadataKeys {
		return metadataTooMany()
	}
	return nil
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
