package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCommands builds the programs, and holds what deploys them against them.
func TestCommands(t *testing.T) {
	bin := t.TempDir()
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/...")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/...: %v\n%s", err, out)
	}
	t.Run("flags", func(t *testing.T) { testFlags(t, bin) })
	t.Run("configuration", func(t *testing.T) { testConfiguration(t, bin) })
	t.Run("reference", func(t *testing.T) { testReference(t, bin) })
}

// testFlags runs each command line of the manifests and the
// compose file, with --help added: a command or a flag that does not exist, or a
// value of the wrong kind, is then refused, and nothing is started.
func testFlags(t *testing.T, bin string) {
	for _, o := range overlays() {
		for _, w := range build(t, o).workloads {
			t.Run(o+"/"+w.name, func(t *testing.T) {
				c := w.container(t)
				checkCommandLine(t, bin, slices.Concat(c.Command, c.Args))
			})
		}
	}
	for name, s := range loadCompose(t).Services {
		if name == "prometheus" {
			continue
		}
		t.Run("compose/"+name, func(t *testing.T) {
			checkCommandLine(t, bin, slices.Concat(s.Entrypoint, s.Command))
			if s.Healthcheck != nil {
				checkCommandLine(t, bin, s.Healthcheck.Test[1:])
			}
		})
	}
}

// testConfiguration has a daemon read what the manifests mount.
// One that finds nothing wrong goes on to look for a name server, of which there
// is none.
func testConfiguration(t *testing.T, bin string) {
	const wrongFile, noNameServer = 2, 5
	start := func(config string) int {
		path := filepath.Join(t.TempDir(), "daemon.yaml")
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(bin, "daemon"), "--config", path, "--listen", "127.0.0.1:0",
			"--admin", "off", "--nameserver", "127.0.0.1:1", "--nameserver-timeout", "1ms")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		t.Logf("daemon --config: %s", out)
		return cmd.ProcessState.ExitCode()
	}
	maps := 0
	for name, m := range build(t, "overlays/default").configMaps {
		if !strings.HasPrefix(name, "daemon") {
			continue
		}
		maps++
		if got := start(m.Data["daemon.yaml"]); got != noNameServer {
			t.Errorf("exit status with the manifests' file: got %d, want %d", got, noNameServer)
		}
	}
	if maps != 1 {
		t.Errorf("there are %d config maps for the daemons, want 1", maps)
	}
	if got := start("objects: [{name: x, type: nonsense}]"); got != wrongFile {
		t.Errorf("exit status with a wrong file: got %d, want %d", got, wrongFile)
	}
}

// testReference compares docs/ with what the programs say of themselves.
func testReference(t *testing.T, bin string) {
	for _, program := range []string{"nameserver", "daemon"} {
		out, err := exec.Command(filepath.Join(bin, program), "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(read(t, root+"/docs/"+program+".md"), strings.TrimSpace(string(out))) {
			t.Errorf("docs/%s.md does not hold the program's help: `make generate` brings it up to date", program)
		}
	}
}

// checkCommandLine runs a command line with --help added.
func checkCommandLine(t *testing.T, bin string, line []string) {
	t.Helper()
	if len(line) == 0 {
		t.Fatal("there is no command line")
	}
	var args []string
	for _, a := range line[1:] {
		args = append(args, variable.ReplaceAllString(a, "x"))
	}
	at := len(args)
	if line[0] == "client" {
		at = 1 // what follows the subcommand may go to the method that is called
	}
	out, err := exec.Command(filepath.Join(bin, line[0]), slices.Insert(args, at, "--help")...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(line, " "), err, out)
	}
}
