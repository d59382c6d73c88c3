package rmi

import (
	"fmt"
	"reflect"
)

// streamStyle says how a program has a sequence.
type streamStyle uint8

const (
	// styleSeq is an iter.Seq[T], stylePairs an iter.Seq2[K, V].
	styleSeq streamStyle = 1 + iota
	stylePairs
	// styleFallible is an iter.Seq2[T, error]: an error that it yields ends it.
	styleFallible
	// styleChannel is a <-chan T.
	styleChannel
	// styleStream is a *Stream[T].
	styleStream
)

// streamForm is the type of a parameter or result that is a sequence.
type streamForm struct {
	t     reflect.Type
	style streamStyle
	// elem is the shape of an item; of a pair, that of its second half, and key
	// that of its first.
	elem, key *rootShape
}

// tellsFailure reports whether who reads a sequence of this form learns that it
// broke off.
func (f *streamForm) tellsFailure() bool {
	return f.style == styleFallible || f.style == styleStream
}

// streamHandle is a *Stream of whatever type of item.
type streamHandle interface {
	// itemType is the type of the items.
	itemType() reflect.Type
	// receive makes the stream, which is new, that of r.
	receive(r *receiver)
	// passOn takes the sequence out of the stream, so that it can travel on.
	passOn() (itemSource, error)
}

var (
	boolType   = reflect.TypeFor[bool]()
	handleType = reflect.TypeFor[streamHandle]()
)

// streamStyleOf returns how t is a sequence, with the types of its items, or
// false when it is none.
func streamStyleOf(t reflect.Type) (style streamStyle, elem, key reflect.Type, ok bool) {
	switch t.Kind() {
	case reflect.Chan:
		if t.ChanDir() == reflect.RecvDir {
			return styleChannel, t.Elem(), nil, true
		}
	case reflect.Pointer:
		if t.Implements(handleType) {
			return styleStream, reflect.New(t.Elem()).Interface().(streamHandle).itemType(), nil, true
		}
	case reflect.Func:
		if t.NumIn() != 1 || t.NumOut() != 0 || t.IsVariadic() {
			return 0, nil, nil, false
		}
		y := t.In(0)
		if y.Kind() != reflect.Func || y.NumOut() != 1 || y.Out(0) != boolType || y.IsVariadic() {
			return 0, nil, nil, false
		}
		switch {
		case y.NumIn() == 1:
			return styleSeq, y.In(0), nil, true
		case y.NumIn() == 2 && y.In(1) == errorType:
			return styleFallible, y.In(0), nil, true
		case y.NumIn() == 2:
			return stylePairs, y.In(1), y.In(0), true
		}
	}
	return 0, nil, nil, false
}

// streamShape returns the shape of t as a whole parameter or result, when t is a
// sequence; nil when it is not.
func streamShape(t reflect.Type, dir direction) (*rootShape, error) {
	style, elem, key, ok := streamStyleOf(t)
	if !ok {
		return nil, nil
	}
	f := &streamForm{t: t, style: style}
	n := &shape{t: t, kind: KindStream, length: -1}
	var err error
	if f.elem, err = itemShape(t, elem, dir); err != nil {
		return nil, err
	}
	n.elem = f.elem.shape
	if key != nil {
		if f.key, err = itemShape(t, key, dir); err != nil {
			return nil, err
		}
		n.key = f.key.shape
	}
	return &rootShape{shape: n, stream: f}, nil
}

// itemShape returns the shape of an item of the sequence seq.
func itemShape(seq, t reflect.Type, dir direction) (*rootShape, error) {
	if _, _, _, ok := streamStyleOf(t); ok {
		return nil, fmt.Errorf("%v is a sequence of sequences, which cannot travel", seq)
	}
	s, err := shapeOf(t, dir)
	if err != nil {
		return nil, fmt.Errorf("an item of %v: %w", seq, err)
	}
	return s, nil
}

// nestedStream says that t, which is a part of a value, is a sequence.
func nestedStream(t reflect.Type) error {
	if _, _, _, ok := streamStyleOf(t); !ok {
		return nil
	}
	return fmt.Errorf("%v is a sequence, and one can only be a whole parameter or result", t)
}

// readable returns why the caller of a method cannot have its result in this
// form, or nil.
func (r *rootShape) readable() error {
	if r.stream == nil || r.stream.tellsFailure() {
		return nil
	}
	elem := goName(r.stream.elem.t)
	if r.stream.key != nil {
		elem = fmt.Sprintf("rmi.Pair[%s,%s]", goName(r.stream.key.t), elem)
	}
	return fmt.Errorf("%v could not say that the stream broke off; use iter.Seq2[%s, error] or *rmi.Stream[%s]", r.stream.t, elem, elem)
}
