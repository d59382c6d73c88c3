// Package rmi calls methods of objects on other nodes, and serves them.
//
// Every call, by whatever protocol it came and wherever it goes, is a [*Call]
// that a [Handler] turns into a [Reply] or an [*Error]. [Objects] is the Handler
// that runs methods of Go values; a [Conn] is the Handler that sends calls to
// the node at the other end of a session, and serves that node's calls by
// another Handler at the same time; a [Server] keeps a Conn for each node that
// connects; a [Router] finds the node for a name.
//
// # The wire
//
// What follows is everything two implementations must agree on above package
// transport, which specifies how a connection becomes a session: preface, hello
// and streams. A number is an unsigned LEB128 varint as in encoding/binary, of
// at most 10 bytes; a text is a number n and n bytes. Golden bytes are in
// testdata/wire.
//
// # Streams
//
// Either side may call the other. The first byte of a stream says what its
// opener uses it for; frames follow, in both directions.
//
//	1  lane    the opener's small requests and the peer's answers to them, for
//	           as long as the session lives
//	2  call    one REQUEST with a payload of more than 32 KiB; TAKEN comes back,
//	           or an ERROR
//	3  result  one REPLY with a payload of more than 32 KiB; nothing comes back
//
// A stream of another kind is closed unread. The kind and, on a call or result
// stream, the head of the frame must arrive within 10 s. A side opens its lane
// before it first sends a small request; one is enough, and the two sides have
// at most 16. A lane that ends takes the session with it.
//
// On a call stream the receiver answers TAKEN when it has all of the request and
// will start the call, or an ERROR, which may come while the payload is still on
// its way. Then both end the stream; the answer to a call that was taken comes
// by a lane or a result stream. An opener that ends or resets the stream before
// that gives the call up, and the receiver forgets it if anything of the request
// is missing. An opener that gives up after it has sent all of the request waits
// for TAKEN and then sends CANCEL by its lane. So streams are only held by what
// is being transferred, and never by a call that is running.
//
// A side has at most 64 call streams and 64 result streams of its own open at a
// time; of more than 256 streams that the peer has open the newest is closed
// unread.
//
// # Frames
//
//	offset  size  frame
//	0       1     type
//	1       1     flags
//	2       1–10  id, a number
//	        1–10  length n of the body, a number
//	        n     body
//
//	type        id     body                  direction
//	1  REQUEST  call   head and payload      caller to server
//	2  REPLY    call   head and payload      server to caller
//	3  ERROR    call   head                  server to caller
//	4  CANCEL   call   empty                 caller to server, on a lane
//	5  GOAWAY   0      head                  either, on a lane of its sender
//	6  PING     any    empty                 either
//	7  PONG     PING's empty                 back on the same stream
//	8  TAKEN    call   empty                 back on a call stream
//
// On a lane a body has at most 65 536 bytes. A frame of another type is skipped;
// type 0 is never sent, and breaks the protocol. More may follow an empty body
// in a later version, and is skipped. Type 1 with flag 01 is reserved for
// requests that want no answer; no flag is defined yet. A receiver ignores
// unknown flags among the lower four. One it does not know among the upper four
// changes what the frame means: such a request is refused with UNIMPLEMENTED,
// such an answer fails its call with INTERNAL.
//
// An id is chosen by the caller, is not 0, and is used once per session and
// caller; counting up keeps it short. The answer to a call may therefore come
// on any stream. An answer that nobody waits for is dropped; a request with the
// id of a call that is under way breaks the protocol.
//
// A body with a head begins with the head's length h, a number, of at most
// 24 576, and h bytes of head; what is left is the payload. A head is a few
// parts in fixed order, then fields until its end: a key, which is a number, and
// a text. Fields with unknown keys are skipped, and so is what a GOAWAY head
// holds after its byte.
//
//	REQUEST head
//	    number  time left until the deadline, in microseconds; 0 for none
//	    text    object, UTF-8, 0 to 255 bytes
//	    text    method, UTF-8, 0 to 255 bytes; empty to call a function
//	    byte    content type of the payload
//	    fields  key 1: one metadata entry: a text, the key, then the value
//	REPLY head
//	    byte    content type of the payload
//	    fields  as in a request
//	ERROR head
//	    byte    code, as in [Code]
//	    byte    1 when the call was certainly not executed, else 0
//	    fields  key 1: message, UTF-8, up to 8 KiB
//	            key 2: type of the method's own error, UTF-8, up to 255 bytes
//	            key 3: one detail: a text, the key, then the value; up to 32 of
//	                   them, 4 KiB together
//	            key 4: trace, UTF-8, up to 8 KiB
//	GOAWAY head
//	    byte    1 soon, 2 done
//
// Metadata has at most 64 keys and 8 KiB of keys and values together; a key is 1
// to 128 bytes of a-z, 0-9, '-', '_' and '.'. Content types are those of
// [ContentType]: 0 for one CBOR item, 1 for a whole XML-RPC document. The
// payload of a request is the array of its arguments, that of a reply the
// result.
//
// A head that breaks these rules fails its own call only: a request is refused
// with INVALID_ARGUMENT, or RESOURCE_EXHAUSTED where something is too much, not
// executed; an unreadable answer fails its call with an error. What makes it
// impossible to tell where the next frame begins, a number that is too long, a
// body that is too large, or a head longer than its body, ends the session.
//
// # Calls
//
// The server measures the time left from the request's arrival, so that clocks
// need not agree. The caller returns at its own deadline whatever the server
// does. A caller that gives up sends CANCEL and forgets the call; the server
// ends the context of the method and sends nothing more. A call whose time is up
// before it starts is not executed.
//
// A side refuses at once, with RESOURCE_EXHAUSTED and not executed, what is over
// one of its limits; see [ConnOptions].
//
// When a session breaks, each waiting call fails with UNAVAILABLE: not executed
// when its request had not been given to the session, otherwise possibly
// executed.
//
// # Parting
//
// A side that wants to leave sends GOAWAY soon, on a lane that it opens for it if
// need be. From then on neither side starts a call. Each side sends GOAWAY done
// once every call it has sent is answered. The leaver answers requests that
// crossed its GOAWAY as any others. Once it has received done, and no call of
// either side is under way, it ends the session.
package rmi
