package rmi

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Limits on the values of a call, whichever way it goes. The size of the whole
// is bounded by the session that carries it.
const (
	// MaxDepth is how deep lists, maps and structs may be nested in one value.
	// A deeper one, or one that contains itself, is refused by its sender.
	MaxDepth = 64
	// MaxListLen is the most elements that one list may have.
	MaxListLen = 1 << 22
	// MaxMapLen is the most pairs that one map may have.
	MaxMapLen = 1 << 20
)

// EncodeArgs encodes the arguments of a call. Any value that a method may take
// can be given; see [Objects.Export] for which those are. An error is an
// [*ArgumentError] that says which argument cannot travel.
//
// Neither objects nor sequences can be among them: those need the way of the
// call, as [NewCall] has it.
func EncodeArgs(args ...any) (Payload, error) { return appendArgs(make([]byte, 0, 64), nil, args) }

// appendArgs is [EncodeArgs] that appends to dst, where vc says what else may
// travel.
func appendArgs(dst []byte, vc *valueContext, args []any) (Payload, error) {
	dst = appendHead(dst, cborList, uint64(len(args)))
	for i, arg := range args {
		if p, ok := arg.(*Promise); ok && p != nil && vc != nil {
			vc.promises = append(vc.promises, p.use(i+1))
			arg = nil
		}
		var err error
		if as, ok := arg.(typed); ok {
			dst, err = as.append(dst, vc)
		} else {
			dst, err = appendValue(dst, arg, vc)
		}
		if err != nil {
			return Payload{}, &ArgumentError{Index: i + 1, Err: err}
		}
	}
	return vc.payload(dst), nil
}

// DecodeArgs decodes the arguments of a call into the types that [DecodeValue]
// chooses for any.
func DecodeArgs(p Payload) ([]any, error) {
	if p.Type != ContentCBOR {
		return nil, &ContentError{Type: p.Type}
	}
	n, rest, err := argsHead(p.Data)
	if err != nil {
		return nil, err
	}
	args := make([]any, n)
	for i := range args {
		if rest, err = decodeAny(rest, &args[i], contextOf(p)); err != nil {
			return nil, &ArgumentError{Index: i + 1, Err: err}
		}
	}
	if len(rest) > 0 {
		return nil, errTrailing
	}
	return args, nil
}

// EncodeValue encodes one value, such as a method's result.
func EncodeValue(v any) (Payload, error) {
	data, err := appendValue(nil, v, nil)
	return Payload{Type: ContentCBOR, Data: data}, err
}

// DecodeValue decodes a result into the variable that into points to. A
// number is converted where nothing is lost; anything else that does not fit
// is a [*ValueError]. What is decoded into an any arrives as nil, bool, int64,
// uint64 or *big.Int (the first that holds it), float64, string, []byte,
// time.Time, []any, and map[string]any, or map[any]any where a key is not a
// string. A key that is bytes is a [ByteKey] in these. A reference is the object
// itself where that is of this process, and a [*Ref] otherwise.
func DecodeValue(p Payload, into any) error { return decodeValue(contextOf(p), p, into) }

// decodeValue is [DecodeValue] where vc says what else may have come.
func decodeValue(vc *valueContext, p Payload, into any) error {
	if p.Type != ContentCBOR {
		return &ContentError{Type: p.Type}
	}
	if vc != nil && vc.from == nil {
		vc.from = p.from
	}
	if vc == nil && len(p.streams) > 0 {
		vc = &valueContext{streams: p.streams}
	}
	if len(p.streams) > 0 {
		defer vc.dropUnclaimed()
	}
	if v, ok := into.(*any); ok {
		if len(p.streams) > 0 {
			return decodeAnyResult(p.Data, v, vc)
		}
		rest, err := decodeAny(p.Data, v, vc)
		if err == nil && len(rest) > 0 {
			err = errTrailing
		}
		return err
	}
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("decode value: the target is %T, and must be a pointer that is not nil", into)
	}
	shape, err := shapeOf(v.Type().Elem(), inward)
	if err != nil {
		return fmt.Errorf("decode value: %w", err)
	}
	if err := shape.readable(); err != nil {
		return fmt.Errorf("decode value: %w", err)
	}
	rest, err := shape.decode(p.Data, v.Elem(), into, vc)
	if err == nil && len(rest) > 0 {
		err = errTrailing
	}
	return err
}

// ValueError says that a value does not fit the type that it is wanted as, or
// that it is malformed. The value may be a part of an argument or a result:
// Path then leads to it.
type ValueError struct {
	// Path leads from the whole to the part: "", "[2]", "items[2].price".
	Path string
	// Want is the type that was wanted, such as "string" or "list<int>".
	Want string
	// Got is what came, such as `an integer (42)`.
	Got string
	// Reason, when not empty, tells more, and stands alone when Want is empty.
	Reason string

	whole bool // the error is not that of a part, however deep it was found
}

