package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// results are all samples of a run, and where it ran.
type results struct {
	Machine     machine
	Started     time.Time
	Rounds      int
	Each        time.Duration
	Contestants []string
	Samples     []sample
	// Scale is what came of many sessions; nil when that was not measured.
	Scale *scaled `json:",omitempty"`
}

// machine is where a run took place.
type machine struct {
	CPU    string
	Cores  int
	Kernel string
	Go     string
	Commit string
}

// describeMachine returns this machine.
func describeMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(data))
	}
	if out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	return m
}

// The figures of a sample.
func rate(s sample) float64      { return float64(s.Calls) / s.Elapsed.Seconds() }
func p50(s sample) float64       { return s.P50.Seconds() }
func p99(s sample) float64       { return s.P99.Seconds() }
func p999(s sample) float64      { return s.P999.Seconds() }
func cpu(s sample) float64       { return (s.Usage.CPU + s.Server.CPU).Seconds() / float64(s.Calls) * 1000 }
func cpuClient(s sample) float64 { return s.Usage.CPU.Seconds() / float64(s.Calls) * 1000 }
func cpuServer(s sample) float64 { return s.Server.CPU.Seconds() / float64(s.Calls) * 1000 }
func allocs(s sample) float64    { return float64(s.Usage.Allocs+s.Server.Allocs) / float64(s.Calls) }
func bytesOf(s sample) float64   { return float64(s.Usage.Bytes+s.Server.Bytes) / float64(s.Calls) }
func syscalls(s sample) float64 {
	return float64(s.Usage.Syscalls+s.Server.Syscalls) / float64(s.Calls)
}
func aloneP99(s sample) float64 { return s.AloneP99.Seconds() }
func bulkRate(s sample) float64 { return s.BulkBytes }

// besideBulk is the p99 beside large echoes over that without them.
func besideBulk(s sample) float64 {
	if s.AloneP99 == 0 {
		return 0
	}
	return s.P99.Seconds() / s.AloneP99.Seconds()
}

// works returns the works that were done, in order.
func (r *results) works() []work {
	var all []work
	for _, s := range r.Samples {
		if !slices.Contains(all, s.Work) {
			all = append(all, s.Work)
		}
	}
	return all
}

// of returns a figure of each round of a contestant at w, by round.
func (r *results) of(contestant string, w work, figure func(sample) float64) map[int]float64 {
	out := map[int]float64{}
	for _, s := range r.Samples {
		if s.Contestant == contestant && s.Work == w {
			out[s.Round] = figure(s)
		}
	}
	return out
}

// spread is the middle of several figures, with the least and the greatest.
type spread struct{ Min, Median, Max float64 }

// spreadOf returns that of values.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	slices.Sort(values)
	n := len(values)
	median := values[n/2]
	if n%2 == 0 {
		median = (values[n/2-1] + values[n/2]) / 2
	}
	return spread{values[0], median, values[n-1]}
}

// figure returns the spread of a figure over the rounds.
func (r *results) figure(contestant string, w work, figure func(sample) float64) spread {
	var values []float64
	for _, v := range r.of(contestant, w, figure) {
		values = append(values, v)
	}
	return spreadOf(values)
}

// ratio returns the spread of the quotient of a's figure and b's in the same
// round.
func (r *results) ratio(a, b string, w work, figure func(sample) float64) spread {
	theirs := r.of(b, w, figure)
	var values []float64
	for n, v := range r.of(a, w, figure) {
		if t := theirs[n]; t != 0 {
			values = append(values, v/t)
		}
	}
	return spreadOf(values)
}

// ratios is the line that a quick run ends with.
func (r *results) ratios() string {
	var one, many work
	for _, w := range r.works() {
		if w.Size == 16 && w.Rate == 0 && w.Bulk == 0 {
			switch w.Callers {
			case 1:
				one = w
			case 128:
				many = w
			}
		}
	}
	return fmt.Sprintf("ratios grpc=%.2f netrpc=%.2f limit=%.2f p50_netrpc=%.2f p50_grpc=%.2f",
		r.ratio("farcall", "grpc", many, rate).Median, r.ratio("farcall", "netrpc", many, rate).Median,
		r.ratio("farcall", "lane", many, rate).Median,
		r.ratio("farcall", "netrpc", one, p50).Median, r.ratio("farcall", "grpc", one, p50).Median)
}

// print writes a table of everything for people.
func (r *results) print(w io.Writer) {
	for _, wk := range r.works() {
		fmt.Fprintf(w, "\n%v\n", wk)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "\tcalls/s\tleast\tmost\tp50\tp99\tp99.9\tCPU ms/1000\tallocs\tbytes\tr/w calls\t")
		for _, c := range r.Contestants {
			if len(r.of(c, wk, rate)) == 0 {
				continue
			}
			calls := r.figure(c, wk, rate)
			fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%s\t%s\t%s\t%.1f\t%.1f\t%.0f\t%.2f\t\n", c,
				calls.Median, calls.Min, calls.Max,
				duration(r.figure(c, wk, p50).Median), duration(r.figure(c, wk, p99).Median), duration(r.figure(c, wk, p999).Median),
				r.figure(c, wk, cpu).Median*1000, r.figure(c, wk, allocs).Median, r.figure(c, wk, bytesOf).Median, r.figure(c, wk, syscalls).Median)
		}
		t.Flush()
		if wk.Bulk == 0 {
			continue
		}
		for _, c := range r.Contestants {
			if beside := r.figure(c, wk, besideBulk); beside.Max > 0 {
				fmt.Fprintf(w, "%s: p99 alone %s; beside the large ones %.2f times that (%.2f to %.2f); these carry %.0f MiB/s each way\n", c,
					duration(r.figure(c, wk, aloneP99).Median), beside.Median, beside.Min, beside.Max, r.figure(c, wk, bulkRate).Median/(1<<20))
			}
		}
	}
	fmt.Fprintln(w)
}

// duration writes seconds shortly.
func duration(s float64) string {
	switch {
	case s < 1e-3:
		return fmt.Sprintf("%.0f µs", s*1e6)
	case s < 1:
		return fmt.Sprintf("%.2f ms", s*1e3)
	}
	return fmt.Sprintf("%.2f s", s)
}
