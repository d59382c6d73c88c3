package telemetry

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"farcall.dev/naming"
	"farcall.dev/rmi"
)

// knowGreeting vouches for greeting.get_fortune, in both spellings, and the
// function add.
func knowGreeting(object naming.Name, method string) (naming.Name, string, bool) {
	switch {
	case object == "greeting" && (method == "get_fortune" || method == "GetFortune"):
		return object, "get_fortune", true
	case object == "greeting":
		return object, "", false
	case object == "add" && method == "":
		return object, "", true
	}
	return "", "", false
}

func TestCallsAreCountedBySideObjectMethodAndCode(t *testing.T) {
	m := New(Options{})
	outcome := error(nil)
	h := rmi.Chain(rmi.HandlerFunc(func(context.Context, *rmi.Call) (rmi.Reply, error) {
		return rmi.Reply{Result: rmi.Payload{Data: make([]byte, 7)}}, outcome
	}), m.Server(knowGreeting))
	call := &rmi.Call{Object: "greeting", Method: "get_fortune", Args: rmi.Payload{Data: make([]byte, 5)}}
	for _, err := range []error{
		nil,
		nil,
		&rmi.Error{Code: rmi.NotFound},
		fmt.Errorf("wrapped: %w", &rmi.Error{Code: rmi.ResourceExhausted}),
		context.Canceled,
		context.DeadlineExceeded,
		errors.New("the method's own"),
		&rmi.Error{Code: 200},
		&rmi.Error{Code: 11},
	} {
		outcome = err
		_, got := h.Handle(t.Context(), call)
		if got != err {
			t.Errorf("the error came back as %v, want %v", got, err)
		}
	}
	const labels = `method="get_fortune",object="greeting",side="server"`
	for name, want := range map[string]float64{
		"farcall_rmi_calls_started_total{" + labels + "}":                            9,
		"farcall_rmi_request_payload_bytes_total{" + labels + "}":                    45,
		"farcall_rmi_reply_payload_bytes_total{" + labels + "}":                      63,
		"farcall_rmi_call_duration_seconds{" + labels + "}":                          9,
		`farcall_rmi_calls_finished_total{code="OK",` + labels + "}":                 2,
		`farcall_rmi_calls_finished_total{code="NOT_FOUND",` + labels + "}":          1,
		`farcall_rmi_calls_finished_total{code="RESOURCE_EXHAUSTED",` + labels + "}": 1,
		`farcall_rmi_calls_finished_total{code="CANCELED",` + labels + "}":           1,
		`farcall_rmi_calls_finished_total{code="DEADLINE_EXCEEDED",` + labels + "}":  1,
		`farcall_rmi_calls_finished_total{code="UNKNOWN",` + labels + "}":            3,
		`farcall_rmi_calls_in_flight{side="server"}`:                                 0,
	} {
		if got := value(t, m, name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestLatencyIsClassicAndNative(t *testing.T) {
	m := New(Options{})
	rmi.Chain(nothing(), m.Server(nil)).Handle(t.Context(), &rmi.Call{Object: "add"})
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "farcall_rmi_call_duration_seconds" {
			continue
		}
		h := f.Metric[0].GetHistogram()
		if got, want := len(h.Bucket), len(latencyBuckets()); got != want {
			t.Errorf("classic buckets: got %d, want %d", got, want)
		}
		if h.GetSchema() != 2 || len(h.PositiveSpan) == 0 && h.GetZeroCount() == 0 {
			t.Errorf("native histogram: got schema %d and %d spans, want schema 2 with the call in it", h.GetSchema(), len(h.PositiveSpan))
		}
		return
	}
	t.Error("there is no latency histogram")
}

func TestCallInFlightIsCountedWhileItRuns(t *testing.T) {
	m := New(Options{})
	var during float64
	h := rmi.Chain(rmi.HandlerFunc(func(context.Context, *rmi.Call) (rmi.Reply, error) {
		during = value(t, m, `farcall_rmi_calls_in_flight{side="client"}`)
		return rmi.Reply{}, nil
	}), m.Client(nil))
	h.Handle(t.Context(), &rmi.Call{Object: "add"})
	if during != 1 {
		t.Errorf("in flight during the call: got %v, want 1", during)
	}
	if got := value(t, m, `farcall_rmi_calls_in_flight{side="client"}`); got != 0 {
		t.Errorf("in flight after the call: got %v, want 0", got)
	}
}

func TestPanicCountsAsInternalAndPassesThrough(t *testing.T) {
	m := New(Options{})
	h := rmi.Chain(rmi.HandlerFunc(func(context.Context, *rmi.Call) (rmi.Reply, error) {
		panic("boom")
	}), m.Server(nil))
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v, want boom", got)
			}
		}()
		h.Handle(t.Context(), &rmi.Call{Object: "add"})
	}()
	if got := value(t, m, `farcall_rmi_calls_finished_total{code="INTERNAL",method="",object="add",side="server"}`); got != 1 {
		t.Errorf("INTERNAL: got %v, want 1", got)
	}
	if got := value(t, m, `farcall_rmi_calls_in_flight{side="server"}`); got != 0 {
		t.Errorf("in flight: got %v, want 0", got)
	}
}

