package daemonconf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"farcall.dev/internal/builtin"
	"farcall.dev/naming"
)

// parser walks a YAML document by its nodes, since only they know their lines,
// and collects what is wrong.
type parser struct {
	problems []Problem
	names    map[naming.Name]int // the line of each name
}

// wrong notes a problem at n.
func (p *parser) wrong(n *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, Problem{Line: n.Line, Text: fmt.Sprintf(format, args...)})
}

// document reads the whole. An empty document hosts nothing.
func (p *parser) document(data []byte) Config {
	p.names = map[naming.Name]int{}
	var doc yaml.Node
	if strings.TrimSpace(string(data)) == "" {
		p.wrong(&doc, "it is empty; it should say which objects and functions to host")
		return Config{}
	}
	if err := yaml.Load(data, &doc); err != nil {
		p.syntax(err)
		return Config{}
	}
	root := resolve(&doc)
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		root = resolve(root.Content[0])
	}
	var cfg Config
	lists := p.mapping(root, "the configuration", "objects", "functions", "attach")
	cfg.Entries = append(cfg.Entries, list(p, lists["objects"], "objects", p.object)...)
	cfg.Entries = append(cfg.Entries, list(p, lists["functions"], "functions", p.function)...)
	cfg.Attach = list(p, lists["attach"], "attach", p.attachment)
	if n := len(cfg.Entries) + len(cfg.Attach); n > MaxEntries {
		p.wrong(root, "it lists %d objects and functions, and the most allowed is %d", n, MaxEntries)
	}
	if len(cfg.Entries)+len(cfg.Attach) == 0 && len(p.problems) == 0 {
		p.wrong(root, "it hosts nothing; list something under objects, functions or attach")
	}
	return cfg
}

// syntax notes why the text is no YAML.
func (p *parser) syntax(err error) {
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		p.problems = append(p.problems, Problem{Line: e.Mark.Line, Text: "it is no YAML: " + e.Message})
		return
	}
	p.problems = append(p.problems, Problem{Text: "it is no YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")})
}

// list reads a sequence of entries by one; n may be nil.
func list[T any](p *parser, n *yaml.Node, what string, one func(*yaml.Node, string) (T, bool)) []T {
	if n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.wrong(n, "%s wants a list, and this is %s", what, kindOf(n))
		return nil
	}
	var es []T
	for i, item := range n.Content {
		if e, ok := one(resolve(item), fmt.Sprintf("%s[%d]", what, i)); ok {
			es = append(es, e)
		}
	}
	return es
}

// common are the keys that objects and functions share.
func common(more ...string) []string {
	return append(more, "name", "mode", "tags", "weight", "version")
}

// object reads one entry of objects.
func (p *parser) object(n *yaml.Node, where string) (Entry, bool) {
	before := len(p.problems)
	keys := p.mapping(n, where, common("type", "methods", "options")...)
	if keys == nil {
		return Entry{}, false
	}
	e := p.entry(n, keys, where)
	e.Methods = p.words(keys["methods"], where+": methods")
	options := p.options(keys["options"], where+": options")
	if e.Word = p.word(n, keys, where, "type", builtin.ObjectTypes()); e.Word != "" {
		var err error
		if e.Thing, err = builtin.Object(e.Word, options); err != nil {
			at := n
			if keys["options"] != nil {
				at = keys["options"]
			}
			p.wrong(at, "%s: %v", where, err)
		}
	}
	return e, len(p.problems) == before
}

// function reads one entry of functions.
func (p *parser) function(n *yaml.Node, where string) (Entry, bool) {
	before := len(p.problems)
	keys := p.mapping(n, where, common("function")...)
	if keys == nil {
		return Entry{}, false
	}
	e := p.entry(n, keys, where)
	if e.Word = p.word(n, keys, where, "function", builtin.Functions()); e.Word != "" {
		var err error
		if e.Thing, err = builtin.Function(e.Word); err != nil {
			p.wrong(keys["function"], "%s: %v", where, err)
		}
	}
	return e, len(p.problems) == before
}

// entry reads the keys that objects and functions share.
func (p *parser) entry(n *yaml.Node, keys map[string]*yaml.Node, where string) Entry {
	e := Entry{
		Mode:    naming.Mode(p.oneOf(keys["mode"], where+": mode", string(naming.ModeShared), string(naming.ModeExclusive), string(naming.ModeStandby))),
		Tags:    p.words(keys["tags"], where+": tags"),
		Weight:  p.weight(keys["weight"], where+": weight"),
		Version: p.text(keys["version"], where+": version"),
	}
	if keys["name"] == nil {
		p.wrong(n, "%s: name is missing: what others call it", where)
		return e
	}
	name, err := naming.ParseName(p.text(keys["name"], where+": name"))
	if err != nil {
		p.wrong(keys["name"], "%s: %v", where, err)
		return e
	}
	if line, twice := p.names[name]; twice {
		p.wrong(keys["name"], "%s: the name %q is used on line %d already", where, name, line)
	}
	p.names[name] = keys["name"].Line
	e.Name = name
	if len(e.Tags) > 0 {
		_, err := naming.Instance{Name: name, Node: "node", Tags: e.Tags}.Normalize()
		if bad, ok := errors.AsType[*naming.InvalidNameError](err); ok {
			err = bad
		}
		if err != nil {
			p.wrong(keys["tags"], "%s: %v", where, err)
		}
	}
	return e
}

