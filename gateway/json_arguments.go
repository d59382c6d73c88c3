package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"farcall.dev/rmi"
)

// parseArguments reads the body of a call of t: an array of arguments, an object
// of arguments by the names of their parameters, or nothing for none. Method says
// what they should be; nil when that is not known.
func parseArguments(body []byte, method *rmi.MethodInfo, t target) ([]any, error) {
	bad := func(format string, args ...any) ([]any, error) {
		return nil, refusal(http.StatusBadRequest, rmi.InvalidArgument, "%s: %w", t, fmt.Errorf(format, args...))
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		body = []byte("[]")
	}
	switch body[0] {
	case '[':
		var raws []json.RawMessage
		if err := json.Unmarshal(body, &raws); err != nil {
			return bad("the body is not JSON: %w", err)
		}
		args, err := positional(raws, method)
		if err != nil {
			return bad("%w%s", err, usage(method, t))
		}
		return args, nil
	case '{':
		named, err := members(body)
		if err != nil {
			return bad("the body is not JSON: %w", err)
		}
		if method == nil && len(named) > 0 {
			return bad("its parameters are not known, so their names are not; give the arguments as an array")
		}
		if method == nil {
			return nil, nil
		}
		args, err := byName(named, *method)
		if err != nil {
			return bad("%w%s", err, usage(method, t))
		}
		return args, nil
	}
	return bad("the body must be an array of arguments, or an object of arguments by name")
}

// usage says how method is called.
func usage(method *rmi.MethodInfo, t target) string {
	if method == nil {
		return ""
	}
	m := *method
	if m.Name == "" {
		m.Name = string(t.name)
	}
	return ": " + m.Signature()
}

// positional reads arguments by their place. Their number is left to the method,
// which says what it takes.
func positional(raws []json.RawMessage, method *rmi.MethodInfo) ([]any, error) {
	args := make([]any, len(raws))
	for i, raw := range raws {
		typ := rmi.TypeInfo{Kind: rmi.KindAny, Nullable: true}
		if method != nil && len(method.Params) > 0 && (i < len(method.Params) || method.Variadic) {
			typ = method.Params[min(i, len(method.Params)-1)].Type
		}
		var err error
		if args[i], err = rmi.ParseJSON(raw, typ); err != nil {
			return nil, fmt.Errorf("argument %d%s: %w", i+1, paramName(method, i), err)
		}
	}
	return args, nil
}

// paramName names the parameter for argument i in brackets, where it has a name.
func paramName(method *rmi.MethodInfo, i int) string {
	if method == nil || len(method.Params) == 0 {
		return ""
	}
	if name := method.Params[min(i, len(method.Params)-1)].Name; name != "" {
		return " (" + name + ")"
	}
	return ""
}

// byName reads arguments by the names of their parameters. One that may be null
// may be left out; a variadic one is an array.
func byName(named map[string]json.RawMessage, method rmi.MethodInfo) ([]any, error) {
	var args []any
	for i, p := range method.Params {
		if p.Name == "" {
			return nil, errors.New("its parameters have no names; give the arguments as an array")
		}
		raw, ok := named[p.Name]
		delete(named, p.Name)
		if method.Variadic && i == len(method.Params)-1 {
			if !ok {
				break
			}
			list, err := rmi.ParseJSON(raw, rmi.TypeInfo{Kind: rmi.KindList, Elem: &p.Type})
			if err != nil {
				return nil, fmt.Errorf("argument %q: %w", p.Name, err)
			}
			args = append(args, list.([]any)...)
			break
		}
		if !ok && !p.Type.Nullable {
			return nil, fmt.Errorf("argument %q is missing", p.Name)
		}
		if !ok {
			args = append(args, nil)
			continue
		}
		v, err := rmi.ParseJSON(raw, p.Type)
		if err != nil {
			return nil, fmt.Errorf("argument %q: %w", p.Name, err)
		}
		args = append(args, v)
	}
	for name := range named {
		return nil, fmt.Errorf("there is no parameter %q", clip(strings.ToValidUTF8(name, "\uFFFD"), 64))
	}
	return args, nil
}

// members reads a JSON object, and refuses one with a name twice: whoever checks
// the first and whoever uses the last do not talk about the same call.
func members(body []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	found := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string) // no other token can stand here
		if _, twice := found[name]; twice {
			return nil, fmt.Errorf("the name %q is there twice", clip(name, 64))
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		found[name] = raw
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the object")
	}
	return found, nil
}
