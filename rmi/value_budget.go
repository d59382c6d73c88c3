package rmi

import (
	"fmt"
	"reflect"
)

// A few bytes on the wire can stand for much memory: an empty map is one byte,
// and so is a struct without its fields. What a value may take here is
// therefore bounded by what it took to send: growth times its size, and an
// allowance that lets every small value pass.
const (
	growth          = 32
	allowance       = 16 << 20
	lightestSuspect = 64 << 10 // data below this needs no look
)

// The memory that decoding into an any takes, roughly: an element, the head of
// a list, and a map with the room for a pair.
const (
	anySize  = 16
	listSize = 24
	mapSize  = 48
	pairSize = 64
)

// memoryFor is how much memory a value of size bytes may take.
func memoryFor(size int) int { return growth*size + allowance }

// overBudget says that a value of size bytes would take too much memory.
func overBudget(size int) error {
	return &ValueError{whole: true, Reason: fmt.Sprintf("its %d bytes would take more than %d MiB of memory", size, memoryFor(size)>>20)}
}

// footprint estimates from above the memory that well-formed data takes when no
// element of a list or a map is larger than elem.
func footprint(data []byte, elem int) int {
	sum := 0
	for len(data) > 0 {
		h, err := readHead(data)
		if err != nil {
			return sum
		}
		data = data[h.size:]
		n := int(min(h.arg, uint64(len(data))))
		switch h.major {
		case cborBytes, cborText:
			sum += n
			data = data[n:]
		case cborList:
			sum += listSize + n*elem
		case cborMap:
			sum += mapSize + n*(pairSize+elem)
		}
	}
	return sum
}

// sizeOf is the memory of a value of n's type with nothing in it but what it
// points to.
func (n *shape) sizeOf() int {
	size := 0
	for hops := 0; n.kind == kindPointer && hops < 8; hops++ {
		size += int(reflect.TypeFor[uintptr]().Size())
		n = n.elem
	}
	return size + int(n.t.Size())
}
