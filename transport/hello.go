package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Version is the protocol version that this package speaks. Peers settle on the
// lower of their versions; see the package comment.
const Version = 1

// minVersion is the lowest version that this package speaks.
const minVersion = 1

// Hello is what one side says of itself when a session starts.
type Hello struct {
	// Version is the highest protocol version it speaks; filled in by this
	// package when zero.
	Version uint32
	// Node is its node id; empty for a client that serves nothing. At most 255
	// bytes of UTF-8.
	Node string
	// Incarnation is the start of that node; 0 for a client.
	Incarnation uint64
	// Features are the optional parts of the protocol it understands: at most
	// 64, of 1 to 64 bytes of UTF-8 each.
	Features []string
}

// HasFeature reports whether h lists feature.
func (h Hello) HasFeature(feature string) bool { return slices.Contains(h.Features, feature) }

// clone returns a copy of h that shares nothing with it.
func (h Hello) clone() Hello {
	h.Features = slices.Clone(h.Features)
	return h
}

// The limits of a hello and a refusal, in bytes unless said otherwise.
const (
	maxRecord     = 4096
	maxNode       = 255
	maxFeatures   = 64 // in number
	maxFeature    = 64
	maxReason     = 512
	defaultStream = 1024 // streams, of a peer that does not say
)

// Keys of a hello's and a refusal's fields.
const (
	keyNode        = 1
	keyIncarnation = 2
	keyFeature     = 3
	keyMaxStreams  = 4

	keyReason = 1
)

// greeting is a hello as it goes over the wire.
type greeting struct {
	lowest     uint32
	maxStreams uint64
	Hello
}

// refusal is a server's answer to a client that it cannot talk to.
type refusal struct {
	lowest, highest uint32
	reason          string
}

// encode returns the body of a hello record, or an error that says which part
// of the Hello is too large to be sent.
func (g greeting) encode() ([]byte, error) {
	switch {
	case len(g.Node) > maxNode || !utf8.ValidString(g.Node):
		return nil, fmt.Errorf("hello: node id %.80q is not UTF-8 of at most %d bytes", g.Node, maxNode)
	case len(g.Features) > maxFeatures:
		return nil, fmt.Errorf("hello: %d features, and the most allowed is %d", len(g.Features), maxFeatures)
	}
	b := binary.AppendUvarint(nil, uint64(g.lowest))
	b = binary.AppendUvarint(b, uint64(g.Version))
	if g.Node != "" {
		b = appendField(b, keyNode, []byte(g.Node))
	}
	if g.Incarnation != 0 {
		b = appendField(b, keyIncarnation, binary.AppendUvarint(nil, g.Incarnation))
	}
	for _, f := range g.Features {
		if len(f) == 0 || len(f) > maxFeature || !utf8.ValidString(f) {
			return nil, fmt.Errorf("hello: feature %.80q is not UTF-8 of 1 to %d bytes", f, maxFeature)
		}
		b = appendField(b, keyFeature, []byte(f))
	}
	if g.maxStreams != 0 {
		b = appendField(b, keyMaxStreams, binary.AppendUvarint(nil, g.maxStreams))
	}
	if len(b) > maxRecord {
		return nil, fmt.Errorf("hello: %d bytes, and the most allowed is %d", len(b), maxRecord)
	}
	return b, nil
}

// decodeGreeting reads the body of a hello record. It shares nothing with b.
func decodeGreeting(b []byte) (greeting, error) {
	var g greeting
	var err error
	if g.lowest, g.Version, b, err = decodeVersions(b); err != nil {
		return greeting{}, fmt.Errorf("hello: %w", err)
	}
	seen := map[uint64]bool{}
	err = eachField(b, func(key uint64, value []byte) error {
		if seen[key] && (key == keyNode || key == keyIncarnation || key == keyMaxStreams) {
			return fmt.Errorf("field %d comes twice", key)
		}
		if key <= keyMaxStreams {
			seen[key] = true
		}
		return g.setField(key, value)
	})
	if err != nil {
		return greeting{}, fmt.Errorf("hello: %w", err)
	}
	if g.maxStreams == 0 {
		g.maxStreams = defaultStream
	}
	return g, nil
}

func (g *greeting) setField(key uint64, value []byte) (err error) {
	switch key {
	case keyNode:
		if len(value) > maxNode || !utf8.Valid(value) {
			return fmt.Errorf("node id %.80q is not UTF-8 of at most %d bytes", value, maxNode)
		}
		g.Node = string(value)
	case keyIncarnation:
		g.Incarnation, err = wholeUvarint(value, "incarnation")
	case keyFeature:
		switch {
		case len(value) == 0 || len(value) > maxFeature || !utf8.Valid(value):
			return fmt.Errorf("feature %.80q is not UTF-8 of 1 to %d bytes", value, maxFeature)
		case len(g.Features) == maxFeatures:
			return fmt.Errorf("more than %d features", maxFeatures)
		}
		g.Features = append(g.Features, string(value))
	case keyMaxStreams:
		if g.maxStreams, err = wholeUvarint(value, "most streams"); err == nil && g.maxStreams == 0 {
			err = errors.New("it allows no streams")
		}
	}
	return err
}

// encode returns the body of a refusal record. A long reason is cut.
func (r refusal) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(r.lowest))
	b = binary.AppendUvarint(b, uint64(r.highest))
	return appendField(b, keyReason, []byte(r.reason[:min(len(r.reason), maxReason)]))
}

// decodeRefusal reads the body of a refusal record. A reason that is too long
// or not text is left out: the versions are what matters.
func decodeRefusal(b []byte) (refusal, error) {
	var r refusal
	var err error
	if r.lowest, r.highest, b, err = decodeVersions(b); err != nil {
		return refusal{}, fmt.Errorf("refusal: %w", err)
	}
	err = eachField(b, func(key uint64, value []byte) error {
		if key == keyReason && len(value) <= maxReason && utf8.Valid(value) {
			r.reason = string(value)
		}
		return nil
	})
	if err != nil {
		return refusal{}, fmt.Errorf("refusal: %w", err)
	}
	return r, nil
}

func decodeVersions(b []byte) (lowest, highest uint32, rest []byte, err error) {
	lo, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, 0, nil, errors.New("it has no lowest version")
	}
	hi, m := binary.Uvarint(b[n:])
	switch {
	case m <= 0:
		return 0, 0, nil, errors.New("it has no highest version")
	case hi < lo || hi > 1<<31 || hi == 0:
		return 0, 0, nil, fmt.Errorf("versions %d to %d are no range", lo, hi)
	}
	return uint32(lo), uint32(hi), b[n+m:], nil
}

func appendField(b []byte, key uint64, value []byte) []byte {
	b = binary.AppendUvarint(b, key)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

// eachField calls fn with every field of b, until it fails.
func eachField(b []byte, fn func(key uint64, value []byte) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("a field's key is cut short")
		}
		size, m := binary.Uvarint(b[n:])
		if m <= 0 || size > uint64(len(b)-n-m) {
			return fmt.Errorf("field %d is cut short", key)
		}
		if err := fn(key, b[n+m:n+m+int(size)]); err != nil {
			return err
		}
		b = b[n+m+int(size):]
	}
	return nil
}

// wholeUvarint reads the varint that value consists of.
func wholeUvarint(value []byte, what string) (uint64, error) {
	v, n := binary.Uvarint(value)
	if n <= 0 || n != len(value) {
		return 0, fmt.Errorf("%s is not one varint", what)
	}
	return v, nil
}
