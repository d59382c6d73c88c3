package cli

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	labstub "farcall.dev/internal/cli/testdata/lab"
)

// TestDescribedGoCompilesAndCalls makes Go source of a live object, as a file that
// this test is compiled with, and calls the object by it.
func TestDescribedGoCompilesAndCalls(t *testing.T) {
	f := newFixture(t)
	got := f.run("describe", "lab", "-o", "go")
	if got.code != ExitOK || got.stderr != "" {
		t.Fatalf("got exit code %d and %q", got.code, got.stderr)
	}
	golden(t, filepath.Join("testdata", "lab", "lab.go"), got.stdout)

	client := labstub.NewLabClient(f.nodes["daemon-2"].Handler(), "lab")
	ctx := t.Context()
	if it, err := client.Order(ctx, labstub.Item{Sku: "A1", Count: 2}); err != nil || it.Sku != "A1" || it.Count != 3 {
		t.Errorf("order: got %+v, %v; want A1 and 3", it, err)
	}
	if sum, err := client.Sum(ctx, 1, 2, 3); err != nil || sum != 6 {
		t.Errorf("sum: got %d, %v; want 6", sum, err)
	}
	if word, n, err := client.Two(ctx); err != nil || word != "two" || n != 2 {
		t.Errorf("two: got %q, %d, %v", word, n, err)
	}
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	if later, err := client.Later(ctx, at, time.Hour); err != nil || !later.Equal(at.Add(time.Hour)) {
		t.Errorf("later: got %v, %v", later, err)
	}
	want, err := labstub.LabInterface().Info()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.nodes["daemon-2"].CheckInterface(ctx, "lab", want); err != nil {
		t.Errorf("the stub is not what it was made of: %v", err)
	}
	if have, err := f.nodes["daemon-2"].Describe(ctx, "lab", ""); err != nil || have.Digest != want.Digest {
		t.Errorf("got digest %s, %v; want %s", have.Digest, err, want.Digest)
	}
}

func TestDescribedDocumentsAreWhole(t *testing.T) {
	f := newFixture(t)
	var doc struct {
		OpenAPI string
		Info    struct{ Title, Version string }
		Paths   map[string]any
	}
	if err := json.Unmarshal([]byte(f.run("describe", "lab", "-o", "openapi").stdout), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Title != "lab" || doc.Info.Version != "v1" || len(doc.Paths) != 12 || doc.Paths["/v1/call/lab/order"] == nil {
		t.Errorf("got %s %+v with %d paths", doc.OpenAPI, doc.Info, len(doc.Paths))
	}
	var one struct{ Paths map[string]any }
	if err := json.Unmarshal([]byte(f.run("describe", "lab", "order", "-o", "openapi").stdout), &one); err != nil || len(one.Paths) != 1 {
		t.Errorf("of one method: got %d paths, %v", len(one.Paths), err)
	}
	var schema struct {
		Schema string         `json:"$schema"`
		Defs   map[string]any `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(f.run("describe", "greeting", "-o", "jsonschema").stdout), &schema); err != nil {
		t.Fatal(err)
	}
	if schema.Schema != "https://json-schema.org/draft/2020-12/schema" || len(schema.Defs) != 2 ||
		schema.Defs["get_fortune.arguments"] == nil || schema.Defs["get_fortune.result"] == nil {
		t.Errorf("got %+v", schema)
	}
}

func TestDescribedVersionIsThatOfTheInstances(t *testing.T) {
	f := newFixture(t)
	var doc struct{ Info struct{ Version string } }
	for _, args := range [][]string{{"describe", "greeting", "-o", "openapi"}, {"describe", "greeting", "-o", "openapi", "--node", "daemon-2"}} {
		if err := json.Unmarshal([]byte(f.run(args...).stdout), &doc); err != nil || doc.Info.Version != "v1" {
			t.Errorf("%v: got version %q, %v; want v1", args, doc.Info.Version, err)
		}
	}
}
