package rmi

import (
	"math/bits"
	"sync"
)

// buffers are the memory of small arguments, in size classes. A buffer belongs
// to one served call from the moment its request is read until its reply is
// encoded, which is after the handler has returned; then it is used again. The
// pools only save allocations: nothing depends on what they hold.
type buffers struct {
	classes [bufferClasses]sync.Pool
	// poison overwrites what is given back, so that a test sees who still
	// reads it.
	poison bool
}

const (
	bufferMin     = 256
	bufferClasses = 8 // 256 B … 32 KiB
)

// copyOf returns a buffer that holds what b does.
func (p *buffers) copyOf(b []byte) *[]byte {
	if len(b) == 0 {
		return nil
	}
	class := bufferClass(len(b))
	if class >= bufferClasses {
		c := append([]byte(nil), b...)
		return &c
	}
	buf, ok := p.classes[class].Get().(*[]byte)
	if !ok {
		c := make([]byte, 0, bufferMin<<class)
		buf = &c
	}
	*buf = append((*buf)[:0], b...)
	return buf
}

// release gives back what copyOf returned.
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
	}
}

// bufferClass returns the smallest class whose buffers hold n bytes.
func bufferClass(n int) int {
	if n <= bufferMin {
		return 0
	}
	return bits.Len(uint(n-1)) - bits.Len(uint(bufferMin-1))
}
