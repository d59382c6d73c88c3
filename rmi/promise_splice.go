package rmi

import (
	"fmt"
)

// argValue is what an argument, by its number from 1, is to be.
type argValue struct {
	arg  int
	item []byte
}

// splice returns the encoded arguments args with values in the places of
// arguments that are null.
func splice(args []byte, values []argValue) ([]byte, error) {
	n, rest, err := argsHead(args)
	if err != nil {
		return nil, err
	}
	size := len(args)
	for i, v := range values {
		if v.arg < 1 || v.arg > n {
			return nil, fmt.Errorf("a promise stands for argument %d, and there are %d", v.arg, n)
		}
		for _, other := range values[:i] {
			if other.arg == v.arg {
				return nil, fmt.Errorf("two promises stand for argument %d", v.arg)
			}
		}
		size += len(v.item)
	}
	out := appendHead(make([]byte, 0, size), cborList, uint64(n))
	for i := 1; i <= n; i++ {
		k, err := itemLen(rest)
		if err != nil {
			return nil, &ArgumentError{Index: i, Err: err}
		}
		item := rest[:k]
		rest = rest[k:]
		for _, v := range values {
			if v.arg != i {
				continue
			}
			if k != 1 || item[0] != cborSimple<<5|infoNull {
				return nil, &ArgumentError{Index: i, Err: &ValueError{Want: "null, where a promise stands", Got: describeItem(item)}}
			}
			item = v.item
		}
		out = append(out, item...)
	}
	if len(rest) > 0 {
		return nil, errTrailing
	}
	return out, nil
}

// elementOf returns the element number k, from 1, of the list that data is: one
// of several results.
func elementOf(data []byte, k int) ([]byte, error) {
	n, rest, err := listOf(data, plural(k, "result"))
	if err != nil {
		return nil, err
	}
	if k > n {
		return nil, &ValueError{Want: fmt.Sprintf("result %d", k), Got: plural(n, "result")}
	}
	for i := 1; ; i++ {
		size, err := itemLen(rest)
		if err != nil {
			return nil, err
		}
		if i == k {
			return rest[:size:size], nil
		}
		rest = rest[size:]
	}
}
