package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farcall.dev"
	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// argumentsHelp tells how arguments are written; invoke and call share it.
const argumentsHelp = `

Each argument becomes what the parameter wants: a string is taken as it is, a
number, boolean, time (RFC 3339) or duration (1m30s) is read, bytes are base64,
and lists, maps and structs are JSON.
  @path   the content of a file, -  standard input. A parameter of bytes gets
          it to the byte, a string without the line feed at its end.
  @@x     the text "@x"
  --json  all arguments as one JSON array (or @path or - that holds one)
A stream takes a JSON array, or from @path or - one JSON value a line: what
comes by standard input is sent on line by line, as it comes.
Flags go before the arguments: what follows %s is passed on as it is,
be it -3 or --help. A "--" in that place is left out.

A string is printed as it is, with a line feed if it has none at its end; bytes
as they are; a list of simple values one to a line; everything else as JSON; no
result as nothing. -o json prints one JSON document: bytes as base64, NaN and
the infinities as strings, integers with all their digits; -o jsonl does so in
one line. The items of a stream are printed as they come, one to a line, with
-o json and -o jsonl as one JSON document each; --timeout then bounds the wait
for the reply, and not the stream.`

// target is what invoke or call is to call.
type target struct {
	name   naming.Name
	method string // empty for a function
}

// String is the target as messages name it.
func (t target) String() string {
	if t.method == "" {
		return string(t.name)
	}
	return string(t.name) + "." + t.method
}

// invokeCommand is "client invoke".
func (a *app) invokeCommand() *cobra.Command {
	var array string
	cmd := &cobra.Command{
		Use:     "invoke NAME METHOD [ARG...]",
		GroupID: groupCall,
		Short:   "Call a method of an object",
		Long:    `invoke calls METHOD of the object called NAME and prints its result.` + fmt.Sprintf(argumentsHelp, "METHOD"),
		Example: `  client invoke greeting get_fortune letian
  client invoke -o json shop.cart add '{"sku": "A1", "count": 2}'
  client invoke --node daemon-2 --timeout 1s greeting get_fortune letian
  client invoke files put report.pdf @report.pdf
  date | client invoke greeting get_fortune -`,
		ValidArgsFunction: a.completeInvoke,
	}
	cmd.RunE = a.run(func(ctx context.Context, cmd *cobra.Command, args []string) error {
		// Flags may also stand between the two names.
		if len(args) > 1 {
			if err := cmd.Flags().Parse(args[1:]); err != nil {
				return cmd.FlagErrorFunc()(cmd, err)
			}
			if help, _ := cmd.Flags().GetBool("help"); help {
				return cmd.Help()
			}
			if err := a.global.settle(cmd, a.opts.Getenv); err != nil {
				return err
			}
			args = append(args[:1:1], cmd.Flags().Args()...)
		}
		if err := wantArgs(cmd.CommandPath(), args, 2, -1, "the NAME of an object and a METHOD", "client invoke greeting get_fortune letian"); err != nil {
			return err
		}
		name, err := parseName(args[0])
		if err != nil {
			return err
		}
		if args[1] == "" {
			return usagef("client describe "+args[0]+" shows the methods", "the METHOD is empty")
		}
		return a.call(ctx, target{name, args[1]}, args[2:], array, cmd.Flags().Changed("json"), native{})
	})
	declareCall(cmd, &array)
	return cmd
}

// declareCall adds to cmd the flags that invoke and call share.
func declareCall(cmd *cobra.Command, array *string) {
	cmd.Flags().SetInterspersed(false)
	cmd.Annotations = map[string]string{moreFormats: formatJSONLines}
	cmd.Flags().StringVar(array, "json", "", "all arguments as one JSON `array`, with numbers exact")
}

// call calls t with the arguments as written, encoded by as, and prints the
// result.
func (a *app) call(ctx context.Context, t target, args []string, array string, given bool, as encoding) error {
	words, err := a.words(ctx, withoutDashes(args), array, given)
	if err != nil {
		return err
	}
	whole := ctx
	return a.inMesh(ctx, func(ctx context.Context, m *farcall.Mesh) error {
		return a.callIn(ctx, whole, m, t, words, as)
	})
}

// withoutDashes returns args without a "--" before them.
func withoutDashes(args []string) []string {
	if len(args) > 0 && args[0] == "--" {
		return args[1:]
	}
	return args
}

// emitResult writes the result of a call.
func (a *app) emitResult(result any) error {
	return a.emit(result, func(w io.Writer) error { return writeText(w, result, isTerminal(w)) })
}

