package xmlrpc

import (
	"context"
	"encoding/base64"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Feature is a part of a [Handler] that is there by itself. Features are joined
// by |.
type Feature uint8

const (
	// Introspection is system.listMethods, methodSignature, methodHelp and
	// getCapabilities.
	Introspection Feature = 1 << iota
	// Multicall is system.multicall.
	Multicall
	// DocPage is the page about the methods that a GET shows.
	DocPage
)

// HandlerOptions say how a [Handler] serves. The zero HandlerOptions work.
type HandlerOptions struct {
	// Encode says how results are written. By default everybody can read them.
	Encode EncodeOptions
	// Decode says how requests are read, and what they may cost. Limits.Bytes
	// bounds the body too, as it comes and when it is inflated: a larger one is
	// answered by status 413. Charset is set by each request's Content-Type.
	Decode DecodeOptions

	// Dispatcher gets the calls of methods that are not registered. nil means
	// that there are no others.
	Dispatcher Dispatcher
	// Admit is asked before each call, and before each call of a batch. An error
	// refuses the call, and the caller gets it as it gets that of a method. nil
	// admits everything.
	Admit func(ctx context.Context, call *Call) error
	// Faults makes the fault for an error that a method returned, other than a
	// [*Fault], which is sent as it is. If it is nil or returns nil, strangers get
	// CodeApplication and no more, and the Logger gets the error. [TellErrors]
	// sends the text of the error.
	Faults func(ctx context.Context, call *Call, err error) *Fault
	// Omit has the features that are not served.
	Omit Feature

	// Title is what the documentation is headed with, "XML-RPC" by default, and
	// Intro the paragraph below it. Both are plain text.
	Title, Intro string
	// Origins are web origins, such as "https://console.example", whose pages may
	// call from a browser. A request that a browser sends for a page of another
	// origin than the server's is refused by 403, and so is one with a foreign
	// Host that reaches a listener on a loopback address, which is how pages get
	// behind the first rule. Programs that are no browsers are not concerned.
	Origins []string
	// StrictContentType refuses requests that are neither text/xml nor
	// application/xml by 415. By default the Content-Type does not matter: some
	// clients send none.
	StrictContentType bool

	// MaxBatch is how many calls one system.multicall may hold. The default is
	// 1000; a negative one is no limit.
	MaxBatch int
	// MaxResponse is the size of a response document in bytes, before it is
	// compressed. The default is 16 MiB, a negative one is no limit. A larger one
	// becomes a fault with CodeLimit.
	MaxResponse int
	// MaxRequests is how many requests are served at the same time. Others are
	// refused at once by 503. The default is 1024; a negative one is no limit.
	MaxRequests int
	// ReadTimeout is how long a request's body may take, once its headers are
	// read; then it is refused by 408. WriteTimeout is how long writing a response
	// may take. The default of both is a minute, a negative one is no limit, and
	// where the http.Server has the same its own counts. That one alone can bound
	// the time for headers: set its ReadHeaderTimeout.
	ReadTimeout, WriteTimeout time.Duration

	// Logger gets panics, at Error, and the errors that callers are not told, at
	// Warn. nil discards them.
	Logger *slog.Logger
}

// A Handler serves XML-RPC over HTTP: functions and objects that are registered
// with it, what its Dispatcher serves, and the usual system methods. It answers
// on whatever path it is mounted on.
//
// Functions run in the goroutine of their request, many at a time. Their context
// is that of the request: it ends when the client goes away. A function that
// panics costs its caller a fault and nobody else anything.
//
// Faults and results have status 200 and a Content-Length, as the oldest clients
// need; other statuses are for requests that hold no document. Responses are
// compressed by gzip for clients that ask for it, requests may be compressed by
// gzip or deflate.
//
// A Handler may be used by many goroutines at a time, and registered with while
// it serves.
type Handler struct {
	opts    HandlerOptions
	log     *slog.Logger
	limit   int // of a request's bytes
	cross   http.CrossOriginProtection
	origins map[string]bool

	mu    sync.Mutex // for those who register
	table atomic.Pointer[table]

	active   atomic.Int64 // requests that are served now
	buffers  bufferPool
	inflater gzipReaders
	deflater gzipWriters

	// batchHead and batchTail are what is around the results of a batch, and inBatch
	// is how those are written.
	batchHead, batchTail []byte
	inBatch              EncodeOptions
	// page is the documentation, and policy the header that allows its style sheet
	// and nothing else.
	page   *template.Template
	policy string
}

// NewHandler returns a Handler without methods, but for those of the system.
// The error is about Origins.
func NewHandler(o HandlerOptions) (*Handler, error) {
	o.MaxBatch = orDefault(o.MaxBatch, 1000)
	o.MaxResponse = orDefault(o.MaxResponse, 16<<20)
	o.MaxRequests = orDefault(o.MaxRequests, 1024)
	o.ReadTimeout = orDefault(o.ReadTimeout, time.Minute)
	o.WriteTimeout = orDefault(o.WriteTimeout, time.Minute)
	if o.Title == "" {
		o.Title = "XML-RPC"
	}
	h := &Handler{opts: o, log: o.Logger, limit: o.Decode.Limits.withDefaults().Bytes, origins: make(map[string]bool)}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	for _, origin := range o.Origins {
		if err := h.cross.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("xmlrpc: HandlerOptions.Origins: %w", err)
		}
		h.origins[origin] = true
	}
	h.opts.Origins = nil
	var err error
	if h.page, err = parseDocPage(); err != nil {
		return nil, err
	}
	if err := h.frameBatch(); err != nil {
		return nil, err
	}
	h.policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(styleDigest()) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	h.table.Store(&table{methods: h.systemMethods()})
	return h, nil
}

