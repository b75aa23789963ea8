package after

import (
	"context"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type Payments struct {
	guard *orchestrator.Guard
}

func NewPayments(orch *orchestrator.Orchestrator) (*Payments, error) {
	guard, err := orch.Guard("payments", hold.Combine(
		hold.Timeout{Duration: 2 * time.Second},
		hold.Retry{
			MaxAttempts: 3,
			Backoff:     hold.Exponential(100*time.Millisecond, 2, time.Second),
		},
		hold.CircuitBreaker{
			FailureRatio:     0.5,
			MinCalls:         20,
			Window:           10 * time.Second,
			SuccessThreshold: 2,
			RecoveryTimeout:  30 * time.Second,
		},
	))
	return &Payments{guard}, err
}

func (p *Payments) Charge(ctx context.Context, charge func(context.Context) (string, error)) (string, error) {
	return orchestrator.Do(ctx, p.guard, charge)
}
