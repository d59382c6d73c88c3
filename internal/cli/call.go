package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"farcall.dev/gateway"
	"farcall.dev/rmi"
	"farcall.dev/xmlrpc"
)

// callFlags are the flags of call alone.
type callFlags struct {
	url     string
	dialect string
	native  bool
}

// callCommand is "client call".
func (a *app) callCommand() *cobra.Command {
	var array string
	var flags callFlags
	cmd := &cobra.Command{
		Use:     "call FUNCTION [ARG...]",
		GroupID: groupCall,
		Short:   "Call a function, by XML-RPC",
		Long: `call calls the function registered as FUNCTION and prints its result. The call
goes over the mesh as an XML-RPC document, or as invoke's does with --native or
where XML-RPC has nothing for an argument, such as NaN; -v prints the documents.

With --url it calls the method FUNCTION of any XML-RPC server, in the mesh or
not. Arguments are read by what the server's system.methodSignature says; where
that says nothing, as JSON where they are JSON and as text where not.` + fmt.Sprintf(argumentsHelp, "FUNCTION"),
		Example: `  client call add 3 4
  client call add -3 4
  client call --json '[3, 4]' add
  client call -o yaml echo '{"a": [1, 2]}'
  client call -v --url http://127.0.0.1:8080/RPC2 add 3 4`,
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if flags.url != "" {
			return a.completeForeign(cmd, flags, args, toComplete)
		}
		return a.completeCall(cmd, args, toComplete)
	}
	cmd.RunE = a.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		if err := wantArgs(cmd.CommandPath(), args, 1, -1, "the name of a FUNCTION", "client call add 3 4"); err != nil {
			return err
		}
		given := cmd.Flags().Changed("json")
		if flags.url != "" {
			return a.callForeign(ctx, cmd, flags, args[0], args[1:], array, given)
		}
		if cmd.Flags().Changed("dialect") {
			return usagef("leave it out; documents in the mesh have all extensions", "--dialect goes with --url")
		}
		name, err := parseName(args[0])
		if err != nil {
			return err
		}
		var as encoding = &document{}
		if flags.native {
			as = native{}
		}
		return a.call(ctx, target{name: name}, args[1:], array, given, as)
	})
	declareCall(cmd, &array)
	cmd.Flags().StringVar(&flags.url, "url", "", "call the XML-RPC server at this `URL` instead of the mesh")
	cmd.Flags().StringVar(&flags.dialect, "dialect", "standard", "the `extensions` that the server at --url reads: standard (none), plain (nil, i8), apache")
	cmd.Flags().BoolVar(&flags.native, "native", false, "send the arguments in the mesh's own encoding, as invoke does")
	return cmd
}

// encoding is how a call in the mesh is encoded.
type encoding interface {
	// newCall returns a call of t.
	newCall(ctx context.Context, a *app, t target, args []any) (*rmi.Call, error)
	// result decodes what came back.
	result(a *app, reply rmi.Payload) (any, error)
}

// native is the mesh's own encoding.
type native struct{}

var _ encoding = native{}

func (native) newCall(ctx context.Context, _ *app, t target, args []any) (*rmi.Call, error) {
	return rmi.NewCall(ctx, t.name, t.method, args...)
}

func (native) result(_ *app, reply rmi.Payload) (any, error) {
	var v any
	err := rmi.DecodeValue(reply, &v)
	return v, err
}

// document is XML-RPC where it can carry the arguments, and native where not.
type document struct{}

var _ encoding = (*document)(nil)

func (*document) newCall(ctx context.Context, a *app, t target, args []any) (*rmi.Call, error) {
	// Most arguments need no extension, and those that do need one each.
	doc, err := []byte(nil), error(nil)
	for _, dialect := range []xmlrpc.Dialect{xmlrpc.Standard, xmlrpc.Plain, xmlrpc.Apache} {
		if doc, err = xmlrpc.AppendRequest(nil, xmlrpc.EncodeOptions{Dialect: dialect, ExactTime: true}, t.String(), args...); err == nil {
			break
		}
	}
	if err != nil {
		a.verbosef("sent in the mesh's own encoding: %v", err)
		return native{}.newCall(ctx, a, t, args)
	}
	a.showDocument(doc)
	return &rmi.Call{
		Object: t.name, Method: t.method,
		Args:     rmi.Payload{Type: rmi.ContentXMLRPC, Data: doc},
		Metadata: rmi.Metadata{gateway.MetadataDialect: "apache"},
	}, nil
}

func (*document) result(a *app, reply rmi.Payload) (any, error) {
	if reply.Type != rmi.ContentXMLRPC {
		return native{}.result(a, reply)
	}
	a.showDocument(reply.Data)
	raw, err := xmlrpc.ParseResponse(reply.Data, xmlrpc.DecodeOptions{Limits: xmlrpc.Limits{Bytes: rmi.DefaultMaxPayload}})
	if err != nil {
		return nil, err
	}
	v, err := raw.Any()
	return gateway.Natural(v), err
}

// showDocument prints a document when -v asks for it.
func (a *app) showDocument(doc []byte) {
	if a.global.verbose {
		fmt.Fprintln(a.opts.Stderr, strings.TrimSuffix(clean(string(doc)), "\n"))
	}
}
