// Package xmlrpc reads and writes XML-RPC.
//
// It is shaped like encoding/json. [Marshal] and [Unmarshal] take a single
// value; [AppendRequest], [AppendResponse] and [AppendFault] write whole
// documents, [ParseRequest] and [ParseResponse] read them, and an [Encoder] or a
// [Decoder] does the same on a stream.
//
// # Calling and serving
//
// A [Client] calls the methods of a server over HTTP, one at a time or in a batch.
// A [Handler] is an http.Handler that serves functions and objects, answers what
// clients ask about them, and shows documentation to browsers:
//
//	h, err := xmlrpc.NewHandler(xmlrpc.HandlerOptions{})
//	err = h.Func("add", func(x, y int) int { return x + y })
//	http.Handle("/RPC2", h)
//
//	c, err := xmlrpc.NewClient("http://localhost:8080/RPC2", xmlrpc.ClientOptions{})
//	err = c.Call(ctx, "add", &sum, 3, 4)
//
// # Types
//
// What is written for a Go value, and what a Go value can be read from:
//
//	int, i4            every integer kind, if the value fits into 32 bits
//	boolean            bool
//	string             string; an encoding.TextMarshaler
//	double             float32, float64; read from an int as well
//	dateTime.iso8601   time.Time
//	base64             []byte, arrays of bytes
//	array              slices and arrays
//	struct             structs; maps with string, integer or TextMarshaler keys
//	nil                nil pointers and interfaces, if the dialect has it
//	i8                 integers beyond 32 bits, if the dialect has it
//	biginteger         *big.Int, which is an int where it fits
//	bigdecimal         [Decimal]
//
// The last three rows and i1, i2, float and dateTime are extensions of Apache's.
// They are read in both spellings, plain and in Apache's namespace under any
// prefix, and written only by an [EncodeOptions] with the right [Dialect].
//
// Into an interface of type any are read: int (int64 for an i8 that int cannot
// hold), bool, string, float64, time.Time, []byte, []any, map[string]any, nil,
// *big.Int and [Decimal].
//
// A pointer is written as what it points to, and allocated when it is read. nil
// sets a pointer, interface, map or slice to nil and leaves anything else as it
// is. An empty array is taken for an empty struct, because PHP cannot tell them
// apart. Nothing else is converted: a string of digits is no int.
//
// # Struct fields
//
// An exported field is a member named by its tag `xmlrpc:"name"`, by its tag
// `json:"name"` if there is none, or by its Go name. The name is followed by
// options: with `xmlrpc:"name,omitempty"` the member is left out if the field is
// false, 0, "", nil, of length 0 or a zero time. A field tagged "-" is ignored.
// The fields of an embedded struct without a name in its tag count as the outer
// struct's own where no shallower one has their name. Members are matched
// exactly, then without regard to case; a member without a field is ignored, and
// a field without a member keeps its value.
//
// # Reading liberally, writing narrowly
//
// What real implementations send is read: blanks around numbers and method
// names, true and false for booleans, exponents, dates with dashes, fractions and
// zones, base64 in lines or in one, strings without a type element, arrays without
// data, members with the value first, documents in UTF-8, US-ASCII, ISO-8859-1,
// windows-1252 and UTF-16. DecodeOptions.Strict refuses all that the
// specification does not have. What two parsers might understand differently is
// always refused: duplicate members, a second value, text beside an element,
// anything after the document, and any DOCTYPE.
//
// What is written is the narrowest form, which every implementation that was
// tried can read: a declaration, explicit tags without blanks, no comment, raw
// UTF-8. NaN, infinities, integers beyond 32 bits, nil and characters that XML
// does not have are errors by default, before anything is written.
//
// The wire never chooses a Go type, and everything it can make large has a limit:
// see [Limits].
package xmlrpc
