package transport

import (
	"fmt"
	"log/slog"
	"time"
)

// Options tune a session. The zero Options is a client that serves nothing,
// with every default.
type Options struct {
	// Hello is what this side says of itself.
	Hello Hello
	// HandshakeTimeout is how long preface and hello may take, TLS included;
	// default 5 s.
	HandshakeTimeout time.Duration
	// KeepAliveInterval is how long either direction may be idle before this
	// side pings, less up to a quarter of jitter; default 3 s.
	KeepAliveInterval time.Duration
	// PeerTimeout is how long the peer may send nothing at all before the
	// session ends with [ErrPeerSilent]; default 9 s. It must be at least twice
	// KeepAliveInterval.
	PeerTimeout time.Duration
	// WriteTimeout is how long the connection may take nothing of what is
	// written to it before the session ends with [ErrPeerSilent]; default 10 s.
	WriteTimeout time.Duration
	// StreamWindow is how much of a stream, in bytes, is held here for a reader
	// that is slow; default and least 256 KiB, at most 16 MiB. A stream moves at
	// most one window per round trip: 8 MiB fill a path of 1 Gbit/s and 50 ms,
	// 256 KiB a fiftieth of it. A peer can make this side hold a window for each
	// of its streams; on a short path a larger one only costs memory.
	StreamWindow int
	// MaxStreams is how many streams may be open at once, whoever opened them;
	// default 1024, at most 16384. The sides settle on the lower.
	MaxStreams int
	// Logger gets what no caller can see; nil discards it.
	Logger *slog.Logger
}

const (
	minStreamWindow = 256 << 10 // yamux refuses less, and a pipe does as yamux
	maxStreamWindow = 16 << 20
	maxMaxStreams   = 1 << 14
)

// withDefaults returns o with its zero fields filled in, or an error that says
// which field is out of bounds.
func (o Options) withDefaults() (Options, error) {
	if o.Hello.Version == 0 {
		o.Hello.Version = Version
	}
	setDuration(&o.HandshakeTimeout, 5*time.Second)
	setDuration(&o.KeepAliveInterval, 3*time.Second)
	setDuration(&o.PeerTimeout, 3*o.KeepAliveInterval)
	setDuration(&o.WriteTimeout, 10*time.Second)
	if o.StreamWindow == 0 {
		o.StreamWindow = minStreamWindow
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = 1024
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.HandshakeTimeout < 0 || o.KeepAliveInterval < 0 || o.PeerTimeout < 0 || o.WriteTimeout < 0:
		return o, fmt.Errorf("transport options: a timeout is negative")
	case o.PeerTimeout < 2*o.KeepAliveInterval:
		return o, fmt.Errorf("transport options: peer timeout %v is less than twice the keep-alive interval %v",
			o.PeerTimeout, o.KeepAliveInterval)
	case o.StreamWindow < minStreamWindow || o.StreamWindow > maxStreamWindow:
		return o, fmt.Errorf("transport options: stream window %d is not between %d and %d",
			o.StreamWindow, minStreamWindow, maxStreamWindow)
	case o.MaxStreams < 1 || o.MaxStreams > maxMaxStreams:
		return o, fmt.Errorf("transport options: max streams %d is not between 1 and %d", o.MaxStreams, maxMaxStreams)
	}
	return o, nil
}

// setDuration gives *d the value def when it is zero.
func setDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}
