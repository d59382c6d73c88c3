package main

import (
	"bytes"
	"fmt"
)

// goal is a bound that Farcall sets itself.
type goal struct {
	work   work
	figure string
	of     func(sample) float64
	// over is whose figure Farcall's is divided by; empty for none.
	over  string
	bound float64
	most  bool // the bound is the most, and else the least
}

// small is a work of the full set with 16 bytes.
func small(callers int) work { return work{Callers: callers, Size: 16} }

var goals = []goal{
	{small(128), "calls/s", rate, "grpc", 4, false},
	{small(128), "calls/s", rate, "netrpc", 2.5, false},
	{small(128), "calls/s", rate, "lane", 0.85, false},
	{small(1), "p50", p50, "netrpc", 1, true},
	{small(1), "p50", p50, "grpc", 0.6, true},
	{small(1000), "calls/s", rate, "grpc", 3, false},
	{work{Callers: 128, Size: 1 << 10}, "calls/s", rate, "grpc", 3, false},
	{work{Callers: 4, Size: 1 << 20}, "calls/s", rate, "grpc", 1, false},
	{work{Callers: 4, Size: 1 << 20}, "calls/s", rate, "tcp", 0.6, false},
	{work{Callers: 1, Size: 16, Bulk: 1}, "p99 over that without the large ones", besideBulk, "", 3, true},
	{work{Callers: 16, Size: 16, Bulk: 1}, "p99 over that without the large ones", besideBulk, "", 3, true},
	{work{Callers: 128, Size: 16, Bulk: 1}, "p99 over that without the large ones", besideBulk, "", 3, true},
	{small(128), "CPU", cpu, "grpc", 0.3, true},
	{small(128), "allocations", allocs, "", 12, true},
}

// done returns w as it was done: for how long a goal does not say.
func (r *results) done(w work) work {
	for _, done := range r.works() {
		if w.Time = done.Time; w == done {
			return done
		}
	}
	return w
}

// goalTable writes how far Farcall is from its goals.
func (r *results) goalTable(b *bytes.Buffer) {
	b.WriteString("| work | figure | goal | median | least–greatest | |\n|---|---|---|--:|--:|---|\n")
	row := func(work, figure, bound string, s spread, reached bool) {
		verdict := "reached"
		if !reached {
			verdict = "**not reached**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %.2f | %.2f–%.2f | %s |\n", work, figure, bound, s.Median, s.Min, s.Max, verdict)
	}
	for _, g := range goals {
		g.work = r.done(g.work)
		figure, s := g.figure, r.figure("farcall", g.work, g.of)
		if g.over != "" {
			figure += " over those of " + g.over
			s = r.ratio("farcall", g.over, g.work, g.of)
		}
		if s.Max == 0 {
			continue // it was not measured
		}
		bound, reached := fmt.Sprintf("at least %v", g.bound), s.Median >= g.bound
		if g.most {
			bound, reached = fmt.Sprintf("at most %v", g.bound), s.Median <= g.bound
		}
		row(g.work.String(), figure, bound, s, reached)
	}
	many, few := r.figure("farcall", r.done(small(1000)), rate), r.figure("farcall", r.done(small(128)), rate)
	if few.Median > 0 && many.Median > 0 {
		q := many.Median / few.Median
		row(small(1000).String(), "calls/s over those of 128 callers", "at least 0.7", spread{q, q, q}, q >= 0.7)
	}
	if r.Scale == nil {
		return
	}
	idle := (r.Scale.IdleClient.Resident + r.Scale.IdleServer.Resident) / 1024
	row("an idle session", "KiB, both sides", "at most 64", spread{idle, idle, idle}, idle <= 64)
	call := (r.Scale.CallClient.Resident + r.Scale.CallServer.Resident) / 1024
	row("a waiting call", "KiB, both sides", "at most 2", spread{call, call, call}, call <= 2)
	speed := float64(r.Scale.Many.Calls) / r.Scale.Many.Elapsed.Seconds() * r.Scale.Few.Elapsed.Seconds() / float64(r.Scale.Few.Calls)
	sessions := fmt.Sprintf("%d sessions, %d active", r.Scale.Sessions, r.Scale.Active)
	row(sessions, "calls/s over those without the idle ones", "at least 0.8", spread{speed, speed, speed}, speed >= 0.8)
	tail := r.Scale.Many.P99.Seconds() / r.Scale.Few.P99.Seconds()
	row(sessions, "p99 over that without the idle ones", "at most 1.2", spread{tail, tail, tail}, tail <= 1.2)
}
