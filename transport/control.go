package transport

import (
	"encoding/binary"
	"fmt"
)

// frameType is the type of a control frame.
type frameType uint64

const (
	framePing    frameType = 1
	framePong    frameType = 2
	frameGoAway  frameType = 3
	frameSettled frameType = 4
	frameClose   frameType = 5
	frameStop    frameType = 6
)

const (
	maxControl = 1024 // the longest control frame, in bytes; at most readStart
	maxPing    = 16   // the largest body of a ping, in bytes
)

var (
	errControl     = fmt.Errorf("%w: a control frame has no type, or more than %d bytes", ErrProtocol, maxControl)
	errControlBody = fmt.Errorf("%w: the body of a control frame does not fit its type", ErrProtocol)
)

// controlFrame is what one side's session says to the other's.
type controlFrame struct {
	typ  frameType
	body []byte // of a ping and a pong
	id   uint32 // of a stop
	done bool   // of a close: no stream is left
}

// append adds f's record to b.
func (f controlFrame) append(b []byte) []byte {
	start := len(b)
	b = binary.AppendUvarint(append(b, make([]byte, laneHeader)...), uint64(f.typ))
	switch f.typ {
	case framePing, framePong:
		b = append(b, f.body...)
	case frameClose:
		if f.done {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	case frameStop:
		b = binary.AppendUvarint(b, uint64(f.id))
	}
	putRecord(b[start:], recordControl, len(b)-start-laneHeader)
	return b
}

// parseControl reads a frame, whose body shares b. The frame of an unknown type
// has nothing but the type.
func parseControl(b []byte) (controlFrame, error) {
	typ, n := binary.Uvarint(b)
	if n <= 0 {
		return controlFrame{}, errControl
	}
	body := b[n:]
	f := controlFrame{typ: frameType(typ)}
	switch f.typ {
	case framePing, framePong:
		if len(body) > maxPing {
			return controlFrame{}, errControlBody
		}
		f.body = body
	case frameClose:
		if len(body) == 0 {
			return controlFrame{}, errControlBody
		}
		f.done = body[0] == 1
	case frameStop:
		id, n := binary.Uvarint(body)
		if n <= 0 || id > 1<<32-1 {
			return controlFrame{}, errControlBody
		}
		f.id = uint32(id)
	}
	return f, nil
}
