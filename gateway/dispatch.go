package gateway

import (
	"context"
	"fmt"
	"strings"

	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// protocolXMLRPC is what rmi.Peer.Protocol says of callers by XML-RPC.
const protocolXMLRPC = "xmlrpc"

// dispatcher passes XML-RPC calls on to the gateway's handler.
type dispatcher struct{ g *Gateway }

var _ xmlrpc.Describer = (*dispatcher)(nil)

// Dispatch passes a call on: its document as it came, and the document that
// comes back.
func (d *dispatcher) Dispatch(ctx context.Context, in *xmlrpc.Call) (any, error) {
	t := d.g.target(ctx, in.Method)
	call := newCall(in.HTTP, protocolXMLRPC, t)
	if dialect := setting(in.HTTP, HeaderDialect, "dialect"); dialect != "" {
		if _, err := parseDialect(dialect); err != nil {
			return nil, &xmlrpc.Fault{Code: xmlrpc.CodeInvalidRequest, String: err.Error()}
		}
		call.Metadata[MetadataDialect] = dialect
	}
	doc, err := document(in)
	if err != nil {
		return nil, &xmlrpc.Fault{Code: xmlrpc.FaultCode(err), String: err.Error()}
	}
	call.Args = rmi.Payload{Type: rmi.ContentXMLRPC, Data: doc}
	reply, err := d.g.handler.Handle(ctx, call)
	if err != nil {
		return nil, faultOf(err)
	}
	if reply.Result.Type != rmi.ContentXMLRPC {
		return nil, faultOf(rmi.Errorf(rmi.Internal, "%s answered with content type %d, which is no XML-RPC", in.Method, reply.Result.Type))
	}
	if now, ok := d.g.dir.Lookup(ctx, t.name); ok && t.method != "" && now.Digest != "" {
		if _, known := d.g.dir.remembered(now); !known {
			d.g.dir.Describe(ctx, t.name) // once, so that Known knows it from now on
		}
	}
	return xmlrpc.Document(reply.Result.Data), nil
}

// document returns the document of a call: as it came, unless it came in a batch
// or leaves its charset to the header of the request.
func document(in *xmlrpc.Call) ([]byte, error) {
	switch strings.ToLower(in.Charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		if in.Document != nil {
			return in.Document, nil
		}
	}
	args := make([]any, len(in.Params))
	for i, p := range in.Params {
		args[i] = p
	}
	return xmlrpc.AppendRequest(nil, xmlrpc.EncodeOptions{Dialect: xmlrpc.Apache}, in.Method, args...)
}

// parseDialect reads the name of a dialect.
func parseDialect(s string) (xmlrpc.Dialect, error) {
	switch s {
	case "", "standard":
		return xmlrpc.Standard, nil
	case "plain":
		return xmlrpc.Plain, nil
	case "apache":
		return xmlrpc.Apache, nil
	}
	return 0, fmt.Errorf("there is no dialect %q; there are standard, plain and apache", clip(s, 32))
}

// hiddenPrefix begins the names of what the mesh itself serves: it can be
// called, and is not listed.
const hiddenPrefix = "farcall."

// visible returns what of list is listed.
func visible(list []Listing) []Listing {
	out := make([]Listing, 0, len(list))
	for _, l := range list {
		if !strings.HasPrefix(string(l.Name), hiddenPrefix) {
			out = append(out, l)
		}
	}
	return out
}

// ListMethods lists the functions, and the methods of objects that say which
// they have.
func (d *dispatcher) ListMethods(ctx context.Context) ([]string, error) {
	list, err := d.g.dir.List(ctx, "")
	if err != nil {
		return nil, faultOf(err)
	}
	var names []string
	var objects []Listing
	for _, l := range visible(list) {
		if l.Kind == naming.KindFunction {
			names = append(names, string(l.Name))
		} else {
			objects = append(objects, l)
		}
	}
	infos, err := d.g.dir.describeAll(ctx, objects)
	if err != nil {
		return nil, faultOf(err)
	}
	for _, info := range infos {
		for _, m := range info.Methods {
			names = append(names, target{info.Name, m.Name}.String())
		}
	}
	return names, nil
}

// DescribeMethod describes one method.
func (d *dispatcher) DescribeMethod(ctx context.Context, full string) (xmlrpc.MethodInfo, error) {
	t := d.g.target(ctx, full)
	if _, ok := d.g.dir.Lookup(ctx, t.name); !ok {
		return xmlrpc.MethodInfo{}, xmlrpc.ErrMethodNotFound
	}
	info, err := d.g.dir.Describe(ctx, t.name)
	if err != nil {
		return xmlrpc.MethodInfo{}, faultOf(err)
	}
	m, ok := info.Method(t.method)
	if !ok {
		return xmlrpc.MethodInfo{}, xmlrpc.ErrMethodNotFound
	}
	help := m.Doc
	if m.Name == "" && help == "" {
		help = info.Doc
	}
	named := m
	named.Name = full
	if help != "" {
		help += "\n"
	}
	return xmlrpc.MethodInfo{Name: full, Help: help + named.Signature(), Signatures: signatures(m)}, nil
}

// signatures are the lists of types that m may be called with, the result's
// first. A variadic method has two: without the last parameter, and with it once.
func signatures(m rmi.MethodInfo) [][]string {
	sig := []string{xmlrpc.KindBoolean.String()} // no result is true
	switch {
	case len(m.Results) == 1:
		sig[0] = typeName(m.Results[0])
	case len(m.Results) > 1:
		sig[0] = xmlrpc.KindArray.String()
	}
	for _, p := range m.Params {
		sig = append(sig, typeName(p.Type))
	}
	if m.Variadic {
		return [][]string{sig[: len(sig)-1 : len(sig)-1], sig}
	}
	return [][]string{sig}
}
