package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// The types of metrics, as Prometheus calls them.
const (
	typeCounter   = "counter"
	typeGauge     = "gauge"
	typeHistogram = "histogram"
)

// putFunc adds one series of a metric: its value and its label values.
type putFunc func(value float64, labels ...string)

// metric is one metric that is computed from a snapshot S.
type metric[S any] struct {
	Family
	// emit puts the metric's series, none of them when the snapshot has no
	// value for it. A histogram has buckets instead.
	emit    func(snapshot S, put putFunc)
	buckets func(snapshot S) histogram
}

// histogram is a histogram without labels that was counted elsewhere.
type histogram struct {
	// count and sum are of all observations; buckets counts, by upper bound,
	// those up to it.
	count   uint64
	sum     float64
	buckets map[float64]uint64
}

// one makes a metric of a single series without labels.
func one[S any](name, typ, help string, value func(S) float64) metric[S] {
	return metric[S]{
		Family: Family{Name: name, Type: typ, Help: help},
		emit:   func(s S, put putFunc) { put(value(s)) },
	}
}

// source asks for a snapshot once per scrape and computes its metrics from it,
// so that the numbers of one scrape belong together.
type source[S any] struct {
	fetch   func() S
	metrics []metric[S]
	descs   []*prometheus.Desc
}

// addSource registers metrics that are computed from what fetch returns. fetch
// is called by scrapes, possibly several at once.
func addSource[S any](m *Metrics, fetch func() S, metrics ...metric[S]) {
	s := &source[S]{fetch: fetch, metrics: metrics}
	for _, f := range metrics {
		s.descs = append(s.descs, prometheus.NewDesc(f.Name, f.Help, f.Labels, nil))
		m.note(f.Family)
	}
	m.registry.MustRegister(s)
}

// Describe implements prometheus.Collector.
func (s *source[S]) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *source[S]) Collect(ch chan<- prometheus.Metric) {
	snapshot := s.fetch()
	for i, f := range s.metrics {
		if f.buckets != nil {
			h := f.buckets(snapshot)
			ch <- prometheus.MustNewConstHistogram(s.descs[i], h.count, h.sum, h.buckets)
			continue
		}
		kind := prometheus.GaugeValue
		if f.Type == typeCounter {
			kind = prometheus.CounterValue
		}
		f.emit(snapshot, func(v float64, labels ...string) {
			m, err := prometheus.NewConstMetric(s.descs[i], kind, v, labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(s.descs[i], err)
			}
			ch <- m
		})
	}
}

var _ prometheus.Collector = (*source[int])(nil)
