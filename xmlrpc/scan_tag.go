package xmlrpc

import (
	"bytes"
	"hash/maphash"
)

// element is one of the elements that XML-RPC has.
type element uint8

const (
	elemUnknown element = iota
	elemMethodCall
	elemMethodName
	elemMethodResponse
	elemParams
	elemParam
	elemFault
	elemValue
	elemArray
	elemData
	elemStruct
	elemMember
	elemName
	elemInt
	elemI8
	elemI1
	elemI2
	elemBoolean
	elemString
	elemDouble
	elemDateTime
	elemBase64
	elemNil
	elemFloat
	elemBigInteger
	elemBigDecimal
	elemExDateTime
	elemDOM
	elemSerializable
)

// standardElement is the element with the name.
func standardElement(name []byte) element {
	switch string(name) {
	case "value":
		return elemValue
	case "member":
		return elemMember
	case "name":
		return elemName
	case "int", "i4":
		return elemInt
	case "string":
		return elemString
	case "struct":
		return elemStruct
	case "array":
		return elemArray
	case "data":
		return elemData
	case "boolean":
		return elemBoolean
	case "double":
		return elemDouble
	case "dateTime.iso8601":
		return elemDateTime
	case "base64":
		return elemBase64
	case "param":
		return elemParam
	case "params":
		return elemParams
	case "methodCall":
		return elemMethodCall
	case "methodName":
		return elemMethodName
	case "methodResponse":
		return elemMethodResponse
	case "fault":
		return elemFault
	}
	return elemUnknown
}

// extensionElement is the extension with the name, less its prefix.
func extensionElement(name []byte) element {
	switch string(name) {
	case "nil":
		return elemNil
	case "i8":
		return elemI8
	case "i1":
		return elemI1
	case "i2":
		return elemI2
	case "float":
		return elemFloat
	case "biginteger":
		return elemBigInteger
	case "bigdecimal":
		return elemBigDecimal
	case "dateTime":
		return elemExDateTime
	case "dom":
		return elemDOM
	case "serializable":
		return elemSerializable
	}
	return elemUnknown
}

// tag is a start tag that was read.
type tag struct {
	elem  element
	empty bool // it is its own end tag
	bound int  // how many bindings were in scope around it
	span       // its name
}

// toTag skips blanks, comments and processing instructions up to the next start or
// end tag, where it leaves pos, with at least one byte to follow. Where elements
// are expected there is no other text.
func (s *scanner) toTag() bool {
	for {
		for s.pos < len(s.data) && isBlank(s.data[s.pos]) {
			s.pos++
		}
		if s.pos+1 >= len(s.data) {
			return s.ended()
		}
		if s.data[s.pos] == '<' {
			switch s.data[s.pos+1] {
			case '?':
				if !s.instruction() {
					return false
				}
				continue
			case '!':
				if bytes.HasPrefix(s.data[s.pos:], []byte("<!--")) {
					if !s.comment() {
						return false
					}
					continue
				}
			default:
				return true
			}
		}
		mark := len(s.side)
		n, ok := s.text()
		if !ok || !s.blank(n) {
			return false
		}
		s.side = s.side[:mark]
	}
}

// blank makes sure that a text has nothing but blanks.
func (s *scanner) blank(n node) bool {
	text := s.data
	if n.flags&inSide != 0 {
		text = s.side
	}
	if len(trimBlanks(text[n.start:n.end])) > 0 {
		return s.fail(CodeInvalidRequest, int(n.more), "there is text where only elements may be")
	}
	return true
}

// atEnd reports whether pos is at an end tag.
func (s *scanner) atEnd() bool { return s.data[s.pos+1] == '/' }