// Error says where, what was wanted and what came.
func (e *ValueError) Error() string {
	var b bytes.Buffer
	if e.Path != "" {
		fmt.Fprintf(&b, "%s: ", e.Path)
	}
	if e.Want != "" {
		fmt.Fprintf(&b, "want %s, got %s", e.Want, e.Got)
		if e.Reason != "" {
			b.WriteString(": ")
		}
	}
	b.WriteString(e.Reason)
	return b.String()
}

// ArgumentError says which argument of a call does not fit, or cannot travel.
type ArgumentError struct {
	// Index counts from 1.
	Index int
	// Err is why, usually a [*ValueError].
	Err error
}

// Error names the argument by its number.
func (e *ArgumentError) Error() string { return fmt.Sprintf("argument %d: %v", e.Index, e.Err) }

// Unwrap returns why.
func (e *ArgumentError) Unwrap() error { return e.Err }

// ArgumentCountError says that a call has more or fewer arguments than its
// method takes. The method adds to the message what it takes.
type ArgumentCountError struct {
	// Got is how many came.
	Got int
}

// Error says how many came.
func (e *ArgumentCountError) Error() string { return "got " + plural(e.Got, "argument") }

// ContentError says that a payload's content type cannot be read here.
type ContentError struct{ Type ContentType }

// Error names the content type by its number.
func (e *ContentError) Error() string {
	return fmt.Sprintf("content type %d cannot be read here", e.Type)
}

var (
	errTrailing  = errors.New("malformed payload: data after its end")
	errTruncated = errors.New("malformed payload: it ends in the middle of a value")
)

// plural writes a count and its noun: "1 argument", "2 arguments".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// valueModes are the settings of the CBOR library, made once and never changed.
type valueModes struct {
	enc cbor.UserBufferEncMode
	// dec makes map[string]any of a map that goes into an any, and fails where
	// a key is not a string; decAny then makes map[any]any.
	dec, decAny cbor.DecMode
}

// modes returns the shared settings.
var modes = sync.OnceValue(func() *valueModes {
	enc, err := cbor.EncOptions{
		Sort:            cbor.SortCoreDeterministic,
		Time:            cbor.TimeRFC3339Nano,
		TimeTag:         cbor.EncTagRequired,
		IndefLength:     cbor.IndefLengthForbidden,
		OmitEmpty:       cbor.OmitEmptyGoValue,
		ByteArray:       cbor.ByteArrayToByteSlice,
		BinaryMarshaler: cbor.BinaryMarshalerNone,
		TextMarshaler:   cbor.TextMarshalerTextString,
	}.UserBufferEncMode()
	if err != nil {
		panic(err) // the options are constant, and the tests use them
	}
	return &valueModes{
		enc:    enc,
		dec:    decMode(reflect.TypeFor[map[string]any]()),
		decAny: decMode(reflect.TypeFor[map[any]any]()),
	}
})

// decMode returns the settings for decoding, with mapType for maps that go
// into an any.
func decMode(mapType reflect.Type) cbor.DecMode {
	var unassigned []func(*cbor.SimpleValueRegistry) error
	for v := range 256 {
		if v < 20 || v > 31 {
			unassigned = append(unassigned, cbor.WithRejectedSimpleValue(cbor.SimpleValue(v)))
		}
	}
	tags := cbor.NewTagSet()
	if err := tags.Add(cbor.TagOptions{DecTag: cbor.DecTagRequired}, reflect.TypeFor[arrivedRef](), tagReference); err != nil {
		panic(err) // constant, as below
	}
	simple, err := cbor.NewSimpleValueRegistryFromDefaults(unassigned...)
	if err != nil {
		panic(err) // constant, as above
	}
	mode, err := cbor.DecOptions{
		DupMapKey:             cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:       MaxDepth + 2, // the list of several results, and a tag in the deepest value
		MaxArrayElements:      MaxListLen,
		MaxMapPairs:           MaxMapLen,
		IndefLength:           cbor.IndefLengthForbidden,
		IntDec:                cbor.IntDecConvertSignedOrBigInt,
		BigIntDec:             cbor.BigIntDecodePointer,
		MapKeyByteString:      cbor.MapKeyByteStringAllowed,
		DefaultMapType:        mapType,
		UTF8:                  cbor.UTF8RejectInvalid,
		UnrecognizedTagToAny:  cbor.UnrecognizedTagContentToAny,
		SimpleValues:          simple,
		BinaryUnmarshaler:     cbor.BinaryUnmarshalerNone,
		TextUnmarshaler:       cbor.TextUnmarshalerTextString,
		ByteStringToString:    cbor.ByteStringToStringForbidden,
		FieldNameMatching:     cbor.FieldNameMatchingPreferCaseSensitive,
		FieldNameByteString:   cbor.FieldNameByteStringForbidden,
		ExtraReturnErrors:     cbor.ExtraDecErrorNone,
		TimeTag:               cbor.DecTagOptional,
		DefaultByteStringType: nil,
	}.DecModeWithTags(tags)
	if err != nil {
		panic(err) // constant, as above
	}
	return mode
}
