package gateway

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"time"

	"farcall.dev/rmi"
)

// appendJSON appends v, a result as rmi.DecodeValue makes it, to dst. Integers
// keep every digit, bytes become base64, times RFC 3339, and the numbers that
// JSON does not have the strings "NaN", "Infinity" and "-Infinity", by which they
// are read, too. A map whose keys cannot all be strings without two becoming one
// is a list of {"key", "value"}.
func appendJSON(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case *big.Int:
		return v.Append(dst, 10), nil
	case float64:
		return appendFloat(dst, v), nil
	case string:
		return appendString(dst, v)
	case []byte:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v)
		return append(dst, '"'), nil
	case time.Time:
		dst = append(dst, '"')
		dst = v.AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"'), nil
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendJSON(dst, e); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		return appendObject(dst, keys, func(i int) any { return v[keys[i]] })
	case map[any]any:
		return appendMap(dst, v)
	}
	return dst, fmt.Errorf("a %T cannot be written as JSON", v)
}

// appendString appends s as encoding/json would.
func appendString(dst []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, err := json.Marshal(s)
			return append(dst, text...), err
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"'), nil
}

// appendFloat appends f, so that it reads back as the same, and as a float.
func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	case f != 0 && (math.Abs(f) < 1e-6 || math.Abs(f) >= 1e21):
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// appendObject appends an object of keys, and the values that at returns.
func appendObject(dst []byte, keys []string, at func(int) any) ([]byte, error) {
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendString(dst, k); err != nil {
			return dst, err
		}
		dst = append(dst, ':')
		if dst, err = appendJSON(dst, at(i)); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// pair is an entry of a map.
type pair struct {
	text  string
	key   any
	value any
}

// appendMap appends a map with keys that are not all strings.
func appendMap(dst []byte, m map[any]any) ([]byte, error) {
	pairs := make([]pair, 0, len(m))
	seen := make(map[string]bool, len(m))
	exact := true
	for k, v := range m {
		text, ok := keyText(k)
		exact = exact && ok && !seen[text]
		seen[text] = true
		pairs = append(pairs, pair{text, k, v})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.text, b.text), cmp.Compare(fmt.Sprintf("%T", a.key), fmt.Sprintf("%T", b.key)))
	})
	if exact {
		keys := make([]string, len(pairs))
		for i, p := range pairs {
			keys[i] = p.text
		}
		return appendObject(dst, keys, func(i int) any { return pairs[i].value })
	}
	dst = append(dst, '[')
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, ',')
		}
		key := p.key
		if b, ok := key.(rmi.ByteKey); ok {
			key = []byte(b)
		}
		var err error
		if dst, err = appendObject(dst, []string{"key", "value"}, func(i int) any { return [...]any{key, p.value}[i] }); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// keyText returns the key of a map as text, and whether that says everything.
func keyText(k any) (string, bool) {
	switch k := k.(type) {
	case string:
		return k, true
	case bool:
		return strconv.FormatBool(k), true
	case int64:
		return strconv.FormatInt(k, 10), true
	case uint64:
		return strconv.FormatUint(k, 10), true
	case float64:
		return string(appendFloat(nil, k)), true
	case time.Time:
		return k.Format(time.RFC3339Nano), true
	case rmi.ByteKey:
		return base64.StdEncoding.EncodeToString([]byte(k)), false
	}
	return fmt.Sprint(k), false
}
