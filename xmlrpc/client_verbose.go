package xmlrpc

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// tracer prints what goes over the wire.
type tracer struct {
	w  io.Writer // nil if nobody wants it
	mu sync.Mutex
}

// request prints a request with its document.
func (t *tracer) request(r *http.Request, doc []byte) {
	if t.w == nil {
		return
	}
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "%s %s HTTP/1.1\nHost: %s\n", r.Method, r.URL.RequestURI(), r.Host)
	header := maps.Clone(r.Header)
	header["Content-Length"] = []string{strconv.FormatInt(r.ContentLength, 10)}
	t.print(&buf, header, doc, "")
}

// response prints a response with its document, as far as it came.
func (t *tracer) response(r *http.Response, doc []byte, err error) {
	if t.w == nil {
		return
	}
	var buf bytes.Buffer
	fmt.Fprintf(&buf, "%s %s\n", r.Proto, r.Status)
	note := ""
	if err != nil {
		note = fmt.Sprintf("(the rest was not read: %v)", err)
	}
	t.print(&buf, r.Header, doc, note)
}

// print prints what begins in buf, without secrets and without anything that a
// terminal would obey.
func (t *tracer) print(buf *bytes.Buffer, header http.Header, doc []byte, note string) {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			switch name {
			case "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie":
				value = "(not shown)"
			}
			fmt.Fprintf(buf, "%s: %s\n", name, value)
		}
	}
	buf.WriteString("\n")
	buf.Write(doc)
	if n := len(doc); n > 0 && doc[n-1] != '\n' {
		buf.WriteString("\n")
	}
	if note != "" {
		buf.WriteString(note + "\n")
	}
	buf.WriteString("\n")
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w.Write(visible(buf.Bytes())) // A call does not fail for want of an audience.
}

// visible replaces control characters, except for tabs and line breaks.
func visible(text []byte) []byte {
	var out []byte
	for i, c := range text {
		control := c < ' ' && c != '\t' && c != '\n' || c == 0x7f
		if control && out == nil {
			out = append(make([]byte, 0, len(text)+16), text[:i]...)
		}
		switch {
		case control && c == '\r' && i+1 < len(text) && text[i+1] == '\n': // an end of line
		case control:
			out = fmt.Appendf(out, `\x%02x`, c)
		case out != nil:
			out = append(out, c)
		}
	}
	if out == nil {
		return text
	}
	return out
}
