package builtin

import (
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// add returns x + y. Integers stay integers: a sum that does not fit 64 bits
// is an error, and so is an argument with a fraction.
func add(x, y int64) (int64, error) {
	sum := x + y
	if (sum > x) != (y > 0) && y != 0 {
		return 0, rmi.Errorf(rmi.InvalidArgument, "add: %d + %d does not fit a 64-bit integer", x, y)
	}
	return sum, nil
}

// addThing describes add.
func addThing() Thing {
	return Thing{
		Kind:  naming.KindFunction,
		Value: add,
		Docs: rmi.Docs{
			Doc:        "Adds two integers.",
			Methods:    map[string]string{"": "Returns x + y; an error when the sum does not fit 64 bits."},
			Params:     map[string][]string{"": {"x", "y"}},
			Idempotent: []string{""},
		},
	}
}

// echo returns its argument; several come back as a list, none as nil.
func echo(values ...any) any {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return values[0]
	}
	return values
}

// echoFunctionThing describes echo.
func echoFunctionThing() Thing {
	return Thing{
		Kind:  naming.KindFunction,
		Value: echo,
		Docs: rmi.Docs{
			Doc:        "Returns what it is given.",
			Methods:    map[string]string{"": "Returns its argument: several as a list, none as null."},
			Params:     map[string][]string{"": {"values"}},
			Idempotent: []string{""},
		},
	}
}
