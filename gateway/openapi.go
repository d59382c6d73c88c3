package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// object is a JSON object of the OpenAPI document. encoding/json writes its
// members in order, so that equal interfaces make equal documents.
type object map[string]any

// serveOpenAPI writes the OpenAPI document of what there is now; the parameter
// prefix of the URL chooses what is in it.
func (g *Gateway) serveOpenAPI(w http.ResponseWriter, r *http.Request) error {
	list, err := g.dir.List(r.Context(), r.URL.Query().Get("prefix"))
	if err != nil {
		return err
	}
	infos, err := g.dir.describeAll(r.Context(), visible(list))
	if err != nil {
		return err
	}
	doc, err := json.Marshal(openAPI(g.opts.Title, g.opts.Version, infos))
	if err != nil {
		return rmi.Errorf(rmi.Internal, "write the OpenAPI document: %w", err)
	}
	if len(doc) > g.opts.MaxResponse {
		return rmi.Errorf(rmi.ResourceExhausted,
			"the OpenAPI document has %d bytes, and the most that is sent is %d; ask for a part of it with ?prefix=", len(doc), g.opts.MaxResponse)
	}
	sum := sha256.Sum256(doc)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeJSON(w, http.StatusOK, append(doc, '\n'))
	return nil
}

// openAPI returns the OpenAPI 3.1 document of what infos describe.
func openAPI(title, version string, infos []rmi.InterfaceInfo) object {
	paths := object{}
	tags := []object{}
	for _, info := range infos {
		tag := object{"name": info.Name}
		if info.Doc != "" {
			tag["description"] = info.Doc
		}
		tags = append(tags, tag)
		for _, m := range info.Methods {
			path := "/v1/call/" + url.PathEscape(string(info.Name))
			if m.Name != "" {
				path += "/" + url.PathEscape(m.Name)
			}
			// Braces would be a template's.
			path = strings.NewReplacer("{", "%7B", "}", "%7D").Replace(path)
			paths[path] = object{"post": operation(info, m)}
		}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": title, "version": version,
			"description": "The objects and functions of a Farcall mesh. Integers keep all their digits, bytes are base64, " +
				"and NaN and the infinities are the strings \"NaN\", \"Infinity\" and \"-Infinity\".",
		},
		"tags":  tags,
		"paths": paths,
		"components": object{
			"schemas": object{"Error": errorSchema()},
			"responses": object{"Error": object{
				"description": "The call failed; the code says how, and the status goes by the code.",
				"content":     object{jsonType: object{"schema": object{"$ref": "#/components/schemas/Error"}}},
			}},
			"parameters": object{"Timeout": object{
				"name": HeaderTimeout, "in": "header", "description": "How long the call may take, such as 1.5s.",
				"schema": object{"type": "string"},
			}},
		},
	}
}

// operation describes the call of m.
func operation(info rmi.InterfaceInfo, m rmi.MethodInfo) object {
	named := m
	if info.Kind == naming.KindFunction {
		named.Name = string(info.Name)
	}
	op := object{
		"operationId": target{info.Name, m.Name}.String(),
		"tags":        []naming.Name{info.Name},
		"summary":     named.Signature(),
		"parameters":  []object{{"$ref": "#/components/parameters/Timeout"}},
		"requestBody": object{
			"required": requiresBody(m),
			"content":  object{jsonType: object{"schema": argumentsSchema(m)}},
		},
		"responses": object{
			"200":     success(m),
			"default": object{"$ref": "#/components/responses/Error"},
		},
	}
	if m.Doc != "" {
		op["description"] = m.Doc
	}
	return op
}

// success describes the answer of a call of m that did not fail.
func success(m rmi.MethodInfo) object {
	if streams(m) {
		return object{
			"description": "The items as they come, one JSON document a line; one with an error is the last, and says that the stream broke off.",
			"content": object{linesType: object{"schema": object{"oneOf": []object{
				{"type": "object", "required": []string{"item"}, "properties": object{"item": schemaOf(m.Results[0].Item())}},
				{"$ref": "#/components/schemas/Error"},
			}}}},
		}
	}
	return object{
		"description": "The result.",
		"content": object{jsonType: object{"schema": object{
			"type": "object", "required": []string{"result"}, "properties": object{"result": resultSchema(m)},
		}}},
	}
}

// requiresBody reports whether m cannot be called without a body.
func requiresBody(m rmi.MethodInfo) bool {
	least := len(m.Params)
	if m.Variadic {
		least--
	}
	return least > 0
}

// argumentsSchema describes the body of a call of m.
func argumentsSchema(m rmi.MethodInfo) object {
	list := object{"type": "array", "description": "the arguments in order"}
	fixed := len(m.Params)
	if m.Variadic {
		fixed--
		list["items"] = schemaOf(m.Params[fixed].Type)
	} else {
		list["maxItems"] = fixed
	}
	list["minItems"] = fixed
	named, required := true, []string{}
	properties, items := object{}, []object{}
	for i, p := range m.Params {
		schema := schemaOf(p.Type)
		if i < fixed {
			items = append(items, schema)
			if !p.Type.Nullable {
				required = append(required, p.Name)
			}
		} else {
			schema = object{"type": "array", "items": schema}
		}
		named = named && p.Name != ""
		properties[p.Name] = schema
	}
	if len(items) > 0 {
		list["prefixItems"] = items
	}
	if !named {
		return list
	}
	return object{"oneOf": []object{list, {
		"type": "object", "description": "the arguments by name",
		"properties": properties, "required": required, "additionalProperties": false,
	}}}
}

// resultSchema describes what m returns.
func resultSchema(m rmi.MethodInfo) object {
	switch len(m.Results) {
	case 0:
		return object{"type": "null"}
	case 1:
		return schemaOf(m.Results[0])
	}
	items := make([]object, len(m.Results))
	for i, r := range m.Results {
		items[i] = schemaOf(r)
	}
	return object{"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
}

// errorSchema describes a failed call.
func errorSchema() object {
	codes := []string{}
	for _, b := range boundaries() {
		codes = append(codes, b.code.String())
	}
	return object{
		"type": "object", "required": []string{"error"},
		"properties": object{"error": object{
			"type": "object", "required": []string{"code", "message", "executed"},
			"properties": object{
				"code":    object{"type": "string", "examples": codes},
				"message": object{"type": "string", "description": "for people"},
				"type":    object{"type": "string", "description": "the Go type of the method's own error"},
				"details": object{"type": "object", "additionalProperties": object{"type": "string"}},
				"hops": object{
					"type": "array", "description": "the nodes that passed the error on, the first first",
					"items": object{"type": "object", "properties": object{
						"node": object{"type": "string"}, "called": object{"type": "string", "description": "what it called"},
					}},
				},
				"executed": object{"type": "boolean", "description": "false when the method did certainly not run"},
			},
		}},
	}
}
