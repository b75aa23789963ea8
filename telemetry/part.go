package telemetry

import (
	"context"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// partKey is one part of one guard.
type partKey struct {
	guard string
	part  orchestrator.Part
	name  string
}

// A partSeries is all that one part of one guard can do. It is made as a whole when the
// part is first heard of, so that each of its series begins at 0.
type partSeries struct {
	byResult    [orchestrator.ResultLost + 1][2]Adder // nil: it never does; [1] without the store
	byOutcome   [domain.Ignored + 1]Adder             // of a breaker's reports
	budgetEmpty Adder                                 // of a retry and a hedge that gave up
}

// Observe counts what a part did.
func (r *Recorder) Observe(ctx context.Context, s orchestrator.Step) {
	series := r.parts.get(partKey{s.Guard, s.Part, s.Name})
	if counter := series.of(&s); counter != nil {
		counter.Add(ctx, 1)
	}
}

// of is what a step counts for; nil is nothing.
func (p *partSeries) of(s *orchestrator.Step) Adder {
	switch {
	case s.Result == orchestrator.ResultReported:
		return p.byOutcome[min(s.Outcome, domain.Ignored)]
	case s.Result == orchestrator.ResultGaveUp && budgetEmpty(s):
		return p.budgetEmpty
	case int(s.Result) >= len(p.byResult):
		return nil // of a newer version
	case s.Degraded:
		return p.byResult[s.Result][1]
	}
	return p.byResult[s.Result][0]
}

// budgetEmpty reports whether it was its budget that kept a part from another try.
func budgetEmpty(s *orchestrator.Step) bool {
	_, is := s.Err.(*domain.BudgetExhaustedError) //nolint:errorlint // the outermost: that of this part
	return is || s.Part == orchestrator.PartHedge
}

// newPart makes the series of a part.
func (r *Recorder) newPart(k partKey) *partSeries {
	const (
		allowed, shadowed = orchestrator.ResultAllowed, orchestrator.ResultShadowed
		refused, failed   = orchestrator.ResultRefused, orchestrator.ResultFailed
		again, gaveUp     = orchestrator.ResultAgain, orchestrator.ResultGaveUp
	)
	p := &partSeries{}
	switch k.part {
	case orchestrator.PartLimit:
		r.decides(p, limitDecisions, k, allowed, shadowed, refused, failed)
	case orchestrator.PartBulkhead:
		r.decides(p, bulkheadDecisions, k, allowed, refused, failed)
	case orchestrator.PartBreaker:
		for _, result := range []orchestrator.Result{allowed, refused} {
			p.byResult[result][0] = r.meter.Adder(breakerDecisions, k.guard, k.name, Word(result))
		}
		for outcome := range p.byOutcome {
			p.byOutcome[outcome] = r.meter.Adder(breakerReports, k.guard, k.name, Word(domain.Outcome(outcome)))
		}
	case orchestrator.PartExclusive:
		for _, result := range []orchestrator.Result{allowed, refused, failed} {
			p.byResult[result][0] = r.meter.Adder(exclusiveDecisions, k.guard, k.name, Word(result))
		}
		p.byResult[orchestrator.ResultLost][0] = r.meter.Adder(exclusiveLosses, k.guard, k.name)
	case orchestrator.PartRetry:
		p.byResult[again][0] = r.meter.Adder(retryDecisions, k.guard, k.name, Word(again))
		p.byResult[gaveUp][0] = r.meter.Adder(retryDecisions, k.guard, k.name, resultExhausted)
		p.budgetEmpty = r.meter.Adder(retryDecisions, k.guard, k.name, resultBudgetEmpty)
	case orchestrator.PartHedge:
		p.byResult[again][0] = r.meter.Adder(hedgeDecisions, k.guard, k.name, Word(again))
		p.budgetEmpty = r.meter.Adder(hedgeDecisions, k.guard, k.name, resultBudgetEmpty)
	case orchestrator.PartTimeout:
		p.byResult[orchestrator.ResultTimedOut][0] = r.meter.Adder(timeouts, k.guard)
	case orchestrator.PartNone:
	}
	return p
}

// decides makes the series of a part that may have to decide without the store.
func (r *Recorder) decides(p *partSeries, m *Metric, k partKey, results ...orchestrator.Result) {
	for _, result := range results {
		p.byResult[result][0] = r.meter.Adder(m, k.guard, k.name, Word(result), yesNo(false))
		if result != orchestrator.ResultFailed { // which is what nothing decided
			p.byResult[result][1] = r.meter.Adder(m, k.guard, k.name, Word(result), yesNo(true))
		}
	}
}
