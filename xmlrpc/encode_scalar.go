package xmlrpc

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
)

// nothing appends nil.
func (e *encoder) nothing() error {
	switch e.o.Dialect {
	case Plain:
		e.string("<nil/>")
	case Apache:
		e.string("<ex:nil/>")
	default:
		return &UnsupportedValueError{Reason: "the standard has no nil; leave the member out (omitempty), or use the Plain or Apache dialect"}
	}
	return nil
}

func (e *encoder) bool(v bool) {
	if v {
		e.string("<boolean>1</boolean>")
	} else {
		e.string("<boolean>0</boolean>")
	}
}

// int appends an integer, in 64 bits if it must be and the dialect has them.
func (e *encoder) int(v int64) error {
	begin, end := e.intTag, e.intEnd
	if v != int64(int32(v)) {
		switch e.o.Dialect {
		case Plain:
			begin, end = "<i8>", "</i8>"
		case Apache:
			begin, end = "<ex:i8>", "</ex:i8>"
		default:
			return &UnsupportedValueError{Reason: "the integer " + strconv.FormatInt(v, 10) + " does not fit into 32 bits; send it as a string or a float, or use the Plain or Apache dialect"}
		}
	}
	e.string(begin)
	e.buf = strconv.AppendInt(e.buf, v, 10)
	e.string(end)
	return nil
}

// bigInt appends an integer of any size as the smallest type that has room for it.
func (e *encoder) bigInt(v *big.Int) error {
	if v.IsInt64() {
		return e.int(v.Int64())
	}
	if e.o.Dialect != Apache {
		return &UnsupportedValueError{Reason: fmt.Sprintf("an integer of %d bits does not fit into 64; send it as a string, or use the Apache dialect", v.BitLen())}
	}
	e.string("<ex:biginteger>")
	e.buf = v.Append(e.buf, 10)
	e.string("</ex:biginteger>")
	return nil
}

// double appends the shortest number that is read as v again, without an exponent.
func (e *encoder) double(v float64, bits int) error {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return &UnsupportedValueError{Reason: "a double cannot be " + strconv.FormatFloat(v, 'g', -1, 64)}
	}
	e.string("<double>")
	e.buf = strconv.AppendFloat(e.buf, v, 'f', -1, bits)
	e.string("</double>")
	return nil
}

// decimal appends a number as it is.
func (e *encoder) decimal(v Decimal) error {
	ok, exponent := isDecimal([]byte(v))
	switch {
	case !ok:
		return &UnsupportedValueError{Reason: quote(string(v)) + " is no number"}
	case e.o.Dialect == Apache:
		e.string("<ex:bigdecimal>")
		e.string(string(v))
		e.string("</ex:bigdecimal>")
	case exponent:
		return &UnsupportedValueError{Reason: quote(string(v)) + " has an exponent, which a double cannot have; use the Apache dialect"}
	default:
		e.string("<double>")
		e.string(string(v))
		e.string("</double>")
	}
	return nil
}

func (e *encoder) base64(v []byte) {
	e.string("<base64>")
	e.buf = appendBase64(e.buf, v)
	e.string("</base64>")
}

// dateTime appends a time in the location of the options.
func (e *encoder) dateTime(t time.Time) error {
	if e.o.ExactTime && t.Nanosecond() != 0 {
		return &UnsupportedValueError{Reason: "a date has no room for the fraction of " + t.Format(time.RFC3339Nano)}
	}
	t = t.In(e.loc)
	if year := t.Year(); year < 0 || year > 9999 {
		return &UnsupportedValueError{Reason: "a date has no room for the year " + strconv.Itoa(year)}
	}
	e.string("<dateTime.iso8601>")
	e.buf = appendDate(e.buf, t)
	e.string("</dateTime.iso8601>")
	return nil
}

// text appends a string.
func (e *encoder) text(s string) error {
	mark := len(e.buf)
	e.string("<string>")
	var ok bool
	if e.buf, ok = appendText(e.buf, s, e.o.BadText == ReplaceBadText); !ok {
		e.buf = e.buf[:mark]
		if e.o.BadText != Base64BadText {
			return &UnsupportedValueError{Reason: "a string has " + badText(s) + ", which XML cannot carry; send it as []byte, or set EncodeOptions.BadText"}
		}
		e.base64([]byte(s))
		return nil
	}
	e.string("</string>")
	return nil
}

// name appends the name of a member or a method.
func (e *encoder) name(s, what string) error {
	var ok bool
	if e.buf, ok = appendText(e.buf, s, e.o.BadText == ReplaceBadText); !ok {
		return &UnsupportedValueError{Reason: what + " has " + badText(s) + ", which XML cannot carry"}
	}
	return nil
}

// raw appends a value of a document. Its text is read and written anew, so that
// only what is legal goes out.
func (e *encoder) raw(v RawValue) error {
	switch v.Kind() {
	case KindInvalid:
		return &UnsupportedValueError{Reason: "a RawValue is no value"}
	case KindString:
		return e.text(string(v.doc.text(&v.doc.nodes[v.at])))
	case KindDOM, KindSerializable:
		return &UnsupportedValueError{Reason: "a " + v.Kind().String() + " is only read, never written"}
	case KindArray:
		return e.rawArray(v)
	case KindStruct:
		return e.rawStruct(v)
	}
	x, err := v.Any()
	if err != nil {
		return &UnsupportedValueError{Reason: "a RawValue is invalid", Err: err}
	}
	if d, ok := x.(Decimal); ok {
		return e.decimal(d)
	}
	if b, ok := x.(*big.Int); ok {
		return e.bigInt(b)
	}
	return e.any(x)
}

func (e *encoder) rawArray(v RawValue) error {
	if err := e.enter(v.Len()); err != nil {
		return err
	}
	e.string("<array><data>")
	k := 0
	for elem := range v.Elems() {
		e.string("<value>")
		if err := e.raw(elem); err != nil {
			return inIndex(err, k)
		}
		e.string("</value>")
		k++
	}
	e.string("</data></array>")
	e.depth++
	return nil
}

func (e *encoder) rawStruct(v RawValue) error {
	if err := e.enter(v.Len()); err != nil {
		return err
	}
	e.string("<struct>")
	for name, member := range v.Members() {
		if err := e.beginMember(name); err != nil {
			return err
		}
		if err := e.raw(member); err != nil {
			return inMember(err, name)
		}
		e.string("</value></member>")
	}
	e.string("</struct>")
	e.depth++
	return nil
}
