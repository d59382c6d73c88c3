package rmi

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"
)

// decode decodes the first item of data into v, which ptr points to, and
// returns what is left of data. v is its type's zero value before, and may be
// anything after an error.
func (r *rootShape) decode(data []byte, v reflect.Value, ptr any, vc *valueContext) ([]byte, error) {
	if r.direct {
		return r.decodeScalar(data, v)
	}
	if r.stream != nil {
		return r.decodeStream(data, v, vc)
	}
	if p, ok := ptr.(*any); ok {
		return decodeAny(data, p, vc)
	}
	h, err := readHead(data)
	if err != nil {
		return nil, err
	}
	if r.as != 0 || h.major == cborTag && h.arg == tagReference && r.kind == kindPointer {
		return r.decodeReference(data, h, v, vc)
	}
	if h.isNull() && !r.nullable && r.kind != KindTime && !r.opaque {
		return nil, misfit(r.shape, data)
	}
	if r.exact || r.floats || len(data) > lightestSuspect {
		n, err := itemLen(data)
		switch {
		case err != nil:
			return nil, err
		case r.exact || r.floats && wideInt(data[:n]) || n > lightestSuspect && footprint(data[:n], r.largest) > memoryFor(n):
			return r.decodeFitted(data, v, ptr, vc)
		}
	}
	rest, err := modes().dec.UnmarshalFirst(data, ptr)
	if err != nil {
		v.SetZero()
		return r.decodeFitted(data, v, ptr, vc)
	}
	return rest, naturalize(v, r.shape, vc)
}

// decodeFitted is decode for a value that the library refuses, or would take
// too lightly: it is first made to fit, or found wanting in words.
func (r *rootShape) decodeFitted(data []byte, v reflect.Value, ptr any, vc *valueContext) ([]byte, error) {
	n, err := itemLen(data)
	if err != nil {
		return nil, err
	}
	item, rest := data[:n], data[n:]
	// The library goes first here, on the nesting and the sizes alone: what
	// follows may then trust the structure.
	if err := modes().dec.Wellformed(item); err != nil {
		return nil, undecodable(item, "", err)
	}
	f := newFitter(len(item))
	if _, err := f.fit(item, r.shape, 0); err != nil {
		return nil, err
	}
	if err := modes().dec.Unmarshal(f.out.Bytes(), ptr); err != nil {
		v.SetZero()
		if !r.anyInside {
			return nil, undecodable(item, r.want(), err)
		}
		if err := modes().decAny.Unmarshal(f.out.Bytes(), ptr); err != nil {
			return nil, undecodable(item, r.want(), err)
		}
	}
	return rest, naturalize(v, r.shape, vc)
}

// undecodable makes a ValueError of the library's error on item.
func undecodable(item []byte, want string, err error) error {
	var ours *ValueError
	if errors.As(err, &ours) {
		return err
	}
	e := &ValueError{Reason: libraryReason(err)}
	if want != "" {
		e.Want, e.Got = want, describeItem(item)
	}
	return e
}

// libraryReason is the library's error without its name in front.
func libraryReason(err error) string { return clip(strings.TrimPrefix(err.Error(), "cbor: "), 200) }

// decodeScalar is decode for the types that need no library.
func (r *rootShape) decodeScalar(data []byte, v reflect.Value) ([]byte, error) {
	h, err := readHead(data)
	if err != nil {
		return nil, err
	}
	switch {
	case h.major == cborText && r.kind == KindString:
		s, rest, err := readText(data, h)
		if err != nil {
			return nil, err
		}
		v.SetString(s)
		return rest, nil
	case h.major == cborBytes && r.kind == KindBytes:
		body, rest, err := h.body(data)
		if err != nil {
			return nil, err
		}
		v.SetBytes(cloneBytes(body))
		return rest, nil
	case h.isNull() && r.kind == KindBytes:
		v.SetZero()
		return data[h.size:], nil
	case h.major == cborSimple && (h.info == infoTrue || h.info == infoFalse) && r.kind == KindBool:
		v.SetBool(h.info == infoTrue)
		return data[h.size:], nil
	case (h.major == cborUint || h.major == cborNegInt) && (r.kind == KindInt || r.kind == KindDuration):
		if r.setInt(h, v) {
			return data[h.size:], nil
		}
	case h.isFloat() && r.kind == KindFloat:
		if f := h.float(); !v.OverflowFloat(f) {
			v.SetFloat(f)
			return data[h.size:], nil
		}
	}
	return r.convertScalar(data, v)
}

// setInt sets v to the integer h, if it fits.
func (n *shape) setInt(h itemHead, v reflect.Value) bool {
	if n.unsigned {
		if h.major == cborNegInt || v.OverflowUint(h.arg) {
			return false
		}
		v.SetUint(h.arg)
		return true
	}
	i := int64(h.arg)
	if h.arg > math.MaxInt64 {
		return false
	}
	if h.major == cborNegInt {
		i = ^i
	}
	if v.OverflowInt(i) {
		return false
	}
	v.SetInt(i)
	return true
}

// convertScalar decodes a scalar that came as another type of number, or says
// why it does not fit.
func (r *rootShape) convertScalar(data []byte, v reflect.Value) ([]byte, error) {
	n, err := itemLen(data)
	if err != nil {
		return nil, err
	}
	f := newFitter(n)
	if _, err := f.fit(data[:n], r.shape, 0); err != nil {
		return nil, err
	}
	fitted := f.out.Bytes()
	h, err := readHead(fitted)
	switch {
	case err != nil:
		return nil, err
	case r.kind == KindBytes && h.major == cborList:
		// The library makes bytes of a list of small integers.
		return data[n:], modes().dec.Unmarshal(fitted, v.Addr().Interface())
	case bytes.Equal(fitted, data[:n]):
		return nil, misfit(r.shape, fitted)
	}
	if _, err := r.decodeScalar(fitted, v); err != nil {
		return nil, err
	}
	return data[n:], nil
}

// readText returns a copy of the text whose head h is at the start of data.
func readText(data []byte, h itemHead) (s string, rest []byte, err error) {
	text, rest, err := h.body(data)
	switch {
	case err != nil:
		return "", nil, err
	case !utf8.Valid(text):
		return "", nil, &ValueError{Reason: "a string is not valid UTF-8; send bytes"}
	}
	return string(text), rest, nil
}
