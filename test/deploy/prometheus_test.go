package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestAlerts runs the alerts on made-up series: each fires on what it is for,
// and only then.
func TestAlerts(t *testing.T) {
	promtool(t, "test", "rules", "testdata/rules_test.yml")
}

// TestPrometheusTakesItsConfiguration checks the configuration and the rules
// that it names.
func TestPrometheusTakesItsConfiguration(t *testing.T) {
	promtool(t, "check", "config", root+"/deploy/prometheus/prometheus.yml")
}

// TestAlertsUseMetricsThatExist looks each of Farcall's metrics in the rules up
// in the source that declares them.
func TestAlertsUseMetricsThatExist(t *testing.T) {
	files, err := filepath.Glob(root + "/internal/telemetry/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("found no source of metrics: %v", err)
	}
	var source strings.Builder
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			source.WriteString(read(t, f))
		}
	}
	rules := read(t, root+"/deploy/prometheus/rules.yml")
	names := regexp.MustCompile(`farcall_[a-z_]+`).FindAllString(rules, -1)
	if len(names) == 0 {
		t.Fatal("found no metric in the rules")
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if !strings.Contains(source.String(), `"`+base+`"`) {
			t.Errorf("the rules use %s, which nothing in internal/telemetry is called", name)
		}
	}
}

// TestRulesOfTheOperatorAreTheSame compares deploy/prometheus/rules.yml with
// what the monitoring component applies.
func TestRulesOfTheOperatorAreTheSame(t *testing.T) {
	rule := build(t, "overlays/monitored").rules["farcall"]
	if rule == nil {
		t.Fatal("there is no PrometheusRule farcall")
	}
	want := 0
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, root+"/deploy/prometheus/rules.yml")), &file); err != nil {
		t.Fatal(err)
	}
	for i, g := range file.Groups {
		for j, r := range g.Rules {
			want++
			if got := rule.Spec.Groups[i].Rules[j]; got.Alert != r.Alert || got.Expr.String() != r.Expr {
				t.Errorf("rule %d of group %d: got %s, want %s; `make generate` brings them together", j, i, got.Alert, r.Alert)
			}
		}
	}
	if want == 0 {
		t.Error("there is no rule")
	}
}

// promtool runs Prometheus's own checker, which must be content.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		const hint = "promtool is missing: scripts/need.sh promtool fetches it, and `make test` runs that"
		if os.Getenv("FARCALL_REQUIRE_ALL") != "" || os.Getenv("CI") != "" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// read returns the content of a file.
func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
