package xmlrpc

import (
	"encoding"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Marshal returns v as a <value> element, as the zero [EncodeOptions] write it.
// The error is an [*UnsupportedValueError] or an [*UnsupportedTypeError].
func Marshal(v any) ([]byte, error) { return AppendValue(nil, v, EncodeOptions{}) }

// AppendValue appends v as a <value> element to dst. If there is an error dst is
// returned as it was.
func AppendValue(dst []byte, v any, o EncodeOptions) ([]byte, error) {
	e := newEncoder(dst, &o)
	begin := "<value>"
	if o.Dialect == Apache {
		begin = "<value" + apacheDeclaration + ">"
	}
	e.string(begin)
	if err := e.any(v); err != nil {
		return dst, err
	}
	e.string("</value>")
	return e.buf, nil
}

const apacheDeclaration = ` xmlns:ex="` + apacheNamespace + `"`

// encoder appends values to a buffer.
type encoder struct {
	buf   []byte
	o     *EncodeOptions
	loc   *time.Location
	depth int // how many more values may be nested
	hops  int // how many pointers and Marshalers led here

	intTag, intEnd string

	names []string // of the members of the maps that are being written, one after the other
}

func newEncoder(dst []byte, o *EncodeOptions) encoder {
	e := encoder{buf: dst, o: o, loc: o.Location, depth: o.MaxDepth, intTag: "<int>", intEnd: "</int>"}
	if e.loc == nil {
		e.loc = time.UTC
	}
	if e.depth <= 0 {
		e.depth = defaultDepth
	}
	e.depth = min(e.depth, maxDepth)
	if o.I4 {
		e.intTag, e.intEnd = "<i4>", "</i4>"
	}
	return e
}

func (e *encoder) string(s string) { e.buf = append(e.buf, s...) }

// any appends what is in the <value> for v. The common types go without
// reflection.
func (e *encoder) any(v any) error {
	switch v := v.(type) {
	case nil:
		return e.nothing()
	case string:
		return e.text(v)
	case int:
		return e.int(int64(v))
	case bool:
		e.bool(v)
		return nil
	case float64:
		return e.double(v, 64)
	case []byte:
		e.base64(v)
		return nil
	case time.Time:
		return e.dateTime(v)
	case []any:
		return anyList(e, v, (*encoder).any)
	case []string:
		return anyList(e, v, (*encoder).text)
	case []int:
		return anyList(e, v, func(e *encoder, v int) error { return e.int(int64(v)) })
	case []float64:
		return anyList(e, v, func(e *encoder, v float64) error { return e.double(v, 64) })
	case map[string]any:
		return e.anyMap(v)
	case RawValue:
		return e.raw(v)
	}
	rv := reflect.ValueOf(v)
	return e.value(rv, typeInfoOf(rv.Type()))
}

// enter counts one more value, that holds n others: these must not be too deep
// either.
func (e *encoder) enter(n int) error {
	if e.depth--; e.depth < 0 || e.depth == 0 && n > 0 {
		return &UnsupportedValueError{Reason: "values are nested too deeply, or a pointer leads back to itself (EncodeOptions.MaxDepth)"}
	}
	return nil
}

// anyList appends the array of list.
func anyList[T any](e *encoder, list []T, elem func(*encoder, T) error) error {
	if err := e.enter(len(list)); err != nil {
		return err
	}
	e.string("<array><data>")
	for k, v := range list {
		e.string("<value>")
		if err := elem(e, v); err != nil {
			return inIndex(err, k)
		}
		e.string("</value>")
	}
	e.string("</data></array>")
	e.depth++
	return nil
}

// anyMap appends the struct of m, in the order of the names.
func (e *encoder) anyMap(m map[string]any) error {
	if err := e.enter(len(m)); err != nil {
		return err
	}
	e.string("<struct>")
	mark := len(e.names)
	for name := range m {
		e.names = append(e.names, name)
	}
	names := e.names[mark:]
	slices.Sort(names)
	for _, name := range names {
		if err := e.beginMember(name); err != nil {
			return err
		}
		if err := e.any(m[name]); err != nil {
			return inMember(err, name)
		}
		e.string("</value></member>")
	}
	e.names = e.names[:mark]
	e.string("</struct>")
	e.depth++
	return nil
}

// beginMember appends what precedes the value of a member.
func (e *encoder) beginMember(name string) error {
	e.string("<member><name>")
	if err := e.name(name, "the name of a member"); err != nil {
		return err
	}
	e.string("</name><value>")
	return nil
}

// value appends what is in the <value> for rv, which is of the type of info.
func (e *encoder) value(rv reflect.Value, info *typeInfo) error {
	if info.op == opPointer {
		if rv.IsNil() {
			return e.nothing()
		}
		return e.hop(func() error { return e.pointer(rv, info) })
	}
	switch {
	case info.marshaler:
		return e.byItself(rv.Interface().(Marshaler))
	case info.ptrMarshaler && rv.CanAddr():
		return e.byItself(rv.Addr().Interface().(Marshaler))
	case info.op == opDecimal:
		return e.decimal(Decimal(rv.String()))
	case info.textMarshaler:
		return e.byText(rv.Interface().(encoding.TextMarshaler))
	case info.ptrTextMarshaler && rv.CanAddr():
		return e.byText(rv.Addr().Interface().(encoding.TextMarshaler))
	}
	switch info.op {
	case opBool:
		e.bool(rv.Bool())
		return nil
	case opInt:
		return e.int(rv.Int())
	case opUint:
		if u := rv.Uint(); u > math.MaxInt64 {
			return e.bigInt(new(big.Int).SetUint64(u))
		}
		return e.int(int64(rv.Uint()))
	case opFloat:
		return e.double(rv.Float(), info.t.Bits())
	case opString:
		return e.text(rv.String())
	case opBytes:
		e.base64(rv.Bytes())
		return nil
	case opByteArray:
		if !rv.CanAddr() {
			c := reflect.New(info.t).Elem()
			c.Set(rv)
			rv = c
		}
		e.base64(rv.Bytes())
		return nil
	case opTime:
		return e.dateTime(rv.Interface().(time.Time))
	case opBigInt:
		v := rv.Interface().(big.Int)
		return e.bigInt(&v)
	case opRaw:
		return e.raw(rv.Interface().(RawValue))
	case opAny, opInterface:
		if rv.IsNil() {
			return e.nothing()
		}
		return e.any(rv.Interface())
	case opSlice, opArray:
		return e.list(rv, info)
	case opMap:
		return e.mapping(rv, info)
	case opStruct:
		return e.structure(rv, info)
	}
	return &UnsupportedTypeError{Type: info.t}
}

// pointer appends what a pointer, which is not nil, points to.
func (e *encoder) pointer(rv reflect.Value, info *typeInfo) error {
	switch {
	case info.marshaler && !info.elem.marshaler:
		return e.byItself(rv.Interface().(Marshaler))
	case info.elem.op == opBigInt:
		return e.bigInt(rv.Convert(reflect.TypeFor[*big.Int]()).Interface().(*big.Int))
	case info.textMarshaler && !info.elem.textMarshaler && !info.elem.marshaler:
		return e.byText(rv.Interface().(encoding.TextMarshaler))
	}
	return e.value(rv.Elem(), info.elem)
}

// byItself appends what a Marshaler chooses.
func (e *encoder) byItself(m Marshaler) error {
	v, err := m.MarshalXMLRPC()
	if err != nil {
		return &UnsupportedValueError{Reason: fmt.Sprintf("cannot write %T", m), Err: err}
	}
	return e.hop(func() error { return e.any(v) })
}

// hop counts a step that makes no value of its own in the document, a pointer or a
// Marshaler, but may lead in a circle.
func (e *encoder) hop(step func() error) error {
	if e.hops++; e.hops > 2*maxDepth {
		return &UnsupportedValueError{Reason: "a pointer or a Marshaler leads back to itself"}
	}
	err := step()
	e.hops--
	return err
}

// byText appends the text of m as a string.
func (e *encoder) byText(m encoding.TextMarshaler) error {
	b, err := m.MarshalText()
	if err != nil {
		return &UnsupportedValueError{Reason: fmt.Sprintf("cannot write %T", m), Err: err}
	}
	return e.text(string(b))
}

func (e *encoder) list(rv reflect.Value, info *typeInfo) error {
	if err := e.enter(rv.Len()); err != nil {
		return err
	}
	e.string("<array><data>")
	for k := range rv.Len() {
		e.string("<value>")
		if err := e.value(rv.Index(k), info.elem); err != nil {
			return inIndex(err, k)
		}
		e.string("</value>")
	}
	e.string("</data></array>")
	e.depth++
	return nil
}

func (e *encoder) structure(rv reflect.Value, info *typeInfo) error {
	if err := e.enter(len(info.fields)); err != nil {
		return err
	}
	e.string("<struct>")
	for k := range info.fields {
		f := &info.fields[k]
		fv, ok := fieldOf(rv, f.index)
		if !ok || f.omitEmpty && isEmpty(fv, f.info) {
			continue
		}
		if f.begin == "" {
			return &UnsupportedValueError{Reason: "the name of a member has a character that XML does not have", Path: f.name}
		}
		e.string(f.begin)
		e.string("<value>")
		if err := e.value(fv, f.info); err != nil {
			return inMember(err, f.name)
		}
		e.string("</value></member>")
	}
	e.string("</struct>")
	e.depth++
	return nil
}

// fieldOf is the field of rv at index. There is none if it is embedded in nil.
func fieldOf(rv reflect.Value, index []int) (reflect.Value, bool) {
	for k, x := range index {
		if k > 0 && rv.Kind() == reflect.Pointer {
			if rv.IsNil() {
				return rv, false
			}
			rv = rv.Elem()
		}
		rv = rv.Field(x)
	}
	return rv, true
}

// isEmpty reports whether omitempty leaves a field out.
func isEmpty(rv reflect.Value, info *typeInfo) bool {
	switch rv.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array:
		return rv.Len() == 0
	case reflect.Struct:
		switch info.op {
		case opTime:
			return rv.Interface().(time.Time).IsZero()
		case opRaw:
			return rv.Interface().(RawValue).IsZero()
		}
		return false
	}
	return rv.IsZero()
}