// open reads the start tag at pos.
func (s *scanner) open() (t tag, ok bool) {
	if s.elements++; s.elements > s.lim.Elements {
		return t, s.exceed("Elements", s.lim.Elements)
	}
	t.bound = len(s.bindings)
	i := s.pos + 1
	t.start = i
	for i < len(s.data) && classes[s.data[i]]&className != 0 {
		i++
	}
	t.end = i
	if i+1 >= len(s.data) {
		return t, s.ended()
	}
	name := s.data[t.start:t.end]
	switch {
	case s.data[i] == '>':
		s.pos = i + 1
	case s.data[i] == '/' && s.data[i+1] == '>':
		s.pos = i + 2
		t.empty = true
	default:
		s.pos = i
		if t.empty, ok = s.attributes(); !ok {
			return t, false
		}
	}
	if t.elem = standardElement(name); t.elem == elemUnknown {
		if !isName(name) {
			return t, s.fail(CodeNotWellFormed, t.start-1, "< begins neither a tag nor a comment")
		}
		t.elem = s.extension(name)
	}
	if t.empty {
		s.bindings = s.bindings[:t.bound]
	}
	return t, true
}

// extension is the extension that a name, which is none of the standard's, is for:
// without a prefix, with one that is bound to Apache's namespace, or with ex, which
// xmlrpc-c sends without binding it.
func (s *scanner) extension(name []byte) element {
	prefix, local, ok := bytes.Cut(name, []byte{':'})
	if !ok {
		return extensionElement(name)
	}
	for i := len(s.bindings) - 1; i >= 0; i-- {
		if b := s.bindings[i]; bytes.Equal(prefix, s.data[b.prefix.start:b.prefix.end]) {
			if b.apache {
				return extensionElement(local)
			}
			return elemUnknown
		}
	}
	if string(prefix) == "ex" {
		return extensionElement(local)
	}
	return elemUnknown
}

// close reads the end tag of t, which must be at pos, unless t is its own.
func (s *scanner) close(t tag) bool {
	if t.empty {
		return true
	}
	name := s.data[t.start:t.end]
	i := s.pos + 2
	end := i + len(name)
	if end >= len(s.data) || string(s.data[i:end]) != string(name) {
		return s.wrongEnd(name)
	}
	if s.data[end] != '>' {
		end = s.skipBlanks(end)
		if end >= len(s.data) {
			return s.ended()
		}
		if s.data[end] != '>' {
			return s.wrongEnd(name)
		}
	}
	s.bindings = s.bindings[:t.bound]
	s.pos = end + 1
	return true
}

// wrongEnd is the error of an end tag that is not the one for name.
func (s *scanner) wrongEnd(name []byte) bool {
	if bytes.IndexByte(s.data[s.pos:], '>') < 0 {
		return s.ended()
	}
	return s.fail(CodeNotWellFormed, s.pos, "</"+string(name)+"> is expected here")
}

// closeEmpty reads the end tag of t, which has nothing more in it.
func (s *scanner) closeEmpty(t tag) bool {
	if t.empty {
		return true
	}
	if !s.toTag() {
		return false
	}
	if !s.atEnd() {
		return s.unexpected("nothing more may be in <" + string(s.data[t.start:t.end]) + ">")
	}
	return s.close(t)
}

// unexpected is the error of the start tag at pos, if that is a tag at all.
func (s *scanner) unexpected(msg string) bool {
	pos := s.pos
	if _, ok := s.open(); !ok {
		return false
	}
	return s.fail(CodeInvalidRequest, pos, msg)
}

// attributes reads the attributes of a start tag and its end. They mean nothing in
// XML-RPC, except for the declarations of namespaces.
func (s *scanner) attributes() (empty, ok bool) {
	s.attrs = s.attrs[:0]
	for {
		before := s.pos
		i := s.skipBlanks(before)
		if i+1 >= len(s.data) {
			return false, s.ended()
		}
		if s.data[i] == '>' {
			s.pos = i + 1
			break
		}
		if s.data[i] == '/' {
			if s.data[i+1] != '>' {
				return false, s.fail(CodeNotWellFormed, i, "a / is not at the end of its tag")
			}
			s.pos = i + 2
			empty = true
			break
		}
		if i == before {
			return false, s.fail(CodeNotWellFormed, i, "a tag has a character that names do not have")
		}
		s.pos = i
		if !s.attribute() {
			return false, false
		}
		if s.elements++; s.elements > s.lim.Elements {
			return false, s.exceed("Elements", s.lim.Elements)
		}
	}
	at, twice := s.seen.duplicate(len(s.attrs), func(i int) []byte { return s.data[s.attrs[i].start:s.attrs[i].end] })
	if twice {
		return false, s.fail(CodeNotWellFormed, s.attrs[at].start, "a tag has the same attribute twice")
	}
	return empty, true
}

