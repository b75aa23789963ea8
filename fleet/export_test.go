package fleet

import (
	"math/rand/v2"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// WithRandom lets a test replay a replica's random numbers. The source must be
// safe for concurrent use.
func (c Config) WithRandom(s rand.Source) Config {
	c.random = s
	return c
}

// BudgetOf is a budget of which so much is spent.
func BudgetOf(spent time.Duration) Budget { return Budget{spent} }

// RefusedBy is what becomes of a call of a key that is there, which a layer of that scope
// refused.
func (k *KeyedBreaker) RefusedBy(scope domain.Scope, key string) (Permit, error) {
	return k.refused(k.seated(key), &domain.CircuitOpenError{Name: k.Policy().Name, Key: key, Scope: scope, RetryAfter: time.Hour})
}
