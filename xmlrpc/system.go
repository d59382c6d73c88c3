package xmlrpc

import (
	"context"
	"errors"
	"reflect"
	"slices"
)

// A Capability is something that a server can do beyond calls, as
// system.getCapabilities tells it.
type Capability struct {
	// SpecURL names the specification, and SpecVersion its version.
	SpecURL     string `xmlrpc:"specUrl"`
	SpecVersion int    `xmlrpc:"specVersion"`
}

const multicallName = "system.multicall"

// systemMethods are the methods that a Handler has by itself.
func (h *Handler) systemMethods() map[string]*method {
	methods := map[string]*method{}
	add := func(name, help string, signature []string, fn func(context.Context, *Call) (any, error)) {
		methods[name] = &method{name: name, help: help, signatures: [][]string{signature}, system: fn}
	}
	if h.opts.Omit&Introspection == 0 {
		add("system.listMethods", "Returns the names of all methods.",
			[]string{"array"}, h.listMethods)
		add("system.methodSignature", "Returns the signatures that a method may be called with: lists of types, each led by that of the result.",
			[]string{"array", "string"}, h.methodSignature)
		add("system.methodHelp", "Returns what a method does.",
			[]string{"string", "string"}, h.methodHelp)
		add("system.getCapabilities", "Returns what this server can do beyond calls, and where that is specified.",
			[]string{"struct"}, h.getCapabilities)
	}
	if h.opts.Omit&Multicall == 0 {
		add(multicallName, "Calls several methods, given as structs of methodName and params. Returns, for each, an array with its result or a struct with its faultCode and faultString.",
			[]string{"array", "array"}, nil)
		methods[multicallName].batch = true
	}
	return methods
}

func (h *Handler) listMethods(ctx context.Context, call *Call) (any, error) {
	if err := decodeParams(call); err != nil {
		return nil, err
	}
	return h.methodNames(ctx)
}

// methodNames are the names of all methods, sorted, those of the Dispatcher too.
func (h *Handler) methodNames(ctx context.Context) ([]string, error) {
	names := h.table.Load().names()
	if d, ok := h.opts.Dispatcher.(Describer); ok {
		more, err := d.ListMethods(ctx)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
		slices.Sort(names)
		names = slices.Compact(names)
	}
	return names, nil
}

func (h *Handler) methodSignature(ctx context.Context, call *Call) (any, error) {
	info, err := h.describeParam(ctx, call)
	if err != nil {
		return nil, err
	}
	if info.Signatures == nil {
		return "undef", nil // What xmlrpc-c says: everybody takes it for unknown.
	}
	return info.Signatures, nil
}

func (h *Handler) methodHelp(ctx context.Context, call *Call) (any, error) {
	info, err := h.describeParam(ctx, call)
	return info.Help, err
}

// describeParam describes the method that is the one argument of call.
func (h *Handler) describeParam(ctx context.Context, call *Call) (MethodInfo, error) {
	var name string
	if err := decodeParams(call, &name); err != nil {
		return MethodInfo{}, err
	}
	info, err := h.describe(ctx, name)
	if errors.Is(err, ErrMethodNotFound) {
		err = noMethod(name)
	}
	return info, err
}

// describe describes the method name.
func (h *Handler) describe(ctx context.Context, name string) (MethodInfo, error) {
	if m := h.table.Load().methods[name]; m != nil {
		return MethodInfo{Name: m.name, Help: m.help, Signatures: m.signatures}, nil
	}
	if d, ok := h.opts.Dispatcher.(Describer); ok {
		return d.DescribeMethod(ctx, name)
	}
	return MethodInfo{}, ErrMethodNotFound
}

func (h *Handler) getCapabilities(_ context.Context, call *Call) (any, error) {
	if err := decodeParams(call); err != nil {
		return nil, err
	}
	can := map[string]Capability{
		"xmlrpc":         {"http://www.xmlrpc.com/spec", 1},
		"introspection":  {"http://xmlrpc-c.sourceforge.net/introspection.html", 1},
		"faults_interop": {"http://xmlrpc-epi.sourceforge.net/specs/rfc.fault_codes.php", 20010516},
	}
	if h.opts.Omit&Multicall == 0 {
		can[multicallName] = Capability{"http://www.xmlrpc.com/discuss/msgReader$1208", 1}
	}
	switch h.opts.Encode.Dialect {
	case Plain:
		can["nil"] = Capability{"http://ontosys.com/xml-rpc/extensions.php", 20010518}
	case Apache:
		can["nil"] = Capability{"http://ws.apache.org/xmlrpc/namespaces/extensions", 1}
	}
	return can, nil
}

// decodeParams reads the arguments of call into what ptrs point to. The error is
// a *Fault.
func decodeParams(call *Call, ptrs ...any) error {
	in := make([]reflect.Type, len(ptrs))
	for i, p := range ptrs {
		in[i] = reflect.TypeOf(p).Elem()
	}
	args, err := DecodeArgs(call.Params, in, false)
	if err != nil {
		return &Fault{FaultCode(err), trimPrefix(err)}
	}
	for i, p := range ptrs {
		reflect.ValueOf(p).Elem().Set(args[i])
	}
	return nil
}
