package transport

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// frameType is the type of a frame on the control stream.
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
	maxControl = 1024 // the largest body of a control frame, in bytes
	maxPing    = 16   // the largest body of a ping, in bytes
)

// controlFrame is a frame of the control stream.
type controlFrame struct {
	typ  frameType
	body []byte // of a ping and a pong
	id   uint32 // of a stop
	done bool   // of a close: no stream is left
}

// append adds f's bytes to b.
func (f controlFrame) append(b []byte) []byte {
	body := f.body
	switch f.typ {
	case frameClose:
		body = []byte{0}
		if f.done {
			body[0] = 1
		}
	case frameStop:
		body = binary.AppendUvarint(nil, uint64(f.id))
	}
	return appendField(b, uint64(f.typ), body)
}

// readControl reads one frame. buf holds the body and must be maxControl long;
// the frame shares it. The frame of an unknown type has nothing but the type.
func readControl(r *bufio.Reader, buf []byte) (controlFrame, error) {
	typ, err := binary.ReadUvarint(r)
	if err != nil {
		return controlFrame{}, err
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return controlFrame{}, noEOF(err)
	}
	if size > maxControl {
		return controlFrame{}, fmt.Errorf("control frame of type %d has %d bytes, and the most allowed is %d",
			typ, size, maxControl)
	}
	body := buf[:size]
	if _, err := io.ReadFull(r, body); err != nil {
		return controlFrame{}, noEOF(err)
	}
	f := controlFrame{typ: frameType(typ)}
	switch f.typ {
	case framePing, framePong:
		if len(body) > maxPing {
			return controlFrame{}, fmt.Errorf("ping has %d bytes, and the most allowed is %d", len(body), maxPing)
		}
		f.body = body
	case frameClose:
		if len(body) == 0 {
			return controlFrame{}, fmt.Errorf("close frame has no body")
		}
		f.done = body[0] == 1
	case frameStop:
		id, n := binary.Uvarint(body)
		if n <= 0 || id > 1<<32-1 {
			return controlFrame{}, fmt.Errorf("stop frame names no stream")
		}
		f.id = uint32(id)
	}
	return f, nil
}

// noEOF makes an end in the middle of a frame an error.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
