package holdfastotel_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	holdfastotel "github.com/holdfast-go/holdfast/contrib/otel"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// One Telemetry measures one orchestrator. Programs that have set the global providers need
// no configuration.
func Example() {
	reader := metric.NewManualReader() // a program has an exporter
	measured, err := holdfastotel.New(holdfastotel.Config{MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		panic(err)
	}
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{
		Observer: measured,
		Fleet:    fleet.Config{OnEvent: measured.Event, OnStore: measured.StoreCall},
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = orch.Close(context.Background()) }()
	stop, err := measured.Watch(orch)
	if err != nil {
		panic(err)
	}
	defer func() { _ = stop() }()

	guard, err := orch.Guard("sms", hold.RateLimit{Limit: hold.PerHour(1)})
	if err != nil {
		panic(err)
	}
	for range 3 {
		_ = orchestrator.Run(context.Background(), guard, func(context.Context) error { return nil })
	}

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		panic(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if calls, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "holdfast.calls" {
			for _, p := range calls.DataPoints {
				why, _ := p.Attributes.Value("error.type")
				fmt.Printf("%s %q %d\n", m.Name, why.AsString(), p.Value)
			}
		}
	}
	// Unordered output:
	// holdfast.calls "" 1
	// holdfast.calls "rate_limited" 2
}
