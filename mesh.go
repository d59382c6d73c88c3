package farcall

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"farcall.dev/gateway"
	"farcall.dev/naming"
	"farcall.dev/naming/etcd"
	"farcall.dev/rmi"
	"farcall.dev/transport"
)

// Mesh is this process's part in the mesh: what it serves, and its way to call
// the others. Its methods may be called from any number of goroutines.
//
// It owns a registry (its own names and a watch of everybody's), a pool with
// one connection per node that it calls, and, when it listens, a server.
type Mesh struct {
	node    naming.NodeID
	inc     naming.Incarnation
	opts    Options
	log     *slog.Logger
	reg     naming.Registry
	cache   *naming.Cache
	pool    *transport.Pool[*rmi.Conn]
	handler rmi.Handler // calls by name, through CallWith; a way
	objects *rmi.Objects
	served  rmi.Handler // objects, through ServeWith
	local   *rmi.Local  // calls from here to what is served here
	serving *serving    // nil for a process that only calls
	space   *rmi.Space
	// attachments are the servers that are called in this process's name.
	attachments attachments
	tally       rmi.Tally // of all connections, to and from here

	stop    sync.Once
	stopErr error // of the shutdown; set by stop
}

// Join connects to the name server and, when the options say where to listen,
// begins to serve. It returns once the name server has answered: an error that
// is a naming.ErrUnavailable says that none did before ctx ended. The process
// stays in the mesh until Shutdown, whatever becomes of ctx.
func Join(ctx context.Context, opts Options) (*Mesh, error) {
	m := &Mesh{opts: opts, node: opts.Node, inc: naming.Incarnation(time.Now().UnixNano()), log: opts.Logger}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.node == "" {
		m.node = newNodeID()
	}
	if _, err := naming.ParseNodeID(string(m.node)); err != nil {
		return nil, fmt.Errorf("join the mesh: %w", err)
	}
	if opts.Errors == nil {
		opts.Errors, _ = rmi.NewErrors() // the standard ones cannot clash
	}
	m.space = rmi.NewSpace(rmi.SpaceOptions{
		Node: m.node, Incarnation: m.inc, Lease: opts.ReferenceLease, MaxReferences: opts.Limits.References,
		Calls: rmi.HandlerFunc(func(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
			return m.handler.Handle(ctx, call)
		}),
		Serve: rmi.HandlerFunc(func(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
			return m.served.Handle(ctx, call)
		}),
		Dial:      m.connection,
		Reachable: m.listens,
		Proxies:   opts.Proxies,
		Redial:    func(ctx context.Context, address string) (*rmi.Conn, error) { return m.pool.Get(ctx, address) },
		Logger:    m.log,
	})
	m.objects = rmi.NewObjects(rmi.ObjectsOptions{
		Space: m.space, Errors: opts.Errors, Operator: opts.Operator, MaxInstances: opts.Limits.Instances,
		Codecs: []rmi.Codec{gateway.NewCodec(gateway.CodecOptions{})}, Logger: m.log,
	})
	guard := rmi.Recover(rmi.RecoverOptions{Logger: m.log, Operator: opts.Operator})
	m.served = guard(rmi.Chain(m.objects, append(slices.Clone(opts.ServeWith), gateway.Faults)...))
	m.local = rmi.NewLocal(m.served, rmi.LocalOptions{Node: m.node, Incarnation: m.inc, Space: m.space, Logger: m.log})
	m.pool = transport.NewPool(m.dial, transport.PoolOptions{Logger: m.log})

	var err error
	if m.reg, err = m.registry(ctx); err != nil {
		m.pool.Close(ctx)
		return nil, fmt.Errorf("join the mesh: %w", err)
	}
	m.cache = naming.NewCache(m.reg, naming.CacheOptions{Alive: m.alive, Logger: m.log})
	var route rmi.Handler = rmi.NewRouter(m.cache, m.pool, rmi.RouterOptions{Zone: opts.Zone, Timeout: opts.Timeout, Local: m.local})
	m.handler = way{rmi.Chain(opts.Errors.Restore(route), opts.CallWith...), m}
	err = m.cache.Ready(ctx)
	if err == nil {
		err = m.listen(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("join the mesh as %s: %w", m.node, err), m.Shutdown(ctx))
	}
	return m, nil
}

