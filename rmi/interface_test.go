package rmi

import (
	"context"
	"errors"
	"iter"
	"math/big"
	"strings"
	"testing"
	"time"
)

// wanted is what a client of these tests was compiled against.
type wanted interface {
	Same(ctx context.Context, x int) (string, error)
	Other(x int32) (y int64)
}

// offered is an object with the methods of wanted, and more.
type offered struct{}

func (offered) Same(x int) string   { return "" }
func (offered) Other(x int32) int64 { return int64(x) }
func (offered) More()               {}

func TestInterfaceOfATypeIsThatOfItsObjects(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	opts := ExportOptions{Methods: []string{"same", "Other"}, Docs: Docs{Params: map[string][]string{"same": {"x"}}, Idempotent: []string{"Same"}}}
	if err := o.Export("object", offered{}, opts); err != nil {
		t.Fatal(err)
	}
	have, _ := o.Interface("object")
	fromInterface, err1 := InterfaceOf[wanted](opts)
	fromType, err2 := InterfaceOf[*offered](opts)
	all, err3 := InterfaceOf[offered](ExportOptions{})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if fromInterface.Digest != have.Digest || fromType.Digest != have.Digest {
		t.Errorf("got digests %s of the interface and %s of the type, want %s", fromInterface.Digest, fromType.Digest, have.Digest)
	}
	if m, _ := fromInterface.Method("same"); !m.Idempotent || m.Params[0].Name != "x" {
		t.Errorf("got %+v, want the docs", m)
	}
	if all.Digest == have.Digest || len(all.Methods) != 3 {
		t.Errorf("got %d methods and digest %s", len(all.Methods), all.Digest)
	}
	if err := CheckInterface(fromInterface, all); err != nil {
		t.Errorf("with more methods: got %v, want nil", err)
	}
}

func TestInterfaceOfTellsWhatCannotTravel(t *testing.T) {
	type bad interface {
		Chan(chan int)
		Fine()
		hidden()
	}
	for name, tt := range map[string]struct {
		of   func() (InterfaceInfo, error)
		want string
	}{
		"methods":      {func() (InterfaceInfo, error) { return InterfaceOf[bad](ExportOptions{}) }, "Chan: parameter 1: chan int is a channel"},
		"no methods":   {func() (InterfaceInfo, error) { return InterfaceOf[int](ExportOptions{}) }, "it has no exported methods"},
		"any":          {func() (InterfaceInfo, error) { return InterfaceOf[any](ExportOptions{}) }, "it has no exported methods"},
		"of a pointer": {func() (InterfaceInfo, error) { return InterfaceOf[big.Int](ExportOptions{}) }, "export &Int{…}"},
		"unknown":      {func() (InterfaceInfo, error) { return InterfaceOf[wanted](ExportOptions{Methods: []string{"some"}}) }, "there is no such method; did you mean same"},
		"unknown docs": {func() (InterfaceInfo, error) {
			return InterfaceOf[wanted](ExportOptions{Docs: Docs{Idempotent: []string{"x"}}})
		}, "docs are given for it"},
		"wrong names": {func() (InterfaceInfo, error) {
			return InterfaceOf[wanted](ExportOptions{Docs: Docs{Params: map[string][]string{"same": {"a", "b"}}}})
		}, "its docs name 2 parameters, and it takes 1"},
		"chosen is bad": {func() (InterfaceInfo, error) { return InterfaceOf[bad](ExportOptions{Methods: []string{"chan"}}) }, "chan int is a channel"},
	} {
		_, err := tt.of()
		if _, ok := errors.AsType[*ExportError](err); !ok || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an ExportError with %q", name, err, tt.want)
		}
	}
	if _, err := InterfaceOf[bad](ExportOptions{Methods: []string{"fine"}}); err != nil {
		t.Errorf("the method that can: got %v", err)
	}
}

// The types of TestFitOfTypes.
type (
	fitOld    struct{ A, B int }
	fitMore   struct{ A, B, C int }
	fitOther  struct{ A, X int }
	fitTyped  struct{ A, B string }
	fitTree   struct{ Kids []fitTree }
	fitTree2  struct{ Kids []*fitTree2 }
	fitTree3  struct{ Kids []fitTree3Kid }
	fitTree4  struct{ Kids []struct{ Kids []string } }
	fitList   []fitList
	fitPlaced struct {
		_    struct{} `cbor:",toarray"`
		A, B int
	}
	fitPlaced2 struct {
		_ struct{} `cbor:",toarray"`
		A int
	}
)

type fitTree3Kid struct{ Kids []fitTree3 }

