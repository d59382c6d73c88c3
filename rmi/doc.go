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
// transport, which specifies how a connection becomes a session: preface, hello,
// streams, and a lane of messages and bulk data. A number is an unsigned LEB128 varint as in encoding/binary, of
// at most 10 bytes; a text is a number n and n bytes. Golden bytes are in
// testdata/wire.
//
// # Lane and streams
//
// Either side may call the other. Frames of both sides go by the lane of the
// session, as its messages, from the session's beginning to its end; what is large
// goes by it as bulk data, marked with a tag. Streams are for sequences alone. The
// first byte of a stream says what its opener uses it for:
//
//	4  items   a sequence of values that belongs to a call; see Item streams
//
// A stream of another kind is closed unread; 1 to 3 are not to be used again. The
// kind, and what an items stream says of itself, must arrive within 10 s. How many
// item streams there may be is each node's to choose; of more than that and 16 which
// have not said what they are, the newest is closed unread.
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
//	3  ERROR    call   head                  server to caller; and see Item streams
//	4  CANCEL   call   empty                 caller to server; and see Item streams
//	5  GOAWAY   0      head                  either
//	6  PING     any    empty                 either
//	7  PONG     PING's empty                 back
//	8  TAKEN    call   empty                 server to caller
//	9  ITEM     0      one CBOR item         producer to consumer, on an items stream
//	10 END      0      empty                 producer to consumer, on an items stream
//	11 CREDIT   count  empty                 consumer to producer, on an items stream
//	12 HOLD     list   head                  holder to owner
//	13 DROP     list   head                  holder to owner
//	14 FORGET   call   empty                 caller to server
//	15 GRANT    call   empty                 to who sends a large payload
//
// On the lane a body has at most 65536 bytes, unless flag 20 says that the payload
// comes apart. A frame of another type is skipped; type 0 is never sent, and breaks
// the protocol. More may follow an empty body in a later version, and is skipped. A
// receiver ignores unknown flags among the lower four. One it does not know among the
// upper four changes what the frame means: such a request is refused with
// UNIMPLEMENTED, such an answer fails its call with INTERNAL. The flags of a REQUEST:
//
//	01  one way: no answer is wanted, not even an ERROR; but one whose body has
//	    more than 262144 bytes gets the ERROR that refuses it, since its sender
//	    waits for GRANT
//	02  with 01: TAKEN, or an ERROR, comes back when the request was admitted and
//	    all of it was there, or was refused
//	04  the deadline bounds the wait for the reply, and not the item streams that
//	    the reply brings
//	08  the result is kept for requests that build on it, until FORGET
//	10  an argument, or the object, is the result of another call: see Promises
//	20  the payload comes apart: see Large payloads
//
// The flag of a REPLY; other frames do not have it:
//
//	20  the payload comes apart
//
// The flag of a GRANT:
//
//	01  the payload is that of a REPLY; else it is that of a REQUEST
//
// The flags of a HOLD:
//
//	01  the first of a list of all that the sender holds
//	02  the last of that list
//
// An id is chosen by the caller, is not 0 and less than 2^63, and is used once per
// session and caller; counting up keeps it short. An answer that nobody waits for is
// dropped; a request with the id of a call that is under way breaks the protocol.
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
//	            key 2: the chain: a number, the calls that led to this one; a
//	                   text, the correlation id, up to 64 bytes; then texts, the
//	                   newest of those calls, the newest last: see Chains
//	            key 3: a number, the item streams that the arguments bring
//	            key 4: a promise: three numbers, see Promises
//	            key 5: two numbers, the call's sequence number and the least one
//	                   that the caller still waits for: see Repeated calls
//	REPLY head
//	    byte    content type of the payload
//	    fields  key 1: as in a request
//	            key 3: a number, the item streams that the result brings
//	ERROR head
//	    byte    code, as in [Code]
//	    byte    1 when the call was certainly not executed, else 0
//	    fields  key 1: message, UTF-8, up to 8 KiB
//	            key 2: type of the method's own error, UTF-8, up to 255 bytes
//	            key 3: one detail: a text, the key, then the value; up to 32 of
//	                   them, 4 KiB together
//	            key 4: trace, UTF-8, up to 8 KiB
//	            key 5: one of the method's own errors as a value: a text, the name
//	                   by which both sides know its type, then one CBOR item; up to
//	                   8 of them, 8 KiB together
//	            key 6: one hop: a text, the node that passed the error on, then
//	                   what it called, UTF-8; the first comes first, up to 16 of
//	                   them, 2 KiB together
//	GOAWAY head
//	    byte    1 soon, 2 done, 3 for good
//	HOLD and DROP head
//	    repeated until its end:
//	    12 bytes  the id of a reference that the receiver owns
//	    number    how often the sender got it from the receiver and has not said
//	              so yet
//
// Metadata has at most 64 keys and 8 KiB of keys and values together; a key is 1
// to 128 bytes of a-z, 0-9, '-', '_' and '.'. Content types are those of
// [ContentType]: 0 for one CBOR item, 1 for a whole XML-RPC document, 2 for a
// batch. The payload of a request is the array of its arguments, that of a reply
// the result. A batch is an array of calls of the object that the head names,
// each an array of the method, a text, and its arguments, an array; the head's
// method is empty. There are at most 1024 calls, without item streams. They are
// carried out one after another; where the array begins with true, none is after
// one that failed. The result is an array
// with one element for each, in order: the array [0, result], or [1, error], where
// the error is the head of an ERROR frame as a byte string.
//
// A head that breaks these rules fails its own call only: a request is refused
// with INVALID_ARGUMENT, or RESOURCE_EXHAUSTED where something is too much, not
// executed; an unreadable answer fails its call with an error. What makes it
// impossible to tell where the next frame begins, a number that is too long, a
// body that is too large, or a head longer than its body, ends the session.
//
// # Large payloads
//
// A payload of more than 32768 bytes goes apart from its frame, so that small frames
// need not wait for it. The frame has flag 20 and ends on the lane after its head;
// its length n still counts the payload. The payload follows as bulk data: of a
// REQUEST with the tag 2 × id, of a REPLY with the tag 2 × id + 1. The frame goes
// before its bulk data, and so comes before it. Other frames, CANCEL and the ERROR
// that refuses the request among them, may overtake it.
//
// Of a payload of more than 262144 bytes so many are sent at once, and the rest after
// GRANT, which the receiver sends when it has memory for all of it; a smaller one is
// sent whole and gets no GRANT. A call starts when all of its request is there and has
// its memory. What is more than the payload, or than was granted, breaks the protocol
// as long as the payload is on its way. Bulk data with a tag that nothing is on its way
// for is dropped, and a GRANT that nobody waits for is ignored.
//
// A request is refused as any other, perhaps while its payload is under way: the
// receiver drops what still comes of that, and a sender that waits for GRANT sends
// nothing more. One that waits longer for memory than its receiver likes, here 5 s, is
// refused with RESOURCE_EXHAUSTED, not executed. A reply waits as long as its caller.
//
// CANCEL takes back a request of which something is missing: it is forgotten, not
// executed, and not answered. What of it is still under way is dropped. CANCEL of a
// call whose reply is being sent ends that: the rest is not sent, and its receiver
// drops what was. A receiver that cannot take a reply, since it is too large, sends
// CANCEL, too.
//
// A side sends at most 64 large requests and 64 large replies at a time; others wait.
// With 256 on their way to it, it refuses one more request with RESOURCE_EXHAUSTED,
// not executed, and fails the call of one more reply.
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
// when not all of its request had been given to the connection, otherwise possibly
// executed.
//
// # Sessions
//
// Two processes that tell each other their node and incarnation have a session
// that outlives a connection: it ends when there has been none between them for
// longer than the lease, when either has become another incarnation, and with the
// last connection when either has sent GOAWAY for good. (Where
// this page says that a session ends or breaks it means the connection's.)
// References, recorded answers and what an application keeps for a session end
// with it.
//
// # Repeated calls
//
// A request with a sequence number may be sent again, on this or another
// connection of the session, when its answer got lost: the server carries it out
// once, and answers each copy alike. It keeps an answer until the caller, by the
// least number that it still waits for, says that it has it. The numbers count
// the calls of one caller incarnation to one server incarnation. A copy of a call
// that runs is answered when that has ended; one whose answer was given up as
// too large, or was too many, fails with FAILED_PRECONDITION, possibly executed.
// A call whose connection breaks runs on for 10 s, in which a copy may come.
// Numbers are not used again in a later session of the two.
// Nothing is recorded for methods that the owner declared idempotent.
//
// # References
//
// An object without a name is called by its reference: its name in a request is
// '#' and its id in base64url (RFC 4648, section 5, without padding), 16
// characters. In a value a reference is CBOR tag 1178685763 on an array of:
//
//	text   the node of the owner
//	uint   its incarnation
//	bytes  the id, 12 random bytes: who knows it may call the object
//	text   the type, for people; may be empty
//	array  of an object that the owner cannot be asked for directly and the
//	       sender passes calls on to: the four above of the original; else absent
//
// Who receives a reference and keeps it says HOLD to its owner, with the number
// of times that it got it from the owner itself, and DROP when it has no more use
// for it. The owner keeps the object while a session holds it, and for the length
// of a lease after each time it gave the reference away until the receipt of that
// was told. A reference that was got from another than its owner is kept by that
// other for the length of a lease.
//
// A side tells what it holds by one connection of the session, as long as that
// lasts. There, and again on the next, it first says all, be it nothing any more,
// and also when the session has ended for it, since it may not have for the owner:
// its first HOLD has flag 01, the HOLD that completes the list, perhaps the same
// one, flag 02. The list has a number, from 1, that is higher than those of all
// before it, and so have all frames until the next list. The owner takes what the
// list does not name for dropped, and ignores what belongs to a list with a lower
// number, which still comes by an earlier connection.
//
// # Item streams
//
// A parameter or result that is a sequence is, in the value, CBOR tag 1178685764
// on a number: 0 for the first such sequence of the payload, and so on. After the
// request or reply its sender opens an items stream for each, which begins, after
// the kind, with three numbers: the call's id; 0 when the call is the opener's, 1
// when it is the peer's; and the number in the value. It may arrive before the
// frame that it belongs to. The producer sends ITEM frames, no more than 32 plus
// what CREDIT has added; then END, or an ERROR when the sequence broke off. The
// consumer sends CREDIT as items are used up; it sends CANCEL, or just ends the
// stream, when it wants no more, and after END or ERROR. An items stream that ends
// without END or ERROR broke off. A producer that sends more than it may is held
// up by the stream's window. A sequence of pairs has arrays of two as its items.
// An array may stand where a sequence is wanted: its elements are the items.
//
// The context of a method lives until it has returned and the sequences of its
// result have ended.
//
// # Promises
//
// A request with flag 08 makes its result known to later requests of the same
// caller on the same connection, even before it is there. These have flag 10 and
// for each use a field of key 4: where the result goes, 0 for the object, which
// the result must then be a reference to, or the number of an argument, counted
// from 1, which holds null; the call's id; and which of several results is meant,
// counted from 1, or 0 for the whole. That call's REQUEST must have come before, be
// its payload still on its way. If that call fails, so does this one, not
// executed; when the reason is the result that it needs, the ERROR has the detail
// "farcall-promise". FORGET ends the keeping, and the connection does. A side keeps at most
// 1024 results.
//
// # Chains
//
// A call that a method makes while it runs is part of a chain; the number says
// how many calls stand before it, and the correlation id, made by the first that
// needs one, is that of all. A call with more than 64 before it is refused with
// FAILED_PRECONDITION. The newest calls are told, each as the method, its object
// and node, in up to 1 KiB, for people. Calls in a chain have room of their own,
// as much again, when a limit on calls in flight is reached, so that a call that
// waits for another cannot keep that out.
//
// # Properties
//
// An object whose owner lists properties has three methods more, which are called
// as all are: farcall_get takes the name of a property and returns its value,
// farcall_set takes a name and a value, farcall_properties takes nothing and
// returns a list of what each property is. Names of methods that begin with
// "farcall_" are reserved.
//
// # Parting
//
// A side that wants to leave sends GOAWAY soon. From then on neither side starts a
// call, but for those that the methods that still run make on their caller. Each side sends GOAWAY done once
// every call it has sent is answered, every call it has received too, and its
// item streams have ended. The leaver answers requests that crossed its GOAWAY as
// any others. Once it has received done, and no call of either side is under way,
// it ends the session.
package rmi
