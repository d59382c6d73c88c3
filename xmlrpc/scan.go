package xmlrpc

import (
	"bytes"
	"hash/maphash"
	"strconv"
	"sync"
	"time"
)

// scanner reads one document into nodes. It knows the grammar of XML-RPC and no
// other, so that it sees each byte once, and allocates nothing but what the nodes
// and the texts with references take. What it accepts is well-formed XML.
//
// Methods that read something return false once err is set, and are not called
// again after that.
type scanner struct {
	data  []byte
	pos   int
	side  []byte
	nodes []node
	err   error

	o        *DecodeOptions
	lim      Limits // with the defaults filled in
	depth    int
	elements int

	bindings []binding // of namespace prefixes in scope, the innermost last
	attrs    []span    // names of the attributes of one tag
	starts   []uint32  // nodes where the parameters begin
	names    []uint32  // nodes of the names of the members of one struct
	seen     nameTable
}

// span is a part of the document.
type span struct{ start, end int }

// binding is a namespace prefix that was declared.
type binding struct {
	prefix span
	apache bool
}

const (
	defaultBytes    = 16 << 20
	defaultDepth    = 64
	defaultElements = 2_000_000
	defaultNumber   = 1000

	maxBytes    = 1 << 30
	maxDepth    = 1000
	maxBindings = 64 // in scope; known implementations declare one
	maxMethod   = 255
)

const apacheNamespace = "http://ws.apache.org/xmlrpc/namespaces/extensions"

// withDefaults fills in what is not set.
func (l Limits) withDefaults() Limits {
	set := func(p *int, def, most int) {
		switch {
		case *p == 0:
			*p = def
		case *p < 0 || *p > most:
			*p = most
		}
	}
	set(&l.Bytes, defaultBytes, maxBytes)
	set(&l.Depth, defaultDepth, maxDepth)
	set(&l.Elements, defaultElements, maxBytes)
	set(&l.Text, l.Bytes, maxBytes)
	set(&l.Number, defaultNumber, maxBytes)
	return l
}

// scanners keeps scanners with the memory they have grown.
var scanners = sync.Pool{New: func() any { return &scanner{seen: nameTable{seed: maphash.MakeSeed()}} }}

// maxKept is how many bytes of nodes, or of side texts, a scanner may take back
// into the pool.
const maxKept = 1 << 20

// free gives the scanner back. Nothing may refer to its memory any more.
func (s *scanner) free() {
	if cap(s.nodes)*16 > maxKept {
		s.nodes = nil
	}
	if cap(s.side) > maxKept {
		s.side = nil
	}
	if cap(s.seen.slots)*4 > maxKept {
		s.seen.slots = nil
	}
	if cap(s.attrs)*16 > maxKept {
		s.attrs = nil
	}
	if cap(s.names)*4 > maxKept {
		s.names = nil
	}
	if cap(s.starts)*4 > maxKept {
		s.starts = nil
	}
	*s = scanner{nodes: s.nodes[:0], names: s.names[:0], starts: s.starts[:0], side: s.side[:0], bindings: s.bindings[:0], attrs: s.attrs[:0], seen: s.seen}
	scanners.Put(s)
}

// newScanner returns a scanner at the root element of data, past the declaration.
func newScanner(data []byte, o *DecodeOptions) (*scanner, error) {
	lim := o.Limits.withDefaults()
	if len(data) > lim.Bytes {
		return nil, &LimitError{Name: "Bytes", Limit: lim.Bytes, Offset: lim.Bytes}
	}
	text, bad := toUTF8(data, o.Charset, lim.Bytes)
	if bad != nil {
		return nil, bad
	}
	if len(text) > lim.Bytes {
		return nil, &LimitError{Name: "Bytes", Limit: lim.Bytes, Offset: lim.Bytes}
	}
	if n := legalText(text); n < len(text) {
		return nil, badChar(text, n, "the document has a byte "+hexByte(text[n])+" that is not UTF-8, or part of a character that XML does not have")
	}
	s := scanners.Get().(*scanner)
	s.data, s.o, s.lim = text, o, lim
	if !s.prolog() {
		err := s.err
		s.free()
		return nil, err
	}
	return s, nil
}

// finish checks that nothing follows the root element, and returns the document.
// With borrow it uses the scanner's memory; otherwise it has its own.
func (s *scanner) finish(borrow bool) (*document, bool) {
	if !s.misc() {
		return nil, false
	}
	if s.pos < len(s.data) {
		return nil, s.fail(CodeNotWellFormed, s.pos, "there is something after the end of the document")
	}
	d := &document{data: s.data, side: s.side, nodes: s.nodes, borrowed: borrow}
	d.set = settings{location: s.o.Location, strict: s.o.Strict, opaque: s.o.Opaque}
	if d.set.location == nil {
		d.set.location = time.UTC
	}
	if !borrow {
		d.side, d.nodes = bytes.Clone(s.side), append([]node(nil), s.nodes...)
	}
	return d, true
}

// fail sets the error. It returns false, for its callers to do so.
func (s *scanner) fail(code, pos int, msg string) bool {
	if s.err == nil {
		s.err = &SyntaxError{Code: code, Msg: msg, Offset: pos, Line: lineAt(s.data, pos)}
	}
	return false
}

func (s *scanner) exceed(name string, limit int) bool {
	if s.err == nil {
		s.err = &LimitError{Name: name, Limit: limit, Offset: s.pos}
	}
	return false
}

// ended is the error of a document that ends too early.
func (s *scanner) ended() bool {
	return s.fail(CodeNotWellFormed, len(s.data), "the document ends too early")
}

