package xmlrpc

import (
	"bytes"
	"encoding/base64"
	"math"
	"math/big"
	"strconv"
	"time"
)

// scalar is the text of the value at i less the blanks around it, which only
// Strict minds.
func (d *document) scalar(i uint32) []byte {
	b := d.text(&d.nodes[i])
	if d.set.strict || len(b) > 0 && !isBlank(b[0]) && !isBlank(b[len(b)-1]) {
		return b
	}
	return trimBlanks(b)
}

// integer reads an int, i1, i2 or i8.
func (d *document) integer(i uint32) (int64, error) {
	n := &d.nodes[i]
	b := d.scalar(i)
	v, fits, ok := parseInt(b)
	if !ok {
		return 0, d.invalid(i, quote(clip(b))+" is no integer")
	}
	least, most := int64(math.MinInt32), int64(math.MaxInt32)
	switch {
	case n.kind == KindI8:
		least, most = math.MinInt64, math.MaxInt64
	case n.flags&isI1 != 0:
		least, most = math.MinInt8, math.MaxInt8
	case n.flags&isI2 != 0:
		least, most = math.MinInt16, math.MaxInt16
	}
	if !fits || v < least || v > most {
		return 0, d.invalid(i, quote(clip(b))+" is beyond the range of its type")
	}
	return v, nil
}

// parseInt reads an optional sign and digits. It reports whether there is nothing
// else, and whether the number fits into 64 bits.
func parseInt(b []byte) (v int64, fits, ok bool) {
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	if len(b) == 0 {
		return 0, false, false
	}
	fits = true
	var u uint64
	for _, c := range b {
		c -= '0'
		if c > 9 {
			return 0, false, false
		}
		if u > math.MaxUint64/10 {
			fits = false
		}
		next := u*10 + uint64(c)
		if next < u {
			fits = false
		}
		u = next
	}
	if negative {
		return -int64(u), fits && u <= 1<<63, true
	}
	return int64(u), fits && u <= math.MaxInt64, true
}

// boolean reads a boolean.
func (d *document) boolean(i uint32) (bool, error) {
	b := d.scalar(i)
	switch string(b) {
	case "1":
		return true, nil
	case "0":
		return false, nil
	}
	if !d.set.strict {
		switch string(b) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, d.invalid(i, quote(clip(b))+" is no boolean")
}

// double reads a double or a float. Infinities and NaN have no text in the
// grammar.
func (d *document) double(i uint32) (float64, error) {
	b := d.scalar(i)
	ok, exponent := isDecimal(b)
	if !ok || exponent && d.set.strict {
		return 0, d.invalid(i, quote(clip(b))+" is no double")
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return 0, d.invalid(i, quote(clip(b))+" is beyond the range of a double")
	}
	return v, nil
}

// isDecimal reports whether b is an optional sign, digits with at most one point
// among them, and an optional exponent. strconv takes more: hexadecimal, inf, nan
// and underscores.
func isDecimal(b []byte) (ok, exponent bool) {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		b = b[1:]
	}
	digits, point := 0, false
	for k, c := range b {
		switch {
		case classes[c]&classDigit != 0:
			digits++
		case c == '.' && !point:
			point = true
		case (c == 'e' || c == 'E') && digits > 0:
			_, _, ok := parseInt(b[k+1:])
			return ok, true
		default:
			return false, false
		}
	}
	return digits > 0, false
}

// bigInteger reads any integer.
func (d *document) bigInteger(i uint32) (*big.Int, error) {
	if d.nodes[i].kind != KindBigInteger {
		v, err := d.integer(i)
		return big.NewInt(v), err
	}
	b := d.scalar(i)
	if _, _, ok := parseInt(b); !ok {
		return nil, d.invalid(i, quote(clip(b))+" is no integer")
	}
	v, _ := new(big.Int).SetString(string(b), 10)
	return v, nil
}

// decimal reads any number.
func (d *document) decimal(i uint32) (Decimal, error) {
	b := d.scalar(i)
	if ok, _ := isDecimal(b); !ok {
		return "", d.invalid(i, quote(clip(b))+" is no number")
	}
	return Decimal(b), nil
}

// base64 reads base64 in one line or several.
func (d *document) base64(i uint32) ([]byte, error) {
	b := d.text(&d.nodes[i])
	// The decoder skips line ends by itself.
	if bytes.IndexByte(b, ' ') >= 0 || bytes.IndexByte(b, '\t') >= 0 {
		clean := make([]byte, 0, len(b))
		for _, c := range b {
			if !isBlank(c) {
				clean = append(clean, c)
			}
		}
		b = clean
	}
	size := len(b) - bytes.Count(b, []byte{'\n'}) - bytes.Count(b, []byte{'\r'})
	out := make([]byte, base64.StdEncoding.DecodedLen(size))
	n, err := base64.StdEncoding.Decode(out, b)
	if err != nil {
		return nil, d.invalid(i, "this is no base64")
	}
	return out[:n], nil
}

// dateTime reads a date. Its zone, if it has one, only says what instant it is.
func (d *document) dateTime(i uint32) (time.Time, error) {
	n := &d.nodes[i]
	b := d.scalar(i)
	if d.set.strict && len(b) != len("19980717T14:08:55") {
		return time.Time{}, d.invalid(i, quote(clip(b))+" is no date")
	}
	t, ok := parseDate(b, d.set.location, d.set.strict && n.flags&isExtra == 0)
	if !ok {
		return time.Time{}, d.invalid(i, quote(clip(b))+" is no date")
	}
	return t, nil
}

// A Decimal is a decimal number of any size and precision, as text: an optional
// sign, digits with an optional point, an optional exponent. It is what a
// bigdecimal is read into. Dialects without one write it as a double, which keeps
// the text but not for a reader that has doubles only.
type Decimal string

// Rat is the number itself. It is an error if the text is no number, or if its
// exponent is beyond 10 000, for which the number would take too much memory.
func (x Decimal) Rat() (*big.Rat, error) {
	const most = 10_000
	ok, exponent := isDecimal([]byte(x))
	if !ok {
		return nil, &UnsupportedValueError{Reason: quote(string(x)) + " is no number"}
	}
	if exponent {
		at := bytes.IndexAny([]byte(x), "eE")
		if e, fits, _ := parseInt([]byte(x[at+1:])); !fits || e > most || e < -most {
			return nil, &UnsupportedValueError{Reason: quote(string(x)) + " has too large an exponent"}
		}
	}
	r, _ := new(big.Rat).SetString(string(x))
	return r, nil
}
