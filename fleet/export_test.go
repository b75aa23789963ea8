package fleet

import (
	"math/rand/v2"
	"time"
)

// WithRandom lets a test replay a replica's random numbers. The source must be
// safe for concurrent use.
func (c Config) WithRandom(s rand.Source) Config {
	c.random = s
	return c
}

// BudgetOf is a budget of which so much is spent.
func BudgetOf(spent time.Duration) Budget { return Budget{spent} }
