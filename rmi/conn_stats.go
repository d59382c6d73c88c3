package rmi

import "sync/atomic"

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
	// ItemStreams are the sequences that are under way, in either direction.
	ItemStreams int
	// LargeSent and LargeReceived are payloads that went as bulk data.
	LargeSent, LargeReceived uint64
	// FramesSent and FramesReceived are what went over the session, how many in one
	// write and of what size is in its own [transport.Stats].
	FramesSent, FramesReceived uint64
}

// counters is the live form of ConnStats.
type counters struct {
	callsOut, callsIn, refused, dropped atomic.Uint64
	largeSent, largeReceived            atomic.Uint64
	framesSent, framesReceived          atomic.Uint64
}

// Stats returns what c has done so far.
func (c *Conn) Stats() ConnStats {
	n := &c.stats
	s := ConnStats{
		CallsOut: n.callsOut.Load(), CallsIn: n.callsIn.Load(), Refused: n.refused.Load(), Dropped: n.dropped.Load(),
		InFlightOut: int(c.out.Load()), InFlightIn: int(c.in.Load()),
		ItemStreams: int(c.items.live.Load()),
		LargeSent:   n.largeSent.Load(), LargeReceived: n.largeReceived.Load(),
		FramesSent: n.framesSent.Load(), FramesReceived: n.framesReceived.Load(),
	}
	return s
}
