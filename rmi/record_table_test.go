package rmi

import (
	"math/rand/v2"
	"testing"
)

// TestRecordTableIsAMap compares the table with a map, for numbers as they come from
// a peer: mostly the newest, while some stay for long.
func TestRecordTableIsAMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var tab recordTable
	model := make(map[uint64]*record)
	far := 0
	for i := range uint64(60_000) {
		seq := i
		if rnd.IntN(50) == 0 {
			seq = rnd.Uint64()
		}
		if model[seq] == nil && len(model) < MaxRecords {
			rec := &record{seq: seq}
			tab.put(rec)
			model[seq] = rec
		}
		lag := uint64(rnd.IntN(200))
		if gone := i - min(i, lag); model[gone] != nil && gone%997 != 0 {
			tab.delete(model[gone])
			delete(model, gone)
		}
		for _, at := range []uint64{seq, i, i + 1, i - min(i, lag), rnd.Uint64()} {
			if got, want := tab.get(at), model[at]; got != want {
				t.Fatalf("after %d numbers, get(%d): got %v, want %v", i, at, got, want)
			}
		}
		far = max(far, len(tab.far))
	}
	if far == 0 || len(tab.near) == 0 {
		t.Errorf("%d were in the map at most and there are %d places, want both used", far, len(tab.near))
	}
	if tab.count != len(model) {
		t.Errorf("count: got %d, want %d", tab.count, len(model))
	}
	for rec := range tab.all() {
		if model[rec.seq] != rec {
			t.Errorf("all yields %d, which was taken out, or twice", rec.seq)
		}
		delete(model, rec.seq)
		tab.delete(rec)
	}
	if len(model) != 0 || tab.count != 0 {
		t.Errorf("all leaves out %d, and then %d are there", len(model), tab.count)
	}
}

// TestRecordTableStaysSmall takes many numbers, a few at a time.
func TestRecordTableStaysSmall(t *testing.T) {
	var tab recordTable
	var ring [10]*record
	for i := range uint64(10_000) {
		if old := ring[i%10]; old != nil {
			tab.delete(old)
		}
		ring[i%10] = &record{seq: i}
		tab.put(ring[i%10])
	}
	if len(tab.near) != minNearRecords || len(tab.far) != 0 {
		t.Errorf("got %d places and %d in the map for 10 records, want %d and 0", len(tab.near), len(tab.far), minNearRecords)
	}
}

// BenchmarkRecords is a numbered call, from its number to the answer that is kept,
// while as many as are usual wait.
func BenchmarkRecords(b *testing.B) {
	var r records
	reply := &Reply{Result: Payload{Data: []byte("sixteen bytes ok")}}
	var calls [128]servedCall
	b.ReportAllocs()
	for seq := uint64(1); b.Loop(); seq++ {
		s := &calls[seq%128]
		if seq > 128 {
			r.end(s, reply, nil)
		}
		least := uint64(1)
		if seq > 128 {
			least = seq - 127
		}
		if run, o := r.begin(s, callToken{seq: seq, least: least}); !run {
			b.Fatalf("call %d is not carried out: %+v", seq, o)
		}
	}
}
