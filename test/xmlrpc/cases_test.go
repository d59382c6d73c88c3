package xmlrpc

import (
	"slices"
	"strings"
)

// A testCase is one capability: a value that is sent and one that comes back.
type testCase struct {
	name  string // the method probe.NAME, and the name in expectations
	title string // in the table
	of    string // the method, if it is another
	plain bool   // needs the Plain dialect
	noArg bool   // nothing is sent
	value value  // is sent
	reply value  // comes back; if its kind is empty the value itself
}

// method is the method that is called.
func (c testCase) method() string {
	if c.of != "" {
		return c.of
	}
	return "probe." + c.name
}

// want is what should come back.
func (c testCase) want() value {
	if c.reply.kind != "" {
		return c.reply
	}
	return c.value
}

// moreThanASCII has letters of one byte in Latin-1, and others.
const moreThanASCII = "Grüße, 世界"

// What probe.fault answers with.
const (
	faultCode = 42
	faultText = "no such luck: <&>"
)

var fault = faulty(faultCode, faultText)

// allBytes has every byte once.
func allBytes() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

// manyInts is an array of n ints.
func manyInts(n int) value {
	v := value{kind: "array"}
	for i := range n {
		v.elems = append(v.elems, integer(i))
	}
	return v
}

// cases are the capabilities, in the order of the table.
var cases = withList([]testCase{
	{name: "int", title: "int", value: integer(-42)},
	{name: "int_max", title: "int: the largest", value: integer(1<<31 - 1)},
	{name: "int_min", title: "int: the smallest", value: integer(-1 << 31)},
	{name: "true", title: "boolean: true", value: scalar("boolean", "1")},
	{name: "false", title: "boolean: false", value: scalar("boolean", "0")},
	{name: "string", title: "string", value: str(`one & two < three > "four" 'five'`)},
	{name: "blanks", title: "string: blanks around", value: str("  two blanks  ")},
	{name: "empty_string", title: "string: empty", value: str("")},
	{name: "lines", title: "string: line feeds, tabs", value: str("a\tb\n\nc\n")},
	{name: "cr", title: "string: carriage returns", value: str("a\rb\r\nc")},
	{name: "unicode", title: "string: unicode", value: str(moreThanASCII)},
	{name: "emoji", title: "string: emoji", value: str("😀")},
	{name: "large_string", title: "string: 300 kB", value: str(strings.Repeat("abcdefghi\n", 30_000))},
	{name: "double", title: "double", value: scalar("double", "-1.5")},
	{name: "precise", title: "double: 16 digits", value: scalar("double", "3.141592653589793")},
	{name: "small", title: "double: very small", value: scalar("double", "1.25e-10")},
	{name: "date", title: "dateTime", value: scalar("date", "19980717T14:08:55")},
	{name: "base64", title: "base64: every byte", value: scalar("base64", allBytes())},
	{name: "empty_base64", title: "base64: empty", value: scalar("base64", "")},
	{name: "array", title: "array", value: list(integer(1), str("two"), scalar("boolean", "1"))},
	{name: "empty_array", title: "array: empty", value: list()},
	{name: "large_array", title: "array: 1000 ints", value: manyInts(1000)},
	{name: "struct", title: "struct", value: structure("larry", str("two"), "moe", integer(1))},
	{name: "empty_struct", title: "struct: empty", value: structure()},
	{name: "names", title: "struct: odd names", value: structure("a & b", integer(1), "größe", integer(2), " blank ", integer(3))},
	{name: "nested", title: "arrays in structs in arrays", value: list(structure("list", list(integer(1), list(integer(2)))), structure("deep", structure("er", str("x"))))},
	{name: "nil", title: "nil, where enabled", plain: true, value: scalar("nil", "")},
	{name: "i8", title: "i8, where enabled", plain: true, noArg: true, reply: scalar("i8", "4398046511104")},
	{name: "send_i8", title: "i8 as an argument", plain: true, value: scalar("i8", "4398046511104"), reply: str("nothing")},
	{name: "none", title: "no arguments", noArg: true, reply: str("nothing")},
	{name: "fault", title: "fault", value: integer(1), reply: fault},
	{name: "unknown", title: "fault: no such method", value: integer(1), reply: faulty(-32601, `no such method: "probe.unknown"`)},
	{name: "multicall", title: "multicall, with a fault", of: "system.multicall", noArg: true, reply: list(integer(7), fault)},
})

// withList adds the case that lists the methods of all the others.
func withList(cases []testCase) []testCase {
	names := []string{"add", "system.getCapabilities", "system.listMethods", "system.methodHelp", "system.methodSignature", "system.multicall"}
	for _, c := range cases {
		if c.of == "" && c.name != "unknown" {
			names = append(names, c.method())
		}
	}
	slices.Sort(names)
	v := value{kind: "array"}
	for _, name := range names {
		v.elems = append(v.elems, str(name))
	}
	return append(cases, testCase{name: "list", title: "system.listMethods", of: "system.listMethods", noArg: true, reply: v})
}
