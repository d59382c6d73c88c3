package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// completeTimeout bounds what the shell waits for after a press of the tab key.
const completeTimeout = 1500 * time.Millisecond

// anyKind asks for objects and functions.
const anyKind naming.Kind = ""

// completeFunc is what cobra asks for the words that can come next.
type completeFunc = cobra.CompletionFunc

// completing runs fn in the mesh to find the words that can come next. Failing
// to get there leaves the shell without suggestions and says nothing: a message
// would land in the middle of the line that is being typed.
func (a *app) completing(cmd *cobra.Command, fn func(ctx context.Context, m *farcall.Mesh) []cobra.Completion) []cobra.Completion {
	if err := a.global.settle(cmd, a.opts.Getenv); err != nil {
		return nil
	}
	a.global.verbose = false
	a.global.timeout = min(a.global.timeout, completeTimeout)
	var out []cobra.Completion
	_ = a.inMesh(cmd.Context(), func(ctx context.Context, m *farcall.Mesh) error { // see above
		out = fn(ctx, m)
		return nil
	})
	return out
}

// completeName completes one name of a kind.
func (a *app) completeName(kind naming.Kind) completeFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.names(cmd, kind, toComplete), cobra.ShellCompDirectiveNoFileComp
	}
}

// names returns the names of a kind that begin with prefix.
func (a *app) names(cmd *cobra.Command, kind naming.Kind, prefix string) []cobra.Completion {
	return a.completing(cmd, func(ctx context.Context, m *farcall.Mesh) []cobra.Completion {
		entries, err := a.entries(ctx, m, prefix)
		if err != nil {
			return nil
		}
		query := listQuery{prefix: prefix, node: a.global.pin()}
		shows := func(inst naming.Instance) bool {
			return query.shows(inst) && (kind == anyKind || inst.Kind == kind)
		}
		var out []cobra.Completion
		for _, n := range summarize(entries, shows) {
			out = append(out, cobra.CompletionWithDesc(string(n.Name), fmt.Sprintf("%s on %s", n.Kind, andList(n.Nodes))))
		}
		return out
	})
}

// completeInvoke completes the words of invoke: an object, one of its methods,
// then the arguments, of which only files can be completed; what they mean is
// shown beside.
func (a *app) completeInvoke(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return a.names(cmd, naming.KindObject, toComplete), cobra.ShellCompDirectiveNoFileComp
	case 1:
		return a.completing(cmd, func(ctx context.Context, m *farcall.Mesh) []cobra.Completion {
			info, err := m.Describe(ctx, naming.Name(args[0]), a.global.pin())
			if err != nil {
				return nil
			}
			return methodsLike(info, toComplete)
		}), cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeArgument(cmd, naming.Name(args[0]), args[1], toComplete)
}

// methodsLike returns the methods of info that begin with prefix.
func methodsLike(info rmi.InterfaceInfo, prefix string) []cobra.Completion {
	var out []cobra.Completion
	for _, method := range info.Methods {
		if strings.HasPrefix(method.Name, prefix) {
			out = append(out, cobra.CompletionWithDesc(method.Name, signature("", method)))
		}
	}
	return out
}

// completeCall completes the words of call: a function, then its arguments.
func (a *app) completeCall(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return a.names(cmd, naming.KindFunction, toComplete), cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeArgument(cmd, naming.Name(args[0]), "", toComplete)
}

// completeArgument completes an argument of a call: the path after "@", or
// nothing, with the signature as help.
func (a *app) completeArgument(cmd *cobra.Command, name naming.Name, method, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if path, ok := strings.CutPrefix(toComplete, "@"); ok && !strings.HasPrefix(path, "@") {
		return completeFile(path)
	}
	help := a.completing(cmd, func(ctx context.Context, m *farcall.Mesh) []cobra.Completion {
		info, err := m.Describe(ctx, name, a.global.pin())
		if err != nil {
			return nil
		}
		mi, ok := info.Method(method)
		if !ok {
			return nil
		}
		return cobra.AppendActiveHelp(nil, signature(string(name), mi))
	})
	return help, cobra.ShellCompDirectiveNoFileComp
}

// completeFile completes the path of an argument @path.
func completeFile(path string) ([]cobra.Completion, cobra.ShellCompDirective) {
	matches, err := filepath.Glob(path + "*")
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	out := make([]cobra.Completion, len(matches))
	for i, match := range matches {
		out[i] = "@" + match
		if info, err := os.Stat(match); err == nil && info.IsDir() {
			out[i] += string(filepath.Separator)
			directive |= cobra.ShellCompDirectiveNoSpace
		}
	}
	return out, directive
}

// completeFlags adds the completion of the global flags' values to root.
func (a *app) completeFlags(root *cobra.Command) {
	nothing := cobra.FixedCompletions(nil, cobra.ShellCompDirectiveNoFileComp)
	for flag, fn := range map[string]completeFunc{
		"output": func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return formatsOf(cmd), cobra.ShellCompDirectiveNoFileComp
		},
		"nameserver": nothing,
		"timeout":    nothing,
		"node": func(cmd *cobra.Command, _ []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
			a.global.node = "" // it is what is being typed
			return a.instances(cmd, string(rmi.NodeObject), func(inst naming.Instance) []string {
				return []string{string(inst.Node)}
			}, toComplete), cobra.ShellCompDirectiveNoFileComp
		},
	} {
		if err := root.RegisterFlagCompletionFunc(flag, fn); err != nil {
			panic(err) // a flag of that name is declared above, or the program is wrong
		}
	}
}

// completeTag completes the value of --tag.
func (a *app) completeTag(cmd *cobra.Command, _ []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.instances(cmd, "", func(inst naming.Instance) []string { return inst.Tags }, toComplete),
		cobra.ShellCompDirectiveNoFileComp
}

// instances returns the words that pick finds in the instances of the names
// that begin with prefix, those that begin with toComplete.
func (a *app) instances(cmd *cobra.Command, prefix string, pick func(naming.Instance) []string, toComplete string) []cobra.Completion {
	return a.completing(cmd, func(ctx context.Context, m *farcall.Mesh) []cobra.Completion {
		entries, err := a.entries(ctx, m, prefix)
		if err != nil {
			return nil
		}
		var out []cobra.Completion
		for _, entry := range entries {
			for _, inst := range entry.Instances {
				for _, w := range pick(inst) {
					if strings.HasPrefix(w, toComplete) {
						out = append(out, w)
					}
				}
			}
		}
		return set(out)
	})
}
