package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestReference holds docs/cli.md to the command tree; -update writes it.
func TestReference(t *testing.T) {
	root := newApp(Options{}).root()
	var b strings.Builder
	b.WriteString("# The client command\n\n")
	b.WriteString("<!-- Made from the command tree by go generate ./internal/cli; do not edit. -->\n\n")
	fmt.Fprintf(&b, "%s.\n\n", root.Short)
	fmt.Fprintf(&b, "```\n%s\n```\n\n", plain(root.Example))
	b.WriteString("Results go to standard output, everything else to standard error.\n\n")

	b.WriteString("## Exit codes\n\nA number never changes its meaning.\n\n| code | meaning |\n|---|---|\n")
	for _, m := range exitMeanings() {
		fmt.Fprintf(&b, "| %d | %s |\n", m.code, m.text)
	}
	b.WriteString("\nWhat a failed call exits with, by its code:\n\n| code of the call | exit code |\n|---|---|\n")
	for _, c := range codes() {
		fmt.Fprintf(&b, "| %s | %d |\n", c, exitOf(c))
	}
	b.WriteString("\n## Flags of every command\n\n")
	writeFlags(&b, root.PersistentFlags())
	for _, cmd := range root.Commands() {
		writeCommand(&b, cmd)
	}
	golden(t, filepath.Join("..", "..", "docs", "cli.md"), b.String())
}

// writeCommand writes the section of one command.
func writeCommand(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n## client %s\n\n%s.\n\n", cmd.Name(), cmd.Short)
	fmt.Fprintf(b, "```\n%s\n```\n\n", cmd.UseLine())
	fmt.Fprintf(b, "```text\n%s\n```\n", strings.TrimSpace(cmd.Long))
	if cmd.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```\n%s\n```\n", plain(cmd.Example))
	}
	if cmd.LocalNonPersistentFlags().HasFlags() {
		b.WriteString("\n")
		writeFlags(b, cmd.LocalNonPersistentFlags())
	}
}

// plain returns examples without the margin that help gives them.
func plain(examples string) string {
	return strings.TrimPrefix(strings.ReplaceAll(examples, "\n  ", "\n"), "  ")
}

// writeFlags writes a table of flags.
func writeFlags(b *strings.Builder, fs *pflag.FlagSet) {
	b.WriteString("| flag | environment | default | meaning |\n|---|---|---|---|\n")
	fs.VisitAll(func(f *pflag.Flag) {
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		env := ""
		if e := envOf(f.Name); e != "" {
			env = "`" + e + "`"
		}
		def := ""
		if f.DefValue != "" && f.DefValue != "[]" {
			def = "`" + strings.Trim(f.DefValue, "[]") + "`"
		}
		_, usage := pflag.UnquoteUsage(f)
		usage, _, _ = strings.Cut(usage, " (env ")
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, env, def, usage)
	})
}

// TestEveryCommandIsDocumented fails for a command without a text, an example,
// or a group.
func TestEveryCommandIsDocumented(t *testing.T) {
	root := newApp(Options{}).root()
	for _, cmd := range root.Commands() {
		if cmd.Short == "" || cmd.Long == "" || cmd.Example == "" {
			t.Errorf("%s lacks a text or an example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
				t.Errorf("%s: a line of its text has %d characters: %q", cmd.CommandPath(), n, line)
			}
		}
		if cmd.ValidArgsFunction == nil {
			t.Errorf("%s does not complete its arguments", cmd.CommandPath())
		}
	}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if env := envOf(f.Name); env != "" && !strings.Contains(f.Usage, env) {
			t.Errorf("the text of --%s does not name %s", f.Name, env)
		}
	})
}
