package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// The defaults of [ForeignOptions].
const (
	// DefaultForeignMethods bounds the methods that a server may list.
	DefaultForeignMethods = 1000
	// DefaultForeignTimeout bounds a call to a server when its caller sets no
	// deadline.
	DefaultForeignTimeout = rmi.DefaultTimeout
)

// systemPrefix begins the names of methods that are about a server, not of it.
const systemPrefix = "system."

// ForeignOptions are the settings of a [Foreign]. The zero value works.
type ForeignOptions struct {
	// Methods are the methods that may be called. Empty means those that the
	// server lists when it is asked, but for system's own.
	Methods []string
	// MaxMethods bounds how many may be listed. Default 1000.
	MaxMethods int
	// Dialect is which extensions the server reads. The default is none: null
	// and integers beyond 32 bits cannot be sent.
	Dialect xmlrpc.Dialect
	// HTTP makes the requests; nil means a client of its own.
	HTTP *http.Client
	// Timeout bounds each request whose caller sets no deadline. Default 10 s.
	Timeout time.Duration
}

// Foreign is the [rmi.Handler] of an XML-RPC server that knows nothing of a mesh:
// a call of any object is one of the server's method. XML-RPC documents pass
// undecoded; other calls are translated, and so are their results. It may be
// used from any number of goroutines.
type Foreign struct {
	opts   ForeignOptions
	client *xmlrpc.Client
	// told is what Describe was last told of each method, by name.
	told atomic.Pointer[map[string]rmi.MethodInfo]
}

var _ rmi.Handler = (*Foreign)(nil)

// ForeignScheme is what the scheme of a server's URL begins with:
// xmlrpc+http://host:port/path.
const ForeignScheme = "xmlrpc+"

// ParseForeignURL returns the HTTP URL in a URL such as
// "xmlrpc+http://127.0.0.1:8080/RPC2", whose scheme tells what is spoken there.
func ParseForeignURL(raw string) (string, error) {
	bare, ok := strings.CutPrefix(raw, ForeignScheme)
	if !ok {
		return "", fmt.Errorf("the URL of a server begins with %shttp:// or %shttps://", ForeignScheme, ForeignScheme)
	}
	u, err := url.Parse(bare)
	switch {
	case err != nil:
		return "", errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("the URL of a server begins with %shttp:// or %shttps://", ForeignScheme, ForeignScheme)
	case u.Host == "":
		return "", errors.New("the URL has no host")
	}
	return bare, nil
}

// NewForeign returns the handler of the server at url; see [ParseForeignURL].
// Nothing is sent yet.
func NewForeign(url string, opts ForeignOptions) (*Foreign, error) {
	bare, err := ParseForeignURL(url)
	if err != nil {
		return nil, err
	}
	setDefault(&opts.MaxMethods, DefaultForeignMethods)
	setDefault(&opts.Timeout, DefaultForeignTimeout)
	opts.Methods = slices.Clone(opts.Methods)
	client, err := xmlrpc.NewClient(bare, xmlrpc.ClientOptions{
		HTTP: opts.HTTP, Encode: xmlrpc.EncodeOptions{Dialect: opts.Dialect}, SingleCalls: true,
	})
	if err != nil {
		return nil, err
	}
	return &Foreign{opts: opts, client: client}, nil
}

// URL is the server's address, without a password.
func (f *Foreign) URL() string { return f.client.URL() }

// Close closes the connections that nobody uses.
func (f *Foreign) Close() { f.client.Close() }

// Handle calls the server. What it answers with as a fault becomes an error with
// the code that stands for the fault's, and that of an application keeps the
// number in the details; see [DetailFault]. A server that cannot be reached is
// UNAVAILABLE.
func (f *Foreign) Handle(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.opts.Timeout)
		defer cancel()
	}
	args, err := foreignArgs(call.Args)
	if err != nil {
		return rmi.Reply{}, err
	}
	f.fit(call.Method, args)
	var raw xmlrpc.RawValue
	if err := f.client.Call(ctx, call.Method, &raw, args...); err != nil {
		return rmi.Reply{}, f.failed(ctx, call, err)
	}
	result, err := foreignResult(call.Args.Type, raw)
	if err != nil {
		return rmi.Reply{}, rmi.Errorf(rmi.Internal, "result of %s.%s: %w", call.Object, call.Method, err)
	}
	return rmi.Reply{Result: result}, nil
}

