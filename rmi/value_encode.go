package rmi

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// appendValue appends v's encoding to dst. The usual scalars are written here,
// without the library and without an allocation. On an error dst is lost.
func appendValue(dst []byte, v any, vc *valueContext) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, cborSimple<<5|infoNull), nil
	case string:
		return appendTextItem(dst, v), nil
	case bool:
		return appendBool(dst, v), nil
	case int:
		return appendInt(dst, int64(v)), nil
	case int64:
		return appendInt(dst, v), nil
	case uint64:
		return appendHead(dst, cborUint, v), nil
	case float64:
		return appendFloat(dst, v), nil
	case []byte:
		if v == nil {
			return append(dst, cborSimple<<5|infoNull), nil
		}
		return appendBytesItem(dst, v), nil
	}
	if out, is, err := appendSequence(dst, v, vc); is {
		return out, err
	}
	if ref, err := vc.reference(v); err != nil {
		return nil, err
	} else if ref != nil {
		return ref.appendTo(dst)
	}
	if err := checkDepth(reflect.ValueOf(v), 0, 0); err != nil {
		return nil, err
	}
	return appendAny(dst, v)
}

// appendAny appends v's encoding to dst by the library, which does not notice
// a value that contains itself: the caller has ruled that out.
func appendAny(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	if err := modes().enc.MarshalToBuffer(v, buf); err != nil {
		return nil, &ValueError{Reason: fmt.Sprintf("%T cannot travel: %s", v, libraryReason(err))}
	}
	return buf.Bytes(), nil
}

func appendTextItem(dst []byte, v string) []byte {
	dst = slices.Grow(dst, maxHead+len(v))
	return append(appendHead(dst, cborText, uint64(len(v))), v...)
}

func appendBytesItem(dst, v []byte) []byte {
	if len(v) > LargePayload {
		return appendBytes(appendHead(dst, cborBytes, uint64(len(v))), v)
	}
	dst = slices.Grow(dst, maxHead+len(v))
	return append(appendHead(dst, cborBytes, uint64(len(v))), v...)
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, cborSimple<<5|infoTrue)
	}
	return append(dst, cborSimple<<5|infoFalse)
}

func appendInt(dst []byte, v int64) []byte {
	if v < 0 {
		return appendHead(dst, cborNegInt, uint64(^v))
	}
	return appendHead(dst, cborUint, uint64(v))
}

func appendFloat(dst []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, cborSimple<<5|infoDouble), math.Float64bits(v))
}

// maxHops bounds the pointers and interfaces between two nested containers, so
// that a pointer that leads to itself ends.
const maxHops = 1000

var (
	timeType       = reflect.TypeFor[time.Time]()
	durationType   = reflect.TypeFor[time.Duration]()
	bigIntType     = reflect.TypeFor[big.Int]()
	rawType        = reflect.TypeFor[cbor.RawMessage]()
	textMarshal    = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshal  = reflect.TypeFor[encoding.TextUnmarshaler]()
	valueMarshal   = reflect.TypeFor[cbor.Marshaler]()
	valueUnmarshal = reflect.TypeFor[cbor.Unmarshaler]()
)

// checkDepth returns an error when v is nested deeper than [MaxDepth], as a
// value that contains itself is: encoding one would end the process.
func checkDepth(v reflect.Value, depth, hops int) error {
	if depth > MaxDepth || hops > maxHops {
		return &ValueError{Reason: fmt.Sprintf("the value is nested deeper than %d, or contains itself", MaxDepth)}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return checkDepth(v.Elem(), depth, hops+1)
	case reflect.Slice, reflect.Array:
		if flat(v.Type().Elem()) {
			return nil
		}
		for i := range v.Len() {
			if err := checkDepth(v.Index(i), depth+1, 0); err != nil {
				return err
			}
		}
	case reflect.Map:
		if flat(v.Type().Elem()) && flat(v.Type().Key()) {
			return nil
		}
		for it := v.MapRange(); it.Next(); {
			if err := checkDepth(it.Key(), depth+1, 0); err != nil {
				return err
			}
			if err := checkDepth(it.Value(), depth+1, 0); err != nil {
				return err
			}
		}
	case reflect.Struct:
		t := v.Type()
		if t == timeType || t == bigIntType || marshalsItself(t) {
			return nil
		}
		for i := range v.NumField() {
			if f := t.Field(i); !f.IsExported() && !f.Anonymous || flat(f.Type) {
				continue
			}
			if err := checkDepth(v.Field(i), depth+1, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// flat reports whether a value of t contains nothing.
func flat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
	}
	return true
}

// marshalsItself reports whether t's own method writes it.
func marshalsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(valueMarshal) || p.Implements(textMarshal)
}
