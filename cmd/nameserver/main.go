package main

import (
	"os"

	"farcall.dev/internal/boot"
)

func main() { os.Exit(int(boot.Main(program(), boot.Process{}))) }
