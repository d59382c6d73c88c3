package rmi

import (
	"context"
	"sync"
	"sync/atomic"

	"farcall.dev/naming"
)

// maxVerdicts bounds how many other interfaces of an object are remembered: more
// than one or two at a time come only from a registry gone wrong.
const maxVerdicts = 16

// resolving is a [Handler] that knows what the registry says of the names that
// it calls. Handlers that choose the instance themselves are not.
type resolving interface{ Resolver() naming.Resolver }

// interfaceCheck compares what a client was compiled against with what the
// instances of its object have. Its zero value checks nothing.
type interfaceCheck struct {
	h        Handler
	object   naming.Name
	want     *Interface
	resolver naming.Resolver // nil when h does not know one

	// fine is the newest state of the registry that is known to be good.
	fine atomic.Pointer[naming.Entry]

	mu sync.Mutex
	// verdicts are the interfaces that were asked for, by digest: nil for one
	// that fits. Guarded by mu.
	verdicts map[string]*InterfaceError
}

func (c *interfaceCheck) init(h Handler, object naming.Name, want *Interface) {
	c.h, c.object, c.want = h, object, want
	if whole, ok := h.(interface{ Handler() Handler }); ok {
		h = whole.Handler() // of a process, which knows more of its way into the mesh
	}
	if r, ok := h.(resolving); ok {
		c.resolver = r.Resolver()
	}
}

// before says why the method cannot be called at any instance; nil when it can
// at one of them, or that is unknown.
func (c *interfaceCheck) before(ctx context.Context, method string) error {
	if c.want == nil || c.resolver == nil {
		return nil
	}
	entry, err := c.resolver.Resolve(ctx, c.object)
	if err != nil || entry == c.fine.Load() {
		return nil // the call itself tells of the error
	}
	want, err := c.want.Info()
	if err != nil {
		return &Error{Code: Internal, Message: err.Error(), Execution: NotExecuted, cause: err}
	}
	var worst *InterfaceError
	for _, inst := range entry.Callable() {
		if inst.Interface == "" || inst.Interface == want.Digest {
			c.fine.Store(entry)
			return nil
		}
	}
	for _, inst := range entry.Callable() {
		verdict, known := c.verdict(ctx, want, inst)
		if !known {
			return nil
		}
		if _, differs := verdict.of(method); !differs {
			if verdict == nil {
				c.fine.Store(entry)
			}
			return nil
		}
		worst = verdict
	}
	if worst == nil {
		return nil // nobody can be called; the call itself says so
	}
	return &Error{Code: Unimplemented, Message: worst.Error(), Execution: NotExecuted, cause: worst}
}

// verdict returns whether the interface of inst fits, and whether that is known.
func (c *interfaceCheck) verdict(ctx context.Context, want InterfaceInfo, inst naming.Instance) (verdict *InterfaceError, known bool) {
	c.mu.Lock()
	verdict, known = c.verdicts[inst.Interface]
	c.mu.Unlock()
	if known {
		return verdict, true
	}
	have, err := c.describe(ctx, inst.Node)
	if err != nil {
		return nil, false
	}
	verdict = checkInterface(want, have)
	if verdict != nil {
		verdict.Name, verdict.Nodes = c.object, []naming.NodeID{inst.Node}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.verdicts) >= maxVerdicts || c.verdicts == nil {
		c.verdicts = make(map[string]*InterfaceError)
	}
	c.verdicts[inst.Interface] = verdict
	return verdict, true
}

// after returns why a call of the method failed that was sent to node, which may
// be unknown: err, or what is behind it.
func (c *interfaceCheck) after(ctx context.Context, method string, node naming.NodeID, err error) error {
	if c.want == nil || !mayBeInterface(err) {
		return err
	}
	want, werr := c.want.Info()
	if werr != nil {
		return err
	}
	have, derr := c.describe(ctx, node)
	if derr != nil {
		return err
	}
	verdict := checkInterface(want, have)
	if _, differs := verdict.of(method); !differs {
		return err
	}
	verdict.Name = c.object
	if node != "" {
		verdict.Nodes = []naming.NodeID{node}
	}
	fe := FromError(err)
	fe.Message, fe.cause = fe.Message+": "+verdict.Error(), &explained{verdict, fe.cause}
	return fe
}

// describe asks node, or whoever h reaches when it is empty, for the interface of
// the object.
func (c *interfaceCheck) describe(ctx context.Context, node naming.NodeID) (InterfaceInfo, error) {
	call, err := NewCall(ctx, NodeObject, "describe", c.object)
	if err != nil {
		return InterfaceInfo{}, err
	}
	call.Pin, call.Idempotent = node, true
	reply, err := sendCall(ctx, c.h, call)
	if err != nil {
		return InterfaceInfo{}, err
	}
	var info InterfaceInfo
	return info, DecodeValue(reply, &info)
}

// explained is an InterfaceError together with the error that it explains.
type explained struct {
	*InterfaceError
	err error
}

// Unwrap returns both.
func (e *explained) Unwrap() []error {
	if e.err == nil {
		return []error{e.InterfaceError}
	}
	return []error{e.InterfaceError, e.err}
}
