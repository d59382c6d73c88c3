package rmi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Coerce makes of the words of a command line the arguments of a method: each
// becomes what its parameter's type asks for, by the rules of [ParseText].
// Errors are an [*ArgumentCountError] or an [*ArgumentError] that wraps a
// [*ValueError], whose Reason tells how such a value is written.
func Coerce(m MethodInfo, words []string) ([]any, error) {
	least := len(m.Params)
	if m.Variadic {
		least--
	}
	if len(words) < least || len(words) > least && !m.Variadic {
		return nil, &ArgumentCountError{Got: len(words)}
	}
	args := make([]any, len(words))
	for i, w := range words {
		var err error
		if args[i], err = ParseText(w, m.Params[min(i, len(m.Params)-1)].Type); err != nil {
			return nil, &ArgumentError{Index: i + 1, Err: err}
		}
	}
	return args, nil
}

// ParseText reads one word as a value of type t, for people who write
// arguments on a command line:
//
//	string    the word as it is
//	int       42, -42, 0x2a, 1_000
//	float     1.5, 1e-9, NaN, Inf, -Inf
//	bool      true, false
//	bytes     base64, with or without padding, of either alphabet
//	time      RFC 3339, such as 2026-01-02T15:04:05+01:00, or a date
//	duration  1m30s, or a number of nanoseconds
//	list, map, struct, stream   JSON, see [ParseJSON]
//	any       JSON where it is JSON, else the word as a string
//
// The word "null" is null where t is nullable, but for an any of a word that
// is not JSON. Errors are a [*ValueError].
func ParseText(word string, t TypeInfo) (any, error) {
	if word == "null" && t.Nullable {
		return nil, nil
	}
	if !utf8.ValidString(word) {
		return nil, &ValueError{Want: t.String(), Got: "text that is not UTF-8"}
	}
	got := fmt.Sprintf("%q", clip(word, 64))
	switch t.Kind {
	case KindString:
		return word, nil
	case KindAny:
		if v, err := ParseJSON([]byte(word), t); err == nil {
			return v, nil
		}
		return word, nil
	case KindReference, KindFunc:
		return nil, &ValueError{Want: t.String(), Got: got, Reason: "an object can be passed by a program only"}
	case KindList, KindMap, KindStruct, KindStream:
		return ParseJSON([]byte(word), t)
	}
	v, reason := parseScalar(strings.TrimSpace(word), t)
	if reason != "" {
		return nil, &ValueError{Want: t.String(), Got: got, Reason: reason}
	}
	return v, nil
}

// parseScalar reads word as a scalar of type t, or says how one is written.
func parseScalar(word string, t TypeInfo) (v any, reason string) {
	switch t.Kind {
	case KindBool:
		switch word {
		case "true":
			return true, ""
		case "false":
			return false, ""
		}
		return nil, "write true or false"
	case KindInt:
		n, ok := new(big.Int).SetString(decimal(word), 0)
		if !ok || len(word) > maxDigits {
			return nil, "write an integer, such as 42"
		}
		return integerFor(n, t)
	case KindFloat:
		f, err := strconv.ParseFloat(word, 64)
		switch {
		case errors.Is(err, strconv.ErrRange) || err == nil && t.Bits == 32 && !math.IsInf(f, 0) && math.Abs(f) > math.MaxFloat32:
			return nil, "it is too large for a float"
		case err != nil:
			return nil, "write a number, such as 1.5, 1e-9, NaN or -Inf"
		}
		return f, ""
	case KindBytes:
		return parseBytes(word, t)
	case KindTime:
		for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
			if at, err := time.Parse(layout, word); err == nil {
				return at, ""
			}
		}
		return nil, "write a time as in RFC 3339, such as 2026-01-02T15:04:05Z"
	case KindDuration:
		if ns, err := strconv.ParseInt(word, 10, 64); err == nil {
			return ns, ""
		}
		d, err := time.ParseDuration(word)
		if err != nil {
			return nil, "write a duration, such as 1m30s or 250ms"
		}
		return int64(d), ""
	}
	return nil, fmt.Sprintf("the type %q is not known here", t.Kind)
}

// decimal returns word without the zeros before other digits, which a person
// means as nothing and Go as octal.
func decimal(word string) string {
	digits := strings.TrimLeft(word, "+-")
	sign := word[:len(word)-len(digits)]
	if bare := strings.TrimLeft(digits, "0_"); bare != "" && bare[0] >= '0' && bare[0] <= '9' {
		return sign + bare
	}
	return word
}

// maxDigits bounds the text of an integer, since reading one takes time that
// grows with the square of its length.
const maxDigits = 10_000

// integerFor returns n as the argument for t, or says that it is out of range.
func integerFor(n *big.Int, t TypeInfo) (v any, reason string) {
	if t.Bits > 0 {
		lo, hi := (&shape{bits: t.Bits, unsigned: t.Unsigned}).intRange()
		if n.Cmp(lo) < 0 || n.Cmp(hi) > 0 {
			return nil, fmt.Sprintf("it must be from %v to %v", lo, hi)
		}
	}
	return naturalInt(n), ""
}

// parseBytes reads base64.
func parseBytes(word string, t TypeInfo) (v any, reason string) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(word, "="))
	b, err := base64.RawStdEncoding.DecodeString(plain)
	switch {
	case err != nil:
		return nil, "write bytes in base64"
	case t.Length > 0 && len(b) != t.Length:
		return nil, fmt.Sprintf("it is %s, and must be %d", plural(len(b), "byte"), t.Length)
	}
	return b, ""
}
