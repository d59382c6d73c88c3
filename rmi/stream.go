package rmi

import (
	"context"
	"io"
	"iter"
	"reflect"
	"sync"
)

// Stream is a sequence of items that comes from another node, or from a method
// in this process: what [InvokeAs], [InvokeInto] and the stubs of [Bind] return
// for a method with an iter.Seq, an iter.Seq2 or a channel as its result, when
// they are asked for a *Stream[T], or for an iter.Seq2[T, error]. In an any it
// arrives as a *Stream[any].
//
// Items come as they are read, in order, and only once: a reader that takes its
// time makes the producer wait, after at most 32 items, and nobody else. A
// Stream is to be read to its end, or to be closed: that ends the context of the
// method that produces it. It also ends with the context of its call, and when
// nobody has it any more. Given as an argument or returned as a result it is
// passed on: the items go on undecoded, and the Stream itself is used up.
//
// A sequence of pairs has a Stream of [Pair]. One goroutine at a time may read;
// Close may be called by any. The nil Stream is empty.
type Stream[T any] struct {
	mu   sync.Mutex
	from *receiver // guarded by mu; nil for an empty stream
}

// Pair is an item of a sequence of pairs, of an iter.Seq2[K, V].
type Pair[K, V any] struct {
	_ struct{} `cbor:",toarray"`
	// Key is the first half.
	Key K
	// Value is the second half.
	Value V
}

// Recv returns the next item, and waits for it as long as ctx lasts. The error
// is io.EOF after the last item; ctx's, as an [*Error], when ctx ended, which
// does no harm to the stream; or an [*Error] that says why the stream broke off:
// that of the method; UNAVAILABLE when the peer was lost; CANCELED or
// DEADLINE_EXCEEDED when the context of the call ended, or the stream was
// closed; INVALID_ARGUMENT when an item is no T. What ended the stream is
// returned again and again.
func (s *Stream[T]) Recv(ctx context.Context) (T, error) {
	var item T
	from := s.receiver()
	if from == nil {
		return item, io.EOF
	}
	data, err := from.next(ctx)
	if err != nil {
		return item, err
	}
	shape, err := shapeOf(reflect.TypeFor[T](), inward)
	if err != nil {
		return item, from.misfit(err)
	}
	rest, err := shape.decode(data, reflect.ValueOf(&item).Elem(), &item, &valueContext{space: from.space, from: from.from})
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	if err != nil {
		var none T
		return none, from.misfit(err)
	}
	return item, nil
}

// All returns the items that have not been read, for one range loop. An error,
// as [Stream.Recv] has it, comes last, with no item. Leaving the loop closes the
// stream.
func (s *Stream[T]) All() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer s.Close()
		for {
			item, err := s.Recv(context.Background())
			if err == io.EOF || !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// Close says that no more items are wanted. It may be called twice, and after
// the end; it returns nil.
func (s *Stream[T]) Close() error {
	if from := s.receiver(); from != nil {
		from.close(errClosedHere)
	}
	return nil
}

// receiver returns where the items come from; nil for an empty stream.
func (s *Stream[T]) receiver() *receiver {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from
}

// itemType implements streamHandle.
func (*Stream[T]) itemType() reflect.Type { return reflect.TypeFor[T]() }

// receive implements streamHandle.
func (s *Stream[T]) receive(r *receiver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = r
}

// passOn implements streamHandle.
func (s *Stream[T]) passOn() (itemSource, error) {
	from := s.receiver()
	switch {
	case from == nil:
		return &listSource{}, nil
	case from.err != nil:
		return nil, &ValueError{Reason: "the stream cannot be passed on: it was read to its end, or passed on already"}
	}
	return from.release(), nil
}
