package compat

import (
	"context"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// New returns what the functions of this package take: orch itself.
//
// Deprecated: use orch.
//
//go:fix inline
func New(orch *orchestrator.Orchestrator) *orchestrator.Orchestrator { return orch }

// Retry runs fn, and up to maxRetries times again: maxRetries + 1 attempts in all, with the
// pauses of [RetryPolicy].
//
// Deprecated: declare a [hold.Retry], whose MaxAttempts is maxRetries + 1, and run it with
// [orchestrator.Do].
//
//go:fix inline
func Retry[T any](
	ctx context.Context, c *orchestrator.Orchestrator, maxRetries int, fn func(context.Context) (T, error),
) (T, error) {
	return orchestrator.ExecuteWithPolicy(ctx, c, hold.Retry{
		MaxAttempts: maxRetries + 1,
		Backoff:     hold.Backoff{Initial: 500 * time.Millisecond, Multiplier: 2, Max: 30 * time.Second, Jitter: hold.PlusMinus(0.5)},
		MaxElapsed:  time.Minute,
	}, fn)
}

// CircuitBreaker runs fn where the breaker of that name lets it, with the numbers of
// [BreakerPolicy]. That a guard has a breaker of the same name and other numbers is an error
// that matches [hold.ErrConflict].
//
// Deprecated: declare a [hold.CircuitBreaker] and run it with [orchestrator.Do].
//
//go:fix inline
func CircuitBreaker[T any](
	ctx context.Context, c *orchestrator.Orchestrator, name string, fn func(context.Context) (T, error),
) (T, error) {
	return orchestrator.ExecuteWithPolicy(ctx, c, hold.CircuitBreaker{
		Name:               name,
		FailureThreshold:   5,
		SuccessThreshold:   3,
		RecoveryTimeout:    30 * time.Second,
		MaxRecoveryTimeout: 30 * time.Second,
	}, fn)
}

// RateLimited runs fn where the limit of that name has a token, and refuses it at once where
// it has none: rps a second, up to burst at once. That the same name has other numbers
// elsewhere is an error that matches [hold.ErrConflict].
//
// Deprecated: declare a [hold.RateLimit] and run it with [orchestrator.Do].
//
//go:fix inline
func RateLimited[T any](
	ctx context.Context, c *orchestrator.Orchestrator, name string, rps, burst int64, fn func(context.Context) (T, error),
) (T, error) {
	return orchestrator.ExecuteWithPolicy(ctx, c, hold.RateLimit{Name: name, Limit: hold.PerSecond(rps).WithBurst(burst)}, fn)
}
