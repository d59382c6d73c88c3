package rmi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// ParseJSON reads one JSON text as a value of type t. Integers keep all their
// digits; bytes are strings of base64, times and durations strings as in
// [ParseText], and so are the numbers that JSON lacks ("NaN", "Inf"). A field
// that a struct does not have is refused. A stream is a list of its items. Errors are a [*ValueError], whose
// Path leads into the JSON.
func ParseJSON(data []byte, t TypeInfo) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return (&jsonReader{}).value(v, t)
		}
		err = errors.New("there is more after the value")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = errors.New("it ends too early")
	}
	return nil, &ValueError{
		Want:   t.String(),
		Got:    fmt.Sprintf("%q", clip(strings.ToValidUTF8(string(data[:min(len(data), 128)]), "\uFFFD"), 64)),
		Reason: "it has to be written as JSON, and is not: " + strings.TrimPrefix(err.Error(), "json: "),
	}
}

// jsonReader makes typed values of what encoding/json decoded with UseNumber.
type jsonReader struct {
	// scope holds the types that the value is in, for those that recur.
	scope []TypeInfo
}

// value returns v as a value of type t.
func (r *jsonReader) value(v any, t TypeInfo) (any, error) {
	if len(r.scope) > MaxDepth {
		return nil, &ValueError{Reason: fmt.Sprintf("nested deeper than %d", MaxDepth)}
	}
	t = r.resolve(t)
	switch v := v.(type) {
	case nil:
		if t.Nullable || t.Kind == KindAny {
			return nil, nil
		}
	case bool:
		if t.Kind == KindBool || t.Kind == KindAny {
			return v, nil
		}
	case json.Number:
		return numberFromJSON(v, t)
	case string:
		switch t.Kind {
		case KindString, KindAny:
			return v, nil
		case KindBytes, KindTime, KindDuration:
			return ParseText(v, t)
		case KindFloat:
			if !strings.ContainsAny(v, "0123456789") { // a number in quotes is a mistake
				return ParseText(v, t)
			}
		}
	case []any:
		switch {
		case t.Kind == KindStream:
			item := t.Item()
			return r.list(v, TypeInfo{Kind: KindList, Elem: &item})
		case t.Kind == KindStruct && t.Positional && len(v) == len(t.Fields):
			return r.positional(v, t)
		case t.Kind == KindList || t.Kind == KindAny:
			return r.list(v, t)
		}
	case map[string]any:
		switch t.Kind {
		case KindMap, KindAny:
			return r.mapping(v, t)
		case KindStruct:
			return r.structure(v, t)
		}
	}
	return nil, &ValueError{Want: clip(t.String(), 120), Got: describeJSON(v)}
}

// positional returns v as a struct that travels as a list of its fields.
func (r *jsonReader) positional(v []any, t TypeInfo) (any, error) {
	r.scope = append(r.scope, t)
	defer func() { r.scope = r.scope[:len(r.scope)-1] }()
	out := make([]any, len(v))
	for i, e := range v {
		var err error
		if out[i], err = r.value(e, t.Fields[i].Type); err != nil {
			return nil, within(err, fmt.Sprintf("[%d]", i))
		}
	}
	return out, nil
}

// resolve returns the type that t names, if it is one that recurs.
func (r *jsonReader) resolve(t TypeInfo) TypeInfo {
	if !t.Recursive {
		return t
	}
	name := strings.TrimLeft(t.Go, "*")
	for _, outer := range slices.Backward(r.scope) {
		if strings.TrimLeft(outer.Go, "*") == name {
			outer.Nullable = t.Nullable
			return outer
		}
	}
	return TypeInfo{Kind: KindAny, Nullable: true}
}

