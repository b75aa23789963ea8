package gobreaker

import "github.com/holdfast-go/holdfast/domain"

// The refusals. They are returned as they are, so that == finds them. Each matches
// [domain.ErrCircuitOpen] too, and so is neither retried nor counted by guards around.
var (
	// ErrOpenState says that the breaker is open.
	ErrOpenState error = &refusal{"circuit breaker is open"}
	// ErrTooManyRequests says that it is half-open, and enough calls are on trial.
	ErrTooManyRequests error = &refusal{"too many requests"}
)

// A refusal is told apart by its address: it carries no facts.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// Is reports whether target is domain.ErrCircuitOpen.
func (*refusal) Is(target error) bool { return target == domain.ErrCircuitOpen }

// Outcome returns Ignored: the dependency was not called.
func (*refusal) Outcome() domain.Outcome { return domain.Ignored }