// word reads the key that says what an entry is, which must be one of known.
func (p *parser) word(n *yaml.Node, keys map[string]*yaml.Node, where, key string, known []string) string {
	if keys[key] == nil {
		p.wrong(n, "%s: %s is missing; there are %s", where, key, strings.Join(known, ", "))
		return ""
	}
	return p.oneOf(keys[key], where+": "+key, known...)
}

// oneOf reads a word out of known; n may be nil.
func (p *parser) oneOf(n *yaml.Node, where string, known ...string) string {
	if n == nil {
		return ""
	}
	before := len(p.problems)
	s := p.text(n, where)
	if len(p.problems) > before || slices.Contains(known, s) {
		return s
	}
	p.wrong(n, "%s: %q is none of %s%s", where, s, strings.Join(known, ", "), meant(s, known))
	return ""
}

// weight reads a weight; n may be nil.
func (p *parser) weight(n *yaml.Node, where string) int {
	if n == nil {
		return 0
	}
	w, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || w < 1 || w > naming.MaxWeight {
		p.wrong(n, "%s wants a whole number from 1 to %d", where, naming.MaxWeight)
		return 0
	}
	return w
}

// text reads a scalar as it is written, so that version: 1.10 stays 1.10; n
// may be nil.
func (p *parser) text(n *yaml.Node, where string) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode:
		p.wrong(n, "%s wants text, and this is %s", where, kindOf(n))
		return ""
	case isNull(n):
		p.wrong(n, "%s has no value", where)
		return ""
	}
	return n.Value
}

// words reads a list of scalars; n may be nil.
func (p *parser) words(n *yaml.Node, where string) []string {
	if n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.wrong(n, "%s wants a list, such as [a, b], and this is %s", where, kindOf(n))
		return nil
	}
	var ws []string
	for _, item := range n.Content {
		ws = append(ws, p.text(resolve(item), where))
	}
	return ws
}

// options reads a mapping of scalars; n may be nil.
func (p *parser) options(n *yaml.Node, where string) builtin.Options {
	if n == nil || isNull(n) {
		return nil
	}
	o := builtin.Options{}
	for key, value := range p.mapping(n, where) {
		if value.Kind != yaml.ScalarNode {
			p.wrong(value, "%s: %s wants a single value, and this is %s", where, key, kindOf(value))
			continue
		}
		var v any
		if err := value.Decode(&v); err != nil {
			p.wrong(value, "%s: %s: %v", where, key, err)
			continue
		}
		o[key] = v
	}
	return o
}

// mapping returns the values of n by key, or nil when n is no mapping. Keys
// must be among known, unless that is empty.
func (p *parser) mapping(n *yaml.Node, where string, known ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		p.wrong(n, "%s wants keys and values, and this is %s", where, kindOf(n))
		return nil
	}
	m := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		if key.Kind != yaml.ScalarNode {
			p.wrong(key, "%s: a key must be a word, and this is %s", where, kindOf(key))
			continue
		}
		switch _, twice := m[key.Value]; {
		case len(known) > 0 && !slices.Contains(known, key.Value):
			p.wrong(key, "%s: there is no key %q%s; there are %s", where, key.Value, meant(key.Value, known), strings.Join(known, ", "))
		case twice:
			p.wrong(key, "%s: the key %q is there twice", where, key.Value)
		default:
			m[key.Value] = value
		}
	}
	return m
}

// resolve follows an alias to what it stands for. An entry's keys are as deep as
// this package reads, so that aliases can neither go in circles nor multiply.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// isNull reports whether n is an empty value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// kindOf says what n is, for people.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if isNull(n) {
			return "nothing"
		}
		return "a single value"
	}
	return "something else"
}

// meant returns (did you mean "x"?) for the word of known that is nearest to
// s, or "" when none is near.
func meant(s string, known []string) string {
	best, least := "", 1+len(s)/3
	for _, k := range known {
		if d := distance(s, k); d <= least {
			best, least = k, d-1
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance counts the letters to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			step := corner
			if a[i] != b[j] {
				step++
			}
			corner = row[j+1]
			row[j+1] = min(step, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
