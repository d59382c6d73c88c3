package rmi

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"
)

// The major types of CBOR, RFC 8949 section 3.1.
const (
	cborUint   = 0
	cborNegInt = 1
	cborBytes  = 2
	cborText   = 3
	cborList   = 4
	cborMap    = 5
	cborTag    = 6
	cborSimple = 7
)

// The values of the additional information that matter here.
const (
	infoFalse      = 20
	infoTrue       = 21
	infoNull       = 22
	infoUndefined  = 23
	infoHalf       = 25
	infoSingle     = 26
	infoDouble     = 27
	infoIndefinite = 31
)

// The tags that a value may carry.
const (
	tagTimeText  = 0
	tagTimeEpoch = 1
	tagBigUint   = 2
	tagBigNegInt = 3
)

// itemHead is the head of a CBOR item: what it is, and how long or how large.
type itemHead struct {
	major byte
	info  byte
	// arg is the integer, the length in bytes, elements or pairs, the tag, or
	// the bits of a float.
	arg uint64
	// size is the length of the head itself, in bytes.
	size int
}

// maxHead is the longest head, in bytes.
const maxHead = 9

// readHead reads the head at the start of data. Lengths are not yet compared
// with what follows.
func readHead(data []byte) (itemHead, error) {
	if len(data) == 0 {
		return itemHead{}, errTruncated
	}
	h := itemHead{major: data[0] >> 5, info: data[0] & 0x1f, size: 1}
	if h.info < 24 {
		h.arg = uint64(h.info)
		return h, nil
	}
	if h.info > 27 {
		if h.info == infoIndefinite {
			return h, &ValueError{Reason: "malformed payload: items of indefinite length are not taken"}
		}
		return h, &ValueError{Reason: "malformed payload: reserved byte " + strconv.Itoa(int(data[0]))}
	}
	n := 1 << (h.info - 24)
	if len(data) < 1+n {
		return h, errTruncated
	}
	switch n {
	case 1:
		h.arg = uint64(data[1])
	case 2:
		h.arg = uint64(binary.BigEndian.Uint16(data[1:]))
	case 4:
		h.arg = uint64(binary.BigEndian.Uint32(data[1:]))
	case 8:
		h.arg = binary.BigEndian.Uint64(data[1:])
	}
	h.size += n
	return h, nil
}

// body returns the bytes or text that follow the head h at the start of data,
// and what is left after them.
func (h itemHead) body(data []byte) (body, rest []byte, err error) {
	data = data[h.size:]
	if h.arg > uint64(len(data)) {
		return nil, nil, errTruncated
	}
	return data[:h.arg], data[h.arg:], nil
}

// isNull reports whether the item is null or undefined.
func (h itemHead) isNull() bool {
	return h.major == cborSimple && (h.info == infoNull || h.info == infoUndefined)
}

// isFloat reports whether the item is a float of any width.
func (h itemHead) isFloat() bool {
	return h.major == cborSimple && h.info >= infoHalf && h.info <= infoDouble
}

// float returns the value of a float.
func (h itemHead) float() float64 {
	switch h.info {
	case infoHalf:
		return halfToFloat(uint16(h.arg))
	case infoSingle:
		return float64(math.Float32frombits(uint32(h.arg)))
	}
	return math.Float64frombits(h.arg)
}

// halfToFloat widens an IEEE 754 half-precision float.
func halfToFloat(h uint16) float64 {
	exp, mant := int(h>>10&0x1f), float64(h&0x3ff)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(mant, -24)
	case 31:
		f = math.Inf(1)
		if mant != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(mant+1024, exp-25)
	}
	if h&0x8000 != 0 {
		f = -f
	}
	return f
}

