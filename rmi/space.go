package rmi

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"farcall.dev/naming"
)

// The defaults of [SpaceOptions].
const (
	DefaultLease         = time.Minute
	DefaultMaxReferences = 65536
	DefaultMaxValues     = 1024
)

// SpaceOptions are the settings of [NewSpace].
type SpaceOptions struct {
	// Node and Incarnation are what this process says in its hello. Both are
	// required: references to its objects hold them.
	Node        naming.NodeID
	Incarnation naming.Incarnation
	// Lease is how long a session outlives its last connection, and an object
	// without a name the moment at which it was given away. Default 1 minute.
	Lease time.Duration
	// Calls is the way of the calls that proxies make, middleware included; its
	// end is a [Router] of this Space. Nil means straight to the owner.
	Calls Handler
	// Serve carries out the calls that this process makes of its own objects
	// without a name, middleware included; its end is the [Objects] of this Space,
	// which nil means.
	Serve Handler
	// Dial returns a connection to a node by its name. Nil: only peers that are
	// connected can be reached.
	Dial func(ctx context.Context, node naming.NodeID) (*Conn, error)
	// Redial returns a connection to an address that this process had dialled
	// before: when a connection to a peer breaks that holds objects of this
	// process, or may have been given one and not have come to say so, or whose
	// objects this process holds, the session is kept alive so.
	// Nil: it ends with the lease unless a call dials.
	Redial func(ctx context.Context, address string) (*Conn, error)
	// MaxReferences bounds the references of this process that one peer holds:
	// what it holds beyond is kept for the length of a lease only. It bounds those
	// of one peer that this process holds, and the objects of this process that
	// were given away and that nobody has taken yet: what passes one more fails
	// with RESOURCE_EXHAUSTED. Default 65 536.
	MaxReferences int
	// Reachable reports whether other processes can connect to a node by its name.
	// A reference to an object of one that they cannot is passed on as one to an
	// object of this process, which passes calls on. It must not block. Nil: they
	// can when Dial is not nil.
	Reachable func(node naming.NodeID) bool
	// Proxies are the interfaces whose values may come from other processes; the
	// last of several for a type counts.
	Proxies []Proxy
	// Logger gets what no caller can see; nil discards it.
	Logger *slog.Logger
}

// Space is what a process shares with others beyond single calls: the sessions
// with its peers, the objects without a name that it has given away, and the
// references that it has got. A process has one; the [Objects] that serve its
// calls and every [Conn] are made with it. Its methods may be called from any
// number of goroutines.
type Space struct {
	opts SpaceOptions
	log  *slog.Logger

	leaving   atomic.Bool
	exchanges exchanges // of its calls

	// ctx ends with the Space.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// loops are the goroutines that Close waits for, and the sessions.
	loops sync.WaitGroup

	refs    references
	proxies map[reflect.Type]func(*Ref) any
	// objects tell which methods are idempotent, and carry out the calls of this
	// process to its own references; nil until there are any.
	objects atomic.Pointer[Objects]

	mu       sync.Mutex
	sessions map[peerID]*Session // guarded by mu
	// newest is the newest start of each node that there is a session with.
	newest  map[naming.NodeID]*Session // guarded by mu
	numbers pastNumbers                // guarded by mu
	closed  bool                       // guarded by mu
}

// peerID identifies one start of a process.
type peerID struct {
	node        naming.NodeID
	incarnation naming.Incarnation
}

// String names the process in messages.
func (p peerID) String() string { return fmt.Sprintf("node %s", p.node) }

// NewSpace returns a Space without sessions. It lives until Close.
func NewSpace(opts SpaceOptions) *Space {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&opts.Lease, DefaultLease)
	setDefault(&opts.MaxReferences, DefaultMaxReferences)
	s := &Space{opts: opts, log: opts.Logger, sessions: make(map[peerID]*Session),
		newest: make(map[naming.NodeID]*Session), proxies: make(map[reflect.Type]func(*Ref) any, len(opts.Proxies))}
	for _, p := range opts.Proxies {
		s.proxies[p.typ] = p.of
	}
	s.refs.init(s)
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// self identifies this process.
func (s *Space) self() peerID { return peerID{s.opts.Node, s.opts.Incarnation} }

