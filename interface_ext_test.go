package farcall_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"farcall.dev"
	"farcall.dev/internal/meshtest"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// scaleV1 and scaleV2 are two versions of an object.
type (
	scaleV1 struct{}
	scaleV2 struct{}
)

func (scaleV1) Weigh(grams int64) int64 { return grams }
func (scaleV1) Tare()                   {}

func (scaleV2) Weigh(grams float64) float64 { return grams }
func (scaleV2) Tare()                       {}
func (scaleV2) Unit() string                { return "g" }

// scaleClient was generated for scaleV1.
var scaleClient = rmi.NewInterface[scaleV1](rmi.ExportOptions{})

// TestMeshOfTwoVersions walks through an upgrade under a client that was compiled
// against the first version.
func TestMeshOfTwoVersions(t *testing.T) {
	m := meshtest.New(t)
	old, fresh, caller := m.Node("old", nil), m.Node("fresh", nil), m.Client("caller")
	ctx := t.Context()
	if err := old.Register(ctx, "scale", scaleV1{}, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	want, err := scaleClient.Info()
	if err != nil {
		t.Fatal(err)
	}
	client := rmi.NewClient(caller.Handler(), "scale", scaleClient)
	weigh := func() (int64, error) {
		var grams int64
		err := client.Call(ctx, rmi.Method{Name: "weigh"}, rmi.Into(&grams), int64(5))
		return grams, err
	}
	await := func(nodes int) {
		t.Helper()
		for change := range caller.Resolver().Changes(ctx, "scale") {
			if change.New != nil && len(change.New.Callable()) == nodes {
				return
			}
		}
	}
	await(1)
	if grams, err := weigh(); grams != 5 || err != nil {
		t.Fatalf("one version: got %d, %v; want 5", grams, err)
	}
	if err := caller.CheckInterface(ctx, "scale", want); err != nil {
		t.Fatalf("one version: got %v, want nil", err)
	}

	if err := fresh.Register(ctx, "scale", scaleV2{}, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	await(2)
	for range 10 {
		// The new version takes 5 for 5.0; its answer has no fraction, and fits.
		if grams, err := weigh(); grams != 5 || err != nil {
			t.Errorf("two versions: got %d, %v; want 5", grams, err)
		}
	}
	mismatch := func(err error) {
		t.Helper()
		e, ok := errors.AsType[*rmi.InterfaceError](err)
		if !ok || len(e.Methods) != 1 || e.Methods[0].Method != "weigh" || len(e.Nodes) != 1 || e.Nodes[0] != "fresh" {
			t.Errorf("got %v, want that weigh differs on fresh", err)
		} else if !strings.Contains(err.Error(), "scale on node fresh") || !strings.Contains(err.Error(), "int64 is sent, and float64 is wanted") {
			t.Errorf("got %v", err)
		}
	}
	mismatch(caller.CheckInterface(ctx, "scale", want))

	if err := old.Unregister(ctx, "scale"); err != nil {
		t.Fatal(err)
	}
	await(1)
	_, err = weigh()
	mismatch(err)
	if e, ok := errors.AsType[*rmi.Error](err); !ok || e.Code != rmi.Unimplemented || e.Execution != rmi.NotExecuted {
		t.Errorf("got %v, want UNIMPLEMENTED, not executed", err)
	}
	if err := client.Call(ctx, rmi.Method{Name: "tare"}, nil); err != nil {
		t.Errorf("the method that is as it was: got %v", err)
	}
	if err := caller.CheckInterface(ctx, "none", want); !errors.Is(err, naming.ErrNotFound) {
		t.Errorf("nothing there: got %v, want ErrNotFound", err)
	}
}

// TestRegisterOptionsOf fails when what a registration says does not go before
// what was generated.
func TestRegisterOptionsOf(t *testing.T) {
	generated := rmi.NewInterface[scaleV1](rmi.ExportOptions{Methods: []string{"weigh"},
		Docs: rmi.Docs{Doc: "generated", Methods: map[string]string{"weigh": "weighs", "tare": "tares"}, Idempotent: []string{"weigh"}}})
	own := farcall.RegisterOptions{Docs: rmi.Docs{Methods: map[string]string{"Weigh": "weighs well"}}}
	got := own.Of(generated)
	if len(got.Methods) != 1 || got.Docs.Doc != "generated" || got.Docs.Methods["weigh"] != "weighs well" ||
		got.Docs.Methods["tare"] != "tares" || len(got.Docs.Idempotent) != 1 {
		t.Errorf("got %+v", got)
	}
	own.Methods = []string{"tare"}
	if got := own.Of(generated); len(got.Methods) != 1 || got.Methods[0] != "tare" {
		t.Errorf("got methods %q, want those of the registration", got.Methods)
	}
	mesh := meshtest.New(t).Node("one", nil)
	if err := mesh.Register(context.Background(), "scale", scaleV1{}, own.Of(generated)); err != nil {
		t.Error(err)
	}
}
