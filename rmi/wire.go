package rmi

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// streamKind is the first byte of a stream: what the stream carries.
type streamKind byte

// streamItems carries a sequence that is an argument or a result. Kinds 1 to 3 are
// not used.
const streamItems streamKind = 4

// frameType says what a frame is.
type frameType byte

const (
	frameRequest frameType = 1
	frameReply   frameType = 2
	frameError   frameType = 3
	frameCancel  frameType = 4
	frameGoAway  frameType = 5
	framePing    frameType = 6
	framePong    frameType = 7
	frameTaken   frameType = 8
	frameItem    frameType = 9
	frameEnd     frameType = 10
	frameCredit  frameType = 11
	frameHold    frameType = 12
	frameDrop    frameType = 13
	frameForget  frameType = 14
	frameGrant   frameType = 15
)

// String returns the name that the specification uses.
func (t frameType) String() string {
	switch t {
	case frameRequest:
		return "REQUEST"
	case frameReply:
		return "REPLY"
	case frameError:
		return "ERROR"
	case frameCancel:
		return "CANCEL"
	case frameGoAway:
		return "GOAWAY"
	case framePing:
		return "PING"
	case framePong:
		return "PONG"
	case frameTaken:
		return "TAKEN"
	case frameItem:
		return "ITEM"
	case frameEnd:
		return "END"
	case frameCredit:
		return "CREDIT"
	case frameHold:
		return "HOLD"
	case frameDrop:
		return "DROP"
	case frameForget:
		return "FORGET"
	case frameGrant:
		return "GRANT"
	}
	return fmt.Sprintf("frame type %d", byte(t))
}

// The flags of a request.
const (
	// flagOneWay: no answer is wanted.
	flagOneWay byte = 0x01
	// flagTaken, with flagOneWay: TAKEN or an ERROR is wanted.
	flagTaken byte = 0x02
	// flagReplyOnly: the deadline does not bound the streams of the result.
	flagReplyOnly byte = 0x04
	// flagKeep: the result is kept for requests that build on it.
	flagKeep byte = 0x08
	// flagPromises: arguments, or the object, are results of other calls.
	flagPromises byte = 0x10
	// flagApart, of a request or a reply: the payload does not follow the head, but
	// comes as bulk data of the lane.
	flagApart byte = 0x20
)

// flagOfReply of a GRANT: the payload is a reply's, not a request's.
const flagOfReply byte = 0x01

// flagsCritical are the flags that change what a frame means: a receiver that
// does not know one must not act on the frame. flagsUnknown are those of them
// that have no meaning in a request.
const (
	flagsCritical byte = 0xf0
	flagsUnknown       = flagsCritical &^ flagPromises &^ flagApart
)

// frameHeader is what stands before the body of every frame.
type frameHeader struct {
	typ   frameType
	flags byte
	// id is the call that the frame belongs to; 0 for none.
	id uint64
	// size is the length of the body in bytes.
	size uint64
}

// maxFrameHeader is the longest encoded frame header.
const maxFrameHeader = 2 + 2*binary.MaxVarintLen64

// wireError is how a peer broke the protocol so that nobody knows how to read
// on. The session ends with it.
type wireError string

// Error returns the reason.
func (e wireError) Error() string { return string(e) }

const (
	errBadVarint   = wireError("a number is longer than 64 bits")
	errBadType     = wireError("there is no frame type 0")
	errBadHead     = wireError("a frame's head does not fit its body")
	errFrameTooBig = wireError("a frame is too large")
	errSameID      = wireError("two calls under way have the same id")
	errNotGranted  = wireError("more of a large payload came than was granted")
)

// appendFrameHeader appends h to b.
func appendFrameHeader(b []byte, h frameHeader) []byte {
	b = append(b, byte(h.typ), h.flags)
	b = binary.AppendUvarint(b, h.id)
	return binary.AppendUvarint(b, h.size)
}

// parseFrameHeader reads a header from the start of b and returns the bytes it
// takes up: 0 when b does not hold all of it yet.
func parseFrameHeader(b []byte) (frameHeader, int, error) {
	if len(b) > 0 && b[0] == 0 {
		return frameHeader{}, 0, errBadType
	}
	if len(b) < 4 {
		return frameHeader{}, 0, nil
	}
	h := frameHeader{typ: frameType(b[0]), flags: b[1]}
	n := 2
	var k int
	if h.id, k = uvarint(b[n:]); k <= 0 {
		return frameHeader{}, 0, varintError(k)
	}
	n += k
	if h.size, k = uvarint(b[n:]); k <= 0 {
		return frameHeader{}, 0, varintError(k)
	}
	return h, n + k, nil
}

