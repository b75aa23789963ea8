package before

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
)

type Payments struct {
	executor failsafe.Executor[string]
}

func NewPayments() *Payments {
	return &Payments{failsafe.With(
		timeout.New[string](2*time.Second),
		retrypolicy.NewBuilder[string]().
			WithMaxAttempts(3).
			WithBackoff(100*time.Millisecond, time.Second).
			WithJitterFactor(0.5).
			Build(),
		circuitbreaker.NewBuilder[string]().
			WithFailureRateThreshold(0.5, 20, 10*time.Second).
			WithSuccessThreshold(2).
			WithDelay(30*time.Second).
			Build(),
	)}
}

func (p *Payments) Charge(ctx context.Context, charge func(context.Context) (string, error)) (string, error) {
	return p.executor.WithContext(ctx).GetWithExecution(
		func(e failsafe.Execution[string]) (string, error) {
			return charge(e.Context())
		})
}
