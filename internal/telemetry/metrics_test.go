package telemetry

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"farcall.dev/internal/buildinfo"
	"farcall.dev/naming"
	"farcall.dev/rmi"
	"farcall.dev/transport"
)

// docs is the page that lists the metrics.
const docs = "../../docs/metrics.md"

// full returns Metrics that hold everything there is, with a call counted.
func full(t *testing.T) *Metrics {
	t.Helper()
	m := New(Options{Build: buildinfo.Info{Version: "v1.2.3", Revision: "abc", Go: "go1"}})
	m.AddLease(func() naming.Status {
		return naming.Status{State: "live", Records: 3, TTL: 10 * time.Second, Registrations: 2}
	})
	m.AddCache(func() naming.Stats {
		return naming.Stats{Names: 4, Instances: 7, Guarded: 1, Revision: 42, Listed: true, Age: 1500 * time.Millisecond, Lag: 20 * time.Millisecond, Resets: 2}
	})
	m.AddMember(func() Member {
		return Member{Running: true, HasLeader: true, Members: 3, Revision: 42, Bytes: 2000, BytesInUse: 1000}
	})
	m.AddConns(func() rmi.TallyStats {
		s := rmi.TallyStats{Open: 2, Opened: 5, Dials: 6, DialFailures: 2}
		s.Conn = rmi.ConnStats{Refused: 1, Dropped: 2, ItemStreams: 8, LargeSent: 6, LargeReceived: 7, FramesSent: 30, FramesReceived: 20}
		s.Session = transport.Stats{BytesSent: 1000, BytesReceived: 800, Writes: 8, StreamsOpened: 9, StreamsOpen: 3}
		s.Session.WriteSizes[0], s.Session.WriteSizes[2], s.Session.WriteSizes[len(s.Session.WriteSizes)-1] = 2, 5, 1
		return s
	})
	m.AddSpace(func() rmi.SpaceStats {
		return rmi.SpaceStats{Sessions: 3, Exported: 12, Waiting: 4, Lent: 9, Held: 5, Records: 7, RecordedBytes: 700}
	})
	rmi.Chain(nothing(), m.Server(nil), m.Client(nil)).Handle(t.Context(), &rmi.Call{Object: "greeting", Method: "get_fortune"})
	return m
}

