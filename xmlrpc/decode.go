package xmlrpc

import (
	"bytes"
	"encoding"
	"math"
	"reflect"
	"strconv"
)

// into reads the value at i into rv, which is settable and of the type of info.
func (d *document) into(i uint32, rv reflect.Value, info *typeInfo) error {
	kind := d.nodes[i].kind
	if info.ptrUnmarshaler {
		return d.byItself(i, rv)
	}
	switch info.op {
	case opPointer:
		if kind == KindNil {
			rv.SetZero()
			return nil
		}
		if rv.IsNil() {
			rv.Set(reflect.New(info.elem.t))
		}
		return d.into(i, rv.Elem(), info.elem)
	case opRaw:
		*rv.Addr().Interface().(*RawValue) = d.raw(i)
		return nil
	case opAny:
		return d.intoAny(i, rv)
	}
	if kind == KindNil {
		if info.op == opSlice || info.op == opBytes || info.op == opMap || info.op == opInterface {
			rv.SetZero()
		}
		return nil
	}
	if info.ptrTextUnmarshaler && info.op != opDecimal && kind == KindString {
		if err := rv.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(bytes.Clone(d.text(&d.nodes[i]))); err != nil {
			return &UnmarshalTypeError{Value: kind.String(), Type: info.t, Offset: d.place(i), Err: err}
		}
		return nil
	}
	switch info.op {
	case opSlice, opArray:
		if kind == KindArray {
			return d.intoList(i, rv, info)
		}
	case opStruct, opMap:
		if kind == KindStruct || kind == KindArray && d.nodes[i].end == 0 {
			if info.op == opMap {
				return d.intoMap(i, rv, info)
			}
			return d.intoStruct(i, rv, info)
		}
	default:
		return d.intoScalar(i, rv, info)
	}
	return d.mismatch(i, info)
}

// raw is the value at i to be kept.
func (d *document) raw(i uint32) RawValue {
	v := RawValue{doc: d, at: i}
	if d.borrowed {
		return v.Clone()
	}
	return v
}

// byItself lets an Unmarshaler read the value at i.
func (d *document) byItself(i uint32, rv reflect.Value) error {
	d.keep()
	err := rv.Addr().Interface().(Unmarshaler).UnmarshalXMLRPC(RawValue{doc: d, at: i})
	if err != nil {
		return &UnmarshalTypeError{Value: d.nodes[i].kind.String(), Type: rv.Type(), Offset: d.place(i), Err: err}
	}
	return nil
}

// keep says that somebody may keep the document. Only a borrowed one needs to
// know, and that is used by one goroutine.
func (d *document) keep() {
	if d.borrowed && !d.kept {
		d.kept = true
	}
}

// mismatch is the error of a value that does not fit a type.
func (d *document) mismatch(i uint32, info *typeInfo) error {
	return &UnmarshalTypeError{Value: d.nodes[i].kind.String(), Type: info.t, Offset: d.place(i)}
}

// overflow is the error of a number that a type has no room for.
func (d *document) overflow(i uint32, info *typeInfo) error {
	n := &d.nodes[i]
	return &UnmarshalTypeError{Value: n.kind.String() + " " + clip(trimBlanks(d.text(n))), Type: info.t, Offset: d.place(i)}
}

// intoAny reads the value at i into an interface without methods: into what a
// pointer in it points to, or else as a value of its own kind.
func (d *document) intoAny(i uint32, rv reflect.Value) error {
	if e := rv.Elem(); e.Kind() == reflect.Pointer && !e.IsNil() && d.nodes[i].kind != KindNil {
		return d.into(i, e.Elem(), typeInfoOf(e.Type().Elem()))
	}
	x, err := d.any(i)
	if err != nil {
		return err
	}
	if x == nil {
		rv.SetZero()
	} else {
		rv.Set(reflect.ValueOf(x))
	}
	return nil
}

// intoList reads an array into a slice or an array. What an array has no room for
// is dropped, and what it has too much of becomes zero, as encoding/json does it.
func (d *document) intoList(i uint32, rv reflect.Value, info *typeInfo) error {
	count := int(d.nodes[i].end)
	if info.op == opSlice {
		if rv.Cap() < count || rv.IsNil() {
			rv.Set(reflect.MakeSlice(info.t, count, count))
		} else {
			rv.SetLen(count)
			rv.Clear()
		}
		if done, err := d.intoFastSlice(i, rv); done {
			return err
		}
	} else {
		rv.SetZero()
	}
	at := i + 1
	for k := range min(count, rv.Len()) {
		if err := d.into(at, rv.Index(k), info.elem); err != nil {
			return inIndex(err, k)
		}
		at = d.after(at)
	}
	return nil
}

