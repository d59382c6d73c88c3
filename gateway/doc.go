// Package gateway is the front door of a mesh: it lets in, over HTTP, those who
// do not speak Farcall's own protocol, and leads calls out to servers that do
// not either.
//
// A [Gateway] is an http.Handler over any [rmi.Handler]. It has two doors:
//
//	POST /RPC2                     XML-RPC, with introspection and batches
//	POST /v1/call/{name}/{method}  JSON: a method of an object
//	POST /v1/call/{name}           JSON: a function
//	GET  /v1/names                 what can be called
//	GET  /v1/names/{name}          how it is called
//	GET  /v1/openapi.json          the same for tools: an OpenAPI 3.1 document
//
// An XML-RPC document is checked at the door, and not decoded: it travels as a
// payload of [rmi.ContentXMLRPC] to the node that serves the name, where a
// [Codec] decodes it straight into the types of the method's parameters; and so
// does the document with the result on its way back.
//
// A [Foreign] goes the other way: it is the [rmi.Handler] of an XML-RPC server
// that knows nothing of a mesh.
package gateway
