package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// versionInfo is what version tells, for programs.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// versionCommand is "client version".
func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Tell which build this is",
		Long:  `version tells which build this is. It asks nobody.`,
		Example: `  client version
  client version -o json`,
		RunE: a.run(func(_ context.Context, cmd *cobra.Command, args []string) error {
			if err := wantArgs(cmd.CommandPath(), args, 0, 0, "no arguments", "client version"); err != nil {
				return err
			}
			b := a.opts.Build
			info := versionInfo{b.Version, b.Revision, b.Modified, b.Go, b.Platform}
			return a.emit(info, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "client %s\n", b)
				return err
			})
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}
