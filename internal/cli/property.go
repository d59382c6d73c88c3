package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// getCommand is "client get".
func (a *app) getCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "get NAME FIELD",
		GroupID: groupCall,
		Short:   "Read a property of an object",
		Long: `get prints the value of FIELD, a property of the object called NAME, as invoke
prints a result. client describe NAME shows the properties that its owner lists.`,
		Example: `  client get shop price
  client get -o json shop opening_hours
  client get --node daemon-2 shop price`,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if err := wantArgs(cmd.CommandPath(), args, 2, 2, "the NAME of an object and a FIELD", "client get shop price"); err != nil {
				return err
			}
			t, err := parseProperty(args)
			if err != nil {
				return err
			}
			return a.inMesh(ctx, func(ctx context.Context, m *farcall.Mesh) error {
				if err := a.wantObject(ctx, m, t); err != nil {
					return err
				}
				value, err := a.send(ctx, m, t, nil, reading{})
				if err != nil {
					return err
				}
				return a.emitResult(value)
			})
		}),
		ValidArgsFunction: a.completeProperty(func(rmi.PropertyInfo) bool { return true }),
	}
}

// setCommand is "client set".
func (a *app) setCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "set NAME FIELD VALUE",
		GroupID: groupCall,
		Short:   "Set a property of an object",
		Long: `set gives FIELD, a property of the object called NAME, a VALUE, which is written
as an argument of invoke is: a string as it is, lists, maps and structs as JSON,
@path for the content of a file, - for standard input. Flags go before NAME:
what follows FIELD is taken as it is, be it -3.`,
		Example: `  client set shop price 2.5
  client set shop opening_hours '["9-12", "14-18"]'
  client set shop logo @logo.png`,
		RunE: a.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
			if len(args) > 2 && args[2] == "--" {
				args = append(args[:2:2], args[3:]...)
			}
			if len(args) > 3 {
				if flag, ok := looksLikeFlag([]word{{text: args[3]}}); ok {
					return usagef("flags go before the name, as in client set "+flag+" ...", "client set takes nothing after the VALUE: %q", flag)
				}
			}
			if err := wantArgs(cmd.CommandPath(), args, 3, 3, "the NAME of an object, a FIELD and a VALUE", "client set shop price 2.5"); err != nil {
				return err
			}
			t, err := parseProperty(args)
			if err != nil {
				return err
			}
			words, err := a.words(ctx, args[2:], "", false)
			if err == nil {
				err = a.readLive(ctx, words)
			}
			if err != nil {
				return err
			}
			return a.inMesh(ctx, func(ctx context.Context, m *farcall.Mesh) error {
				if err := a.wantObject(ctx, m, t); err != nil {
					return err
				}
				value, err := a.propertyValue(ctx, m, t, words[0])
				if err != nil {
					return err
				}
				result, err := a.send(ctx, m, t, []any{value}, writing{})
				if err != nil {
					return err
				}
				return a.emitResult(result)
			})
		}),
		ValidArgsFunction: a.completeProperty(func(p rmi.PropertyInfo) bool { return !p.ReadOnly }),
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// parseProperty reads a NAME and a FIELD. The target's method is the field.
func parseProperty(args []string) (target, error) {
	name, err := parseName(args[0])
	if err != nil {
		return target{}, err
	}
	if args[1] == "" {
		return target{}, usagef("client describe "+quoted(args[0])+" shows the properties", "the FIELD is empty")
	}
	return target{name, args[1]}, nil
}

// wantObject fails unless t's name is that of an object.
func (a *app) wantObject(ctx context.Context, m *farcall.Mesh, t target) error {
	entry, err := a.lookup(ctx, m, t.name, "object")
	if err != nil {
		return err
	}
	if kindOf(entry) == naming.KindFunction {
		return &failure{
			code: ExitUsage, err: fmt.Errorf("%s is a function, and has no properties", t.name),
			hint: "client call " + quoted(string(t.name)) + " ...",
		}
	}
	return nil
}

// propertyValue returns w as the value that the property wants.
func (a *app) propertyValue(ctx context.Context, m *farcall.Mesh, t target, w word) (any, error) {
	info, err := a.interfaceOf(ctx, m, t.name)
	if err != nil {
		return nil, err
	}
	p, ok := info.Property(t.method)
	if !ok {
		return guess([]word{w})[0], nil // the object knows what to say
	}
	value, err := w.value(p.Type)
	if err != nil {
		return nil, usagef(propertyText(p), "the value of %s: %w", t, err)
	}
	return value, nil
}

// propertyText writes a property for people.
func propertyText(p rmi.PropertyInfo) string {
	text := p.Name + ": " + p.Type.String()
	if p.ReadOnly {
		text += " (read-only)"
	}
	return text
}

// reading is how the value of a property is asked for.
type reading struct{ native }

var _ encoding = reading{}

func (reading) newCall(ctx context.Context, _ *app, t target, _ []any) (*rmi.Call, error) {
	call, err := rmi.NewCall(ctx, t.name, rmi.GetMethod, t.method)
	if err == nil {
		call.Idempotent = true
	}
	return call, err
}

// writing is how a property is set.
type writing struct{ native }

var _ encoding = writing{}

func (writing) newCall(ctx context.Context, _ *app, t target, args []any) (*rmi.Call, error) {
	return rmi.NewCall(ctx, t.name, rmi.SetMethod, t.method, args[0])
}

// propertiesLike returns the properties of info that begin with prefix.
func propertiesLike(info rmi.InterfaceInfo, prefix string) []cobra.Completion {
	var out []cobra.Completion
	for _, p := range info.Properties {
		if strings.HasPrefix(p.Name, prefix) {
			out = append(out, cobra.CompletionWithDesc(p.Name, propertyText(p)))
		}
	}
	return out
}

// completeProperty completes an object, one of its properties that fit, and then
// shows what a value is.
func (a *app) completeProperty(fits func(rmi.PropertyInfo) bool) completeFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return a.names(cmd, naming.KindObject, toComplete), cobra.ShellCompDirectiveNoFileComp
		}
		if path, ok := strings.CutPrefix(toComplete, "@"); ok && len(args) == 2 && !strings.HasPrefix(path, "@") {
			return completeFile(path)
		}
		return a.completing(cmd, func(ctx context.Context, m *farcall.Mesh) []cobra.Completion {
			info, err := m.Describe(ctx, naming.Name(args[0]), a.global.pin())
			if err != nil {
				return nil
			}
			var out []cobra.Completion
			for _, p := range info.Properties {
				switch {
				case !fits(p):
				case len(args) == 1:
					out = append(out, propertiesLike(rmi.InterfaceInfo{Properties: []rmi.PropertyInfo{p}}, toComplete)...)
				case len(args) == 2 && (p.Name == args[1] || p.Go == args[1]) && cmd.Name() == "set":
					out = cobra.AppendActiveHelp(out, propertyText(p))
				}
			}
			return out
		}), cobra.ShellCompDirectiveNoFileComp
	}
}
