package rmi

import (
	"log/slog"
	"time"

	"farcall.dev/naming"
)

// The limits of the protocol. They are the same on every node; what a node may
// choose for itself is in [ConnOptions].
const (
	// MaxObjectLen and MaxMethodLen bound the names in a call, in bytes. A call
	// with a longer one is refused with INVALID_ARGUMENT.
	MaxObjectLen = naming.MaxNameLen
	MaxMethodLen = 255
	// MaxMetadataKeys and MaxMetadataSize bound the metadata of a call or a
	// reply: its entries, and the bytes of all keys and values together. A call
	// with more is refused with RESOURCE_EXHAUSTED; a reply with more becomes
	// that error.
	MaxMetadataKeys = 64
	MaxMetadataSize = 8 << 10
	// MaxMetadataKeyLen bounds one metadata key, in bytes.
	MaxMetadataKeyLen = 128
	// LargePayload is the largest payload, in bytes, that goes with its frame among
	// everybody's small calls. A larger one comes apart, as bulk data.
	LargePayload = 32 << 10

	// MaxStreamsPerCall bounds the item streams that the arguments of one call, or
	// its result, may bring. More are refused with RESOURCE_EXHAUSTED.
	MaxStreamsPerCall = 16
	// MaxChain is how many calls may lead to one. A call with more before it is
	// refused with FAILED_PRECONDITION, not executed, by an error that shows the
	// end of the chain: usually two objects that call each other without end.
	MaxChain = 64

	// MaxRecords, MaxRecordedBytes and MaxRecordedAnswer bound what is recorded of
	// the calls of one peer, so that those which are sent again are not carried out
	// twice: how many there are, running ones included; the bytes of all answers;
	// and those of one. Beyond them the oldest answers are given up, and a larger
	// one is not kept: a copy of such a call fails with FAILED_PRECONDITION,
	// possibly executed. One more call than MaxRecords that runs is refused with
	// RESOURCE_EXHAUSTED, not executed.
	MaxRecords        = 4096
	MaxRecordedBytes  = 4 << 20
	MaxRecordedAnswer = 64 << 10

	// maxRecordCopies bounds the copies of a running call that wait for its end;
	// one more takes the place of the first, which fails as above.
	maxRecordCopies = 4
	// maxMissingRanges bounds what is known of numbers that did not come in order.
	// Beyond it the lowest ones count as having come, and fail as above.
	maxMissingRanges = 1024
	// maxFreeRecords bounds the unused records that a session keeps, and
	// maxFreeAnswer the memory for an answer in each.
	maxFreeRecords = 256
	maxFreeAnswer  = 512
	// maxPastPeers bounds the peers of which it is remembered, after the end of
	// their session, which numbers they have used; the oldest is forgotten.
	maxPastPeers = 4096
	// orphanGrace is how long a numbered call runs on when the connection of its
	// caller has broken and the caller does not send it again.
	orphanGrace = 10 * time.Second

	// maxPromiseUses bounds the results of other calls that one call builds on.
	maxPromiseUses = 16
	// maxChainText bounds the text, in bytes, that tells of a chain's newest
	// calls, and maxCorrelation that of its correlation id.
	maxChainText   = 1 << 10
	maxCorrelation = 64
	// maxFrameHead bounds a frame's head, maxFrame the body of a frame on the lane
	// whose payload does not come apart.
	maxFrameHead = 24 << 10
	maxFrame     = 64 << 10
	// maxErrorText bounds an error's message and its trace, each; longer text
	// is cut, the trace also to the room that is left in the head. maxErrorDetails
	// and maxErrorDetailSize bound its details; what does not fit is left out.
	maxErrorText       = 8 << 10
	maxErrorDetails    = 32
	maxErrorDetailSize = 4 << 10
	maxErrorType       = 255
	// maxErrorValues and maxErrorValueSize bound the errors that travel as values
	// in one, names included; what does not fit is left out.
	maxErrorValues    = 8
	maxErrorValueSize = 8 << 10
	// maxErrorHops and maxErrorHopSize bound the nodes that passed an error on, and
	// the text that tells of them, maxErrorCalled what each called, which is cut.
	maxErrorHops    = 16
	maxErrorHopSize = 2 << 10
	maxErrorCalled  = 128
	// maxInterned bounds the names that a lane remembers so as not to allocate
	// them for each call.
	maxInterned = 256
	// maxLarge bounds the large calls that one side sends at a time, and again the
	// large results; those beyond it wait.
	maxLarge = 64
	// maxArrivals bounds the large payloads that are on their way here, with
	// bulkAhead bytes of each that no budget counts; one more is refused. It leaves
	// room for what maxLarge allows twice.
	maxArrivals = 256
	// spareStreams is how many more streams of the peer are read than may carry
	// items.
	spareStreams = 16
	// streamHeadTimeout bounds the time a stream that the peer opened may take
	// to say what it is.
	streamHeadTimeout = 10 * time.Second
)