// prolog reads what precedes the root element.
func (s *scanner) prolog() bool {
	start := s.skipBlanks(0)
	if bytes.HasPrefix(s.data[start:], []byte("<?xml")) && len(s.data) > start+5 && isBlank(s.data[start+5]) {
		if start > 0 && s.o.Strict {
			return s.fail(CodeNotWellFormed, 0, "there are blanks before the XML declaration")
		}
		if !s.declaration(start + 5) {
			return false
		}
	}
	if !s.misc() {
		return false
	}
	if s.pos >= len(s.data) {
		return s.fail(CodeNotWellFormed, s.pos, "the document is empty")
	}
	if s.data[s.pos] != '<' {
		return s.fail(CodeNotWellFormed, s.pos, "the document does not begin with an element")
	}
	return true
}

// declaration reads the attributes of an XML declaration and its end. The
// encoding has been dealt with.
func (s *scanner) declaration(pos int) bool {
	step := 0
	for _, want := range []string{"version", "encoding", "standalone"} {
		blank := pos
		pos = s.skipBlanks(pos)
		if !bytes.HasPrefix(s.data[pos:], []byte(want)) {
			if step == 0 {
				return s.fail(CodeNotWellFormed, pos, "the XML declaration has no version")
			}
			pos = blank
			continue
		}
		if pos == blank {
			return s.fail(CodeNotWellFormed, pos, "the XML declaration lacks a blank")
		}
		step++
		pos = s.skipBlanks(pos + len(want))
		if pos >= len(s.data) || s.data[pos] != '=' {
			return s.fail(CodeNotWellFormed, pos, "the XML declaration lacks a =")
		}
		pos = s.skipBlanks(pos + 1)
		if pos >= len(s.data) || s.data[pos] != '"' && s.data[pos] != '\'' {
			return s.fail(CodeNotWellFormed, pos, "the XML declaration lacks a quote")
		}
		n := bytes.IndexByte(s.data[pos+1:], s.data[pos])
		if n < 0 {
			return s.ended()
		}
		value := string(s.data[pos+1 : pos+1+n])
		switch {
		case want == "version" && value != "1.0",
			want == "standalone" && value != "yes" && value != "no",
			want == "encoding" && !isEncodingName(value):
			return s.fail(CodeNotWellFormed, pos, "the XML declaration has "+want+" "+quote(value))
		}
		pos += n + 2
	}
	pos = s.skipBlanks(pos)
	if !bytes.HasPrefix(s.data[pos:], []byte("?>")) {
		return s.fail(CodeNotWellFormed, pos, "the XML declaration does not end where it should")
	}
	s.pos = pos + 2
	return true
}

func isEncodingName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '.' || c == '_' || c == '-')) {
			return false
		}
	}
	return name != ""
}

// misc skips what may stand outside the root element: blanks, comments and
// processing instructions. It leaves pos at the next element or the end.
func (s *scanner) misc() bool {
	for {
		s.pos = s.skipBlanks(s.pos)
		if s.pos+1 >= len(s.data) || s.data[s.pos] != '<' {
			return true
		}
		switch s.data[s.pos+1] {
		case '!':
			if bytes.HasPrefix(s.data[s.pos:], []byte("<![CDATA[")) {
				return s.fail(CodeNotWellFormed, s.pos, "there is text outside of the document's element")
			}
			if !s.comment() {
				return false
			}
		case '?':
			if !s.instruction() {
				return false
			}
		default:
			return true
		}
	}
}

func (s *scanner) skipBlanks(pos int) int {
	for pos < len(s.data) && isBlank(s.data[pos]) {
		pos++
	}
	return pos
}

// comment skips a comment. What else begins with <! is refused, a DOCTYPE above
// all: it is how entities are declared, and nobody sends one.
func (s *scanner) comment() bool {
	rest := s.data[s.pos:]
	if !bytes.HasPrefix(rest, []byte("<!--")) {
		if bytes.HasPrefix(rest, []byte("<!DOCTYPE")) {
			return s.fail(CodeNotWellFormed, s.pos, "a DOCTYPE is not accepted")
		}
		return s.fail(CodeNotWellFormed, s.pos, "<! begins neither a comment nor CDATA")
	}
	n := bytes.Index(rest[4:], []byte("--"))
	if n < 0 || 4+n+2 >= len(rest) {
		return s.ended()
	}
	if rest[4+n+2] != '>' {
		return s.fail(CodeNotWellFormed, s.pos+4+n, "a comment has -- in it")
	}
	s.pos += 4 + n + 3
	return true
}

// instruction skips a processing instruction.
func (s *scanner) instruction() bool {
	start := s.pos + 2
	end := start
	for end < len(s.data) && classes[s.data[end]]&className != 0 {
		end++
	}
	target := s.data[start:end]
	switch {
	case end >= len(s.data):
		return s.ended()
	case !isName(target):
		return s.fail(CodeNotWellFormed, start, "a processing instruction has no name")
	case len(target) == 3 && bytes.EqualFold(target, []byte("xml")):
		return s.fail(CodeNotWellFormed, start, "an XML declaration is not at the beginning")
	}
	n := bytes.Index(s.data[end:], []byte("?>"))
	if n < 0 {
		return s.ended()
	}
	if n > 0 && !isBlank(s.data[end]) {
		return s.fail(CodeNotWellFormed, end, "a processing instruction has a wrong name")
	}
	s.pos = end + n + 2
	return true
}

func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.QuoteToASCII(s)
}

func hexByte(c byte) string {
	const digits = "0123456789ABCDEF"
	return "0x" + string(digits[c>>4]) + string(digits[c&15])
}
