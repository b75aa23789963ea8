package orchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A Part is a kind of part of a guard.
type Part uint8

// The parts. The zero value is PartNone.
const (
	PartNone      Part = iota // nothing refused
	PartBreaker               // a circuit breaker was open
	PartLimit                 // a rate limit had no tokens, or its store could not decide
	PartBulkhead              // a bulkhead had no room, or its store could not decide
	PartExclusive             // another call had the lock of an exclusive, or the store could not decide
	PartRetry                 // tries again, and so refuses nothing
	PartTimeout               // ends what takes too long, and so refuses nothing
	PartHedge                 // starts further tries, and so refuses nothing
)

// String returns "none", "breaker", "limit", "bulkhead", "exclusive", "retry", "timeout"
// or "hedge".
func (p Part) String() string {
	switch p {
	case PartNone:
		return "none"
	case PartBreaker:
		return "breaker"
	case PartLimit:
		return "limit"
	case PartBulkhead:
		return "bulkhead"
	case PartExclusive:
		return "exclusive"
	case PartRetry:
		return "retry"
	case PartTimeout:
		return "timeout"
	case PartHedge:
		return "hedge"
	default:
		return "unknown"
	}
}

// A PartObserver is an [Observer] that hears of each thing that a part of a guard did,
// as it happens: for counts by limit and breaker, and for the events of a span. Observe
// is called on the call's goroutine, and those of its hedges, concurrently, so what
// [Observer] says of time and panics is so of it too.
type PartObserver interface {
	Observer
	// Observe is told of one step of one call. ctx is the one in force there.
	Observe(ctx context.Context, s Step)
}

// A Step is one thing that one part did during one call. It has no key: a name is one
// of few, a key is one of many.
type Step struct {
	Guard string // "" under ExecuteWithPolicy and Execute
	Part  Part
	// Name is the part's: of a retry or a hedge that of its budget, of a timeout "".
	Name string
	// Result says what it did.
	Result Result
	// Degraded says that the store did not decide.
	Degraded bool
	// Outcome is what a breaker was told, with ResultReported.
	Outcome domain.Outcome
	// Pause is how long a retry waits, with ResultAgain.
	Pause time.Duration
	// Err is why, with ResultRefused, ResultFailed, ResultGaveUp and ResultTimedOut.
	Err error
}

// A Result says what a part did.
type Result uint8

// The results.
const (
	ResultAllowed  Result = iota + 1 // a breaker, limit, bulkhead or exclusive let the attempt through
	ResultShadowed                   // so did a limit in Shadow, which would have refused it
	ResultRefused                    // it turned the attempt away
	ResultFailed                     // so it did because its store could not decide
	ResultReported                   // a breaker that had let an attempt through was told its Outcome
	ResultAgain                      // a retry, or a hedge, makes another try
	ResultGaveUp                     // it would have, but the attempts, the time or the budget are used up
	ResultTimedOut                   // the deadline of a timeout ended the attempt
	ResultLost                       // an exclusive's lock was lost while its call ran
)

// String returns the result in a word or two, such as "timed_out".
func (r Result) String() string {
	switch r {
	case ResultAllowed:
		return "allowed"
	case ResultShadowed:
		return "shadowed"
	case ResultRefused:
		return "refused"
	case ResultFailed:
		return "failed"
	case ResultReported:
		return "reported"
	case ResultAgain:
		return "again"
	case ResultGaveUp:
		return "gave_up"
	case ResultTimedOut:
		return "timed_out"
	case ResultLost:
		return "lost"
	default:
		return "unknown"
	}
}

// tell passes a step to whoever observes the parts.
func (w *walk) tell(s Step) {
	if w.plan.parts == nil {
		return
	}
	s.Guard = w.plan.name
	w.plan.parts.Observe(w.ctx, s)
}

// refused is a step that turned an attempt away with err.
func refused(by Part, name string, err error) Step {
	s := Step{Part: by, Name: name, Result: ResultRefused, Err: err}
	if limited, ok := errors.AsType[*domain.RateLimitedError](err); ok {
		s.Degraded = limited.Degraded
	}
	if full, ok := errors.AsType[*domain.BulkheadFullError](err); ok {
		s.Degraded = full.Degraded
	}
	if errors.Is(err, domain.ErrStoreUnavailable) || errors.Is(err, domain.ErrStoreConfig) {
		s.Result = ResultFailed
	}
	return s
}
