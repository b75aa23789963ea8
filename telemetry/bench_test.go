package telemetry_test

import (
	"context"
	"testing"

	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/telemetry"
)

// nothing is a Meter that counts nothing, so that what a Recorder costs by itself shows.
type nothing struct{}

func (nothing) Adder(*telemetry.Metric, ...string) telemetry.Adder { return nothing{} }
func (nothing) Timer(*telemetry.Metric, ...string) telemetry.Timer { return nothing{} }
func (nothing) Add(context.Context, int64)                         {}
func (nothing) Took(context.Context, float64)                      {}

// BenchmarkRecorder is what counting costs beside the counters themselves.
func BenchmarkRecorder(b *testing.B) {
	r := telemetry.NewRecorder(nothing{})
	ctx := context.Background()
	b.Run("call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.End(r.Start(ctx, "payments"), orchestrator.Summary{Guard: "payments", Attempts: 1})
		}
	})
	b.Run("step", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Observe(ctx, orchestrator.Step{Guard: "payments", Part: orchestrator.PartLimit, Name: "payments", Result: orchestrator.ResultAllowed})
		}
	})
}
