package naming_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"farcall.dev/naming"
)

func TestNormalizeFillsInDefaultsAndSharesNothing(t *testing.T) {
	given := naming.Instance{
		Name: "n", Node: "a", Tags: []string{"b", "a", "b"},
		Addrs: map[naming.Protocol]string{naming.ProtocolMesh: "h:1"},
	}
	got, err := given.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	want := naming.Instance{
		Name: "n", Node: "a", Kind: naming.KindObject, State: naming.StateLive, Mode: naming.ModeShared,
		Weight: naming.DefaultWeight, Tags: []string{"a", "b"}, Addrs: map[naming.Protocol]string{naming.ProtocolMesh: "h:1"},
	}
	given.Tags[0], given.Addrs[naming.ProtocolMesh] = "changed", "changed"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Normalize (-want +got):\n%s", diff)
	}
	if again, err := got.Normalize(); err != nil || !again.Equal(got) {
		t.Errorf("Normalize of a normalized record is %+v, %v; want the same", again, err)
	}
}

func TestNormalizeSaysWhichFieldIsWrong(t *testing.T) {
	for want, spoil := range map[string]func(*naming.Instance){
		"invalid name":    func(i *naming.Instance) { i.Name = "" },
		"invalid node id": func(i *naming.Instance) { i.Node = "a\n" },
		"invalid tag":     withTags("ok", " "),
		"kind":            func(i *naming.Instance) { i.Kind = "x" },
		"mode":            inMode("x"),
		"state":           inState("x"),
		"weight -1":       func(i *naming.Instance) { i.Weight = -1 },
		"weight 10001":    func(i *naming.Instance) { i.Weight = naming.MaxWeight + 1 },
		"65 tags":         withTags(make([]string, naming.MaxTags+1)...),
		"zone has 1025":   func(i *naming.Instance) { i.Zone = strings.Repeat("z", naming.MaxText+1) },
		"version":         func(i *naming.Instance) { i.Version = "\xff" },
		"interface has":   func(i *naming.Instance) { i.Interface = strings.Repeat("z", naming.MaxText+1) },
		"address has": func(i *naming.Instance) {
			i.Addrs = map[naming.Protocol]string{"mesh": strings.Repeat("z", naming.MaxText+1)}
		},
		"protocol": func(i *naming.Instance) { i.Addrs = map[naming.Protocol]string{"\xff": "h:1"} },
	} {
		inst := naming.Instance{Name: "n", Node: "a"}
		spoil(&inst)
		if got, err := inst.Normalize(); err == nil || !strings.Contains(err.Error(), want) || !got.Equal(naming.Instance{}) {
			t.Errorf("got %+v, %v; want an error about %q", got, err, want)
		}
	}
}

func TestInstanceEqualSeesEveryField(t *testing.T) {
	base := instance(t, "n", "a", withTags("x"))
	if !base.Equal(instance(t, "n", "a", withTags("x"))) {
		t.Error("equal records are not Equal")
	}
	for what, edit := range map[string]func(*naming.Instance){
		"name": func(i *naming.Instance) { i.Name = "m" }, "node": func(i *naming.Instance) { i.Node = "b" },
		"incarnation": func(i *naming.Instance) { i.Incarnation++ }, "kind": func(i *naming.Instance) { i.Kind = naming.KindFunction },
		"state": inState(naming.StateDraining), "mode": inMode(naming.ModeExclusive),
		"addrs": func(i *naming.Instance) { i.Addrs = nil }, "tags": withTags("y"),
		"zone": func(i *naming.Instance) { i.Zone = "z" }, "weight": func(i *naming.Instance) { i.Weight++ },
		"version": func(i *naming.Instance) { i.Version = "2" }, "interface": func(i *naming.Instance) { i.Interface = "d" },
	} {
		other := base
		if edit(&other); base.Equal(other) {
			t.Errorf("records that differ in their %s are Equal", what)
		}
	}
}

func TestHasTags(t *testing.T) {
	inst := instance(t, "n", "a", withTags("x", "y"))
	for _, tt := range []struct {
		tags []string
		want bool
	}{{nil, true}, {[]string{"x"}, true}, {[]string{"y", "x"}, true}, {[]string{"x", "z"}, false}} {
		if got := inst.HasTags(tt.tags...); got != tt.want {
			t.Errorf("HasTags(%q) is %v, want %v", tt.tags, got, tt.want)
		}
	}
}