// intoFastSlice reads the elements of the common slices without reflection.
func (d *document) intoFastSlice(i uint32, rv reflect.Value) (done bool, err error) {
	at := i + 1
	switch p := rv.Addr().Interface().(type) {
	case *[]any:
		var names nameCache
		for k := range *p {
			if (*p)[k], err = d.anyOf(at, &names); err != nil {
				return true, inIndex(err, k)
			}
			at = d.after(at)
		}
	case *[]string:
		for k := range *p {
			n := &d.nodes[at]
			if n.kind != KindString {
				return false, nil
			}
			(*p)[k] = string(d.text(n))
			at++
		}
	case *[]int:
		for k := range *p {
			if d.nodes[at].kind != KindInt {
				return false, nil
			}
			v, err := d.integer(at)
			if err != nil {
				return true, inIndex(err, k)
			}
			(*p)[k] = int(v)
			at++
		}
	case *[]float64:
		for k := range *p {
			if d.nodes[at].kind != KindDouble {
				return false, nil
			}
			if (*p)[k], err = d.double(at); err != nil {
				return true, inIndex(err, k)
			}
			at++
		}
	default:
		return false, nil
	}
	return true, nil
}

// intoStruct reads a struct into a struct.
func (d *document) intoStruct(i uint32, rv reflect.Value, info *typeInfo) error {
	if d.nodes[i].kind == KindArray {
		return nil // empty
	}
	at := i + 1
	for k := range int(d.nodes[i].end) {
		f := info.fieldFor(d.text(&d.nodes[at]), k)
		if f != nil {
			if err := d.into(at+1, settable(rv, f.index), f.info); err != nil {
				return inMember(err, f.name)
			}
		}
		at = d.after(at + 1)
	}
	return nil
}

// fieldFor is the field for a member, or nil. guess is the field that it would be
// if the members were in the order of the fields.
func (info *typeInfo) fieldFor(name []byte, guess int) *field {
	if guess < len(info.fields) && info.fields[guess].name == string(name) {
		return &info.fields[guess]
	}
	if k, ok := info.byName[string(name)]; ok {
		return &info.fields[k]
	}
	if k, ok := info.byFold[string(bytes.ToLower(name))]; ok {
		return &info.fields[k]
	}
	return nil
}

// settable is the field of rv at index; embedded pointers on the way are allocated.
func settable(rv reflect.Value, index []int) reflect.Value {
	for k, x := range index {
		if k > 0 && rv.Kind() == reflect.Pointer {
			if rv.IsNil() {
				rv.Set(reflect.New(rv.Type().Elem()))
			}
			rv = rv.Elem()
		}
		rv = rv.Field(x)
	}
	return rv
}

// intoMap reads a struct into a map, beside what is there already.
func (d *document) intoMap(i uint32, rv reflect.Value, info *typeInfo) error {
	count := int(d.nodes[i].end)
	if rv.IsNil() {
		rv.Set(reflect.MakeMapWithSize(info.t, count))
	}
	if d.nodes[i].kind == KindArray {
		return nil // empty
	}
	at := i + 1
	if m, ok := rv.Interface().(map[string]any); ok {
		var names nameCache
		for range count {
			name := names.string(d.text(&d.nodes[at]))
			x, err := d.anyOf(at+1, &names)
			if err != nil {
				return inMember(err, name)
			}
			m[name] = x
			at = d.after(at + 1)
		}
		return nil
	}
	elem := reflect.New(info.elem.t).Elem()
	for range count {
		name := string(d.text(&d.nodes[at]))
		key, err := d.mapKey(at, name, info.key)
		if err != nil {
			return inMember(err, name)
		}
		elem.SetZero()
		if err := d.into(at+1, elem, info.elem); err != nil {
			return inMember(err, name)
		}
		rv.SetMapIndex(key, elem)
		at = d.after(at + 1)
	}
	return nil
}

// mapKey is the key for a member.
func (d *document) mapKey(at uint32, name string, info *typeInfo) (reflect.Value, error) {
	key := reflect.New(info.t).Elem()
	var err error
	switch {
	case info.ptrTextUnmarshaler:
		err = key.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(name))
	case info.op == opInt:
		var n int64
		n, err = strconv.ParseInt(name, 10, info.t.Bits())
		key.SetInt(n)
	case info.op == opUint:
		var n uint64
		n, err = strconv.ParseUint(name, 10, info.t.Bits())
		key.SetUint(n)
	case info.op == opString:
		key.SetString(name)
	default:
		return key, &UnmarshalTypeError{Value: "the name of a member", Type: info.t, Offset: int(d.nodes[at].more)}
	}
	if err != nil {
		return key, &UnmarshalTypeError{Value: "the name of a member", Type: info.t, Offset: int(d.nodes[at].more), Err: err}
	}
	return key, nil
}

