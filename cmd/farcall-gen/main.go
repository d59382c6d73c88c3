package main

import (
	"context"
	"os"

	"farcall.dev/internal/gen/source"
)

func main() {
	os.Exit(source.Main(context.Background(), source.Invocation{
		Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}
