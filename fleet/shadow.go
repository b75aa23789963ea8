package fleet

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast/domain"
)

// shadowed is what a caller whose call was not allowed is told of a limit that is being tried out: what
// would have been a refusal is allowed, and says so. An error that the call would
// have come back with is one, too: but those of a call that nobody waits for, of
// a replica that was closed, and of a cost below 0, which no limit can mean.
func (l *Limiter) shadowed(ctx context.Context, d *domain.Decision, err error) error {
	if !l.settings.Load().policy.Shadow {
		return err
	}
	if err == nil {
		d.Allowed, d.Shadowed = true, true
		return nil
	}
	if errors.Is(err, domain.ErrClosed) || errors.Is(err, errNegativeCost) || errors.Is(err, errUpToNothing) || ctx.Err() != nil {
		return err
	}
	_, unanswered := errors.AsType[*domain.StoreError](err)
	*d = domain.Decision{Allowed: true, Shadowed: true, Degraded: unanswered}
	return nil
}
