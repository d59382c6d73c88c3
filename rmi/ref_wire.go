package rmi

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"farcall.dev/naming"
)

// tagReference is the CBOR tag of a reference.
const tagReference = 1178685763

// maxRefType bounds the text that says what a reference refers to, in bytes.
const maxRefType = 255

// refTag is a reference as it travels.
type refTag struct {
	owner peerID
	id    refID
	// typ is the type of the object, for people.
	typ string
	// origin, when not nil, is the object that the owner passes calls on to.
	origin *refTag
}

// append appends t's encoding to dst.
func (t *refTag) append(dst []byte) []byte {
	return t.appendList(appendHead(dst, cborTag, tagReference), t.origin)
}

// appendList appends the list in the tag, with origin.
func (t *refTag) appendList(dst []byte, origin *refTag) []byte {
	n := uint64(4)
	if origin != nil {
		n++
	}
	dst = appendHead(dst, cborList, n)
	dst = appendTextItem(dst, string(t.owner.node))
	dst = appendHead(dst, cborUint, uint64(t.owner.incarnation))
	dst = appendBytesItem(dst, t.id[:])
	dst = appendTextItem(dst, t.typ)
	if origin != nil {
		dst = origin.appendList(dst, nil)
	}
	return dst
}

// readReference reads the reference at the start of data.
func readReference(data []byte) (t refTag, rest []byte, err error) {
	h, err := readHead(data)
	if err != nil {
		return t, nil, err
	}
	if h.major != cborTag || h.arg != tagReference {
		return t, nil, &ValueError{Want: "a reference", Got: describeItem(data)}
	}
	if rest, err = t.readList(data[h.size:], true); err != nil {
		return refTag{}, nil, err
	}
	return t, rest, nil
}

// readList reads what appendList wrote; only the outer one may have an origin.
func (t *refTag) readList(data []byte, outer bool) ([]byte, error) {
	list, err := readHead(data)
	if err != nil {
		return nil, err
	}
	if list.major != cborList || list.arg != 4 && (list.arg != 5 || !outer) {
		return nil, badReference("it is not a list of the parts of one")
	}
	data = data[list.size:]
	part := func(major byte) (itemHead, []byte) {
		var h itemHead
		if err == nil {
			h, err = readHead(data)
		}
		if err == nil && h.major != major {
			err = badReference("a part has the wrong type")
		}
		if err != nil {
			return itemHead{}, nil
		}
		if major == cborUint {
			data = data[h.size:]
			return h, nil
		}
		var body []byte
		body, data, err = h.body(data)
		return h, body
	}
	_, node := part(cborText)
	incarnation, _ := part(cborUint)
	_, id := part(cborBytes)
	_, typ := part(cborText)
	if err != nil {
		return nil, err
	}
	if _, err := naming.ParseNodeID(string(node)); err != nil {
		return nil, badReference(err.Error())
	}
	switch {
	case incarnation.arg == 0:
		return nil, badReference("its owner has no incarnation")
	case len(id) != len(t.id):
		return nil, badReference(fmt.Sprintf("its id has %d bytes, and %d are wanted", len(id), len(t.id)))
	case len(typ) > maxRefType || !utf8.Valid(typ):
		return nil, badReference(fmt.Sprintf("its type is not a text of up to %d bytes", maxRefType))
	}
	t.owner = peerID{naming.NodeID(node), naming.Incarnation(incarnation.arg)}
	copy(t.id[:], id)
	t.typ = string(typ)
	if list.arg == 5 {
		t.origin = new(refTag)
		return t.origin.readList(data, false)
	}
	return data, nil
}

// badReference says that what should be a reference is none.
func badReference(reason string) *ValueError {
	return &ValueError{Reason: "malformed reference: " + reason}
}

// arrivedRef is a reference that the library has decoded into an any. It is
// replaced before anybody else sees it.
type arrivedRef struct{ refTag }

// UnmarshalCBOR reads a reference.
func (a *arrivedRef) UnmarshalCBOR(data []byte) error {
	var err error
	a.refTag, _, err = readReference(data)
	return err
}

// refTypeName is the name of a type as references tell it.
func refTypeName(name string) string {
	return strings.ToValidUTF8(clip(name, maxRefType-3), "?")
}

// The flags of a HOLD frame.
const (
	// flagHoldFirst: with this frame the sender begins to tell all that it
	// holds.
	flagHoldFirst byte = 0x01
	// flagHoldLast: with this frame it has told all.
	flagHoldLast byte = 0x02
)

const (
	// maxReceipts bounds what one HOLD or DROP frame tells of.
	maxReceipts = 1024
	// maxReceiptCount bounds the count of one; more is cut to it.
	maxReceiptCount = 1 << 31
)

// receipt tells the owner of one reference, how often it came.
type receipt struct {
	id    refID
	count uint64
}

// appendReceipts appends a HOLD or a DROP frame of the list with this number.
func appendReceipts(b []byte, typ frameType, flags byte, list uint64, all []receipt) []byte {
	head := 0
	for _, r := range all {
		head += len(r.id) + uvarintLen(r.count)
	}
	b = appendFrameHeader(b, frameHeader{typ: typ, flags: flags, id: list, size: uint64(textLen(head))})
	b = binary.AppendUvarint(b, uint64(head))
	for _, r := range all {
		b = append(b, r.id[:]...)
		b = binary.AppendUvarint(b, r.count)
	}
	return b
}

// receipts reads the head of a HOLD or DROP frame, one receipt at a time.
func (c *cursor) receipt() (r receipt) {
	if len(c.b) < len(r.id) {
		c.bad, c.b = true, nil
		return r
	}
	copy(r.id[:], c.b)
	c.b = c.b[len(r.id):]
	r.count = min(c.number(), maxReceiptCount)
	return r
}
