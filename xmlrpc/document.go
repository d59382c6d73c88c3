package xmlrpc

import (
	"bytes"
	"time"
)

// document is what the scanner makes of a document: its text, in which names and
// scalars are spans, and one node for each value and member name. Values are
// decoded from it as often as wanted; nothing in it changes once it is scanned.
//
// An array is its node and then its elements. A struct is its node and then, for
// each member, the node of the name and the value. So every value is a run of
// nodes, and skipping one costs nothing.
type document struct {
	data  []byte // the document in UTF-8
	side  []byte // texts that are not in data as they are: with references, CDATA...
	nodes []node
	set   settings
	// borrowed is set if the memory is used again when the call returns, so that
	// what outlives it has to be a clone.
	borrowed bool
	// kept is set once somebody may still refer to the nodes: then they must not be
	// used again.
	kept bool
	// cloned is set if the places of the nodes are in another document.
	cloned bool
}

// settings are those of the DecodeOptions that matter after scanning.
type settings struct {
	location *time.Location
	strict   bool
	opaque   bool
}

// node is a value, or the name of a member.
type node struct {
	// start and end are the span of a scalar's text. For an array or a struct, start
	// is its place in the document and end the number of elements or members.
	start, end uint32
	// more is the place of a scalar in the document; for an array or a struct, the
	// node after its last one.
	more  uint32
	kind  Kind
	flags nodeFlags
}

type nodeFlags uint8

const (
	inSide  nodeFlags = 1 << iota // the text is in document.side
	isI1                          // an i1: 8 bits
	isI2                          // an i2: 16 bits
	isExtra                       // a plain or prefixed extension
)

// text is the text of a scalar or a name.
func (d *document) text(n *node) []byte {
	if n.flags&inSide != 0 {
		return d.side[n.start:n.end]
	}
	return d.data[n.start:n.end]
}

// after is the node after the value at i.
func (d *document) after(i uint32) uint32 {
	if k := d.nodes[i].kind; k == KindArray || k == KindStruct {
		return d.nodes[i].more
	}
	return i + 1
}

// place is where the value at i is in the document, and 0 if that is not known.
func (d *document) place(i uint32) int {
	n := &d.nodes[i]
	if d.cloned {
		return 0
	}
	if n.kind == KindArray || n.kind == KindStruct {
		return int(n.start)
	}
	return int(n.more)
}

// invalid is the error of a scalar whose text is not what its type has.
func (d *document) invalid(i uint32, msg string) *SyntaxError {
	e := &SyntaxError{Code: CodeInvalidRequest, Msg: msg, Offset: d.place(i)}
	if !d.cloned {
		e.Line = lineAt(d.data, e.Offset)
	}
	return e
}

// clone is a document with nothing but the value at i.
func (d *document) clone(i uint32) *document {
	nodes := d.nodes[i:d.after(i)]
	size := 0
	for k := range nodes {
		if n := &nodes[k]; n.kind != KindArray && n.kind != KindStruct {
			size += int(n.end - n.start)
		}
	}
	c := &document{data: make([]byte, 0, size), nodes: make([]node, len(nodes)), set: d.set, cloned: true}
	for k, n := range nodes {
		if n.kind == KindArray || n.kind == KindStruct {
			n.more -= i
		} else {
			text := d.text(&n)
			n.start = uint32(len(c.data))
			c.data = append(c.data, text...)
			n.end = uint32(len(c.data))
			n.flags &^= inSide
		}
		c.nodes[k] = n
	}
	return c
}

// lineAt is the line that pos is on, counted from 1.
func lineAt(data []byte, pos int) int {
	return 1 + bytes.Count(data[:min(pos, len(data))], []byte{'\n'})
}
