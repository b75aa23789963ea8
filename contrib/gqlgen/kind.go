package holdfastgqlgen

import (
	"net/http"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// A kind is how one reason is told.
type kind struct {
	text   string
	part   string // the extension that has the part's name
	status int    // of HTTP, where a whole operation was refused
}

func kindOf(r orchestrator.Reason) kind {
	switch r {
	case orchestrator.ReasonRateLimited:
		return kind{"rate limited", "limit", http.StatusTooManyRequests}
	case orchestrator.ReasonCostTooHigh:
		return kind{"cost above burst", "limit", http.StatusBadRequest}
	case orchestrator.ReasonKeyMissing:
		return kind{"key missing", "limit", http.StatusBadRequest}
	case orchestrator.ReasonCircuitOpen:
		return kind{"circuit open", "breaker", http.StatusServiceUnavailable}
	case orchestrator.ReasonBulkheadFull:
		return kind{"bulkhead full", "bulkhead", http.StatusServiceUnavailable}
	case orchestrator.ReasonHeldElsewhere:
		return kind{"held elsewhere", "exclusive", http.StatusServiceUnavailable}
	case orchestrator.ReasonStoreUnavailable:
		return kind{"store unavailable", "limit", http.StatusServiceUnavailable}
	case orchestrator.ReasonClosed:
		return kind{"closed", "limit", http.StatusServiceUnavailable}
	default:
		return kind{"refused", "limit", http.StatusServiceUnavailable}
	}
}
