package scrape

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	holdfastotel "github.com/holdfast-go/holdfast/contrib/otel"
	holdfastprom "github.com/holdfast-go/holdfast/contrib/prometheus"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A sample is one number of a scrape: of a histogram there are many, as Prometheus has them.
type sample struct {
	name   string
	labels map[string]string // without those that say nothing
	value  float64
}

func (s sample) String() string {
	var all []string
	for _, label := range slices.Sorted(maps.Keys(s.labels)) {
		all = append(all, label+"="+strconv.Quote(s.labels[label]))
	}
	return s.name + "{" + strings.Join(all, ",") + "}"
}

// A scrape is what a server answered.
type scrape struct {
	text     string
	families map[string]*dto.MetricFamily
	samples  []sample
}

// scraped is what the day came to, as both modules tell it.
type scraped struct {
	otel, prom scrape
	spans      []trace.ReadOnlySpan
}

// liveADay lives one, measured by both modules, and scrapes both.
func liveADay(t *testing.T) (got scraped) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		otelRegistry, promRegistry := prometheus.NewPedanticRegistry(), prometheus.NewPedanticRegistry()
		reader, err := exporter.New(exporter.WithRegisterer(otelRegistry))
		if err != nil {
			t.Fatal(err)
		}
		spans := tracetest.NewSpanRecorder()
		byOTel, err := holdfastotel.New(holdfastotel.Config{
			MeterProvider:  metric.NewMeterProvider(metric.WithReader(reader)),
			TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(spans)),
			StoreSpans:     true,
		})
		if err != nil {
			t.Fatal(err)
		}
		byProm, err := holdfastprom.New(holdfastprom.Config{})
		if err != nil {
			t.Fatal(err)
		}
		promRegistry.MustRegister(byProm)
		store := newFrail()
		ctx, leave := context.WithCancel(t.Context())
		orch, err := orchestrator.New(store.stores(), orchestrator.Config{
			Observer: orchestrator.Observers(byOTel, byProm),
			Fleet: fleet.Config{
				OnEvent: func(e hold.Event) { byOTel.Event(e); byProm.Event(e) },
				OnStore: func(ctx context.Context, c fleet.StoreCall) { byOTel.StoreCall(ctx, c); byProm.StoreCall(ctx, c) },
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer orch.Close(context.WithoutCancel(ctx))
		defer leave()
		otelEnds, err := byOTel.Watch(orch)
		if err != nil {
			t.Fatal(err)
		}
		promEnds, err := byProm.Watch(orch)
		if err != nil {
			t.Fatal(err)
		}
		(&day{t: t, ctx: ctx, store: store, orch: orch}).live()

		got.otel, got.prom = get(t, otelRegistry), get(t, promRegistry)
		got.spans = spans.Ended()
		promEnds()
		if err := otelEnds(); err != nil {
			t.Error(err)
		}
	})
	return got
}

// get asks a real server, as Prometheus does.
func get(t *testing.T, registry *prometheus.Registry) scrape {
	t.Helper()
	server := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("the scrape is %s, %v:\n%s", answer.Status, err, text)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	delete(families, "target_info") // of the SDK's own resource
	return scrape{string(text), families, samplesOf(families)}
}

// samplesOf takes families apart, in order.
func samplesOf(families map[string]*dto.MetricFamily) (all []sample) {
	for _, name := range slices.Sorted(maps.Keys(families)) {
		for _, m := range families[name].GetMetric() {
			add := func(suffix string, value float64, more ...string) {
				labels := map[string]string{}
				for _, l := range m.GetLabel() {
					if l.GetValue() != "" && !strings.HasPrefix(l.GetName(), "otel_scope_") {
						labels[l.GetName()] = l.GetValue()
					}
				}
				for i := 0; i < len(more); i += 2 {
					labels[more[i]] = more[i+1]
				}
				all = append(all, sample{name + suffix, labels, value})
			}
			if h := m.GetHistogram(); h != nil {
				for _, b := range h.GetBucket() {
					add("_bucket", float64(b.GetCumulativeCount()), "le", fmt.Sprint(b.GetUpperBound()))
				}
				add("_count", float64(h.GetSampleCount()))
				add("_sum", h.GetSampleSum())
				continue
			}
			add("", m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
	return all
}

// TestBothSayTheSame: whoever measures, the names, types, help, labels and numbers are the
// same, so that one dashboard serves both.
func TestBothSayTheSame(t *testing.T) {
	got := liveADay(t)
	for name := range got.prom.families {
		one, other := got.prom.families[name], got.otel.families[name]
		if one.GetType() != other.GetType() || one.GetHelp() != other.GetHelp() {
			t.Errorf("%s is a %s, %q; by OpenTelemetry a %s, %q", name, one.GetType(), one.GetHelp(), other.GetType(), other.GetHelp())
		}
	}
	one, other := values(got.prom), values(got.otel)
	for _, name := range slices.Sorted(maps.Keys(one)) {
		value, there := other[name]
		if !there || math.Abs(value-one[name]) > 1e-9*math.Abs(value) {
			t.Errorf("%s is %v; by OpenTelemetry %v, and there: %t", name, one[name], value, there)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if _, there := one[name]; !there {
			t.Errorf("%s is only there by OpenTelemetry", name)
		}
	}
	if len(one) < 300 {
		t.Errorf("only %d numbers were held against each other", len(one))
	}
}

func values(s scrape) map[string]float64 {
	all := make(map[string]float64)
	for _, sample := range s.samples {
		all[sample.String()] = sample.value
	}
	return all
}

// TestNoKeyIsTold: keys of tenants went through all of the day, also in errors and in what
// operators said.
func TestNoKeyIsTold(t *testing.T) {
	got := liveADay(t)
	told := []string{got.otel.text, got.prom.text}
	for _, s := range got.spans {
		told = append(told, s.Name(), s.Status().Description, fmt.Sprint(s.Attributes()))
		for _, e := range s.Events() {
			told = append(told, e.Name+fmt.Sprint(e.Attributes))
		}
	}
	if len(got.spans) < 50 {
		t.Errorf("only %d spans", len(got.spans))
	}
	for _, text := range told {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "tenant") {
				t.Errorf("it tells %q", line)
			}
		}
	}
}
