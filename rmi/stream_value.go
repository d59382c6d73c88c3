package rmi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"reflect"
	"sync/atomic"
)

// tagStream is the CBOR tag of a number that stands for a sequence.
const tagStream = 1178685764

// appendStream appends v, a sequence of this form, to dst: what stands for it.
// A nil one is an empty list.
func (f *streamForm) appendStream(dst []byte, v reflect.Value, vc *valueContext) ([]byte, error) {
	switch {
	case vc == nil:
		return nil, &ValueError{Reason: fmt.Sprintf("%v is a sequence, and none can travel here", f.t)}
	case v.IsNil():
		return appendHead(dst, cborList, 0), nil
	case f.style == styleStream:
		source, err := v.Interface().(streamHandle).passOn()
		if err != nil {
			return nil, err
		}
		return vc.send(dst, vc.life.attach(source))
	}
	return vc.send(dst, newLocalSource(f, v, vc.space, vc.life))
}

// appendSequence appends v, an argument of any type, if it is a sequence, and
// reports whether it is.
func appendSequence(dst []byte, v any, vc *valueContext) (out []byte, is bool, err error) {
	t := reflect.TypeOf(v)
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Pointer:
	default:
		return nil, false, nil
	}
	rv := reflect.ValueOf(v)
	if t.Kind() == reflect.Chan && t.ChanDir() == reflect.BothDir {
		t = reflect.ChanOf(reflect.RecvDir, t.Elem())
		rv = rv.Convert(t)
	}
	if _, _, _, ok := streamStyleOf(t); !ok {
		return nil, false, nil
	}
	s, err := shapeOf(t, outward)
	if err != nil {
		return nil, true, &ValueError{Reason: err.Error()}
	}
	out, err = s.stream.appendStream(dst, rv, vc)
	return out, true, err
}

// decodeStream decodes the first item of data, which stands for a sequence or is
// a list, into v, and returns what is left of data.
func (r *rootShape) decodeStream(data []byte, v reflect.Value, vc *valueContext) ([]byte, error) {
	n, err := itemLen(data)
	if err != nil {
		return nil, err
	}
	source, err := sequenceIn(data[:n], vc)
	if err != nil {
		return nil, err
	}
	if source == nil {
		return nil, &ValueError{Want: r.want(), Got: describeItem(data)}
	}
	v.Set(r.stream.value(newReceiver(source, vc), vc))
	return data[n:], nil
}

// sequenceIn returns the sequence that item stands for; nil when it stands for
// none.
func sequenceIn(item []byte, vc *valueContext) (itemSource, error) {
	h, err := readHead(item)
	switch {
	case err != nil:
		return nil, err
	case h.major == cborTag && h.arg == tagStream:
		number, err := readHead(item[h.size:])
		if err != nil || number.major != cborUint {
			return nil, &ValueError{Reason: "malformed payload: a sequence has no number"}
		}
		return vc.claim(number.arg)
	case h.major == cborList:
		if err := modes().dec.Wellformed(item); err != nil {
			return nil, undecodable(item, "", err)
		}
		return &listSource{rest: bytes.Clone(item[h.size:])}, nil
	case h.isNull():
		return &listSource{}, nil
	}
	return nil, nil
}

// value returns what the program gets for the sequence that from receives.
func (f *streamForm) value(from *receiver, vc *valueContext) reflect.Value {
	var life *methodLife
	if vc != nil {
		life = vc.life
	}
	switch f.style {
	case styleStream:
		s := reflect.New(f.t.Elem())
		s.Interface().(streamHandle).receive(from)
		return s
	case styleChannel:
		return f.channel(from, life)
	}
	var used atomic.Bool
	return reflect.MakeFunc(f.t, func(in []reflect.Value) []reflect.Value {
		f.run(from, in[0], life, &used)
		return nil
	})
}

