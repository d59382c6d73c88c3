package rmi

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"farcall.dev/naming"
)

var updateGolden = flag.Bool("update-describe", false, "write testdata/describe.golden anew")

// zoo has parameters and results of every kind.
type zoo struct{}

func (*zoo) Scalars(bool, int8, uint64, float32, string, []byte, time.Time, time.Duration, any) {}
func (*zoo) Lists([]string, [2]int, [][]float64, [16]byte)                                      {}
func (*zoo) Maps(map[string]int, map[int]map[string]any)                                        {}
func (*zoo) Structs(p point, o *order) (triple, error)                                          { return triple{}, nil }
func (*zoo) Recursive(n node) []node                                                            { return nil }

func TestDescriptionGolden(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	if err := o.Export("zoo", &zoo{}, ExportOptions{Docs: Docs{Doc: "Every kind."}}); err != nil {
		t.Fatal(err)
	}
	if err := o.Export(NodeObject, NewNodeObject(o, NodeInfo{Node: "n1", Incarnation: 7}), ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, name := range o.Names() {
		// By way of a call, so that the description is what arrives.
		info, err := InvokeAs[InterfaceInfo](t.Context(), o, NodeObject, "describe", name)
		if err != nil {
			t.Fatal(err)
		}
		local, _ := o.Interface(name)
		if diff := cmp.Diff(local, info); diff != "" {
			t.Errorf("%s changed on the way (-local +got):\n%s", name, diff)
		}
		for _, m := range info.Methods {
			got.WriteString(string(name) + " " + m.Signature() + "\n")
		}
		if name == NodeObject || name == "shop" {
			continue
		}
		enc := json.NewEncoder(&got)
		enc.SetIndent("", " ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(info); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join("testdata", "describe.golden")
	if *updateGolden {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("run with -update-describe if this is meant (-want +got):\n%s", diff)
	}
}

type v1 struct{}

func (*v1) Get(int) string { return "" }

type v1Again struct{}

func (*v1Again) Get(x int) string { return "" }

type v2 struct{}

func (*v2) Get(int32) string { return "" }

func TestDigestTellsInterfacesApart(t *testing.T) {
	o := NewObjects(ObjectsOptions{})
	digest := func(name naming.Name, v any, opts ExportOptions) string {
		if err := o.Export(name, v, opts); err != nil {
			t.Fatal(err)
		}
		info, _ := o.Interface(name)
		return info.Digest
	}
	first := digest("a", &v1{}, ExportOptions{})
	if again := digest("b", &v1Again{}, ExportOptions{Docs: Docs{Doc: "x", Params: map[string][]string{"get": {"n"}}}}); again != first {
		t.Errorf("docs and Go types enter the digest: %s and %s", first, again)
	}
	if other := digest("c", &v2{}, ExportOptions{}); other == first {
		t.Error("another parameter type has the same digest")
	}
	if len(first) != 32 {
		t.Errorf("got the digest %q, want 32 digits", first)
	}
}

func TestInterfaceInfoFindsMethods(t *testing.T) {
	info, _ := exported(t, ObjectsOptions{}).Interface("shop")
	for _, name := range []string{"get_fortune", "GetFortune"} {
		if m, ok := info.Method(name); !ok || m.Name != "get_fortune" {
			t.Errorf("%s: got %+v, %t", name, m, ok)
		}
	}
	if _, ok := info.Method(""); ok {
		t.Error("an object has a method without a name")
	}
}

func TestNodeObjectTellsOfItsNode(t *testing.T) {
	o := exported(t, ObjectsOptions{})
	started := time.Now().Add(-time.Hour)
	n := NewNodeObject(o, NodeInfo{Node: "n1", Incarnation: 7, Version: "v1.2", Started: started, Records: func() []naming.Instance {
		return []naming.Instance{{Name: "shop", Mode: naming.ModeExclusive, State: naming.StateDraining}}
	}})
	if err := o.Export(NodeObject, n, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	status, err := InvokeAs[NodeStatus](ctx, o, NodeObject, "info")
	if err != nil || status.Node != "n1" || status.Incarnation != 7 || status.Version != "v1.2" || status.Go == "" || !status.Started.Equal(started) || status.Objects != 3 {
		t.Errorf("info: got %+v, %v", status, err)
	}
	if pong, err := Invoke(ctx, o, NodeObject, "ping"); err != nil || pong != "pong" {
		t.Errorf("ping: got %v, %v", pong, err)
	}
	list, err := InvokeAs[[]ObjectStatus](ctx, o, NodeObject, "list")
	if err != nil || len(list) != 3 {
		t.Fatalf("list: got %+v, %v", list, err)
	}
	shop, add := list[2], list[0]
	if shop.Name != "shop" || shop.Mode != naming.ModeExclusive || shop.State != naming.StateDraining || shop.Kind != naming.KindObject || shop.Doc != "A shop." {
		t.Errorf("got %+v", shop)
	}
	if add.Name != "add" || add.Mode != naming.ModeShared || add.State != naming.StateLive || add.Kind != naming.KindFunction || add.Methods != 1 {
		t.Errorf("got %+v", add)
	}
	if _, err := Invoke(ctx, o, NodeObject, "describe", "shoop"); err == nil || err.Error() != `NOT_FOUND: this node has nothing named "shoop"; did you mean shop?` {
		t.Errorf("describe: got %v", err)
	}
	Invoke(ctx, o, "add", "", 1, 2)
	counters, err := InvokeAs[NodeCounters](ctx, o, NodeObject, "counters")
	if err != nil || counters.Uptime < time.Hour {
		t.Errorf("counters: got %+v, %v", counters, err)
	}
	if got := counters.Methods[0]; got != (MethodCounters{Object: "add", Calls: 1}) {
		t.Errorf("got %+v, want one call of add", got)
	}
}
