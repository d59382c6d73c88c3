package xmlrpc

import "time"

// Dialect says which extensions of XML-RPC are written. All are read, always.
type Dialect uint8

const (
	// Standard has no extensions: nil and integers beyond 32 bits are errors.
	// Everybody reads it.
	Standard Dialect = iota
	// Plain has <nil/> and <i8>, as xmlrpc-c, Python and rtorrent know them.
	Plain
	// Apache has the extensions of Apache XML-RPC in its namespace: ex:nil, ex:i8,
	// ex:biginteger and ex:bigdecimal.
	Apache
)

// BadText says what becomes of text that XML cannot carry: invalid UTF-8, most
// control characters, U+FFFE and U+FFFF.
type BadText uint8

const (
	// RefuseBadText makes it an [*UnsupportedValueError].
	RefuseBadText BadText = iota
	// ReplaceBadText writes U+FFFD for each character or byte that is illegal.
	ReplaceBadText
	// Base64BadText writes such a string as base64. A name cannot be base64 and is
	// refused.
	Base64BadText
)

// EncodeOptions say how values are written. The zero EncodeOptions write what
// every known implementation reads.
type EncodeOptions struct {
	// Dialect is which extensions may be written. The default is Standard.
	Dialect Dialect
	// Location is where dates are written in, since the format has no zone.
	// nil means UTC.
	Location *time.Location
	// ExactTime makes a time that is not a whole second an error. By default the
	// fraction is cut off, because the format has none.
	ExactTime bool
	// BadText is for strings that XML cannot carry. The default is an error.
	BadText BadText
	// I4 writes <i4> for <int>, for the few peers that know only one.
	I4 bool
	// MaxDepth is how many values may be nested in one another, and what finds a
	// pointer that leads back to itself. 0 means 64, which is what others read at
	// most; more than 1000 is 1000.
	MaxDepth int
}

// DecodeOptions say how documents are read. The zero DecodeOptions read what real
// implementations send, within the default Limits.
type DecodeOptions struct {
	// Location is where dates without a zone are. nil means UTC.
	Location *time.Location
	// Strict refuses what the specification does not have: extensions, blanks in
	// scalars and names, true and false, exponents, other forms of dates, left-out
	// or reordered elements. It is for conformance tests, not for servers.
	Strict bool
	// LastWins lets the last of several members with the same name win. By default
	// they are refused, because implementations disagree on which one counts.
	LastWins bool
	// Opaque reads Apache's dom and serializable elements as bytes: the XML inside
	// of the first, the base64 of the second. They are refused by default, and
	// nothing here ever interprets them.
	Opaque bool
	// Charset is the one that the Content-Type of an HTTP message names, for a
	// document that has neither a byte order mark nor a declared encoding. Empty
	// means UTF-8.
	Charset string
	// Limits bound what a document may cost.
	Limits Limits
}

// Limits bound what a document may cost to read. A field that is 0 means its
// default, and a negative one no limit but that of the format: documents are under
// 1 GiB, and at most 1000 values deep. Exceeding one is a [*LimitError].
type Limits struct {
	// Bytes is the size of a document, as it came and in UTF-8. The default is
	// 16 MiB.
	Bytes int
	// Depth is how many values may be nested in one another. The default is 64.
	Depth int
	// Elements is how many elements and attributes a document may have. The default
	// is 2 000 000.
	Elements int
	// Text is the length of one string, name or base64 text in bytes. The default is
	// that of Bytes.
	Text int
	// Number is how many characters a number may have. The default is 1000: the
	// longest double that is written here has 327.
	Number int
}
