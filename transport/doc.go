// Package transport gives two nodes an authenticated, multiplexed session: one
// connection that carries any number of independent byte streams, each opened
// by either side, and beside them a [Lane] of messages and bulk data in each
// direction.
//
// [Dial], [Client] and [Server] make a [Session] over a connection, by a
// preface, a hello from each side, and then yamux; [Pipe] makes a pair of them
// in memory. [Pool] keeps one connection per peer for any number of callers,
// and [Mux] lets one listening port serve sessions, TLS, HTTP and other
// protocols at once.
//
// # The wire
//
// What follows is everything two implementations must agree on below package
// rmi. Fixed-width integers are big-endian; "varint" is the unsigned LEB128 of
// encoding/binary, in at most 10 bytes. The side that dialled is the client.
//
// # Opening
//
// The client speaks first. It sends the preface and one record, its hello; the
// server answers with the preface and one record, its hello or a refusal. A
// server sends nothing to a peer whose preface is wrong. Each side allows the
// whole exchange, TLS included, 5 s.
//
//	offset  size  preface
//	0       8     FA 46 41 52 43 41 4C 4C   (0xFA "FARCALL")
//
// 0xFA begins no TLS record, no HTTP method, no "PYRO" and no UTF-8 text.
//
//	offset  size  record
//	0       1     kind: 1 hello, 2 refusal
//	1       2     length n of the body, at most 4096
//	3       n     body
//
// The body of either kind begins with the versions its sender speaks, lowest
// and highest, so that peers of any two versions can read that much of each
// other. They settle on the lower of the two highest; when that is lower than
// either's lowest, the server sends a refusal and closes.
//
//	hello: varint lowest, varint highest, then fields until the end:
//	    varint key, varint length, value
//	    key 1  node id, UTF-8, at most 255 bytes
//	    key 2  incarnation, varint
//	    key 3  a feature, UTF-8, 1 to 64 bytes; repeated, at most 64 times
//	    key 4  the most streams it allows on the session, varint, at least 1
//	refusal: varint lowest, varint highest, then fields:
//	    key 1  the reason, UTF-8, at most 512 bytes, for a person to read
//
// A field that is left out has its zero value; for key 4 that means 1024. A key
// other than 3 comes at most once. Unknown keys are skipped.
//
// # Frames and records
//
// From here on each direction is a run of yamux's frames, of version 0 of its framing,
// and of records. A record stands between two frames or records, never inside one.
// The first byte tells them apart: 0 begins a frame, its version; a record begins
// with its kind.
//
//	offset  size  record
//	0       1     kind
//	1       3     length n of the body
//	4       n     body
//
//	kind 1  lane     bytes of the sender's messages, which follow those of its
//	                 lane records before
//	kind 2  piece    a tag, 8 bytes, and bulk data, which follows that of the pieces
//	                 before with the same tag
//	kind 3  taken    how many bytes of bulk data have arrived on this connection,
//	                 of all tags, as 8 bytes; what follows them is skipped
//	kind 4  control  see Control frames
//
// Records of the kinds 5 to 15 are for later versions and are skipped. A first byte
// of 16 or more, a piece or taken of less than 8 bytes, and a taken that says less
// than the one before it or more than was sent, break the protocol. Golden bytes are
// in testdata/records.hex, and of control frames in testdata/control.hex.
//
// Either side may send records as soon as the opening is over. What they hold is not
// looked at here: where a message ends, and which tags there are, is for the protocol
// above. A lane record may end anywhere in a message. Messages come in the order in
// which they were sent, and so do the pieces of one tag; pieces of different tags take
// turns. Messages may overtake bulk data that was sent before them; bulk data does not
// overtake messages.
//
// A receiver sends taken each time that 131072 bytes of bulk data or more have
// arrived since the last one, tag bytes not counted; bulk data that nobody wants
// arrives like any other. A sender has no more under way, sent and not said to be
// taken, than its window. How large that is is its own affair, but with less than
// 131072 bytes under way it would wait in vain; here it is twice what the path was
// seen to hold, 512 KiB at least and 32 MiB at most. Pieces hold up to 256 KiB here,
// and less where writing one takes long. Messages have no window.
//
// # Streams
//
// The client's streams have odd ids. No data frame is longer than 33 KiB
// ([MaxPiece]). The sides settle on the lower of the two numbers of streams: neither
// opens a stream when that many are open, whoever opened them, and a peer that opens
// more than twice that number loses the session. yamux's own pings and go-away
// frames are answered and not sent; its initial window is 256 KiB.
//
// A FIN ends the sender's direction. A stream leaves the session when both
// directions have ended.
//
// # Control frames
//
// A record of kind 4 is a frame that one side's session says to the other's: varint
// type, and the body of that type, 1024 bytes together at most. A frame of a type that
// the receiver does not know is skipped. It stands behind what its sender had sent
// on streams before.
//
//	type 1  ping      body at most 16 bytes; to be answered by a pong
//	type 2  pong      body of the ping
//	type 3  goaway    open no more streams; to be answered by settled
//	type 4  settled   no stream of mine that you do not know is on its way
//	type 5  close     body one byte, 1 when no stream is left and every stream's
//	                  data was sent, else 0; the session ends here
//	type 6  stop      body varint stream id: what you write there is dropped
//
// The body of a close or a stop may be longer than stated, and a goaway and a settled
// may have one; what is not known is for later versions and is skipped. A frame that is
// too long, or too short for its type, breaks the protocol.
//
// A side that has sent or received nothing for 3 s pings; any byte received is a sign
// of life, and a peer silent for 9 s is given up.
package transport