// numberFromJSON returns n as a value of type t.
func numberFromJSON(n json.Number, t TypeInfo) (any, error) {
	text := n.String()
	bad := &ValueError{Want: t.String(), Got: "the number " + clip(text, 32)}
	switch t.Kind {
	case KindAny:
		if i, ok := integerText(text); ok {
			return naturalInt(i), nil
		}
		f, err := n.Float64()
		if err != nil {
			bad.Reason = "it is too large for a float"
			return nil, bad
		}
		return f, nil
	case KindFloat, KindDuration:
		v, reason := parseScalar(text, t)
		if reason != "" {
			bad.Reason = reason
			return nil, bad
		}
		return v, nil
	case KindInt:
		i, ok := integerText(text)
		if !ok {
			f, err := n.Float64()
			if err != nil || f != float64(int64(f)) || f >= 1<<63 || f < -1<<63 {
				bad.Reason = "write an integer"
				return nil, bad
			}
			i = big.NewInt(int64(f))
		}
		v, reason := integerFor(i, t)
		if reason != "" {
			bad.Reason = reason
			return nil, bad
		}
		return v, nil
	}
	return nil, bad
}

// integerText reads JSON's text of an integer, if it is one of bearable length.
func integerText(text string) (*big.Int, bool) {
	if len(text) > maxDigits || strings.ContainsAny(text, ".eE") {
		return nil, false
	}
	return new(big.Int).SetString(text, 10)
}

// anyInfo is the type of what is in an any.
var anyInfo = TypeInfo{Kind: KindAny, Nullable: true}

// within has f read what is inside a value of type t.
func (r *jsonReader) within(t TypeInfo, f func() (any, error)) (any, error) {
	r.scope = append(r.scope, t)
	defer func() { r.scope = r.scope[:len(r.scope)-1] }()
	return f()
}

func (r *jsonReader) list(v []any, t TypeInfo) (any, error) {
	if t.Length > 0 && len(v) != t.Length {
		return nil, &ValueError{Want: t.String(), Got: describeJSON(v), Reason: fmt.Sprintf("it must have %d", t.Length)}
	}
	elem := anyInfo
	if t.Elem != nil {
		elem = *t.Elem
	}
	return r.within(t, func() (any, error) {
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = r.value(e, elem); err != nil {
				return nil, within(err, "["+strconv.Itoa(i)+"]")
			}
		}
		return out, nil
	})
}

func (r *jsonReader) mapping(v map[string]any, t TypeInfo) (any, error) {
	key, elem := TypeInfo{Kind: KindString}, anyInfo
	if t.Key != nil && t.Elem != nil {
		key, elem = *t.Key, *t.Elem
	}
	return r.within(t, func() (any, error) {
		named, keyed := make(map[string]any, len(v)), map[any]any{}
		for k, e := range v {
			step := "[" + strconv.Quote(clip(k, 32)) + "]"
			e, err := r.value(e, elem)
			if err != nil {
				return nil, within(err, step)
			}
			if key.Kind == KindString || key.Kind == KindAny {
				named[k] = e
				continue
			}
			typed, err := ParseText(k, key)
			if err != nil {
				return nil, within(err, "key "+step)
			}
			if b, ok := typed.([]byte); ok { // no map's key in Go
				return nil, &ValueError{Path: step, Reason: fmt.Sprintf("keys of bytes (%d) cannot be written in JSON", len(b))}
			}
			if _, big := typed.(*big.Int); big {
				return nil, &ValueError{Path: step, Reason: "the key is too large"}
			}
			keyed[typed] = e
		}
		if len(keyed) > 0 {
			return keyed, nil
		}
		return named, nil
	})
}

func (r *jsonReader) structure(v map[string]any, t TypeInfo) (any, error) {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return r.within(t, func() (any, error) {
		list, named := make([]any, len(t.Fields)), make(map[string]any, len(v))
		for k, e := range v {
			at := slices.Index(names, k)
			if at < 0 {
				at = slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, k) })
			}
			if at < 0 {
				return nil, &ValueError{Reason: fmt.Sprintf("there is no field %q%s; there are %s",
					clip(k, 32), strings.TrimSuffix(didYouMean(k, names), "?"), listed(names))}
			}
			e, err := r.value(e, t.Fields[at].Type)
			if err != nil {
				return nil, within(err, names[at])
			}
			list[at], named[names[at]] = e, e
		}
		if t.Positional {
			return list, nil
		}
		return named, nil
	})
}

// describeJSON says what v is, for an error.
func describeJSON(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("a bool (%t)", v)
	case string:
		return fmt.Sprintf("a string (%q)", clip(v, 32))
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return fmt.Sprintf("a map of %d", len(v))
	}
	return fmt.Sprint(v)
}
