package xmlrpc

import (
	"encoding"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// typeInfo is what reading and writing a Go type takes. It is made once.
type typeInfo struct {
	t  reflect.Type
	op typeOp

	// How the type does it itself. ptr means that a pointer to it does.
	marshaler, ptrMarshaler         bool
	textMarshaler, ptrTextMarshaler bool
	ptrUnmarshaler                  bool
	ptrTextUnmarshaler              bool

	elem *typeInfo // of pointers, slices, arrays, maps
	key  *typeInfo // of maps

	fields []field        // of structs, in the order in which they are written
	byName map[string]int // of structs
	byFold map[string]int // of structs, by the name in lower case
}

// typeOp says what kind of value a Go type is for.
type typeOp uint8

const (
	opNone typeOp = iota
	opBool
	opInt
	opUint
	opFloat
	opString
	opBytes
	opByteArray
	opTime
	opBigInt
	opDecimal
	opRaw
	opAny
	opInterface
	opPointer
	opSlice
	opArray
	opMap
	opStruct
)

// field is a field of a struct that is a member.
type field struct {
	name      string
	begin     string // <member><name>...</name>, or "" if XML cannot carry it
	index     []int
	info      *typeInfo
	omitEmpty bool
	tagged    bool
}

var (
	marshalerType       = reflect.TypeFor[Marshaler]()
	unmarshalerType     = reflect.TypeFor[Unmarshaler]()
	textMarshalerType   = reflect.TypeFor[encoding.TextMarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()

	timeType    = reflect.TypeFor[time.Time]()
	bigIntType  = reflect.TypeFor[big.Int]()
	decimalType = reflect.TypeFor[Decimal]()
	rawType     = reflect.TypeFor[RawValue]()
)

// typeInfos has the finished typeInfo of each reflect.Type. Types are made under
// typesMu, so that those that refer to each other are published together.
var (
	typeInfos sync.Map
	typesMu   sync.Mutex
)

func typeInfoOf(t reflect.Type) *typeInfo {
	if info, ok := typeInfos.Load(t); ok {
		return info.(*typeInfo)
	}
	typesMu.Lock()
	defer typesMu.Unlock()
	fresh := map[reflect.Type]*typeInfo{}
	info := makeType(t, fresh)
	for t, i := range fresh {
		typeInfos.Store(t, i)
	}
	return info
}

// makeType makes the typeInfo of t, and of the types it consists of, in fresh.
func makeType(t reflect.Type, fresh map[reflect.Type]*typeInfo) *typeInfo {
	if info, ok := typeInfos.Load(t); ok {
		return info.(*typeInfo)
	}
	if info, ok := fresh[t]; ok {
		return info
	}
	info := &typeInfo{t: t}
	fresh[t] = info
	if t.Kind() != reflect.Interface {
		ptr := reflect.PointerTo(t)
		info.marshaler = t.Implements(marshalerType)
		info.ptrMarshaler = !info.marshaler && ptr.Implements(marshalerType)
		info.ptrUnmarshaler = ptr.Implements(unmarshalerType)
		if t != timeType && t != bigIntType && t != reflect.PointerTo(timeType) && t != reflect.PointerTo(bigIntType) {
			info.textMarshaler = t.Implements(textMarshalerType)
			info.ptrTextMarshaler = !info.textMarshaler && ptr.Implements(textMarshalerType)
			info.ptrTextUnmarshaler = ptr.Implements(textUnmarshalerType)
		}
	}
	switch t {
	case timeType:
		info.op = opTime
		return info
	case bigIntType:
		info.op = opBigInt
		return info
	case decimalType:
		info.op = opDecimal
		return info
	case rawType:
		info.op = opRaw
		return info
	}
	switch t.Kind() {
	case reflect.Bool:
		info.op = opBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		info.op = opInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		info.op = opUint
	case reflect.Float32, reflect.Float64:
		info.op = opFloat
	case reflect.String:
		info.op = opString
	case reflect.Interface:
		info.op = opInterface
		if t.NumMethod() == 0 {
			info.op = opAny
		}
	case reflect.Pointer:
		info.op, info.elem = opPointer, makeType(t.Elem(), fresh)
	case reflect.Slice:
		info.op, info.elem = opSlice, makeType(t.Elem(), fresh)
		if isByte(info.elem) {
			info.op = opBytes
		}
	case reflect.Array:
		info.op, info.elem = opArray, makeType(t.Elem(), fresh)
		if isByte(info.elem) {
			info.op = opByteArray
		}
	case reflect.Map:
		info.elem, info.key = makeType(t.Elem(), fresh), makeType(t.Key(), fresh)
		if k := info.key; k.textMarshaler || k.ptrTextUnmarshaler || k.op == opString || k.op == opInt || k.op == opUint {
			info.op = opMap
		}
	case reflect.Struct:
		info.op = opStruct
		info.fields = structFields(t, fresh)
		info.byName = make(map[string]int, len(info.fields))
		info.byFold = make(map[string]int, len(info.fields))
		for i, f := range info.fields {
			info.byName[f.name] = i
			if fold := strings.ToLower(f.name); fold != "" {
				if _, taken := info.byFold[fold]; !taken {
					info.byFold[fold] = i
				}
			}
		}
	}
	return info
}

// isByte reports whether slices of the type are bytes, and no array of values.
func isByte(elem *typeInfo) bool {
	return elem.t.Kind() == reflect.Uint8 && !elem.marshaler && !elem.ptrUnmarshaler && !elem.textMarshaler
}

// structFields are the members of the struct type t, by the rules of
// encoding/json: in the order of their declaration, with the fields of embedded
// structs in their place, where no shallower field, or no tagged one of the same
// depth, has their name.
func structFields(t reflect.Type, fresh map[reflect.Type]*typeInfo) []field {
	var all []field
	var walk func(t reflect.Type, index []int, within []reflect.Type)
	walk = func(t reflect.Type, index []int, within []reflect.Type) {
		within = append(within, t)
		for i := range t.NumField() {
			sf := t.Field(i)
			tag, ok := sf.Tag.Lookup("xmlrpc")
			if !ok {
				tag = sf.Tag.Get("json")
			}
			if tag == "-" {
				continue
			}
			name, options, _ := strings.Cut(tag, ",")
			at := append(slices.Clone(index), i)
			if sf.Anonymous && name == "" {
				et := sf.Type
				if et.Kind() == reflect.Pointer && sf.IsExported() {
					et = et.Elem()
				}
				if et.Kind() == reflect.Struct && makeType(et, fresh).op == opStruct && !doesItself(makeType(et, fresh)) {
					if !slices.Contains(within, et) {
						walk(et, at, within)
					}
					continue
				}
			}
			if !sf.IsExported() {
				continue
			}
			f := field{name: name, tagged: name != "", index: at, info: makeType(sf.Type, fresh)}
			if name == "" {
				f.name = sf.Name
			}
			for o := range strings.SplitSeq(options, ",") {
				f.omitEmpty = f.omitEmpty || o == "omitempty"
			}
			if text, ok := appendText(nil, f.name, false); ok {
				f.begin = "<member><name>" + string(text) + "</name>"
			}
			all = append(all, f)
		}
	}
	walk(t, nil, nil)

	// Of the fields with one name the shallowest counts, of several the one with a
	// tag, and otherwise none.
	best := map[string]int{} // to an index of all, or -1
	for i, f := range all {
		k, ok := best[f.name]
		switch {
		case !ok:
			best[f.name] = i
		case stronger(f, all, k):
			best[f.name] = i
		case k >= 0 && !stronger(all[k], all, i):
			best[f.name] = tie(i)
		}
	}
	var fields []field
	for i, f := range all {
		if best[f.name] == i {
			fields = append(fields, f)
		}
	}
	return fields
}

// tie marks that the field at i has a rival as good as itself.
func tie(i int) int { return -1 - i }

// stronger reports whether f hides the field at k, or the rivals that k stands for.
func stronger(f field, all []field, k int) bool {
	if k < 0 {
		k = -1 - k
	}
	other := all[k]
	if len(f.index) != len(other.index) {
		return len(f.index) < len(other.index)
	}
	return f.tagged && !other.tagged
}

// doesItself reports whether the type has its own way to be read or written.
func doesItself(i *typeInfo) bool {
	return i.marshaler || i.ptrMarshaler || i.ptrUnmarshaler || i.textMarshaler || i.ptrTextMarshaler || i.ptrTextUnmarshaler
}

// TypeName is the name of the type that a Go type is written as, as
// system.methodSignature has it: "int", "struct" and so on, "nil" for a nil t, and
// "undef" for what depends on the value, such as an interface.
func TypeName(t reflect.Type) string {
	if t == nil {
		return KindNil.String()
	}
	info := typeInfoOf(t)
	for info.op == opPointer && !info.marshaler && !info.textMarshaler {
		info = info.elem
	}
	if info.op == opBigInt {
		return KindInt.String()
	}
	if info.marshaler || info.ptrMarshaler || info.ptrUnmarshaler {
		return "undef"
	}
	if info.op != opDecimal && (info.textMarshaler || info.ptrTextMarshaler) {
		return KindString.String()
	}
	if k, ok := opKinds[info.op]; ok {
		return k.String()
	}
	return "undef"
}

// opKinds are the kinds that Go types are written as.
var opKinds = map[typeOp]Kind{
	opBool: KindBoolean, opInt: KindInt, opUint: KindInt, opFloat: KindDouble, opString: KindString,
	opBytes: KindBase64, opByteArray: KindBase64, opTime: KindDateTime, opDecimal: KindDouble,
	opSlice: KindArray, opArray: KindArray, opMap: KindStruct, opStruct: KindStruct,
}
