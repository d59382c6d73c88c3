package xmlrpc

import (
	"cmp"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// gzipThreshold is the size from which documents are compressed.
const gzipThreshold = 1400

// leaveTime is how long a connection may take over a body that is not wanted.
const leaveTime = time.Second

// refusal is the answer to a request that holds no document.
type refusal struct {
	status int
	reason string
}

// refuse answers a request by a status other than 200.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, status int, reason string) {
	header := w.Header()
	if status == http.StatusRequestTimeout {
		header.Set("Connection", "close") // It has had its time.
	} else {
		h.leaveBody(w, r)
	}
	body := reason + "\n"
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, body) // The client is told by the connection.
}

// leaveBody gives up the connection if there may be more of a body to come, which
// net/http would wait for otherwise.
func (h *Handler) leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	w.Header().Set("Connection", "close")
	setReadDeadline(w, time.Now().Add(leaveTime))
}

// setReadDeadline sets the deadline of the connection, if it has one.
func setReadDeadline(w http.ResponseWriter, t time.Time) {
	// An error means that w is no connection, as in tests, and cannot be slow.
	http.NewResponseController(w).SetReadDeadline(t)
}

// readBody reads the document of r, inflated, into into, and returns the charset
// that its Content-Type names.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, into *buffer) (charset string, no *refusal) {
	media, charset := contentType(r.Header)
	if h.opts.StrictContentType && !isXML(media) {
		return "", &refusal{http.StatusUnsupportedMediaType, "the Content-Type must be text/xml or application/xml"}
	}
	if r.ContentLength == 0 && len(r.TransferEncoding) == 0 && r.Header["Content-Length"] == nil && r.ProtoMajor == 1 {
		return "", &refusal{http.StatusLengthRequired, "a request needs a Content-Length"}
	}
	if r.ContentLength > int64(h.limit) {
		return "", h.tooLong()
	}
	timed := h.opts.ReadTimeout > 0 && !serverHas(r, func(s *http.Server) time.Duration { return s.ReadTimeout })
	if timed {
		setReadDeadline(w, time.Now().Add(h.opts.ReadTimeout))
	}
	err := h.inflate(r, into)
	switch {
	case err == nil:
		if timed {
			setReadDeadline(w, time.Time{})
		}
		return charset, nil
	case errors.Is(err, errTooLarge):
		return "", h.tooLong()
	case errors.Is(err, errUnknownCoding):
		return "", &refusal{http.StatusNotImplemented, "the Content-Encoding is neither gzip nor deflate"}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", &refusal{http.StatusRequestTimeout, "the body took too long"}
	}
	return "", &refusal{http.StatusBadRequest, "the body cannot be read"}
}

// tooLong is the refusal of a document beyond the limit.
func (h *Handler) tooLong() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the document exceeds the limit of %d bytes (Limits.Bytes)", h.limit)}
}

// errUnknownCoding is the error of a body in an unknown Content-Encoding.
var errUnknownCoding = errors.New("xmlrpc: unknown Content-Encoding")

// inflate reads the body of r into into.
func (h *Handler) inflate(r *http.Request, into *buffer) (err error) {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header["Content-Encoding"], ",")))
	if coding == "" || coding == "identity" {
		into.b, err = appendAll(into.b[:0], r.Body, r.ContentLength, h.limit)
		return err
	}
	raw := &cappedReader{r: r.Body, left: h.limit}
	switch coding {
	case "gzip", "x-gzip":
		err = h.inflater.inflate(into, raw, h.limit)
	case "deflate": // That is zlib's format, in HTTP and in fact.
		var zr io.ReadCloser
		if zr, err = zlib.NewReader(raw); err == nil {
			into.b, err = appendAll(into.b[:0], zr, -1, h.limit)
		}
	default:
		return errUnknownCoding
	}
	if err != nil {
		return err
	}
	// What comes after is not understood, but the connection goes on behind it.
	_, err = io.Copy(io.Discard, raw)
	return err
}

// contentType is the media type that a Content-Type names, and its charset. Both
// are empty if there is none that can be read.
func contentType(h http.Header) (media, charset string) {
	value := h.Get("Content-Type")
	if value == "text/xml" { // Nearly always.
		return value, ""
	}
	media, params, err := mime.ParseMediaType(value)
	if err != nil {
		return "", ""
	}
	return media, params["charset"]
}

// isXML reports whether a media type is one that the specification allows, or the
// newer name for it.
func isXML(media string) bool { return media == "text/xml" || media == "application/xml" }

// writeAnswer writes a response document.
func (h *Handler) writeAnswer(w http.ResponseWriter, r *http.Request, doc []byte) {
	header := w.Header()
	header.Set("Content-Type", "text/xml")
	if len(doc) >= gzipThreshold {
		header.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header["Accept-Encoding"]) {
			small := h.buffers.get()
			defer h.buffers.put(small)
			small.b = h.deflater.compress(small.b[:0], doc)
			if len(small.b) < len(doc) {
				header.Set("Content-Encoding", "gzip")
				doc = small.b
			}
		}
	}
	h.writeBody(w, r, doc)
}

// writeBody writes a body with status 200.
func (h *Handler) writeBody(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	// What net/http buffers is not written here. Small responses are, and fit the
	// buffers of any connection.
	timed := len(body) > 4<<10 && h.opts.WriteTimeout > 0 && !serverHas(r, func(s *http.Server) time.Duration { return s.WriteTimeout })
	if timed {
		rc := http.NewResponseController(w)
		rc.SetWriteDeadline(time.Now().Add(h.opts.WriteTimeout)) // As for reading.
		defer func() {
			if rc.Flush() == nil {
				rc.SetWriteDeadline(time.Time{})
			}
		}()
	}
	w.Write(body) // A client that is gone is no concern of ours.
}

// serverHas reports whether the server has a time limit of its own.
func serverHas(r *http.Request, limit func(*http.Server) time.Duration) bool {
	s, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	return ok && limit(s) > 0
}

// acceptsGzip reports whether a client asks for gzip, by name, in its
// Accept-Encoding.
func acceptsGzip(headers []string) bool {
	for _, header := range headers {
		for coding := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(coding, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "gzip" && name != "x-gzip" {
				continue
			}
			q, found := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(params, " ", "")), "q=")
			if !found {
				return true
			}
			weight, err := strconv.ParseFloat(q, 64)
			return err == nil && weight > 0
		}
	}
	return false
}

// allowOrigin reports whether r may be served: whether it is none that a web page
// makes a browser send without leave.
func (h *Handler) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" && r.Header.Get("Sec-Fetch-Site") == "" {
		return true // It is no browser's.
	}
	if h.origins[origin] {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Add("Vary", "Origin")
		return true
	}
	if h.cross.Check(r) != nil {
		return false
	}
	// The name of a page's own host can be made to lead here.
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && origin != "" && addr.IP.IsLoopback() {
		return isLoopback(r.Host)
	}
	return true
}

// isLoopback reports whether the host of a Host header is this machine, by a name
// or address that nobody else can give out.
func isLoopback(host string) bool {
	name := strings.TrimSuffix(cmp.Or((&url.URL{Host: host}).Hostname(), host), ".")
	if ip := net.ParseIP(name); ip != nil {
		return true // Not looked up, so that nobody can turn it elsewhere.
	}
	name = strings.ToLower(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}