func TestStrangersCannotMintSeries(t *testing.T) {
	m := New(Options{})
	h := rmi.Chain(nothing(), m.Server(knowGreeting))
	for i := range 500 {
		h.Handle(t.Context(), &rmi.Call{Object: naming.Name(fmt.Sprint("made-up-", i)), Method: "x"})
		h.Handle(t.Context(), &rmi.Call{Object: "greeting", Method: fmt.Sprint("made_up_", i)})
		h.Handle(t.Context(), &rmi.Call{Object: "greeting", Method: "GetFortune"})
		h.Handle(t.Context(), &rmi.Call{Object: "add"})
	}
	const started = "farcall_rmi_calls_started_total"
	for name, want := range map[string]float64{
		started + `{method="other",object="other",side="server"}`:          500,
		started + `{method="other",object="greeting",side="server"}`:       500,
		started + `{method="get_fortune",object="greeting",side="server"}`: 500,
		started + `{method="",object="add",side="server"}`:                 500,
		`farcall_rmi_calls_folded_total{reason="unknown",side="server"}`:   1000,
		`farcall_rmi_calls_folded_total{reason="limit",side="server"}`:     0,
	} {
		if got := value(t, m, name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if got := count(t, m, started); got != 4 {
		t.Errorf("series: got %d, want 4", got)
	}
}

func TestObjectsWithoutANameShareTheirSeries(t *testing.T) {
	m := New(Options{})
	h := m.Client(nil)(nothing())
	for range 3 {
		id := make([]byte, 12)
		rand.Read(id)
		h.Handle(t.Context(), &rmi.Call{Object: naming.Name("#" + base64.RawURLEncoding.EncodeToString(id)), Method: "say"})
	}
	if got := value(t, m, `farcall_rmi_calls_started_total{method="say",object="#",side="client"}`); got != 3 {
		t.Errorf("got %v calls of nameless objects, want 3", got)
	}
}

func TestSeriesAreCappedEvenWhenEveryNameIsKnown(t *testing.T) {
	const limit = 10
	m := New(Options{MaxCalls: limit})
	server, client := rmi.Chain(nothing(), m.Server(nil)), rmi.Chain(nothing(), m.Client(nil))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				server.Handle(t.Context(), &rmi.Call{Object: naming.Name(fmt.Sprint("object-", w, "-", i)), Method: "x"})
			}
		})
	}
	wg.Wait()
	const started = "farcall_rmi_calls_started_total"
	if got, most := count(t, m, started), limit+1; got > most {
		t.Errorf("series: got %d, want at most %d", got, most)
	}
	var total float64
	for name, v := range scrape(t, m) {
		if strings.HasPrefix(name, started) {
			total += v
		}
	}
	if total != 400 {
		t.Errorf("calls counted: got %v, want every one of 400", total)
	}
	if got := value(t, m, `farcall_rmi_calls_folded_total{reason="limit",side="server"}`); got != 390 {
		t.Errorf("folded: got %v, want 390", got)
	}
	// The limit of one side is not the other's.
	client.Handle(t.Context(), &rmi.Call{Object: "late", Method: "x"})
	if got := value(t, m, started+`{method="x",object="late",side="client"}`); got != 1 {
		t.Errorf("client's series: got %v, want 1", got)
	}
}

