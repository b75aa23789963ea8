package holdfastotel

import (
	"context"
	"errors"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/telemetry"
)

// scope is the name of what measures.
const scope = "github.com/holdfast-go/holdfast/contrib/otel"

// Config says where measurements go. The zero Config is valid.
type Config struct {
	// MeterProvider makes the instruments. Defaults to the global one.
	MeterProvider metric.MeterProvider
	// TracerProvider makes the spans; that of the package trace/noop switches them off, at
	// no cost. Defaults to the global one.
	TracerProvider trace.TracerProvider
	// Attributes are added to each measurement and span: where one process is a replica of
	// several fleets, the name of this one. Defaults to none.
	Attributes []attribute.KeyValue
	// StoreSpans asks for a span for each call of the store. One such call serves many
	// callers, so that its span is seldom part of any trace of theirs. Defaults to none.
	StoreSpans bool
}

// Telemetry measures one orchestrator: it is its observer, and its listener to events and
// store calls. Make one with [New]. It is safe for concurrent use.
//
// It works in the way of calls, and needs some 250 ns for each thing that it counts with an SDK; a
// span that is recorded needs microseconds.
type Telemetry struct {
	recorder   *telemetry.Recorder
	instances  instruments
	meter      metric.Meter
	tracer     trace.Tracer // nil: there are no spans
	attributes []attribute.KeyValue
	storeSpans bool
	openings   sync.Map // guard's name → *opening

	mu       sync.Mutex
	watching bool
}

var _ orchestrator.PartObserver = (*Telemetry)(nil)

// New makes the instruments. Its error is that of the MeterProvider, which made some of
// them not.
func New(c Config) (*Telemetry, error) {
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	t := &Telemetry{
		meter: c.MeterProvider.Meter(scope), attributes: slices.Clone(c.Attributes), storeSpans: c.StoreSpans,
	}
	var err error
	if t.instances, err = newInstruments(t.meter); err != nil {
		return nil, err
	}
	t.recorder = telemetry.NewRecorder(&series{t.instances, t.attributes})
	tracer := c.TracerProvider.Tracer(scope)
	if _, off := tracer.(noop.Tracer); !off {
		t.tracer = tracer
	}
	return t, nil
}

// Start begins the span of a call: for orchestrator.Config.Observer.
func (t *Telemetry) Start(ctx context.Context, guard string) context.Context {
	if t.tracer == nil {
		return ctx
	}
	return t.startSpan(ctx, guard)
}

// End counts the call and ends its span.
func (t *Telemetry) End(ctx context.Context, s orchestrator.Summary) {
	t.recorder.End(ctx, s)
	if span := t.spanOf(ctx); span != nil {
		t.endSpan(span, &s)
	}
}

// Observe counts what a part did, and notes it in the call's span.
func (t *Telemetry) Observe(ctx context.Context, s orchestrator.Step) {
	t.recorder.Observe(ctx, s)
	if usual(&s) {
		return
	}
	if span := t.spanOf(ctx); span != nil {
		noteStep(span, &s)
	}
}

// Event counts an edge: for fleet.Config.OnEvent.
func (t *Telemetry) Event(e domain.Event) { t.recorder.Event(e) }

// StoreCall counts a call of the store: for fleet.Config.OnStore.
func (t *Telemetry) StoreCall(ctx context.Context, c fleet.StoreCall) {
	t.recorder.StoreCall(ctx, c)
	if t.storeSpans && t.tracer != nil {
		t.storeSpan(ctx, &c)
	}
}

var errWatching = errors.New("holdfastotel: another orchestrator is being watched: end that first, or make another Telemetry")

// Watch measures the gauges by looking at an orchestrator, or a replica, whenever the SDK
// collects. It looks at one at a time: a second one is an error. stop ends that; its error
// is the SDK's.
func (t *Telemetry) Watch(source telemetry.Source) (stop func() error, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.watching {
		return nil, errWatching
	}
	registration, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		t.observe(o, source.Overview())
		return nil
	}, t.instances.observables()...)
	if err != nil {
		return nil, err
	}
	t.watching = true
	return sync.OnceValue(func() error {
		err := registration.Unregister()
		t.mu.Lock()
		defer t.mu.Unlock()
		t.watching = false
		return err
	}), nil
}

func (t *Telemetry) observe(o metric.Observer, look fleet.Overview) {
	telemetry.Read(look, func(m *telemetry.Metric, value int64, values ...string) {
		o.ObserveInt64(t.instances.read[m.Name], value, metric.WithAttributeSet(attributesOf(m, values, t.attributes)))
	})
}
