package xmlrpc

import "testing"

// clients are the clients of others that call a Handler.
var clients = []*peer{
	{
		name: "Python", language: "Python", packages: []string{"python3"},
		run: program("/usr/bin/python3", "python_client.py"),
		differences: []difference{
			rawCR,
			{name: "no-i8", text: "refuses to send integers beyond 32 bits, even with nil allowed", mark: defect, cases: map[string]expectation{
				"send_i8": {sent: "nothing", got: `error("OverflowError: int exceeds XML-RPC limits")`},
			}},
		},
	},
	{
		name: "aioxmlrpc", language: "Python, asyncio", packages: []string{"python3-aioxmlrpc", "python3-httpx"},
		run: program("/usr/bin/python3", "python_async_client.py"),
		differences: []difference{
			rawCR,
			{name: "no-i8", text: "as Python", mark: defect, cases: map[string]expectation{
				"send_i8": {sent: "nothing", got: `error("OverflowError: int exceeds XML-RPC limits")`},
			}},
		},
	},
	{
		name: "xmlrpc-c", language: "C", packages: []string{"libxmlrpc-core-c3-dev", "gcc", "libc6-dev"},
		run: compiled("xmlrpcc_client.c", "/usr/bin/gcc", "-Wall", "-o", "OUT", "SRC", "-lxmlrpc_client", "-lxmlrpc", "-lxmlrpc_util"),
		differences: []difference{
			{name: "cr-reads-as-lf", text: "makes line feeds of the carriage returns that it is sent as character references", mark: defect, cases: map[string]expectation{
				"cr": {got: `string("a\nb\nc")`},
			}},
			{name: "bmp-only", text: "has no characters beyond the Basic Multilingual Plane", mark: defect, cases: map[string]expectation{
				"emoji": {sent: "nothing", got: `error("4-byte supposed UTF-8 string is not valid UTF-8. …`},
			}},
			{name: "decimal-sum", text: "adds up digits, and so is wrong in the last ones", mark: defect, cases: map[string]expectation{
				"small": {got: "double(1.2500000000000009e-10)"},
			}},
			{name: "says-who-failed", text: "puts “RPC failed at server.” before the text of a fault", mark: trait, cases: map[string]expectation{
				"fault":   {got: `fault("42 RPC failed at server.  no such luck: <&>")`},
				"unknown": {got: `fault("-32601 RPC failed at server.  no such method: \"probe.unknown\"")`},
			}},
		},
	},
	{
		name: "RPC::XML", language: "Perl", packages: []string{"librpc-xml-perl"},
		run: program("/usr/bin/perl", "rpcxml_client.pl"),
	},
	{
		name: "Frontier", language: "Perl", packages: []string{"libfrontier-rpc-perl"},
		run:   program("/usr/bin/perl", "frontier_client.pl"),
		reads: asText("int", "i8", "double", "string"),
		differences: []difference{
			rawCR,
			{name: "names-not-escaped", text: "writes names of members as they are, so that `&` and `<` break the document", mark: defect, cases: map[string]expectation{
				"names": {sent: "nothing", got: `fault("-32700 & begins no reference…`},
			}},
			lacksNil, noI8,
			{name: "refuses-i8", text: "fails on i8", mark: defect, cases: map[string]expectation{
				"i8": {got: "error(\"wanted a data type, got `i8'…"},
			}},
		},
	},
	{
		name: "XMLRPC::Lite", language: "Perl", packages: []string{"libxmlrpc-lite-perl"},
		run: program("/usr/bin/perl", "lite_client.pl"), reads: asText(allScalars...),
		differences: []difference{
			lacksNil, noI8,
			{name: "refuses-i8", text: "fails on i8", mark: defect, cases: map[string]expectation{
				"i8": {got: `error("wrong element 'i8'…`},
			}},
		},
	},
	{
		name: "Ruby", language: "Ruby", packages: []string{"ruby-xmlrpc", "ruby"},
		run: program("/usr/bin/ruby", "ruby_client.rb"),
		differences: []difference{
			rawCR,
			{name: "i4-of-any-size", text: "writes integers beyond 32 bits, once they are enabled, as i4", mark: defect, cases: map[string]expectation{
				"send_i8": {sent: `error("xmlrpc: \"4398046511104\" is beyond the range…`},
			}},
		},
	},
	{
		name: "PHP", language: "PHP", packages: []string{"php-xmlrpc", "php-cli"},
		run: program("/usr/bin/php", "php_client.php"),
		differences: []difference{
			rawCR,
			{name: "six-decimals", text: "writes doubles with six decimals", mark: defect, cases: map[string]expectation{
				"precise": {sent: "double(3.141593)"},
				"small":   {sent: "double(0)"},
			}},
			{name: "arrays-are-arrays", text: "has one type for arrays and structs, so that an empty struct is an empty array both ways; a Handler takes one for the other", mark: trait, cases: map[string]expectation{
				"empty_struct": {sent: "array()", got: "array()"},
			}},
			{name: "null-sends-empty", text: "sends nil as an empty string", mark: defect, cases: map[string]expectation{
				"nil": {sent: `string("")`},
			}},
			{name: "i8-reads-as-null", text: "reads i8 as null, without an error", mark: defect, cases: map[string]expectation{
				"i8": {got: "nil"},
			}},
			noI8,
		},
	},
	{
		name: "Lua", language: "Lua", packages: []string{"lua-xmlrpc", "lua5.1"},
		run:   program("/usr/bin/lua5.1", "lua_client.lua"),
		reads: map[string]string{"int": "double", "date": "string"},
		differences: []difference{
			rawCR,
			{name: "not-escaped", text: "writes strings and names as they are, so that `&` and `<` break the document", mark: defect, cases: map[string]expectation{
				"string": {sent: "nothing", got: `fault("-32700 & begins no reference…`},
				"names":  {sent: "nothing", got: `fault("-32700 & begins no reference…`},
			}},
			{name: "14-digits", text: "writes doubles with 14 digits", mark: defect, cases: map[string]expectation{
				"precise": {sent: "double(3.1415926535898)"},
			}},
			{name: "sends-no-dates", text: "cannot send dates; reads them as text", mark: defect, cases: map[string]expectation{
				"date": {sent: "nothing"},
			}},
			{name: "base64-is-text", text: "cannot send base64, and leaves its decoding to the program; nothing at all comes of an empty one", mark: defect, cases: map[string]expectation{
				"base64":       {sent: "nothing", got: `string("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm…`},
				"empty_base64": {sent: "nothing", got: "nil"},
			}},
			{name: "tables", text: "has one type for arrays and structs", mark: trait, cases: map[string]expectation{
				"empty_array": {got: "struct()"},
			}},
			{name: "no-extensions", text: "has neither nil nor i8, and fails on them", mark: defect, cases: map[string]expectation{
				"nil":     {sent: "nothing", got: `error("/usr/share/lua/5.1/xmlrpc/init.lua:208: Invalid <nil> element")`},
				"i8":      {got: `error("/usr/share/lua/5.1/xmlrpc/init.lua:208: Invalid <i8> element")`},
				"send_i8": {sent: "nothing"},
			}},
		},
	},
	{
		name: "Tcl", language: "Tcl", packages: []string{"tcl-xmlrpc", "tcl"},
		run: program("/usr/bin/tclsh", "tcl_client.tcl"), reads: asText(allScalars...),
		differences: []difference{
			{name: "not-escaped", text: "writes strings as they are, so that `&` and `<` break the document", mark: defect, cases: map[string]expectation{
				"string": {sent: "nothing", got: `scalar("{faultCode -32700} {faultString {&amp; begins no reference…`},
			}},
			{name: "references-not-read", text: "does not decode references in what it reads, and writes line feeds with a carriage return before them", mark: defect, cases: map[string]expectation{
				"cr": {sent: `string("a\nb\n\nc")`, got: `scalar("a&#13;b&#13;\nc")`},
			}},
			{name: "empty-lines", text: "takes an empty line anywhere for the end of the HTTP headers", mark: defect, cases: map[string]expectation{
				"lines": {got: `error("")`},
			}},
			{name: "ascii-only", text: "counts characters for bytes, and so has only ASCII", mark: defect, cases: map[string]expectation{
				"unicode": {sent: "nothing", got: `scalar("{faultCode -32700} {faultString {the document ends too early…`},
				"emoji":   {got: `error("")`},
				"names":   {sent: "nothing", got: `error("no member faultCode")`},
			}},
			{name: "floats-by-tcl", text: "reads doubles as numbers of Tcl's", mark: trait, cases: map[string]expectation{
				"small": {got: `scalar("1.25e-10")`},
			}},
			{name: "base64-is-text", text: "leaves the coding of base64 to the program", mark: trait, cases: map[string]expectation{
				"base64": {got: `scalar("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUm…`},
			}},
			lacksNil, noI8,
			{name: "refuses-i8", text: "fails on i8", mark: defect, cases: map[string]expectation{
				"i8": {got: `error("")`},
			}},
			{name: "faults-are-results", text: "returns a fault as if it were a result, a list of code and text; does not decode references", mark: defect, cases: map[string]expectation{
				"fault":     {got: `scalar("{faultCode 42} {faultString {no such luck: &lt;&amp;&gt;}}")`},
				"unknown":   {got: `scalar("{faultCode -32601} {faultString {no such method: \"probe.unknown\"}}")`},
				"multicall": {got: `array(scalar("7"), fault("42 no such luck: &lt;&amp;&gt;"))`},
			}},
		},
	},
	{
		name: "libxmlrpcpp", language: "C++ (ROS)", packages: []string{"libxmlrpcpp-dev", "g++"},
		run: compiled("xmlrpcpp_client.cc", "/usr/bin/g++", "-Wall", "-o", "OUT", "SRC", "-lxmlrpcpp", "-lrostime", "-lcpp_common"),
		differences: []difference{
			referencesNotRead, namesNotDecoded,
			lacksNil, noI8,
			{name: "refuses-i8", text: "fails on i8", mark: defect, cases: map[string]expectation{
				"i8": {got: `error("execute returns false")`},
			}},
		},
	},
	{
		name: "libflxmlrpc", language: "C++ (fldigi)", packages: []string{"libflxmlrpc-dev", "g++"},
		run: compiled("xmlrpcpp_client.cc", "/usr/bin/g++", "-Wall", "-DFLXMLRPC", "-o", "OUT", "SRC", "-lflxmlrpc"),
		differences: []difference{
			referencesNotRead, namesNotDecoded,
			{name: "six-decimals", text: "writes doubles with six decimals, if the program does not set another format", mark: defect, cases: map[string]expectation{
				"precise": {sent: "double(3.141593)"},
				"small":   {sent: "double(0)"},
			}},
			{name: "dates-read-off", text: "reads the year and month into a struct tm as they are, which has 1900 and 1 subtracted; it writes them properly", mark: defect, cases: map[string]expectation{
				"date": {got: "date(38980817T14:08:55)"},
			}},
			{name: "i8-is-nothing", text: "has long long, but sends no value for it, and fails on i8", mark: defect, cases: map[string]expectation{
				"i8":      {got: `error("execute returns false")`},
				"send_i8": {sent: "nothing", got: `fault("-32600 a parameter has no value…`},
			}},
		},
	},
	{
		name: "aXMLRPC", language: "Java", packages: []string{"libaxmlrpc-java", "default-jdk-headless"},
		run: java("AxmlrpcClient"),
		differences: []difference{
			rawCR,
			{name: "names-not-escaped", text: "writes names of members as they are, so that `&` and `<` break the document", mark: defect, cases: map[string]expectation{
				"names": {sent: "nothing", got: `fault("-32700 & begins no reference…`},
			}},
		},
	},
}

