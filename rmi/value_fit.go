package rmi

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// fitter rewrites an encoded value so that the decoder takes it as the type
// that is wanted: numbers change between integer and float where that loses
// nothing. On the way it finds what does not fit, and where. It is used only
// where the library alone would fail, or would let too much pass.
type fitter struct {
	out bytes.Buffer
	// size is that of the whole, and left the memory that it may still take;
	// see memoryFor.
	size, left int
}

// newFitter returns a fitter for a value of size bytes.
func newFitter(size int) *fitter { return &fitter{size: size, left: memoryFor(size)} }

// take reserves the memory for n elements of shape s.
func (f *fitter) take(n uint64, s *shape) error {
	if size := s.sizeOf(); size > 0 && n > uint64(f.left/size) {
		return overBudget(f.size)
	}
	f.left -= int(n) * s.sizeOf()
	return nil
}

// fit appends the first item of data, as n wants it, to f.out and returns what
// is left of data. The item is well-formed.
func (f *fitter) fit(data []byte, n *shape, depth int) ([]byte, error) {
	if depth > 2*MaxDepth {
		return nil, &ValueError{Reason: fmt.Sprintf("nested deeper than %d", MaxDepth)}
	}
	for n.kind == kindPointer {
		n = n.elem
	}
	h, err := readHead(data)
	if err != nil {
		return nil, err
	}
	for h.major == cborTag && h.arg > tagBigNegInt && h.arg != tagReference { // a tag that means nothing here
		data = data[h.size:]
		if h, err = readHead(data); err != nil {
			return nil, err
		}
	}
	size, err := itemLen(data)
	if err != nil {
		return nil, err
	}
	item, rest := data[:size], data[size:]
	if n.opaque || n.kind == KindAny || h.isNull() && (n.nullable || depth > 0) {
		if n.kind == KindAny {
			if f.left -= footprint(item, anySize); f.left < 0 {
				return nil, overBudget(f.size)
			}
		}
		f.out.Write(item)
		return rest, nil
	}
	var ok bool
	switch n.kind {
	case KindList, KindMap, KindStruct:
		return rest, f.container(item, h, n, depth)
	case KindBytes:
		return rest, f.bytes(item, h, n)
	case KindString:
		text, _, err := h.body(item)
		if ok = h.major == cborText && err == nil; ok && !utf8.Valid(text) {
			return nil, &ValueError{Reason: "a string is not valid UTF-8; send bytes"}
		}
	case KindBool:
		ok = h.major == cborSimple && (h.info == infoTrue || h.info == infoFalse)
	case KindInt, KindDuration:
		return rest, f.integer(item, h, n)
	case KindFloat:
		return rest, f.float(item, h, n)
	}
	if !ok {
		return nil, misfit(n, item)
	}
	f.out.Write(item)
	return rest, nil
}

// misfit says that item is not what n wants.
func misfit(n *shape, item []byte) *ValueError {
	return &ValueError{Want: n.want(), Got: describeItem(item)}
}

// integer writes item as an integer that n can hold.
func (f *fitter) integer(item []byte, h itemHead, n *shape) error {
	i, ok := bigOf(item)
	if !ok && h.isFloat() {
		v := h.float()
		if math.Trunc(v) != v || math.IsInf(v, 0) || math.Abs(v) > 1<<63 {
			e := misfit(n, item)
			if math.Trunc(v) != v && !math.IsNaN(v) {
				e.Reason = "it has a fraction"
			}
			return e
		}
		i, _ = big.NewFloat(v).Int(nil)
		ok = true
	}
	if !ok {
		return misfit(n, item)
	}
	lo, hi := n.intRange()
	if i.Cmp(lo) < 0 || i.Cmp(hi) > 0 {
		e := misfit(n, item)
		e.Reason = fmt.Sprintf("%v holds %v to %v", n.t, lo, hi)
		return e
	}
	var dst []byte
	if i.Sign() < 0 {
		dst = appendHead(nil, cborNegInt, new(big.Int).Not(i).Uint64())
	} else {
		dst = appendHead(nil, cborUint, i.Uint64())
	}
	f.out.Write(dst)
	return nil
}

// intRange returns the least and the largest integer that n holds.
func (n *shape) intRange() (lo, hi *big.Int) {
	one := big.NewInt(1)
	if n.unsigned {
		hi = new(big.Int).Lsh(one, uint(n.bits))
		return new(big.Int), hi.Sub(hi, one)
	}
	hi = new(big.Int).Lsh(one, uint(n.bits-1))
	lo = new(big.Int).Neg(hi)
	return lo, hi.Sub(hi, one)
}

// float writes item as a float, if that holds it exactly.
func (f *fitter) float(item []byte, h itemHead, n *shape) error {
	if h.isFloat() {
		if v := h.float(); n.bits == 32 && !math.IsInf(v, 0) && math.Abs(v) > math.MaxFloat32 {
			e := misfit(n, item)
			e.Reason = "too large for a float32"
			return e
		}
		f.out.Write(item)
		return nil
	}
	i, ok := bigOf(item)
	if !ok {
		return misfit(n, item)
	}
	v, _ := new(big.Float).SetInt(i).Float64()
	if back, _ := big.NewFloat(v).Int(nil); math.IsInf(v, 0) || back.Cmp(i) != 0 {
		e := misfit(n, item)
		e.Reason = "no float holds it exactly"
		return e
	}
	f.out.Write(appendFloat(nil, v))
	return nil
}

