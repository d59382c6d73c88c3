package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// The formats of -o.
const (
	formatText = "text"
	formatJSON = "json"
	formatYAML = "yaml"
	// formatJSONLines is one JSON document a line: for calls only.
	formatJSONLines = "jsonl"
)

// formats lists the formats of -o that every command has.
func formats() []string { return []string{formatText, formatJSON, formatYAML} }

// moreFormats is the annotation of a command that has more formats: their names,
// with spaces between them.
const moreFormats = "formats"

// formatsOf lists the formats of -o that cmd has.
func formatsOf(cmd *cobra.Command) []string {
	return append(formats(), strings.Fields(cmd.Annotations[moreFormats])...)
}

// globals are the flags of every command.
type globals struct {
	nameservers []string
	timeout     time.Duration
	node        string
	output      string
	verbose     bool
}

// envOf tells the environment variable that stands in for a flag; empty for
// most. The format has none: a script that reads text must not break because
// of where it runs.
func envOf(flag string) string {
	switch flag {
	case "nameserver":
		return "FARCALL_NAMESERVER"
	case "timeout":
		return "FARCALL_TIMEOUT"
	}
	return ""
}

// declare adds the flags to fs.
func (g *globals) declare(fs *pflag.FlagSet) {
	fs.StringSliceVar(&g.nameservers, "nameserver", []string{farcall.DefaultNameServer},
		"name server `address`es, host:port or URL, repeated or with commas (env FARCALL_NAMESERVER)")
	fs.DurationVar(&g.timeout, "timeout", rmi.DefaultTimeout,
		"how long the whole command may take (env FARCALL_TIMEOUT)")
	fs.StringVar(&g.node, "node", "", "only the instance on this `node`")
	fs.StringVarP(&g.output, "output", "o", formatText, "`format` of the result: "+strings.Join(formats(), ", "))
	fs.BoolVarP(&g.verbose, "verbose", "v", false, "say on standard error what is done, where, and how long it takes")
}

// settle fills flags that were not given from the environment, and checks them
// all.
func (g *globals) settle(cmd *cobra.Command, getenv func(string) string) error {
	var bad error
	fs := cmd.Flags()
	fs.VisitAll(func(f *pflag.Flag) {
		env := envOf(f.Name)
		if env == "" || f.Changed || bad != nil {
			return
		}
		value := getenv(env)
		if value == "" {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			bad = usagef(fmt.Sprintf("write it as for --%s, or unset it", f.Name), "%s=%q: %w", env, value, err)
		}
	})
	if bad != nil {
		return bad
	}
	g.nameservers = slices.DeleteFunc(g.nameservers, func(s string) bool { return strings.TrimSpace(s) == "" })
	switch {
	case len(g.nameservers) == 0:
		return usagef("give host:port, such as "+farcall.DefaultNameServer, "--nameserver names no address")
	case g.timeout <= 0:
		return usagef("give a duration such as 500ms, 10s or 2m", "--timeout %s is not longer than nothing", g.timeout)
	case !slices.Contains(formatsOf(cmd), g.output):
		return usagef("the formats are "+strings.Join(formatsOf(cmd), ", "), "there is no output format %q", g.output)
	}
	if g.node != "" {
		if _, err := naming.ParseNodeID(g.node); err != nil {
			return usagef("client resolve NAME shows the nodes that serve a name", "--node: %w", err)
		}
	}
	return nil
}

// pin returns the node asked for with --node; empty for any.
func (g *globals) pin() naming.NodeID { return naming.NodeID(g.node) }

// where names the name servers for a message.
func (g *globals) where() string { return strings.Join(g.nameservers, ", ") }

// parseName returns arg as a name.
func parseName(arg string) (naming.Name, error) {
	name, err := naming.ParseName(arg)
	if err != nil {
		return "", usagef("client list shows the names there are", "%w", err)
	}
	return name, nil
}

// wantArgs checks that between least and most arguments were given, and tells
// what they are; most < 0 is any number.
func wantArgs(path string, args []string, least, most int, what, example string) error {
	hint := fmt.Sprintf("for example: %s", example)
	switch {
	case len(args) < least:
		return usagef(hint, "%s needs %s", path, what)
	case most == 0 && len(args) > 0:
		return usagef(hint, "%s takes %s: %q", path, what, args[0])
	case most >= 0 && len(args) > most:
		return usagef(hint, "%s takes %s, and nothing after it: %q", path, what, args[most])
	}
	return nil
}