// Leave has every connection that is shut down from now on tell its peer that
// this process ends, so that the session ends with the connection, and not only
// with the lease: what the peer has here, and this process there, is given up at
// once.
func (s *Space) Leave() { s.leaving.Store(true) }

// isLeaving reports whether Leave was called. s may be nil.
func (s *Space) isLeaving() bool { return s != nil && s.leaving.Load() }

// Close ends every session and waits for what runs because of that. The
// connections are others' to close, before it.
func (s *Space) Close() {
	s.mu.Lock()
	s.closed = true
	sessions := make([]*Session, 0, len(s.sessions))
	for _, sess := range s.sessions {
		sessions = append(sessions, sess)
	}
	s.mu.Unlock()
	s.cancel(errSpaceClosed)
	for _, sess := range sessions {
		sess.end(errSpaceClosed)
	}
	s.refs.close()
	s.loops.Wait()
}

// Sessions returns the sessions that are there, in no order.
func (s *Space) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	sessions := make([]*Session, 0, len(s.sessions))
	for _, sess := range s.sessions {
		sessions = append(sessions, sess)
	}
	return sessions
}

// session returns the session with peer; nil when there is none.
func (s *Space) session(peer peerID) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[peer]
}

// join makes c a connection of its peer's session, which it begins if need be.
// It does nothing for a peer that does not say who it is, or when the Space is
// closed.
func (s *Space) join(c *Conn) {
	peer := peerID{c.peer.Node, c.peer.Incarnation}
	if peer.node == "" || peer.incarnation == 0 {
		return
	}
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return
		}
		sess := s.sessions[peer]
		var older *Session
		if sess == nil {
			sess = newSession(s, peer)
			s.numbers.resume(sess)
			s.sessions[peer] = sess
			s.loops.Add(1) // until it has ended
			older = s.supersedeLocked(sess)
		}
		s.mu.Unlock()
		if older != nil {
			older.end(errPeerAgain)
		}
		if sess.connected(c) {
			s.refs.connected(sess)
			return
		} // else it ended at the same moment, and has left the table
	}
}

// forget takes an ended session out of the table. last is the highest number
// that this process gave a call in it, seen the highest that the peer did.
func (s *Space) forget(sess *Session, last, seen uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers.past(sess.peer, last, seen)
	if s.sessions[sess.peer] == sess {
		delete(s.sessions, sess.peer)
	}
	if s.newest[sess.peer.node] == sess {
		delete(s.newest, sess.peer.node)
	}
}

// spaced is a Handler that knows the Space of its calls.
type spaced interface{ Space() *Space }

// spaceOf returns the Space in which the arguments and results of calls by h
// live; nil when h has none.
func spaceOf(h Handler) *Space {
	if s, ok := h.(spaced); ok {
		return s.Space()
	}
	return nil
}

// caller is a Handler with its Space.
type caller struct {
	Handler
	space *Space
}

// Space returns the Space of the calls.
func (c caller) Space() *Space { return c.space }

// Caller returns h as a way of calls whose arguments and results may hold
// objects: [Invoke], [Bind] and the like turn them into references of s, and
// references into proxies. Middleware is to be wrapped around h before that.
func (s *Space) Caller(h Handler) Handler { return caller{h, s} }

// goEnd runs f, which belongs to the end of something, on a goroutine that Close
// waits for. What f panics with is logged.
func (s *Space) goEnd(f func()) {
	s.loops.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				s.log.Error("panic at the end of a session or an object", "panic", fmt.Sprint(v))
			}
		}()
		f()
	})
}