func TestUnprintableNamesNeverBecomeLabels(t *testing.T) {
	m := New(Options{})
	h := rmi.Chain(nothing(), m.Server(nil))
	h.Handle(t.Context(), &rmi.Call{Object: "greeting", Method: "\xff"})
	h.Handle(t.Context(), &rmi.Call{Object: naming.Name("\xff"), Method: "x"})
	h.Handle(t.Context(), &rmi.Call{Object: "greeting", Method: strings.Repeat("x", 1000)})
	const started = "farcall_rmi_calls_started_total"
	if got := value(t, m, started+`{method="other",object="greeting",side="server"}`); got != 2 {
		t.Errorf("bad methods: got %v, want 2", got)
	}
	if got := value(t, m, started+`{method="other",object="other",side="server"}`); got != 1 {
		t.Errorf("bad objects: got %v, want 1", got)
	}
}

func BenchmarkCall(b *testing.B) {
	for _, bb := range []struct{ name, method string }{{"known", "get_fortune"}, {"folded", "made_up"}} {
		b.Run(bb.name, func(b *testing.B) {
			h := rmi.Chain(nothing(), New(Options{}).Server(knowGreeting))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				call := &rmi.Call{Object: "greeting", Method: bb.method}
				for pb.Next() {
					h.Handle(b.Context(), call)
				}
			})
		})
	}
}

// TestCountedCallDoesNotAllocate keeps the cost of every call in the process
// where the benchmark found it.
func TestCountedCallDoesNotAllocate(t *testing.T) {
	h := rmi.Chain(nothing(), New(Options{}).Server(knowGreeting))
	call := &rmi.Call{Object: "greeting", Method: "get_fortune"}
	ctx := t.Context()
	h.Handle(ctx, call)
	if got := math.Round(testing.AllocsPerRun(1000, func() { h.Handle(ctx, call) })); got != 0 {
		t.Errorf("allocations per call: got %v, want 0", got)
	}
}

// nothing is a handler that does nothing, successfully.
func nothing() rmi.Handler {
	return rmi.HandlerFunc(func(context.Context, *rmi.Call) (rmi.Reply, error) { return rmi.Reply{}, nil })
}

// value returns one series of m; histograms yield their count.
func value(t *testing.T, m *Metrics, series string) float64 {
	t.Helper()
	v, ok := scrape(t, m)[series]
	if !ok {
		t.Fatalf("there is no series %s", series)
	}
	return v
}

// count returns how many series a metric has.
func count(t *testing.T, m *Metrics, name string) int {
	t.Helper()
	n := 0
	for s := range scrape(t, m) {
		if s == name || strings.HasPrefix(s, name+"{") {
			n++
		}
	}
	return n
}

// scrape returns every series of m by name and labels.
func scrape(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatalf("gather: %v", err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, s := range f.Metric {
			all[seriesName(f, s)] = seriesValue(f, s)
		}
	}
	return all
}

// seriesName writes a series the way Prometheus does.
func seriesName(f *dto.MetricFamily, s *dto.Metric) string {
	if len(s.Label) == 0 {
		return f.GetName()
	}
	var labels []string
	for _, l := range s.Label {
		labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	return f.GetName() + "{" + strings.Join(labels, ",") + "}"
}

// seriesValue returns a series' number.
func seriesValue(f *dto.MetricFamily, s *dto.Metric) float64 {
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		return s.GetCounter().GetValue()
	case dto.MetricType_HISTOGRAM:
		return float64(s.GetHistogram().GetSampleCount())
	}
	return s.GetGauge().GetValue()
}
