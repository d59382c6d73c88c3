package gateway

import (
	"encoding/json"
	"fmt"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// OpenAPI returns the OpenAPI 3.1 document of infos: their calls by JSON, as a
// Gateway takes them. title and version are those of the document. Equal
// interfaces make equal documents.
func OpenAPI(title, version string, infos ...rmi.InterfaceInfo) ([]byte, error) {
	return indented(openAPI(title, version, infos))
}

// JSONSchema returns a JSON Schema (draft 2020-12) with the arguments and the
// result of each method of info, as the JSON door has them, under $defs:
// "get_fortune.arguments" and "get_fortune.result", or "arguments" and "result"
// for a function.
func JSONSchema(info rmi.InterfaceInfo) ([]byte, error) {
	defs := object{}
	for _, m := range info.Methods {
		prefix := m.Name + "."
		if info.Kind == naming.KindFunction {
			prefix = ""
		}
		arguments := argumentsSchema(m)
		if m.Doc != "" {
			arguments["$comment"] = m.Doc
		}
		defs[prefix+"arguments"], defs[prefix+"result"] = arguments, resultSchema(m)
	}
	root := object{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": info.Name, "$defs": defs}
	if info.Doc != "" {
		root["description"] = info.Doc
	}
	return indented(root)
}

// indented writes o for people and programs.
func indented(o object) ([]byte, error) {
	doc, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	return append(doc, '\n'), nil
}
