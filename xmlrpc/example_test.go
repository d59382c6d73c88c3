package xmlrpc_test

import (
	"errors"
	"fmt"

	"farcall.dev/xmlrpc"
)

func ExampleMarshal() {
	type song struct {
		Title  string `xmlrpc:"title"`
		Year   int    `xmlrpc:"year"`
		Rating *int   `xmlrpc:"rating,omitempty"`
	}
	doc, err := xmlrpc.Marshal([]song{{Title: "Wish You Were Here", Year: 1975}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(doc))
	// Output:
	// <value><array><data><value><struct><member><name>title</name><value><string>Wish You Were Here</string></value></member><member><name>year</name><value><int>1975</int></value></member></struct></value></data></array></value>
}

func ExampleParseRequest() {
	// Blanks and line breaks around everything, as people write it by hand.
	doc := []byte(`<?xml version="1.0"?>
<methodCall>
  <methodName> add </methodName>
  <params>
    <param> <value> <int> 3 </int> </value> </param>
    <param> <value> <int> 4 </int> </value> </param>
  </params>
</methodCall>`)
	r, err := xmlrpc.ParseRequest(doc, xmlrpc.DecodeOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	sum := 0
	for _, p := range r.Params {
		var n int
		if err := p.Decode(&n); err != nil {
			fmt.Println(err)
			return
		}
		sum += n
	}
	fmt.Println(r.Method, sum)
	// Output: add 7
}

func ExampleParseResponse() {
	doc := xmlrpc.AppendFault(nil, &xmlrpc.Fault{Code: 4, String: "Too many parameters."})
	_, err := xmlrpc.ParseResponse(doc, xmlrpc.DecodeOptions{})
	if f, ok := errors.AsType[*xmlrpc.Fault](err); ok {
		fmt.Println(f.Code, f.String)
	}
	// Output: 4 Too many parameters.
}
