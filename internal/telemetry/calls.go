package telemetry

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

const (
	// Other is the object and the method under which calls are counted whose
	// names nobody vouches for, or that are too many.
	Other = "other"
	// Nameless is the object under which the calls of all objects without a name
	// are counted, whose own ids would be a label value each.
	Nameless = "#"
	// DefaultMaxCalls is the default of Options.MaxCalls. A pair of object and
	// method has about 25 series, most of them the buckets of its histogram.
	DefaultMaxCalls = 1000
)

// Known returns the canonical spelling of an object and a method, and whether
// there is such a method; rmi.Objects.Known is one. When there is not, an object
// that is not empty is one that exists. Canonical names stay as they are when
// they are given to Known again. It is asked about every call whose names are
// not canonical, so it should be quick.
type Known func(object naming.Name, method string) (naming.Name, string, bool)

// Server returns the middleware that counts the calls this node serves. known
// may be nil, and then every name counts as known, up to [Options.MaxCalls].
// Put it first in the chain, so that refusals are counted too.
func (m *Metrics) Server(known Known) rmi.Middleware { return m.side("server", known) }

// Client returns the middleware that counts the calls this node makes; known
// is as for Server.
func (m *Metrics) Client(known Known) rmi.Middleware { return m.side("client", known) }

// side makes the middleware of one side.
func (m *Metrics) side(name string, known Known) rmi.Middleware {
	s := &side{name: name, vecs: m.calls, known: known, max: m.maxCalls}
	s.series.Store(&map[seriesKey]*series{})
	s.unknown = m.calls.folded.WithLabelValues(name, "unknown")
	s.surplus = m.calls.folded.WithLabelValues(name, "limit")
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: inFlightName, Help: inFlightHelp, ConstLabels: prometheus.Labels{"side": name},
	}, func() float64 { return float64(s.inFlight.Load()) }))
	return func(next rmi.Handler) rmi.Handler { return &counter{side: s, next: next, epoch: time.Now()} }
}

// callVecs holds the metrics of calls, shared by both sides.
type callVecs struct {
	started, finished, requests, replies, folded *prometheus.CounterVec
	duration                                     *prometheus.HistogramVec
}

// The gauge of each side.
const (
	inFlightName = "farcall_rmi_calls_in_flight"
	inFlightHelp = "Calls that have begun and not ended."
)

// latencyBuckets are the classic buckets, in seconds: a call between two
// processes of one machine takes some 50 µs, and callers wait for 10 s unless
// they say otherwise.
func latencyBuckets() []float64 {
	return []float64{
		25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3,
		0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
	}
}

// newCallVecs registers the metrics of calls.
func newCallVecs(m *Metrics) *callVecs {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		m.note(Family{Name: name, Type: typeCounter, Help: help, Labels: labels})
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	v := &callVecs{
		started: counter("farcall_rmi_calls_started_total",
			"Calls that began, by the side that counts them (server or client), object and method.",
			"side", "object", "method"),
		finished: counter("farcall_rmi_calls_finished_total",
			"Calls that ended, by their outcome's code; OK is success.",
			"side", "object", "method", "code"),
		requests: counter("farcall_rmi_request_payload_bytes_total",
			"Bytes of encoded arguments, without framing.",
			"side", "object", "method"),
		replies: counter("farcall_rmi_reply_payload_bytes_total",
			"Bytes of encoded results, without framing.",
			"side", "object", "method"),
		folded: counter("farcall_rmi_calls_folded_total",
			`Calls counted under "other", by reason: "unknown" names do not exist here, "limit" means that too many are counted already.`,
			"side", "reason"),
	}
	m.note(Family{Name: inFlightName, Type: typeGauge, Help: inFlightHelp, Labels: []string{"side"}})
	duration := Family{Name: "farcall_rmi_call_duration_seconds", Type: typeHistogram,
		Help:   "How long calls took, failed ones too, as seen by the side that counts them. Classic and native histogram.",
		Labels: []string{"side", "object", "method"}}
	m.note(duration)
	v.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: duration.Name, Help: duration.Help,
		Buckets: latencyBuckets(),
		// Four native buckets for each doubling: 160 of them reach from 1 µs to
		// twelve days, so that the histogram never has to reset itself, for which
		// it would start a timer that nobody can stop.
		NativeHistogramBucketFactor:    1.2,
		NativeHistogramZeroThreshold:   1e-6,
		NativeHistogramMaxBucketNumber: 160,
	}, duration.Labels)
	m.registry.MustRegister(v.duration)
	return v
}

