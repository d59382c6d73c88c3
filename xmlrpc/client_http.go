package xmlrpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// requestDoc is the document of a request. The transport may read it for a while
// after it has returned the response, so its memory is not used again.
type requestDoc struct {
	doc  []byte
	sent []byte // doc, or what it is compressed to
}

// encode writes the document of a call.
func (c *Client) encode(method string, args []any) (d requestDoc, err error) {
	b := c.buffers.get()
	defer c.buffers.put(b)
	if b.b, err = AppendRequest(b.b[:0], c.opts.Encode, method, args...); err != nil {
		return d, err
	}
	d.doc = bytes.Clone(b.b)
	d.sent = d.doc
	if c.opts.Compress && len(d.doc) >= gzipThreshold {
		d.sent = c.deflater.compress(nil, d.doc)
	}
	return d, nil
}

// open returns a reader of what is sent. net/http knows it for one in memory, and
// sends it along with the headers.
func (d requestDoc) open() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(d.sent)), nil
}

// send posts a document.
func (c *Client) send(ctx context.Context, d requestDoc) (*http.Response, error) {
	body, _ := d.open()
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           c.url,
		Host:          c.url.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        c.requestHeader(),
		Body:          body,
		ContentLength: int64(len(d.sent)),
		GetBody:       d.open, // for a connection that was closed before anything was sent
	}).WithContext(ctx)
	if c.opts.Compress && len(d.doc) >= gzipThreshold {
		req.Header = req.Header.Clone()
		req.Header.Set("Content-Encoding", "gzip")
	}
	c.trace.request(req, d.doc)
	return c.http.Do(req)
}

// requestHeader is the header of a request.
func (c *Client) requestHeader() http.Header {
	if c.own != nil {
		return c.header // Nobody changes it.
	}
	return c.header.Clone()
}

// receive reads a response into body, and returns the result, which refers to it.
func (c *Client) receive(resp *http.Response, body *buffer, method string) (RawValue, error) {
	limit := c.limit
	if resp.StatusCode != http.StatusOK {
		limit = min(limit, maxErrorBody)
	}
	err := c.inflate(resp, body, limit)
	c.trace.response(resp, body.b, err)
	if resp.StatusCode != http.StatusOK {
		return RawValue{}, c.httpError(resp, body.b, method)
	}
	if errors.Is(err, errTooLarge) {
		return RawValue{}, &LimitError{Name: "Bytes", Limit: limit, Offset: limit}
	}
	if err != nil {
		return RawValue{}, fmt.Errorf("xmlrpc: call %s: read the response of %s: %w", method, c.URL(), err)
	}
	media, charset := contentType(resp.Header)
	if c.opts.StrictContentType && !isXML(media) {
		return RawValue{}, c.responseError(resp, body.b, method, errors.New("its Content-Type is neither text/xml nor application/xml"))
	}
	o := c.opts.Decode
	o.Charset = charset
	v, err := ParseResponse(body.b, o)
	if _, ok := errors.AsType[*SyntaxError](err); ok {
		return RawValue{}, c.responseError(resp, body.b, method, err)
	}
	v.lend()
	return v, err
}

// lend says that the memory of v is used again: what is read from it and outlives
// the call becomes a clone.
func (v RawValue) lend() {
	if v.doc != nil {
		v.doc.kept, v.doc.borrowed = true, true
	}
}

// inflate reads the body of resp into into.
func (c *Client) inflate(resp *http.Response, into *buffer, limit int) (err error) {
	if resp.ContentLength > int64(limit) {
		return errTooLarge
	}
	switch coding := strings.ToLower(resp.Header.Get("Content-Encoding")); coding {
	case "", "identity":
		into.b, err = appendAll(into.b[:0], resp.Body, resp.ContentLength, limit)
		return err
	case "gzip", "x-gzip":
		return c.inflater.inflate(into, &cappedReader{r: resp.Body, left: limit}, limit)
	default:
		return fmt.Errorf("unknown Content-Encoding %q", clipText(coding, 64))
	}
}

// responseError is the error for a response that is none.
func (c *Client) responseError(resp *http.Response, body []byte, method string, err error) error {
	return &ResponseError{
		Method: method, URL: c.URL(), Reason: trimPrefix(err), Err: err,
		ContentType: clipText(resp.Header.Get("Content-Type"), 128), Body: snippet(body),
	}
}

// httpError is the error for a response with another status than 200.
func (c *Client) httpError(resp *http.Response, body []byte, method string) error {
	e := &HTTPError{
		Method: method, URL: c.URL(), Status: resp.StatusCode,
		Header: resp.Header, Body: snippet(body),
	}
	o := c.opts.Decode
	o.Charset = ""
	if _, err := ParseResponse(body, o); err != nil {
		e.Fault, _ = errors.AsType[*Fault](err)
	}
	return e
}

// snippet is the beginning of what came instead of a document.
func snippet(body []byte) string { return clipText(string(body[:min(len(body), 513)]), 512) }
