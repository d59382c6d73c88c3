package farcall

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"farcall.dev/gateway"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// Gateway returns the HTTP handler through which those who speak XML-RPC or JSON
// call everything in the mesh; see package gateway. It works as long as the mesh
// does not shut down. The error is about opts.
//
// A process that listens has another such handler on its port, for what it
// serves itself; see Options.HTTP.
func (m *Mesh) Gateway(opts gateway.Options) (*gateway.Gateway, error) {
	return gateway.New(m.handler, meshDirectory{m}, m.gatewayOptions(opts))
}

// gatewayOptions returns opts with what they leave out taken from the mesh.
func (m *Mesh) gatewayOptions(opts gateway.Options) gateway.Options {
	if opts.Logger == nil {
		opts.Logger = m.log
	}
	if opts.Timeout == 0 {
		opts.Timeout = m.opts.Timeout
	}
	return opts
}

// xmlrpcPath is where XML-RPC is served, as everybody expects.
const xmlrpcPath = "/RPC2"

// web returns what answers HTTP requests on the listening port.
func (m *Mesh) web() (http.Handler, error) {
	rest := m.opts.HTTP
	if rest == nil {
		rest = http.NotFoundHandler()
	}
	opts := m.opts.Gateway
	if opts.Doors == gateway.NoDoors {
		return rest, nil
	}
	gate, err := gateway.New(m.served, gateway.ObjectsDirectory(m.objects), m.gatewayOptions(opts))
	if err != nil {
		return nil, fmt.Errorf("set up the gateway: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == xmlrpcPath && opts.Doors != gateway.JSONDoor,
			strings.HasPrefix(path, "/v1/") && opts.Doors != gateway.XMLRPCDoor:
			gate.ServeHTTP(w, r)
		default:
			rest.ServeHTTP(w, r)
		}
	}), nil
}

// meshDirectory tells what is in the mesh.
type meshDirectory struct{ m *Mesh }

var _ gateway.Directory = meshDirectory{}

// Lookup looks name up in what this process knows of everybody's names.
func (d meshDirectory) Lookup(ctx context.Context, name naming.Name) (gateway.Listing, bool) {
	entry := d.m.cache.Lookup(name)
	if entry == nil {
		if d.m.cache.Ready(ctx) != nil {
			return gateway.Listing{}, false
		}
		if entry = d.m.cache.Lookup(name); entry == nil {
			return gateway.Listing{}, false
		}
	}
	return listing(entry), true
}

// List lists what this process knows of everybody's names.
func (d meshDirectory) List(ctx context.Context, prefix string) ([]gateway.Listing, error) {
	if err := d.m.cache.Ready(ctx); err != nil {
		return nil, rmi.FromError(err)
	}
	entries := d.m.cache.List(prefix)
	all := make([]gateway.Listing, len(entries))
	for i, e := range entries {
		all[i] = listing(e)
	}
	return all, nil
}

// Describe asks an instance of name.
func (d meshDirectory) Describe(ctx context.Context, name naming.Name) (rmi.InterfaceInfo, error) {
	return d.m.Describe(ctx, name, "")
}

// listing returns entry as a gateway sees it. Where instances differ, as they may
// while a new version replaces an old one, their interface is not remembered.
func listing(entry *naming.Entry) gateway.Listing {
	instances := entry.Callable()
	l := gateway.Listing{Name: entry.Name, Instances: len(instances), Revision: uint64(entry.Revision)}
	if len(instances) == 0 {
		instances = entry.Instances
	}
	l.Kind, l.Digest = instances[0].Kind, instances[0].Interface
	for _, inst := range instances[1:] {
		if inst.Interface != l.Digest {
			l.Digest = ""
		}
	}
	return l
}
