package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

const (
	// describeBatch is how many methods a server is asked about at once.
	describeBatch = 100
	// maxHelp bounds what is kept of the words for one method, in bytes.
	maxHelp = 4 << 10
)

// Describe asks the server what it has, and returns that as the interface of
// name: the methods that it lists, or those of the options, with types and words
// where it tells them. A method of which it tells no types takes and returns
// anything.
func (f *Foreign) Describe(ctx context.Context, name naming.Name) (rmi.InterfaceInfo, error) {
	info := rmi.InterfaceInfo{
		Name: name, Kind: naming.KindObject, Go: "XML-RPC server", Doc: "The XML-RPC server at " + f.URL() + ".",
	}
	methods, err := f.methods(ctx)
	if err != nil {
		return info, err
	}
	told := make(map[string]rmi.MethodInfo, len(methods))
	for _, n := range methods {
		anything := TypeOf("")
		info.Methods = append(info.Methods, rmi.MethodInfo{
			Name: n, Params: []rmi.ParamInfo{{Type: anything}}, Variadic: true, Results: []rmi.TypeInfo{anything}, Fails: true,
		})
	}
	if f.tellsSignatures(ctx, methods[0]) {
		for batch := range slices.Chunk(info.Methods, describeBatch) {
			f.describeBatch(ctx, batch)
		}
	}
	for _, m := range info.Methods {
		told[m.Name] = m
	}
	f.told.Store(&told)
	return info, nil
}

// methods returns the names of the methods that may be called.
func (f *Foreign) methods(ctx context.Context) ([]string, error) {
	names := slices.Clone(f.opts.Methods)
	if len(names) == 0 {
		listed, err := f.client.ListMethods(ctx)
		if errors.Is(err, xmlrpc.ErrMethodNotFound) {
			return nil, fmt.Errorf("the server at %s does not tell its methods; list them where it is attached: %w", f.URL(), err)
		}
		if err != nil {
			return nil, fmt.Errorf("ask the server at %s for its methods: %w", f.URL(), err)
		}
		names = slices.DeleteFunc(listed, func(n string) bool { return strings.HasPrefix(n, systemPrefix) })
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("the server at %s lists no methods; list them where it is attached", f.URL())
	case len(names) > f.opts.MaxMethods:
		return nil, fmt.Errorf("the server at %s lists %d methods, and the most that are taken is %d", f.URL(), len(names), f.opts.MaxMethods)
	}
	for _, n := range names {
		if len(n) > rmi.MaxMethodLen || xmlrpc.ValidMethod(n) != nil {
			return nil, fmt.Errorf("the server at %s lists the method %q, which cannot be called", f.URL(), clip(n, 64))
		}
	}
	return names, nil
}

// tellsSignatures reports whether there is any use in asking about methods.
func (f *Foreign) tellsSignatures(ctx context.Context, method string) bool {
	_, err := f.client.MethodSignature(ctx, method)
	return !errors.Is(err, xmlrpc.ErrMethodNotFound)
}

// describeBatch fills in what the server tells of methods.
func (f *Foreign) describeBatch(ctx context.Context, methods []rmi.MethodInfo) {
	signatures, helps := make([]xmlrpc.RawValue, len(methods)), make([]string, len(methods))
	calls := make([]*xmlrpc.BatchCall, 0, 2*len(methods))
	for i, m := range methods {
		calls = append(calls,
			&xmlrpc.BatchCall{Method: systemPrefix + "methodSignature", Args: []any{m.Name}, Result: &signatures[i]},
			&xmlrpc.BatchCall{Method: systemPrefix + "methodHelp", Args: []any{m.Name}, Result: &helps[i]})
	}
	if f.client.Multicall(ctx, calls...) != nil {
		return // nothing was told, which is no reason not to call
	}
	for i := range methods {
		if calls[2*i].Err == nil {
			typed(&methods[i], signatures[i])
		}
		if calls[2*i+1].Err == nil {
			methods[i].Doc = clip(strings.TrimSpace(helps[i]), maxHelp)
		}
	}
}

// typed gives m the types of a signature, if there is one alone: several would
// have to be told apart by what is sent.
func typed(m *rmi.MethodInfo, raw xmlrpc.RawValue) {
	var signatures [][]string
	if raw.Kind() != xmlrpc.KindArray || raw.Decode(&signatures) != nil || len(signatures) != 1 || len(signatures[0]) == 0 {
		return
	}
	sig := signatures[0]
	m.Params, m.Variadic, m.Results = nil, false, []rmi.TypeInfo{TypeOf(sig[0])}
	for _, t := range sig[1:] {
		m.Params = append(m.Params, rmi.ParamInfo{Type: TypeOf(t)})
	}
}
