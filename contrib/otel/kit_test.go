package holdfastotel_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	holdfastotel "github.com/holdfast-go/holdfast/contrib/otel"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// errBackend holds what must never be told.
var errBackend = errors.New("the backend of tenant-7 is down")

// A kit is an orchestrator that is measured by a real SDK.
type kit struct {
	*holdfastotel.Telemetry

	orch   *orchestrator.Orchestrator
	spans  *tracetest.SpanRecorder
	reader *metric.ManualReader
}

// newKit makes one, on stores that have a call for everything, and closes it with t.
func newKit(t *testing.T, c holdfastotel.Config, options ...trace.TracerProviderOption) *kit {
	t.Helper()
	k := &kit{spans: tracetest.NewSpanRecorder(), reader: metric.NewManualReader()}
	c.MeterProvider = metric.NewMeterProvider(metric.WithReader(k.reader))
	if c.TracerProvider == nil {
		c.TracerProvider = trace.NewTracerProvider(append(options, trace.WithSpanProcessor(k.spans))...)
	}
	var err error
	if k.Telemetry, err = holdfastotel.New(c); err != nil {
		t.Fatal(err)
	}
	k.orch = newOrchestrator(t, orchestrator.Config{Observer: k, Fleet: fleet.Config{OnEvent: k.Event, OnStore: k.StoreCall}})
	return k
}

func newOrchestrator(t *testing.T, c orchestrator.Config) *orchestrator.Orchestrator {
	t.Helper()
	stores := memory.New(memory.Options{}).Stores()
	stores.Buckets = plainBuckets{stores.Buckets}
	orch, err := orchestrator.New(stores, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = orch.Close(context.Background()) })
	return orch
}

// plainBuckets have a call for everything, as a store outside this process does.
type plainBuckets struct{ port.BucketStore }

func newGuard(t *testing.T, o *orchestrator.Orchestrator, p hold.Policy) *orchestrator.Guard {
	t.Helper()
	g, err := o.Guard("g", p)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func succeed(context.Context) error { return nil }
func failing(context.Context) error { return errBackend }
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// show is a span in one line or more: its name, kind, attributes and status, and then its
// events.
func show(s trace.ReadOnlySpan) []string {
	head := strings.TrimSpace(fmt.Sprintf("%s, %s: %s", s.Name(), s.SpanKind(), attributes(s.Attributes())))
	if status := s.Status(); status.Code != 0 {
		head += fmt.Sprintf(" (%s: %s)", status.Code, status.Description)
	}
	all := []string{head}
	for _, e := range s.Events() {
		all = append(all, strings.TrimSpace(e.Name+": "+attributes(e.Attributes)))
	}
	return all
}

// attributes are written as key=value, in order.
func attributes(all []attribute.KeyValue) string {
	lines := make([]string, len(all))
	for i, a := range all {
		lines[i] = string(a.Key) + "=" + a.Value.String()
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

// collect are all series of integers that the SDK has, by names such as
// "holdfast.calls{guard=g outcome=success}", and of histograms the counts.
func (k *kit) collect(t *testing.T) map[string]int64 {
	t.Helper()
	all := make(map[string]int64)
	for _, m := range k.metrics(t) {
		name := func(set attribute.Set) string { return fmt.Sprintf("%s{%s}", m.Name, attributes(set.ToSlice())) }
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			for _, p := range data.DataPoints {
				all[name(p.Attributes)] = p.Value
			}
		case metricdata.Gauge[int64]:
			for _, p := range data.DataPoints {
				all[name(p.Attributes)] = p.Value
			}
		case metricdata.Histogram[float64]:
			for _, p := range data.DataPoints {
				all[name(p.Attributes)] = int64(p.Count)
			}
		default:
			t.Errorf("%s is a %T", m.Name, data)
		}
	}
	return all
}

func (k *kit) metrics(t *testing.T) []metricdata.Metrics {
	t.Helper()
	var got metricdata.ResourceMetrics
	if err := k.reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	var all []metricdata.Metrics
	for _, scope := range got.ScopeMetrics {
		all = append(all, scope.Metrics...)
	}
	return all
}

// want checks some series of all that there are.
func (k *kit) want(t *testing.T, want map[string]int64) {
	t.Helper()
	got := k.collect(t)
	for name, value := range want {
		if is, there := got[name]; !there || is != value {
			t.Errorf("%s is %d, and there: %t; want %d", name, is, there, value)
		}
	}
	if t.Failed() {
		for _, name := range slices.Sorted(maps.Keys(got)) {
			t.Logf("%s %d", name, got[name])
		}
	}
}

func soon(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
