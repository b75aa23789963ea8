package ratelimit

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A Result says what a limit decided.
type Result struct {
	// Limit is the one that was given.
	Limit Limit
	// Allowed is how many events may happen now: 0 is a refusal.
	Allowed int
	// Remaining is how many whole events the key has left, 0 also where that is
	// not known: a denial that is remembered, or a store that does not answer.
	Remaining int
	// RetryAfter is how long to wait before asking again is useful, and -1 unless
	// the call was refused.
	RetryAfter time.Duration
	// ResetAfter is how long it takes until the key has its whole burst, if nobody
	// uses it: by Remaining, so rounded up to a whole event.
	ResetAfter time.Duration
}

// notRefused is the RetryAfter of who need not wait.
const notRefused = -1

// resultOf says what was decided about a call that asked for tokens, or for none.
func resultOf(l Limit, d domain.Decision, asked bool) *Result {
	r := &Result{
		Limit: l, Allowed: int(d.Granted), Remaining: int(d.Remaining), RetryAfter: notRefused,
		ResetAfter: l.refill(max(int64(l.Burst)-d.Remaining, 0)),
	}
	if asked && !d.Allowed {
		r.RetryAfter = d.RetryAfter
	}
	return r
}
