package orchestrator

import (
	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A limitStep takes tokens on the way in. There is nothing to do on the way
// out: a token is spent, whatever came of it.
type limitStep struct {
	limiter *fleet.Limiter
	name    string
	keyed   bool
}

func (s *limitStep) enter(w *walk, f *frame) bool {
	key, cost := "", int64(1)
	if w.addressed {
		cost = f.cost
		if s.keyed {
			key = f.key
		}
	}
	decision, err := s.limiter.AllowWithin(w.ctx, key, cost, &w.budget)
	if err != nil {
		return w.refuse(PartLimit, s.name, err)
	}
	if !decision.Allowed {
		return w.refuse(PartLimit, s.name, &domain.RateLimitedError{
			Name: s.name, Key: key, Degraded: decision.Degraded, Band: decision.Band, RetryAfter: decision.RetryAfter,
		})
	}
	if decision.Shadowed {
		w.shadowedBy = s.name
	}
	return true
}
