package rmi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// How a Conn works.
//
// Resources. A Conn owns one transport.Session. Its lane carries the small requests
// and answers of both sides, merged into few writes, and the payloads of large ones
// as bulk data beside them. Two tables hold the calls under way: pending, those
// that this side sent and waits for, and serving, those of the peer that wait or
// run here. Large payloads that are on their way here are in arrivals, and results
// that the peer wants to build on in kept until it forgets them.
//
// Actors. The keeper (run) accepts streams, which carry sequences, until the session
// ends, for whatever reason, and then takes everything down. The watcher (watch) sees
// to a peaceful end: it notices that either side wants to leave and says when this
// side needs nothing more. The session's own goroutine that reads the connection
// brings what the peer says on the lane: it is called the reader here. A large
// payload is sent by its caller, or by the worker whose result it is; one that
// finds no memory has a goroutine that waits for some. Workers run handlers and
// send their replies; where a call builds on the results of earlier ones its worker
// waits for them first. Callers wait in Handle, for their own call only. What it
// takes to send and read sequences is told in conn_items.go.
//
// Completion. A call is completed by whoever takes it out of its table: the
// reader that has its reply, the caller that gives up, or the keeper when the
// session has ended. So it is completed exactly once.
//
// Repetition. A call with a number outlives its connection: it is entered in the
// records of the Session when a worker takes it. A copy of it, on whatever Conn,
// gets the recorded answer; while the call runs, a copy is held by its record, and
// goes to a worker of its own Conn once there is an answer. So nobody waits.
//
// References. What a HOLD or a DROP says is entered by the reader of the lane. What
// this side has to say of the references that it holds is said by a goroutine of
// the Space, as a caller would; see exports.go and holdings.go.
//
// Locks. Conn.mu (the end), leave.mu, the lane's, writer.mu (the buffer of one
// stream), a shard of a table, arrivals.mu, grants.mu, workers.mu, servedCall.mu,
// expiry.mu, budget.mu, itemStreams.mu, inlet.mu, keptResults.mu, started.mu, references.mu of a
// Space, and of a Session mu, numbers.mu and records.mu. No
// goroutine holds two of them, so there is no order to keep.
//
// What must never happen:
//   - a reader waits for a handler, a caller or another call: it admits or
//     refuses, completes or drops, and reads on. When its own small answers
//     find no room, because the peer makes us answer and does not read, it
//     waits for StallTimeout and then gives the session up;
//   - a caller waits for the session: it waits for its reply, for room in a
//     buffer, and always for its context too. Workers with a large result, which
//     CANCEL cuts off, and callers with a large request, whom their context does,
//     wait for a peer that does not read;
//   - memory that a peer can make us hold without a bound: see ConnOptions;
//   - a lock is held while user code runs, or while a stream is used;
//   - a failure here touches another session.

// Conn carries calls over one session, both ways: either side may call, and
// serve. It is a [Handler] that sends calls to the peer, and may be used from
// any number of goroutines.
type Conn struct {
	session transport.Session
	handler Handler
	opts    ConnOptions
	log     *slog.Logger
	peer    Peer
	shared  *Session // with the peer; nil without a Space, or a name of the peer
	stats   counters
	buffers *buffers
	workers workers
	// sendTrace says that the peer may see the traces of errors.
	sendTrace bool

	// ctx is the Conn's life; the cause of its end is why the Conn ended.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// loops are the goroutines that end with the session: all but handlers.
	loops sync.WaitGroup
	done  chan struct{} // closed when everything is taken down

	lastID  atomic.Uint64
	pending table[*pendingCall]
	expiry  expiry
	swept   func()       // sweep
	waiters sync.Pool    // of *pendingCall
	out     atomic.Int64 // calls of this side that have not returned
	serving table[*servedCall]
	in      atomic.Int64 // calls of the peer that are admitted and not answered
	kept    keptResults  // of the peer's calls

	// callSlots and resultSlots bound the large calls and the large results that
	// are sent at a time.
	callSlots, resultSlots chan struct{}
	grants                 grants
	arrivals               arrivals
	newcomers              atomic.Int64 // streams of the peer that are read
	// largeArgs and largeResults bound the memory of large payloads.
	largeArgs, largeResults budget

	items itemStreams
	lane  lane

	mu    sync.Mutex
	ended bool // guarded by mu; no goroutine may start any more

	leave leave
}

