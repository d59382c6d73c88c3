package boot

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"farcall.dev/internal/admin"
	"farcall.dev/internal/buildinfo"
)

// Program is a long-running command. Beside what Run does it has the
// subcommands version, and probe for health checks in images without a shell.
type Program struct {
	// Name is the command's; Short says what it does in a line, Long at length,
	// Example how it is used.
	Name, Short, Long, Example string
	// Flags defines the command's own flags. Each can also be set by the
	// variable that [EnvName] gives.
	Flags func(*pflag.FlagSet)
	// AdminFlag is the flag that holds the address of the admin listener, and
	// AdminDefault its default: where probe looks.
	AdminFlag, AdminDefault string
	// Run does the command's work until it is asked to stop. changed reports
	// whether a flag was set, by the command line or the environment. It
	// writes what people should read to stdout, and its log to stderr.
	Run func(signals *Signals, stdout, stderr io.Writer, changed func(flag string) bool) error
}

// Process is what a program gets from its surroundings. The zero value is this
// process's own.
type Process struct {
	// Args are the arguments without the command's name; nil means os.Args[1:].
	Args []string
	// Stdout and Stderr default to the process's own.
	Stdout, Stderr io.Writer
	// LookupEnv defaults to os.LookupEnv, Exit to os.Exit.
	LookupEnv func(string) (string, bool)
	Exit      func(int)
	// Signals is where signals come from; nil means SIGINT and SIGTERM of the
	// process.
	Signals chan os.Signal
}

// Main runs p to its end, reports its error and returns the status to exit
// with.
func Main(p Program, proc Process) ExitCode {
	proc = proc.withDefaults()
	cmd, running := p.command(proc)
	err := cmd.ExecuteContext(context.Background())
	if err != nil && !*running {
		err = &Failure{Code: ExitUsage, Err: err, Try: fmt.Sprintf("see `%s --help`", p.Name)}
	}
	return Report(proc.Stderr, p.Name, err)
}

// withDefaults returns p with what is nil filled in.
func (p Process) withDefaults() Process {
	if p.Args == nil {
		p.Args = os.Args[1:]
	}
	if p.Stdout == nil {
		p.Stdout = os.Stdout
	}
	if p.Stderr == nil {
		p.Stderr = os.Stderr
	}
	if p.LookupEnv == nil {
		p.LookupEnv = os.LookupEnv
	}
	if p.Exit == nil {
		p.Exit = os.Exit
	}
	return p
}

// command builds the command tree. running is set once the command line has
// been understood.
func (p Program) command(proc Process) (cmd *cobra.Command, running *bool) {
	running = new(bool)
	cmd = &cobra.Command{
		Use:           p.Name,
		Short:         p.Short,
		Long:          p.Long + "\n\n" + ExitCodes(),
		Example:       p.Example,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			*running = true
			return BindEnv(cmd.Flags(), proc.LookupEnv)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			signals := notify(cmd.Context(), proc.Signals, proc.Exit)
			defer signals.close()
			err := p.Run(signals, proc.Stdout, proc.Stderr, cmd.Flags().Changed)
			if signals.Abort.Err() != nil {
				return &Failure{Code: ExitAborted, Err: ErrAborted}
			}
			return err
		},
	}
	cmd.SetArgs(proc.Args)
	cmd.SetOut(proc.Stdout)
	cmd.SetErr(proc.Stderr)
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.Flags().SortFlags = false
	p.Flags(cmd.Flags())
	DescribeEnv(cmd.Flags())
	cmd.AddCommand(p.probe(), p.version())
	return cmd, running
}

// version builds the subcommand that tells which build this is.
func (p Program) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Tell which build this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", p.Name, buildinfo.Get())
			return err
		},
	}
}

// probe builds the subcommand that asks a running one how it is.
func (p Program) probe() *cobra.Command {
	var address string
	var live bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "probe",
		Short: fmt.Sprintf("Ask a running %s whether it is ready", p.Name),
		Long: fmt.Sprintf("Ask the %s that runs at --%s whether it is ready, and end with status 0 when it\n"+
			"is and 1 when it is not or does not answer. It is made for health checks.", p.Name, p.AdminFlag),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := CheckListen(p.AdminFlag, address); err != nil {
				return err
			}
			path := "/readyz"
			if live {
				path = "/healthz"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			answer, err := admin.Probe(ctx, address, path)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), answer)
			return err
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&address, p.AdminFlag, p.AdminDefault, "where it listens, host:port")
	fs.BoolVar(&live, "live", false, "ask only whether the process is up")
	fs.DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for an answer")
	DescribeEnv(fs)
	return cmd
}
