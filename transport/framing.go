package transport

import "encoding/binary"

// Records that are not yamux's begin with their kind, and the length of what
// follows, three bytes. yamux's frames begin with 0.
const (
	// recordLane carries some of the lane's bytes.
	recordLane = 1
	// recordPiece carries a tag, of eight bytes, and bulk data of that tag.
	recordPiece = 2
	// recordTaken says how many bytes of bulk data have arrived since the
	// beginning, in eight bytes.
	recordTaken = 3
	// recordControl carries a control frame, see controlFrame.
	recordControl = 4
	// maxRecordKind is the last kind that there may ever be; those up to it that
	// are not known are skipped, so that versions can meet.
	maxRecordKind = 15

	// maxRecordBody is the longest that may follow a record's header.
	maxRecordBody = 1<<24 - 1

	laneHeader  = 4
	pieceHeader = laneHeader + 8
)

// putRecord writes the header of a record of n bytes to the first bytes of b.
func putRecord(b []byte, kind byte, n int) {
	b[0], b[1], b[2], b[3] = kind, byte(n>>16), byte(n>>8), byte(n)
}

// recordSize returns the length that a record's header says.
func recordSize(b []byte) int { return int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }

// framing follows the boundaries of yamux's frames in a run of bytes that may
// be cut anywhere.
type framing struct {
	header [yamuxHeader]byte
	have   int    // bytes of the header that are here
	body   uint32 // bytes of the body still to come
}

// yamuxHeader is the length of a frame's header: version, type, flags (2),
// stream (4), length (4). Only frames of type 0 have a body.
const yamuxHeader = 12

func (f *framing) advance(p []byte) {
	for len(p) > 0 {
		if f.body > 0 {
			n := min(uint32(len(p)), f.body)
			f.body -= n
			p = p[n:]
			continue
		}
		n := copy(f.header[f.have:], p)
		p = p[n:]
		if f.have += n; f.have == yamuxHeader {
			f.have = 0
			if f.header[1] == 0 {
				f.body = binary.BigEndian.Uint32(f.header[8:])
			}
		}
	}
}

// whole reports whether the bytes so far are whole frames.
func (f *framing) whole() bool { return f.have == 0 && f.body == 0 }
