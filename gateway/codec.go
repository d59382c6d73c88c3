package gateway

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"sync"
	"time"

	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// Codec is the [rmi.Codec] of XML-RPC documents, for the nodes that serve: it
// decodes the parameters of a methodCall straight into those of the method, and
// encodes the result as a methodResponse. Which method the document names does
// not matter: the call says it.
//
// What a method takes as any arrives as by every other protocol, integers as
// int64; what XML-RPC does not have, such as NaN or fractions of a second, cannot
// arrive. Fields of structs are named by their tag `xmlrpc` or `json`. A method
// without a result returns true, since there has to be something, unless the
// caller's dialect has nil; several results are an array. A result that needs an
// extension which the caller has not asked for, such as an integer beyond 32
// bits, is an error.
type Codec struct {
	opts CodecOptions
	// open remembers, by reflect.Type, whether a type has an any inside.
	open sync.Map
}

// CodecOptions are the settings of a [Codec]. The zero value works.
type CodecOptions struct {
	// Decode says how documents are read, and what they may cost.
	Decode xmlrpc.DecodeOptions
	// Encode says how results are written. The dialect is what callers may get
	// that ask for none; see [MetadataDialect].
	Encode xmlrpc.EncodeOptions
}

var _ rmi.Codec = (*Codec)(nil)

// NewCodec returns a Codec.
func NewCodec(opts CodecOptions) *Codec { return &Codec{opts: opts} }

// ContentType is that of XML-RPC.
func (c *Codec) ContentType() rmi.ContentType { return rmi.ContentXMLRPC }

// DecodeArgs implements [rmi.Codec].
func (c *Codec) DecodeArgs(call *rmi.Call, params []reflect.Value, variadic bool) error {
	req, err := xmlrpc.ParseRequest(call.Args.Data, c.opts.Decode)
	if err != nil {
		return err
	}
	got, fixed := len(req.Params), len(params)
	if variadic {
		fixed--
	}
	if got < fixed || got > fixed && !variadic {
		return &rmi.ArgumentCountError{Got: got}
	}
	for i := range fixed {
		if err := c.decode(req.Params[i], params[i]); err != nil {
			return &rmi.ArgumentError{Index: i + 1, Err: err}
		}
	}
	if got == fixed {
		return nil
	}
	list := reflect.MakeSlice(params[fixed].Type(), got-fixed, got-fixed)
	for i := range got - fixed {
		if err := c.decode(req.Params[fixed+i], list.Index(i)); err != nil {
			return &rmi.ArgumentError{Index: fixed + i + 1, Err: err}
		}
	}
	params[fixed].Set(list)
	return nil
}

// decode decodes raw into v.
func (c *Codec) decode(raw xmlrpc.RawValue, v reflect.Value) error {
	if err := raw.DecodeValue(v); err != nil {
		return valueError(err)
	}
	if c.isOpen(v.Type()) {
		c.naturalize(v)
	}
	return nil
}

// valueError returns err, of a value that does not fit, in the words of other
// protocols.
func valueError(err error) error {
	e, ok := errors.AsType[*xmlrpc.UnmarshalTypeError](err)
	if !ok {
		return err
	}
	out := &rmi.ValueError{Path: e.Path, Want: wanted(e.Type), Got: e.Value}
	if e.Err != nil {
		out.Reason = e.Err.Error()
	}
	return out
}

// wanted is what descriptions call t.
func wanted(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return string(rmi.KindTime)
	case t == reflect.TypeFor[big.Int]():
		return string(rmi.KindInt)
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return string(rmi.KindInt)
	case t.Kind() == reflect.Bool:
		return string(rmi.KindBool)
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return string(rmi.KindFloat)
	case t.Kind() == reflect.String:
		return string(rmi.KindString)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return string(rmi.KindBytes)
	}
	return t.String()
}

// isOpen reports whether values of type t may have an any inside.
func (c *Codec) isOpen(t reflect.Type) bool {
	if known, ok := c.open.Load(t); ok {
		return known.(bool)
	}
	open := hasAny(t, map[reflect.Type]bool{})
	c.open.Store(t, open)
	return open
}

// hasAny reports whether an any is in t, outside of the types in seen.
func hasAny(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return t.NumMethod() == 0
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return hasAny(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && hasAny(f.Type, seen) {
				return true
			}
		}
	}
	return false
}

// naturalize makes what is in the anys inside v what other protocols would
// have made of it.
func (c *Codec) naturalize(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if v.NumMethod() == 0 && !v.IsNil() && v.CanSet() {
			v.Set(reflect.ValueOf(Natural(v.Interface())))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			c.naturalize(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		if c.isOpen(v.Type().Elem()) {
			for i := range v.Len() {
				c.naturalize(v.Index(i))
			}
		}
	case reflect.Map:
		if !c.isOpen(v.Type().Elem()) {
			return
		}
		for it := v.MapRange(); it.Next(); {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(it.Value())
			c.naturalize(elem)
			v.SetMapIndex(it.Key(), elem)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && c.isOpen(f.Type) {
				c.naturalize(v.Field(i))
			}
		}
	}
}

// Natural returns v, which was decoded from XML-RPC into an any, in the types
// that rmi.DecodeValue chooses: integers as int64, uint64 or *big.Int, decimals
// as strings. Lists and maps are changed in place.
func Natural(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case *big.Int:
		switch {
		case v.IsInt64():
			return v.Int64()
		case v.IsUint64():
			return v.Uint64()
		}
	case xmlrpc.Decimal:
		return string(v)
	case []any:
		for i, e := range v {
			v[i] = Natural(e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = Natural(e)
		}
	}
	return v
}

// EncodeResult implements [rmi.Codec]. It uses an extension only where nothing
// else will do.
func (c *Codec) EncodeResult(call *rmi.Call, results []reflect.Value) ([]byte, error) {
	o := c.opts.Encode
	if name := call.Metadata[MetadataDialect]; name != "" {
		dialect, err := parseDialect(name)
		if err != nil {
			return nil, err
		}
		o.Dialect = dialect
	}
	var result any
	switch len(results) {
	case 0:
		if o.Dialect == xmlrpc.Standard {
			result = true
		}
	case 1:
		result = results[0].Interface()
	default:
		all := make([]any, len(results))
		for i, v := range results {
			all[i] = v.Interface()
		}
		result = all
	}
	narrow, wide := o, o
	narrow.Dialect = xmlrpc.Standard
	doc, err := xmlrpc.AppendResponse(nil, result, narrow)
	if err == nil {
		return doc, nil
	}
	if o.Dialect != xmlrpc.Standard {
		return xmlrpc.AppendResponse(nil, result, wide)
	}
	wide.Dialect = xmlrpc.Plain
	if _, would := xmlrpc.AppendResponse(nil, result, wide); would == nil {
		err = fmt.Errorf("%w; a caller that reads such values asks for them by the header %s: plain", err, HeaderDialect)
	}
	return nil, err
}