// laneFrame is a frame of the lane: its header, and how many bytes of its body are
// there.
type laneFrame struct {
	frameHeader
	bodyLen int
}

// parseLaneFrame reads a frame's header from the start of b and returns the bytes
// that the frame takes up on the lane: 0 when b does not tell yet.
func parseLaneFrame(b []byte) (laneFrame, int, error) {
	h, n, err := parseFrameHeader(b)
	if err != nil || n == 0 {
		return laneFrame{}, 0, err
	}
	if h.flags&flagApart == 0 {
		if h.size > maxFrame {
			return laneFrame{}, 0, errFrameTooBig
		}
		return laneFrame{h, int(h.size)}, n + int(h.size), nil
	}
	head, k := uvarint(b[n:])
	switch {
	case k <= 0:
		return laneFrame{}, 0, varintError(k)
	case head > maxFrameHead || head+uint64(k) > h.size:
		return laneFrame{}, 0, errBadHead
	}
	return laneFrame{h, k + int(head)}, n + k + int(head), nil
}

// varintError is the error for what [uvarint] returned: none when there was too
// little to read.
func varintError(n int) error {
	if n < 0 {
		return errBadVarint
	}
	return nil
}

// uvarint is binary.Uvarint with its commonest cases in front, where they are
// inlined.
func uvarint(b []byte) (uint64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	return binary.Uvarint(b)
}

// uvarintLen returns how many bytes x takes as a varint.
func uvarintLen(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }

// appendText appends the length of s, and s.
func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// textLen is how many bytes [appendText] appends for a text of n bytes.
func textLen(n int) int { return uvarintLen(uint64(n)) + n }

// cursor reads the parts of a frame's head one after another. After the first
// part that is not there it is bad, and reads only zeros.
type cursor struct {
	b   []byte
	bad bool
}

// number reads a varint.
func (c *cursor) number() uint64 {
	x, n := uvarint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return x
}

// octet reads one byte.
func (c *cursor) octet() byte {
	if len(c.b) == 0 {
		c.bad = true
		return 0
	}
	x := c.b[0]
	c.b = c.b[1:]
	return x
}

// text reads a length and that many bytes, which it does not copy.
func (c *cursor) text() []byte {
	n := c.number()
	if n > uint64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	s := c.b[:n]
	c.b = c.b[n:]
	return s
}

// splitBody cuts a frame's body into its head and its payload.
func splitBody(body []byte) (head, payload []byte, err error) {
	n, k := uvarint(body)
	if k <= 0 || n > uint64(len(body)-k) {
		return nil, nil, errBadHead
	}
	return body[k : k+int(n)], body[k+int(n):], nil
}

// appendSmallFrame appends a frame that has no body, such as a CANCEL or a PING.
func appendSmallFrame(b []byte, typ frameType, id uint64) []byte {
	return appendFrameHeader(b, frameHeader{typ: typ, id: id})
}

// appendGrant appends the GRANT frame for the payload with that tag.
func appendGrant(b []byte, tag uint64) []byte {
	return appendFrameHeader(b, frameHeader{typ: frameGrant, flags: byte(tag) & flagOfReply, id: tag >> 1})
}

// leaving is what a GOAWAY frame says of its sender.
type leaving byte

const (
	// leavingSoon asks the peer to start no more calls.
	leavingSoon leaving = 1
	// leavingDone says that the sender will send no more requests and waits for
	// no more replies.
	leavingDone leaving = 2
	// leavingForGood says that the sender's process ends: it will not connect
	// again as this incarnation.
	leavingForGood leaving = 3
)

// appendGoAway appends a GOAWAY frame.
func appendGoAway(b []byte, l leaving) []byte {
	b = appendFrameHeader(b, frameHeader{typ: frameGoAway, size: 2})
	return append(b, 1, byte(l))
}

// decodeGoAway reads the body of a GOAWAY frame.
func decodeGoAway(body []byte) (leaving, error) {
	head, _, err := splitBody(body)
	if err != nil {
		return 0, err
	}
	if len(head) == 0 {
		return 0, errBadHead
	}
	return leaving(head[0]), nil
}
