package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// describeCommand is "client describe".
func (a *app) describeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "describe NAME [METHOD|FIELD]",
		GroupID: groupLook,
		Short:   "Show what can be called under a name",
		Long: `describe asks an instance of NAME for its methods and shows each with its
parameters, results and what it does, and its properties; or METHOD or FIELD
alone. A type in braces is a struct, and is given as a JSON object with those
fields.

The format go is Go source: an interface with a typed client for it, to save
as a package of its own. openapi is the OpenAPI 3.1 document of the calls by
JSON that the gateway takes, jsonschema a JSON Schema of the arguments and the
result of each method, in the same form.`,
		Annotations: map[string]string{moreFormats: "go openapi jsonschema"},
		Example: `  client describe greeting
  client describe greeting get_fortune
  client describe add -o json
  client describe greeting -o go > greeting/greeting.go`,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := wantArgs(cmd.CommandPath(), args, 1, 2, "the NAME of an object or function, and perhaps a METHOD or a FIELD", "client describe greeting"); err != nil {
				return err
			}
			name, err := parseName(args[0])
			if err != nil {
				return err
			}
			return a.inMesh(ctx, func(ctx context.Context, m *farcall.Mesh) error {
				return a.describe(ctx, m, name, args[1:])
			})
		}),
		ValidArgsFunction: a.completeDescribe,
	}
}

// completeDescribe completes a name, then one of its methods and properties.
func (a *app) completeDescribe(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.names(cmd, anyKind, toComplete), cobra.ShellCompDirectiveNoFileComp
	case 1:
		return a.completing(cmd, func(ctx context.Context, m *farcall.Mesh) []cobra.Completion {
			info, err := m.Describe(ctx, naming.Name(args[0]), a.global.pin())
			if err != nil {
				return nil
			}
			return append(methodsLike(info, toComplete), propertiesLike(info, toComplete)...)
		}), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// describe shows the interface of name, or one method of it.
func (a *app) describe(ctx context.Context, m *farcall.Mesh, name naming.Name, only []string) error {
	entry, err := a.lookup(ctx, m, name, "object or function")
	if err != nil {
		return err
	}
	info, err := a.interfaceOf(ctx, m, name)
	if err != nil {
		return err
	}
	if len(only) > 0 {
		method, isMethod := info.Method(only[0])
		property, isProperty := info.Property(only[0])
		info.Doc, info.Scope = "", ""
		switch {
		case isMethod:
			info.Methods, info.Properties = []rmi.MethodInfo{method}, nil
		case isProperty:
			info.Methods, info.Properties = nil, []rmi.PropertyInfo{property}
		default:
			return a.noMethod(info, only[0])
		}
	}
	if note := differing(entry); note != "" && a.global.node == "" {
		fmt.Fprintf(a.opts.Stderr, "client: the instances of %s do not all have the same interface: %s; --node asks a certain one\n", cleanLine(string(name)), note)
	}
	return a.emitInterface(info, entry)
}

// describeText writes info for people.
func describeText(w io.Writer, info rmi.InterfaceInfo, entry *naming.Entry) error {
	var nodes []naming.NodeID
	for _, inst := range entry.Instances {
		nodes = append(nodes, inst.Node)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s on %s\n", info.Name, info.Kind, andList(nodes))
	if info.Doc != "" {
		fmt.Fprintf(&b, "%s\n", indent(info.Doc, ""))
	}
	if words := scopeText(info.Scope); words != "" {
		fmt.Fprintf(&b, "%s\n", words)
	}
	if len(info.Methods) == 0 && len(info.Properties) == 0 {
		b.WriteString("\n  (no methods)\n")
	}
	roomy := true // a method with words below it stands apart from the next
	for _, m := range info.Methods {
		words := m.Doc
		if m.Idempotent {
			words = strings.TrimSpace(words + "\nMay be called twice without harm.")
		}
		if roomy || words != "" {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "  %s\n", signature(string(info.Name), m))
		if words != "" {
			fmt.Fprintf(&b, "%s\n", indent(words, "      "))
		}
		roomy = words != ""
	}
	if len(info.Properties) > 0 {
		b.WriteString("\nProperties:\n\n")
	}
	for _, p := range info.Properties {
		fmt.Fprintf(&b, "  %s\n", propertyText(p))
		if p.Doc != "" {
			fmt.Fprintf(&b, "%s\n", indent(p.Doc, "      "))
		}
	}
	_, err := io.WriteString(w, clean(b.String()))
	return err
}

// scopeText says how many instances there are of an object that is not itself
// exported.
func scopeText(s rmi.Scope) string {
	switch s {
	case rmi.Shared:
		return "One instance for all callers, made for the first call."
	case rmi.PerSession:
		return "One instance for each calling process."
	case rmi.PerCall:
		return "One instance for each call."
	}
	return ""
}

// indent puts margin before each line of text that holds anything.
func indent(text, margin string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(margin+line, " \t")
	}
	return strings.Join(lines, "\n")
}

// signature writes a method for people; a function gets the name that it is
// registered under.
func signature(name string, m rmi.MethodInfo) string {
	if m.Name == "" {
		m.Name = name
	}
	return m.Signature()
}

// differing says which nodes serve which interface, when they differ; else it
// is empty.
func differing(entry *naming.Entry) string {
	seen := make(map[string]bool)
	var parts []string
	for _, inst := range entry.Instances {
		if inst.Interface == "" {
			continue
		}
		seen[inst.Interface] = true
		parts = append(parts, fmt.Sprintf("%s has %.8s", inst.Node, inst.Interface))
	}
	if len(seen) < 2 {
		return ""
	}
	return cleanLine(strings.Join(parts, ", "))
}

// interfaceOf asks for the interface of name, at the pinned node if there is
// one.
func (a *app) interfaceOf(ctx context.Context, m *farcall.Mesh, name naming.Name) (rmi.InterfaceInfo, error) {
	start := a.opts.Now()
	info, err := m.Describe(ctx, name, a.global.pin())
	if err != nil {
		return rmi.InterfaceInfo{}, a.failed(rmi.FromError(err), target{name: name}, "") // it says "describe"
	}
	a.verbosef("described %s in %s", name, short(a.opts.Now().Sub(start)))
	return info, nil
}

// noMethod is the failure of a method that is not in info.
func (a *app) noMethod(info rmi.InterfaceInfo, method string) error {
	f := &failure{code: ExitNotFound, err: fmt.Errorf("%s has no method %s", info.Name, quoted(method))}
	names := methodNames(info)
	if len(info.Properties) > 0 {
		f.err = fmt.Errorf("%s has no method and no property %s", info.Name, quoted(method))
	}
	for _, p := range info.Properties {
		names = append(names, p.Name)
	}
	switch {
	case info.Kind == naming.KindFunction:
		f.err = fmt.Errorf("%s is a function and has no methods", info.Name)
		f.hint = "client describe " + quoted(string(info.Name))
	case len(names) == 0:
		f.hint = "it has no methods at all"
	default:
		f.hint = "it has " + andList(names)
	}
	return f
}
