// Package farcall calls objects and functions on other machines by their name.
//
// A process joins the mesh, registers what it serves, and calls what others
// serve:
//
//	mesh, err := farcall.Join(ctx, farcall.Options{Listen: "127.0.0.1:0"})
//	...
//	err = mesh.Register(ctx, "greeting", &Greeting{}, farcall.RegisterOptions{})
//	...
//	text, err := farcall.Call[string](ctx, mesh, "greeting", "get_fortune", "letian")
//
// Names are kept by a name server (etcd, embedded in the nameserver command or
// your own); calls go straight from node to node over one multiplexed
// connection. See package rmi for what can be registered and how values
// travel, and package naming for names and their instances.
package farcall

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"farcall.dev/gateway"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// DefaultNameServer is where a name server listens when nothing else is said.
const DefaultNameServer = "127.0.0.1:2379"

// Options say how a process takes part in the mesh. The zero value makes a
// client of a name server on this machine.
type Options struct {
	// NameServers are the name servers' etcd addresses, host:port or URL. Empty
	// means DefaultNameServer.
	NameServers []string
	// Registry is used instead of NameServers when it is not nil: an in-memory
	// one in tests, say. The mesh closes it.
	Registry naming.Registry
	// LeaseTTL is how long this process's names outlive it when it dies without
	// a word. Zero means 10 s.
	LeaseTTL time.Duration

	// Node is what this process is called, unique in the mesh. Empty means the
	// host's name with a random suffix.
	Node naming.NodeID
	// Listen is the address to serve on: calls of the mesh and everything else
	// that shares its port. Port 0 picks a free one. Empty means that this
	// process only calls.
	Listen string
	// Listener is used instead of Listen when it is not nil; the mesh closes it.
	Listener net.Listener
	// Advertise is the host:port at which others reach this process. Empty means
	// the address listened on, which must then not be a wildcard.
	Advertise string
	// Zone, Tags, Weight and Version describe every name registered here unless
	// the registration says otherwise; see naming.Instance.
	Zone    string
	Tags    []string
	Weight  int
	Version string

	// TLS protects both directions of the mesh when it is not nil: its
	// certificates are shown to peers that call and are called.
	TLS *tls.Config
	// HTTP answers HTTP requests on the listening port, but for /RPC2 and what is
	// below /v1/: there a gateway lets in those who call what this process serves
	// by XML-RPC or JSON. Nil answers 404.
	HTTP http.Handler
	// Gateway are the settings of that gateway; with Doors set to
	// gateway.NoDoors, HTTP gets every request.
	Gateway gateway.Options
	// Dial makes the connections to other nodes. Nil means TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	// Timeout bounds each call whose context has no deadline. Zero means
	// rmi.DefaultTimeout.
	Timeout time.Duration
	// Limits bound what others can make this process hold.
	Limits Limits
	// ReferenceLease is how long a peer that is cut off keeps what it has here: the
	// references that it holds, the answers recorded for it, its instances and
	// values. Zero means rmi.DefaultLease.
	ReferenceLease time.Duration
	// Proxies are the interfaces whose values may come from other processes, as
	// farcall-gen writes them. References, funcs and structs of funcs need none.
	Proxies []rmi.Proxy
	// ServeWith wraps the calls that others make here, CallWith those made from
	// here; the first sees a call first.
	ServeWith, CallWith []rmi.Middleware
	// Errors are the errors that errors.Is and errors.AsType recognise across the
	// wire. Nil means the standard ones only.
	Errors *rmi.Errors
	// Operator says whether a peer may see what went wrong inside this process: the
	// stack of a panic, and the traces of errors, as rmi.Error.Trace. Nil means that
	// nobody may.
	Operator func(rmi.Peer) bool
	// Tally, when not nil, adds up what the connections of this process do.
	Tally *rmi.Tally
	// Logger gets what no caller can see. Nil discards it.
	Logger *slog.Logger
}

// Limits bound what others can make a process hold. A zero field means the
// default, which is that of the option of package rmi that it names; what is
// beyond a limit is refused with RESOURCE_EXHAUSTED.
type Limits struct {
	// CallsInFlight bounds the calls of one peer that wait or run at a time; see
	// rmi.ConnOptions.MaxInFlight.
	CallsInFlight int
	// Payload bounds arguments, results and items of streams, in bytes; see
	// rmi.ConnOptions.MaxPayload.
	Payload int
	// Streams bounds the item streams of one connection in either direction; see
	// rmi.ConnOptions.MaxStreams.
	Streams int
	// References bounds the references of one other process that are held, and
	// the objects given away that nobody has taken; see
	// rmi.SpaceOptions.MaxReferences.
	References int
	// Instances bounds what factories have made; see
	// rmi.ObjectsOptions.MaxInstances.
	Instances int
}

// RegisterOptions describe one registration. The zero value registers a shared
// name with every exportable method.
type RegisterOptions struct {
	// Mode says how many instances the name may have; empty means shared.
	Mode naming.Mode
	// Tags are added to the process's own; Weight and Version replace them when
	// set.
	Tags    []string
	Weight  int
	Version string
	// Methods lists the methods to expose, by either of their names. Empty
	// exposes all, and fails when one of them cannot be.
	Methods []string
	// Docs are words for describe: what the thing is and does, and the names of
	// its methods' parameters.
	Docs rmi.Docs
	// Properties are the fields and computed values that callers may read and
	// write; Guard is held while a field is. See rmi.ExportOptions.
	Properties []rmi.Property
	Guard      sync.Locker
}

// Call calls a method of the object called name and returns its result as a T.
// Method is the name on the wire (get_fortune) or in Go (GetFortune); empty
// calls a function. See rmi.InvokeAs for how arguments and results convert.
func Call[T any](ctx context.Context, m *Mesh, name naming.Name, method string, args ...any) (T, error) {
	return rmi.InvokeAs[T](ctx, m.Handler(), name, method, args...)
}

// advertised returns the address to publish for a listener at addr.
func advertised(addr net.Addr, override string) (string, error) {
	if override != "" {
		if _, _, err := net.SplitHostPort(override); err != nil {
			return "", fmt.Errorf("advertise %q: want host:port: %w", override, err)
		}
		return override, nil
	}
	if t, ok := addr.(*net.TCPAddr); ok && t.IP.IsUnspecified() {
		return "", fmt.Errorf("listening on every address (%s), so the one that others reach is unknown: set Advertise to host:port", addr)
	}
	return addr.String(), nil
}
