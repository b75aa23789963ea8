package orchestrator

import (
	"errors"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// A Refusal says why a call was turned away, in the words that every edge (HTTP, gRPC,
// GraphQL) tells its clients. It has no key, which may be a secret.
type Refusal struct {
	Reason     Reason
	Name       string        // of the limit, breaker, bulkhead or lock; "" when not known
	RetryAfter time.Duration // how long to wait before asking again; 0 when not known, or when no wait helps
}

// A Reason is why a call was turned away.
type Reason uint8

// The reasons.
const (
	ReasonRateLimited      Reason = iota + 1 // [domain.ErrRateLimited]: the caller was too fast
	ReasonCostTooHigh                        // [domain.ErrCostTooHigh]: no wait helps
	ReasonKeyMissing                         // [domain.ErrKeyMissing]: nobody said for whom the call is
	ReasonCircuitOpen                        // [domain.ErrCircuitOpen]: the dependency is not well
	ReasonBulkheadFull                       // [domain.ErrBulkheadFull]: too many run already
	ReasonHeldElsewhere                      // [domain.ErrNotExclusive]: another call runs
	ReasonStoreUnavailable                   // [domain.ErrStoreUnavailable] or [domain.ErrStoreConfig]: nothing could decide
	ReasonClosed                             // [domain.ErrClosed]: this replica goes away
)

// String returns the reason as codes have it, such as "RATE_LIMITED".
func (r Reason) String() string {
	switch r {
	case ReasonRateLimited:
		return "RATE_LIMITED"
	case ReasonCostTooHigh:
		return "COST_TOO_HIGH"
	case ReasonKeyMissing:
		return "KEY_MISSING"
	case ReasonCircuitOpen:
		return "CIRCUIT_OPEN"
	case ReasonBulkheadFull:
		return "BULKHEAD_FULL"
	case ReasonHeldElsewhere:
		return "HELD_ELSEWHERE"
	case ReasonStoreUnavailable:
		return "STORE_UNAVAILABLE"
	case ReasonClosed:
		return "CLOSED"
	default:
		return "UNKNOWN"
	}
}

// RefusalOf reads the refusal in err's tree, whichever policies stand around it; false
// where err is none: then the function ran, and what it returned is its own matter.
func RefusalOf(err error) (Refusal, bool) {
	if r, ok := namedRefusal(err); ok {
		return r, true
	}
	for _, known := range [...]struct {
		sentinel error
		reason   Reason
	}{
		{domain.ErrCostTooHigh, ReasonCostTooHigh},
		{domain.ErrKeyMissing, ReasonKeyMissing},
		{domain.ErrClosed, ReasonClosed},
	} {
		if errors.Is(err, known.sentinel) {
			return Refusal{Reason: known.reason}, true
		}
	}
	return Refusal{}, false
}

// namedRefusal reads the errors that say who refused.
func namedRefusal(err error) (Refusal, bool) {
	if e, ok := errors.AsType[*domain.RateLimitedError](err); ok {
		return Refusal{ReasonRateLimited, e.Name, e.RetryAfter}, true
	}
	if e, ok := errors.AsType[*domain.CircuitOpenError](err); ok {
		return Refusal{ReasonCircuitOpen, e.Name, e.RetryAfter}, true
	}
	if e, ok := errors.AsType[*domain.BulkheadFullError](err); ok {
		return Refusal{Reason: ReasonBulkheadFull, Name: e.Name}, true
	}
	if e, ok := errors.AsType[*domain.ExclusiveError](err); ok {
		return Refusal{Reason: ReasonHeldElsewhere, Name: e.Name}, true
	}
	if e, ok := errors.AsType[*domain.StoreError](err); ok {
		return Refusal{Reason: ReasonStoreUnavailable, Name: e.Name}, true
	}
	return Refusal{}, false
}
