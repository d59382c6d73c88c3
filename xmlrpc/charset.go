package xmlrpc

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A charset is one of those that documents come in.
type charset uint8

const (
	charsetUnknown charset = iota
	charsetUTF8
	charsetASCII
	charsetLatin1
	charset1252
	charsetUTF16 // of the order that a mark gives
	charsetUTF16LE
	charsetUTF16BE
)

// charsetNames are in lower case.
var charsetNames = map[string]charset{
	"utf-8": charsetUTF8, "utf8": charsetUTF8,
	"us-ascii": charsetASCII, "ascii": charsetASCII, "ansi_x3.4-1968": charsetASCII, "iso646-us": charsetASCII,
	"iso-8859-1": charsetLatin1, "iso8859-1": charsetLatin1, "iso_8859-1": charsetLatin1, "latin1": charsetLatin1, "latin-1": charsetLatin1, "l1": charsetLatin1,
	"windows-1252": charset1252, "cp1252": charset1252, "cp-1252": charset1252,
	"utf-16": charsetUTF16, "utf16": charsetUTF16, "utf-16le": charsetUTF16LE, "utf-16be": charsetUTF16BE,
}

// windows1252 is what 0x80 to 0x9F are; 0 is for those that are nothing.
var windows1252 = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

// toUTF8 is data in UTF-8 and without a byte order mark; data itself if that is
// what it was. The charset is that of the mark, else the declaration's, else hint,
// else UTF-8. A declaration that contradicts the mark is an error: two readers
// could understand such a document differently. The result is not checked for
// characters that XML does not have.
func toUTF8(data []byte, hint string, limit int) ([]byte, *SyntaxError) {
	switch {
	case bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")):
		data = data[3:]
		return data, checkDeclared(data, charsetUTF8)
	case bytes.HasPrefix(data, []byte("\xFF\xFE")):
		return fromUTF16(data[2:], true, limit)
	case bytes.HasPrefix(data, []byte("\xFE\xFF")):
		return fromUTF16(data[2:], false, limit)
	}

	declared := declaredEncoding(data)
	if bytes.EqualFold(declared, []byte("utf-8")) {
		return data, nil
	}
	name := string(declared)
	if name == "" {
		name = strings.TrimSpace(hint)
	}
	cs := charsetUTF8
	if name != "" {
		cs = charsetNames[strings.ToLower(name)]
	}
	switch cs {
	case charsetUTF8:
		return data, nil
	case charsetASCII:
		for i, c := range data {
			if c >= utf8.RuneSelf {
				return nil, badChar(data, i, "the document is declared as "+name+", which has no byte "+hexByte(c))
			}
		}
		return data, nil
	case charsetLatin1, charset1252:
		return fromSingleByte(data, cs, name, limit)
	case charsetUTF16LE, charsetUTF16BE:
		if len(declared) == 0 {
			return fromUTF16(data, cs == charsetUTF16LE, limit)
		}
	case charsetUnknown:
		return nil, &SyntaxError{Code: CodeUnsupportedEncoding, Msg: "unsupported charset " + quote(name) + "; use UTF-8", Line: 1}
	}
	return nil, badChar(data, 0, "the document is declared as "+name+" and is not")
}

// checkDeclared makes sure that a document with a mark declares nothing else.
func checkDeclared(data []byte, is charset) *SyntaxError {
	name := string(declaredEncoding(data))
	if name == "" {
		return nil
	}
	declared := charsetNames[strings.ToLower(name)]
	if declared == is || is == charsetUTF16 && (declared == charsetUTF16LE || declared == charsetUTF16BE) {
		return nil
	}
	return badChar(data, 0, "the document is declared as "+name+" and begins with the mark of another charset")
}

// declaredEncoding is what the XML declaration says, or nothing. Whether the
// declaration is right is for the scanner to say.
func declaredEncoding(data []byte) []byte {
	data = trimBlanks(data[:min(len(data), 1024)])
	if !bytes.HasPrefix(data, []byte("<?xml")) {
		return nil
	}
	end := bytes.Index(data, []byte("?>"))
	if end < 0 {
		return nil
	}
	_, rest, ok := bytes.Cut(data[:end], []byte("encoding"))
	if !ok {
		return nil
	}
	rest = trimBlanks(rest)
	if len(rest) == 0 || rest[0] != '=' {
		return nil
	}
	rest = trimBlanks(rest[1:])
	if len(rest) < 2 || rest[0] != '"' && rest[0] != '\'' {
		return nil
	}
	name, _, _ := bytes.Cut(rest[1:], rest[:1])
	return name
}

// fromSingleByte converts ISO-8859-1 or windows-1252.
func fromSingleByte(data []byte, cs charset, name string, limit int) ([]byte, *SyntaxError) {
	high := 0
	for _, c := range data {
		if c >= utf8.RuneSelf {
			high++
		}
	}
	if high == 0 {
		return data, nil
	}
	out := make([]byte, 0, len(data)+2*high)
	for i, c := range data {
		r := rune(c)
		if cs == charset1252 && 0x80 <= c && c <= 0x9F {
			if r = windows1252[c-0x80]; r == 0 {
				return nil, badChar(data, i, "the document is declared as "+name+", which has no byte "+hexByte(c))
			}
		}
		if out = utf8.AppendRune(out, r); len(out) > limit {
			return out, nil // the caller finds it too long
		}
	}
	return out, nil
}

// fromUTF16 converts what follows the mark.
func fromUTF16(data []byte, little bool, limit int) ([]byte, *SyntaxError) {
	out := make([]byte, 0, min(len(data), limit))
	lo, hi := 1, 0
	if little {
		lo, hi = 0, 1
	}
	unit := func(i int) rune { return rune(data[i+hi])<<8 | rune(data[i+lo]) }
	for i := 0; i < len(data); i += 2 {
		if i+1 == len(data) {
			return nil, badChar(out, len(out), "the document is UTF-16 and ends with half a character")
		}
		r := unit(i)
		if utf16.IsSurrogate(r) {
			if i+3 < len(data) {
				r = utf16.DecodeRune(r, unit(i+2))
			} else {
				r = utf8.RuneError
			}
			if r == utf8.RuneError {
				return nil, badChar(out, len(out), "the document is UTF-16 and has half of a surrogate pair")
			}
			i += 2
		}
		if out = utf8.AppendRune(out, r); len(out) > limit {
			return out, nil // the caller finds it too long
		}
	}
	return out, checkDeclared(out, charsetUTF16)
}

func badChar(data []byte, pos int, msg string) *SyntaxError {
	return &SyntaxError{Code: CodeInvalidCharacter, Msg: msg, Offset: pos, Line: lineAt(data, pos)}
}
