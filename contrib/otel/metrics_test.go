package holdfastotel_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	holdfastotel "github.com/holdfast-go/holdfast/contrib/otel"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/telemetry"
)

// TestMetrics: an SDK has what happened, with the attributes of its instruments. (Which
// metric counts what is for the tests of package telemetry.)
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{})
		stop, err := k.Watch(k.orch)
		if err != nil {
			t.Fatal(err)
		}
		g := newGuard(t, k.orch, hold.Combine(
			hold.Retry{MaxAttempts: 2, Backoff: hold.Fixed(time.Second)},
			hold.CircuitBreaker{FailureThreshold: 2},
			hold.RateLimit{Name: "l", Limit: hold.PerHour(2), Keyed: true},
		))
		for range 2 {
			_ = orchestrator.Run(t.Context(), g, failing, orchestrator.Key("tenant-7"))
		}
		synctest.Wait()
		k.want(t, map[string]int64{
			"holdfast.calls{error.type=_OTHER guard=g outcome=failure}":                 1,
			"holdfast.calls{error.type=circuit_open guard=g outcome=ignored}":           1,
			"holdfast.call.attempts{guard=g}":                                           2,
			"holdfast.call.duration{guard=g outcome=failure}":                           1,
			"holdfast.retry.decisions{guard=g result=again}":                            1,
			"holdfast.retry.decisions{guard=g result=exhausted}":                        1,
			"holdfast.retry.decisions{guard=g result=budget_empty}":                     0, // and there
			"holdfast.breaker.reports{breaker=g guard=g outcome=failure}":               2,
			"holdfast.breaker.transitions{breaker=g from=closed scope=replica to=open}": 1,
			"holdfast.breaker.state{breaker=g scope=replica state=open}":                1,
			"holdfast.breaker.state{breaker=g scope=replica state=closed}":              0,
			"holdfast.limit.decisions{degraded=false guard=g limit=l result=allowed}":   2,
			"holdfast.store.call.items{op=bucket_take result=answered}":                 2,
			"holdfast.store.call.duration{op=bucket_take}":                              2,
			"holdfast.store.up{}":                  1,
			"holdfast.events{kind=breaker name=g}": 1,
		})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestInstruments: each is as the table says.
func TestInstruments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{})
		stop, err := k.Watch(k.orch)
		if err != nil {
			t.Fatal(err)
		}
		g := newGuard(t, k.orch, hold.Combine(hold.Timeout{Duration: time.Second}, hold.RateLimit{Limit: hold.PerSecond(1)}))
		_ = orchestrator.Run(t.Context(), g, hang)
		byName := make(map[string]metricdata.Metrics)
		for _, m := range k.metrics(t) {
			byName[m.Name] = m
		}
		for _, name := range []string{"holdfast.calls", "holdfast.call.duration", "holdfast.timeouts", "holdfast.store.up"} {
			i := slices.IndexFunc(telemetry.Metrics(), func(m *telemetry.Metric) bool { return m.Name == name })
			want, got := telemetry.Metrics()[i], byName[name]
			if got.Unit != want.Unit || got.Description != want.Help {
				t.Errorf("%s is in %q: %q; want %q: %q", name, got.Unit, got.Description, want.Unit, want.Help)
			}
			if data, is := got.Data.(metricdata.Histogram[float64]); is && !slices.Equal(data.DataPoints[0].Bounds, want.Bounds) {
				t.Errorf("%s has the bounds %v; want %v", name, data.DataPoints[0].Bounds, want.Bounds)
			}
			if data, is := got.Data.(metricdata.Sum[int64]); is && !data.IsMonotonic {
				t.Errorf("%s may fall", name)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestWatch: one orchestrator at a time, from Watch to stop.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{Attributes: []attribute.KeyValue{attribute.String("fleet", "shop")}})
		other := newOrchestrator(t, orchestrator.Config{})
		if _, err := other.Breaker(hold.CircuitBreaker{Name: "b"}); err != nil {
			t.Fatal(err)
		}
		reads := func() bool {
			_, there := k.collect(t)["holdfast.store.up{fleet=shop}"]
			return there
		}
		if reads() {
			t.Error("something is read before Watch")
		}
		stop, err := k.Watch(k.orch)
		if err != nil || !reads() {
			t.Errorf("Watch: %v; and is read: %t", err, reads())
		}
		if _, err := k.Watch(other); err == nil {
			t.Error("two are watched at once")
		}
		if err := errors.Join(stop(), stop()); err != nil || reads() {
			t.Errorf("stop: %v; and is read: %t", err, reads())
		}
		stop, err = k.Watch(other)
		if err != nil {
			t.Fatal(err)
		}
		k.want(t, map[string]int64{"holdfast.breaker.state{breaker=b fleet=shop scope=fleet state=closed}": 1})
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestAttributes: those of the configuration are on every series and span, so that two
// fleets in one process are told apart.
func TestAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastotel.Config{Attributes: []attribute.KeyValue{attribute.String("fleet", "shop")}, StoreSpans: true})
		_ = orchestrator.Run(t.Context(), newGuard(t, k.orch, hold.RateLimit{Limit: hold.PerSecond(1)}), succeed)
		synctest.Wait()
		for name := range k.collect(t) {
			if !strings.Contains(name, "fleet=shop") {
				t.Errorf("%s has no fleet", name)
			}
		}
		for _, s := range k.spans.Ended() {
			if !strings.Contains(attributes(s.Attributes()), "fleet=shop") {
				t.Errorf("the span %q has no fleet", s.Name())
			}
		}
	})
}