func (e *encoder) mapping(rv reflect.Value, info *typeInfo) error {
	if m, ok := rv.Interface().(map[string]any); ok {
		return e.anyMap(m)
	}
	if err := e.enter(rv.Len()); err != nil {
		return err
	}
	type member struct {
		name  string
		value reflect.Value
	}
	members := make([]member, 0, rv.Len())
	for it := rv.MapRange(); it.Next(); {
		name, err := keyName(it.Key(), info.key)
		if err != nil {
			return err
		}
		members = append(members, member{name, it.Value()})
	}
	slices.SortFunc(members, func(a, b member) int {
		switch {
		case a.name < b.name:
			return -1
		case a.name > b.name:
			return 1
		}
		return 0
	})
	e.string("<struct>")
	for k, m := range members {
		if k > 0 && m.name == members[k-1].name {
			return &UnsupportedValueError{Reason: "two keys of a map have the same text", Path: m.name}
		}
		if err := e.beginMember(m.name); err != nil {
			return err
		}
		if err := e.value(m.value, info.elem); err != nil {
			return inMember(err, m.name)
		}
		e.string("</value></member>")
	}
	e.string("</struct>")
	e.depth++
	return nil
}

// keyName is the name of the member for a key of a map.
func keyName(key reflect.Value, info *typeInfo) (string, error) {
	switch {
	case info.textMarshaler:
		if key.Kind() == reflect.Pointer && key.IsNil() {
			return "", &UnsupportedValueError{Reason: "a key of a map is nil"}
		}
		b, err := key.Interface().(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return "", &UnsupportedValueError{Reason: "cannot write the key of a map", Err: err}
		}
		return string(b), nil
	case info.op == opInt:
		return strconv.FormatInt(key.Int(), 10), nil
	case info.op == opUint:
		return strconv.FormatUint(key.Uint(), 10), nil
	case info.op == opString:
		return key.String(), nil
	}
	return "", &UnsupportedTypeError{Type: info.t}
}
