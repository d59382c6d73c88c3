package rmi

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// buffers are the memory of arguments, in size classes. A buffer belongs to one
// served call from the moment its request is read until its reply is encoded, or
// written when that is large, which is after the handler has returned; then it is
// used again. The pools only save allocations: nothing depends on what they hold,
// and what is not used for a while goes to the garbage collector.
type buffers struct {
	classes [bufferClasses]sync.Pool
	// large are for payloads of more than LargePayload; nil before the first.
	large atomic.Pointer[[largeClasses]sync.Pool]
	// poison overwrites what is given back, so that a test sees who still
	// reads it.
	poison bool
}

const (
	bufferMin     = 256
	bufferClasses = 8 // 256 B … 32 KiB

	// Four large classes for each doubling, so that no more than a quarter is
	// wasted: 40 KiB, 48 KiB, 56 KiB, 64 KiB, 80 KiB … 64 MiB.
	largeClasses = 4 * (largeMaxBits - largeMinBits)
	largeMinBits = 15
	largeMaxBits = 26
)

// takeLarge returns an empty buffer of an earlier large payload that has room for
// n bytes, or nil when there is none, and how much room one for n bytes should
// have.
func (p *buffers) takeLarge(n int) (buf *[]byte, room int) {
	class, room := largeClass(n)
	pools := p.large.Load()
	if class < 0 || pools == nil {
		return nil, room
	}
	buf, _ = pools[class].Get().(*[]byte)
	return buf, room
}

// releaseLarge is release for a buffer whose room is that of a large class.
func (p *buffers) releaseLarge(buf *[]byte, class int) {
	pools := p.large.Load()
	if pools == nil {
		p.large.CompareAndSwap(nil, new([largeClasses]sync.Pool))
		pools = p.large.Load()
	}
	*buf = (*buf)[:0]
	pools[class].Put(buf)
}

// largeClass returns the smallest large class whose buffers hold n bytes, and
// their size; -1 and n when n is too small or too large for them.
func largeClass(n int) (class, size int) {
	if n <= LargePayload || n > 1<<largeMaxBits {
		return -1, n
	}
	below := bits.Len(uint(n-1)) - 1 // 1<<below < n <= 2<<below
	step := 1 << (below - 2)
	quarters := (n - 1<<below + step - 1) / step
	return 4*(below-largeMinBits) + quarters - 1, 1<<below + quarters*step
}

// copyOf returns a buffer that holds what b does.
func (p *buffers) copyOf(b []byte) *[]byte {
	if len(b) == 0 {
		return nil
	}
	buf := p.take(len(b))
	*buf = append(*buf, b...)
	return buf
}

// take returns an empty buffer that has room for n bytes.
func (p *buffers) take(n int) *[]byte {
	class := bufferClass(n)
	if class >= bufferClasses {
		large, room := p.takeLarge(n)
		if large == nil {
			b := make([]byte, 0, room)
			large = &b
		}
		return large
	}
	buf, ok := p.classes[class].Get().(*[]byte)
	if !ok {
		b := make([]byte, 0, bufferMin<<class)
		return &b
	}
	*buf = (*buf)[:0]
	return buf
}

// release gives back what copyOf, take or takeLarge returned, or what was made in its
// place with the room that takeLarge asked for.
func (p *buffers) release(buf *[]byte) {
	if buf == nil {
		return
	}
	if p.poison {
		b := (*buf)[:cap(*buf)]
		for i := range b {
			b[i] = 0xdb
		}
	}
	if class := bufferClass(cap(*buf)); class < bufferClasses && cap(*buf) == bufferMin<<class {
		p.classes[class].Put(buf)
	} else if class, size := largeClass(cap(*buf)); class >= 0 && size == cap(*buf) {
		p.releaseLarge(buf, class)
	}
}

// bufferClass returns the smallest class whose buffers hold n bytes.
func bufferClass(n int) int {
	if n <= bufferMin {
		return 0
	}
	return bits.Len(uint(n-1)) - bits.Len(uint(bufferMin-1))
}
