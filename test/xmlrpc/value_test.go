package xmlrpc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"farcall.dev/xmlrpc"
)

// isoDate is how a date looks on the wire.
const isoDate = "20060102T15:04:05"

// A value is a value of XML-RPC as a program sees it, whichever language that is
// written in. Programs exchange values as words between blanks:
//
//	int -42    i8 4398046511104    boolean 1    double 1.5    nil
//	date 19980717T14:08:55    string xHEX    base64 xHEX
//	array COUNT value...    struct COUNT xHEX value...
//
// and tell of what is no value in the same way:
//
//	scalar xHEX      text, in a language that does not tell types apart
//	fault CODE xHEX  the server's fault
//	error xHEX       the peer's own library failed
//	lacks            the peer's library has no such thing
type value struct {
	kind    string
	text    string // of a scalar, as in the words but not in hex
	elems   []value
	members []member // by name
}

// A member is that of a struct.
type member struct {
	name  string
	value value
}

func scalar(kind, text string) value { return value{kind: kind, text: text} }
func str(text string) value          { return scalar("string", text) }
func integer(n int) value            { return scalar("int", strconv.Itoa(n)) }
func list(elems ...value) value      { return value{kind: "array", elems: elems} }

// structure returns a struct; it is given names and values by turns.
func structure(pairs ...any) value {
	v := value{kind: "struct"}
	for i := 0; i < len(pairs); i += 2 {
		v.members = append(v.members, member{pairs[i].(string), pairs[i+1].(value)})
	}
	v.sort()
	return v
}

func (v *value) sort() {
	slices.SortFunc(v.members, func(a, b member) int { return strings.Compare(a.name, b.name) })
}

// hexed are the kinds whose text is in hex.
var hexed = []string{"string", "base64", "scalar", "error"}

// words writes v for a program.
func (v value) words() string {
	switch {
	case v.kind == "array":
		words := []string{"array", strconv.Itoa(len(v.elems))}
		for _, e := range v.elems {
			words = append(words, e.words())
		}
		return strings.Join(words, " ")
	case v.kind == "struct":
		words := []string{"struct", strconv.Itoa(len(v.members))}
		for _, m := range v.members {
			words = append(words, "x"+hex.EncodeToString([]byte(m.name)), m.value.words())
		}
		return strings.Join(words, " ")
	case v.kind == "fault":
		code, text, _ := strings.Cut(v.text, " ")
		return "fault " + code + " x" + hex.EncodeToString([]byte(text))
	case slices.Contains(hexed, v.kind):
		return v.kind + " x" + hex.EncodeToString([]byte(v.text))
	}
	return strings.TrimSpace(v.kind + " " + v.text)
}

// parseWords reads what a program wrote.
func parseWords(s string) (value, error) {
	p := wordParser{words: strings.Fields(s)}
	v := p.value()
	if p.err == nil && len(p.words) > 0 {
		p.err = fmt.Errorf("%d words after the value", len(p.words))
	}
	return v, p.err
}

type wordParser struct {
	words []string
	err   error
}

