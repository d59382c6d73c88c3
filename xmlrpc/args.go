package xmlrpc

import "reflect"

// DecodeArgs reads params into new values of the types in, which are those of a
// function's parameters, for reflect.Value.Call. With variadic the last type is a
// slice, and each further parameter becomes a value of its element type. nil is read
// into what can be nil only, because an argument that is not there is no zero. The
// error is an [*ArgumentError] that says which parameter does not fit, and why.
func DecodeArgs(params []RawValue, in []reflect.Type, variadic bool) ([]reflect.Value, error) {
	fixed := len(in)
	if variadic {
		fixed--
	}
	if len(params) < fixed || len(params) > fixed && !variadic {
		return nil, &ArgumentError{Index: -1, Got: len(params), Want: fixed, Variadic: variadic}
	}
	args := make([]reflect.Value, len(params))
	for i, p := range params {
		t := reflect.Type(nil)
		if i < fixed {
			t = in[i]
		} else {
			t = in[fixed].Elem()
		}
		arg, err := p.decodeArg(t)
		if err != nil {
			return nil, &ArgumentError{Index: i, Got: len(params), Want: fixed, Variadic: variadic, Err: err}
		}
		args[i] = arg
	}
	return args, nil
}

// decodeArg reads the value into a new one of type t.
func (v RawValue) decodeArg(t reflect.Type) (reflect.Value, error) {
	rv := reflect.New(t).Elem()
	info := typeInfoOf(t)
	if v.Kind() == KindNil && !info.ptrUnmarshaler {
		switch info.op {
		case opPointer, opInterface, opAny, opSlice, opBytes, opMap, opRaw:
		default:
			return rv, v.doc.mismatch(v.at, info)
		}
	}
	return rv, v.DecodeValue(rv)
}