// foreignArgs returns the arguments of a call as they are written into a
// document.
func foreignArgs(p rmi.Payload) ([]any, error) {
	bad := func(err error) ([]any, error) {
		e := rmi.Errorf(rmi.InvalidArgument, "%w", err)
		e.Execution = rmi.NotExecuted
		return nil, e
	}
	switch p.Type {
	case rmi.ContentCBOR:
		args, err := rmi.DecodeArgs(p)
		if err != nil {
			return bad(err)
		}
		for i := range args {
			args[i] = unnatural(args[i])
		}
		return args, nil
	case rmi.ContentXMLRPC:
		req, err := xmlrpc.ParseRequest(p.Data, xmlrpc.DecodeOptions{})
		if err != nil {
			return bad(err)
		}
		args := make([]any, len(req.Params))
		for i, raw := range req.Params {
			args[i] = raw
		}
		return args, nil
	}
	return bad(&rmi.ContentError{Type: p.Type})
}

// fit makes floats of the integers that method takes as such, as far as the
// server has told: others than this one do not convert.
func (f *Foreign) fit(method string, args []any) {
	told := f.told.Load()
	if told == nil {
		return
	}
	m := (*told)[method]
	if m.Variadic || len(m.Params) != len(args) {
		return
	}
	for i, p := range m.Params {
		if n, ok := args[i].(int64); ok && p.Type.Kind == rmi.KindFloat {
			args[i] = float64(n)
		}
	}
}

// unnatural makes of what rmi decodes into an any what XML-RPC can write: the
// keys of maps become strings.
func unnatural(v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = unnatural(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = unnatural(e)
		}
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			text, ok := keyText(k)
			if _, twice := out[text]; twice || !ok {
				return v // it is refused, by its type
			}
			out[text] = unnatural(e)
		}
		return out
	}
	return v
}

// foreignResult returns a server's result as what a caller of typ reads.
func foreignResult(typ rmi.ContentType, raw xmlrpc.RawValue) (rmi.Payload, error) {
	if typ == rmi.ContentXMLRPC {
		// It keeps whatever extension the server has used.
		var doc []byte
		var err error
		for _, dialect := range []xmlrpc.Dialect{xmlrpc.Plain, xmlrpc.Apache} {
			if doc, err = xmlrpc.AppendResponse(nil, raw, xmlrpc.EncodeOptions{Dialect: dialect}); err == nil {
				break
			}
		}
		return rmi.Payload{Type: typ, Data: doc}, err
	}
	v, err := raw.Any()
	if err != nil {
		return rmi.Payload{}, err
	}
	return rmi.EncodeValue(Natural(v))
}

// failed is the failure of a call of the server.
func (f *Foreign) failed(ctx context.Context, call *rmi.Call, err error) error {
	what := string(call.Object) + "." + call.Method
	if fault, ok := errors.AsType[*xmlrpc.Fault](err); ok {
		e := rmi.Errorf(CodeOfFault(fault.Code), "%s", fault.String)
		if errors.Is(fault, xmlrpc.ErrMethodNotFound) {
			e.Code = rmi.Unimplemented
		}
		return faultError(e, fault)
	}
	refused := func(code rmi.Code) error {
		e := rmi.Errorf(code, "%s: %w", what, err)
		e.Execution = rmi.NotExecuted
		return e
	}
	if _, ok := errors.AsType[*xmlrpc.UnsupportedValueError](err); ok {
		return refused(rmi.InvalidArgument)
	}
	if _, ok := errors.AsType[*xmlrpc.UnsupportedTypeError](err); ok {
		return refused(rmi.InvalidArgument)
	}
	if status, ok := errors.AsType[*xmlrpc.HTTPError](err); ok {
		return rmi.Errorf(CodeOfStatus(status.Status), "%s: %w", what, err)
	}
	if _, ok := errors.AsType[*xmlrpc.LimitError](err); ok {
		return rmi.Errorf(rmi.ResourceExhausted, "%s: %w", what, err)
	}
	if _, ok := errors.AsType[*xmlrpc.ResponseError](err); ok {
		return rmi.Errorf(rmi.Internal, "%s: %w", what, err)
	}
	if ctx.Err() != nil {
		return rmi.FromError(fmt.Errorf("%s: %w", what, ctx.Err()))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return refused(rmi.Unavailable)
	}
	return rmi.Errorf(rmi.Unavailable, "%s: the connection to the server at %s failed: %w", what, f.URL(), err)
}

// Check asks the server whether it is there: by calling method, or by
// system.listMethods when that is empty. Any answer will do, a fault too, as long
// as it is one; servers differ in what they tell.
func (f *Foreign) Check(ctx context.Context, method string) error {
	if method == "" {
		method = systemPrefix + "listMethods"
	}
	err := f.client.Call(ctx, method, nil)
	if _, ok := errors.AsType[*xmlrpc.HTTPError](err); ok {
		return err // by a fault in its body, too: servers without it answer by 200
	}
	if _, ok := errors.AsType[*xmlrpc.Fault](err); ok {
		return nil
	}
	return err
}
