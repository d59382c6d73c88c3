package gateway

import (
	"context"
	"strings"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// maxTarget bounds what is looked at as the name of a method: the longest name,
// a dot, and the longest method.
const maxTarget = rmi.MaxObjectLen + 1 + rmi.MaxMethodLen

// target is what a call is for.
type target struct {
	name   naming.Name
	method string // empty for a function
}

// String writes t as XML-RPC names it.
func (t target) String() string {
	if t.method == "" {
		return string(t.name)
	}
	return string(t.name) + "." + t.method
}

// resolveTarget finds what full, a method's name in XML-RPC, means: the function
// of that name, or else the object with the longest name that is followed by a
// dot. When there is neither it returns what was probably meant, so that whoever
// is called can say what is wrong with it: the last dot separates the method.
func resolveTarget(full string, kindOf func(naming.Name) (naming.Kind, bool)) target {
	last := strings.LastIndexByte(full, '.')
	guess := target{name: naming.Name(full)}
	if last > 0 && last < len(full)-1 {
		guess = target{naming.Name(full[:last]), full[last+1:]}
	}
	if len(full) > maxTarget {
		return guess
	}
	kind, known := kindOf(naming.Name(full))
	if known && kind == naming.KindFunction {
		return target{name: naming.Name(full)}
	}
	for at := last; at > 0; at = strings.LastIndexByte(full[:at], '.') {
		if at == len(full)-1 {
			continue
		}
		if k, ok := kindOf(naming.Name(full[:at])); ok && k == naming.KindObject {
			return target{naming.Name(full[:at]), full[at+1:]}
		}
	}
	if known { // an object, called without a method
		return target{name: naming.Name(full)}
	}
	return guess
}

// target is resolveTarget by the gateway's directory.
func (g *Gateway) target(ctx context.Context, full string) target {
	return resolveTarget(full, func(name naming.Name) (naming.Kind, bool) {
		l, ok := g.dir.Lookup(ctx, name)
		return l.Kind, ok
	})
}
