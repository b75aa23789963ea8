package holdfastprom

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/telemetry"
)

// vectors are those of all metrics, by the names of package telemetry.
type vectors struct {
	added map[string]*prometheus.CounterVec
	timed map[string]*prometheus.HistogramVec
	looks map[string]*prometheus.Desc // of what is read at each scrape
}

func newVectors(c Config) *vectors {
	v := &vectors{
		make(map[string]*prometheus.CounterVec), make(map[string]*prometheus.HistogramVec), make(map[string]*prometheus.Desc),
	}
	for _, m := range telemetry.Metrics() {
		switch m.Kind {
		case telemetry.Counter:
			v.added[m.Name] = prometheus.NewCounterVec(prometheus.CounterOpts{Name: nameOf(m), Help: m.Help}, labelsOf(m))
		case telemetry.Histogram:
			v.timed[m.Name] = prometheus.NewHistogramVec(prometheus.HistogramOpts{
				Name: nameOf(m), Help: m.Help, Buckets: c.bounds(m),
			}, labelsOf(m))
		case telemetry.Gauge, telemetry.Total:
			v.looks[m.Name] = prometheus.NewDesc(nameOf(m), m.Help, labelsOf(m), nil)
		}
	}
	return v
}

// bounds are those that are asked for, or the metric's own.
func (c *Config) bounds(m *telemetry.Metric) []float64 {
	bounds := c.CallBuckets
	if strings.HasPrefix(m.Name, "holdfast.store.") {
		bounds = c.StoreBuckets
	}
	if len(bounds) == 0 {
		return m.Bounds
	}
	return bounds
}

// nameOf is what the exporter of OpenTelemetry makes of a metric's name.
func nameOf(m *telemetry.Metric) string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	if m.Unit == "s" {
		name += "_seconds"
	}
	if m.Kind == telemetry.Counter || m.Kind == telemetry.Total {
		name += "_total"
	}
	return name
}

func labelsOf(m *telemetry.Metric) []string {
	labels := make([]string, len(m.Labels))
	for i, label := range m.Labels {
		labels[i] = strings.ReplaceAll(label, ".", "_")
	}
	return labels
}

func (v *vectors) Adder(m *telemetry.Metric, values ...string) telemetry.Adder {
	return adder{v.added[m.Name].WithLabelValues(values...)}
}

func (v *vectors) Timer(m *telemetry.Metric, values ...string) telemetry.Timer {
	return timer{v.timed[m.Name].WithLabelValues(values...)}
}

type adder struct{ counter prometheus.Counter }

func (a adder) Add(_ context.Context, n int64) { a.counter.Add(float64(n)) }

type timer struct{ histogram prometheus.Observer }

func (t timer) Took(_ context.Context, seconds float64) { t.histogram.Observe(seconds) }

func (v *vectors) describe(out chan<- *prometheus.Desc) {
	for _, vector := range v.added {
		vector.Describe(out)
	}
	for _, vector := range v.timed {
		vector.Describe(out)
	}
	for _, look := range v.looks {
		out <- look
	}
}

func (v *vectors) collect(out chan<- prometheus.Metric) {
	for _, vector := range v.added {
		vector.Collect(out)
	}
	for _, vector := range v.timed {
		vector.Collect(out)
	}
}

// read collects what an overview says.
func (v *vectors) read(out chan<- prometheus.Metric, look fleet.Overview) {
	telemetry.Read(look, func(m *telemetry.Metric, value int64, values ...string) {
		kind := prometheus.GaugeValue
		if m.Kind == telemetry.Total {
			kind = prometheus.CounterValue
		}
		out <- prometheus.MustNewConstMetric(v.looks[m.Name], kind, float64(value), values...)
	})
}
