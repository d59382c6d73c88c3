package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// protocolJSON is what rmi.Peer.Protocol says of callers by JSON.
const protocolJSON = "json"

const (
	// defaultPage and maxPage are how many names GET /v1/names returns.
	defaultPage, maxPage = 1000, 10_000
	jsonType             = "application/json"
)

// mountJSON mounts the JSON door.
func (g *Gateway) mountJSON() {
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /v1/call/{name}":          g.serveCall,
		"POST /v1/call/{name}/{method}": g.serveCall,
		"GET /v1/names":                 g.serveNames,
		"GET /v1/names/{name}":          g.serveInterface,
		"GET /v1/openapi.json":          g.serveOpenAPI,
		"GET /v1/{$}":                   g.serveIndex,
		"/v1/":                          g.serveNothing,
	} {
		g.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := g.admitted(w, r, serve); err != nil {
				g.writeError(w, err)
			}
		})
	}
}

// admitted serves r, unless it comes from a foreign page or is one too many.
func (g *Gateway) admitted(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request) error) error {
	if !g.allowOrigin(r) {
		return &statusError{http.StatusForbidden, rmi.Errorf(rmi.PermissionDenied, "requests from web pages of other origins are not allowed")}
	}
	if g.active.Add(1) > int64(g.opts.MaxRequests) {
		g.active.Add(-1)
		w.Header().Set("Retry-After", "1")
		e := rmi.Errorf(rmi.ResourceExhausted, "%d requests are served at a time, and no more are allowed", g.opts.MaxRequests)
		e.Execution = rmi.NotExecuted
		return &statusError{http.StatusServiceUnavailable, e}
	}
	defer g.active.Add(-1)
	return serve(w, r)
}

// allowOrigin reports whether r may be served: browsers tell for which page they
// send, and only those of the gateway's own origin and of Options.Origins may.
// A page may name itself after the gateway to get behind that, which shows where
// the gateway can only be reached from the same machine.
func (g *Gateway) allowOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if g.trusted[origin] {
		return true
	}
	if g.origins.Check(r) != nil {
		return false
	}
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host != r.Host {
		return false
	}
	return !onLoopback(r) || isLoopbackHost(u.Hostname())
}

// onLoopback reports whether r came to a loopback address.
func onLoopback(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(interface{ String() string })
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(addr.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// isLoopbackHost reports whether a page from host is from this machine.
func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// statusError is an error with a status of its own.
type statusError struct {
	status int
	err    *rmi.Error
}

// Error is the error's text.
func (e *statusError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *statusError) Unwrap() error { return e.err }

// refusal is an error of a request that reached nobody.
func refusal(status int, code rmi.Code, format string, args ...any) error {
	e := rmi.Errorf(code, format, args...)
	e.Execution = rmi.NotExecuted
	return &statusError{status, e}
}

// serveCall calls a method or a function.
func (g *Gateway) serveCall(w http.ResponseWriter, r *http.Request) error {
	t := target{naming.Name(r.PathValue("name")), r.PathValue("method")}
	body, err := g.readBody(w, r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	params, err := g.method(r, t)
	if err != nil {
		return err
	}
	args, err := parseArguments(body, params, t)
	if err != nil {
		return err
	}
	call := newCall(r, protocolJSON, t)
	if call.Args, err = rmi.EncodeArgs(args...); err != nil {
		return refusal(http.StatusBadRequest, rmi.InvalidArgument, "%s: %w", t, err)
	}
	if whole, ok := ctx.Value(requestKey{}).(request); ok && params != nil && streams(*params) {
		ctx, call.Timeout = whole.ctx, whole.timeout
	}
	reply, err := g.handler.Handle(ctx, call)
	if err != nil {
		return err
	}
	var result any
	if err := rmi.DecodeValue(reply.Result, &result); err != nil {
		return rmi.Errorf(rmi.Internal, "result of %s: %w", t, err)
	}
	if stream, ok := result.(*rmi.Stream[any]); ok {
		g.writeStream(ctx, w, t, stream)
		return nil
	}
	out, err := appendJSON([]byte(`{"result":`), result)
	if err != nil {
		return rmi.Errorf(rmi.Internal, "result of %s: %w", t, err)
	}
	if len(out) > g.opts.MaxResponse {
		return rmi.Errorf(rmi.ResourceExhausted, "result of %s: it has %d bytes of JSON, and the most that is sent is %d", t, len(out), g.opts.MaxResponse)
	}
	writeJSON(w, http.StatusOK, append(out, "}\n"...))
	return nil
}

// method describes what t calls. A method that is not described has no Params
// that could be known, and the node that is called says why; an error is that
// nobody could be asked.
func (g *Gateway) method(r *http.Request, t target) (*rmi.MethodInfo, error) {
	if _, ok := g.dir.Lookup(r.Context(), t.name); !ok {
		return nil, nil
	}
	info, err := g.dir.Describe(r.Context(), t.name)
	if err != nil {
		e := rmi.FromError(err)
		e.Execution = rmi.NotExecuted // what was asked for was never sent
		return nil, e
	}
	m, ok := info.Method(t.method)
	if !ok {
		return nil, nil
	}
	return &m, nil
}

// readBody reads the body of a call.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, refusal(http.StatusUnsupportedMediaType, rmi.InvalidArgument, "the body is encoded by %q; send it as it is", clip(enc, 32))
	}
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(readPatience))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(g.opts.MaxBody)))
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, refusal(http.StatusRequestEntityTooLarge, rmi.ResourceExhausted, "the body has more than %d bytes", g.opts.MaxBody)
	}
	if err != nil {
		return nil, refusal(http.StatusBadRequest, rmi.InvalidArgument, "the body could not be read: %w", err)
	}
	if len(body) > 0 {
		if err := checkType(r.Header.Get("Content-Type")); err != nil {
			return nil, err
		}
	}
	return body, nil
}

