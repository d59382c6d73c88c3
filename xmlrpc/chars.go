package xmlrpc

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// charClass are the properties of a byte that the scanner and the writer ask for.
type charClass uint8

const (
	classBlank     charClass = 1 << iota // space, tab, CR, LF
	classNameStart                       // may begin an XML name
	className                            // may be in an XML name
	classText                            // ends or interrupts plain text that is read
	classEscape                          // cannot be written as it is
	classDigit
)

var classes = func() (t [256]charClass) {
	for c := range t {
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			t[c] |= classBlank
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == ':' || c >= 0x80:
			t[c] |= classNameStart | className
		case '0' <= c && c <= '9':
			t[c] |= classDigit | className
		case c == '-' || c == '.':
			t[c] |= className
		}
		if c < ' ' && c != '\t' && c != '\n' || c == '<' || c == '>' || c == '&' || c >= 0x80 {
			t[c] |= classEscape
		}
		if c == '<' || c == '&' || c == '\r' || c == ']' {
			t[c] |= classText
		}
	}
	return t
}()

func isBlank(c byte) bool { return classes[c]&classBlank != 0 }

// trimBlanks is b without the XML blanks around it.
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// legalRune reports whether XML 1.0 has the character.
func legalRune(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r < 0xD800:
		return true
	}
	return r >= 0xE000 && r < 0xFFFE || r >= 0x10000 && r <= utf8.MaxRune
}

// legalText is the number of bytes of b before the first that is not UTF-8 or not
// part of a character that XML has: len(b) if all of it is legal.
func legalText(b []byte) int {
	if !hasControl(b) && utf8.Valid(b) && !bytes.Contains(b, []byte("\xEF\xBF\xBE")) && !bytes.Contains(b, []byte("\xEF\xBF\xBF")) {
		return len(b)
	}
	for i := 0; i < len(b); {
		if c := b[i]; c < utf8.RuneSelf {
			if !legalRune(rune(c)) {
				return i
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 || !legalRune(r) {
			return i
		}
		i += n
	}
	return len(b)
}

// Eight bytes in a word: all ones, and all high bits.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// hasControl reports whether b has a byte below space other than tab, LF and CR.
// It looks at eight bytes at a time, since most documents are text throughout.
func hasControl(b []byte) bool {
	for len(b) >= 8 {
		if belowSpace(binary.LittleEndian.Uint64(b)) != 0 && controlIn(b[:8]) {
			return true
		}
		b = b[8:]
	}
	return controlIn(b)
}

func controlIn(b []byte) bool {
	for _, c := range b {
		if c < ' ' && !isBlank(c) {
			return true
		}
	}
	return false
}

// nameRune reports whether XML 1.0, fifth edition, has the character beyond ASCII
// in names, and whether it may begin one.
func nameRune(r rune) (start, ok bool) {
	switch {
	case r == 0xB7 || 0x300 <= r && r <= 0x36F || r == 0x203F || r == 0x2040:
		return false, true
	case 0xC0 <= r && r <= 0x2FF && r != 0xD7 && r != 0xF7,
		0x370 <= r && r <= 0x1FFF && r != 0x37E,
		r == 0x200C, r == 0x200D,
		0x2070 <= r && r <= 0x218F,
		0x2C00 <= r && r <= 0x2FEF,
		0x3001 <= r && r <= 0xD7FF,
		0xF900 <= r && r <= 0xFDCF,
		0xFDF0 <= r && r <= 0xFFFD,
		0x10000 <= r && r <= 0xEFFFF:
		return true, true
	}
	return false, false
}

// isName reports whether b is an XML name.
func isName(b []byte) bool {
	if len(b) == 0 || classes[b[0]]&classNameStart == 0 {
		return false
	}
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			if classes[b[i]]&className == 0 {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if start, ok := nameRune(r); !ok || i == 0 && !start {
			return false
		}
		i += n
	}
	return true
}