var (
	_ Handler          = (*Conn)(nil)
	_ transport.Pooled = (*Conn)(nil)
)

// NewConn returns a Conn on session, which it owns from now on. Calls of the
// peer go to h; with a nil h they are refused with UNIMPLEMENTED. The Conn
// lives until it is closed or its session ends.
func NewConn(session transport.Session, h Handler, opts ConnOptions) *Conn {
	hello := session.Peer()
	opts = opts.withDefaults()
	c := &Conn{
		session: session, handler: h, opts: opts, log: opts.Logger,
		peer: Peer{
			Node: naming.NodeID(hello.Node), Incarnation: naming.Incarnation(hello.Incarnation),
			Addr: session.RemoteAddr(), Protocol: "mesh",
		},
		buffers:     opts.buffers,
		done:        make(chan struct{}),
		callSlots:   make(chan struct{}, maxLarge),
		resultSlots: make(chan struct{}, maxLarge),
		leave:       newLeave(),
	}
	if c.buffers == nil {
		c.buffers = new(buffers)
	}
	c.expiry.base, c.swept = time.Now(), c.sweep
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.largeArgs.free, c.largeResults.free = opts.MaxLargeMemory, opts.MaxLargeMemory
	c.workers.serve, c.workers.idle = c.serve, opts.WorkerIdle
	c.sendTrace = opts.SendTrace != nil && opts.SendTrace(c.peer)
	c.lane = lane{Lane: session.Lane(), c: c, handle: c.frame, failed: c.laneEnded}
	opts.Tally.begin(c)
	if opts.Space != nil {
		opts.Space.join(c)
	}
	c.loops.Go(c.watch)
	go c.run()
	c.lane.Serve(&c.lane)
	return c
}

// Space returns the Space that c was made with; nil without one.
func (c *Conn) Space() *Space { return c.opts.Space }

// Session returns what this process has with the peer beyond c; nil without a
// Space, or when the peer does not say who it is.
func (c *Conn) Session() *Session { return c.shared }

// Peer returns who is at the other end.
func (c *Conn) Peer() Peer { return c.peer }

// Done is closed when the Conn has ended and all its calls have failed.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the Conn ended, nil while it lives: transport.ErrClosed after
// Close or Shutdown here, the session's own cause, or a [*ProtocolError].
func (c *Conn) Err() error { return context.Cause(c.ctx) }

// Busy reports whether a call, or an item stream, is under way in either
// direction, or either side holds objects of the other's.
func (c *Conn) Busy() bool {
	return c.out.Load() > 0 || c.in.Load() > 0 || c.items.live.Load() > 0 ||
		c.shared != nil && c.shared.space.refs.bound(c.shared)
}

// Close ends the session now. Calls that wait for a reply fail with
// UNAVAILABLE; the contexts of handlers end, but for those of calls that the peer
// may send again (see [Router]), which go on for up to 10 s. Close does not wait
// for handlers, so that a handler may call it. It may be called twice.
func (c *Conn) Close() error {
	c.fail(transport.ErrClosed)
	<-c.done
	return nil
}

// fail makes cause the reason of the end, if there is none yet, and ends c.
func (c *Conn) fail(cause error) { c.cancel(cause) }

// run is the keeper: it accepts streams for as long as c lives, and takes
// everything down then.
func (c *Conn) run() {
	for {
		stream, err := c.session.Accept(c.ctx)
		if err != nil {
			c.fail(c.sessionCause(err))
			break
		}
		c.accept(stream)
	}

	cause := c.Err()
	c.shut(Errorf(Unavailable, "the connection to %s has ended: %w", c.peerName(), cause))
	c.session.Close()
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.expiry.end()
	c.arrivals.close()
	for _, p := range c.pending.close() {
		p.fail(c, cause)
	}
	for _, s := range c.serving.close() {
		if !s.outlives(cause) {
			c.lose(s, cause)
		}
	}
	c.endItems(cause)
	c.kept.close()
	c.loops.Wait()
	c.workers.close()
	if c.shared != nil {
		c.shared.disconnected(c)
	}
	c.opts.Tally.end(c)
	close(c.done)
	if c.opts.ended != nil {
		c.opts.ended(c)
	}
}