// registry returns the registry that the options name.
func (m *Mesh) registry(ctx context.Context) (naming.Registry, error) {
	if m.opts.Registry != nil {
		return m.opts.Registry, nil
	}
	endpoints := m.opts.NameServers
	if len(endpoints) == 0 {
		endpoints = []string{DefaultNameServer}
	}
	reg, err := etcd.New(etcd.Options{Endpoints: endpoints, TTL: m.opts.LeaseTTL, Logger: m.log})
	if err != nil {
		return nil, err
	}
	if err := reg.Ping(ctx); err != nil {
		return nil, errors.Join(err, reg.Close(ctx))
	}
	return reg, nil
}

// newNodeID names a process that was given no name.
func newNodeID() naming.NodeID {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	return naming.NodeID(host + "-" + strings.ToLower(rand.Text()[:6]))
}

// hello is what this process says of itself to its peers.
func (m *Mesh) hello() transport.Hello {
	return transport.Hello{Node: string(m.node), Incarnation: uint64(m.inc)}
}

// dial connects to the node at address, for the pool.
func (m *Mesh) dial(ctx context.Context, address string) (*rmi.Conn, error) {
	return rmi.DialConn(ctx, address, rmi.DialOptions{
		Dial:      m.opts.Dial,
		TLS:       m.opts.TLS,
		Transport: transport.Options{Hello: m.hello(), Logger: m.log},
		Handler:   m.served,
		Conn:      m.connOptions(),
	})
}

// connOptions are the settings of every connection, by whomever it was opened.
func (m *Mesh) connOptions() rmi.ConnOptions {
	return rmi.ConnOptions{
		Logger: m.log, Tally: &m.tally, Space: m.space, SendTrace: m.opts.Operator,
		MaxInFlight: m.opts.Limits.CallsInFlight, MaxPayload: m.opts.Limits.Payload, MaxStreams: m.opts.Limits.Streams,
	}
}

// connection returns a connection to node, whose built-in object says where it
// is.
func (m *Mesh) connection(ctx context.Context, node naming.NodeID) (*rmi.Conn, error) {
	entry, err := m.cache.Resolve(ctx, rmi.NodeObject)
	if err != nil {
		return nil, err
	}
	for _, inst := range entry.Instances {
		if addr := inst.Addrs[naming.ProtocolMesh]; inst.Node == node && addr != "" {
			return m.pool.Get(ctx, addr)
		}
	}
	return nil, rmi.Errorf(rmi.Unavailable, "node %s serves nothing, so that only it can connect", node)
}

// listens reports whether node is known to have an address.
func (m *Mesh) listens(node naming.NodeID) bool {
	entry := m.cache.Lookup(rmi.NodeObject)
	if entry == nil {
		return false
	}
	for _, inst := range entry.Instances {
		if inst.Node == node {
			return inst.Addrs[naming.ProtocolMesh] != ""
		}
	}
	return false
}

// alive tells the cache whether an instance answers, whatever the registry says.
func (m *Mesh) alive(inst naming.Instance) bool {
	return m.pool.Healthy(inst.Addrs[naming.ProtocolMesh])
}

// Node returns what this process is called.
func (m *Mesh) Node() naming.NodeID { return m.node }

// Addr returns the host:port at which others reach this process; empty for one
// that only calls.
func (m *Mesh) Addr() string {
	if m.serving == nil {
		return ""
	}
	return m.serving.advertised
}

// Handle carries out one call from this process into the mesh, so that a Mesh can
// be given to what takes an rmi.Handler: rmi.Invoke, rmi.Get, rmi.NewBatch.
func (m *Mesh) Handle(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
	return m.handler.Handle(ctx, call)
}

// Handler returns the way of calls from this process into the mesh, without the
// rest of it.
func (m *Mesh) Handler() rmi.Handler { return m.handler }

// Resolver returns what this process knows of everybody's names.
func (m *Mesh) Resolver() *naming.Cache { return m.cache }

// Registry returns how this process stands with the name server.
func (m *Mesh) Registry() naming.Registry { return m.reg }

// Traffic returns what went over the connections between this process and
// others, by whomever they were opened.
func (m *Mesh) Traffic() rmi.TallyStats { return m.tally.Stats() }

// Space returns the sessions of this process with others, and the references
// between them.
func (m *Mesh) Space() *rmi.Space { return m.space }

// Objects returns what this process serves.
func (m *Mesh) Objects() *rmi.Objects { return m.objects }

