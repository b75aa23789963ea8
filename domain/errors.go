package domain

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// The sentinels, for errors.Is. Each typed error below matches its own.
var (
	ErrTimeout          = errors.New("timeout")
	ErrRetryExhausted   = errors.New("retry exhausted")
	ErrBudgetExhausted  = errors.New("retry budget exhausted")
	ErrCircuitOpen      = errors.New("circuit open")
	ErrRateLimited      = errors.New("rate limited")
	ErrCostTooHigh      = errors.New("cost above burst") // no wait would help
	ErrKeyMissing       = errors.New("key missing")      // a keyed limit or breaker was called without its key
	ErrBulkheadFull     = errors.New("bulkhead full")
	ErrNotExclusive     = errors.New("held elsewhere") // another call of the fleet has the lock
	ErrLockLost         = errors.New("lock lost")
	ErrStoreUnavailable = errors.New("store unavailable") // it could not decide
	ErrStoreConfig      = errors.New("store misconfigured")
	ErrInvalidPolicy    = errors.New("invalid policy")
	ErrConflict         = errors.New("conflicting settings") // one name, two settings
	ErrClosed           = errors.New("closed")
)

// A PolicyError says which field of which policy cannot be meant. It matches
// [ErrInvalidPolicy].
type PolicyError struct {
	Policy string // the kind, such as "retry"
	Field  string // such as "Backoff.Initial"
	Reason string // such as "is negative"
}

func invalid(policy, field, reason string) error {
	return &PolicyError{Policy: policy, Field: field, Reason: reason}
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("%s: %s.%s %s", ErrInvalidPolicy, e.Policy, e.Field, e.Reason)
}

// Is reports whether target is ErrInvalidPolicy.
func (e *PolicyError) Is(target error) bool { return target == ErrInvalidPolicy }

// A TimeoutError says that a Timeout policy's deadline, or the lease of a
// breaker's probe, passed before the function returned. It matches [ErrTimeout] and context.DeadlineExceeded, and
// the function's own error. The caller's own deadline is not a TimeoutError.
type TimeoutError struct {
	After time.Duration // the policy's Duration, or the lease's
	Err   error         // what the function returned
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("%s after %s", ErrTimeout, e.After)
}

// Is reports whether target is ErrTimeout or context.DeadlineExceeded.
func (e *TimeoutError) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

// Unwrap returns what the function returned.
func (e *TimeoutError) Unwrap() error { return e.Err }

// Timeout returns true, as net.Error has it.
func (*TimeoutError) Timeout() bool { return true }

// Outcome returns Failure: a dependency that is too slow has failed.
func (*TimeoutError) Outcome() Outcome { return Failure }

// Retryable returns true, unless what the function returned says itself that trying again
// does not help, as what [MarkPermanent] marked and an empty retry budget do.
func (e *TimeoutError) Retryable() bool { return !saysFinal(e.Err) }

// A RetryExhaustedError says that a Retry policy gave up after a retryable
// error: its attempts, or its MaxElapsed, ran out. It matches
// [ErrRetryExhausted] and the last error.
type RetryExhaustedError struct {
	Attempts int   // made, those that an inner policy refused included
	Err      error // the last attempt's error
}

func (e *RetryExhaustedError) Error() string {
	return fmt.Sprintf("%s after %d attempts: %v", ErrRetryExhausted, e.Attempts, e.Err)
}

// Is reports whether target is ErrRetryExhausted.
func (e *RetryExhaustedError) Is(target error) bool { return target == ErrRetryExhausted }

// Unwrap returns the last attempt's error.
func (e *RetryExhaustedError) Unwrap() error { return e.Err }

// A BudgetExhaustedError says that a Retry policy did not try again after a
// retryable error, since its RetryBudget was empty. It matches [ErrBudgetExhausted]
// and the last error, and is not retried further out.
type BudgetExhaustedError struct {
	Name     string // the budget's
	Attempts int    // made, those that an inner policy refused included
	Err      error  // the last attempt's error
}

func (e *BudgetExhaustedError) Error() string {
	return fmt.Sprintf("%s: %q, after %d attempts: %v", ErrBudgetExhausted, e.Name, e.Attempts, e.Err)
}

// Is reports whether target is ErrBudgetExhausted.
func (e *BudgetExhaustedError) Is(target error) bool { return target == ErrBudgetExhausted }

// Unwrap returns the last attempt's error.
func (e *BudgetExhaustedError) Unwrap() error { return e.Err }

// Retryable returns false, whatever the last error says: a retry further out would
// make the load that the budget bounds.
func (*BudgetExhaustedError) Retryable() bool { return false }

// A CircuitOpenError is a breaker's refusal. It matches [ErrCircuitOpen].
type CircuitOpenError struct {
	Name       string
	Key        string        // of a keyed breaker, as the caller gave it
	Scope      Scope         // whose layer refused: this replica, the fleet or an operator
	RetryAfter time.Duration // when a call may next be let through; 0 when not known
	Reason     string        // an operator's
}

func (e *CircuitOpenError) Error() string {
	text := fmt.Sprintf("%s: %q", ErrCircuitOpen, e.Name)
	if e.Key != "" {
		text += fmt.Sprintf(" for key %q", e.Key)
	}
	scope := e.Scope.String()
	if e.Reason != "" {
		scope += ": " + e.Reason
	}
	return fmt.Sprintf("%s (%s), retry after %s", text, scope, e.RetryAfter)
}

