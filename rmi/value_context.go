package rmi

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
}

// payload returns data, which was encoded with vc, with the sequences in it.
func (vc *valueContext) payload(data []byte) Payload {
	p := Payload{Type: ContentCBOR, Data: data}
	if vc != nil {
		p.streams = vc.streams
	}
	return p
}
