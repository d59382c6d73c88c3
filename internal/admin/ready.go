package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// DefaultCheckTimeout is the default of Options.CheckTimeout: below the second
// or so that health checkers wait by default.
const DefaultCheckTimeout = 800 * time.Millisecond

// Check is one part of a process that must work for it to be ready.
type Check struct {
	// Name names the part: one word, such as "etcd".
	Name string
	// Run returns nil when the part works, and otherwise the reason why not,
	// which is shown to whoever asks. It should end when ctx does; when it does
	// not, the part counts as not ready, and Run is not started again before it
	// has returned. It is never run twice at one time.
	Run func(ctx context.Context) error
}

// Report is the answer of /readyz in JSON.
type Report struct {
	// Ready says that every part is ready.
	Ready bool `json:"ready"`
	// Parts holds one entry for each check, in the order they were given.
	Parts []Part `json:"parts"`
}

// Part is what a Report says of one check.
type Part struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	// Reason is why the part is not ready; empty when it is.
	Reason string `json:"reason,omitempty"`
}

// readiness answers /readyz.
type readiness struct {
	checks  []*runner
	timeout time.Duration
}

// newReadiness prepares checks; a timeout of 0 means the default.
func newReadiness(checks []Check, timeout time.Duration) *readiness {
	if timeout <= 0 {
		timeout = DefaultCheckTimeout
	}
	r := &readiness{timeout: timeout}
	for _, c := range checks {
		r.checks = append(r.checks, &runner{Check: c})
	}
	return r
}

// report runs every check at once.
func (r *readiness) report(ctx context.Context) Report {
	rep := Report{Ready: true, Parts: make([]Part, len(r.checks))}
	var wg sync.WaitGroup
	for i, c := range r.checks {
		wg.Go(func() {
			p := Part{Name: c.Name, Ready: true}
			if err := c.result(ctx, r.timeout); err != nil {
				p.Ready, p.Reason = false, err.Error()
			}
			rep.Parts[i] = p
		})
	}
	wg.Wait()
	for _, p := range rep.Parts {
		rep.Ready = rep.Ready && p.Ready
	}
	return rep
}

// serve answers with 200 or 503, in JSON when the request asks for it.
func (r *readiness) serve(w http.ResponseWriter, req *http.Request) {
	rep := r.report(req.Context())
	status := http.StatusOK
	if !rep.Ready {
		status = http.StatusServiceUnavailable
	}
	if wantsJSON(req) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.Encode(rep)
		return
	}
	w.Header().Set("Content-Type", textType)
	w.WriteHeader(status)
	fmt.Fprint(w, rep)
}

// String returns the report in plain text: "ready" or "not ready", and a line
// for each part.
func (r Report) String() string {
	var b strings.Builder
	b.WriteString("ready\n")
	if !r.Ready {
		b.Reset()
		b.WriteString("not ready\n")
	}
	for _, p := range r.Parts {
		state := "ready"
		if !p.Ready {
			// One line for each part, whatever its reason holds.
			state = "not ready: " + strings.Join(strings.Fields(p.Reason), " ")
		}
		fmt.Fprintf(&b, "%s: %s\n", p.Name, state)
	}
	return b.String()
}

// wantsJSON reports whether req asks for JSON.
func wantsJSON(req *http.Request) bool {
	if f := req.URL.Query().Get("format"); f != "" {
		return f == "json"
	}
	return strings.Contains(req.Header.Get("Accept"), "application/json")
}

// runner runs one check for all who ask at the same time, so that a crowd of
// askers costs what one does.
type runner struct {
	Check
	mu      sync.Mutex
	current *run // guarded by mu; nil when the check is not running
}

// run is one run of a check.
type run struct {
	started time.Time
	done    chan struct{} // closed when err is set
	err     error
}

// result joins the run under way, or starts one, and waits for it no longer
// than timeout.
func (r *runner) result(ctx context.Context, timeout time.Duration) error {
	r.mu.Lock()
	cur := r.current
	if cur == nil {
		cur = &run{started: time.Now(), done: make(chan struct{})}
		r.current = cur
		// Not the asker's context: others wait for the same run.
		go r.run(context.WithoutCancel(ctx), cur, timeout)
	}
	r.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-cur.done:
		return cur.err
	case <-timer.C:
		return fmt.Errorf("no answer for %v", time.Since(cur.started).Round(time.Millisecond))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run runs the check once.
func (r *runner) run(ctx context.Context, cur *run, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			cur.err = fmt.Errorf("the check panicked: %v", p)
		}
		r.mu.Lock()
		r.current = nil
		r.mu.Unlock()
		close(cur.done)
	}()
	cur.err = r.Run(ctx)
	if errors.Is(cur.err, context.DeadlineExceeded) && ctx.Err() != nil {
		cur.err = fmt.Errorf("no answer within %v: %w", timeout, cur.err)
	}
}
