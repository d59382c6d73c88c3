//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// commandTimeout bounds one command, except for builds.
const commandTimeout = 2 * time.Minute

// root is the repository, seen from here.
const root = "../.."

// result is what a command left behind.
type result struct {
	stdout, stderr string
	err            error
}

// String shows all of r.
func (r result) String() string {
	return fmt.Sprintf("%v\nstdout: %s\nstderr: %s", r.err, r.stdout, r.stderr)
}

// run runs a command at the root of the repository with stdin and, beside the
// test's own environment, env.
func run(t *testing.T, timeout time.Duration, env []string, stdin io.Reader, name string, args ...string) result {
	t.Helper()
	if name == "docker" && len(args) > 0 && args[0] == "push" {
		t.Fatal("tests push nothing anywhere")
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("no end after %v: %w", timeout, err)
	}
	return result{stdout.String(), stderr.String(), err}
}

// docker runs the docker command, which must succeed, and returns what it wrote.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	r := run(t, commandTimeout, nil, nil, "docker", args...)
	if r.err != nil {
		t.Fatalf("docker %s: %s", strings.Join(args, " "), r)
	}
	return strings.TrimSpace(r.stdout)
}

// project is one use of docker-compose.yml.
type project struct {
	name string
	// command is how Compose is called here: "docker compose" or, for version
	// 1, "docker-compose".
	command []string
	env     []string
}

// newProject finds Compose and names a project whose containers and networks
// nobody else has.
func newProject(t *testing.T, env ...string) *project {
	t.Helper()
	p := &project{name: fmt.Sprintf("farcall-e2e-%d", os.Getpid())}
	switch {
	case run(t, commandTimeout, nil, nil, "docker", "compose", "version").err == nil:
		p.command = []string{"docker", "compose"}
	case run(t, commandTimeout, nil, nil, "docker-compose", "version").err == nil:
		p.command = []string{"docker-compose"}
	default:
		t.Fatal("there is neither `docker compose` nor docker-compose")
	}
	p.env = append(env, "COMPOSE_PROJECT_NAME="+p.name)
	return p
}

// try runs Compose and returns how it went.
func (p *project) try(t *testing.T, args ...string) result {
	t.Helper()
	all := append(append([]string{}, p.command[1:]...), args...)
	return run(t, commandTimeout, p.env, nil, p.command[0], all...)
}

// do runs Compose, which must succeed, and returns what it wrote.
func (p *project) do(t *testing.T, args ...string) string {
	t.Helper()
	r := p.try(t, args...)
	if r.err != nil {
		t.Fatalf("compose %s: %s", strings.Join(args, " "), r)
	}
	return r.stdout
}

// client runs the client in a container of its own and returns what it wrote to
// its standard output.
func (p *project) client(t *testing.T, args ...string) string {
	t.Helper()
	return p.do(t, append([]string{"run", "--rm", "-T", "client"}, args...)...)
}

// container returns the id of the service's container, running or not.
func (p *project) container(t *testing.T, service string) string {
	t.Helper()
	id := docker(t, "ps", "-aq", "--filter", "label=com.docker.compose.project="+p.name,
		"--filter", "label=com.docker.compose.service="+service)
	if id == "" || strings.Contains(id, "\n") {
		t.Fatalf("service %s has not one container, but %q", service, id)
	}
	return id
}

// left lists what there still is of the project on the engine.
func (p *project) left(t *testing.T) string {
	t.Helper()
	filter := "label=com.docker.compose.project=" + p.name
	return docker(t, "ps", "-aq", "--filter", filter) +
		docker(t, "volume", "ls", "-q", "--filter", filter) +
		docker(t, "network", "ls", "-q", "--filter", filter)
}

// waitHealthy waits until the service's own health check is content.
func (p *project) waitHealthy(t *testing.T, service string) {
	t.Helper()
	id := p.container(t, service)
	var state string
	eventually(t, 2*time.Minute, func() error {
		state = docker(t, "inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}", id)
		if state == "running healthy" {
			return nil
		}
		return fmt.Errorf("%s is %s\n%s", service, state, docker(t, "inspect", "-f",
			"{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}{{end}}", id))
	})
}

// eventually asks again and again until check returns nil, and fails the test
// with its last error when the time is over.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("still after %v: %v", within, err)
		case <-tick.C:
		}
	}
}