// sessionCause returns why the session ended, given what one of its methods
// said.
func (c *Conn) sessionCause(err error) error {
	if cause := c.session.Err(); cause != nil {
		return cause
	}
	return err
}

// accept gives a stream that the peer opened to a goroutine of its own.
func (c *Conn) accept(stream transport.Stream) {
	if c.newcomers.Add(1) > int64(c.opts.MaxStreams)+spareStreams {
		c.newcomers.Add(-1)
		c.stats.refused.Add(1)
		stream.Close()
		return
	}
	c.loops.Go(func() {
		defer c.newcomers.Add(-1)
		c.readStream(stream)
	})
}

// readStream reads what kind of stream the peer opened, and then the stream.
func (c *Conn) readStream(stream transport.Stream) {
	stream.SetReadDeadline(timeAfter(streamHeadTimeout))
	r := newFrameReader(stream, &c.stats)
	kind, err := r.kind()
	if err != nil || kind != streamItems {
		stream.Close() // a later version may have more kinds
		return
	}
	c.readItems(stream, r)
}

// frame handles one frame of the lane, whose payload, if it comes apart, is not in
// body. An error ends the session.
func (c *Conn) frame(h frameHeader, body []byte) error {
	c.stats.framesReceived.Add(1)
	switch h.typ {
	case frameRequest:
		return c.request(h, body)
	case frameReply, frameError:
		return c.answered(h, body)
	case frameCancel:
		if s, ok := c.serving.get(h.id); ok {
			if h.id != 0 && c.arrivals.drop(argsTag(h.id)) {
				c.forsake(s)
				return nil
			}
			c.giveUp(s)
		}
	case frameGrant:
		c.grants.say(h.id<<1|uint64(h.flags&flagOfReply), true)
	case frameForget:
		c.forgets(h.id)
	case frameTaken:
		if p, ok := c.pending.take(h.id); ok {
			p.complete(Reply{}, nil)
		}
	case frameGoAway:
		what, err := decodeGoAway(body)
		if err != nil {
			return err
		}
		c.peerLeaves(what)
	case framePing:
		return c.lane.urgent(func(b []byte) []byte { return appendSmallFrame(b, framePong, h.id) })
	case frameHold, frameDrop:
		if s := c.opts.Space; s != nil {
			return s.refs.receipts(c, h, body)
		}
	case framePong:
		if p, ok := c.pending.take(h.id); ok {
			p.complete(Reply{}, nil)
		}
	}
	return nil // what is unknown is skipped, so that versions can meet
}

// laneEnded ends c because of what came on the lane, or could not be sent.
func (c *Conn) laneEnded(err error) {
	switch cause := c.session.Err(); {
	case cause != nil:
		err = cause
	case errors.Is(err, errStalled):
		err = fmt.Errorf("%w: %w", transport.ErrPeerSilent, err)
	case isWireError(err):
		err = c.broken(err)
	}
	c.fail(err)
}

// peerName returns what the peer is called in messages.
func (c *Conn) peerName() string {
	if c.peer.Node != "" {
		return "node " + string(c.peer.Node)
	}
	if c.peer.Addr != nil {
		return "the peer at " + c.peer.Addr.String()
	}
	return "the peer"
}

// broken returns the cause of an end for which the peer is to blame, and logs
// it.
func (c *Conn) broken(err error) *ProtocolError {
	c.log.Warn("peer broke the protocol", "peer", c.peerName(), "err", err)
	return &ProtocolError{Peer: c.peerName(), Err: err}
}

// start runs fs on goroutines that the keeper waits for, and reports whether it
// could: not when c has ended.
func (c *Conn) start(fs ...func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	for _, f := range fs {
		c.loops.Go(f)
	}
	return true
}
