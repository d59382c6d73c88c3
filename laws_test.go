package farcall_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"

	"farcall.dev/internal/laws"
)

// arrows says which packages of Farcall a package may import, by folder. The
// picture of it is in ARCHITECTURE.md. What is not here is forbidden: a new
// package begins with a line in this table.
var arrows = map[string]laws.Arrow{
	// The core. Each package stands on those above it.
	"naming":            {},
	"naming/namingtest": {Imports: []string{"naming"}},
	"naming/etcd":       {Imports: []string{"naming"}},
	"transport":         {},
	"rmi":               {Imports: []string{"naming", "transport"}, Tests: []string{"internal/barelane"}},

	// Other people's protocols, and rules. xmlrpc and policy know nothing of a
	// mesh.
	"xmlrpc": {},
	"policy": {},
	// gateway speaks of names, which is what rmi.Call and descriptions consist of.
	"gateway": {Imports: []string{"naming", "rmi", "xmlrpc"}, Tests: []string{".", "internal/builtin"}},
	"pyro":    {Imports: []string{"rmi", "naming"}},

	// The façade: what an application imports.
	".": {
		Imports: []string{"naming", "naming/etcd", "transport", "rmi", "xmlrpc", "gateway", "pyro", "policy"},
		Tests:   []string{"internal/laws"},
	},

	// What the commands are made of. Nothing above imports any of it.
	"internal/buildinfo":     {},
	"internal/admin":         {},
	"internal/boot":          {Imports: []string{"internal/admin", "internal/buildinfo"}},
	"internal/boot/boottest": {Imports: []string{"internal/boot"}},
	"internal/builtin":       {Imports: []string{"naming", "rmi"}},
	"internal/cli":           {Imports: []string{".", "naming", "naming/etcd", "rmi", "xmlrpc", "gateway", "internal/buildinfo", "internal/gen"}, Tests: []string{"internal/builtin", "internal/cli/testdata/..."}},
	// daemonconf has gateway say which URLs can be attached.
	"internal/daemonconf": {Imports: []string{"naming", "gateway", "internal/builtin"}},
	"internal/etcdserver": {},
	// gen speaks of descriptions, and of how names change on their way to the wire.
	"internal/gen":        {Imports: []string{"naming", "rmi"}},
	"internal/gen/source": {Imports: []string{"internal/gen", "rmi"}, Tests: []string{".", "naming", "internal/gen/source/testdata/..."}},
	"internal/telemetry":  {Imports: []string{"naming", "transport", "rmi", "internal/buildinfo"}, Tests: []string{"."}},

	// What benchmarks compare sessions with.
	"internal/barelane": {Imports: []string{"transport"}},

	// What tests are made of.
	"internal/laws":     {},
	"internal/memnet":   {},
	"internal/meshtest": {Imports: []string{".", "naming", "internal/memnet"}},

	// Programs may use everything.
	"cmd/...":      {Imports: []string{"..."}},
	"examples/...": {Imports: []string{".", "naming", "rmi"}},
	"test/...":     {Imports: []string{"..."}},
	"bench/...":    {Imports: []string{"..."}},
}

// forTests are packages that exist for tests; every test may import them.
var forTests = []string{"naming/namingtest", "internal/boot/boottest", "internal/etcdserver", "internal/memnet", "internal/meshtest"}

// reserved are places that have their arrow before they have their code.
var reserved = []string{"policy", "pyro"}

