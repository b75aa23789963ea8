package holdfastprom

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/telemetry"
)

// Config says how times are kept. The zero Config is valid.
type Config struct {
	// CallBuckets are the upper bounds of the buckets of holdfast_call_duration_seconds,
	// in seconds and growing. Defaults to 14 from 1 ms to 30 s.
	CallBuckets []float64
	// StoreBuckets are those of holdfast_store_call_duration_seconds. Defaults to 13 from
	// 100 µs to 1 s.
	StoreBuckets []float64
}

// Telemetry measures one orchestrator: it is its observer, and its listener to events and
// store calls. Register it as any collector: where one process is a replica of several
// fleets, one for each, with prometheus.WrapRegistererWith and the fleet's name. Make one
// with [New]. It is safe for concurrent use.
type Telemetry struct {
	recorder *telemetry.Recorder
	vectors  *vectors
	watched  atomic.Pointer[telemetry.Source]
}

var (
	_ orchestrator.PartObserver = (*Telemetry)(nil)
	_ prometheus.Collector      = (*Telemetry)(nil)
)

// New makes the metrics, and registers them nowhere. Its error is that buckets do not grow.
func New(c Config) (*Telemetry, error) {
	for field, bounds := range map[string][]float64{"CallBuckets": c.CallBuckets, "StoreBuckets": c.StoreBuckets} {
		for i := 1; i < len(bounds); i++ {
			if !(bounds[i-1] < bounds[i]) { // nor is NaN growing
				return nil, fmt.Errorf("holdfastprom: Config.%s: %v is not above %v", field, bounds[i], bounds[i-1])
			}
		}
	}
	v := newVectors(c)
	return &Telemetry{recorder: telemetry.NewRecorder(v), vectors: v}, nil
}

// Start does nothing: a call counts when it has ended.
func (t *Telemetry) Start(ctx context.Context, guard string) context.Context {
	return t.recorder.Start(ctx, guard)
}

// End counts a call: for orchestrator.Config.Observer.
func (t *Telemetry) End(ctx context.Context, s orchestrator.Summary) { t.recorder.End(ctx, s) }

// Observe counts what a part did.
func (t *Telemetry) Observe(ctx context.Context, s orchestrator.Step) { t.recorder.Observe(ctx, s) }

// Event counts an edge: for fleet.Config.OnEvent.
func (t *Telemetry) Event(e domain.Event) { t.recorder.Event(e) }

// StoreCall counts a call of the store: for fleet.Config.OnStore.
func (t *Telemetry) StoreCall(ctx context.Context, c fleet.StoreCall) { t.recorder.StoreCall(ctx, c) }

var errWatching = errors.New("holdfastprom: another orchestrator is being watched: end that first, or make another Telemetry")

// Watch measures the gauges by looking at an orchestrator, or a replica, at each scrape. It
// looks at one at a time: a second one is an error. stop ends that; a scrape that has begun
// may look once more.
func (t *Telemetry) Watch(source telemetry.Source) (stop func(), err error) {
	watched := &source
	if !t.watched.CompareAndSwap(nil, watched) {
		return nil, errWatching
	}
	return func() { t.watched.CompareAndSwap(watched, nil) }, nil
}

// Describe is of prometheus.Collector.
func (t *Telemetry) Describe(out chan<- *prometheus.Desc) { t.vectors.describe(out) }

// Collect is of prometheus.Collector.
func (t *Telemetry) Collect(out chan<- prometheus.Metric) {
	t.vectors.collect(out)
	if source := t.watched.Load(); source != nil {
		t.vectors.read(out, (*source).Overview())
	}
}
