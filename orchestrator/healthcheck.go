package orchestrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/holdfast-go/holdfast/domain"
)

// HealthCheck lets the fleet's layer of the named breaker recover by a check of its
// dependency, in place of its users' calls: while the layer is not closed, one replica
// of the fleet, elected by a lock of the store, asks for the breaker's probes and runs
// check with each; SuccessThreshold successes close it as those of calls do. As long as
// one is elected no call is let through as a probe, and none has to fail to find out that
// the dependency is still down. Every replica that gives a check may be elected.
//
// Its errors are read by Config.Classify. Its context ends with the probe's lease, which
// is a failure, and with Close; it must heed that. A panic is a failure. See
// [fleet.Breaker.Check].
//
// # Errors
//
// The error matches [domain.ErrInvalidPolicy] when there is no such breaker yet, when the
// fleet does not share it, or when the store has no locks; [domain.ErrConflict] when it
// has a check already.
func (o *Orchestrator) HealthCheck(breaker string, check func(context.Context) error) error {
	if check == nil {
		return invalid(kindCheck, "Check", "is nil")
	}
	if o.bare {
		return nil // nothing ever opens
	}
	b, exists := o.replica.FindBreaker(breaker)
	if !exists {
		return invalid(kindCheck, "Name", fmt.Sprintf("%q is not a breaker's: make its guard first", breaker))
	}
	return b.Check(func(ctx context.Context) domain.Outcome { return o.checked(ctx, check(ctx)) })
}

const kindCheck = "health_check"

// checked reads what a check returned.
func (o *Orchestrator) checked(ctx context.Context, err error) domain.Outcome {
	if err == nil {
		return domain.Success
	}
	if ctx.Err() != nil {
		late, isLate := errors.AsType[*domain.TimeoutError](context.Cause(ctx))
		if !isLate {
			return domain.Ignored // this replica is closing
		}
		err = &domain.TimeoutError{After: late.After, Err: err}
	}
	if o.config.Classify != nil {
		return o.config.Classify(err)
	}
	return domain.Classify(err)
}
