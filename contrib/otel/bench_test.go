package holdfastotel_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	holdfastotel "github.com/holdfast-go/holdfast/contrib/otel"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// dropped is where recorded spans go.
type dropped struct{}

func (dropped) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (dropped) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (dropped) Shutdown(context.Context) error                  { return nil }
func (dropped) ForceFlush(context.Context) error                { return nil }

// BenchmarkCall is a call of a guard with a retry, a breaker and a limit, which make three
// steps: bare, and measured in several ways.
func BenchmarkCall(b *testing.B) {
	off := noop.NewTracerProvider()
	sdk := func() metric.MeterProvider {
		return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	}
	spans := func(s sdktrace.Sampler) trace.TracerProvider {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(s), sdktrace.WithSpanProcessor(dropped{}))
	}
	for _, bb := range []struct {
		name   string
		config *holdfastotel.Config
	}{
		{"bare", nil},
		{"no-op meter and tracer", &holdfastotel.Config{MeterProvider: metricnoop.NewMeterProvider(), TracerProvider: off}},
		{"SDK meter, no-op tracer", &holdfastotel.Config{MeterProvider: sdk(), TracerProvider: off}},
		{"SDK meter, spans not sampled", &holdfastotel.Config{MeterProvider: sdk(), TracerProvider: spans(sdktrace.NeverSample())}},
		{"SDK meter, spans recorded", &holdfastotel.Config{MeterProvider: sdk(), TracerProvider: spans(sdktrace.AlwaysSample())}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var c orchestrator.Config
			if bb.config != nil {
				t, err := holdfastotel.New(*bb.config)
				if err != nil {
					b.Fatal(err)
				}
				c.Observer = t
				c.Fleet.OnEvent, c.Fleet.OnStore = t.Event, t.StoreCall
			}
			orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), c)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = orch.Close(context.Background()) }()
			g, err := orch.Guard("payments", hold.Combine(hold.Retry{}, hold.CircuitBreaker{}, hold.RateLimit{Limit: hold.PerSecond(1_000_000_000)}))
			if err != nil {
				b.Fatal(err)
			}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				if err := orchestrator.Run(ctx, g, succeed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