func TestSourcesReportWhatTheyAreTold(t *testing.T) {
	m := full(t)
	for name, want := range map[string]float64{
		`farcall_build_info{go_version="go1",revision="abc",version="v1.2.3"}`: 1,
		`farcall_naming_lease_state{state="live"}`:                             1,
		`farcall_naming_lease_state{state="suspect"}`:                          0,
		"farcall_naming_lease_records":                                         3,
		"farcall_naming_lease_ttl_seconds":                                     10,
		"farcall_naming_registrations_total":                                   2,
		"farcall_naming_cache_names":                                           4,
		"farcall_naming_cache_instances":                                       7,
		"farcall_naming_cache_guarded_instances":                               1,
		"farcall_naming_cache_in_touch":                                        1,
		"farcall_naming_cache_age_seconds":                                     1.5,
		"farcall_naming_cache_lag_seconds":                                     0.02,
		"farcall_naming_cache_revision":                                        42,
		"farcall_naming_cache_resets_total":                                    2,
		"farcall_nameserver_etcd_running":                                      1,
		"farcall_nameserver_etcd_has_leader":                                   1,
		"farcall_nameserver_etcd_is_leader":                                    0,
		"farcall_nameserver_etcd_members":                                      3,
		"farcall_nameserver_etcd_revision":                                     42,
		"farcall_nameserver_etcd_database_bytes":                               2000,
		"farcall_nameserver_etcd_database_used_bytes":                          1000,
		"farcall_transport_sessions_open":                                      2,
		"farcall_transport_sessions_established_total":                         5,
		"farcall_transport_dials_total":                                        6,
		"farcall_transport_dial_failures_total":                                2,
		"farcall_transport_sent_bytes_total":                                   1000,
		"farcall_transport_received_bytes_total":                               800,
		"farcall_transport_writes_total":                                       8,
		"farcall_transport_streams_open":                                       3,
		"farcall_transport_streams_opened_total":                               9,
		"farcall_rmi_calls_refused_total":                                      1,
		"farcall_rmi_calls_dropped_total":                                      2,
		`farcall_rmi_frames_total{direction="sent"}`:                           30,
		`farcall_rmi_frames_total{direction="received"}`:                       20,
		`farcall_rmi_large_payloads_total{direction="sent"}`:                   6,
		`farcall_rmi_large_payloads_total{direction="received"}`:               7,
		"farcall_rmi_flush_size_bytes":                                         8,
		"farcall_rmi_item_streams_open":                                        8,
		"farcall_rmi_sessions":                                                 3,
		"farcall_rmi_exported_references":                                      12,
		"farcall_rmi_waiting_references":                                       4,
		"farcall_rmi_held_references":                                          5,
		"farcall_rmi_recorded_calls":                                           7,
		"farcall_rmi_recorded_bytes":                                           700,
	} {
		if got := value(t, m, name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

func TestFlushSizesAreCumulative(t *testing.T) {
	_, text := serve(t, full(t), "")
	for _, want := range []string{
		`farcall_rmi_flush_size_bytes_bucket{le="64"} 2`, `farcall_rmi_flush_size_bytes_bucket{le="256"} 2`,
		`farcall_rmi_flush_size_bytes_bucket{le="1024"} 7`, `farcall_rmi_flush_size_bytes_bucket{le="1.048576e+06"} 7`,
		`farcall_rmi_flush_size_bytes_bucket{le="+Inf"} 8`, "farcall_rmi_flush_size_bytes_sum 1000",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestAgeIsMissingBeforeTheFirstListing(t *testing.T) {
	m := New(Options{})
	m.AddCache(func() naming.Stats { return naming.Stats{} })
	if got := count(t, m, "farcall_naming_cache_age_seconds"); got != 0 {
		t.Errorf("series of the age: got %d, want none", got)
	}
	if got := value(t, m, "farcall_naming_cache_in_touch"); got != 0 {
		t.Errorf("in touch: got %v, want 0", got)
	}
}

func TestMetricsPassTheLinter(t *testing.T) {
	families, err := full(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "farcall_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestCatalogListsExactlyWhatIsServed(t *testing.T) {
	m := full(t)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var served []Family
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "farcall_") {
			continue
		}
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		served = append(served, Family{Name: f.GetName(), Type: strings.ToLower(f.GetType().String()), Help: f.GetHelp(), Labels: labels})
	}
	sorted := func(fs []Family) []Family {
		for i := range fs {
			fs[i].Labels = slices.Sorted(slices.Values(fs[i].Labels))
		}
		slices.SortFunc(fs, func(a, b Family) int { return cmp.Compare(a.Name, b.Name) })
		return fs
	}
	if diff := gocmp.Diff(sorted(m.Catalog()), sorted(served)); diff != "" {
		t.Errorf("(-catalog +served):\n%s", diff)
	}
}

func TestHandlerAnswersAsAsked(t *testing.T) {
	m := full(t)
	for _, tt := range []struct{ accept, want string }{
		{"", "text/plain; version=0.0.4"},
		{"application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "application/vnd.google.protobuf"},
	} {
		typ, body := serve(t, m, tt.accept)
		if !strings.HasPrefix(typ, tt.want) {
			t.Errorf("accept %q: got type %q, want %q", tt.accept, typ, tt.want)
		}
		if !strings.Contains(body, "farcall_rmi_calls_finished") || !strings.Contains(body, "go_goroutines") || !strings.Contains(body, "process_") {
			t.Errorf("accept %q: metrics are missing", tt.accept)
		}
	}
}

func TestTwoMetricsInOneProcessDoNotMeet(t *testing.T) {
	a, b := full(t), New(Options{})
	if got := count(t, b, "farcall_rmi_calls_started_total"); got != 0 {
		t.Errorf("the second shows %d series of the first", got)
	}
	if got := count(t, a, "farcall_rmi_calls_started_total"); got != 2 {
		t.Errorf("the first: got %d series, want 2", got)
	}
}

func TestPanickingSourceDoesNotSpoilTheRest(t *testing.T) {
	m := New(Options{})
	m.AddLease(func() naming.Status { panic("boom") })
	if _, body := serve(t, m, ""); !strings.Contains(body, "go_goroutines") {
		t.Errorf("the rest is missing:\n%s", body)
	}
}

// serve returns the type and body of a scrape.
func serve(t *testing.T, m *Metrics, accept string) (contentType, body string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, req)
	data, err := io.ReadAll(rec.Body)
	if err != nil || rec.Code != http.StatusOK {
		t.Fatalf("scrape: status %d, %v: %s", rec.Code, err, data)
	}
	return rec.Header().Get("Content-Type"), string(data)
}

// update rewrites the page: go test ./internal/telemetry -run Docs -update.
var update = flag.Bool("update", false, "rewrite docs/metrics.md")

func TestDocsListEveryMetric(t *testing.T) {
	want := page(full(t).Catalog())
	if *update {
		if err := os.WriteFile(docs, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("docs/metrics.md is out of date; run this test with -update (-want +got):\n%s", diff)
	}
}

// page writes the list of metrics.
func page(families []Family) []byte {
	var b bytes.Buffer
	b.WriteString(`# Metrics

This page is generated from the code by
` + "`go test ./internal/telemetry -run Docs -update`" + `, and a test holds it to the code.

The name server serves metrics at ` + "`/metrics`" + ` of its ` + "`--listen`" + ` address, the daemon at
its ` + "`--admin`" + ` address: as text, OpenMetrics or protobuf, as the scraper asks. The
latency histogram is classic and native at once; native buckets travel only as
protobuf (in Prometheus: ` + "`scrape_native_histograms: true`" + `).

An object or method name becomes a label only when the node knows it. Calls of
other names, and of more than 1000 pairs of object and method, count under
` + "`other`" + `, so that strangers cannot mint series.

Beside these there are the Go runtime's (` + "`go_*`" + `) and the process's (` + "`process_*`" + `).

| metric | type | labels | meaning |
|---|---|---|---|
`)
	for _, f := range families {
		labels := make([]string, len(f.Labels))
		for i, l := range f.Labels {
			labels[i] = "`" + l + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Type, strings.Join(labels, ", "), f.Help)
	}
	return b.Bytes()
}