// run gives the items to yield, for one range loop.
func (f *streamForm) run(from *receiver, yield reflect.Value, life *methodLife, used *atomic.Bool) {
	defer from.close(errClosedHere)
	in := make([]reflect.Value, yield.Type().NumIn())
	if f.style == styleFallible {
		in[1] = reflect.Zero(errorType)
	}
	if used.Swap(true) {
		if f.style == styleFallible {
			in[0], in[1] = reflect.Zero(f.elem.t), reflect.ValueOf(error(errUsed()))
			yield.Call(in)
		}
		return
	}
	for {
		err := f.item(from, in)
		switch {
		case err == nil:
		case err == io.EOF:
			return
		case f.style == styleFallible:
			in[0], in[1] = reflect.Zero(f.elem.t), reflect.ValueOf(err)
			yield.Call(in)
			return
		default:
			life.broke(err)
			return
		}
		if !yield.Call(in)[0].Bool() {
			return
		}
	}
}

// errUsed is the error of a sequence that is ranged over once more.
func errUsed() *Error {
	return Errorf(FailedPrecondition, "the stream was read already: its items come only once")
}

// item receives the next item into in, as yield takes it.
func (f *streamForm) item(from *receiver, in []reflect.Value) error {
	data, err := from.next(context.Background())
	if err != nil {
		return err
	}
	vc := valueContext{space: from.space, from: from.from}
	decode := func(s *rootShape, data []byte) (reflect.Value, []byte, error) {
		p := reflect.New(s.t)
		rest, err := s.decode(data, p.Elem(), p.Interface(), &vc)
		return p.Elem(), rest, err
	}
	if f.style == stylePairs {
		h, herr := readHead(data)
		if herr != nil || h.major != cborList || h.arg != 2 {
			return from.misfit(&ValueError{Want: "a pair, as a list of two", Got: describeItem(data)})
		}
		if in[0], data, err = decode(f.key, data[h.size:]); err == nil {
			in[1], data, err = decode(f.elem, data)
		}
	} else {
		in[0], data, err = decode(f.elem, data)
	}
	if err == nil && len(data) > 0 {
		err = errTrailing
	}
	if err != nil {
		return from.misfit(err)
	}
	return nil
}

// channel returns a channel that brings the items, and is closed after the last.
// What feeds it ends with the life of the method.
func (f *streamForm) channel(from *receiver, life *methodLife) reflect.Value {
	ch := reflect.MakeChan(reflect.ChanOf(reflect.BothDir, f.elem.t), 0)
	ctx := life.context()
	go func() {
		defer ch.Close()
		defer from.close(errClosedHere)
		in := make([]reflect.Value, 1)
		for {
			if err := f.item(from, in); err != nil {
				if err != io.EOF {
					life.broke(err)
				}
				return
			}
			if chosen, _, _ := reflect.Select([]reflect.SelectCase{
				{Dir: reflect.SelectSend, Chan: ch, Send: in[0]},
				{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
			}); chosen != 0 {
				return
			}
		}
	}()
	return ch.Convert(f.t)
}

// decodeAnyStream is decodeAny for what stands for a sequence: a *Stream[any].
func decodeAnyStream(data []byte, into *any, vc *valueContext) ([]byte, error) {
	n, err := itemLen(data)
	if err != nil {
		return nil, err
	}
	source, err := sequenceIn(data[:n], vc)
	if err != nil {
		return nil, err
	}
	*into = &Stream[any]{from: newReceiver(source, vc)}
	return data[n:], nil
}

// decodeAnyResult is decodeAny for the whole of a result that brings sequences,
// of which a list of several results may have some.
func decodeAnyResult(data []byte, into *any, vc *valueContext) error {
	h, err := readHead(data)
	if err != nil {
		return err
	}
	rest := data
	if h.major != cborList || h.arg > uint64(len(data)) {
		rest, err = decodeAny(data, into, vc)
	} else {
		list := make([]any, h.arg)
		rest = data[h.size:]
		for i := range list {
			if rest, err = decodeAny(rest, &list[i], vc); err != nil {
				return within(err, fmt.Sprintf("[%d]", i))
			}
		}
		*into = list
	}
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	return err
}