func (p *wordParser) next() string {
	if len(p.words) == 0 {
		p.err = errors.New("the value ends too early")
		return ""
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *wordParser) hex() string {
	w, ok := strings.CutPrefix(p.next(), "x")
	b, err := hex.DecodeString(w)
	if p.err == nil && (!ok || err != nil) {
		p.err = fmt.Errorf("%q is no text in hex", w)
	}
	return string(b)
}

func (p *wordParser) value() value {
	v := value{kind: p.next()}
	if p.err != nil {
		return v
	}
	switch v.kind {
	case "nil", "lacks":
	case "int", "i8", "boolean", "date":
		v.text = p.next()
	case "double":
		v.text = p.next()
		if f, err := strconv.ParseFloat(v.text, 64); err == nil {
			v.text = strconv.FormatFloat(f, 'g', -1, 64)
		}
	case "string", "base64", "scalar", "error":
		v.text = p.hex()
	case "fault":
		code := p.next()
		v.text = code + " " + p.hex()
	case "array", "struct":
		n, err := strconv.Atoi(p.next())
		if err != nil {
			p.err = err
		}
		for range n {
			if p.err != nil {
				break
			}
			if v.kind == "array" {
				v.elems = append(v.elems, p.value())
			} else {
				v.members = append(v.members, member{p.hex(), p.value()})
			}
		}
		v.sort()
	default:
		p.err = fmt.Errorf("%q is no kind of value", v.kind)
	}
	return v
}

// String is v for readers, as the expectations have it. Long text is cut, with
// its length and checksum in place of the rest.
func (v value) String() string {
	if v.kind == "" {
		return "nothing"
	}
	var b strings.Builder
	b.WriteString(v.kind)
	switch v.kind {
	case "array":
		b.WriteByte('(')
		for i, e := range v.elems {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(e.String())
		}
		b.WriteByte(')')
	case "struct":
		b.WriteByte('(')
		for i, m := range v.members {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%q: %s", m.name, m.value)
		}
		b.WriteByte(')')
	case "string", "scalar", "error", "fault":
		fmt.Fprintf(&b, "(%q)", v.text)
	case "base64":
		fmt.Fprintf(&b, "(%x)", v.text)
	case "nil", "lacks":
	default:
		fmt.Fprintf(&b, "(%s)", v.text)
	}
	s := b.String()
	if len(s) > 600 {
		s = fmt.Sprintf("%s… [%d bytes, crc %08x]", s[:60], len(s), crc32.ChecksumIEEE([]byte(s)))
	}
	return s
}

// as is v for a language that knows some kinds as others only: kinds has those.
func (v value) as(kinds map[string]string) value {
	switch v.kind {
	case "array":
		elems := v.elems
		v.elems = nil
		for _, e := range elems {
			v.elems = append(v.elems, e.as(kinds))
		}
	case "struct":
		members := v.members
		v.members = nil
		for _, m := range members {
			v.members = append(v.members, member{m.name, m.value.as(kinds)})
		}
	default:
		kind, ok := kinds[v.kind]
		if !ok {
			break
		}
		f, err := strconv.ParseFloat(v.text, 64)
		switch {
		case err == nil && v.kind == "double":
			v.text = strconv.FormatFloat(f, 'f', -1, 64) // as on the wire
		case err == nil && kind == "double":
			v.text = strconv.FormatFloat(f, 'g', -1, 64)
		}
		v.kind = kind
	}
	return v
}

// golang is v as a Go value, for a Client to send or a Handler to return.
func (v value) golang() any {
	switch v.kind {
	case "nil":
		return nil
	case "int", "i8":
		n, err := strconv.ParseInt(v.text, 10, 64)
		must(err)
		return n
	case "boolean":
		return v.text == "1"
	case "double":
		f, err := strconv.ParseFloat(v.text, 64)
		must(err)
		return f
	case "string":
		return v.text
	case "base64":
		return []byte(v.text)
	case "date":
		t, err := time.Parse(isoDate, v.text)
		must(err)
		return t
	case "array":
		a := make([]any, 0, len(v.elems))
		for _, e := range v.elems {
			a = append(a, e.golang())
		}
		return a
	case "struct":
		m := make(map[string]any, len(v.members))
		for _, e := range v.members {
			m[e.name] = e.value.golang()
		}
		return m
	}
	panic("no Go value is " + v.String())
}

// fromRaw is a value as it came over the wire.
func fromRaw(raw xmlrpc.RawValue) value {
	failed := func(err error) value { return scalar("error", err.Error()) }
	v := value{kind: raw.Kind().String()}
	switch raw.Kind() {
	case xmlrpc.KindNil:
		return scalar("nil", "")
	case xmlrpc.KindArray:
		for e := range raw.Elems() {
			v.elems = append(v.elems, fromRaw(e))
		}
		return v
	case xmlrpc.KindStruct:
		for name, e := range raw.Members() {
			v.members = append(v.members, member{name, fromRaw(e)})
		}
		v.sort()
		return v
	case xmlrpc.KindInvalid:
		return value{kind: "lacks"}
	}
	x, err := raw.Any()
	if err != nil {
		return failed(err)
	}
	switch x := x.(type) {
	case bool:
		v.text = "0"
		if x {
			v.text = "1"
		}
	case time.Time:
		v.kind, v.text = "date", x.Format(isoDate)
	case []byte:
		v.text = string(x)
	case float64:
		v.text = strconv.FormatFloat(x, 'g', -1, 64)
	default:
		v.text = fmt.Sprint(x)
	}
	return v
}

// fromError is what came of a call that failed.
func fromError(err error) value {
	if fault, ok := errors.AsType[*xmlrpc.Fault](err); ok {
		return faulty(fault.Code, fault.String)
	}
	return scalar("error", loopback.ReplaceAllString(err.Error(), "URL"))
}

// loopback is the address of a test's server, which is another each time.
var loopback = regexp.MustCompile(`http://127\.0\.0\.1:\d+/\w*`)

func faulty(code int, text string) value {
	return scalar("fault", strconv.Itoa(code)+" "+text)
}

// must panics for mistakes in the cases themselves.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
