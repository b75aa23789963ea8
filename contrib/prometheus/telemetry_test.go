package holdfastprom_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	holdfastprom "github.com/holdfast-go/holdfast/contrib/prometheus"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/telemetry"
)

// TestScrape: Prometheus has what happened. (Which metric counts what is for the tests of
// package telemetry.)
func TestScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastprom.Config{})
		stop, err := k.Watch(k.orch)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		g, err := k.orch.Guard("g", hold.Combine(
			hold.Retry{MaxAttempts: 2, Backoff: hold.Fixed(time.Second)},
			hold.CircuitBreaker{FailureThreshold: 2},
			hold.RateLimit{Name: "l", Limit: hold.PerHour(2), Keyed: true},
		))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_ = orchestrator.Run(t.Context(), g, failing, orchestrator.Key("tenant-7"))
		}
		synctest.Wait()
		got := k.scrape(t)
		got.want(t, map[string]float64{
			`holdfast_calls_total{error_type="_OTHER",guard="g",outcome="failure"}`:                   1,
			`holdfast_calls_total{error_type="circuit_open",guard="g",outcome="ignored"}`:             1,
			`holdfast_call_attempts_total{guard="g"}`:                                                 2,
			`holdfast_call_duration_seconds{guard="g",outcome="failure"}`:                             1,
			`holdfast_retry_decisions_total{guard="g",result="again"}`:                                1,
			`holdfast_retry_decisions_total{guard="g",result="budget_empty"}`:                         0, // and there
			`holdfast_breaker_reports_total{breaker="g",guard="g",outcome="failure"}`:                 2,
			`holdfast_breaker_transitions_total{breaker="g",from="closed",scope="replica",to="open"}`: 1,
			`holdfast_breaker_state{breaker="g",scope="replica",state="open"}`:                        1,
			`holdfast_breaker_state{breaker="g",scope="replica",state="closed"}`:                      0,
			`holdfast_limit_decisions_total{degraded="false",guard="g",limit="l",result="allowed"}`:   2,
			`holdfast_store_call_items_total{op="bucket_take",result="answered"}`:                     2,
			`holdfast_store_call_duration_seconds{op="bucket_take"}`:                                  2,
			`holdfast_store_up{}`:                            1,
			`holdfast_events_total{kind="breaker",name="g"}`: 1,
		})
		if strings.Contains(got.text, "tenant") {
			t.Errorf("a key is told:\n%s", got.text)
		}
		if problems, err := testutil.GatherAndLint(k.registry); err != nil || len(problems) > 0 {
			t.Errorf("promlint says %v, %v", problems, err)
		}
	})
}

// TestWatch: one orchestrator at a time, from Watch to stop.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t, holdfastprom.Config{})
		other := newOrchestrator(t, orchestrator.Config{})
		if _, err := other.KeyedBreaker(hold.CircuitBreaker{Name: "k", Keyed: true}); err != nil {
			t.Fatal(err)
		}
		reads := func() bool {
			_, there := k.scrape(t).series["holdfast_store_up{}"]
			return there
		}
		if reads() {
			t.Error("something is read before Watch")
		}
		first, err := k.Watch(k.orch)
		if err != nil || !reads() {
			t.Errorf("Watch: %v; and is read: %t", err, reads())
		}
		if _, err := k.Watch(other); err == nil {
			t.Error("two are watched at once")
		}
		first()
		if reads() {
			t.Error("something is read after stop")
		}
		second, err := k.Watch(other)
		if err != nil {
			t.Fatal(err)
		}
		first() // which is over, and ends nothing
		got := k.scrape(t)
		got.want(t, map[string]float64{`holdfast_breaker_calls_unprotected_total{breaker="k"}`: 0})
		if kind := got.families["holdfast_breaker_calls_unprotected_total"].GetType().String(); kind != "COUNTER" {
			t.Errorf("what only grows is a %s", kind)
		}
		second()
	})
}

// TestTwoFleets: each has a Telemetry of its own in one registry, with its name.
func TestTwoFleets(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, name := range []string{"shop", "stock"} {
		k, err := holdfastprom.New(holdfastprom.Config{})
		if err != nil {
			t.Fatal(err)
		}
		prometheus.WrapRegistererWith(prometheus.Labels{"fleet": name}, registry).MustRegister(k)
		k.End(t.Context(), orchestrator.Summary{Guard: "g", Attempts: 1})
	}
	got := (&kit{registry: registry}).scrape(t)
	got.want(t, map[string]float64{
		`holdfast_calls_total{fleet="shop",guard="g",outcome="success"}`:  1,
		`holdfast_calls_total{fleet="stock",guard="g",outcome="success"}`: 1,
	})
}

// TestBuckets: those that are asked for, else those of the table; what is none is refused.
func TestBuckets(t *testing.T) {
	bounds := func(c holdfastprom.Config, name string) []float64 {
		k := newKit(t, c)
		k.End(t.Context(), orchestrator.Summary{Guard: "g"})
		k.StoreCall(t.Context(), fleet.StoreCall{Op: "bucket take", Items: 1})
		var all []float64
		for _, b := range k.scrape(t).families[name].GetMetric()[0].GetHistogram().GetBucket() {
			if !math.IsInf(b.GetUpperBound(), 1) {
				all = append(all, b.GetUpperBound())
			}
		}
		return all
	}
	own := holdfastprom.Config{CallBuckets: []float64{1, 60}, StoreBuckets: []float64{0.5}}
	if got := bounds(own, "holdfast_call_duration_seconds"); !slices.Equal(got, own.CallBuckets) {
		t.Errorf("calls have %v", got)
	}
	if got := bounds(own, "holdfast_store_call_duration_seconds"); !slices.Equal(got, own.StoreBuckets) {
		t.Errorf("store calls have %v", got)
	}
	for _, m := range telemetry.Metrics() {
		if m.Kind != telemetry.Histogram {
			continue
		}
		if got := bounds(holdfastprom.Config{}, strings.ReplaceAll(m.Name, ".", "_")+"_seconds"); !slices.Equal(got, m.Bounds) {
			t.Errorf("%s has %v", m.Name, got)
		}
	}
	for _, c := range []holdfastprom.Config{{CallBuckets: []float64{1, 1}}, {StoreBuckets: []float64{2, 1}}, {CallBuckets: []float64{1, math.NaN()}}} {
		if _, err := holdfastprom.New(c); err == nil {
			t.Errorf("%v is accepted", c)
		}
	}
}

// TestItNeedsNoMemory in the way of calls.
func TestItNeedsNoMemory(t *testing.T) {
	k, err := holdfastprom.New(holdfastprom.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if got := testing.AllocsPerRun(100, func() {
		k.Observe(ctx, orchestrator.Step{Guard: "g", Part: orchestrator.PartLimit, Result: orchestrator.ResultRefused})
		k.End(k.Start(ctx, "g"), orchestrator.Summary{Guard: "g", Attempts: 1})
		k.StoreCall(ctx, fleet.StoreCall{Op: "bucket take", Items: 1})
	}); got != 0 {
		t.Errorf("it allocates %v times", got)
	}
}
