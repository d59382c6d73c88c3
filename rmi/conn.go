package rmi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"farcall.dev/naming"
	"farcall.dev/transport"
)

// How a Conn works.
//
// Resources. A Conn owns one transport.Session. On it each side opens, when it
// first calls, one lane: a stream that carries its small requests and the
// peer's answers, merged into few writes. A large payload, of a request or of a
// reply, goes on a stream of its own, which is held while it is transferred and
// not while the call runs. Two tables hold the calls under way: pending, those
// that this side sent and waits for, and serving, those of the peer that wait or
// run here. Results that the peer wants to build on are in kept until it forgets
// them.
//
// Actors. The keeper (run) accepts streams until the session ends, for whatever
// reason, and then takes everything down. The watcher (watch) sees to a peaceful
// end: it notices that either side wants to leave and says when this side needs
// nothing more. A lane has a reader and a flusher. A stream that the peer opened
// has one goroutine that reads it; a large request is written by its caller, and
// a goroutine waits for TAKEN. Workers run handlers and
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
// Locks. Conn.mu (lanes and the end), leave.mu, writer.mu (the buffer of one
// stream), a shard of a table, workers.mu, servedCall.mu, budget.mu, itemStreams.mu,
// inlet.mu, keptResults.mu, started.mu, references.mu of a Space, and of a Session
// mu, numbers.mu and records.mu. No
// goroutine holds two of them, so there is no order to keep.
//
// What must never happen:
//   - a reader waits for a handler, a caller or another call: it admits or
//     refuses, completes or drops, and reads on. When its own small answers
//     find no room, because the peer makes us answer and does not read, it
//     waits for StallTimeout and then gives the session up;
//   - a caller waits for the session: it waits for its reply, for room in a
//     buffer, and always for its context too. Flushers wait in Stream.Write for a
//     peer that does not read, and so do workers with a large result, which
//     CANCEL cuts off, and callers with a large request, whom their context does;
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
	waiters sync.Pool    // of *pendingCall
	out     atomic.Int64 // calls of this side that have not returned
	serving table[*servedCall]
	in      atomic.Int64 // calls of the peer that are admitted and not answered
	kept    keptResults  // of the peer's calls

	// callSlots and resultSlots bound the streams that this side has open for
	// large calls and large results; peerStreams counts those of the peer.
	callSlots, resultSlots chan struct{}
	peerStreams            atomic.Int64
	newcomers              atomic.Int64 // of the peer, whose kind may not be known yet
	// largeArgs and largeResults bound the memory of large payloads.
	largeArgs, largeResults budget

	items itemStreams

	lane    atomic.Pointer[lane] // this side's; nil until it calls
	opening chan struct{}        // held by who opens the lane

	mu    sync.Mutex
	lanes []*lane // guarded by mu; of both sides
	ended bool    // guarded by mu; no lane may start any more

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
		callSlots:   make(chan struct{}, maxLargeStreams),
		resultSlots: make(chan struct{}, maxLargeStreams),
		opening:     make(chan struct{}, 1),
		leave:       newLeave(),
	}
	if c.buffers == nil {
		c.buffers = new(buffers)
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.largeArgs.free, c.largeResults.free = opts.MaxLargeMemory, opts.MaxLargeMemory
	c.workers.serve, c.workers.idle = c.serve, opts.WorkerIdle
	c.sendTrace = opts.SendTrace != nil && opts.SendTrace(c.peer)
	opts.Tally.begin(c)
	if opts.Space != nil {
		opts.Space.join(c)
	}
	c.loops.Go(c.watch)
	go c.run()
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
	lanes := c.lanes
	c.lanes = nil
	c.mu.Unlock()
	for _, l := range lanes {
		l.w.close(cause)
	}
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
	c.stats.lanes.Store(0)
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
	if c.newcomers.Add(1) > maxPeerStreams+int64(c.opts.MaxStreams) {
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
	if err != nil {
		stream.Close()
		return
	}
	if kind == streamItems {
		c.readItems(stream, r)
		return
	}
	defer c.peerStreams.Add(-1)
	if c.peerStreams.Add(1) > maxPeerStreams {
		c.stats.refused.Add(1)
		stream.Close()
		return
	}
	switch kind {
	case streamLane:
		stream.SetReadDeadline(noDeadline)
		l := &lane{stream: stream, w: newWriter(stream, c.opts.MaxBuffered, &c.stats), r: r}
		if c.laneCount() >= maxLanes {
			c.fail(c.broken(wireError(fmt.Sprintf("it opened more than %d lanes", maxLanes))))
		} else if c.startLane(l) {
			return
		}
	case streamCall:
		c.readCall(stream, r)
	case streamResult:
		c.readResult(stream, r)
	}
	stream.Close() // also what is unknown: a later version may have more kinds
}

// laneCount returns how many lanes are open.
func (c *Conn) laneCount() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lanes)
}

// frame handles one frame of a lane. An error ends the session.
func (c *Conn) frame(l *lane, h frameHeader, body []byte) error {
	switch h.typ {
	case frameRequest:
		return c.request(l, h, body)
	case frameReply, frameError:
		return c.answered(h, body)
	case frameCancel:
		if s, ok := c.serving.get(h.id); ok {
			c.giveUp(s)
		}
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
		return c.urgent(l.w, func(b []byte) []byte { return appendSmallFrame(b, framePong, h.id) })
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

// urgent appends a small frame on behalf of a reader.
func (c *Conn) urgent(w *writer, frame func([]byte) []byte) error {
	if err := w.lockUrgent(c.opts.StallTimeout); err != nil {
		return err
	}
	before := len(w.buf)
	w.buf = frame(w.buf)
	w.unlock(before, 1)
	return nil
}

// laneEnded ends c because a lane did, with err.
func (c *Conn) laneEnded(err error) {
	switch cause := c.session.Err(); {
	case cause != nil:
		err = cause
	case errors.Is(err, errStalled):
		err = fmt.Errorf("%w: %w", transport.ErrPeerSilent, err)
	case isWireError(err):
		err = c.broken(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: it ended a lane", transport.ErrPeerClosed)
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
