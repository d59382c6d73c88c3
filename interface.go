package farcall

import (
	"context"
	"errors"
	"slices"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// way is the way of calls into the mesh, with what package rmi wants to know of
// it.
type way struct {
	rmi.Handler
	mesh *Mesh
}

var _ rmi.Handler = (*Mesh)(nil)

// Space returns that of the calls.
func (w way) Space() *rmi.Space { return w.mesh.space }

// Resolver returns what is known of the names that are called.
func (w way) Resolver() naming.Resolver { return w.mesh.cache }

// CheckInterface asks whether every instance of name that calls may go to has
// the methods of want, by the rules of rmi.CheckInterface. The digests in the
// registry answer where they equal that of want; each other digest costs one
// question to one node. It returns nil when all fit; else an
// *rmi.InterfaceError for each interface that does not, joined if there are
// several, with the nodes that have it and the methods that differ; and what
// else kept it from an answer. A client of farcall-gen asks by itself; this is
// for a program that would rather know before it starts.
func (m *Mesh) CheckInterface(ctx context.Context, name naming.Name, want rmi.InterfaceInfo) error {
	entry, err := m.cache.Resolve(ctx, name)
	if err != nil {
		return err
	}
	nodes := make(map[string][]naming.NodeID)
	var digests []string
	for _, inst := range entry.Callable() {
		digest := inst.Interface
		if digest == want.Digest && digest != "" {
			continue
		}
		if digest == "" {
			digest = "unknown on " + string(inst.Node)
		}
		if nodes[digest] == nil {
			digests = append(digests, digest)
		}
		nodes[digest] = append(nodes[digest], inst.Node)
	}
	slices.Sort(digests)
	var errs []error
	for _, digest := range digests {
		have, err := m.Describe(ctx, name, nodes[digest][0])
		if err == nil {
			err = rmi.CheckInterface(want, have)
		}
		if e, ok := errors.AsType[*rmi.InterfaceError](err); ok {
			e.Name, e.Nodes = name, nodes[digest]
		}
		errs = append(errs, err)
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// Of returns o with the methods and docs of what was generated for a Go
// interface; those that o has itself go before them.
func (o RegisterOptions) Of(i *rmi.Interface) RegisterOptions {
	export := i.Options()
	if len(o.Methods) == 0 {
		o.Methods = export.Methods
	}
	o.Docs = export.Docs.With(o.Docs)
	return o
}