// Invoke calls a method of the object called name and returns its result in
// its natural Go type: nil, bool, int64, float64, string, []byte, time.Time,
// []any, map[string]any and so on.
func (m *Mesh) Invoke(ctx context.Context, name naming.Name, method string, args ...any) (any, error) {
	return rmi.Invoke(ctx, m.handler, name, method, args...)
}

// Bind fills stub, a pointer to a struct of funcs, so that calling a func calls
// the method of that name on the object called name; see rmi.Bind.
func (m *Mesh) Bind(name naming.Name, stub any) error {
	return rmi.Bind(m.handler, name, stub)
}

// Describe asks an instance of name what methods it has. Pin asks the one on
// that node; empty asks any.
func (m *Mesh) Describe(ctx context.Context, name naming.Name, pin naming.NodeID) (rmi.InterfaceInfo, error) {
	entry, err := m.cache.Resolve(ctx, name)
	if err != nil {
		return rmi.InterfaceInfo{}, err
	}
	tried := []error(nil)
	for _, inst := range entry.Callable() {
		if pin != "" && inst.Node != pin {
			continue
		}
		ask := pinned{m.handler, m.space, inst.Node}
		info, err := rmi.InvokeAs[rmi.InterfaceInfo](ctx, ask, rmi.NodeObject, "describe", name)
		if err == nil || ctx.Err() != nil {
			return info, err
		}
		tried = append(tried, err)
	}
	if len(tried) > 0 {
		return rmi.InterfaceInfo{}, fmt.Errorf("describe %s: %w", name, errors.Join(tried...))
	}
	return rmi.InterfaceInfo{}, rmi.Errorf(rmi.NotFound, "describe %s: no callable instance%s", name, onNode(pin))
}

func onNode(pin naming.NodeID) string {
	if pin == "" {
		return ""
	}
	return fmt.Sprintf(" on node %s", pin)
}

// pinned sends calls to one node.
type pinned struct {
	rmi.Handler
	space *rmi.Space
	node  naming.NodeID
}

// Space returns that of the calls.
func (p pinned) Space() *rmi.Space { return p.space }

// Handle sends call to the node.
func (p pinned) Handle(ctx context.Context, call *rmi.Call) (rmi.Reply, error) {
	call.Pin = p.node
	return p.Handler.Handle(ctx, call)
}

// OnNode returns a way into the mesh on which every call goes to the instance
// on node, and fails when there is none.
func (m *Mesh) OnNode(node naming.NodeID) rmi.Handler { return pinned{m.handler, m.space, node} }

// Shutdown leaves the mesh without losing a call: it marks its names as
// draining, so that callers turn elsewhere; tells connected peers; lets calls
// in progress finish; takes its names back; and closes every connection. When
// ctx ends first, what is left is cut off and ctx's error returned. A name
// server that cannot be told is no error: it is logged, and the names end with
// their lease. A second call waits for the first and returns its error.
func (m *Mesh) Shutdown(ctx context.Context) error {
	m.stop.Do(func() { m.stopErr = m.shutdown(ctx) })
	return m.stopErr
}

// registryPatience bounds each of the words to the name server that a process
// says when it leaves. Calls must not be cut off because it does not answer.
const registryPatience = 2 * time.Second

// shutdown carries out Shutdown.
func (m *Mesh) shutdown(ctx context.Context) error {
	var errs []error
	m.space.Leave()
	attached := m.attachments.end()
	if m.serving != nil {
		m.tell(ctx, "mark names as draining", m.reg.Drain)
		if err := m.serving.shutdown(ctx, m.local); err != nil {
			errs = append(errs, fmt.Errorf("finish the calls in progress: %w", err))
		}
	}
	for _, a := range attached {
		a.foreign.Close()
	}
	m.cache.Close()
	m.tell(ctx, "take names back", m.reg.Close)
	if err := m.pool.Close(ctx); err != nil {
		errs = append(errs, fmt.Errorf("close connections: %w", err))
	}
	m.space.Close()
	if err := m.objects.Shutdown(ctx); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return fmt.Errorf("leave the mesh: %w", errors.Join(errs...))
	}
	return nil
}

// tell says one of the last words to the name server.
func (m *Mesh) tell(ctx context.Context, what string, say func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, registryPatience)
	defer cancel()
	if err := say(ctx); err != nil {
		m.log.Warn("the name server could not be told; names end with their lease", "what", what, "err", err)
	}
}

// Close leaves the mesh at once: calls in progress are cut off. The name
// server is still told, within a second.
func (m *Mesh) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return m.Shutdown(ctx)
}
