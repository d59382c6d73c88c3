package rmi

import "testing"

// BenchmarkDecode decodes a list of structs, as a method's argument would be.
func BenchmarkDecode(b *testing.B) {
	orders := make([]order, 1000)
	for i := range orders {
		orders[i] = order{ID: "some id", Items: []item{{"a", 1}, {"b", 2}}, Tally: map[int32]uint16{1: 1}}
	}
	p, err := EncodeValue(orders)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("typed", func(b *testing.B) {
		b.SetBytes(int64(len(p.Data)))
		b.ReportAllocs()
		for b.Loop() {
			var got []order
			if err := DecodeValue(p, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("any", func(b *testing.B) {
		b.SetBytes(int64(len(p.Data)))
		b.ReportAllocs()
		for b.Loop() {
			var got any
			if err := DecodeValue(p, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		b.SetBytes(int64(len(p.Data)))
		b.ReportAllocs()
		for b.Loop() {
			var got []order
			if err := modes().dec.Unmarshal(p.Data, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}