// A brokenMeter cannot make what is asked for first.
type brokenMeter struct{ noop.Meter }

type brokenProvider struct{ noop.MeterProvider }

func (brokenProvider) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

func (brokenMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return noop.Int64Counter{}, errBackend
}

// lateBroken can make instruments, and watch nothing.
type lateBroken struct{ noop.MeterProvider }

type lateBrokenMeter struct{ noop.Meter }

func (lateBroken) Meter(string, ...metric.MeterOption) metric.Meter { return lateBrokenMeter{} }

func (lateBrokenMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, errBackend
}

// TestErrorsOfTheSDK come out.
func TestErrorsOfTheSDK(t *testing.T) {
	if _, err := holdfastotel.New(holdfastotel.Config{MeterProvider: brokenProvider{}}); !errors.Is(err, errBackend) {
		t.Errorf("New: %v", err)
	}
	k, err := holdfastotel.New(holdfastotel.Config{MeterProvider: lateBroken{}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // and what failed is no watch
		if _, err := k.Watch(newOrchestrator(t, orchestrator.Config{})); !errors.Is(err, errBackend) {
			t.Errorf("Watch: %v", err)
		}
	}
}

// TestNothingMoreThanCounts: with spans switched off the context stays as it is, and no
// memory is needed but the SDK's own.
func TestNothingMoreThanCounts(t *testing.T) {
	k, err := holdfastotel.New(holdfastotel.Config{MeterProvider: noop.NewMeterProvider(), TracerProvider: tracenoop.NewTracerProvider(), StoreSpans: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if k.Start(ctx, "g") != ctx {
		t.Error("the call has another context")
	}
	if got := testing.AllocsPerRun(100, func() {
		k.Observe(ctx, orchestrator.Step{Guard: "g", Part: orchestrator.PartLimit, Result: orchestrator.ResultRefused})
		k.End(k.Start(ctx, "g"), orchestrator.Summary{Guard: "g", Attempts: 1})
		k.StoreCall(ctx, fleet.StoreCall{Op: "bucket take", Items: 1})
	}); got != 0 {
		t.Errorf("it allocates %v times", got)
	}
}

// TestGlobalProviders: without a configuration it works, and does nothing without an SDK.
func TestGlobalProviders(t *testing.T) {
	k, err := holdfastotel.New(holdfastotel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	k.End(k.Start(context.Background(), "g"), orchestrator.Summary{Guard: "g"})
	k.Event(hold.Event{Kind: hold.EventStoreUp})
}
