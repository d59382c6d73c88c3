//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestContainers builds the image once, looks at it, and runs it.
func TestContainers(t *testing.T) {
	image := buildImage(t)
	t.Run("image", func(t *testing.T) { testImage(t, image) })
	t.Run("compose", func(t *testing.T) { testCompose(t, image) })
}

// testCompose brings docker-compose.yml up and uses it as a person would. Its
// parts build on one another.
func testCompose(t *testing.T, image string) {
	p := newProject(t,
		"FARCALL_IMAGE="+image,
		"PROMETHEUS_IMAGE="+prometheusImage(t),
		// Ports that the engine picks.
		"FARCALL_HTTP_PORT=0", "PROMETHEUS_PORT=0",
	)
	p.do(t, "config", "-q")
	t.Cleanup(func() {
		if t.Failed() {
			r := p.try(t, "logs", "--no-color")
			t.Logf("what the containers wrote:\n%s%s", r.stdout, r.stderr)
		}
		p.do(t, "down", "-v", "--timeout", "30")
		if left := p.left(t); left != "" {
			t.Errorf("something is left on the engine after down -v: %s", left)
		}
	})
	p.do(t, "up", "-d", "--no-build")
	for _, service := range []string{"nameserver", "daemon-a", "daemon-b", "prometheus"} {
		p.waitHealthy(t, service)
	}

	greet := func(t *testing.T) {
		t.Helper()
		if got, want := p.client(t, "invoke", "greeting", "get_fortune", "letian"), "Hello, letian. \n"; got != want {
			t.Errorf("invoke greeting get_fortune letian: got %q, want %q", got, want)
		}
	}
	steps := []struct {
		name string
		run  func(*testing.T)
	}{
		{"a fourth container calls the greeting", greet},
		{"a function", func(t *testing.T) {
			if got, want := p.client(t, "call", "add", "3", "4"), "7\n"; got != want {
				t.Errorf("call add 3 4: got %q, want %q", got, want)
			}
		}},
		{"both daemons serve it", func(t *testing.T) { p.wantServing(t, "a", "b") }},
		{"Prometheus sees all three", p.wantTargets},
		{"Prometheus has taken the rules", p.wantRules},
		{"a daemon that is stopped leaves in order", func(t *testing.T) {
			p.do(t, "stop", "daemon-a")
			if got, want := docker(t, "inspect", "-f", "{{.State.ExitCode}}", p.container(t, "daemon-a")), "0"; got != want {
				t.Errorf("exit status of daemon-a: got %s, want %s", got, want)
			}
			p.wantServing(t, "b")
			greet(t)
		}},
		{"and comes back", func(t *testing.T) {
			p.do(t, "start", "daemon-a")
			p.waitHealthy(t, "daemon-a")
			p.wantServing(t, "a", "b")
		}},
		{"a name server that is restarted has its daemons again", func(t *testing.T) {
			p.do(t, "restart", "nameserver")
			p.waitHealthy(t, "nameserver")
			p.wantServing(t, "a", "b")
			greet(t)
		}},
	}
	for _, s := range steps {
		if !t.Run(s.name, s.run) {
			t.FailNow()
		}
	}
}

// version is what the image is told it is.
const version = "v0.0.0-e2e"

// buildImage builds the image without a network and returns its name. What the
// engine keeps of it makes the next time short; what it kept of earlier ones is
// removed.
func buildImage(t *testing.T) string {
	t.Helper()
	const repository = "farcall-e2e"
	started := time.Now()
	args := []string{"build", "--network", "none", "--force-rm", "--label", standinLabel + "=" + repository,
		"--build-arg", "GO_IMAGE=" + goImage(t), "--build-arg", "VERSION=" + version}
	// The stage that compiles gets a name too, since one without is removed.
	for _, more := range [][]string{
		{"--target", "build", "-t", repository + ":build", "."},
		{"-t", repository + ":test", "."},
	} {
		if r := run(t, 20*time.Minute, nil, nil, "docker", append(args, more...)...); r.err != nil {
			t.Fatalf("docker build: %s", r)
		}
	}
	docker(t, "image", "prune", "-f", "--filter", "label="+standinLabel)
	t.Logf("%s:test: built in %v", repository, time.Since(started).Round(time.Second))
	return repository + ":test"
}

// testImage looks at the image itself.
func testImage(t *testing.T, image string) {
	if got, want := docker(t, "inspect", "-f", "{{.Config.User}}", image), "65532:65532"; got != want {
		t.Errorf("user: got %q, want %q", got, want)
	}
	for _, program := range []string{"nameserver", "daemon", "client"} {
		got := docker(t, "run", "--rm", "--network", "none", "--read-only", image, program, "version")
		if !strings.Contains(got, version) {
			t.Errorf("%s version: got %q, want it to tell %q", program, got, version)
		}
	}
	t.Logf("size: %s bytes", docker(t, "inspect", "-f", "{{.Size}}", image))
}

// wantServing waits until just these nodes serve the greeting.
func (p *project) wantServing(t *testing.T, nodes ...string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		r := p.try(t, "run", "--rm", "-T", "client", "resolve", "greeting", "-o", "json")
		if r.err != nil {
			return fmt.Errorf("client resolve greeting: %s", r)
		}
		var answer struct {
			Instances []struct{ Node, State string }
		}
		if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil {
			return fmt.Errorf("client resolve -o json: %w in %q", err, r.stdout)
		}
		var got []string
		for _, i := range answer.Instances {
			if i.State == "live" {
				got = append(got, i.Node)
			}
		}
		if strings.Join(got, " ") != strings.Join(nodes, " ") {
			return fmt.Errorf("the greeting is served by %q, want %q", got, nodes)
		}
		return nil
	})
}

// wantTargets waits until Prometheus has scraped each program.
func (p *project) wantTargets(t *testing.T) {
	eventually(t, time.Minute, func() error {
		var data struct {
			ActiveTargets []struct {
				Health, LastError string
				Labels            map[string]string
			}
		}
		if err := p.askPrometheus(t, "/api/v1/targets", &data); err != nil {
			return err
		}
		up := map[string]bool{}
		for _, target := range data.ActiveTargets {
			if target.Health != "up" {
				return fmt.Errorf("%s is %s: %s", target.Labels["instance"], target.Health, target.LastError)
			}
			up[target.Labels["instance"]] = true
		}
		for _, want := range []string{"nameserver:7400", "daemon-a:7501", "daemon-b:7501"} {
			if !up[want] {
				return fmt.Errorf("%s is not a target, of %v", want, up)
			}
		}
		return nil
	})
}

// wantRules waits until Prometheus has evaluated every rule without an error.
func (p *project) wantRules(t *testing.T) {
	eventually(t, time.Minute, func() error {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
		if err := p.askPrometheus(t, "/api/v1/rules", &data); err != nil {
			return err
		}
		rules := 0
		for _, g := range data.Groups {
			for _, r := range g.Rules {
				if r.Health != "ok" {
					return fmt.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
				}
				rules++
			}
		}
		if rules == 0 {
			return fmt.Errorf("there is no rule")
		}
		return nil
	})
}

// askPrometheus fills data with the answer of Prometheus's API.
func (p *project) askPrometheus(t *testing.T, path string, data any) error {
	t.Helper()
	address := strings.TrimSpace(p.do(t, "port", "prometheus", "9090"))
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + address + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          any
	}
	answer.Data = data
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s: %s", path, answer.Status, answer.Error)
	}
	return nil
}
