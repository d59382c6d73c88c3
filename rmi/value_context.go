package rmi

import (
	"context"
	"errors"
)

// valueContext is where the values of one payload live: what a reference or a
// sequence in them means. A nil one is that of plain values, in which neither
// can be. It is used by one goroutine, for as long as one payload is encoded or
// decoded, and not kept.
type valueContext struct {
	// space turns objects into references and back; nil without one.
	space *Space
	// streams are, while a payload is decoded, the sequences that came with it,
	// and while one is encoded, those that go with it so far.
	streams []itemSource
	// claimed has a bit for each of streams that a value was made of.
	claimed uint32
	// ctx ends the sequences that are decoded; nil when nothing does.
	ctx context.Context
	// life is that of the method whose arguments and result are decoded and
	// encoded; nil on the side that calls.
	life *methodLife
	// promises are, while arguments are encoded, those that stand for arguments.
	promises []promiseUse
	// from is the session by which a payload that is decoded came; nil when that
	// is not known, or it did not come from another process.
	from *Session
	// taken are the references in a payload that is decoded, when they were taken
	// before.
	taken takenRefs
}

// contextOf returns what the values of p, which came from elsewhere, mean.
func contextOf(p Payload) *valueContext {
	if p.from == nil {
		return nil
	}
	return &valueContext{space: p.from.space, streams: p.streams, from: p.from}
}

// payload returns data, which was encoded with vc, with the sequences in it.
func (vc *valueContext) payload(data []byte) Payload {
	p := Payload{Type: ContentCBOR, Data: data}
	if vc != nil {
		p.streams = vc.streams
	}
	return p
}

// send adds a sequence to those that go with the payload, and appends what
// stands for it.
func (vc *valueContext) send(dst []byte, source itemSource) ([]byte, error) {
	if len(vc.streams) == MaxStreamsPerCall {
		err := &ValueError{Reason: "too many sequences go with one call"}
		source.stop(err)
		return nil, err
	}
	dst = appendHead(dst, cborTag, tagStream)
	dst = appendHead(dst, cborUint, uint64(len(vc.streams)))
	vc.streams = append(vc.streams, source)
	return dst, nil
}

// claim returns the sequence with this number, which came with the payload.
func (vc *valueContext) claim(n uint64) (itemSource, error) {
	switch {
	case vc == nil || n >= uint64(len(vc.streams)):
		return nil, &ValueError{Reason: "malformed payload: it speaks of a sequence that did not come along"}
	case vc.claimed&(1<<n) != 0:
		return nil, &ValueError{Reason: "malformed payload: it speaks twice of one sequence"}
	}
	vc.claimed |= 1 << n
	return vc.streams[n], nil
}

// errUnclaimed is why a sequence ends that no value was made of.
var errUnclaimed = errors.New("no value of the call is this sequence")

// dropUnclaimed stops the sequences that no value was made of.
func (vc *valueContext) dropUnclaimed() {
	for i, s := range vc.streams {
		if vc.claimed&(1<<i) == 0 {
			s.stop(errUnclaimed)
		}
	}
}
