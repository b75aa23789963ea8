package compat

import (
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
)

// RetryPolicy is what [Retry] runs: maxRetries + 1 attempts, pauses of 500 ms that double up
// to 30 s, give or take half, and a minute for the whole series. maxRetries must not be
// negative.
//
// Deprecated: write the policy down where it is declared.
//
//go:fix inline
func RetryPolicy(maxRetries int) hold.Retry {
	return hold.Retry{
		MaxAttempts: maxRetries + 1,
		Backoff:     hold.Backoff{Initial: 500 * time.Millisecond, Multiplier: 2, Max: 30 * time.Second, Jitter: hold.PlusMinus(0.5)},
		MaxElapsed:  time.Minute,
	}
}

// BreakerPolicy is what [CircuitBreaker] runs: it opens after 5 failures in a row, for 30 s
// each time, and 3 successes close it.
//
// Deprecated: write the policy down where it is declared.
//
//go:fix inline
func BreakerPolicy(name string) hold.CircuitBreaker {
	return hold.CircuitBreaker{
		Name:               name,
		FailureThreshold:   5,
		SuccessThreshold:   3,
		RecoveryTimeout:    30 * time.Second,
		MaxRecoveryTimeout: 30 * time.Second,
	}
}

// LimitPolicy is what [RateLimited] runs: rps tokens a second, up to burst at once; a burst
// of 0 is rps. The older directive had 100 and 10.
//
// Deprecated: write the policy down where it is declared.
//
//go:fix inline
func LimitPolicy(name string, rps, burst int64) hold.RateLimit {
	return hold.RateLimit{Name: name, Limit: hold.PerSecond(rps).WithBurst(burst)}
}
