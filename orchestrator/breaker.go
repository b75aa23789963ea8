package orchestrator

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A breakerStep asks a breaker for a permit on the way in and reports the
// outcome on the way out.
type breakerStep struct {
	breaker  *fleet.Breaker
	keyed    *fleet.KeyedBreaker // in place of breaker, where the call brings a key
	name     string
	classify func(error) domain.Outcome
}

func (s *breakerStep) enter(w *walk, f *frame) bool {
	permit, err := s.acquire(w, f)
	if err != nil {
		return w.refuse(PartBreaker, s.name, err)
	}
	f.permit, f.runsBefore = permit, w.runs
	w.tell(Step{Part: PartBreaker, Name: s.name, Result: ResultAllowed})
	lease, isProbe := permit.Lease()
	switch {
	case w.stream != nil && permit.IsProbe():
		if !isProbe {
			lease = s.probeLease()
		}
		w.stream.probes(permit, lease)
	case isProbe:
		// Past the lease the fleet lets another probe through: this one must
		// not go on beside it.
		w.limitTime(f, lease, &domain.TimeoutError{After: lease})
	}
	return true
}

// probeLease is the time within which the probe of this replica's own layer counts.
func (s *breakerStep) probeLease() time.Duration {
	if s.keyed != nil {
		return s.keyed.Policy().ProbeLease
	}
	return s.breaker.Policy().ProbeLease
}

func (s *breakerStep) acquire(w *walk, f *frame) (fleet.Permit, error) {
	budget := &w.budget
	if s.keyed != nil {
		return s.keyed.AcquireWithin(w.ctx, f.key, budget)
	}
	return s.breaker.AcquireWithin(w.ctx, budget)
}

func (s *breakerStep) leave(w *walk, f *frame) {
	w.liftTime(f)
	wait, _ := domain.RetryAfter(w.err)
	outcome := w.outcome(s.classify, f.runsBefore)
	f.permit.ReportAfter(outcome, wait)
	w.tell(Step{Part: PartBreaker, Name: s.name, Result: ResultReported, Outcome: outcome})
}

// outcome reads w.err, for whoever is being left and had been entered when the
// function had run runsBefore times.
func (w *walk) outcome(classify func(error) domain.Outcome, runsBefore int) domain.Outcome {
	switch {
	case w.runs == runsBefore:
		return domain.Ignored // refused further in: the dependency was not called
	case w.err == nil:
		return domain.Success
	case w.ctx.Err() == nil:
		return classify(w.err)
	}
	if own := w.passedAround(); own != nil {
		return classify(&domain.TimeoutError{After: own.After, Err: w.err})
	}
	// The caller went away. A classifier of the user's may still look inside.
	return classify(domain.MarkIgnored(w.err))
}
