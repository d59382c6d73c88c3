package xmlrpc

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// chunk is how much of a text is looked at byte by byte before the rest of it is
// searched as a whole: most texts are shorter, and searches cost more to begin.
const chunk = 48

// text reads character data up to the next start or end tag, where it leaves pos,
// and returns the node that has it. There are always two bytes at pos then.
// Comments and processing instructions are left out, CDATA and references are
// resolved, and line ends become LF: such a text is in side.
func (s *scanner) text() (n node, ok bool) {
	data, start := s.data, s.pos
	i := start
	for i < len(data) {
		if classes[data[i]]&classText == 0 {
			if i++; i-start != chunk {
				continue
			}
			// A long text: look for all that could interrupt it at once.
			n := bytes.IndexByte(data[i:], '<')
			if n < 0 {
				break
			}
			rest := data[i : i+n]
			if bytes.IndexByte(rest, '&') >= 0 || bytes.IndexByte(rest, '\r') >= 0 || bytes.Contains(rest, []byte("]]>")) {
				return s.mixedText(start)
			}
			i += n
			continue
		}
		switch data[i] {
		case '<':
			if i+1 >= len(data) {
				return n, s.ended()
			}
			if c := data[i+1]; c == '!' || c == '?' {
				return s.mixedText(start)
			}
			s.pos = i
			if i-start > s.lim.Text {
				return n, s.exceed("Text", s.lim.Text)
			}
			return node{start: uint32(start), end: uint32(i), more: uint32(start)}, true
		case ']':
			if i+2 < len(data) && data[i+1] == ']' && data[i+2] == '>' {
				return n, s.fail(CodeNotWellFormed, i, "there is a ]]> in a text")
			}
			i++
		default:
			return s.mixedText(start)
		}
	}
	return n, s.ended()
}

// mixedText is text for what cannot be taken as it is.
func (s *scanner) mixedText(start int) (n node, ok bool) {
	mark := len(s.side)
	from := start // what is before it is in side, or is left out
	s.pos = start
	for s.pos < len(s.data) {
		i := s.pos
		c := s.data[i]
		if classes[c]&classText == 0 {
			s.pos++
			continue
		}
		if c == ']' {
			if bytes.HasPrefix(s.data[i:], []byte("]]>")) {
				return n, s.fail(CodeNotWellFormed, i, "there is a ]]> in a text")
			}
			s.pos++
			continue
		}
		s.side = append(s.side, s.data[from:i]...)
		switch {
		case c == '\r':
			s.pos++
			if s.pos < len(s.data) && s.data[s.pos] == '\n' {
				s.pos++
			}
			s.side = append(s.side, '\n')
		case c == '&':
			if s.side, ok = s.reference(s.side); !ok {
				return n, false
			}
		case i+1 >= len(s.data):
			return n, s.ended()
		case s.data[i+1] == '?':
			if !s.instruction() {
				return n, false
			}
		case s.data[i+1] != '!':
			if len(s.side)-mark > s.lim.Text {
				return n, s.exceed("Text", s.lim.Text)
			}
			return node{start: uint32(mark), end: uint32(len(s.side)), more: uint32(start), flags: inSide}, true
		case bytes.HasPrefix(s.data[i:], []byte("<![CDATA[")):
			if !s.cdata() {
				return n, false
			}
		default:
			if !s.comment() {
				return n, false
			}
		}
		from = s.pos
	}
	return n, s.ended()
}

// cdata appends a CDATA section to side.
func (s *scanner) cdata() bool {
	start := s.pos + len("<![CDATA[")
	n := bytes.Index(s.data[start:], []byte("]]>"))
	if n < 0 {
		return s.ended()
	}
	s.pos = start + n + 3
	part := s.data[start : start+n]
	for {
		i := bytes.IndexByte(part, '\r')
		if i < 0 {
			break
		}
		s.side = append(append(s.side, part[:i]...), '\n')
		if part = part[i+1:]; len(part) > 0 && part[0] == '\n' {
			part = part[1:]
		}
	}
	s.side = append(s.side, part...)
	return true
}

// reference appends the character that the reference at pos stands for to dst.
func (s *scanner) reference(dst []byte) ([]byte, bool) {
	rest := s.data[s.pos+1:]
	if len(rest) > 0 && rest[0] == '#' {
		r, ok := s.charRef()
		if !ok {
			return dst, false
		}
		return utf8.AppendRune(dst, r), true
	}
	for _, e := range entities {
		if bytes.HasPrefix(rest, []byte(e.name)) {
			s.pos += 1 + len(e.name)
			return append(dst, e.char), true
		}
	}
	return dst, s.fail(CodeNotWellFormed, s.pos, "& begins no reference that XML has")
}

// entities are those that need no declaration.
var entities = [...]struct {
	name string
	char byte
}{{"lt;", '<'}, {"gt;", '>'}, {"amp;", '&'}, {"quot;", '"'}, {"apos;", '\''}}

// charRef reads a reference to a character by its number. Apache writes what is
// beyond the basic plane as two references, one for each surrogate: they are
// joined, though XML does not have it, because it can mean nothing else.
func (s *scanner) charRef() (rune, bool) {
	start := s.pos
	r, ok := s.charNumber()
	if !ok {
		return 0, false
	}
	if !s.o.Strict && 0xD800 <= r && r < 0xDC00 && bytes.HasPrefix(s.data[s.pos:], []byte("&#")) {
		low, ok := s.charNumber()
		if !ok {
			return 0, false
		}
		r = utf16.DecodeRune(r, low)
		if r == utf8.RuneError {
			return 0, s.fail(CodeInvalidCharacter, start, "a reference is to half of a surrogate pair")
		}
	}
	if !legalRune(r) {
		return 0, s.fail(CodeInvalidCharacter, start, "a reference is to a character that XML does not have")
	}
	return r, true
}

// charNumber reads &#n; or &#xh; at pos.
func (s *scanner) charNumber() (rune, bool) {
	i := s.pos + 2
	base := rune(10)
	if i < len(s.data) && s.data[i] == 'x' {
		base = 16
		i++
	}
	first := i
	var r rune
	for ; i < len(s.data); i++ {
		c := s.data[i]
		var digit rune
		switch {
		case '0' <= c && c <= '9':
			digit = rune(c - '0')
		case base == 16 && 'a' <= c|0x20 && c|0x20 <= 'f':
			digit = rune(c|0x20-'a') + 10
		case c == ';' && i > first:
			s.pos = i + 1
			return r, true
		default:
			return 0, s.fail(CodeNotWellFormed, s.pos, "a reference to a character has a wrong number")
		}
		if r = r*base + digit; r > utf8.MaxRune {
			r = utf8.MaxRune + 1 // stays beyond, and cannot overflow
		}
	}
	return 0, s.ended()
}
