package rmi

import (
	"math/bits"
	"sync/atomic"
)

// ConnStats counts what a [Conn] did since it was made.
type ConnStats struct {
	// CallsOut are calls sent to the peer, CallsIn calls taken from it;
	// InFlightOut and InFlightIn those that are not finished.
	CallsOut, CallsIn       uint64
	InFlightOut, InFlightIn int
	// Refused are calls of the peer that were turned away at a limit.
	Refused uint64
	// Dropped are one-way calls of the peer that were not carried out, for
	// whatever reason, and of which it was told nothing.
	Dropped uint64
	// Lanes are the lanes that are open, of both sides, and ItemStreams the
	// sequences that are under way, in either direction.
	Lanes, ItemStreams int
	// LargeSent and LargeReceived are payloads that had a stream of their own.
	LargeSent, LargeReceived uint64
	// FramesSent and FramesReceived, BytesSent and BytesReceived are what went
	// over the session's streams.
	FramesSent, FramesReceived uint64
	BytesSent, BytesReceived   uint64
	// Flushes counts writes of merged frames; FramesSent over Flushes is how
	// many frames went in one. FlushSizes are the same writes by size: entry i
	// counts those of less than FlushBounds[i] bytes, the last all larger ones.
	Flushes    uint64
	FlushSizes [len(FlushBounds) + 1]uint64
}

// FlushBounds are the upper bounds, in bytes, of [ConnStats].FlushSizes.
var FlushBounds = [...]int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}

// counters is the live form of ConnStats.
type counters struct {
	callsOut, callsIn, refused, dropped atomic.Uint64
	largeSent, largeReceived            atomic.Uint64
	framesSent, framesReceived          atomic.Uint64
	bytesSent, bytesReceived            atomic.Uint64
	lanes                               atomic.Int64
	flushes                             [len(FlushBounds) + 1]atomic.Uint64
}

// flushed counts a write of n bytes.
func (c *counters) flushed(n int) {
	c.bytesSent.Add(uint64(n))
	// The bounds are the powers of four from 64 on.
	i := max(0, (bits.Len(uint(n))-5)/2)
	c.flushes[min(i, len(c.flushes)-1)].Add(1)
}

// Stats returns what c has done so far.
func (c *Conn) Stats() ConnStats {
	n := &c.stats
	s := ConnStats{
		CallsOut: n.callsOut.Load(), CallsIn: n.callsIn.Load(), Refused: n.refused.Load(), Dropped: n.dropped.Load(),
		InFlightOut: int(c.out.Load()), InFlightIn: int(c.in.Load()),
		Lanes: int(n.lanes.Load()), ItemStreams: int(c.items.live.Load()),
		LargeSent: n.largeSent.Load(), LargeReceived: n.largeReceived.Load(),
		FramesSent: n.framesSent.Load(), FramesReceived: n.framesReceived.Load(),
		BytesSent: n.bytesSent.Load(), BytesReceived: n.bytesReceived.Load(),
	}
	for i := range n.flushes {
		s.FlushSizes[i] = n.flushes[i].Load()
		s.Flushes += s.FlushSizes[i]
	}
	return s
}
