// Command client calls objects and functions of a Farcall mesh by their name,
// and shows what is there. Package internal/cli is the whole of it; docs/cli.md
// describes it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"farcall.dev/internal/buildinfo"
	"farcall.dev/internal/cli"
)

func main() {
	// The first signal cancels the call, the second ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(int(cli.Main(ctx, cli.Options{
		Args:   os.Args[1:],
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Getenv: os.Getenv,
		Build:  buildinfo.Get(),
	})))
}
