package xmlrpc

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestPackages holds the packages that the tests want against those that
// scripts/need.sh installs.
func TestPackages(t *testing.T) {
	script, err := os.ReadFile("../../scripts/need.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(script), "xmlrpc_peers='")
	names, _, _ := strings.Cut(rest, "'")
	installed := strings.Fields(names)
	var wanted []string
	for _, p := range slices.Concat(clients, servers, tools) {
		wanted = append(wanted, p.packages...)
	}
	for _, name := range wanted {
		if !slices.Contains(installed, name) {
			t.Errorf("a peer needs %s, which scripts/need.sh does not install", name)
		}
	}
	for _, name := range installed {
		if !slices.Contains(wanted, name) {
			t.Errorf("scripts/need.sh installs %s, which no peer needs", name)
		}
	}
}

// tools are commands that call servers.
var tools = []*peer{xmlrpcCommand, apiCommand}

var (
	xmlrpcCommand = &peer{name: "the command xmlrpc", packages: []string{"libxmlrpc-core-c3-dev"}}
	apiCommand    = &peer{name: "the command xml-rpc-api2txt", packages: []string{"xmlrpc-api-utils"}}
)

// output runs a command, and returns what it prints and whether it succeeds.
func output(t *testing.T, name string, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestCommandXmlrpc calls a Handler by the command of xmlrpc-c.
func TestCommandXmlrpc(t *testing.T) {
	xmlrpcCommand.need(t)
	server := newProbe(t)
	url := server.server.URL + "/RPC2"
	for _, test := range []struct {
		name string
		args []string
		want string
		ok   bool
	}{
		{"ints", []string{"add", "i/3", "i/4"}, "Result:\n\nInteger: 7\n", true},
		{"string", []string{"probe.unicode", "s/" + moreThanASCII}, `String: 'Gr\xc3\xbc\xc3\x9fe, \xe4`, true}, // It escapes bytes.
		{"boolean", []string{"probe.true", "b/true"}, "Result:\n\nBoolean: TRUE\n", true},
		{"array", []string{"probe.array", "array/(i/1,s/two,b/t)"}, "Array of 3 items", true},
		{"struct", []string{"probe.struct", "struct/{moe:i/1,larry:s/two}"}, "Struct", true},
		{"fault", []string{"probe.fault", "i/1"}, faultText, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, ok := output(t, "/usr/bin/xmlrpc", append([]string{url}, test.args...)...)
			if ok != test.ok || !strings.Contains(out, test.want) {
				t.Errorf("xmlrpc %q succeeds: %v, want %v; prints %q, want %q in it", test.args, ok, test.ok, out, test.want)
			}
		})
	}
	if got := server.sent("unicode").text; got != moreThanASCII {
		t.Errorf("the command sent %q, want %q", got, moreThanASCII)
	}
}

// TestCommandAPI has the methods of a Handler listed by a command that asks for
// signatures and help in one multicall.
func TestCommandAPI(t *testing.T) {
	apiCommand.need(t)
	out, ok := output(t, "/usr/bin/xml-rpc-api2txt", newProbe(t).server.URL+"/RPC2")
	if want := "int add (int, int)"; !ok || !strings.Contains(out, want) {
		t.Errorf("xml-rpc-api2txt succeeds: %v; prints\n%s\nwant %q in it", ok, out, want)
	}
}
