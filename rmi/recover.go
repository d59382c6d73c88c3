package rmi

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// RecoverOptions are the settings of [Recover]. The zero value works.
type RecoverOptions struct {
	// Logger gets each panic with its stack, at level Error. Nil discards them.
	Logger *slog.Logger
	// Operator says whether a peer may see what went wrong inside: the panic
	// and its stack, as Error.Trace, and the traces of errors from further on.
	// Nil means that nobody may.
	Operator func(Peer) bool
}

// Recover is a [Middleware] that turns a panic of what it wraps into an
// INTERNAL error, so that it costs nobody else anything, and that takes the
// traces out of errors that go to strangers. [Objects] does the same for the
// methods that it calls; a chain needs Recover for the rest of it.
//
// What the Go runtime treats as fatal (a concurrent write to a map, a stack
// that overflows, memory that runs out) ends the process all the same.
func Recover(opts RecoverOptions) Middleware {
	g := newGuard(opts)
	return func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, call *Call) (reply Reply, err error) {
			defer func() {
				if v := recover(); v != nil {
					reply, err = Reply{}, g.panicked(ctx, call, v)
				}
			}()
			reply, err = next.Handle(ctx, call)
			return reply, g.untraced(call, err)
		})
	}
}

// guard stands between what happens in a method and its caller.
type guard struct {
	log      *slog.Logger
	operator func(Peer) bool
}

func newGuard(opts RecoverOptions) guard {
	g := guard{log: opts.Logger, operator: opts.Operator}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.operator == nil {
		g.operator = func(Peer) bool { return false }
	}
	return g
}

// panicked logs the panic v and returns what the caller gets for it. It is
// called by the deferred function that recovered it.
func (g guard) panicked(ctx context.Context, call *Call, v any) *Error {
	what, stack := fmt.Sprint(v), debug.Stack()
	g.log.LogAttrs(ctx, slog.LevelError, "method panicked",
		slog.String("object", string(call.Object)), slog.String("method", clip(call.Method, 64)),
		slog.String("peer", peerName(call.Peer)), slog.String("panic", what), slog.String("stack", string(stack)))
	e := &Error{Code: Internal, Message: fmt.Sprintf("%s: method panicked; the log of its node tells more", called(call))}
	if g.operator(call.Peer) {
		e.Trace = fmt.Sprintf("panic: %s\n\n%s", what, stack)
	}
	return e
}

// untraced takes the trace out of an error that goes to a stranger.
func (g guard) untraced(call *Call, err error) error {
	e, ok := err.(*Error)
	if !ok || e == nil || e.Trace == "" || g.operator(call.Peer) {
		return err
	}
	bare := *e
	bare.Trace = ""
	return &bare
}

// peerName is how a log calls p.
func peerName(p Peer) string {
	switch {
	case p.Node != "":
		return string(p.Node)
	case p.Addr != nil:
		return p.Addr.String()
	}
	return "local"
}

// called names what call calls, as messages do.
func called(call *Call) string {
	if call.Method == "" {
		return clip(string(call.Object), 64)
	}
	return clip(string(call.Object), 64) + "." + clip(call.Method, 64)
}