// checkType checks that a body is said to be JSON: forms of web pages cannot say
// so.
func checkType(header string) error {
	kind, params, err := mime.ParseMediaType(header)
	charset := strings.ToLower(params["charset"])
	if err != nil || kind != jsonType && !strings.HasSuffix(kind, "+json") || charset != "" && charset != "utf-8" && charset != "utf8" {
		return refusal(http.StatusUnsupportedMediaType, rmi.InvalidArgument, "the Content-Type is %q; it must be %s, in UTF-8", clip(header, 64), jsonType)
	}
	return nil
}

// namesPage is the answer of GET /v1/names.
type namesPage struct {
	Names []Listing `json:"names"`
	// Next is what to give as after to get the rest; empty when there is none.
	Next string `json:"next,omitempty"`
}

// serveNames lists what can be called: parameters of the URL are prefix, after,
// limit and all, with which names of the mesh itself are listed too.
func (g *Gateway) serveNames(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit := defaultPage
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return refusal(http.StatusBadRequest, rmi.InvalidArgument, "the limit %q is not a number from 1 to %d", clip(text, 32), maxPage)
		}
		limit = n
	}
	list, err := g.dir.List(r.Context(), q.Get("prefix"))
	if err != nil {
		return err
	}
	if q.Get("all") != "true" {
		list = visible(list)
	}
	page := namesPage{Names: []Listing{}}
	for _, l := range list {
		if after := q.Get("after"); after != "" && string(l.Name) <= after {
			continue
		}
		if len(page.Names) == limit {
			page.Next = string(page.Names[limit-1].Name)
			break
		}
		page.Names = append(page.Names, l)
	}
	return g.answer(w, page)
}

// serveInterface describes one name.
func (g *Gateway) serveInterface(w http.ResponseWriter, r *http.Request) error {
	info, err := g.dir.Describe(r.Context(), naming.Name(r.PathValue("name")))
	if err != nil {
		return err
	}
	return g.answer(w, info)
}

// serveIndex says where things are.
func (g *Gateway) serveIndex(w http.ResponseWriter, _ *http.Request) error {
	return g.answer(w, map[string]string{
		"call": "/v1/call/{name}/{method}", "names": "/v1/names", "openapi": "/v1/openapi.json",
	})
}

// serveNothing refuses what is not there.
func (g *Gateway) serveNothing(w http.ResponseWriter, r *http.Request) error {
	allow := http.MethodGet
	if strings.HasPrefix(r.URL.Path, "/v1/call/") {
		allow = http.MethodPost
	}
	if r.Method != allow {
		w.Header().Set("Allow", allow)
		return refusal(http.StatusMethodNotAllowed, rmi.Unimplemented, "%s is not for %s", clip(r.URL.Path, 128), r.Method)
	}
	return refusal(http.StatusNotFound, rmi.NotFound, "nothing is at %s; there are /v1/call/{name}/{method}, /v1/names and /v1/openapi.json", clip(r.URL.Path, 128))
}

// answer writes v, which encoding/json can write.
func (g *Gateway) answer(w http.ResponseWriter, v any) error {
	out, err := json.Marshal(v)
	if err != nil {
		return rmi.Errorf(rmi.Internal, "write the answer: %w", err)
	}
	writeJSON(w, http.StatusOK, append(out, '\n'))
	return nil
}

// writeJSON writes a document.
func writeJSON(w http.ResponseWriter, status int, doc []byte) {
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Set("Content-Length", strconv.Itoa(len(doc)))
	h.Set("X-Content-Type-Options", "nosniff")
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	w.Write(doc)
}

// jsonError is what a failed call is told as.
type jsonError struct {
	// Code is the canonical name, such as NOT_FOUND; Message is for people.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Type is the Go type of the method's own error.
	Type string `json:"type,omitempty"`
	// Details are small facts for programs.
	Details map[string]string `json:"details,omitempty"`
	// Hops are the nodes that passed the error on, the first first.
	Hops []rmi.Hop `json:"hops,omitempty"`
	// Executed is false when the method did certainly not run, so that the call
	// may be sent again.
	Executed bool `json:"executed"`
}

// writeError tells why a request failed.
func (g *Gateway) writeError(w http.ResponseWriter, err error) {
	e := rmi.FromError(err)
	status := HTTPStatus(e.Code)
	if se, ok := errors.AsType[*statusError](err); ok {
		status, e = se.status, se.err
	}
	writeJSON(w, status, errorDocument(e))
}

// errorDocument is how e is told, in one line.
func errorDocument(e *rmi.Error) []byte {
	doc, err := json.Marshal(map[string]jsonError{"error": {
		Code: e.Code.String(), Message: strings.ToValidUTF8(e.Message, "\uFFFD"), Type: e.Type,
		Details: e.Details, Hops: e.Hops, Executed: e.Execution == rmi.Executed,
	}})
	if err != nil {
		doc = fmt.Appendf(nil, `{"error":{"code":%q}}`, e.Code)
	}
	return append(doc, '\n')
}
