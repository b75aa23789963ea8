package domain_test

import (
	"context"
	"errors"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
)

// TestErrorsMatchSentinelAndCause: each typed error matches its own sentinel,
// no other, and what caused it.
func TestErrorsMatchSentinelAndCause(t *testing.T) {
	t.Parallel()
	sentinels := []error{
		hold.ErrTimeout, hold.ErrRetryExhausted, hold.ErrCircuitOpen, hold.ErrRateLimited, hold.ErrCostTooHigh,
		hold.ErrKeyMissing, hold.ErrStoreUnavailable, hold.ErrStoreConfig, hold.ErrInvalidPolicy, hold.ErrConflict, hold.ErrClosed,
		hold.ErrBudgetExhausted, hold.ErrBulkheadFull, hold.ErrNotExclusive, hold.ErrLockLost,
	}
	for _, tt := range []struct {
		err      error
		sentinel error
		also     error
		text     string
	}{
		{&hold.TimeoutError{After: time.Second, Err: errBackend}, hold.ErrTimeout, errBackend, "timeout after 1s"},
		{&hold.TimeoutError{After: time.Second}, hold.ErrTimeout, context.DeadlineExceeded, "timeout after 1s"},
		{
			&hold.RetryExhaustedError{Attempts: 3, Err: errBackend},
			hold.ErrRetryExhausted, errBackend, "retry exhausted after 3 attempts: backend",
		},
		{
			&hold.BudgetExhaustedError{Name: "b", Attempts: 2, Err: errBackend},
			hold.ErrBudgetExhausted, errBackend, `retry budget exhausted: "b", after 2 attempts: backend`,
		},
		{&hold.ExclusiveError{Name: "x", Here: true}, hold.ErrNotExclusive, nil, `held elsewhere: "x"`},
		{&hold.LockLostError{Name: "x", Why: context.DeadlineExceeded, Err: errBackend}, hold.ErrLockLost, errBackend, `lock lost: "x": context deadline exceeded`},
		{&hold.LockLostError{Name: "x", Why: errBackend}, hold.ErrLockLost, errBackend, `lock lost: "x": backend`},
		{&hold.LockLostError{Name: "x"}, hold.ErrLockLost, nil, `lock lost: "x"`},
		{&hold.BulkheadFullError{Name: "b"}, hold.ErrBulkheadFull, nil, `bulkhead full: "b"`},
		{
			&hold.CircuitOpenError{Name: "b", Scope: hold.ScopeFleet, RetryAfter: time.Second},
			hold.ErrCircuitOpen, nil, `circuit open: "b" (fleet), retry after 1s`,
		},
		{
			&hold.CircuitOpenError{Name: "b", Key: "a\nb", RetryAfter: time.Second},
			hold.ErrCircuitOpen, nil, `circuit open: "b" for key "a\nb" (replica), retry after 1s`,
		},
		{
			&hold.RateLimitedError{Name: "l", RetryAfter: time.Second},
			hold.ErrRateLimited, nil, `rate limited: "l", retry after 1s`,
		},
		{
			&hold.RateLimitedError{Name: "l", Key: "a\nb", RetryAfter: time.Second},
			hold.ErrRateLimited, nil, `rate limited: "l" for key "a\nb", retry after 1s`,
		},
		{
			&hold.RateLimitedError{Name: "l", Key: "a", Band: 2, RetryAfter: time.Hour},
			hold.ErrRateLimited, nil, `rate limited: "l" by Also[1] for key "a", retry after 1h0m0s`,
		},
		{
			&hold.StoreError{Op: "take", Name: "l", Err: errBackend},
			hold.ErrStoreUnavailable, errBackend, `store unavailable: take "l": backend`,
		},
		{
			&hold.StoreError{Op: "beat", Err: errBackend},
			hold.ErrStoreUnavailable, errBackend, `store unavailable: beat: backend`,
		},
		{
			&hold.StoreError{Op: "take", Config: true, Err: errBackend},
			hold.ErrStoreConfig, errBackend, `store misconfigured: take: backend`,
		},
		{
			&hold.PolicyError{Policy: "retry", Field: "MaxAttempts", Reason: "is odd"},
			hold.ErrInvalidPolicy, nil, "invalid policy: retry.MaxAttempts is odd",
		},
	} {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			for _, sentinel := range sentinels {
				want := sentinel == tt.sentinel //nolint:errorlint // of one list
				if got := errors.Is(wrapped(tt.err), sentinel); got != want {
					t.Errorf("errors.Is(%v, %v) = %t; want %t", tt.err, sentinel, got, want)
				}
			}
			if tt.also != nil && !errors.Is(tt.err, tt.also) {
				t.Errorf("%v does not match %v", tt.err, tt.also)
			}
			if got := tt.err.Error(); got != tt.text {
				t.Errorf("text %q; want %q", got, tt.text)
			}
		})
	}
}

// TestTimeoutErrorSaysTimeout: code that asks an error as net.Error has it finds
// the answer.
func TestTimeoutErrorSaysTimeout(t *testing.T) {
	t.Parallel()
	var asked interface{ Timeout() bool }
	if !errors.As(wrapped(&hold.TimeoutError{}), &asked) || !asked.Timeout() {
		t.Error("a TimeoutError does not say Timeout()")
	}
}
