package xmlrpc

// servers are the servers of others that a Client calls.
var servers = []*peer{
	{
		name: "Python", language: "Python", packages: []string{"python3"},
		run: program("/usr/bin/python3", "python_server.py"),
		differences: []difference{
			{name: "raw-cr", text: rawCR.text, mark: defect, cases: map[string]expectation{
				"cr": {got: `string("a\nb\nc")`},
			}},
			{name: "no-i8", text: "reads integers beyond 32 bits and refuses to send them", mark: defect, cases: map[string]expectation{
				"i8": {got: `fault("1 <class 'OverflowError'>:int exceeds XML-RPC limits")`},
			}},
		},
	},
	{
		name: "xmlrpc-c", language: "C, Abyss", packages: []string{"libxmlrpc-core-c3-dev", "gcc", "libc6-dev"},
		run: compiled("xmlrpcc_server.c", "/usr/bin/gcc", "-Wall", "-o", "OUT", "SRC", "-lxmlrpc_server_abyss", "-lxmlrpc_server", "-lxmlrpc_abyss", "-lxmlrpc", "-lxmlrpc_util", "-lpthread"),
		differences: []difference{
			{name: "cr-reads-as-lf", text: "makes line feeds of the carriage returns that it is sent as character references", mark: defect, cases: map[string]expectation{
				"cr": {sent: `string("a\nb\nc")`, got: `string("a\nb\nc")`},
			}},
			{name: "bmp-only", text: "has no characters beyond the Basic Multilingual Plane", mark: defect, cases: map[string]expectation{
				"emoji": {sent: `fault("-503 Call XML not a proper XML-RPC call.  4-byte…`, got: `fault("-503 Call XML not a proper XML-RPC call.  4-byte…`},
			}},
			{name: "decimal-sum", text: "adds up digits in both directions, and so is wrong in the last ones", mark: defect, cases: map[string]expectation{
				"small": {sent: "double(1.2500000000000009e-10)", got: "double(1.250000000000001e-10)"},
			}},
		},
	},
	{
		name: "RPC::XML", language: "Perl", packages: []string{"librpc-xml-perl"},
		run: program("/usr/bin/perl", "rpcxml_server.pl"), reads: asText(allScalars...),
		differences: []difference{
			{name: "types-are-guessed", text: "gives methods text without its type, and guesses the types in an array that they return", mark: trait, cases: map[string]expectation{
				"array": {got: `array(int(1), string("two"), int(1))`},
			}},
			{name: "a-fault-breaks-the-batch", text: "answers a batch in which one call fails by something that is no XML-RPC", mark: defect, cases: map[string]expectation{
				"multicall": {got: `error("xmlrpc: call system.multicall at URL: unusable response: a value has no type <fault>…`},
			}},
		},
	},
	{
		name: "Ruby", language: "Ruby, WEBrick", packages: []string{"ruby-xmlrpc", "ruby", "ruby-webrick"},
		run: program("/usr/bin/ruby", "ruby_server.rb"),
		differences: []difference{
			{name: "raw-cr", text: rawCR.text, mark: defect, cases: map[string]expectation{
				"cr": {got: `string("a\nb\nc")`},
			}},
			{name: "i4-of-any-size", text: "writes integers beyond 32 bits, once they are enabled, as i4", mark: defect, cases: map[string]expectation{
				"i8": {got: `error("xmlrpc: \"4398046511104\" is beyond the range…`},
			}},
		},
	},
}
