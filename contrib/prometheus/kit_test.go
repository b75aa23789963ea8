package holdfastprom_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	holdfastprom "github.com/holdfast-go/holdfast/contrib/prometheus"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// errBackend holds what must never be told.
var errBackend = errors.New("the backend of tenant-7 is down")

// A kit is an orchestrator that Prometheus's own client measures.
type kit struct {
	*holdfastprom.Telemetry

	orch     *orchestrator.Orchestrator
	registry *prometheus.Registry
}

func newKit(t *testing.T, c holdfastprom.Config) *kit {
	t.Helper()
	measured, err := holdfastprom.New(c)
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{Telemetry: measured, registry: prometheus.NewPedanticRegistry()}
	k.registry.MustRegister(k)
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

// A scrape is what a server answered: the families, and each series by a name such as
// `holdfast_calls_total{guard="g"}`; a histogram by its count.
type scrape struct {
	text     string
	families map[string]*dto.MetricFamily
	series   map[string]float64
}

// scrape asks a real server, as Prometheus does.
func (k *kit) scrape(t *testing.T) scrape {
	t.Helper()
	server := httptest.NewServer(promhttp.HandlerFor(k.registry, promhttp.HandlerOpts{}))
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
	s := scrape{string(text), families, make(map[string]float64)}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			s.series[name+said(m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return s
}

// said are the labels that say something.
func said(m *dto.Metric) string {
	var all []string
	for _, l := range m.GetLabel() {
		if l.GetValue() != "" {
			all = append(all, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
	}
	slices.Sort(all)
	return "{" + strings.Join(all, ",") + "}"
}

func (s scrape) want(t *testing.T, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if is, there := s.series[name]; !there || is != value {
			t.Errorf("%s is %v, and there: %t; want %v", name, is, there, value)
		}
	}
	if t.Failed() {
		for _, name := range slices.Sorted(maps.Keys(s.series)) {
			t.Logf("%s %v", name, s.series[name])
		}
	}
}

func succeed(context.Context) error { return nil }
func failing(context.Context) error { return errBackend }
