package transport

import (
	"errors"
	"fmt"
	"strings"
)

// The conditions callers branch on; test for them with errors.Is.
var (
	// ErrClosed is the cause of a session, or the answer of a pool, that was
	// closed on this side.
	ErrClosed = errors.New("session is closed")
	// ErrPeerClosed is the cause of a session whose peer closed it.
	ErrPeerClosed = errors.New("peer closed the session")
	// ErrPeerSilent is the cause of a session whose peer sent nothing, not even
	// an answer to pings, or took nothing from us, for too long.
	ErrPeerSilent = errors.New("peer is silent")
	// ErrProtocol is the cause of a session whose peer broke the rules of the
	// wire.
	ErrProtocol = errors.New("peer broke the protocol")
	// ErrGoAway refuses a stream because one of the sides is leaving.
	ErrGoAway = errors.New("session takes no more streams")
	// ErrTooManyStreams refuses a stream because too many are open.
	ErrTooManyStreams = errors.New("too many streams are open")
	// ErrTooManyPeers refuses an address because a pool knows too many.
	ErrTooManyPeers = errors.New("too many peers are known")
	// ErrReset is what a stream's writer gets when the peer has closed the
	// stream, and what its reader and writer get when it was cut off.
	ErrReset = errors.New("stream was reset by the peer")
	// ErrHandshake is matched by every failure to establish a session: a wrong
	// preface, a version that cannot be spoken, a peer that says nothing.
	ErrHandshake = errors.New("handshake failed")
)

// HandshakeError says why a connection did not become a session. It is an
// [ErrHandshake].
type HandshakeError struct {
	// Addr is the peer's address.
	Addr string
	// Reason is what went wrong; empty when Err says it all.
	Reason string
	// Ours and Theirs are the versions each side speaks, when they are why.
	Ours, Theirs VersionRange
	// Err is the error underneath, or nil.
	Err error
}

// VersionRange is the protocol versions one side speaks.
type VersionRange struct {
	Lowest, Highest uint32
}

// String is "version 1" or "versions 2 to 4".
func (v VersionRange) String() string {
	if v.Lowest == v.Highest {
		return fmt.Sprintf("version %d", v.Highest)
	}
	return fmt.Sprintf("versions %d to %d", v.Lowest, v.Highest)
}

// Error names the peer and the reason.
func (e *HandshakeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "handshake with %s failed", e.Addr)
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	if e.Theirs != (VersionRange{}) {
		fmt.Fprintf(&b, " (peer speaks %v, this side %v)", e.Theirs, e.Ours)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Is makes e an ErrHandshake.
func (e *HandshakeError) Is(target error) bool { return target == ErrHandshake }

// Unwrap returns Err.
func (e *HandshakeError) Unwrap() error { return e.Err }
