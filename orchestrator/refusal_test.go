package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// TestRefusalOf: whatever stands around a refusal, edges find why it was, and take
// nothing else for one.
func TestRefusalOf(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want orchestrator.Refusal
		code string
	}{
		{
			&hold.RateLimitedError{Name: "l", Key: "secret", RetryAfter: time.Second},
			orchestrator.Refusal{Reason: orchestrator.ReasonRateLimited, Name: "l", RetryAfter: time.Second},
			"RATE_LIMITED",
		},
		{
			&hold.CircuitOpenError{Name: "b", RetryAfter: time.Minute},
			orchestrator.Refusal{Reason: orchestrator.ReasonCircuitOpen, Name: "b", RetryAfter: time.Minute},
			"CIRCUIT_OPEN",
		},
		{&hold.BulkheadFullError{Name: "r"}, orchestrator.Refusal{Reason: orchestrator.ReasonBulkheadFull, Name: "r"}, "BULKHEAD_FULL"},
		{&hold.ExclusiveError{Name: "e"}, orchestrator.Refusal{Reason: orchestrator.ReasonHeldElsewhere, Name: "e"}, "HELD_ELSEWHERE"},
		{&hold.StoreError{Name: "l"}, orchestrator.Refusal{Reason: orchestrator.ReasonStoreUnavailable, Name: "l"}, "STORE_UNAVAILABLE"},
		{hold.ErrCostTooHigh, orchestrator.Refusal{Reason: orchestrator.ReasonCostTooHigh}, "COST_TOO_HIGH"},
		{hold.ErrKeyMissing, orchestrator.Refusal{Reason: orchestrator.ReasonKeyMissing}, "KEY_MISSING"},
		{hold.ErrClosed, orchestrator.Refusal{Reason: orchestrator.ReasonClosed}, "CLOSED"},
	} {
		for _, err := range []error{
			tt.err, fmt.Errorf("pay: %w", tt.err), &hold.RetryExhaustedError{Attempts: 3, Err: tt.err}, errors.Join(context.Canceled, tt.err),
		} {
			got, ok := orchestrator.RefusalOf(err)
			if !ok || got != tt.want || got.Reason.String() != tt.code {
				t.Errorf("RefusalOf(%v) = %+v (%s), %v; want %+v (%s)", err, got, got.Reason, ok, tt.want, tt.code)
			}
		}
	}
	for _, err := range []error{nil, errBackend, &hold.TimeoutError{}, context.Canceled, &hold.RetryExhaustedError{Err: errBackend}} {
		if got, ok := orchestrator.RefusalOf(err); ok {
			t.Errorf("RefusalOf(%v) = %+v; it is none", err, got)
		}
	}
	if got := orchestrator.Reason(0).String(); got != "UNKNOWN" {
		t.Errorf("the zero reason is %q", got)
	}
}
