package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"farcall.dev/rmi"
)

// The rules by which a result becomes text:
//
//   - a string as it is, with a line feed if it does not end in one;
//   - bytes as they are, and nothing added; on a terminal a hex dump when they
//     are not text;
//   - nothing (a method without a result, or nil) as nothing;
//   - a boolean, number or time in one line;
//   - a list of such, one to a line, unless a string in it has control
//     characters of its own;
//   - everything else as indented JSON.

// writeText writes v for people and shell scripts. Terminal says that w is one.
func writeText(w io.Writer, v any, terminal bool) error {
	switch v := v.(type) {
	case nil:
		return nil
	case []byte:
		if terminal && !printable(string(v)) {
			d := hex.Dumper(w)
			if _, err := d.Write(v); err != nil {
				return err
			}
			return d.Close()
		}
		_, err := w.Write(v)
		return err
	case string:
		if !strings.HasSuffix(v, "\n") {
			v += "\n"
		}
		_, err := io.WriteString(w, v)
		return err
	case []any:
		lines := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := inLine(e)
			if !ok {
				return writeJSON(w, v, true)
			}
			lines = append(lines, s+"\n")
		}
		_, err := io.WriteString(w, strings.Join(lines, ""))
		return err
	}
	if s, ok := inLine(v); ok {
		_, err := io.WriteString(w, s+"\n")
		return err
	}
	return writeJSON(w, v, true)
}

// inLine returns v as one line of text, or false when it has none.
func inLine(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, !strings.ContainsFunc(v, unicode.IsControl)
	case time.Time:
		return v.Format(time.RFC3339Nano), true
	case *big.Int:
		return v.String(), true
	case big.Int:
		return v.String(), true
	case time.Duration:
		return v.String(), true
	case *rmi.Ref:
		return v.String(), true
	}
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(rv.Bool()), true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(rv.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(rv.Uint(), 10), true
	case reflect.Float32, reflect.Float64:
		return floatText(rv.Float()), true
	}
	return "", false
}

// floatText is the shortest text that reads back as f.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f != 0 && (math.Abs(f) < 1e-6 || math.Abs(f) >= 1e21):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// writeJSON writes v as one JSON document and a line feed. Bytes become base64,
// times RFC 3339, NaN and the infinities the strings "NaN", "Infinity" and
// "-Infinity"; integers keep every digit.
func writeJSON(w io.Writer, v any, indent bool) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(jsonable(v))
}

// jsonable returns v with everything replaced that encoding/json refuses or
// would write inexactly. Values that are not results of calls, such as the
// structs of this package, pass through.
func jsonable(v any) any {
	switch v := v.(type) {
	case nil, bool, string, json.Number:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return floatText(v)
		}
		return v
	case float32:
		return jsonable(float64(v))
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case *rmi.Ref:
		return v.String()
	case *big.Int:
		return json.Number(v.String())
	case big.Int:
		return json.Number(v.String())
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = jsonable(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = jsonable(e)
		}
		return out
	case map[any]any:
		return jsonableMap(v)
	}
	return v
}

// pair is an entry of a map whose keys cannot all become JSON's strings.
type pair struct {
	Key   any `json:"key"`
	Value any `json:"value"`
}

// jsonableMap makes the keys of m strings. Where two keys would become one (1
// and "1"), or a key has no text, it makes a list of pairs instead, so that no
// entry is lost.
func jsonableMap(m map[any]any) any {
	out := make(map[string]any, len(m))
	exact := true
	for k, e := range m {
		s, ok := inLine(k)
		if str, isString := k.(string); isString {
			s, ok = str, true
		}
		if _, twice := out[s]; twice || !ok {
			exact = false
			break
		}
		out[s] = jsonable(e)
	}
	if exact {
		return out
	}
	pairs := make([]pair, 0, len(m))
	for k, e := range m {
		pairs = append(pairs, pair{jsonable(k), jsonable(e)})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return strings.Compare(fmt.Sprintf("%T %v", a.Key, a.Key), fmt.Sprintf("%T %v", b.Key, b.Key))
	})
	return pairs
}

// writeYAML writes the document that writeJSON would write, as YAML.
func writeYAML(w io.Writer, v any) error {
	var b bytes.Buffer
	if err := writeJSON(&b, v, false); err != nil {
		return err
	}
	dec := json.NewDecoder(&b)
	dec.UseNumber()
	node, err := yamlNode(dec)
	if err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	d, err := yaml.NewDumper(w, yaml.WithIndent(2))
	if err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	if err := d.Dump(node); err != nil {
		return err
	}
	return d.Close()
}

// yamlNode reads the next JSON value of dec as a YAML node. Going by JSON's
// tokens keeps the order of fields and every digit of a number.
func yamlNode(dec *json.Decoder) (*yaml.Node, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	scalar := func(tag, value string) (*yaml.Node, error) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}, nil
	}
	switch tok := tok.(type) {
	case nil:
		return scalar("!!null", "null")
	case bool:
		return scalar("!!bool", strconv.FormatBool(tok))
	case json.Number:
		if strings.ContainsAny(tok.String(), ".eE") {
			return scalar("!!float", tok.String())
		}
		return scalar("!!int", tok.String())
	case string:
		return scalar("!!str", tok)
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if tok == json.Delim('[') {
		n = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	}
	for dec.More() {
		child, err := yamlNode(dec)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, child)
	}
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	_, err = dec.Token()
	return n, err
}

// printable reports whether s is text that does a terminal no harm.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, harmful)
}

// harmful reports whether a terminal would obey r instead of showing it.
func harmful(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t'
}

// clean returns s, which came from a peer, with everything escaped that a
// terminal would obey instead of showing. Results are not cleaned: they are
// what was asked for, to the byte.
func clean(s string) string {
	if printable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if harmful(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// cleanLine is clean for text that must stay in one line.
func cleanLine(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(clean(s))
}
