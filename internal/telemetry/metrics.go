package telemetry

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"farcall.dev/internal/buildinfo"
)

// maxScrapes bounds the scrapes served at one time; more get 503.
const maxScrapes = 8

// Options configures [New]. The zero value works.
type Options struct {
	// Build is what farcall_build_info says; the zero value is the running
	// binary's own.
	Build buildinfo.Info
	// MaxCalls is the largest number of pairs of object and method that are
	// counted by themselves, for each side; calls of others are counted under
	// [Other]. 0 means [DefaultMaxCalls].
	MaxCalls int
	// Logger gets the errors of scrapes; nil discards them.
	Logger *slog.Logger
}

// Metrics is the registry of one node. Its methods may be called from any
// number of goroutines; each Add method, Server and Client once.
type Metrics struct {
	registry *prometheus.Registry
	logger   *slog.Logger
	maxCalls int
	calls    *callVecs

	mu      sync.Mutex
	catalog []Family // guarded by mu
}

// Family describes one metric.
type Family struct {
	// Name is its full name, Type "counter", "gauge" or "histogram", Help its
	// meaning in a sentence.
	Name, Type, Help string
	// Labels are its labels, in order.
	Labels []string
}

// New returns a registry that holds the Go runtime's, the process's and the
// build's metrics and is ready to count calls.
func New(o Options) *Metrics {
	if o.Build == (buildinfo.Info{}) {
		o.Build = buildinfo.Get()
	}
	if o.MaxCalls <= 0 {
		o.MaxCalls = DefaultMaxCalls
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{registry: prometheus.NewRegistry(), logger: o.Logger, maxCalls: o.MaxCalls}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.addBuild(o.Build)
	m.calls = newCallVecs(m)
	return m
}

// Handler serves the metrics: as protobuf (the one form that carries native
// histograms), OpenMetrics or text, compressed, as the scraper asks. A
// source that fails is logged and left out; the rest is served.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            scrapeLog{m.logger},
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
	})
}

// Catalog lists the metrics that m can hold beside the Go runtime's and the
// process's, sorted by name.
func (m *Metrics) Catalog() []Family {
	m.mu.Lock()
	defer m.mu.Unlock()
	fs := slices.Clone(m.catalog)
	slices.SortFunc(fs, func(a, b Family) int { return cmp.Compare(a.Name, b.Name) })
	return fs
}

// addBuild registers the one constant series that tells the version.
func (m *Metrics) addBuild(b buildinfo.Info) {
	addSource(m, func() buildinfo.Info { return b }, metric[buildinfo.Info]{
		Family: Family{Name: "farcall_build_info", Type: typeGauge,
			Help:   "Always 1; the labels tell which build of Farcall runs.",
			Labels: []string{"version", "revision", "go_version"}},
		emit: func(b buildinfo.Info, put putFunc) { put(1, b.Version, b.Revision, b.Go) },
	})
}

// note adds f to the catalogue. A name that is used twice is a bug in this
// package, which the registry answers with a panic of its own.
func (m *Metrics) note(f Family) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.catalog = append(m.catalog, f)
}

// scrapeLog passes the scrape handler's complaints to slog.
type scrapeLog struct{ logger *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) {
	l.logger.Warn("scrape incomplete", "err", fmt.Sprint(v...))
}

var _ promhttp.Logger = scrapeLog{}
