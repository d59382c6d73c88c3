package rmi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"farcall.dev/transport"
)

const (
	// DefaultReconnect is how long a call whose connection broke waits for a new
	// connection to the same node.
	DefaultReconnect = 3 * time.Second
	// resendMin and resendMax bound the pauses between the attempts, which double.
	resendMin = 10 * time.Millisecond
	resendMax = 500 * time.Millisecond
)

// sendTo sends call to the process peer, on a connection from get, and again, as
// [Router] does, when that breaks. What a running method calls on its caller goes
// by the caller's own connection, also when that is being left.
func sendTo(ctx context.Context, call *Call, peer peerID, get func(context.Context) (*Conn, error)) (Reply, error) {
	conn := callerAt(ctx, peer)
	if conn == nil {
		var err error
		if conn, err = get(ctx); err != nil {
			return Reply{}, err
		}
	}
	n := conn.number(call)
	reply, err := conn.Handle(ctx, call)
	if n == nil {
		return reply, err
	}
	if inDoubt(err) {
		var until time.Time
		if _, ok := ctx.Deadline(); !ok && call.Timeout > 0 {
			until = time.Now().Add(call.Timeout)
		}
		r := resend{call: call, session: conn.shared, get: get, patience: DefaultReconnect, until: until}
		reply, err = r.run(ctx, err)
	}
	conn.unnumber(call, n)
	return reply, err
}

// callerAt returns the connection to peer by which the call of ctx came that runs;
// nil when there is none, or it has broken.
func callerAt(ctx context.Context, peer peerID) *Conn {
	s, _ := ctx.Value(servedKey{}).(*servedCall)
	if s == nil || s.conn == nil || s.conn.Err() != nil || s.conn.shared == nil || s.conn.shared.peer != peer || !s.running() {
		return nil
	}
	return s.conn
}

// number gives call a number, by which the peer recognises it when it is sent
// again; nil when it is not to be recognised: executing it twice does no harm, or
// nothing is waited for, or a part of it belongs to this connection alone.
func (c *Conn) number(call *Call) *number {
	if c.shared == nil || call.Idempotent || call.Way != Wait ||
		len(call.Args.streams) > 0 || call.keep != nil || call.building != nil {
		return nil
	}
	n, token := c.shared.numbers.begin()
	call.token = token
	return n
}

// unnumber takes the number from a call that is not sent again.
func (c *Conn) unnumber(call *Call, n *number) {
	call.token = callToken{}
	c.shared.numbers.end(n)
}

// inDoubt reports whether err says that the connection broke while a call was
// under way, so that nobody here knows whether it was executed.
func inDoubt(err error) bool {
	e, ok := err.(*Error)
	return ok && e.Code == Unavailable && e.Execution == Executed && !e.Remote
}

// resend sends a call again whose connection broke.
type resend struct {
	call *Call
	// session is the one that the call was sent in, and must be sent in again; nil
	// for a call that has no number, which any start of the node may have.
	session *Session
	// get returns a connection to the node.
	get func(context.Context) (*Conn, error)
	// patience is how long a new connection is waited for after each break; until
	// is when the time of the call is up, zero when its context says so.
	patience time.Duration
	until    time.Time
}

// run sends the call until it is answered, or must be given up. broke is how it
// failed so far.
func (r *resend) run(ctx context.Context, broke error) (Reply, error) {
	within, cancel := bounded(ctx, r.until)
	defer cancel()
	last, over := broke, time.Now().Add(r.patience)
	for pause := resendMin; ; pause = min(2*pause, resendMax) {
		waiting, stop := context.WithDeadline(within, over)
		conn, err := r.connect(waiting, pause)
		stop()
		switch {
		case err == nil:
			if !r.call.spend(r.until) {
				return Reply{}, r.doubt(DeadlineExceeded, broke, "its deadline has passed")
			}
			reply, err := conn.Handle(ctx, r.call)
			if err == nil || decided(err) {
				return reply, err
			}
			if last = err; inDoubt(err) {
				broke, over = err, time.Now().Add(r.patience)
			}
		case errors.Is(err, errStartedAnew), errors.Is(err, errSessionOver), errors.Is(err, transport.ErrClosed):
			return Reply{}, r.doubt(Unavailable, broke, err.Error())
		case waiting.Err() == nil || !errors.Is(err, context.Cause(waiting)):
			last = err
		}
		switch {
		case within.Err() != nil:
			return Reply{}, r.doubt(contextCode(within.Err()), broke, "it was not connected again before the caller's time was up")
		case !time.Now().Before(over):
			return Reply{}, r.doubt(Unavailable, broke, fmt.Sprintf("the node could not be reached again within %v: %s", r.patience, FromError(last).Message))
		}
	}
}

// Why there is no use in sending a call again: nobody knows of it any more.
var (
	errStartedAnew = errors.New("the node has started anew since")
	errSessionOver = errors.New("the session with the node has ended since")
)

// connect pauses for up to about pause, and returns a connection in the session.
func (r *resend) connect(ctx context.Context, pause time.Duration) (*Conn, error) {
	timer := time.NewTimer(pause/2 + rand.N(pause))
	defer timer.Stop()
	var over <-chan struct{}
	if r.session != nil {
		over = r.session.ctx.Done()
	}
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-over:
		if context.Cause(r.session.ctx) == errPeerAgain {
			return nil, errStartedAnew
		}
		return nil, fmt.Errorf("%w: %w", errSessionOver, context.Cause(r.session.ctx))
	}
	conn, err := r.get(ctx)
	if err != nil || r.session == nil || conn.shared == r.session {
		return conn, err
	}
	if conn.peer.Node != r.session.peer.node {
		return nil, refusal(Unavailable, "%s answers there", conn.peerName())
	}
	if conn.peer.Incarnation == r.session.peer.incarnation {
		return nil, errSessionOver
	}
	return nil, errStartedAnew
}

// decided reports whether err, with which a call failed that was sent again, is
// for the caller: the answer that it would have got at first, or that it has
// given up. That the copy was not sent, or was refused for load, says nothing of
// the first time.
func decided(err error) bool {
	e, ok := err.(*Error)
	switch {
	case !ok:
		return true
	case e.Remote:
		return e.Execution == Executed || e.Code != ResourceExhausted && e.Code != Unavailable
	}
	return e.Execution == Executed && e.Code != Unavailable
}

// doubt is the error of a call of which nobody knows whether it was executed.
func (r *resend) doubt(code Code, broke error, why string) error {
	return &Error{Code: code, Execution: Executed, cause: broke,
		Message: fmt.Sprintf("call %s may have been executed: %s; %s", target(r.call), FromError(broke).Message, why)}
}
