package rmi

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"farcall.dev/naming"
)

// sampleReferences are two references as they travel: a plain one, and one to an
// object that stands for another.
func sampleReferences() (plain, relayed refTag) {
	plain = refTag{owner: peerID{"node-1", 300}, id: refID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, typ: "*shop.Cart"}
	relayed = refTag{owner: peerID{"node-2", 1}, id: refID{255, 254}, origin: &plain}
	return plain, relayed
}

func TestReferenceTagReadsBack(t *testing.T) {
	plain, relayed := sampleReferences()
	for _, tag := range []refTag{plain, relayed} {
		b := tag.append(nil)
		got, rest, err := readReference(append(b, 7))
		if err != nil || !bytes.Equal(rest, []byte{7}) || !bytes.Equal(got.append(nil), b) {
			t.Errorf("got %+v, rest % x, %v, want %+v", got, rest, err, tag)
		}
		for n := range b {
			if _, _, err := readReference(b[:n]); err == nil {
				t.Errorf("% x: the first %d bytes were taken for a reference", b, n)
			}
		}
	}
}

func TestMalformedReferenceIsRefused(t *testing.T) {
	plain, relayed := sampleReferences()
	change := func(f func(*refTag)) []byte {
		tag := plain
		f(&tag)
		return tag.append(nil)
	}
	nested := append(plain.append(nil), relayed.appendList(nil, relayed.origin)...)
	nested[5] = 0x85 // five parts, the last of which has five too
	for name, data := range map[string][]byte{
		"no node":            change(func(r *refTag) { r.owner.node = "" }),
		"a node too long":    change(func(r *refTag) { r.owner.node = naming.NodeID(strings.Repeat("n", 300)) }),
		"no incarnation":     change(func(r *refTag) { r.owner.incarnation = 0 }),
		"a type too long":    change(func(r *refTag) { r.typ = strings.Repeat("t", maxRefType+1) }),
		"a type not UTF-8":   change(func(r *refTag) { r.typ = "\xff" }),
		"an id too short":    bytes.Replace(plain.append(nil), []byte{0x4c, 0}, []byte{0x4b}, 1),
		"parts of one type":  append(appendHead(appendHead(nil, cborTag, tagReference), cborList, 4), 1, 2, 3, 4),
		"a list of three":    append(appendHead(appendHead(nil, cborTag, tagReference), cborList, 3), 1, 2, 3),
		"an origin's origin": nested,
		"a number":           {7},
	} {
		if tag, _, err := readReference(data); err == nil {
			t.Errorf("%s: got %+v, want an error", name, tag)
		}
	}
}

// FuzzReference holds the decoder of references against any bytes: what it takes
// comes out the same when it is encoded again.
func FuzzReference(f *testing.F) {
	plain, relayed := sampleReferences()
	f.Add(plain.append(nil))
	f.Add(relayed.append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		eachReference(data, func(refTag, int, int) error { return nil })
		tag, _, err := readReference(data)
		if err != nil {
			return
		}
		b := tag.append(nil)
		again, rest, err := readReference(b)
		if err != nil || len(rest) > 0 || !bytes.Equal(again.append(nil), b) {
			t.Fatalf("got %+v, rest % x, %v, want %+v", again, rest, err, tag)
		}
	})
}

// FuzzReceipts has an owner hear any HOLD and DROP frames: nothing is held that
// was not exported, and at the end of the session nothing is held at all.
func FuzzReceipts(f *testing.F) {
	id := refID{1}
	f.Add(byte(frameHold), byte(3), uint64(2), appendReceipts(nil, frameHold, 3, 2, []receipt{{id, 1}})[4:])
	f.Add(byte(frameDrop), byte(0), uint64(1), appendReceipts(nil, frameDrop, 0, 1, []receipt{{id, 1 << 40}})[4:])
	f.Fuzz(func(t *testing.T, typ, flags byte, list uint64, body []byte) {
		if typ != byte(frameDrop) {
			typ = byte(frameHold)
		}
		s := NewSpace(SpaceOptions{Node: "owner", Incarnation: 1})
		defer s.Close()
		ref, err := s.refs.add(id, "", &export{v: reflect.ValueOf(&counter{}), object: func() (*object, error) { return nil, nil }})
		if err != nil {
			t.Fatal(err)
		}
		c := &Conn{log: s.log}
		c.shared = newSession(s, peerID{"peer", 1})
		first := appendReceipts(nil, frameHold, flagHoldFirst|flagHoldLast, 1, []receipt{{ref.id, 0}})
		s.refs.receipts(c, frameHeader{typ: frameHold, flags: flagHoldFirst | flagHoldLast, id: 1}, first[4:])
		s.refs.receipts(c, frameHeader{typ: frameType(typ), flags: flags, id: list}, body)
		if held := len(c.shared.lent.ids); held > 1 || held != ref.own.holders {
			t.Errorf("%d are held and the object has %d holders, want as many, and one at most", held, ref.own.holders)
		}
		s.refs.sessionEnded(c.shared)
		if held := len(c.shared.lent.ids); held != 0 || ref.own.holders != 0 {
			t.Errorf("%d are held after the session, by %d, want none", held, ref.own.holders)
		}
	})
}

// TestManyReferencesAreToldInSeveralFrames holds more than fit into one frame.
func TestManyReferencesAreToldInSeveralFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := refPair(t, nil)
		server.export("bench", &many{server.space})
		const n = 3*maxReceipts + 5
		refs := call[[]*Ref](t, client, server, "refs", n)
		wantStats(t, server.space, n+1, 0, n, 0)
		client.conns["server"].Close()
		client.connect(server) // and all of them again
		wantStats(t, server.space, n+1, 0, n, 0)
		for _, r := range refs[1:] {
			r.Release()
		}
		wantStats(t, server.space, 2, 0, 1, 0)
		if _, err := refs[0].Invoke(t.Context(), "add", 1); err != nil {
			t.Error(err)
		}
	})
}

// many makes many objects.
type many struct{ space *Space }

func (m *many) Refs(n int) ([]*Ref, error) {
	refs := make([]*Ref, n)
	for i := range refs {
		var err error
		if refs[i], err = m.space.Export(&counter{}, ExportOptions{}); err != nil {
			return nil, err
		}
	}
	return refs, nil
}
