package rmi

import (
	"context"
	"errors"
	"io"
	"reflect"
	"sync"
	"sync/atomic"
)

// localSource is a sequence or a channel of this process, as items.
type localSource struct {
	form  *streamForm
	seq   reflect.Value
	space *Space
	life  *methodLife // of the method whose result it is; nil for an argument

	// ctx ends when nobody wants more.
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  sync.Once

	// What follows is for next, which has each run on a goroutine of its own,
	// so that it can stop waiting for a sequence that takes its time.
	begun, taken bool
	items        chan []byte
	more, over   chan struct{}
	err          error // why each ended; set before over is closed
}

var _ pushedSource = (*localSource)(nil)

// newLocalSource returns seq, of the type that form is for, as a source.
func newLocalSource(form *streamForm, seq reflect.Value, space *Space, life *methodLife) *localSource {
	s := &localSource{form: form, seq: seq, space: space, life: life}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	life.opened()
	return s
}

// stop implements itemSource. A sequence that is just waiting learns of it by
// the context of its method, or when it yields next.
func (s *localSource) stop(cause error) {
	s.cancel(cause)
	s.end(cause)
}

// end tells the life of the method, once, that the sequence has ended.
func (s *localSource) end(cause error) { s.ended.Do(func() { s.life.ended(cause) }) }

// each implements pushedSource.
func (s *localSource) each(yield func([]byte) bool) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.life.panicked(v)
		}
		if err == nil && s.ctx.Err() != nil {
			err = streamError(context.Cause(s.ctx))
		}
		if err == nil {
			s.end(context.Canceled)
		} else {
			s.end(err)
		}
	}()
	if s.form.style == styleChannel {
		return s.eachReceived(yield)
	}
	return s.eachYielded(yield)
}

// eachYielded is each for the functions of package iter.
func (s *localSource) eachYielded(yield func([]byte) bool) (err error) {
	var buf []byte
	var over atomic.Bool
	more, enough := []reflect.Value{reflect.ValueOf(true)}, []reflect.Value{reflect.ValueOf(false)}
	step := func(in []reflect.Value) []reflect.Value {
		if over.Load() || s.ctx.Err() != nil {
			return enough
		}
		var failed error
		if s.form.style == styleFallible {
			if failed, _ = in[1].Interface().(error); failed != nil {
				err = s.life.failure(failed)
				over.Store(true)
				return enough
			}
		}
		if buf, failed = s.form.appendItem(buf[:0], in, s.space); failed != nil {
			err = badItem(failed)
			over.Store(true)
			return enough
		}
		if !yield(buf) {
			over.Store(true)
			return enough
		}
		return more
	}
	defer over.Store(true)
	s.seq.Call([]reflect.Value{reflect.MakeFunc(s.form.t.In(0), step)})
	return err
}

// eachReceived is each for a channel.
func (s *localSource) eachReceived(yield func([]byte) bool) error {
	var buf []byte
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: s.seq},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(s.ctx.Done())},
	}
	for s.ctx.Err() == nil {
		v, ok := s.seq.TryRecv()
		if !ok && !v.IsValid() { // nothing is there yet
			var chosen int
			if chosen, v, ok = reflect.Select(cases); chosen != 0 {
				return nil
			}
		}
		if !ok {
			return nil
		}
		var err error
		if buf, err = s.form.elem.append(buf[:0], v, &valueContext{space: s.space}); err != nil {
			return badItem(err)
		}
		if !yield(buf) {
			return nil
		}
	}
	return nil
}

// badItem is why a sequence breaks off with an item that cannot travel.
func badItem(err error) *Error {
	return &Error{Code: Internal, Message: "an item of the stream cannot be sent: " + err.Error(), cause: err}
}

// appendItem appends the item that a sequence yielded as in.
func (f *streamForm) appendItem(dst []byte, in []reflect.Value, space *Space) ([]byte, error) {
	vc := valueContext{space: space}
	if f.style != stylePairs {
		return f.elem.append(dst, in[0], &vc)
	}
	dst, err := f.key.append(appendHead(dst, cborList, 2), in[0], &vc)
	if err != nil {
		return nil, err
	}
	return f.elem.append(dst, in[1], &vc)
}

// next implements itemSource.
func (s *localSource) next(ctx context.Context) ([]byte, error) {
	if !s.begun {
		if s.ctx.Err() != nil {
			return nil, streamError(context.Cause(s.ctx))
		}
		s.begun = true
		s.items, s.more, s.over = make(chan []byte), make(chan struct{}, 1), make(chan struct{})
		go s.feed()
	} else if s.taken {
		s.taken = false
		s.more <- struct{}{}
	}
	select {
	case item := <-s.items:
		s.taken = true
		return item, nil
	case <-s.over:
		return nil, s.err
	case <-ctx.Done():
		return nil, waitError(ctx)
	case <-s.ctx.Done():
	}
	select {
	case <-s.over: // it ended by itself at the same moment
		return nil, s.err
	default:
		return nil, streamError(context.Cause(s.ctx))
	}
}

// feed gives the items to next, one for each time that it is called.
func (s *localSource) feed() {
	err := errors.New("the sequence ended its goroutine")
	defer func() {
		s.err = err
		close(s.over)
	}()
	err = s.each(func(item []byte) bool {
		select {
		case s.items <- item:
		case <-s.ctx.Done():
			return false
		}
		select {
		case <-s.more:
			return true
		case <-s.ctx.Done():
			return false
		}
	})
	if err == nil {
		err = io.EOF
	}
}

// listSource is a list that is taken for a sequence: each element is an item.
type listSource struct {
	mu   sync.Mutex
	rest []byte // guarded by mu
	err  error  // guarded by mu
}

// next implements itemSource.
func (s *listSource) next(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && len(s.rest) == 0 {
		s.err = io.EOF
	}
	if s.err != nil {
		return nil, s.err
	}
	n, err := itemLen(s.rest)
	if err != nil {
		s.err = badItem(err)
		return nil, s.err
	}
	item := s.rest[:n]
	s.rest = s.rest[n:]
	return item, nil
}

// stop implements itemSource.
func (s *listSource) stop(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = streamError(cause)
	}
	s.rest = nil
}