// The defaults of [ConnOptions].
const (
	DefaultMaxInFlight    = 4096
	DefaultMaxStreams     = 1024
	DefaultMaxPayload     = 64 << 20
	DefaultMaxLargeMemory = 256 << 20
	DefaultMaxBuffered    = 1 << 20
	DefaultWorkerIdle     = 10 * time.Second
	DefaultStallTimeout   = 5 * time.Second
	DefaultLargeWait      = 5 * time.Second
)

// ConnOptions are the limits and habits of a [Conn]. The zero value is good.
type ConnOptions struct {
	// Logger gets what no caller can see: panics of handlers with their stack,
	// peers that break the protocol. Nil discards it.
	Logger *slog.Logger
	// MaxInFlight bounds the peer's calls that are waiting or running here at a
	// time. One more is refused at once with RESOURCE_EXHAUSTED, not executed.
	// Default 4096.
	MaxInFlight int
	// MaxStreams bounds the item streams of the calls that come from the peer at
	// a time, and again of those that go to it. A call whose arguments would
	// bring more is refused with RESOURCE_EXHAUSTED, not executed; one whose
	// result would, fails with it. Default 1024; transport.Options.MaxStreams
	// bounds all streams of a session.
	MaxStreams int
	// MaxPayload is the largest payload, and the largest item of a stream, in
	// bytes, that is sent or taken. A larger one fails with RESOURCE_EXHAUSTED: on
	// this side before anything is sent, from the peer without being kept. The
	// session lives on.
	// Default 64 MiB.
	MaxPayload int
	// MaxLargeMemory bounds the bytes of large arguments that are held for the
	// peer at a time, and again the bytes of large results that are arriving.
	// An argument that does not fit waits for up to LargeWait and is then
	// refused with RESOURCE_EXHAUSTED, not executed; a result waits as long as
	// its caller does. The memory that arguments are held in may be a quarter
	// larger than they are. Default 256 MiB, and never less than MaxPayload.
	MaxLargeMemory int64
	// LargeWait is how long a large argument waits for memory. Default 5 s.
	LargeWait time.Duration
	// MaxBuffered bounds the bytes of small frames that wait to be written to
	// the peer. At the bound callers, and workers with replies, wait
	// until the peer has taken some or their context ends. Default 1 MiB.
	MaxBuffered int
	// StallTimeout is how long the part of a Conn that reads may wait to give
	// an answer to a peer that reads nothing, before the session is given up.
	// Nothing else is read from that peer meanwhile. Default 5 s.
	StallTimeout time.Duration
	// WorkerIdle is how long a worker without work is kept. Default 10 s.
	WorkerIdle time.Duration
	// Tally, when not nil, adds up what this Conn and others do.
	Tally *Tally
	// Space, when not nil, is what this process shares with its peers beyond
	// single calls. Without it a Conn has no session, and no references can go
	// by it.
	Space *Space
	// SendTrace says whether the traces of errors may travel to a peer; it is asked
	// once for each connection. Nil: to none, since a stack tells a stranger too
	// much.
	SendTrace func(Peer) bool

	// buffers, when not nil, are shared with other Conns.
	buffers *buffers
	// ended, when not nil, is called when the Conn has ended. It must not block.
	ended func(*Conn)
	// dialled is the address that this side dialled; empty when the peer did.
	dialled string
}

// withDefaults returns o with what is zero filled in.
func (o ConnOptions) withDefaults() ConnOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.MaxInFlight, DefaultMaxInFlight)
	setDefault(&o.MaxStreams, DefaultMaxStreams)
	setDefault(&o.MaxPayload, DefaultMaxPayload)
	setDefault(&o.MaxLargeMemory, DefaultMaxLargeMemory)
	o.MaxLargeMemory = max(o.MaxLargeMemory, int64(o.MaxPayload))
	setDefault(&o.LargeWait, DefaultLargeWait)
	setDefault(&o.MaxBuffered, DefaultMaxBuffered)
	setDefault(&o.StallTimeout, DefaultStallTimeout)
	setDefault(&o.WorkerIdle, DefaultWorkerIdle)
	return o
}

// setDefault sets *p to def when it is zero or less.
func setDefault[T int | int64 | time.Duration](p *T, def T) {
	if *p <= 0 {
		*p = def
	}
}
