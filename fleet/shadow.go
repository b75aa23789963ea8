package fleet

import (
	"context"
	"errors"

	"github.com/holdfast-go/holdfast/domain"
)

// shadowed is what a caller is told of a limit that is being tried out: what
// would have been a refusal is allowed, and says so. An error that the call would
// have come back with is one, too: but those of a call that nobody waits for, of
// a replica that was closed, and of a cost below 0, which no limit can mean.
func (l *Limiter) shadowed(ctx context.Context, d domain.Decision, err error) (domain.Decision, error) {
	if (d.Allowed && err == nil) || !l.settings.Load().policy.Shadow {
		return d, err
	}
	if err == nil {
		d.Allowed, d.Shadowed = true, true
		return d, nil
	}
	if errors.Is(err, domain.ErrClosed) || errors.Is(err, errNegativeCost) || errors.Is(err, errUpToNothing) || ctx.Err() != nil {
		return d, err
	}
	_, unanswered := errors.AsType[*domain.StoreError](err)
	return domain.Decision{Allowed: true, Shadowed: true, Degraded: unanswered}, nil
}
