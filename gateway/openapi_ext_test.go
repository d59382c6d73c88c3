package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"farcall.dev/gateway"
)

// openAPIDoc gets the document, with headers.
func openAPIDoc(f *fixture, query string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(f.t.Context(), http.MethodGet, "/v1/openapi.json"+query, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.whole.ServeHTTP(w, r)
	return w
}

// at leads into a JSON value by keys.
func at(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

func TestOpenAPIDescribesTheMesh(t *testing.T) {
	f := newFixture(t, gateway.Options{Title: "Test", Version: "1.2.3"})
	w := openAPIDoc(f, "")
	var doc map[string]any
	f.must(json.Unmarshal(w.Body.Bytes(), &doc))
	if doc["openapi"] != "3.1.0" || at(doc, "info", "title") != "Test" || at(doc, "info", "version") != "1.2.3" {
		t.Errorf("got openapi %v and info %v", doc["openapi"], doc["info"])
	}
	checkOpenAPI(t, doc)
	paths := doc["paths"].(map[string]any)
	for _, path := range []string{"/v1/call/add", "/v1/call/greeting/get_fortune", "/v1/call/shop.cart/order", "/v1/call/lab/sum"} {
		if paths[path] == nil {
			t.Errorf("%s is missing", path)
		}
	}
	for path := range paths {
		if strings.Contains(path, "farcall.") {
			t.Errorf("%s is the mesh's own", path)
		}
	}
	body := func(path string) any {
		return at(paths[path], "post", "requestBody", "content", jsonType, "schema")
	}
	integer := map[string]any{"type": "integer", "format": "int64"}
	want := map[string]any{"oneOf": []any{
		map[string]any{"type": "array", "description": "the arguments in order", "prefixItems": []any{integer, integer}, "minItems": 2.0, "maxItems": 2.0},
		map[string]any{"type": "object", "description": "the arguments by name", "properties": map[string]any{"x": integer, "y": integer},
			"required": []any{"x", "y"}, "additionalProperties": false},
	}}
	if diff := cmp.Diff(any(want), body("/v1/call/add")); diff != "" {
		t.Errorf("add (-want +got):\n%s", diff)
	}
	if got := at(body("/v1/call/lab/any"), "type"); got != "array" {
		t.Errorf("a method without names for its parameters takes %v", body("/v1/call/lab/any"))
	}
	order := at(paths["/v1/call/lab/order"], "post", "responses", "200", "content", jsonType, "schema", "properties", "result", "properties")
	if diff := cmp.Diff(any(map[string]any{
		"sku": map[string]any{"type": "string"}, "count": map[string]any{"type": "integer", "format": "int32", "minimum": -2147483648.0, "maximum": 2147483647.0},
	}), order); diff != "" {
		t.Errorf("the result of order (-want +got):\n%s", diff)
	}
}

// checkOpenAPI holds doc against what OpenAPI 3.1 demands of such a document.
func checkOpenAPI(t *testing.T, doc map[string]any) {
	t.Helper()
	ids := map[any]bool{}
	for path, item := range doc["paths"].(map[string]any) {
		op, _ := at(item, "post").(map[string]any)
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "{}") || op == nil {
			t.Errorf("%s: a path must begin with a slash, have no template, and an operation", path)
			continue
		}
		if id := op["operationId"]; id == nil || ids[id] {
			t.Errorf("%s: operationId %v is missing or not unique", path, id)
		} else {
			ids[id] = true
		}
		if op["responses"] == nil || at(op, "requestBody", "content") == nil {
			t.Errorf("%s: lacks responses or a body", path)
		}
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(path, e)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				if keys := strings.Split(strings.TrimPrefix(ref, "#/"), "/"); at(doc, keys...) == nil {
					t.Errorf("%s: %s leads nowhere", path, ref)
				}
			}
			if typ, ok := v["type"].(string); ok && !strings.Contains(" null boolean object array number string integer ", " "+typ+" ") {
				t.Errorf("%s: there is no type %q", path, typ)
			}
			if desc, ok := v["responses"].(map[string]any); ok && path != "#/components" {
				for status, r := range desc {
					if at(r, "description") == nil && at(r, "$ref") == nil {
						t.Errorf("%s: response %s has no description", path, status)
					}
				}
			}
			for k, e := range v {
				walk(path+"/"+k, e)
			}
		}
	}
	walk("#", doc)
}

func TestOpenAPIIsAnsweredOnce(t *testing.T) {
	f := newFixture(t, gateway.Options{})
	first := openAPIDoc(f, "")
	tag := first.Header().Get("ETag")
	if again := openAPIDoc(f, "", "If-None-Match", tag); tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
		t.Errorf("the same again: got %d, %d bytes, for %s", again.Code, again.Body.Len(), tag)
	}
	if part := openAPIDoc(f, "?prefix=add", "If-None-Match", tag); part.Code != http.StatusOK || strings.Contains(part.Body.String(), "/v1/call/lab") {
		t.Errorf("a part: got %d %s", part.Code, part.Body)
	}
}
