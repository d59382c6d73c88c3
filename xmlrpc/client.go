package xmlrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ClientOptions say how a [Client] calls. The zero ClientOptions work.
type ClientOptions struct {
	// Encode says how arguments are written. By default everybody can read them.
	Encode EncodeOptions
	// Decode says how responses are read, and what they may cost. Limits.Bytes
	// bounds the body too, as it comes and when it is inflated: a larger one is a
	// [*LimitError]. Charset is set by each response's Content-Type.
	Decode DecodeOptions

	// HTTP makes the requests, with its transport, cookies and timeout. It is
	// copied; a copy without a CheckRedirect follows none. nil means one with a
	// transport of its own, which keeps connections alive and finds proxies in the
	// environment, as http.ProxyFromEnvironment does.
	HTTP *http.Client
	// TLS is for the transport of the Client's own. nil trusts what the system
	// trusts. It cannot be combined with HTTP.
	TLS *tls.Config
	// Username and Password are sent by basic authentication. By default they are
	// those in the URL, if it has any.
	Username, Password string
	// Header is added to each request. It is copied.
	Header http.Header
	// Timeout is how long a call may take, unless its context ends before. 0 is no
	// limit.
	Timeout time.Duration
	// Compress sends documents from 1400 bytes compressed by gzip. Few servers can
	// read that; Python's and a [Handler] can. Responses may be compressed anyway.
	Compress bool
	// StrictContentType refuses responses that are neither text/xml nor
	// application/xml. By default the Content-Type does not matter, if there is a
	// document.
	StrictContentType bool
	// SingleCalls makes Multicall call one after the other if the server has no
	// system.multicall.
	SingleCalls bool
	// Verbose gets the documents of each call, with the headers they are sent and
	// received with, except for passwords and cookies: one Write for the request
	// and one for the response, never two at a time. nil means that nobody wants
	// them.
	Verbose io.Writer
}

// A Client calls the methods of one server. It may be used by many goroutines at
// a time, which share its connections.
//
// Nothing is sent twice: a call whose connection breaks when it has been sent
// fails, because the server may have done what it asks for.
type Client struct {
	opts   ClientOptions
	http   *http.Client
	own    *http.Transport // nil if HTTP was given
	url    *url.URL        // without the password
	header http.Header
	limit  int // of a response's bytes

	buffers  bufferPool
	inflater gzipReaders
	deflater gzipWriters
	trace    tracer
}

// NewClient returns a Client that calls the server at rawURL, such as
// "http://user:password@host:8080/RPC2". The scheme is http or https. The path is
// /RPC2 if there is none. Nothing is sent yet.
func NewClient(rawURL string, o ClientOptions) (*Client, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if o.HTTP != nil && o.TLS != nil {
		return nil, errors.New("xmlrpc: ClientOptions has both HTTP and TLS; set TLS in HTTP's transport")
	}
	c := &Client{
		opts:   o,
		header: http.Header{"User-Agent": {"farcall-xmlrpc"}, "Accept-Encoding": {"gzip"}},
		limit:  o.Decode.Limits.withDefaults().Bytes,
		trace:  tracer{w: o.Verbose},
	}
	if c.opts.Username == "" && c.opts.Password == "" && u.User != nil {
		c.opts.Username = u.User.Username()
		c.opts.Password, _ = u.User.Password()
	}
	u.User = nil
	c.url = u
	for name, values := range o.Header {
		c.header[http.CanonicalHeaderKey(name)] = append([]string(nil), values...)
	}
	c.header.Set("Content-Type", "text/xml")
	if c.opts.Username != "" || c.opts.Password != "" {
		basic := http.Request{Header: http.Header{}}
		basic.SetBasicAuth(c.opts.Username, c.opts.Password)
		c.header.Set("Authorization", basic.Header.Get("Authorization"))
	}
	c.opts.Header = nil
	c.http = &http.Client{}
	if o.HTTP != nil {
		*c.http = *o.HTTP
	} else {
		c.own = ownTransport(o.TLS)
		c.http.Transport = c.own
	}
	if c.http.CheckRedirect == nil {
		c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c, nil
}

// parseURL reads the URL of a server. Its errors do not have the password in them.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err
		}
		return nil, fmt.Errorf("xmlrpc: read the URL of a server: %w", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("xmlrpc: the URL %q begins with neither http:// nor https://", u.Redacted())
	case u.Host == "":
		return nil, fmt.Errorf("xmlrpc: the URL %q has no host", u.Redacted())
	}
	if u.Path == "" {
		u.Path = "/RPC2"
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// ownTransport is the transport of a Client that is not given one.
func ownTransport(config *tls.Config) *http.Transport {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // A Client does it itself, within its limits.
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if config != nil {
		t.TLSClientConfig = config.Clone()
	}
	return t
}

// URL is the address that is called, without a password.
func (c *Client) URL() string { return c.url.String() }

// Close closes the connections that nobody uses. Calls that are under way go on,
// and the Client can still be used. It does nothing if HTTP was given.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// Call calls a method and reads its result into what result points to. With a nil
// result whatever comes is ignored, even nothing.
//
// Errors: a [*Fault] from the server, an [*HTTPError] if it answered by another
// status than 200, a [*ResponseError] if what it sent is no response, a
// [*LimitError], an error about an argument or about a result of another type, and
// otherwise that of the connection or the context, wrapped.
func (c *Client) Call(ctx context.Context, method string, result any, args ...any) error {
	body := c.buffers.get()
	defer c.buffers.put(body)
	v, err := c.call(ctx, body, method, args)
	if err != nil || result == nil {
		return err
	}
	return c.decode(v, method, result)
}

// decode reads the result of method into what result points to. What outlives the
// call gets memory of its own.
func (c *Client) decode(v RawValue, method string, result any) error {
	if v.IsZero() {
		return &ResponseError{Method: method, URL: c.URL(), Reason: "it has no result; call with a nil result if none is needed"}
	}
	return v.Decode(result)
}

// call calls a method, and returns the result, which refers to body.
func (c *Client) call(ctx context.Context, body *buffer, method string, args []any) (RawValue, error) {
	doc, err := c.encode(method, args)
	if err != nil {
		return RawValue{}, err
	}
	if c.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.opts.Timeout)
		defer cancel()
	}
	resp, err := c.send(ctx, doc)
	if err != nil {
		return RawValue{}, fmt.Errorf("xmlrpc: call %s: %w", method, err)
	}
	defer resp.Body.Close()
	return c.receive(resp, body, method)
}
