package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// work is what callers do in one round.
type work struct {
	// Callers call at the same time, Size bytes each way, for Time.
	Callers int
	Size    int
	Time    time.Duration
	// Rate, when not 0, is how many calls a second begin, whether earlier ones
	// have returned or not; Callers bounds how many wait. A call's latency then
	// counts from when it should have begun, so that a stall is not hidden.
	Rate float64
	// Bulk is how many callers more echo bulkSize bytes again and again
	// meanwhile, on the same client. The outcome is that of the others, and tells
	// besides what their p99 was just before, without them.
	Bulk int
}

// bulkSize is a payload of 64 MiB with its head, which is the most that Farcall
// takes by default.
const bulkSize = 64<<20 - 64

// String is the work's key in reports.
func (w work) String() string {
	s := fmt.Sprintf("%s, %d callers", size(w.Size), w.Callers)
	if w.Callers == 1 {
		s = fmt.Sprintf("%s, 1 caller", size(w.Size))
	}
	if w.Rate > 0 {
		s += fmt.Sprintf(", %.0f calls/s offered", w.Rate)
	}
	if w.Bulk > 0 {
		s += fmt.Sprintf(", beside %d × 64 MiB", w.Bulk)
	}
	return s
}

// size writes a number of bytes.
func size(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// outcome is what came of a round on the client's side.
type outcome struct {
	Calls   int64
	Errors  int64
	Elapsed time.Duration
	// P50, P99, P999 and Max are latencies.
	P50, P99, P999, Max time.Duration
	// AloneP99 and BulkBytes are of a work with Bulk: the p99 before the large
	// echoes began, and what these carried a second, each way.
	AloneP99  time.Duration `json:",omitempty"`
	BulkBytes float64       `json:",omitempty"`
	Usage     usage
}

// drive does w with c.
func drive(ctx context.Context, c client, w work) (outcome, error) {
	payload := pattern(w.Size)
	if got, err := c.Echo(ctx, 0, payload); err != nil || string(got) != string(payload) {
		return outcome{}, fmt.Errorf("the first call: got %d bytes and error %v, want the %d sent", len(got), err, w.Size)
	}
	var alone outcome
	if w.Bulk > 0 {
		alone = loop(ctx, c, w, payload)
	}
	large := startBulk(ctx, c, w)
	before, err := used()
	if err != nil {
		return outcome{}, err
	}
	o := loop(ctx, c, w, payload)
	after, err := used()
	if err != nil {
		return outcome{}, err
	}
	o.Usage = after.since(before)
	o.AloneP99 = alone.P99
	o.Errors += alone.Errors
	if o.BulkBytes, err = large(); err != nil {
		return outcome{}, fmt.Errorf("a large echo beside the others: %w", err)
	}
	return o, nil
}

// pattern returns n bytes to send.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte('a' + i%26)
	}
	return p
}

// startBulk starts the large echoes of w. What it returns ends them, and returns
// what they carried a second.
func startBulk(ctx context.Context, c client, w work) func() (float64, error) {
	if w.Bulk == 0 {
		return func() (float64, error) { return 0, nil }
	}
	payload, start := pattern(bulkSize), time.Now()
	var over atomic.Bool
	var carried atomic.Int64
	errs := make(chan error, w.Bulk)
	for i := range w.Bulk {
		go func() {
			for !over.Load() {
				if _, err := c.Echo(ctx, w.Callers+i, payload); err != nil {
					errs <- err
					return
				}
				carried.Add(bulkSize)
			}
			errs <- nil
		}()
	}
	return func() (float64, error) {
		over.Store(true)
		var first error
		for range w.Bulk {
			if err := <-errs; err != nil && first == nil {
				first = err
			}
		}
		return float64(carried.Load()) / time.Since(start).Seconds(), first
	}
}

// loop has the callers of w call, and returns what came of it but what it used.
func loop(ctx context.Context, c client, w work, payload []byte) outcome {
	start := time.Now()
	end := start.Add(w.Time)
	var ticket, failed atomic.Int64
	times := make([]*hdrhistogram.Histogram, w.Callers)
	var all sync.WaitGroup
	for i := range w.Callers {
		h := hdrhistogram.New(1, int64(time.Minute), 2)
		times[i] = h
		all.Go(func() {
			for {
				from := time.Now()
				if w.Rate > 0 {
					from = start.Add(time.Duration(float64(ticket.Add(1)-1) / w.Rate * float64(time.Second)))
					if wait := time.Until(from); wait > 0 {
						time.Sleep(wait)
					}
				}
				if !from.Before(end) || time.Now().After(end) {
					return
				}
				if _, err := c.Echo(ctx, i, payload); err != nil {
					failed.Add(1)
					continue
				}
				h.RecordValue(int64(time.Since(from)))
			}
		})
	}
	all.Wait()
	o := outcome{Elapsed: time.Since(start), Errors: failed.Load()}
	sum := hdrhistogram.New(1, int64(time.Minute), 2)
	for _, h := range times {
		sum.Merge(h)
	}
	o.Calls = sum.TotalCount()
	at := func(q float64) time.Duration { return time.Duration(sum.ValueAtQuantile(q)) }
	o.P50, o.P99, o.P999, o.Max = at(50), at(99), at(99.9), time.Duration(sum.Max())
	return o
}
