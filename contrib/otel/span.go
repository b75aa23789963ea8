package holdfastotel

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/telemetry"
)

// The attributes of spans and of their events. Those of metrics have no prefix, since the
// metric's name has it; a span is one among those of everything else.
const (
	keyGuard       = attribute.Key("holdfast.guard")
	keyAttempts    = attribute.Key("holdfast.attempts")
	keyOutcome     = attribute.Key("holdfast.outcome")
	keyRefusedBy   = attribute.Key("holdfast.refused_by")
	keyRefusedName = attribute.Key("holdfast.refused_name")
	keyShadowedBy  = attribute.Key("holdfast.shadowed_by")
	keyName        = attribute.Key("holdfast.name")
	keyPause       = attribute.Key("holdfast.pause") // in seconds
	keyDegraded    = attribute.Key("holdfast.degraded")
	keyOp          = attribute.Key("holdfast.op")
	keyItems       = attribute.Key("holdfast.items")
	keyFailed      = attribute.Key("holdfast.failed")
	keyErrorType   = attribute.Key("error.type")
)

// A spanContext is the context of a call: it knows the call's own span, also where others
// have begun spans of theirs inside it.
type spanContext struct {
	context.Context //nolint:containedctx // it is one

	owner *Telemetry
	span  trace.Span // nil: nobody records it
}

func (c *spanContext) Value(key any) any {
	if key == any(c.owner) {
		return c
	}
	return c.Context.Value(key)
}

// An opening is how the spans of one guard begin.
type opening struct {
	name    string
	options []trace.SpanStartOption
}

// opening is put together once for each guard, of which there are few.
func (t *Telemetry) opening(guard string) *opening {
	if known, ok := t.openings.Load(guard); ok {
		return known.(*opening) //nolint:forcetypeassert // nothing else is in there
	}
	o := &opening{name: "holdfast"}
	attributes := slices.Clone(t.attributes)
	if guard != "" { // as under ExecuteWithPolicy
		o.name += " " + guard
		attributes = append(attributes, keyGuard.String(guard))
	}
	o.options = []trace.SpanStartOption{trace.WithAttributes(attributes...)}
	t.openings.Store(guard, o)
	return o
}

// startSpan begins a span. A context is made of it also where nobody records it: else the
// call would take the span of a guard around it for its own.
func (t *Telemetry) startSpan(ctx context.Context, guard string) context.Context {
	o := t.opening(guard)
	inner, span := t.tracer.Start(ctx, o.name, o.options...)
	if !span.IsRecording() {
		span = nil
	}
	return &spanContext{inner, t, span}
}

// spanOf is the span of the call whose context ctx is, or is made of; nil if there is none.
func (t *Telemetry) spanOf(ctx context.Context) trace.Span {
	if t.tracer == nil {
		return nil
	}
	if c, ok := ctx.Value(t).(*spanContext); ok {
		return c.span
	}
	return nil
}

func (*Telemetry) endSpan(span trace.Span, s *orchestrator.Summary) {
	attributes := append(make([]attribute.KeyValue, 0, 6), keyAttempts.Int(s.Attempts), keyOutcome.String(telemetry.Word(s.Outcome)))
	if s.RefusedBy != orchestrator.PartNone {
		attributes = append(attributes, keyRefusedBy.String(s.RefusedBy.String()), keyRefusedName.String(s.RefusedName))
	}
	if s.ShadowedBy != "" {
		attributes = append(attributes, keyShadowedBy.String(s.ShadowedBy))
	}
	span.SetAttributes(attributes...)
	fail(span, telemetry.CallErrorType(*s))
	span.End()
}

// canceled is the type of an error that is no failure: the caller went away.
const canceled = "canceled"

// fail marks a span with the type of its error, and as failed if that is a failure. The
// error's text stays out: it may hold a key.
func fail(span trace.Span, errorType string) {
	if errorType == "" {
		return
	}
	span.SetAttributes(keyErrorType.String(errorType))
	if errorType != canceled {
		span.SetStatus(codes.Error, errorType)
	}
}

// usual reports whether a step is as it should be: there are several of them in each call,
// and nobody looks for them.
func usual(s *orchestrator.Step) bool {
	switch s.Result {
	case orchestrator.ResultAllowed:
		return !s.Degraded
	case orchestrator.ResultReported:
		return s.Outcome == domain.Success
	default:
		return false
	}
}

// noteStep adds an event to a call's span, such as "holdfast.limit.refused".
func noteStep(span trace.Span, s *orchestrator.Step) {
	attributes := make([]attribute.KeyValue, 0, 4)
	if s.Name != "" {
		attributes = append(attributes, keyName.String(s.Name))
	}
	if s.Degraded {
		attributes = append(attributes, keyDegraded.Bool(true))
	}
	switch {
	case s.Result == orchestrator.ResultReported:
		attributes = append(attributes, keyOutcome.String(telemetry.Word(s.Outcome)))
	case s.Result == orchestrator.ResultAgain && s.Part == orchestrator.PartRetry:
		attributes = append(attributes, keyPause.Float64(s.Pause.Seconds()))
	}
	if s.Err != nil {
		attributes = append(attributes, keyErrorType.String(telemetry.ErrorType(s.Err)))
	}
	span.AddEvent("holdfast."+s.Part.String()+"."+s.Result.String(), trace.WithAttributes(attributes...))
}

// storeSpan is the span of a call of the store that has just ended.
func (t *Telemetry) storeSpan(ctx context.Context, c *fleet.StoreCall) {
	end := now()
	_, span := t.tracer.Start(ctx, "holdfast "+c.Op,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(end.Add(-c.Took)),
		trace.WithAttributes(append(slices.Clone(t.attributes), keyOp.String(c.Op), keyItems.Int(c.Items), keyFailed.Int(c.Failed))...))
	fail(span, telemetry.StoreErrorType(c.Err))
	span.End(trace.WithTimestamp(end))
}
