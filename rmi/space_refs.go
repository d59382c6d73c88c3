package rmi

import (
	"context"
)

// connTo returns a connection to the process peer.
func (s *Space) connTo(ctx context.Context, peer peerID) (*Conn, error) {
	s.mu.Lock()
	sess, newest := s.sessions[peer], s.newest[peer.node]
	s.mu.Unlock()
	if sess != nil {
		if c := sess.conn(); c != nil {
			return c, nil
		}
	}
	switch {
	case newest != nil && newest.peer.incarnation > peer.incarnation, peer.node == s.opts.Node:
		return nil, startedAnew(peer)
	case s.opts.Dial == nil:
		return nil, refusal(Unavailable, "%v is not connected, and no way to it is known", peer)
	}
	c, err := s.opts.Dial(ctx, peer.node)
	if err != nil {
		e := *FromError(err)
		if e.Code != Canceled && e.Code != DeadlineExceeded {
			e.Code = Unavailable
		}
		e.Execution = NotExecuted
		return nil, &e
	}
	if c.peer.Incarnation != peer.incarnation {
		return nil, startedAnew(peer)
	}
	return c, nil
}

// startedAnew is the error of a call to an object of peer, which is no more.
func startedAnew(peer peerID) error {
	return refusal(NotFound, "the object on %v is gone: %w", peer, errStartedAnew)
}

// reachable reports whether other processes can connect to peer.
func (s *Space) reachable(peer peerID) bool {
	if s.opts.Reachable == nil {
		return s.opts.Dial != nil
	}
	return s.opts.Reachable(peer.node)
}

// supersedeLocked makes sess the newest of its node, and returns the one that it takes
// the place of; nil when there is none, or sess is that of an earlier start.
func (s *Space) supersedeLocked(sess *Session) (older *Session) {
	older = s.newest[sess.peer.node]
	if older != nil && older.peer.incarnation > sess.peer.incarnation {
		return nil
	}
	s.newest[sess.peer.node] = sess
	return older
}