// appendHead appends a head with its argument in the shortest form.
func appendHead(dst []byte, major byte, arg uint64) []byte {
	m := major << 5
	switch {
	case arg < 24:
		return append(dst, m|byte(arg))
	case arg <= math.MaxUint8:
		return append(dst, m|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, m|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, m|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(dst, m|27), arg)
}

// itemLen returns the length of the item at the start of data. It follows no
// structure, so that hostile nesting costs it nothing; the decoder that comes
// after it enforces the limits.
func itemLen(data []byte) (int, error) {
	at, pending := 0, uint64(1)
	for pending > 0 {
		h, err := readHead(data[at:])
		if err != nil {
			return 0, err
		}
		at += h.size
		pending--
		left := uint64(len(data) - at)
		switch h.major {
		case cborBytes, cborText:
			if h.arg > left {
				return 0, errTruncated
			}
			at += int(h.arg)
		case cborList, cborMap:
			n := h.arg
			if n > left {
				return 0, errTruncated // each element takes a byte at least
			}
			if h.major == cborMap {
				n *= 2
			}
			pending += n
		case cborTag:
			pending++
		}
		if pending > uint64(len(data)-at) {
			return 0, errTruncated
		}
	}
	return at, nil
}

// wideInt reports whether well-formed data holds an integer that a float64
// may not be able to hold.
func wideInt(data []byte) bool {
	for len(data) > 0 {
		h, err := readHead(data)
		if err != nil {
			return false
		}
		data = data[h.size:]
		switch h.major {
		case cborUint, cborNegInt:
			if h.arg > 1<<53 {
				return true
			}
		case cborTag:
			if h.arg == tagBigUint || h.arg == tagBigNegInt {
				return true
			}
		case cborBytes, cborText:
			if h.arg > uint64(len(data)) {
				return false
			}
			data = data[h.arg:]
		}
	}
	return false
}

// bigOf returns the integer at the start of data, be it an integer or a
// bignum; ok is false for anything else.
func bigOf(data []byte) (n *big.Int, ok bool) {
	h, err := readHead(data)
	if err != nil {
		return nil, false
	}
	switch {
	case h.major == cborUint:
		return new(big.Int).SetUint64(h.arg), true
	case h.major == cborNegInt:
		n = new(big.Int).SetUint64(h.arg)
		return n.Not(n), true
	case h.major == cborTag && (h.arg == tagBigUint || h.arg == tagBigNegInt):
		content := data[h.size:]
		b, err := readHead(content)
		if err != nil || b.major != cborBytes {
			return nil, false
		}
		digits, _, err := b.body(content)
		if err != nil {
			return nil, false
		}
		n = new(big.Int).SetBytes(digits)
		if h.arg == tagBigNegInt {
			n.Not(n)
		}
		return n, true
	}
	return nil, false
}

// describeItem says what the item at the start of data is, for an error: its
// kind, and its value where that is short.
func describeItem(data []byte) string {
	h, err := readHead(data)
	if err != nil {
		return "malformed data"
	}
	switch h.major {
	case cborUint, cborNegInt:
		n, _ := bigOf(data)
		return fmt.Sprintf("an integer (%v)", n)
	case cborBytes:
		return fmt.Sprintf("bytes (%d of them)", h.arg)
	case cborText:
		text, _, err := h.body(data)
		switch {
		case err != nil:
			return "malformed data"
		case !utf8.Valid(text):
			return "a string that is not valid UTF-8"
		}
		return fmt.Sprintf("a string (%q)", clip(string(text[:min(len(text), 64)]), 32))
	case cborList:
		return fmt.Sprintf("a list of %d", h.arg)
	case cborMap:
		return fmt.Sprintf("a map of %d", h.arg)
	case cborTag:
		return describeTagged(data, h)
	}
	switch {
	case h.isNull():
		return "null"
	case h.info == infoTrue || h.info == infoFalse:
		return fmt.Sprintf("a bool (%t)", h.info == infoTrue)
	case h.isFloat():
		return "a float (" + strconv.FormatFloat(h.float(), 'g', -1, 64) + ")"
	}
	return fmt.Sprintf("a simple value (%d)", h.arg)
}

// describeTagged is describeItem for a tag.
func describeTagged(data []byte, h itemHead) string {
	switch h.arg {
	case tagTimeText, tagTimeEpoch:
		var t time.Time
		if _, err := cborFirst(data, &t); err == nil {
			return "a time (" + t.Format(time.RFC3339Nano) + ")"
		}
		return "a malformed time"
	case tagReference:
		if tag, _, err := readReference(data); err == nil {
			return (&Ref{refTag: tag}).String()
		}
		return "a malformed reference"
	case tagBigUint, tagBigNegInt:
		if n, ok := bigOf(data); ok {
			if n.BitLen() > 256 {
				return fmt.Sprintf("an integer of %d bits", n.BitLen())
			}
			return fmt.Sprintf("an integer (%v)", n)
		}
		return "a malformed integer"
	}
	return fmt.Sprintf("a value with tag %d", h.arg)
}

// cborFirst decodes the first item of data into what the pointer into points
// to, by the library's rules.
func cborFirst(data []byte, into any) ([]byte, error) {
	return modes().dec.UnmarshalFirst(data, into)
}

// argsHead reads the head of a list of arguments. No data means no arguments.
func argsHead(data []byte) (n int, rest []byte, err error) {
	if len(data) == 0 {
		return 0, nil, nil
	}
	h, err := readHead(data)
	switch {
	case err != nil:
		return 0, nil, err
	case h.major != cborList:
		return 0, nil, &ValueError{Want: "a list of arguments", Got: describeItem(data)}
	case h.arg > MaxListLen:
		return 0, nil, &ValueError{Reason: fmt.Sprintf("%d arguments, and the most allowed is %d", h.arg, MaxListLen)}
	case h.arg > uint64(len(data)-h.size):
		return 0, nil, errTruncated
	}
	return int(h.arg), data[h.size:], nil
}
