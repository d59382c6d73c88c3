package xmlrpc

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// appendText appends s with what XML needs escaped, and CR, which would otherwise
// be read as LF. What XML cannot carry is replaced by U+FFFD, or ends it.
func appendText(dst []byte, s string, replace bool) ([]byte, bool) {
	if len(s) > chunk {
		if long, ok := appendLong(dst, s); ok {
			return long, true
		}
	}
	from := 0 // what is before it has been appended
	for i := 0; i < len(s); {
		c := s[i]
		if classes[c]&classEscape == 0 {
			i++
			continue
		}
		size, text := 1, ""
		switch {
		case c == '<':
			text = "&lt;"
		case c == '>':
			text = "&gt;"
		case c == '&':
			text = "&amp;"
		case c == '\r':
			text = "&#13;"
		case c < ' ':
			text = "\uFFFD"
		default:
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 || !legalRune(r) {
				text = "\uFFFD"
				break
			}
			i += size
			continue
		}
		if text == "\uFFFD" && !replace {
			return dst, false
		}
		dst = append(dst, s[from:i]...)
		dst = append(dst, text...)
		i += size
		from = i
	}
	return append(dst, s[from:]...), true
}

// appendLong is appendText for what is legal, which it finds out as well: it looks
// at eight bytes at a time.
func appendLong(dst []byte, s string) ([]byte, bool) {
	from := 0 // what is before it has been appended
	high := uint64(0)
	for i := 0; i < len(s); {
		if i+8 <= len(s) {
			w := load(s, i)
			high |= w
			// < and > differ in one bit.
			if belowSpace(w)|hasByte(w&^(ones*2), '<')|hasByte(w, '&') == 0 {
				i += 8
				continue
			}
		}
		for end := min(i+8, len(s)); i < end; i++ {
			text, c := "", s[i]
			switch {
			case c == '<':
				text = "&lt;"
			case c == '>':
				text = "&gt;"
			case c == '&':
				text = "&amp;"
			case c == '\r':
				text = "&#13;"
			case c < ' ' && !isBlank(c):
				return dst, false
			default:
				high |= uint64(c)
				continue
			}
			dst = append(dst, s[from:i]...)
			dst = append(dst, text...)
			from = i + 1
		}
	}
	if high&highs != 0 && (!utf8.ValidString(s) || strings.Contains(s, "\uFFFE") || strings.Contains(s, "\uFFFF")) {
		return dst, false
	}
	return append(dst, s[from:]...), true
}

// load is the eight bytes of s at i.
func load(s string, i int) uint64 {
	b := s[i : i+8]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// belowSpace is not 0 if one of the bytes of w is below space.
func belowSpace(w uint64) uint64 { return (w - ones*' ') & ^w & highs }

// hasByte is not 0 if c is one of the bytes of w.
func hasByte(w uint64, c byte) uint64 {
	w ^= ones * uint64(c)
	return (w - ones) & ^w & highs
}

// badText names the first thing in s that XML cannot carry.
func badText(s string) string {
	i := legalText([]byte(s))
	if i >= len(s) {
		return "nothing"
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	if r == utf8.RuneError && size == 1 {
		return "the byte " + hexByte(s[i]) + " that is not UTF-8"
	}
	return fmt.Sprintf("the character %U", r)
}

// base64Pairs are the two characters for each 12 bits: with them base64 is written
// more than twice as fast as by encoding/base64, which looks up each one.
var base64Pairs = func() (t [1 << 12][2]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for i := range t {
		t[i] = [2]byte{alphabet[i>>6], alphabet[i&63]}
	}
	return t
}()

// appendBase64 appends v in base64, in one line.
func appendBase64(dst, v []byte) []byte {
	n := base64.StdEncoding.EncodedLen(len(v))
	at := len(dst)
	if cap(dst)-at < n {
		dst = append(make([]byte, 0, at+n+at/4+256), dst...)
	}
	dst = dst[:at+n]
	out := dst[at:]
	for len(v) >= 3 && len(out) >= 4 {
		bits := uint32(v[0])<<16 | uint32(v[1])<<8 | uint32(v[2])
		hi, lo := base64Pairs[bits>>12], base64Pairs[bits&0xFFF]
		out[0], out[1], out[2], out[3] = hi[0], hi[1], lo[0], lo[1]
		v, out = v[3:], out[4:]
	}
	base64.StdEncoding.Encode(out, v)
	return dst
}