// Is reports whether target is ErrCircuitOpen.
func (e *CircuitOpenError) Is(target error) bool { return target == ErrCircuitOpen }

// Outcome returns Ignored: the dependency was not called.
func (*CircuitOpenError) Outcome() Outcome { return Ignored }

func (e *CircuitOpenError) retryAfter() time.Duration { return e.RetryAfter }

// A RateLimitedError is a limit's refusal. It matches [ErrRateLimited].
type RateLimitedError struct {
	Name       string
	Key        string // of a keyed limit, as the caller gave it
	Degraded   bool   // the store did not decide: the limit's Outage did
	Band       int    // which band refused, as in Decision
	RetryAfter time.Duration
}

func (e *RateLimitedError) Error() string {
	text := fmt.Sprintf("%s: %q", ErrRateLimited, e.Name)
	if e.Band > 0 {
		text += fmt.Sprintf(" by Also[%d]", e.Band-1)
	}
	if e.Key != "" {
		text += fmt.Sprintf(" for key %q", e.Key)
	}
	return fmt.Sprintf("%s, retry after %s", text, e.RetryAfter)
}

// Is reports whether target is ErrRateLimited.
func (e *RateLimitedError) Is(target error) bool { return target == ErrRateLimited }

// Outcome returns Ignored: the dependency was not called.
func (*RateLimitedError) Outcome() Outcome { return Ignored }

func (e *RateLimitedError) retryAfter() time.Duration { return e.RetryAfter }

// A BulkheadFullError is a bulkhead's refusal. It matches [ErrBulkheadFull].
type BulkheadFullError struct {
	Name     string
	Degraded bool // the store did not decide: the replica's share of the fleet's room is taken
}

func (e *BulkheadFullError) Error() string { return fmt.Sprintf("%s: %q", ErrBulkheadFull, e.Name) }

// Is reports whether target is ErrBulkheadFull.
func (e *BulkheadFullError) Is(target error) bool { return target == ErrBulkheadFull }

// Outcome returns Ignored: the dependency was not called.
func (*BulkheadFullError) Outcome() Outcome { return Ignored }

// An ExclusiveError is the refusal of an Exclusive. It matches [ErrNotExclusive].
type ExclusiveError struct {
	Name string
	Here bool // another call of this same replica has the lock, or asks for it
}

func (e *ExclusiveError) Error() string { return fmt.Sprintf("%s: %q", ErrNotExclusive, e.Name) }

// Is reports whether target is ErrNotExclusive.
func (e *ExclusiveError) Is(target error) bool { return target == ErrNotExclusive }

// Outcome returns Ignored: the dependency was not called.
func (*ExclusiveError) Outcome() Outcome { return Ignored }

// A LockLostError says that an Exclusive could not keep its lock, so that another call
// may have begun, before the function returned. It matches [ErrLockLost], why, and the
// function's own error.
type LockLostError struct {
	Name string
	Why  error // why it could not be extended in time; nil: the store says that it is gone, or another's
	Err  error // what the function returned
}

func (e *LockLostError) Error() string {
	if e.Why == nil {
		return fmt.Sprintf("%s: %q", ErrLockLost, e.Name)
	}
	return fmt.Sprintf("%s: %q: %v", ErrLockLost, e.Name, e.Why)
}

// Is reports whether target is ErrLockLost.
func (e *LockLostError) Is(target error) bool { return target == ErrLockLost }

// Unwrap returns why the lock was lost, and what the function returned.
func (e *LockLostError) Unwrap() []error {
	causes := make([]error, 0, 2)
	for _, err := range []error{e.Why, e.Err} {
		if err != nil {
			causes = append(causes, err)
		}
	}
	return causes
}

// Outcome returns Ignored: that the call was cut short is not the dependency's fault.
func (*LockLostError) Outcome() Outcome { return Ignored }

// Retryable reports whether this replica still takes part, and what the function returned
// does not say itself that trying again is of no use.
func (e *LockLostError) Retryable() bool { return !errors.Is(e.Why, ErrClosed) && !saysFinal(e.Err) }

// A StoreError says that a store could not decide. It matches [ErrStoreConfig]
// when the cause is permissions, a password or TLS, else [ErrStoreUnavailable],
// and its cause.
type StoreError struct {
	Op     string // what was asked, such as "bucket take"
	Name   string // the breaker or limit; "" when it concerns the store as a whole
	Config bool   // the cause is configuration: trying again does not help
	Entity bool   // the trouble is with this one entity; the store itself answered
	Err    error
}

func (e *StoreError) Error() string {
	kind := ErrStoreUnavailable
	if e.Config {
		kind = ErrStoreConfig
	}
	if e.Name == "" {
		return fmt.Sprintf("%s: %s: %v", kind, e.Op, e.Err)
	}
	return fmt.Sprintf("%s: %s %q: %v", kind, e.Op, e.Name, e.Err)
}

// Is reports whether target is the sentinel that fits the cause.
func (e *StoreError) Is(target error) bool {
	if e.Config {
		return target == ErrStoreConfig
	}
	return target == ErrStoreUnavailable
}

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Outcome returns Ignored: the dependency was not called.
func (*StoreError) Outcome() Outcome { return Ignored }