// Differences that several have.
var (
	rawCR = difference{name: "raw-cr", text: "writes carriage returns as they are, which XML takes for line feeds", mark: defect, cases: map[string]expectation{
		"cr": {sent: `string("a\nb\nc")`},
	}}
	lacksNil = difference{name: "no-nil", text: "has no nil", mark: absent, cases: map[string]expectation{"nil": {}}}
	noI8     = difference{name: "no-i8", text: "has no integers beyond 32 bits", mark: absent, cases: map[string]expectation{"send_i8": {}}}

	referencesNotRead = difference{name: "references-not-read", text: "decodes no references to characters by number, and writes carriage returns as they are", mark: defect, cases: map[string]expectation{
		"cr": {sent: `string("a\nb\nc")`, got: `string("a&#13;b&#13;\nc")`},
	}}
	namesNotDecoded = difference{name: "names-not-decoded", text: "does not decode references in the names of members", mark: defect, cases: map[string]expectation{
		"names": {got: `struct(" blank ": int(3), "a &amp; b": int(1), "größe": int(2))`},
	}}
)

// java compiles a class of peers/ into the test's folder.
func java(class string) func(*testing.T) []string {
	const library = "/usr/share/java/axmlrpc.jar"
	return func(t *testing.T) []string {
		t.Helper()
		out := t.TempDir()
		build(t, out, class+".java", []string{"/usr/bin/javac", "-d", "OUT", "-cp", library, "SRC"})
		return []string{"/usr/bin/java", "-cp", library + ":" + out, class}
	}
}

// allScalars are the kinds that have text.
var allScalars = []string{"int", "i8", "boolean", "double", "date", "string", "base64"}

// asText is for languages that do not tell these kinds apart.
func asText(kinds ...string) map[string]string {
	m := make(map[string]string)
	for _, kind := range kinds {
		m[kind] = "scalar"
	}
	return m
}
