package rmi

import (
	"context"
	"fmt"

	"farcall.dev/naming"
)

// ExportHandler makes something callable under info.Name whose calls h carries
// out, such as an object that lives behind another protocol. info describes it:
// only the methods listed there reach h, by exactly those names, and a function
// has one, whose name is empty. h gets the arguments as they came, whatever
// their content type. What it panics with fails the call and nothing else.
//
// An empty info.Digest is filled in. Errors: an [*ExportError].
func (o *Objects) ExportHandler(info InterfaceInfo, h Handler) error {
	fail := func(reason string, cause error) error {
		return &ExportError{Name: info.Name, Type: info.Go, Reason: reason, cause: cause}
	}
	if _, err := naming.ParseName(string(info.Name)); err != nil {
		return fail(err.Error(), err)
	}
	if info.Kind == "" {
		info.Kind = naming.KindObject
	}
	function := info.Kind == naming.KindFunction
	switch {
	case h == nil:
		return fail("the handler is nil", nil)
	case function && (len(info.Methods) != 1 || info.Methods[0].Name != ""):
		return fail("a function has one method, whose name is empty", nil)
	}
	seen := make(map[string]bool, len(info.Methods))
	plans := make([]*plan, len(info.Methods))
	for i, m := range info.Methods {
		switch {
		case m.Name == "" && !function:
			return fail("a method has no name", nil)
		case len(m.Name) > MaxMethodLen:
			return fail(fmt.Sprintf("the method name %s is longer than %d bytes", clip(m.Name, 64), MaxMethodLen), nil)
		case seen[m.Name]:
			return fail(fmt.Sprintf("the method %s is there twice", m.Name), nil)
		}
		seen[m.Name] = true
		plans[i] = &plan{object: info.Name, name: m.Name, goName: m.Name, idempotent: m.Idempotent, info: m, handler: h}
		plans[i].info.Go = "" // whatever the other side calls it in Go means nothing here
	}
	obj := newObject(info.Name, info.Kind, info.Go, Docs{Doc: info.Doc}, plans)
	if info.Digest != "" {
		obj.info.Digest = info.Digest
	}
	return o.add(obj)
}

// forward has p's handler carry out the call.
func (p *plan) forward(ctx context.Context, call *Call, space *Space) (Reply, error) {
	method := withCall(ctx, call, p, space)
	reply, err := p.handler.Handle(method, call)
	if err != nil {
		return Reply{}, FromError(err)
	}
	reply.addMetadata(method.settle())
	return reply, nil
}
