package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// write writes the report and its plots into dir.
func (r *results) write(dir string) error {
	plots := filepath.Join(dir, "benchmarks")
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, intro, r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Machine.Commit,
		r.Started.Format("2006-01-02"), r.Rounds, r.Each)
	b.WriteString("\n## The contestants\n\n| name | what it is |\n|---|---|\n")
	for _, name := range r.Contestants {
		c, err := find(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "| %s | %s |\n", c.name, c.about)
	}
	b.WriteString("\n## Goals\n\nWhat Farcall is measured by. Why some are not reached, and where the limit is, stands in\n[where the time goes](performance.md).\n\n")
	r.goalTable(&b)
	b.WriteString("\n## Ratios\n\nFarcall's figure over the other's in the same round: the median, and the least and the\ngreatest of the rounds.\n\n")
	r.ratioTable(&b)
	b.WriteString("\n## Figures\n")
	for _, w := range r.works() {
		fmt.Fprintf(&b, "\n### %v\n\n", w)
		r.table(&b, w)
	}
	if r.Scale != nil {
		b.WriteString("\n## Many sessions\n\nFarcall alone. Memory is what one more takes of its process, after a collection; a\nwaiting call counts the goroutine of its caller, and of its method.\n\n```\n")
		r.Scale.print(&b)
		b.WriteString("```\n")
	}
	b.WriteString("\n## Plots\n\n")
	for _, p := range r.plots() {
		file := filepath.Join("benchmarks", p.file)
		if err := p.save(filepath.Join(dir, file)); err != nil {
			return err
		}
		fmt.Fprintf(&b, "![%s](%s)\n\n", p.title, filepath.ToSlash(file))
	}
	return os.WriteFile(filepath.Join(dir, "benchmarks.md"), bytes.TrimRight(b.Bytes(), "\n"), 0o644)
}

// ratioTable writes what Farcall's calls per second and median latency are to
// those of the others.
func (r *results) ratioTable(b *bytes.Buffer) {
	others := r.Contestants[1:]
	b.WriteString("| work | figure | " + strings.Join(others, " | ") + " |\n|---|---|" + strings.Repeat("---|", len(others)) + "\n")
	for _, w := range r.works() {
		for _, f := range []struct {
			name string
			of   func(sample) float64
		}{{"calls/s", rate}, {"p50", p50}, {"p99", p99}, {"CPU", cpu}} {
			if w.Rate > 0 && f.name == "calls/s" || w.Callers > 1 && w.Rate == 0 && f.name == "p50" {
				continue
			}
			fmt.Fprintf(b, "| %v | %s |", w, f.name)
			for _, other := range others {
				s := r.ratio(r.Contestants[0], other, w, f.of)
				if s.Max == 0 {
					b.WriteString(" - |")
					continue
				}
				fmt.Fprintf(b, " **%.2f** %.2f–%.2f |", s.Median, s.Min, s.Max)
			}
			b.WriteString("\n")
		}
	}
}

// table writes every figure of one work.
func (r *results) table(b *bytes.Buffer, w work) {
	b.WriteString("| | calls/s | least–most | p50 | p99 | p99.9 | CPU client | CPU server | allocations | bytes | reads and writes |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range r.Contestants {
		if len(r.of(c, w, rate)) == 0 {
			continue
		}
		calls := r.figure(c, w, rate)
		fmt.Fprintf(b, "| %s | %.0f | %.0f–%.0f | %s | %s | %s | %.1f | %.1f | %.1f | %.0f | %.2f |\n", c,
			calls.Median, calls.Min, calls.Max,
			duration(r.figure(c, w, p50).Median), duration(r.figure(c, w, p99).Median), duration(r.figure(c, w, p999).Median),
			r.figure(c, w, cpuClient).Median*1000, r.figure(c, w, cpuServer).Median*1000,
			r.figure(c, w, allocs).Median, r.figure(c, w, bytesOf).Median, r.figure(c, w, syscalls).Median)
	}
}

const intro = `# Benchmarks

Written by ` + "`make bench`" + `; do not edit. What the numbers are good for: comparing the
columns of one table with each other. They change from machine to machine, and on a
busy one from minute to minute.

- Machine: %s, %d cores, Linux %s. Go %s, commit %s, %s.
- Client and server are processes of their own on that machine, and share its cores.
  They talk over loopback.
- %d rounds of %v for each contestant and each work, after one that does not count.
  The contestants take turns within a round, and begin in another order in each. Figures
  are medians over the rounds.
- *callers* call at the same time, each waiting for its answer before it calls again
  (closed loop). Where calls are *offered*, they begin at a fixed rate whether earlier
  ones have come back or not (open loop), and latency counts from when a call should have
  begun, so that a stall is not hidden.
- CPU is milliseconds of processor time per 1000 calls. Allocations and bytes of heap are
  per call, of both sides together. Reads and writes are the system calls per call that
  read or wrote, of both sides, as /proc/self/io counts them; polling is not in it.
- All send and return the same bytes. Nobody has TLS. gRPC, drpc and ConnectRPC carry a
  protobuf BytesValue, net/rpc a gob, Farcall CBOR.
- drpc opens connections as callers need them, and plain TCP has one for each; the others
  have one.

To repeat it: ` + "`make bench`" + ` (some minutes), or ` + "`make bench-quick`" + ` for the two works that
say most, which ends with the ratios on one line.
`
