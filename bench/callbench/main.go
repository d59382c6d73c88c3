package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "callbench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && (args[0] == "serve" || args[0] == "call") {
		if args[1] == scaleRole && args[0] == "serve" {
			return beScaleServer()
		} else if args[1] == scaleRole {
			return beScaleClient()
		}
		c, err := find(args[1])
		if err != nil {
			return err
		}
		defer profileCPU(args[0] + "-" + args[1])()
		if args[0] == "serve" {
			return beServer(c)
		}
		return beClient(c)
	}
	flags := flag.NewFlagSet("callbench", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "measure the quick set: 1 and 128 callers, 16 bytes, us, the limit, net/rpc and gRPC")
	rounds := flags.Int("rounds", 0, "how many rounds; 0 for 5")
	each := flags.Duration("time", 0, "how long a contestant works in a round; 0 for 500ms")
	only := flags.String("only", "", "measure these contestants, separated by commas; empty for all of the set")
	works := flags.String("works", "", "measure the works whose names match this regular expression, such as '^1 MiB, 4 '")
	jsonFile := flags.String("json", "", "write every sample to this file, - for standard output")
	out := flags.String("out", "", "write benchmarks.md and its plots into this folder")
	sessions := flags.Int("sessions", 0, "measure instead what this many sessions take, of which 100 are active, and 10000 waiting calls")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *sessions > 0 {
		r, err := manySessions(max(*sessions, 200)).measure()
		if err == nil {
			r.print(os.Stdout)
		}
		return err
	}
	p := plan{Rounds: 5, Each: 500 * time.Millisecond, Contestants: contestants}
	p.Works = fullWorks()
	if *quick {
		p.Works, p.Contestants = quickWorks(), nil
		for _, name := range []string{"farcall", "lane", "netrpc", "grpc"} {
			c, err := find(name)
			if err != nil {
				return err
			}
			p.Contestants = append(p.Contestants, c)
		}
	}
	if err := p.choose(*only, *works); err != nil {
		return err
	}
	if *rounds > 0 {
		p.Rounds = *rounds
	}
	if *each > 0 {
		p.Each = *each
	}
	r, err := p.measure(os.Stderr)
	if err != nil {
		return err
	}
	if !*quick && *only == "" && *works == "" {
		if r.Scale, err = manySessions(10_000).measure(); err != nil {
			return err
		}
	}
	if *jsonFile != "" {
		if err := writeJSON(*jsonFile, r); err != nil {
			return err
		}
	}
	if *out != "" {
		if err := r.write(*out); err != nil {
			return err
		}
		fmt.Println("wrote", filepath.Join(*out, "benchmarks.md"))
	}
	r.print(os.Stdout)
	if *only == "" && *works == "" {
		fmt.Println(r.ratios())
	}
	return nil
}

// writeJSON writes r to a file, or to standard output.
func writeJSON(file string, r *results) error {
	w := os.Stdout
	if file != "-" {
		f, err := os.Create(file)
		if err != nil {
			return err
		}
		defer f.Close()
		w = f
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}
