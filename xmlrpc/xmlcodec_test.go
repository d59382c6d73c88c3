package xmlrpc

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// xmlCodec is XML-RPC the usual way, on the tokens of encoding/xml: what the
// benchmarks compare with.
type xmlCodec struct{ dec *xml.Decoder }

// xmlDecodeCall reads a methodCall document.
func xmlDecodeCall(data []byte) (method string, params []any, err error) {
	c := xmlCodec{xml.NewDecoder(bytes.NewReader(data))}
	for {
		name, err := c.start()
		if errors.Is(err, io.EOF) {
			return method, params, nil
		}
		if err != nil {
			return "", nil, err
		}
		switch name {
		case "methodName":
			if method, err = c.text(); err != nil {
				return "", nil, err
			}
		case "value":
			v, err := c.value()
			if err != nil {
				return "", nil, err
			}
			params = append(params, v)
		}
	}
}

// next reads up to the next tag: the name of a start tag, or "" for an end tag, and
// the text before it.
func (c xmlCodec) next() (string, string, error) {
	text := ""
	for {
		t, err := c.dec.Token()
		if err != nil {
			return "", "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return t.Name.Local, text, nil
		case xml.EndElement:
			return "", text, nil
		case xml.CharData:
			text += string(t)
		}
	}
}

// start skips to the next start tag.
func (c xmlCodec) start() (string, error) {
	for {
		t, err := c.dec.Token()
		if err != nil {
			return "", err
		}
		if s, ok := t.(xml.StartElement); ok {
			return s.Name.Local, nil
		}
	}
}

// text reads up to the end tag.
func (c xmlCodec) text() (string, error) {
	name, text, err := c.next()
	if err == nil && name != "" {
		err = fmt.Errorf("unexpected <%s>", name)
	}
	return text, err
}

func (c xmlCodec) value() (any, error) {
	name, text, err := c.next()
	if err != nil || name == "" {
		return text, err
	}
	v, err := c.typed(name)
	if err != nil {
		return nil, err
	}
	if _, err := c.text(); err != nil { // </value>
		return nil, err
	}
	return v, nil
}

func (c xmlCodec) typed(name string) (any, error) {
	switch name {
	case "array":
		return c.array()
	case "struct":
		return c.structure()
	}
	text, err := c.text()
	if err != nil {
		return nil, err
	}
	switch name {
	case "int", "i4":
		return strconv.Atoi(text)
	case "double":
		return strconv.ParseFloat(text, 64)
	case "boolean":
		return strconv.ParseBool(text)
	case "string":
		return text, nil
	case "dateTime.iso8601":
		return time.Parse("20060102T15:04:05", text)
	case "base64":
		return base64.StdEncoding.DecodeString(text)
	}
	return nil, fmt.Errorf("unexpected <%s>", name)
}

func (c xmlCodec) array() (any, error) {
	list := []any{}
	if _, _, err := c.next(); err != nil { // <data>
		return nil, err
	}
	for {
		name, _, err := c.next()
		if err != nil {
			return nil, err
		}
		if name == "" {
			_, err := c.text() // </array>
			return list, err
		}
		v, err := c.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
}

func (c xmlCodec) structure() (any, error) {
	members := map[string]any{}
	for {
		member, _, err := c.next()
		if err != nil || member == "" {
			return members, err
		}
		if _, _, err := c.next(); err != nil { // <name>
			return nil, err
		}
		name, err := c.text()
		if err != nil {
			return nil, err
		}
		if _, _, err := c.next(); err != nil { // <value>
			return nil, err
		}
		if members[name], err = c.value(); err != nil {
			return nil, err
		}
		if _, err := c.text(); err != nil { // </member>
			return nil, err
		}
	}
}

// The usual way to write is a struct per element, for xml.Marshal.
type (
	xmlCall struct {
		XMLName xml.Name   `xml:"methodCall"`
		Method  string     `xml:"methodName"`
		Params  []xmlValue `xml:"params>param>value"`
	}
	xmlValue struct {
		Int    *int       `xml:"int"`
		Bool   *int       `xml:"boolean"`
		Double *float64   `xml:"double"`
		String *string    `xml:"string"`
		Base64 *string    `xml:"base64"`
		Date   *string    `xml:"dateTime.iso8601"`
		Array  *xmlArray  `xml:"array"`
		Struct *xmlStruct `xml:"struct"`
	}
	xmlArray struct {
		Data xmlData `xml:"data"`
	}
	xmlData struct {
		Values []xmlValue `xml:"value"`
	}
	xmlStruct struct {
		Members []xmlMember `xml:"member"`
	}
	xmlMember struct {
		Name  string   `xml:"name"`
		Value xmlValue `xml:"value"`
	}
)

func xmlEncodeCall(method string, args ...any) ([]byte, error) {
	call := xmlCall{Method: method}
	for _, a := range args {
		v, err := xmlValueOf(reflect.ValueOf(a))
		if err != nil {
			return nil, err
		}
		call.Params = append(call.Params, v)
	}
	return xml.Marshal(call)
}

func xmlValueOf(rv reflect.Value) (v xmlValue, err error) {
	switch rv.Kind() {
	case reflect.Int:
		n := int(rv.Int())
		v.Int = &n
	case reflect.Float64:
		f := rv.Float()
		v.Double = &f
	case reflect.String:
		s := rv.String()
		v.String = &s
	case reflect.Bool:
		b := 0
		if rv.Bool() {
			b = 1
		}
		v.Bool = &b
	case reflect.Interface:
		return xmlValueOf(rv.Elem())
	case reflect.Slice:
		if rv.Type().Elem().Kind() == reflect.Uint8 {
			s := base64.StdEncoding.EncodeToString(rv.Bytes())
			v.Base64 = &s
			return v, nil
		}
		v.Array = &xmlArray{}
		for i := range rv.Len() {
			e, err := xmlValueOf(rv.Index(i))
			if err != nil {
				return v, err
			}
			v.Array.Data.Values = append(v.Array.Data.Values, e)
		}
	case reflect.Map:
		v.Struct = &xmlStruct{}
		keys := rv.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			e, err := xmlValueOf(rv.MapIndex(k))
			if err != nil {
				return v, err
			}
			v.Struct.Members = append(v.Struct.Members, xmlMember{k.String(), e})
		}
	default:
		return v, fmt.Errorf("cannot write %v", rv.Type())
	}
	return v, nil
}
