package rmi

import (
	"fmt"
	"math"
	"math/big"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// decodeAny decodes the first item of data into *into, as the types that
// [DecodeValue] documents, and returns what is left of data.
func decodeAny(data []byte, into *any, vc *valueContext) ([]byte, error) {
	*into = nil
	h, err := readHead(data)
	if err != nil {
		return nil, err
	}
	switch {
	case h.major == cborText:
		s, rest, err := readText(data, h)
		if err != nil {
			return nil, err
		}
		*into = s
		return rest, nil
	case h.major == cborUint && h.arg <= math.MaxInt64:
		*into = int64(h.arg)
		return data[h.size:], nil
	case h.major == cborUint:
		*into = h.arg
		return data[h.size:], nil
	case h.isFloat():
		*into = h.float()
		return data[h.size:], nil
	case h.major == cborSimple && (h.info == infoTrue || h.info == infoFalse):
		*into = h.info == infoTrue
		return data[h.size:], nil
	case h.isNull():
		return data[h.size:], nil
	case h.major == cborTag && h.arg == tagStream:
		return decodeAnyStream(data, into, vc)
	}
	if len(data) > lightestSuspect {
		n, err := itemLen(data)
		switch {
		case err != nil:
			return nil, err
		case n > lightestSuspect && footprint(data[:n], anySize) > memoryFor(n):
			return nil, overBudget(n)
		}
	}
	var v any
	rest, err := modes().dec.UnmarshalFirst(data, &v)
	if err != nil {
		v = nil
		if rest, err = modes().decAny.UnmarshalFirst(data, &v); err != nil {
			return nil, undecodable(data, "", err)
		}
	}
	v, err = natural(v, vc)
	if err != nil {
		return nil, err
	}
	*into = v
	return rest, nil
}

// natural makes of what the library decoded into an any the types that
// [DecodeValue] documents. Lists and maps are changed in place where they can
// be.
func natural(v any, vc *valueContext) (any, error) {
	var err error
	switch v := v.(type) {
	case *big.Int:
		return naturalInt(v), nil
	case big.Int:
		return naturalInt(&v), nil
	case []any:
		for i := range v {
			if v[i], err = natural(v[i], vc); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k, e := range v {
			switch e.(type) {
			case *big.Int, big.Int, []any, map[string]any, map[any]any, arrivedRef:
				if v[k], err = natural(e, vc); err != nil {
					return nil, err
				}
			}
		}
	case map[any]any:
		return naturalMap(v, vc)
	case arrivedRef:
		return v.natural(vc)
	}
	return v, nil
}

// naturalInt returns n as the first of int64, uint64 and *big.Int that holds it.
func naturalInt(n *big.Int) any {
	switch {
	case n.IsInt64():
		return n.Int64()
	case n.IsUint64():
		return n.Uint64()
	}
	return n
}

// ByteKey is a map's key that is bytes, where the map was decoded into an any:
// Go does not have slices as keys. It travels as bytes.
type ByteKey string

var (
	_ cbor.Marshaler   = ByteKey("")
	_ cbor.Unmarshaler = (*ByteKey)(nil)
)

// MarshalCBOR writes k as bytes.
func (k ByteKey) MarshalCBOR() ([]byte, error) { return appendBytesItem(nil, []byte(k)), nil }

// UnmarshalCBOR reads bytes.
func (k *ByteKey) UnmarshalCBOR(data []byte) error {
	h, err := readHead(data)
	if err != nil {
		return err
	}
	body, _, err := h.body(data)
	if err != nil || h.major != cborBytes {
		return &ValueError{Want: "bytes", Got: describeItem(data)}
	}
	*k = ByteKey(body)
	return nil
}

// naturalKey is natural for the key of a map.
func naturalKey(k any) (any, error) {
	switch key := k.(type) {
	case cbor.ByteString:
		return ByteKey(key), nil
	case *big.Int:
		if n := naturalInt(key); n != any(key) {
			return n, nil
		}
		return nil, &ValueError{Reason: fmt.Sprintf("a map has the key %v, which is too large for any; name the map's type", key)}
	}
	return k, nil
}

// naturalMap is natural for a map whose keys may be anything.
func naturalMap(m map[any]any, vc *valueContext) (any, error) {
	named := make(map[string]any, len(m))
	keyed := make(map[any]any, len(m))
	for k, e := range m {
		k, err := naturalKey(k)
		if err != nil {
			return nil, err
		}
		if _, twice := keyed[k]; twice {
			return nil, &ValueError{Reason: fmt.Sprintf("a map has the key %v twice", k)}
		}
		if e, err = natural(e, vc); err != nil {
			return nil, err
		}
		keyed[k] = e
		if s, ok := k.(string); ok {
			named[s] = e
		}
	}
	if len(named) == len(keyed) {
		return named, nil
	}
	return keyed, nil
}

// naturalize is natural for whatever v, which the library decoded and whose
// shape is n, holds in its anys.
func naturalize(v reflect.Value, n *shape, vc *valueContext) error {
	if !n.anyInside || n.opaque && n.kind != KindReference {
		return nil
	}
	switch n.kind {
	case KindReference:
		return settle(v, vc)
	case KindAny:
		if v.IsNil() {
			return nil
		}
		x, err := natural(v.Interface(), vc)
		if err == nil {
			v.Set(reflect.ValueOf(&x).Elem())
		}
		return err
	case kindPointer:
		if v.IsNil() {
			return nil
		}
		return naturalize(v.Elem(), n.elem, vc)
	case KindList:
		for i := range v.Len() {
			if err := naturalize(v.Index(i), n.elem, vc); err != nil {
				return err
			}
		}
	case KindMap:
		return naturalizeMap(v, n, vc)
	case KindStruct:
		for _, f := range n.fields {
			if !f.shape.anyInside {
				continue
			}
			field, err := v.FieldByIndexErr(f.index)
			if err != nil {
				continue // in an embedded pointer that is nil
			}
			if err := naturalize(field, f.shape, vc); err != nil {
				return err
			}
		}
	}
	return nil
}

// naturalizeMap is naturalize for a map, whose elements cannot be changed
// where they are.
func naturalizeMap(v reflect.Value, n *shape, vc *valueContext) error {
	if v.IsNil() {
		return nil
	}
	t := v.Type()
	out := reflect.MakeMapWithSize(t, v.Len())
	for it := v.MapRange(); it.Next(); {
		key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		key.Set(it.Key())
		elem.Set(it.Value())
		if err := naturalize(elem, n.elem, vc); err != nil {
			return err
		}
		if k, ok := key.Addr().Interface().(*any); ok {
			var err error
			if *k, err = naturalKey(*k); err != nil {
				return err
			}
		}
		out.SetMapIndex(key, elem)
	}
	v.Set(out)
	return nil
}

// unmarshalsItself reports whether t's own method reads it.
func unmarshalsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(valueUnmarshal) || p.Implements(textUnmarshal)
}
