package holdfastotel

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/holdfast-go/holdfast/telemetry"
)

// instruments are those of all metrics, by name.
type instruments struct {
	added map[string]metric.Int64Counter
	timed map[string]metric.Float64Histogram
	read  map[string]metric.Int64Observable
}

func newInstruments(meter metric.Meter) (instruments, error) {
	i := instruments{
		make(map[string]metric.Int64Counter), make(map[string]metric.Float64Histogram), make(map[string]metric.Int64Observable),
	}
	var all error
	for _, m := range telemetry.Metrics() {
		all = errors.Join(all, i.add(meter, m))
	}
	return i, all
}

func (i *instruments) add(meter metric.Meter, m *telemetry.Metric) (err error) {
	unit, help := metric.WithUnit(m.Unit), metric.WithDescription(m.Help)
	switch m.Kind {
	case telemetry.Counter:
		i.added[m.Name], err = meter.Int64Counter(m.Name, unit, help)
	case telemetry.Histogram:
		i.timed[m.Name], err = meter.Float64Histogram(m.Name, unit, help, metric.WithExplicitBucketBoundaries(m.Bounds...))
	case telemetry.Gauge:
		i.read[m.Name], err = meter.Int64ObservableGauge(m.Name, unit, help)
	case telemetry.Total:
		i.read[m.Name], err = meter.Int64ObservableCounter(m.Name, unit, help)
	}
	return err
}

func (i *instruments) observables() []metric.Observable {
	all := make([]metric.Observable, 0, len(i.read))
	for _, instrument := range i.read {
		all = append(all, instrument)
	}
	return all
}

// series makes the series of instruments, each with its attributes: put together once, and
// not with each measurement.
type series struct {
	instruments

	more []attribute.KeyValue
}

func (s *series) Adder(m *telemetry.Metric, values ...string) telemetry.Adder {
	a := &adder{s.added[m.Name], []metric.AddOption{metric.WithAttributeSet(attributesOf(m, values, s.more))}}
	a.Add(context.Background(), 0) // it begins at 0, and is seen to
	return a
}

func (s *series) Timer(m *telemetry.Metric, values ...string) telemetry.Timer {
	return &timer{s.timed[m.Name], []metric.RecordOption{metric.WithAttributeSet(attributesOf(m, values, s.more))}}
}

// attributesOf are the labels of a series. One that says nothing is not there.
func attributesOf(m *telemetry.Metric, values []string, more []attribute.KeyValue) attribute.Set {
	all := slices.Clone(more)
	for i, value := range values {
		if value != "" {
			all = append(all, attribute.String(m.Labels[i], value))
		}
	}
	return attribute.NewSet(all...)
}

type adder struct {
	counter metric.Int64Counter
	options []metric.AddOption
}

func (a *adder) Add(ctx context.Context, n int64) { a.counter.Add(ctx, n, a.options...) }

type timer struct {
	histogram metric.Float64Histogram
	options   []metric.RecordOption
}

func (t *timer) Took(ctx context.Context, seconds float64) {
	t.histogram.Record(ctx, seconds, t.options...)
}