// callIn calls t in the mesh and prints its result. ctx bounds everything but the
// streams of the call, which end with whole.
func (a *app) callIn(ctx, whole context.Context, m *farcall.Mesh, t target, words []word, as encoding) error {
	what := "object"
	if t.method == "" {
		what = "function"
	}
	entry, err := a.lookup(ctx, m, t.name, what)
	if err != nil {
		return err
	}
	if (kindOf(entry) == naming.KindFunction) != (t.method == "") {
		return a.wrongKind(ctx, m, t, words)
	}
	feed, before := new(feed), a.opts.Now()
	args, err := a.arguments(ctx, whole, m, t, words, feed)
	if err != nil {
		return err
	}
	if feed.used {
		as = native{} // documents have no streams
	}
	timeout := a.global.timeout
	if deadline, ok := ctx.Deadline(); ok { // reading standard input is not the mesh's time
		timeout = max(time.Until(deadline)+a.opts.Now().Sub(before), time.Nanosecond)
	}
	result, node, err := a.exchange(whole, timeout, m, t, args, as, feed)
	if err != nil {
		return err
	}
	if stream, ok := result.(*rmi.Stream[any]); ok {
		if err := a.emitStream(whole, stream); err != nil {
			return a.fedFailed(err, feed, t, node)
		}
		return nil
	}
	return a.emitResult(result)
}

// send sends a call of t, encoded by as, and returns its result.
func (a *app) send(ctx context.Context, m *farcall.Mesh, t target, args []any, as encoding) (any, error) {
	result, _, err := a.exchange(ctx, 0, m, t, args, as, new(feed))
	return result, err
}

// exchange is send with a timeout for the reply, where ctx has no deadline, and
// what feeds an argument; it also returns which node has answered.
func (a *app) exchange(ctx context.Context, timeout time.Duration, m *farcall.Mesh, t target, args []any, as encoding, feed *feed) (any, naming.NodeID, error) {
	call, err := as.newCall(ctx, a, t, args)
	if err != nil {
		return nil, "", a.callFailed(err, t, "")
	}
	var on naming.Instance
	call.Pin, call.Timeout = a.global.pin(), timeout
	call.Sent = func(inst naming.Instance) {
		on = inst
		a.verbosef("call %s on node %s at %s", t, inst.Node, inst.Addrs[naming.ProtocolMesh])
	}
	start := a.opts.Now()
	reply, err := m.Handler().Handle(ctx, call)
	if err != nil {
		return nil, on.Node, a.fedFailed(err, feed, t, on.Node)
	}
	a.verbosef("reply from node %s after %s", on.Node, short(a.opts.Now().Sub(start)))
	result, err := as.result(a, reply.Result)
	if err != nil {
		return nil, on.Node, &failure{code: ExitInternal, err: fmt.Errorf("result of %s from node %s: %w", t, on.Node, err)}
	}
	return result, on.Node, nil
}

// fedFailed is the failure of a call: that of what fed it, if that came first.
func (a *app) fedFailed(err error, feed *feed, t target, node naming.NodeID) error {
	if cause := feed.failure(); cause != nil {
		return cause
	}
	if _, ours := errors.AsType[*outputError](err); ours {
		return err
	}
	return a.callFailed(err, t, node)
}

// wrongKind is the failure of invoke on a function, and of call on an object.
func (a *app) wrongKind(ctx context.Context, m *farcall.Mesh, t target, words []word) error {
	if t.method != "" {
		line := "client call " + quoted(string(t.name))
		for _, w := range append([]word{{text: t.method}}, words...) {
			line += " " + quoted(w.text)
		}
		if len(line) > 200 {
			line = "client call " + quoted(string(t.name)) + " ..."
		}
		return &failure{code: ExitUsage, err: fmt.Errorf("%s is a function, not an object", t.name), hint: line}
	}
	f := &failure{
		code: ExitUsage,
		err:  fmt.Errorf("%s is an object, not a function", t.name),
		hint: "client invoke " + quoted(string(t.name)) + " METHOD",
	}
	if info, err := m.Describe(ctx, t.name, a.global.pin()); err == nil && len(info.Methods) > 0 {
		f.hint += "; it has " + andList(methodNames(info))
	}
	return f
}

// looksLikeFlag reports whether one of words is spelt as a flag of the command,
// which is then a likely reason for an argument too many.
func looksLikeFlag(words []word) (string, bool) {
	for _, w := range words {
		if w.from != "" || w.json {
			continue
		}
		for _, flag := range []string{"-o", "--output", "--json", "--node", "--timeout", "--nameserver", "--url", "--native", "-v", "--verbose", "-h", "--help"} {
			if w.text == flag || strings.HasPrefix(w.text, flag+"=") {
				return flag, true
			}
		}
	}
	return "", false
}
