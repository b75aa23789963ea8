package orchestrator

import (
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A limitStep takes tokens on the way in. They are spent, whatever came of the call,
// unless a further limit refuses it: of several limits a call takes from all or none.
type limitStep struct {
	limiter *fleet.Limiter
	name    string
	keyed   bool
	waits   bool // up to the policy's MaxWait
}

func (s *limitStep) enter(w *walk, f *frame) bool {
	key, cost := "", int64(1)
	if w.addressed {
		cost = f.cost
		if s.keyed {
			key = f.key
		}
	}
	decision, err := s.ask(w, key, cost)
	w.decisions.note(s.name, decision, err)
	if err != nil {
		return w.refuse(PartLimit, s.name, err)
	}
	if !decision.Allowed {
		return w.refuse(PartLimit, s.name, &domain.RateLimitedError{
			Name: s.name, Key: key, Degraded: decision.Degraded, Band: decision.Band, RetryAfter: decision.RetryAfter,
		})
	}
	result := ResultAllowed
	if decision.Shadowed {
		w.shadowedBy, result = s.name, ResultShadowed
	}
	w.tell(Step{Part: PartLimit, Name: s.name, Result: result, Degraded: decision.Degraded})
	f.took, f.degraded, f.runsBefore = decision.Granted, decision.Degraded, w.runs
	return true
}

func (s *limitStep) ask(w *walk, key string, cost int64) (domain.Decision, error) {
	if s.waits {
		return s.limiter.WaitWithin(w.ctx, key, cost, &w.budget)
	}
	return s.limiter.AllowWithin(w.ctx, key, cost, &w.budget)
}

// leave gives back what was taken for a call that did not come to run: a further limit
// refused it, or it ended while it waited for one. What a breaker refuses costs its tokens: to give them
// back would cost a store call each time.
func (s *limitStep) leave(w *walk, f *frame) {
	took := f.took
	if f.took = 0; took == 0 || w.runs != f.runsBefore || w.refusedBy == PartBreaker {
		return
	}
	s.limiter.GiveBack(f.key, domain.Decision{Granted: took, Degraded: f.degraded})
}
