package transport

import (
	"context"
	"math/bits"
	"net"
	"sync/atomic"
	"time"
)

// Session is an established connection between two nodes that carries streams.
// Its methods may be called from any number of goroutines. Implementations are
// this package's own: a session over yamux and one end of a [Pipe].
type Session interface {
	// Open opens a stream to the peer, which gets it from Accept. It waits
	// neither for the peer to accept nor for the network. Errors: [ErrGoAway]
	// when the peer or this side has said that it takes no more streams;
	// [ErrTooManyStreams]; the session's cause when it ended; ctx's error.
	// The stream must be closed, as one from Accept must.
	Open(ctx context.Context) (Stream, error)
	// Accept waits for a stream that the peer opened. It returns the session's
	// cause when it ended, or ctx's error.
	Accept(ctx context.Context) (Stream, error)
	// Lane is what the session carries beside its streams.
	Lane() Lane
	// Peer is what the other side said of itself in its hello.
	Peer() Hello
	// LocalAddr and RemoteAddr are the connection's addresses.
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	// Established is when the handshake was complete.
	Established() time.Time

	// GoAway tells the peer to open no more streams here. Streams that are open
	// go on; those that cross the message on the wire are still accepted.
	GoAway() error
	// PeerGoingAway is closed when the peer said GoAway, and when half of the
	// stream ids that a session has are used: it is time to make another one.
	PeerGoingAway() <-chan struct{}
	// Shutdown says GoAway, waits until this side's end of every stream is
	// closed or ctx ends, and closes. What was written on streams closed by then
	// is not lost: the peer reads it, and a true io.EOF, though the session has
	// ended. Shutdown returns ctx's error when streams had to be cut off.
	Shutdown(ctx context.Context) error
	// Close ends the session and every stream on it now. It waits for the
	// session's goroutines and may be called twice.
	Close() error
	// Done is closed when the session has ended, for whatever reason.
	Done() <-chan struct{}
	// Err is why the session ended: nil while it lives, [ErrClosed] after
	// Close or Shutdown here, [ErrPeerClosed] when the peer closed it,
	// [ErrPeerSilent] when it was given up, [ErrProtocol] when the peer broke
	// the protocol, or the connection's error, which is io.ErrUnexpectedEOF when
	// the peer's process died.
	Err() error
	// Stats counts what went over the session.
	Stats() Stats

	sealed()
}

// Stream is one ordered byte stream of a session, closed in each direction by
// itself. Read and Write may run at the same time, one of each.
type Stream interface {
	// Read returns what has arrived; io.EOF after the peer's CloseWrite or
	// Close, and [ErrReset] or the session's cause when the stream was cut off
	// before that was known.
	Read(p []byte) (int, error)
	// Write sends p in pieces of at most [MaxPiece] bytes, so that the streams
	// of a session take turns. It blocks while the peer does not read, and
	// returns [ErrReset] once the peer has closed the stream.
	Write(p []byte) (int, error)
	// CloseWrite says that nothing more will be written; reading goes on.
	CloseWrite() error
	// Close ends both directions: CloseWrite, and what the peer still sends is
	// dropped. What was written before still arrives. Reads and writes under
	// way here return net.ErrClosed. It may be called twice.
	Close() error
	// SetDeadline, SetReadDeadline and SetWriteDeadline are those of net.Conn;
	// past a deadline, errors are os.ErrDeadlineExceeded.
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// MaxPiece is the largest piece, in bytes, in which a stream's data goes over
// the wire: small enough that a bulk stream delays a small call by no more than
// the time one piece takes. It is a little more than 32 KiB because the receiver's
// yamux makes its buffer of the size of the first piece and doubles it as soon as
// fewer than 512 bytes of it are free: from 32 KiB it would come to 512 KiB for a
// window of 256 KiB, from 33 KiB it comes to 264 KiB.
const MaxPiece = 33 << 10

// WriteBounds are the upper bounds, in bytes, of [Stats].WriteSizes.
var WriteBounds = [...]int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}

// writeSizes counts writes by size.
type writeSizes [len(WriteBounds) + 1]atomic.Uint64

// count counts a write of n bytes.
func (s *writeSizes) count(n int) {
	i := max(0, (bits.Len(uint(n))-5)/2) // the bounds are the powers of four from 64 on
	s[min(i, len(s)-1)].Add(1)
}

// load returns the counts.
func (s *writeSizes) load() (sizes [len(WriteBounds) + 1]uint64) {
	for i := range s {
		sizes[i] = s[i].Load()
	}
	return sizes
}

// Stats counts a session's traffic since it was established.
type Stats struct {
	// BytesSent and BytesReceived include the multiplexer's own headers.
	BytesSent, BytesReceived uint64
	// Writes counts writes to the connection; BytesSent over Writes is the mean
	// flush size. WriteSizes are the same writes by size: entry i counts those of
	// less than WriteBounds[i] bytes, the last all larger ones.
	Writes     uint64
	WriteSizes [len(WriteBounds) + 1]uint64
	// StreamsOpened counts streams opened by either side; StreamsOpen those
	// that are open now.
	StreamsOpened uint64
	StreamsOpen   int
	// LastReceived is when the last byte arrived.
	LastReceived time.Time
	// RoundTrip is the last measured one; zero before the first ping.
	RoundTrip time.Duration
}