// intoScalar reads what is neither an array nor a struct.
func (d *document) intoScalar(i uint32, rv reflect.Value, info *typeInfo) error {
	n := &d.nodes[i]
	switch info.op {
	case opBool:
		if n.kind == KindBoolean {
			v, err := d.boolean(i)
			rv.SetBool(v)
			return err
		}
	case opInt, opUint:
		return d.intoInteger(i, rv, info)
	case opFloat:
		return d.intoFloat(i, rv, info)
	case opString:
		if n.kind == KindString {
			rv.SetString(string(d.text(n)))
			return nil
		}
	case opBytes, opByteArray:
		return d.intoBytes(i, rv, info)
	case opTime:
		if n.kind == KindDateTime {
			t, err := d.dateTime(i)
			if err == nil {
				rv.Set(reflect.ValueOf(t))
			}
			return err
		}
	case opBigInt:
		if n.kind == KindInt || n.kind == KindI8 || n.kind == KindBigInteger {
			v, err := d.bigInteger(i)
			if err == nil {
				rv.Set(reflect.ValueOf(v).Elem())
			}
			return err
		}
	case opDecimal:
		switch n.kind {
		case KindInt, KindI8, KindBigInteger, KindDouble, KindBigDecimal:
			v, err := d.decimal(i)
			rv.SetString(string(v))
			return err
		}
	}
	return d.mismatch(i, info)
}

func (d *document) intoInteger(i uint32, rv reflect.Value, info *typeInfo) error {
	var v int64
	var err error
	switch d.nodes[i].kind {
	case KindInt, KindI8:
		v, err = d.integer(i)
	case KindBigInteger:
		big, bad := d.bigInteger(i)
		if bad != nil {
			return bad
		}
		if info.op == opUint && big.IsUint64() && !rv.OverflowUint(big.Uint64()) {
			rv.SetUint(big.Uint64())
			return nil
		}
		if !big.IsInt64() {
			return d.overflow(i, info)
		}
		v = big.Int64()
	default:
		return d.mismatch(i, info)
	}
	if err != nil {
		return err
	}
	if info.op == opUint {
		if v < 0 || rv.OverflowUint(uint64(v)) {
			return d.overflow(i, info)
		}
		rv.SetUint(uint64(v))
		return nil
	}
	if rv.OverflowInt(v) {
		return d.overflow(i, info)
	}
	rv.SetInt(v)
	return nil
}

func (d *document) intoFloat(i uint32, rv reflect.Value, info *typeInfo) error {
	var v float64
	var err error
	switch d.nodes[i].kind {
	case KindDouble:
		v, err = d.double(i)
	case KindInt, KindI8:
		var n int64
		n, err = d.integer(i)
		v = float64(n)
	case KindBigDecimal:
		if _, err = d.decimal(i); err == nil {
			v, _ = strconv.ParseFloat(string(trimBlanks(d.text(&d.nodes[i]))), 64)
		}
	default:
		return d.mismatch(i, info)
	}
	if err != nil {
		return err
	}
	if math.IsInf(v, 0) || rv.OverflowFloat(v) {
		return d.overflow(i, info)
	}
	rv.SetFloat(v)
	return nil
}

func (d *document) intoBytes(i uint32, rv reflect.Value, info *typeInfo) error {
	n := &d.nodes[i]
	var v []byte
	var err error
	switch n.kind {
	case KindBase64, KindSerializable:
		v, err = d.base64(i)
	case KindDOM:
		v = bytes.Clone(d.text(n))
	case KindArray:
		return d.intoList(i, rv, &typeInfo{t: info.t, op: listOf(info.op), elem: info.elem})
	default:
		return d.mismatch(i, info)
	}
	if err != nil {
		return err
	}
	if info.op == opBytes {
		rv.SetBytes(v)
		return nil
	}
	if len(v) != rv.Len() {
		return &UnmarshalTypeError{Value: "base64 of " + strconv.Itoa(len(v)) + " bytes", Type: info.t, Offset: d.place(i)}
	}
	copy(rv.Bytes(), v)
	return nil
}

// listOf is the operation of bytes that come as an array of integers.
func listOf(op typeOp) typeOp {
	if op == opBytes {
		return opSlice
	}
	return opArray
}

// inIndex puts the element k before the path of err.
func inIndex(err error, k int) error { return inside(err, "["+strconv.Itoa(k)+"]") }

// inMember puts the member before the path of err.
func inMember(err error, name string) error { return inside(err, clip([]byte(name))) }

// inside puts a step before the path of err, which belongs to this call alone.
func inside(err error, step string) error {
	var path *string
	switch e := err.(type) {
	case *UnmarshalTypeError:
		path = &e.Path
	case *SyntaxError:
		path = &e.Path
	case *UnsupportedValueError:
		path = &e.Path
	case *UnsupportedTypeError:
		path = &e.Path
	default:
		return err
	}
	switch {
	case len(*path) > maxPath:
	case *path == "" || (*path)[0] == '[':
		*path = step + *path
	default:
		*path = step + "." + *path
	}
	return err
}

// maxPath bounds the path of a value that is deep inside of others.
const maxPath = 512
