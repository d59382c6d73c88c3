package rmi

import "slices"

// copyStep is how much is copied at a time. The runtime cannot interrupt a copy,
// so that all goroutines would wait for a longer one whenever the garbage
// collector has to stop them for a moment.
const copyStep = 1 << 20

// appendBytes appends src, of any length, to dst. New memory for up to copyStep is
// not cleared before it is overwritten.
func appendBytes(dst, src []byte) []byte {
	if len(src) <= copyStep {
		return append(dst, src...)
	}
	dst = slices.Grow(dst, len(src))
	for len(src) > copyStep {
		dst = append(dst, src[:copyStep]...)
		src = src[copyStep:]
	}
	return append(dst, src...)
}

// cloneBytes returns a copy of b, which is not nil.
func cloneBytes(b []byte) []byte {
	if len(b) <= LargePayload {
		return append(make([]byte, 0, len(b)), b...)
	}
	return appendBytes(nil, b)
}
