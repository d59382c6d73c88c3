package xmlrpc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"strings"
)

// The oracle reads documents with encoding/xml and a grammar that is written as
// plainly as can be, for the scanner to be compared with.

// oracleNode is an element with everything in it: elements and texts.
type oracleNode struct {
	name  xml.Name
	elems []*oracleNode
	text  string
}

// errOracleUnsure is for what encoding/xml does not judge as the standard does.
var errOracleUnsure = errors.New("the oracle does not know")

// oracleTree reads a document into its root.
func oracleTree(doc []byte) (*oracleNode, error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	// Charsets are not what is compared: documents are in UTF-8 by then.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var stack []*oracleNode
	var root *oracleNode
	first := true
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if root != nil && len(stack) == 0 {
				return nil, errors.New("second root")
			}
			seen := map[xml.Name]bool{}
			for _, a := range t.Attr {
				if seen[a.Name] {
					return nil, errOracleUnsure // twice by the name, or by the namespace only
				}
				seen[a.Name] = true
			}
			n := &oracleNode{name: t.Name}
			if len(stack) > 0 {
				up := stack[len(stack)-1]
				up.elems = append(up.elems, n)
			} else {
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			} else if len(bytes.Trim(t, " \t\r\n")) > 0 {
				return nil, errors.New("text outside")
			}
		case xml.Directive:
			return nil, errOracleUnsure // any <! is refused
		case xml.ProcInst:
			if strings.EqualFold(t.Target, "xml") && !first {
				return nil, errOracleUnsure
			}
		}
		first = false
	}
	if root == nil || len(stack) > 0 {
		return nil, errors.New("no root")
	}
	return root, nil
}

var errOracleGrammar = errors.New("not XML-RPC")

// only are the elements of n if it has no other text.
func (n *oracleNode) only() ([]*oracleNode, error) {
	if len(strings.Trim(n.text, " \t\r\n")) > 0 {
		return nil, errOracleGrammar
	}
	return n.elems, nil
}

// value reads a <value>.
func (n *oracleNode) value() (any, error) {
	if n.name.Space != "" && n.name.Space == apacheNamespace || n.name.Local != "value" {
		return nil, errOracleGrammar
	}
	if len(n.elems) == 0 {
		return n.text, nil
	}
	elems, err := n.only()
	if err != nil || len(elems) != 1 {
		return nil, errOracleGrammar
	}
	return elems[0].typed()
}

// typed reads the element that gives a value its type.
func (n *oracleNode) typed() (any, error) {
	switch n.name.Local {
	case "array":
		elems, err := n.only()
		if err != nil || len(elems) > 1 {
			return nil, errOracleGrammar
		}
		list := []any{}
		if len(elems) == 0 {
			return list, nil
		}
		if elems[0].name.Local != "data" {
			return nil, errOracleGrammar
		}
		values, err := elems[0].only()
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			x, err := v.value()
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		return list, nil
	case "struct":
		elems, err := n.only()
		if err != nil {
			return nil, err
		}
		members := map[string]any{}
		for _, m := range elems {
			parts, err := m.only()
			if err != nil || m.name.Local != "member" || len(parts) != 2 {
				return nil, errOracleGrammar
			}
			if parts[0].name.Local == "value" {
				parts[0], parts[1] = parts[1], parts[0]
			}
			if parts[0].name.Local != "name" || len(parts[0].elems) > 0 {
				return nil, errOracleGrammar
			}
			name := parts[0].text
			if _, twice := members[name]; twice {
				return nil, errOracleGrammar
			}
			if members[name], err = parts[1].value(); err != nil {
				return nil, err
			}
		}
		return members, nil
	case "int", "i4", "i8", "i1", "i2", "boolean", "double", "string", "dateTime.iso8601", "base64", "float", "biginteger", "bigdecimal", "dateTime":
		if len(n.elems) > 0 {
			return nil, errOracleGrammar
		}
		// The text stands for the value: how scalars are read has its own tests.
		return oracleScalar{n.name.Local, n.text}, nil
	case "nil":
		if elems, err := n.only(); err != nil || len(elems) > 0 {
			return nil, errOracleGrammar
		}
		return nil, nil
	}
	return nil, errOracleGrammar
}

// oracleScalar is a scalar by the element it was in.
type oracleScalar struct{ elem, text string }

// prefixed reports whether a document has names with prefixes or declarations of
// namespaces: encoding/xml resolves them differently.
func (n *oracleNode) prefixed() bool {
	if n.name.Space != "" {
		return true
	}
	for _, e := range n.elems {
		if e.prefixed() {
			return true
		}
	}
	return false
}

// sameAsOracle compares a value that was scanned with what the oracle read.
func sameAsOracle(v RawValue, want any) error {
	switch want := want.(type) {
	case nil:
		if v.Kind() != KindNil {
			return fmt.Errorf("got %v, want nil", v.Kind())
		}
	case string:
		if got := string(v.doc.text(&v.doc.nodes[v.at])); v.Kind() != KindString || got != want {
			return fmt.Errorf("got %v %q, want %q", v.Kind(), got, want)
		}
	case oracleScalar:
		kind := map[string]Kind{
			"int": KindInt, "i4": KindInt, "i1": KindInt, "i2": KindInt, "i8": KindI8, "boolean": KindBoolean,
			"double": KindDouble, "float": KindDouble, "string": KindString, "dateTime.iso8601": KindDateTime, "dateTime": KindDateTime,
			"base64": KindBase64, "biginteger": KindBigInteger, "bigdecimal": KindBigDecimal,
		}[want.elem]
		if got := string(v.doc.text(&v.doc.nodes[v.at])); v.Kind() != kind || got != want.text {
			return fmt.Errorf("got %v %q, want %v %q", v.Kind(), got, kind, want.text)
		}
	case []any:
		if v.Kind() != KindArray || v.Len() != len(want) {
			return fmt.Errorf("got %v of %d, want an array of %d", v.Kind(), v.Len(), len(want))
		}
		i := 0
		for e := range v.Elems() {
			if err := sameAsOracle(e, want[i]); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
			i++
		}
	case map[string]any:
		if v.Kind() != KindStruct || v.Len() != len(want) {
			return fmt.Errorf("got %v of %d, want a struct of %d", v.Kind(), v.Len(), len(want))
		}
		for name, m := range v.Members() {
			w, ok := want[name]
			if !ok {
				return fmt.Errorf("got a member %q", name)
			}
			if err := sameAsOracle(m, w); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// same reports whether two decoded values are equal.
func same(a, b any) bool {
	if x, ok := a.(*big.Int); ok {
		y, ok := b.(*big.Int)
		return ok && x.Cmp(y) == 0
	}
	return reflect.DeepEqual(a, b)
}
