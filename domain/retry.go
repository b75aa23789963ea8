package domain

import "time"

// DefaultMaxAttempts is how often an operation runs at most when Retry does not
// say, the first call included.
const DefaultMaxAttempts = 3

// UnlimitedAttempts as MaxAttempts retries until the operation succeeds, its
// error is not retryable, or MaxElapsed or the context ends it.
const UnlimitedAttempts = -1

// Retry runs an operation again after an error that [IsRetryable] says may go
// away. The zero Retry makes 3 attempts with the default backoff.
//
// When the attempts ran out after a retryable error, the error is a
// [*RetryExhaustedError]; an error that is not retryable comes back as it came.
// A refusal by an open breaker and a cancellation are not retried; a rate limit
// is, no earlier than its RetryAfter.
type Retry struct {
	// MaxAttempts is the number of attempts, the first call included; 1 never
	// retries, UnlimitedAttempts (-1) does not count. Defaults to 3.
	MaxAttempts int
	// Backoff is the pause before each further attempt. Defaults to
	// exponential, 100 ms doubling up to 30 s, full jitter.
	Backoff Backoff
	// MaxElapsed bounds the whole series from its start: an attempt that could
	// not begin before it is not waited for. Defaults to no bound.
	MaxElapsed time.Duration
	// Budget bounds the retries of the whole fleet by its calls. Defaults to no
	// bound.
	Budget RetryBudget
}

// Validate reports a negative MaxElapsed, a MaxAttempts below -1, what
// [Backoff.Validate] reports, and a Budget out of range.
func (r Retry) Validate() error {
	if r.MaxAttempts < UnlimitedAttempts {
		return invalid(kindRetry, "MaxAttempts", "must be positive, or -1 for no count")
	}
	if r.MaxElapsed < 0 {
		return invalid(kindRetry, "MaxElapsed", "is negative")
	}
	if err := r.Backoff.Validate(); err != nil {
		return err
	}
	return r.Budget.validate(kindRetry)
}

// WithDefaults returns r with each zero field replaced by its default.
func (r Retry) WithDefaults() Retry {
	if r.MaxAttempts == 0 {
		r.MaxAttempts = DefaultMaxAttempts
	}
	r.Backoff = r.Backoff.WithDefaults()
	return r
}

// String gives the text form, such as "retry(max_attempts=3)".
func (r Retry) String() string {
	f := form{kind: kindRetry}
	f.int("max_attempts", int64(r.MaxAttempts))
	if r.Backoff != (Backoff{}) {
		f.text("backoff", r.Backoff.String())
	}
	f.duration("max_elapsed", r.MaxElapsed)
	f.text("budget", r.Budget.String())
	return f.String()
}

func (Retry) policy() {}

const kindRetry = "retry"