// bytes writes item as bytes of n's length.
func (f *fitter) bytes(item []byte, h itemHead, n *shape) error {
	if h.major != cborBytes && h.major != cborList {
		return misfit(n, item)
	}
	if n.length >= 0 && h.arg != uint64(n.length) {
		e := misfit(n, item)
		e.Reason = fmt.Sprintf("%v has %d", n.t, n.length)
		return e
	}
	if h.major == cborBytes {
		f.out.Write(item)
		return nil
	}
	f.out.Write(item[:h.size])
	digit := &shape{t: n.t.Elem(), kind: KindInt, bits: 8, unsigned: true, length: -1}
	return f.elements(item[h.size:], h.arg, digit, 1)
}

// elements writes count items, each as n wants it.
func (f *fitter) elements(data []byte, count uint64, n *shape, depth int) error {
	for i := range count {
		var err error
		if data, err = f.fit(data, n, depth); err != nil {
			return within(err, "["+strconv.FormatUint(i, 10)+"]")
		}
	}
	return nil
}

// container writes a list, map or struct.
func (f *fitter) container(item []byte, h itemHead, n *shape, depth int) error {
	data := item[h.size:]
	switch {
	case h.major == cborList && n.kind == KindList:
		if n.length >= 0 && h.arg != uint64(n.length) {
			e := misfit(n, item)
			e.Reason = fmt.Sprintf("%v has %d", n.t, n.length)
			return e
		}
		if err := f.take(h.arg, n.elem); err != nil {
			return err
		}
		f.out.Write(item[:h.size])
		return f.elements(data, h.arg, n.elem, depth+1)
	case h.major == cborList && n.positional:
		if h.arg != uint64(len(n.fields)) {
			e := misfit(n, item)
			e.Reason = fmt.Sprintf("%v has %s", n.t, plural(len(n.fields), "field"))
			return e
		}
		f.out.Write(item[:h.size])
		for _, field := range n.fields {
			var err error
			if data, err = f.fit(data, field.shape, depth+1); err != nil {
				return within(err, field.name)
			}
		}
		return nil
	case h.major != cborMap || n.positional || n.kind == KindList:
		return misfit(n, item)
	}
	if n.kind == KindMap {
		if err := f.take(h.arg, n.elem); err != nil {
			return err
		}
	}
	f.out.Write(item[:h.size])
	for range h.arg {
		key, elem := n.key, n.elem
		var name string
		if n.kind == KindStruct {
			key, elem, name = n.field(data)
		} else {
			name = "[" + shortItem(data) + "]"
		}
		var err error
		if data, err = f.fit(data, key, depth+1); err != nil {
			return within(err, "key "+name)
		}
		if data, err = f.fit(data, elem, depth+1); err != nil {
			return within(err, name)
		}
	}
	return nil
}

// anyShape is the shape of what nothing is expected of. It is never changed.
var anyShape = &shape{kind: KindAny, nullable: true, length: -1}

// field returns the shapes of the key at the start of data and of its value,
// and its name, for a struct that travels as a map. A key that names no field
// gets shapes that take anything.
func (n *shape) field(data []byte) (key, value *shape, name string) {
	h, err := readHead(data)
	if err != nil {
		return anyShape, anyShape, ""
	}
	switch h.major {
	case cborText:
		text, _, err := h.body(data)
		if err != nil {
			return anyShape, anyShape, ""
		}
		name = string(text)
	case cborUint, cborNegInt:
		i, _ := bigOf(data)
		name = i.String()
	default:
		return anyShape, anyShape, ""
	}
	var alike *shape
	for _, f := range n.fields {
		if f.number != (h.major != cborText) {
			continue
		}
		if f.name == name {
			return anyShape, f.shape, name
		}
		if alike == nil && strings.EqualFold(f.name, name) {
			alike = f.shape
		}
	}
	if alike != nil {
		return anyShape, alike, name
	}
	return anyShape, anyShape, name
}

// shortItem writes a map's key as part of a path.
func shortItem(data []byte) string {
	h, err := readHead(data)
	if err != nil {
		return "?"
	}
	if h.major == cborText {
		if text, _, err := h.body(data); err == nil && utf8.Valid(text) {
			return strconv.Quote(clip(string(text), 32))
		}
	}
	if i, ok := bigOf(data); ok {
		return clip(i.String(), 32)
	}
	return describeItem(data)
}

// within puts step before the path of err.
func within(err error, step string) error {
	e, ok := err.(*ValueError)
	if !ok || e.whole {
		return err
	}
	switch {
	case e.Path == "":
		e.Path = step
	case e.Path[0] == '[':
		e.Path = step + e.Path
	default:
		e.Path = step + "." + e.Path
	}
	return e
}