// side counts the calls of one side.
type side struct {
	name  string
	vecs  *callVecs
	known Known
	max   int

	inFlight         atomic.Int64
	unknown, surplus prometheus.Counter

	// series is copied when a pair is added, so that a call finds its counters
	// without a lock or an allocation.
	series atomic.Pointer[map[seriesKey]*series]
	mu     sync.Mutex // serializes the adding
}

// seriesKey is the canonical name of what is called.
type seriesKey struct {
	object naming.Name
	method string
}

// series holds the ready counters of one object and method.
type series struct {
	started, requests, replies prometheus.Counter
	duration                   prometheus.Observer
	// finished is by code; codes that have not occurred are nil.
	finished [rmi.Unauthenticated + 1]atomic.Pointer[prometheus.Counter]
	// newFinished makes the counter of a code.
	newFinished func(rmi.Code) prometheus.Counter
}

// of returns the counters for a call. Names that nobody vouches for are not
// remembered, so that they cost time but no memory.
func (s *side) of(object naming.Name, method string) *series {
	k := seriesKey{object, method}
	if strings.HasPrefix(string(object), Nameless) && s.known == nil {
		k.object = Nameless
	}
	if se := (*s.series.Load())[k]; se != nil {
		return se
	}
	known := true
	if s.known != nil {
		k.object, k.method, known = s.known(object, method)
	}
	if k.object == "" || !usable(string(k.object)) {
		k.object, known = Other, false
	}
	if !known || !usable(k.method) {
		k.method = Other
		s.unknown.Inc()
	}
	if se := (*s.series.Load())[k]; se != nil {
		return se
	}
	return s.add(k)
}

// add makes the counters of k, unless there are too many.
func (s *side) add(k seriesKey) *series {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := *s.series.Load()
	rest := seriesKey{Other, Other}
	if old[k] == nil && k != rest && len(old) >= s.max {
		s.surplus.Inc()
		k = rest
	}
	if se := old[k]; se != nil {
		return se
	}
	object, method := string(k.object), k.method
	se := &series{
		started:  s.vecs.started.WithLabelValues(s.name, object, method),
		requests: s.vecs.requests.WithLabelValues(s.name, object, method),
		replies:  s.vecs.replies.WithLabelValues(s.name, object, method),
		duration: s.vecs.duration.WithLabelValues(s.name, object, method),
		newFinished: func(c rmi.Code) prometheus.Counter {
			return s.vecs.finished.WithLabelValues(s.name, object, method, c.String())
		},
	}
	m := make(map[seriesKey]*series, len(old)+1)
	for k, v := range old {
		m[k] = v
	}
	m[k] = se
	s.series.Store(&m)
	return se
}

// end counts a call's end. A code that this version does not know counts as
// UNKNOWN, since a peer chooses it.
func (se *series) end(code rmi.Code, took time.Duration) {
	if _, ok := knownCode(code); !ok {
		code = rmi.Unknown
	}
	c := se.finished[code].Load()
	if c == nil {
		made := se.newFinished(code)
		c = &made
		se.finished[code].Store(c)
	}
	(*c).Inc()
	se.duration.Observe(took.Seconds())
}

// counter is the middleware's handler.
type counter struct {
	side *side
	next rmi.Handler
	// epoch is what times are counted from: the time since another is read from
	// one clock, and the time of day from two.
	epoch time.Time
}

// Handle counts call and hands it on. A panic passes through and counts as
// INTERNAL.
func (c *counter) Handle(ctx context.Context, call *rmi.Call) (reply rmi.Reply, err error) {
	se := c.side.of(call.Object, call.Method)
	se.started.Inc()
	se.requests.Add(float64(len(call.Args.Data)))
	c.side.inFlight.Add(1)
	start := time.Since(c.epoch)
	code := rmi.Internal
	defer func() {
		se.end(code, time.Since(c.epoch)-start)
		c.side.inFlight.Add(-1)
	}()
	reply, err = c.next.Handle(ctx, call)
	code = codeOf(err)
	se.replies.Add(float64(len(reply.Result.Data)))
	return reply, err
}

var _ rmi.Handler = (*counter)(nil)

// knownCode returns c and whether it is one of the codes this version knows.
func knownCode(c rmi.Code) (rmi.Code, bool) {
	return c, c <= rmi.Unauthenticated && c != 11 && c != 15
}

// codeOf returns the code that err has at the edge of a node.
func codeOf(err error) rmi.Code {
	if err == nil {
		return rmi.OK
	}
	if e, ok := errors.AsType[*rmi.Error](err); ok {
		return e.Code
	}
	switch {
	case errors.Is(err, context.Canceled):
		return rmi.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return rmi.DeadlineExceeded
	}
	return rmi.Unknown
}

// usable reports whether s may become a label's value.
func usable(s string) bool { return len(s) <= naming.MaxNameLen && utf8.ValidString(s) }
