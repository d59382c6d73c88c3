// Package kinds has types that can travel, and types that cannot: farcall-gen and
// package rmi must agree on each.
package kinds

import (
	"context"
	"encoding"
	"encoding/json"
	"io"
	"iter"
	"math/big"
	"net/netip"
	"net/url"
	"sync"
	"time"
	"unsafe"

	"github.com/fxamacker/cbor/v2"

	"farcall.dev/rmi"
)

// Kinds has a type for each field.
type Kinds struct {
	Bool       bool
	Int        int
	Uintptr    uintptr
	Unsafe     unsafe.Pointer
	Float32    float32
	Complex    complex128
	Text       string
	Named      Named
	Error      error
	Context    context.Context
	Any        any
	AnyAlias   Alias
	Reader     io.Reader
	Marshaler  encoding.TextMarshaler
	Bytes      []byte
	ByteArray  [16]byte
	NamedBytes []NamedByte
	TextBytes  []TextByte
	List       []string
	Lists      [][]int
	Array      [3]float64
	Chans      []chan int
	Chan       chan int
	Receive    <-chan string
	Func       func()
	Seq        iter.Seq[Point]
	SeqBare    func(func(int) bool)
	SeqOdd     func(func(int) string)
	Pairs      iter.Seq2[string, Point]
	Fallible   iter.Seq2[*Point, error]
	Stream     *rmi.Stream[Deep]
	Streams    []iter.Seq[int]
	InStruct   struct{ S iter.Seq[int] }
	SeqBad     iter.Seq[chan int]
	PairsBad   iter.Seq2[complex64, int]
	SeqSeq     iter.Seq[iter.Seq[int]]
	Items      <-chan []Point
	ItemsChan  <-chan <-chan int
	Pointer    *int
	Pointers   **int
	Self       SelfPointer
	Ref        *rmi.Ref
	Refs       []*rmi.Ref
	RefValue   rmi.Ref
	RefField   struct{ R *rmi.Ref }
	Object     *Object
	ObjectVal  Object
	Objects    []*Object
	Stub       Stub
	StubPtr    *Stub
	Stubs      []Stub
	Readers    []io.Reader
	Funcs      []func()
	Callback   func(context.Context, string) error
	Secretive  interface{ hidden() }
	RefSeq     iter.Seq[*rmi.Ref]
	ReaderSeq  iter.Seq[io.Reader]
	Time       time.Time
	Duration   time.Duration
	Big        *big.Int
	BigValue   big.Int
	BigFloat   *big.Float
	Raw        cbor.RawMessage
	JSON       json.RawMessage
	URL        url.URL
	URLPointer *url.URL
	Addr       netip.Addr
	Location   *time.Location
	Mutex      sync.Mutex

	Map        map[string]int
	MapAny     map[any]any
	MapBool    map[bool]string
	MapTime    map[time.Time]int
	MapDur     map[time.Duration]int
	MapBig     map[*big.Int]int
	MapBigVal  map[[2]*big.Int]int
	MapPointer map[*int]int
	MapArray   map[[2]int]string
	MapID      map[[4]byte]string
	MapStruct  map[Point]int
	MapText    map[TextByte]int
	MapAddr    map[netip.Addr]int
	MapChan    map[string]chan int
	MapKeyChan map[chan int]string
	MapReader  map[io.Reader]int

	Empty      struct{}
	Point      Point
	Inline     struct{ X, Y int }
	Hidden     Hidden
	Left       Left
	Deep       Deep
	DeepList   []map[string]Deep
	Tree       Tree
	TreeList   Forest
	Embedded   Embedded
	EmbedPtr   EmbedPtr
	EmbedName  EmbedName
	EmbedBad   EmbedBad
	EmbedShade EmbedShade
	EmbedIface EmbedIface
	EmbedTime  EmbedTime
	Positional Positional
	Page       Page[int]
	PageChan   Page[chan int]
	OneWay     OnlyOut
	OtherWay   OnlyIn
	Cyclic     *Cyclic
	Mutual     Mutual
}

type (
	// Named is a string by another name.
	Named string
	// Alias is any.
	Alias = any
	// NamedByte is a byte by another name.
	NamedByte byte
	// SelfPointer points to itself.
	SelfPointer *SelfPointer
	// Point travels.
	Point struct{ X, Y int }
	// Hidden has nothing that travels.
	Hidden struct{ x int }
	// Left leaves out what cannot travel.
	Left struct {
		A int
		B chan int `cbor:"-"`
		C func()   `json:"-"`
	}
	// Deep cannot travel because of what is far inside.
	Deep struct {
		Inner struct {
			More []*Deeper `json:"more"`
		}
	}
	// Deeper is far inside.
	Deeper struct {
		OK bool
		C  chan int `json:"c"`
	}
	// Tree is inside itself.
	Tree struct {
		Name     string
		Children []*Tree
		ByName   map[string]Tree
	}
	// Forest is a list of itself.
	Forest []Forest
	// Embedded has the fields of others.
	Embedded struct {
		Point
		Left
		Z int
	}
	// EmbedPtr has them by a pointer.
	EmbedPtr struct {
		*Point
		Z int
	}
	// EmbedName has one under a name of its own.
	EmbedName struct {
		Deeper `json:"deeper"`
	}
	// EmbedBad has one that cannot travel.
	EmbedBad struct{ Deeper }
	// EmbedShade hides the field that cannot travel.
	EmbedShade struct {
		Deeper
		C int `json:"c"`
	}
	// EmbedIface has an interface.
	EmbedIface struct{ io.Reader }
	// EmbedTime has a time.
	EmbedTime struct {
		time.Time
		Z int
	}
	// Positional travels as a list.
	Positional struct {
		_    struct{} `cbor:",toarray"`
		X, Y int
	}
	// Page is of anything.
	Page[T any] struct {
		Items []T
		Next  *string
	}
	// Cyclic comes back to itself.
	Cyclic struct {
		C    *Cyclic
		Chan func() `json:"f"`
	}
	// Mutual is inside of what is inside of it.
	Mutual struct{ O []Opposite }
	// Opposite is the other.
	Opposite struct{ M *Mutual }
)

// Object has methods and nothing that could travel.
type Object struct{ x int }

// Get is a method.
func (*Object) Get() int { return 0 }

// Stub has funcs.
type Stub struct {
	Get func(context.Context) (int, error)
	Ref *rmi.Ref
}

// TextByte is a byte that writes itself.
type TextByte byte

// MarshalText writes it.
func (b TextByte) MarshalText() ([]byte, error) { return []byte{byte(b)}, nil }

// UnmarshalText reads it.
func (b *TextByte) UnmarshalText(text []byte) error { *b = TextByte(text[0]); return nil }

// OnlyOut can be written.
type OnlyOut struct{ x int }

// MarshalText writes it.
func (OnlyOut) MarshalText() ([]byte, error) { return nil, nil }

// OnlyIn can be read.
type OnlyIn struct{ x int }

// UnmarshalCBOR reads it.
func (*OnlyIn) UnmarshalCBOR([]uint8) error { return nil }