// attribute reads one attribute.
func (s *scanner) attribute() bool {
	start := s.pos
	i := start
	for i < len(s.data) && classes[s.data[i]]&className != 0 {
		i++
	}
	name := s.data[start:i]
	if !isName(name) {
		return s.fail(CodeNotWellFormed, start, "an attribute has no name")
	}
	s.attrs = append(s.attrs, span{start, i})
	i = s.skipBlanks(i)
	if i >= len(s.data) {
		return s.ended()
	}
	if s.data[i] != '=' {
		return s.fail(CodeNotWellFormed, i, "an attribute has no value")
	}
	i = s.skipBlanks(i + 1)
	if i >= len(s.data) {
		return s.ended()
	}
	quote := s.data[i]
	if quote != '"' && quote != '\'' {
		return s.fail(CodeNotWellFormed, i, "the value of an attribute has no quotes")
	}
	i++
	n := bytes.IndexByte(s.data[i:], quote)
	if n < 0 {
		return s.ended()
	}
	value := s.data[i : i+n]
	if k := bytes.IndexByte(value, '<'); k >= 0 {
		return s.fail(CodeNotWellFormed, i+k, "the value of an attribute has a < in it")
	}
	var ok bool
	if bytes.IndexByte(value, '&') >= 0 {
		if value, ok = s.attributeText(i, i+n); !ok {
			return false
		}
	}
	s.pos = i + n + 1
	if prefix, ok := bytes.CutPrefix(name, []byte("xmlns:")); ok {
		if len(s.bindings) >= maxBindings {
			return s.exceed("Namespaces", maxBindings)
		}
		s.bindings = append(s.bindings, binding{
			prefix: span{start + len(name) - len(prefix), start + len(name)},
			apache: string(value) == apacheNamespace,
		})
	}
	return true
}

// attributeText is the value of an attribute that has references.
func (s *scanner) attributeText(start, end int) ([]byte, bool) {
	value := s.side[len(s.side):]
	for s.pos = start; s.pos < end; {
		if c := s.data[s.pos]; c != '&' {
			value = append(value, c)
			s.pos++
			continue
		}
		var ok bool
		if value, ok = s.reference(value); !ok {
			return nil, false
		}
	}
	return value, true
}

// nameTable finds duplicates among names. It is keyed with a random seed, so that
// no document can make it slow.
type nameTable struct {
	seed  maphash.Seed
	slots []uint32 // the number of a name and 1, or 0
}

// fewNames is how many names are compared with one another.
const fewNames = 8

// duplicate returns the first of n names that is the same as an earlier one.
func (t *nameTable) duplicate(n int, name func(int) []byte) (int, bool) {
	if n <= fewNames {
		for i := 1; i < n; i++ {
			for k := range i {
				if bytes.Equal(name(i), name(k)) {
					return i, true
				}
			}
		}
		return 0, false
	}
	size := 32
	for size < 2*n {
		size *= 2
	}
	if cap(t.slots) < size {
		t.slots = make([]uint32, size)
	} else {
		t.slots = t.slots[:size]
		clear(t.slots)
	}
	for i := range n {
		b := name(i)
		at := int(maphash.Bytes(t.seed, b)) & (size - 1)
		for ; t.slots[at] != 0; at = (at + 1) & (size - 1) {
			if bytes.Equal(name(int(t.slots[at]-1)), b) {
				return i, true
			}
		}
		t.slots[at] = uint32(i + 1)
	}
	return 0, false
}