var _ http.Handler = (*Handler)(nil)

// ServeHTTP serves POST, by calling what the document asks for, and GET and HEAD,
// by documentation.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.allowOrigin(w, r) {
		h.refuse(w, r, http.StatusForbidden, "requests from web pages of other origins are not allowed")
		return
	}
	if n := h.active.Add(1); h.opts.MaxRequests >= 0 && n > int64(h.opts.MaxRequests) {
		h.active.Add(-1)
		w.Header().Set("Retry-After", "1")
		h.refuse(w, r, http.StatusServiceUnavailable, "too many requests at a time")
		return
	}
	defer h.active.Add(-1)
	if r.Method != http.MethodPost {
		h.serveOther(w, r)
		return
	}
	h.serveCall(w, r)
}

// serveOther serves all methods but POST.
func (h *Handler) serveOther(w http.ResponseWriter, r *http.Request) {
	allow := "POST, GET, HEAD, OPTIONS"
	if h.opts.Omit&DocPage != 0 {
		allow = "POST, OPTIONS"
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if h.opts.Omit&DocPage == 0 {
			h.serveDocs(w, r)
			return
		}
	case http.MethodOptions:
		w.Header().Set("Allow", allow)
		if origin := r.Header.Get("Origin"); h.origins[origin] {
			w.Header().Set("Access-Control-Allow-Methods", "POST")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.Header().Set("Access-Control-Max-Age", "600")
		}
		h.leaveBody(w, r)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Allow", allow)
	h.refuse(w, r, http.StatusMethodNotAllowed, "XML-RPC is called by POST")
}

// serveCall reads a document, calls what it asks for, and writes the answer.
func (h *Handler) serveCall(w http.ResponseWriter, r *http.Request) {
	body := h.buffers.get()
	defer h.buffers.put(body)
	charset, no := h.readBody(w, r, body)
	if no != nil {
		h.refuse(w, r, no.status, no.reason)
		return
	}
	answer := h.buffers.get()
	defer h.buffers.put(answer)
	answer.b = h.answer(answer.b[:0], r, body.b, charset)
	h.writeAnswer(w, r, answer.b)
}

// answer appends the response to the request in doc to dst.
func (h *Handler) answer(dst []byte, r *http.Request, doc []byte, charset string) []byte {
	o := h.opts.Decode
	o.Charset = charset
	req, err := ParseRequest(doc, o)
	if err != nil {
		return AppendFault(dst, &Fault{Code: FaultCode(err), String: trimPrefix(err)})
	}
	if len(req.Params) > 0 {
		req.Params[0].lend()
	}
	call := &Call{Method: req.Method, Params: req.Params, Document: doc, Charset: charset, HTTP: r}
	out, fault := h.appendResult(dst, r.Context(), call)
	if fault == nil && h.opts.MaxResponse >= 0 && len(out)-len(dst) > h.opts.MaxResponse {
		fault = h.tooLarge()
	}
	if fault != nil {
		return AppendFault(dst, fault)
	}
	return out
}

// tooLarge is the fault for a response beyond the limit.
func (h *Handler) tooLarge() *Fault {
	return &Fault{CodeLimit, fmt.Sprintf("the result exceeds the limit of %d bytes on a response (HandlerOptions.MaxResponse)", h.opts.MaxResponse)}
}

// orDefault is n, or def if that is 0.
func orDefault[N int | time.Duration](n, def N) N {
	if n == 0 {
		return def
	}
	return n
}