// dependencies says who alone may import each module that go.mod requires.
// docs/dependencies.md says what each is for and what was weighed against it.
var dependencies = map[string]laws.Dependency{
	"github.com/hashicorp/yamux":   {Importers: []string{"transport"}},
	"github.com/fxamacker/cbor/v2": {Importers: []string{"rmi"}},

	// etcd, and what its own interface is written in.
	"go.etcd.io/etcd/client/v3":     {Importers: []string{"naming/etcd"}, Tests: []string{"internal/etcdserver"}},
	"go.etcd.io/etcd/server/v3":     {Importers: []string{"internal/etcdserver"}},
	"go.etcd.io/etcd/api/v3":        {Importers: []string{"naming/etcd", "internal/etcdserver"}},
	"go.etcd.io/etcd/client/pkg/v3": {Importers: []string{"internal/etcdserver"}},
	"go.uber.org/zap":               {Importers: []string{"naming/etcd", "internal/etcdserver"}},
	"google.golang.org/grpc":        {Importers: []string{"naming/etcd", "internal/etcdserver"}},

	"github.com/prometheus/client_golang": {Importers: []string{"internal/telemetry"}},
	"github.com/prometheus/client_model":  {Tests: []string{"internal/telemetry"}},

	"github.com/spf13/cobra": {Importers: []string{"internal/boot", "internal/cli"}},
	"github.com/spf13/pflag": {Importers: []string{"internal/boot", "internal/cli", "cmd/..."}},
	"go.yaml.in/yaml/v4":     {Importers: []string{"internal/daemonconf", "internal/cli"}},
	"golang.org/x/tools":     {Importers: []string{"internal/gen/source"}},

	"go.uber.org/goleak":       {Importers: forTests, Tests: []string{"..."}},
	"github.com/google/go-cmp": {Importers: forTests, Tests: []string{"..."}},
}

// metricPackages are the words that may follow farcall_ in a metric's name.
var metricPackages = []string{"build", "gateway", "nameserver", "naming", "node", "policy", "pyro", "rmi", "transport", "xmlrpc"}

// TestLaws holds the whole tree against the laws of the house.
func TestLaws(t *testing.T) {
	root := os.DirFS(".")
	tree, err := laws.Load(root, "farcall.dev", "bin", "out")
	if err != nil {
		t.Fatal(err)
	}
	modules := requirements(t)

	for _, law := range []struct {
		name   string
		broken []laws.Violation
	}{
		{"imports follow the arrows", tree.CheckArrows(arrows, forTests, reserved)},
		{"each dependency has its importers", tree.CheckDependencies(dependencies, modules, nil)},
		{"each dependency is documented", tree.CheckMentioned("docs/dependencies.md", tree.Direct(modules))},
		{"packages have comments", tree.CheckPackageComments()},
		{"exported names have comments", tree.CheckExportedComments()},
		{"files are short", tree.CheckFileSizes(500, 700)},
		{"nothing runs at import", tree.CheckNoInit()},
		{"tests do not sleep", tree.CheckNoSleepInTests(forTests)},
		{"tests look for leaks", tree.CheckLeakTests()},
		{"metrics have proper names", tree.CheckMetrics("farcall_", metricPackages)},
		{"nothing says it is unfinished", tree.CheckUnfinished()},
		{"no machine has left its paths", tree.CheckMachinePaths(nil)},
		{"links lead somewhere", tree.CheckLinks(root)},
	} {
		t.Run(law.name, func(t *testing.T) {
			for _, v := range law.broken {
				t.Error(v)
			}
		})
	}
}

// TestLawsSeeTheTree fails when the laws above hold because nothing was looked
// at.
func TestLawsSeeTheTree(t *testing.T) {
	tree, err := laws.Load(os.DirFS("."), "farcall.dev", "bin", "out")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", "naming", "rmi", "transport", "cmd/client", "test/deploy"} {
		if !slices.ContainsFunc(tree.Packages, func(p *laws.Package) bool { return p.Dir == dir }) {
			t.Errorf("the laws do not see package %s", dir)
		}
	}
	if len(tree.Metrics("farcall_")) == 0 {
		t.Error("the laws do not see a metric")
	}
	if got := tree.Direct(requirements(t)); !slices.Contains(got, "github.com/hashicorp/yamux") {
		t.Errorf("the laws do not see the dependency on yamux, only %q", got)
	}
}

// requirements returns the paths of the modules that go.mod requires, and fails
// the test when go.mod replaces one.
func requirements(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatalf("read go.mod: %v", err)
	}
	var mod struct {
		Require []struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatalf("read go.mod: %v", err)
	}
	for _, r := range mod.Replace {
		t.Errorf("go.mod replaces %s, which those who import Farcall would not see", r.Old.Path)
	}
	var paths []string
	for _, r := range mod.Require {
		paths = append(paths, r.Path)
	}
	return paths
}
