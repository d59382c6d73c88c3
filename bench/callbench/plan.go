package main

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// plan is what is to be measured.
type plan struct {
	Contestants []contestant
	Works       []work
	Rounds      int
	// Each is how long a contestant works in a round.
	Each time.Duration
}

// quickWorks are the two that say most.
func quickWorks() []work { return []work{{Callers: 1, Size: 16}, {Callers: 128, Size: 16}} }

// fullWorks are all: closed loops of every size and number of callers, and open
// loops of small calls.
func fullWorks() []work {
	var all []work
	for _, size := range []int{16, 1 << 10, 64 << 10, 1 << 20} {
		for _, callers := range []int{1, 4, 16, 128, 1000} {
			switch {
			case size == 1<<20 && callers > 16: // gigabytes in flight measure memory
			case size < 1<<20 && callers == 4:
			default:
				all = append(all, work{Callers: callers, Size: size})
			}
		}
	}
	for _, rate := range []float64{2000, 10000} {
		all = append(all, work{Callers: 256, Size: 16, Rate: rate})
	}
	for _, callers := range []int{1, 16, 128} {
		all = append(all, work{Callers: callers, Size: 16, Bulk: 1})
	}
	return all
}

// choose leaves only the contestants that are named in only, and the works whose
// names match; empty ones choose all.
func (p *plan) choose(only, works string) error {
	if only != "" {
		p.Contestants = nil
		for _, name := range strings.Split(only, ",") {
			c, err := find(name)
			if err != nil {
				return err
			}
			p.Contestants = append(p.Contestants, c)
		}
	}
	match, err := regexp.Compile(works)
	if err != nil {
		return err
	}
	p.Works = slices.DeleteFunc(p.Works, func(w work) bool { return !match.MatchString(w.String()) })
	if len(p.Works) == 0 {
		return fmt.Errorf("no work has a name that matches %q", works)
	}
	return nil
}

// can reports whether a contestant takes part in w.
func (c contestant) can(w work) bool {
	switch c.name {
	case "lane": // its one stream carries no large payloads
		return w.Size <= 16<<10 && w.Bulk == 0
	case "drpc": // it takes messages of up to 4 MiB
		return w.Bulk == 0
	}
	return true
}

// measure does everything, and tells w how far it is.
func (p plan) measure(w io.Writer) (*results, error) {
	var pairs []*pair
	defer func() {
		for _, p := range pairs {
			p.stop()
		}
	}()
	for _, c := range p.Contestants {
		pr, err := startPair(c)
		if pr != nil {
			pairs = append(pairs, pr)
		}
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", c.name, err)
		}
	}
	r := &results{Machine: describeMachine(), Started: time.Now().UTC(), Rounds: p.Rounds, Each: p.Each}
	for _, pr := range pairs {
		r.Contestants = append(r.Contestants, pr.name)
	}
	for _, wk := range p.Works {
		wk.Time = p.Each
		fmt.Fprintf(w, "%v\n", wk)
		for n := range p.Rounds + 1 {
			for i := range pairs {
				pr := pairs[(i+n)%len(pairs)] // nobody is always first
				if !pr.can(wk) {
					continue
				}
				warm := wk
				if n == 0 {
					warm.Time = wk.Time / 4 // not counted
				}
				s, err := pr.round(warm, n)
				if err != nil {
					return nil, fmt.Errorf("%v: %w", wk, err)
				}
				if s.Errors > 0 {
					return nil, fmt.Errorf("%s, %v: %d calls failed", pr.name, wk, s.Errors)
				}
				if n > 0 {
					r.Samples = append(r.Samples, s)
				}
			}
		}
	}
	return r, nil
}