// shapeInfo describes a type.
func shapeInfo[T any](t *testing.T) TypeInfo {
	t.Helper()
	i, err := InterfaceOf[interface{ M(T) }](ExportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return i.Methods[0].Params[0].Type
}

// fits checks whether what a From sends is what a To takes.
func fits[From, To any](t *testing.T, want string) {
	t.Helper()
	got := misfitOf(shapeInfo[From](t), shapeInfo[To](t))
	if (got == "") != (want == "") || !strings.Contains(got, want) {
		t.Errorf("%T to %T: got %q, want %q", *new(From), *new(To), got, want)
	}
}

func TestFitOfTypes(t *testing.T) {
	fits[int, int](t, "")
	fits[int, int64](t, "")
	fits[int32, int64](t, "")
	fits[int64, int32](t, "int64 is sent, and int32 is wanted")
	fits[uint32, int64](t, "")
	fits[uint64, int64](t, "uint64 is sent")
	fits[int8, uint64](t, "int8 is sent")
	fits[int64, *big.Int](t, "")
	fits[*big.Int, int64](t, "null may be sent")
	fits[big.Int, int64](t, "int is sent, and int64 is wanted")
	fits[int32, float64](t, "")
	fits[int64, float64](t, "int64 is sent, and float64 is wanted")
	fits[int16, float32](t, "")
	fits[int32, float32](t, "is wanted")
	fits[float32, float64](t, "")
	fits[float64, float32](t, "float64 is sent")
	fits[float64, int](t, "is wanted")
	fits[time.Duration, int64](t, "")
	fits[int64, time.Duration](t, "")
	fits[time.Duration, int32](t, "duration is sent")
	fits[time.Time, string](t, "time is sent, and string is wanted")
	fits[string, []byte](t, "string is sent, and bytes is wanted")
	fits[string, any](t, "")
	fits[any, string](t, "")
	fits[string, *string](t, "")
	fits[*string, string](t, "null may be sent, and string is wanted")
	fits[[]*string, []string](t, "")
	fits[[]int32, []int64](t, "")
	fits[[]int64, []int32](t, "in a list, int64 is sent")
	fits[[3]int, []int](t, "")
	fits[[]int, [3]int](t, "null may be sent")
	fits[[4]int, [3]int](t, "of length 4 is sent, and list<int> of length 3 is wanted")
	fits[[4]byte, [4]byte](t, "")
	fits[[4]byte, [3]byte](t, "bytes of length 4 is sent")
	fits[map[string]int, map[string]int](t, "")
	fits[map[string]int, map[int]int](t, "in a map, string is sent")
	fits[map[string]int, []int](t, "is wanted")
	fits[fitOld, fitMore](t, "")
	fits[fitMore, fitOld](t, "")
	fits[fitOld, fitOther](t, "a struct with B is sent, and one with X is wanted")
	fits[fitOld, fitTyped](t, "field A: int64 is sent, and string is wanted")
	fits[fitOld, map[string]int](t, "")
	fits[fitOld, map[string]any](t, "")
	fits[fitOld, map[string]string](t, "field A: int64 is sent")
	fits[fitOld, map[int]int](t, "is wanted")
	fits[fitOld, fitPlaced](t, "is wanted")
	fits[fitPlaced, fitPlaced](t, "")
	fits[fitPlaced, fitPlaced2](t, "a list of 2 fields is sent, and one of 1 is wanted")
	fits[fitTree, fitTree](t, "")
	fits[fitTree, fitTree2](t, "")
	fits[fitTree, fitTree3](t, "")
	fits[fitTree3, fitTree](t, "")
	fits[fitTree, fitTree4](t, "field Kids: in a list, field Kids: in a list, {Kids")
	fits[fitList, fitList](t, "")
	fits[iter.Seq[int32], iter.Seq2[int64, error]](t, "")
	fits[iter.Seq[int64], iter.Seq[int32]](t, "in a stream, int64 is sent")
	fits[<-chan string, iter.Seq[string]](t, "")
	fits[[3]string, iter.Seq[string]](t, "")
	fits[[]string, iter.Seq[string]](t, "null may be sent")
	fits[iter.Seq[string], []string](t, "stream<string> is sent")
	fits[iter.Seq2[string, int32], iter.Seq2[Pair[string, int64], error]](t, "")
	fits[iter.Seq2[string, int32], iter.Seq2[string, string]](t, "field Value: int32 is sent")
	fits[iter.Seq2[string, int], iter.Seq[string]](t, "is wanted")
}

func TestCheckInterfaceTellsEachMethodThatDiffers(t *testing.T) {
	type client interface {
		Fine(x int)
		Gone()
		Wider(x int64)
		Returns() int32
		FewerArgs(a, b string)
		MoreArgs(a string)
		Results() (int, int)
		NowVariadic(a int, b int)
		WasVariadic(xs ...int)
		StillVariadic(a int, xs ...int32)
		Dropped()
	}
	type object interface {
		Fine(x int)
		Went()
		Wider(x int32)
		Returns() int64
		FewerArgs(a string)
		MoreArgs(a, b string)
		Results() int
		NowVariadic(a int, b ...int)
		WasVariadic(xs []int)
		StillVariadic(xs ...int64)
		Dropped() string
	}
	want, err1 := InterfaceOf[client](ExportOptions{})
	have, err2 := InterfaceOf[object](ExportOptions{Docs: Docs{Params: map[string][]string{"Wider": {"width"}}}})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	err := CheckInterface(want, have)
	e, ok := errors.AsType[*InterfaceError](err)
	if !ok {
		t.Fatalf("got %v, want an InterfaceError", err)
	}
	reasons := map[string]string{
		"gone":         "it is missing",
		"wider":        "parameter 1 (width): int64 is sent, and int32 is wanted",
		"returns":      "result: int64 is sent, and int32 is wanted",
		"fewer_args":   "2 arguments are sent, and it takes 1 argument",
		"more_args":    "1 argument is sent, and it takes 2 arguments",
		"results":      "2 results wanted, and it returns 1 value",
		"was_variadic": "it is no longer variadic",
	}
	for _, m := range e.Methods {
		if want, ok := reasons[m.Method]; !ok || !strings.HasPrefix(m.Reason, want) {
			t.Errorf("%s: got %q, want %q", m.Method, m.Reason, want)
		}
		delete(reasons, m.Method)
	}
	for method := range reasons {
		t.Errorf("%s is not said to differ", method)
	}
	if m, _ := e.of("wider"); m.Want != "wider(int)" || m.Have != "wider(width: int)" {
		t.Errorf("got %+v, want both signatures", m)
	}
	if err := CheckInterface(want, want); err != nil {
		t.Errorf("with itself: got %v", err)
	}
}
