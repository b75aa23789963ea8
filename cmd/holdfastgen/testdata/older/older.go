// Package older has the older directives, which are read and warned of.
package older

import "context"

// A Service says what its methods need as older code does.
type Service interface {
	//holdfast:retry
	Retry(ctx context.Context) error
	//holdfast:retry(max_retries=5, initial_interval_ms=100, max_interval_ms=1000, multiplier=1.5)
	RetryAll(ctx context.Context) error
	//holdfast:circuit_breaker()
	Breaker(ctx context.Context) error
	//holdfast:circuit_breaker(name = "payments", failure_threshold = 10, success_threshold = 1, timeout_ms = 5000)
	BreakerAll(ctx context.Context) error
	//holdfast:rate_limited
	Limited(ctx context.Context) error
	//holdfast:rate_limited(rps=5, burst=1)
	LimitedAll(ctx context.Context) error
	//holdfast:retry(max_retries=1)
	//holdfast:circuit_breaker(name=payments2)
	//holdfast:rate_limited(rps=7)
	Stacked(ctx context.Context) error
	//holdfast:resilient timeout(1s) > retry(max_retries=1)
	Mixed(ctx context.Context) error
}
