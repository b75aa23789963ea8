package telemetry

import (
	"context"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A Recorder counts what happens: it is an observer of calls and their parts, and a
// listener to events and to calls of the store. Make one with [NewRecorder]. It is safe
// for concurrent use.
type Recorder struct {
	meter Meter
	ended cache[endKey, endSeries]
	parts cache[partKey, *partSeries]
	asked cache[askKey, askSeries]
}

var _ orchestrator.PartObserver = (*Recorder)(nil)

// NewRecorder makes a Recorder whose series m makes.
func NewRecorder(m Meter) *Recorder {
	r := &Recorder{meter: m}
	r.ended.build = r.newEnd
	r.parts.build = r.newPart
	r.asked.build = r.newAsk
	return r
}

// endKey is a way in which calls of a guard end.
type endKey struct {
	guard     string
	outcome   domain.Outcome
	errorType string
}

type endSeries struct {
	calls, attempts Adder
	duration        Timer
}

func (r *Recorder) newEnd(k endKey) endSeries {
	return endSeries{
		calls:    r.meter.Adder(calls, k.guard, Word(k.outcome), k.errorType),
		attempts: r.meter.Adder(callAttempts, k.guard),
		duration: r.meter.Timer(callDuration, k.guard, Word(k.outcome)),
	}
}

// Start does nothing: a call counts when it has ended.
func (*Recorder) Start(ctx context.Context, _ string) context.Context { return ctx }

// End counts a call, its attempts and its time.
func (r *Recorder) End(ctx context.Context, s orchestrator.Summary) {
	series := r.ended.get(endKey{s.Guard, s.Outcome, CallErrorType(s)})
	series.calls.Add(ctx, 1)
	series.duration.Took(ctx, s.Duration.Seconds())
	if s.Attempts > 0 {
		series.attempts.Add(ctx, int64(s.Attempts))
	}
}

// askKey is a way in which calls of a store end.
type askKey struct{ op, errorType string }

type askSeries struct {
	duration         Timer
	answered, failed Adder
}

func (r *Recorder) newAsk(k askKey) askSeries {
	op := plain(k.op)
	return askSeries{
		duration: r.meter.Timer(storeCallDuration, op, k.errorType),
		answered: r.meter.Adder(storeCallItems, op, resultAnswered),
		failed:   r.meter.Adder(storeCallItems, op, resultFailed),
	}
}

// StoreCall counts a call of a store, what it carried and its time: for
// fleet.Config.OnStore.
func (r *Recorder) StoreCall(ctx context.Context, c fleet.StoreCall) {
	series := r.asked.get(askKey{c.Op, StoreErrorType(c.Err)})
	series.duration.Took(ctx, c.Took.Seconds())
	series.answered.Add(ctx, int64(c.Items-c.Failed))
	if c.Failed > 0 {
		series.failed.Add(ctx, int64(c.Failed))
	}
}

// Event counts an edge: for fleet.Config.OnEvent.
func (r *Recorder) Event(e domain.Event) {
	ctx := context.Background()
	r.meter.Adder(events, Word(e.Kind), e.Name).Add(ctx, 1)
	if e.Kind == domain.EventBreaker {
		r.meter.Adder(breakerTransitions, e.Name, Word(e.Scope), Word(e.From), Word(e.To)).Add(ctx, 1)
	}
}
