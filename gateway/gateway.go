package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

const (
	// HeaderTimeout is the header of a request that says how long it may take:
	// a duration such as 1.5s, or a number of seconds. The parameter "timeout"
	// of the URL says the same, for clients that cannot set headers.
	HeaderTimeout = "X-Farcall-Timeout"
	// HeaderDialect is the header of an XML-RPC request that says which
	// extensions its caller understands: standard, plain (nil and i8) or apache.
	// The parameter "dialect" of the URL says the same.
	HeaderDialect = "X-Farcall-Dialect"

	// MetadataForwarded is the metadata of a call that came by a gateway: the
	// protocol that it came by and the address that it came from, separated by
	// a space.
	MetadataForwarded = "farcall-forwarded"
	// MetadataDialect is the metadata of a call with an XML-RPC document: which
	// dialect the document with the result may be in, as in [HeaderDialect].
	MetadataDialect = "farcall-xmlrpc-dialect"

	// writePatience is how long sending a response may take.
	writePatience = 30 * time.Second
	// readPatience is how long the body of a request may take to arrive.
	readPatience = time.Minute
)

// Gateway is the front door: an http.Handler for /RPC2 and what is below /v1/.
// It may serve any number of requests at a time.
type Gateway struct {
	opts    Options
	handler rmi.Handler
	dir     *described
	mux     *http.ServeMux
	origins http.CrossOriginProtection
	trusted map[string]bool
	active  atomic.Int64 // requests at the JSON door
}

var _ http.Handler = (*Gateway)(nil)

// New returns a gateway that has handler carry out the calls, and asks dir what
// there is to call. The error is about Options.Origins.
func New(handler rmi.Handler, dir Directory, opts Options) (*Gateway, error) {
	opts = opts.withDefaults()
	g := &Gateway{opts: opts, handler: handler, dir: newDescribed(dir), mux: http.NewServeMux(), trusted: map[string]bool{}}
	for _, origin := range opts.Origins {
		if err := g.origins.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("gateway: Options.Origins: %w", err)
		}
		g.trusted[origin] = true
	}
	if opts.Doors == AllDoors || opts.Doors == XMLRPCDoor {
		door, err := xmlrpc.NewHandler(xmlrpc.HandlerOptions{
			Decode:     xmlrpc.DecodeOptions{Limits: xmlrpc.Limits{Bytes: opts.MaxBody}},
			Dispatcher: &dispatcher{g},
			Title:      opts.Title,
			Intro:      "Every function and every method of an object that can be called here.",
			Origins:    opts.Origins, MaxBatch: opts.MaxBatch, MaxResponse: opts.MaxResponse,
			MaxRequests: opts.MaxRequests, ReadTimeout: readPatience, WriteTimeout: writePatience, Logger: opts.Logger,
		})
		if err != nil {
			return nil, fmt.Errorf("gateway: %w", err)
		}
		g.mux.Handle("/RPC2", door)
	}
	if opts.Doors == AllDoors || opts.Doors == JSONDoor {
		g.mountJSON()
	}
	return g, nil
}

// ServeHTTP serves one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	timeout, err := g.timeout(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	whole := context.WithValue(r.Context(), requestKey{}, request{r.Context(), timeout})
	ctx, cancel := context.WithTimeout(whole, timeout)
	defer cancel()
	// The server behind may have deadlines that fit shorter requests than
	// these. A writer that knows of none needs none.
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout + readPatience + writePatience))
	g.mux.ServeHTTP(w, r.WithContext(ctx))
}

// request is the context of a whole request, and the time in which it must be
// answered; a stream may go on after that.
type request struct {
	ctx     context.Context
	timeout time.Duration
}

// requestKey is the key of a context for its request.
type requestKey struct{}

// Known returns the names on the wire of a method, and whether there is one, for
// metrics, whose series must not be named by strangers. Of an object whose
// methods nobody has told yet it returns the name alone. It asks nobody.
func (g *Gateway) Known(name naming.Name, method string) (naming.Name, string, bool) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // it must not wait
	now, ok := g.dir.Lookup(ctx, name)
	switch {
	case !ok:
		return "", "", false
	case now.Kind == naming.KindFunction:
		return name, "", method == ""
	}
	info, ok := g.dir.remembered(now)
	if !ok {
		return name, "", false
	}
	m, ok := info.Method(method)
	return name, m.Name, ok
}

// timeout returns how long r may take.
func (g *Gateway) timeout(r *http.Request) (time.Duration, error) {
	text := setting(r, HeaderTimeout, "timeout")
	if text == "" {
		return g.opts.Timeout, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		seconds, ferr := strconv.ParseFloat(text, 64)
		if ferr != nil || !(seconds > 0) || seconds > g.opts.MaxTimeout.Seconds() {
			d = -1
		} else {
			d = time.Duration(seconds * float64(time.Second))
		}
	}
	if d <= 0 || d > g.opts.MaxTimeout {
		return 0, fmt.Errorf("the timeout %q is not a time of up to %v, such as 1.5s or 10", clip(text, 32), g.opts.MaxTimeout)
	}
	return d, nil
}

// setting returns what r says by a header or else by a parameter of its URL.
func setting(r *http.Request, header, parameter string) string {
	if v := r.Header.Get(header); v != "" || r.URL.RawQuery == "" {
		return v
	}
	return r.URL.Query().Get(parameter)
}

// peerAddr is the address that a request came from.
type peerAddr string

// Network is always tcp.
func (peerAddr) Network() string { return "tcp" }

// String is the address.
func (a peerAddr) String() string { return string(a) }

// newCall returns the call of t by r, without arguments.
func newCall(r *http.Request, protocol string, t target) *rmi.Call {
	return &rmi.Call{
		Object: t.name, Method: t.method,
		Peer:     rmi.Peer{Protocol: protocol, Addr: peerAddr(r.RemoteAddr)},
		Metadata: rmi.Metadata{MetadataForwarded: protocol + " " + r.RemoteAddr},
	}
}

// clip shortens what a stranger chose to what fits in a message.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
