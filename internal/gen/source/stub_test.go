package source

import (
	"bytes"
	"flag"
	"iter"
	"math/big"
	"os"
	"testing"
	"time"

	"farcall.dev/internal/gen"
	"farcall.dev/internal/gen/source/testdata/kinds"
	"farcall.dev/internal/gen/source/testdata/shop"
	"farcall.dev/internal/gen/source/testdata/stub"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

var update = flag.Bool("update", false, "write testdata/stub anew")

// everything takes and returns one of each kind.
type everything interface {
	Plain(bool, int8, uint16, int, uint64, float32, float64, string) []byte
	Times(*time.Time, map[string]time.Duration) *big.Int
	Fixed([4]byte, [2]int32) *[3]*string
	Tree(kinds.Tree) kinds.Forest
	Structs(*kinds.Positional, []kinds.Point) (kinds.Page[int], shop.Item, struct{ A, B int })
	Same(Item) []*Item
	Keys(map[naming.Name]any, map[[2]byte]bool, map[float64]rmi.Code) any
	Numbered(numbered) error
	Type(func_ string, r1 int, stub string)
	Many(xs ...Item)
	Streams(iter.Seq[Item], <-chan int, iter.Seq2[string, int]) (iter.Seq[kinds.Point], iter.Seq2[Item, error])
}

// pairs returns a stream that a client has in another form.
type pairs interface {
	Pairs() iter.Seq2[string, kinds.Point]
}

// Item has the name of another that everything speaks of.
type Item struct {
	SKU  string `json:"sku"`
	Next *Item
}

type numbered struct {
	First string `cbor:"1,keyasint"`
	//lint:ignore SA5008 a field that is named "-", as encoding/json has it
	Dash   string `json:"-,"`
	Quoted string "cbor:\"a`b\""
	Lower  int    `json:"lower"`
	Upper  int    `json:"Lower"`
}

// TestStubOfEverything makes a stub of a live object's description, which the
// tests compile, and fails when it is not the same interface.
func TestStubOfEverything(t *testing.T) {
	info, err := rmi.InterfaceOf[everything](rmi.ExportOptions{Docs: rmi.Docs{
		Methods:    map[string]string{"plain": "Has plain values.\n\n\tindented\r\n*/ func init() { panic(1) } /*\n//go:build never"},
		Params:     map[string][]string{"type": {"func", "r1", "stub"}, "keys": {"a b", "ctx", "Übung"}},
		Idempotent: []string{"tree"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	info.Name = "test.stub"
	src, err := gen.Stub(info, "").Source()
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/stub/stub.go"
	if *update {
		if err := os.WriteFile(file, src, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, src) {
		t.Errorf("%s is not what is generated now; run the test with -update. Got:\n%s", file, src)
	}
	got, err := stub.StubInterface().Info()
	if err != nil {
		t.Fatal(err)
	}
	if err := rmi.CheckInterface(got, info); err != nil {
		t.Error(err)
	}
	if err := rmi.CheckInterface(info, got); err != nil {
		t.Errorf("the other way round: %v", err)
	}
	if got.Digest != info.Digest {
		t.Errorf("got digest %s, want that of the object, %s", got.Digest, info.Digest)
	}
}

// TestStubOfForeignNames fails when a description that is not of a Go object
// makes source that is not Go, or code of what should be words.
func TestStubOfForeignNames(t *testing.T) {
	evil := "x\n}\nfunc init() {\n"
	info := rmi.InterfaceInfo{Name: naming.Name("1 " + evil), Kind: naming.KindObject, Doc: evil, Go: evil, Methods: []rmi.MethodInfo{
		{Name: "system.listMethods", Results: []rmi.TypeInfo{{Kind: rmi.KindStruct, Go: evil, Fields: []rmi.FieldInfo{{Name: evil, Type: rmi.TypeInfo{Kind: rmi.KindAny}}}}}},
		{Name: "system.list_methods", Params: []rmi.ParamInfo{{Name: evil, Type: rmi.TypeInfo{Kind: rmi.TypeKind(evil), Go: evil}}}},
		{Name: evil, Go: evil, Doc: evil, Params: []rmi.ParamInfo{{Type: rmi.TypeInfo{Kind: rmi.KindList}}, {Type: rmi.TypeInfo{Kind: rmi.KindMap}}}},
		{Name: "日本", Results: []rmi.TypeInfo{{Kind: rmi.KindStruct, Recursive: true, Go: "x.Y"}, {Kind: rmi.KindInt}, {Kind: rmi.KindFloat, Bits: 16}}},
	}}
	src, err := gen.Stub(info, "").Source()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(src, []byte("\nfunc init")) {
		t.Errorf("a name became code:\n%s", src)
	}
	function := rmi.InterfaceInfo{Name: "math.add", Kind: naming.KindFunction, Methods: []rmi.MethodInfo{{}}}
	if src, err := gen.Stub(function, "sums").Source(); err != nil || !bytes.Contains(src, []byte("package sums\n")) ||
		!bytes.Contains(src, []byte("func (c *AddClient) Call(ctx context.Context) error")) {
		t.Errorf("of a function: got %v and\n%s", err, src)
	}
}

// TestStubOfPairs fails when a client of a stream of pairs, whose reader has it in
// another form, is told that the interface is another.
func TestStubOfPairs(t *testing.T) {
	info, err := rmi.InterfaceOf[pairs](rmi.ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	info.Name = "pairs"
	src, err := gen.Stub(info, "").Source()
	if want := "Pairs(ctx context.Context) (iter.Seq2[rmi.Pair[string, Point], error], error)"; err != nil || !bytes.Contains(src, []byte(want)) {
		t.Errorf("got %v and\n%s\nwant %s", err, src, want)
	}
	read, err := rmi.InterfaceOf[interface {
		Pairs() iter.Seq2[rmi.Pair[string, kinds.Point], error]
	}](rmi.ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rmi.CheckInterface(read, info); err != nil {
		t.Error(err)
	}
}
