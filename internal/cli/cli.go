package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"farcall.dev"
	"farcall.dev/internal/buildinfo"
)

// Options are what a command line runs in. The zero value is a process without
// arguments, input, output and environment.
type Options struct {
	// Args are the words after the command's name.
	Args []string
	// Stdin is what "-" reads. Nil is empty.
	Stdin io.Reader
	// Stdout gets results and nothing else, Stderr everything said about them.
	// Nil discards.
	Stdout, Stderr io.Writer
	// Getenv reads the environment. Nil has none.
	Getenv func(key string) string
	// Join enters the mesh. Nil means farcall.Join.
	Join func(ctx context.Context, opts farcall.Options) (*farcall.Mesh, error)
	// Now is the clock by which ages are told. Nil means time.Now.
	Now func() time.Time
	// Build is what version tells.
	Build buildinfo.Info
}

// Main runs one command line and returns the code to exit with. When ctx ends
// the command is cancelled: what it was waiting for is given up.
func Main(ctx context.Context, opts Options) ExitCode {
	a := newApp(opts)
	root := a.root()
	root.SetArgs(a.opts.Args)
	root.SetIn(a.opts.Stdin)
	root.SetOut(a.opts.Stdout)
	root.SetErr(a.opts.Stderr)
	return a.report(ctx, root.ExecuteContext(ctx))
}

// app is one run of the command.
type app struct {
	opts   Options
	global globals
}

// newApp returns an app with the defaults of opts filled in.
func newApp(opts Options) *app {
	if opts.Args == nil {
		opts.Args = []string{} // nil would make cobra read the process's own
	}
	if opts.Stdin == nil {
		opts.Stdin = strings.NewReader("")
	}
	if opts.Stdout == nil {
		opts.Stdout = io.Discard
	}
	if opts.Stderr == nil {
		opts.Stderr = io.Discard
	}
	if opts.Getenv == nil {
		opts.Getenv = func(string) string { return "" }
	}
	if opts.Join == nil {
		opts.Join = farcall.Join
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &app{opts: opts}
}

// The groups under which help lists the commands.
const (
	groupCall = "call"
	groupLook = "look"
)

// root returns the command tree.
func (a *app) root() *cobra.Command {
	var exits strings.Builder
	for _, m := range exitMeanings() {
		fmt.Fprintf(&exits, "\n  %3d  %s", m.code, m.text)
	}
	root := &cobra.Command{
		Use:   "client",
		Short: "Call objects and functions on other machines by their name",
		Long: `client calls objects and functions of a Farcall mesh by their name, and shows
what is there.

Results go to standard output, everything else to standard error.

Exit codes:` + exits.String(),
		Example: `  client list
  client describe greeting
  client invoke greeting get_fortune letian
  client call add 3 4`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		// How far a word may be from a command to be taken for it.
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.AddGroup(
		&cobra.Group{ID: groupCall, Title: "Call:"},
		&cobra.Group{ID: groupLook, Title: "Look around:"},
	)
	a.global.declare(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef(cmd.CommandPath()+" --help lists the flags", "%w", err)
	})
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	a.completeFlags(root)
	root.AddCommand(
		a.invokeCommand(), a.callCommand(), a.getCommand(), a.setCommand(),
		a.listCommand(), a.describeCommand(), a.resolveCommand(), a.pingCommand(),
		a.versionCommand(),
	)
	return root
}

// unknownCommand is the failure of a word that is no command.
func unknownCommand(cmd *cobra.Command, word string) error {
	hint := "client --help lists the commands"
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		hint = "did you mean client " + strings.Join(near, " or client ") + "?"
	}
	return usagef(hint, "there is no command %q", word)
}

// runFunc is the work of one command, with the flags read.
type runFunc func(ctx context.Context, cmd *cobra.Command, args []string) error

// run makes fn a command's RunE: it settles the flags first.
func (a *app) run(fn runFunc) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.global.settle(cmd, a.opts.Getenv); err != nil {
			return err
		}
		return fn(cmd.Context(), cmd, args)
	}
}

// inMesh runs fn in the mesh, under the timeout, and leaves the mesh after it.
func (a *app) inMesh(ctx context.Context, fn func(ctx context.Context, m *farcall.Mesh) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.global.timeout)
	defer cancel()
	m, err := a.join(ctx)
	if err != nil {
		return err
	}
	defer a.leave(m)
	return fn(ctx, m)
}

// join enters the mesh as a process that only calls.
func (a *app) join(ctx context.Context) (*farcall.Mesh, error) {
	start := a.opts.Now()
	m, err := a.opts.Join(ctx, farcall.Options{
		NameServers: a.global.nameservers,
		Timeout:     a.global.timeout,
	})
	if err != nil {
		return nil, a.unjoined(err)
	}
	a.verbosef("joined the mesh by name server %s in %s", a.global.where(), short(a.opts.Now().Sub(start)))
	return m, nil
}

// leaveTimeout bounds the end of a command: there is nothing left to lose.
const leaveTimeout = time.Second

// leave ends this process's part in the mesh. A process that only calls has
// nothing there to take back, so that a failure is worth no more than a remark.
func (a *app) leave(m *farcall.Mesh) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := m.Shutdown(ctx); err != nil {
		a.verbosef("%v", err)
	}
}

// verbosef says something on standard error when -v asks for it.
func (a *app) verbosef(format string, args ...any) {
	if a.global.verbose {
		fmt.Fprintf(a.opts.Stderr, "client: "+format+"\n", args...)
	}
}

// emit writes v, the outcome of a command, in the format that was asked for;
// text writes it as text.
func (a *app) emit(v any, text func(w io.Writer) error) error {
	var err error
	switch a.global.output {
	case formatJSON:
		err = writeJSON(a.opts.Stdout, v, true)
	case formatJSONLines:
		err = writeJSON(a.opts.Stdout, v, false)
	case formatYAML:
		err = writeYAML(a.opts.Stdout, v)
	default:
		err = text(a.opts.Stdout)
	}
	return outputFailed(err)
}

// outputFailed makes a failure to write the command's own.
func outputFailed(err error) error {
	if err == nil {
		return nil
	}
	return &outputError{err}
}

// outputError is a failure to write to standard output.
type outputError struct{ err error }

// Error says what failed.
func (e *outputError) Error() string { return fmt.Sprintf("write the output: %v", e.err) }

// Unwrap returns the writer's error.
func (e *outputError) Unwrap() error { return e.err }

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && !errors.Is(err, os.ErrClosed)
}

// short formats d for people: three digits and a unit.
func short(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
		if d >= 10*unit {
			return d.Round(unit / 10).String()
		}
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}
