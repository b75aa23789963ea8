package holdfastgrpc

import (
	"context"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// Messages is a limit of the messages of streams in one direction. The zero Messages is
// no limit.
type Messages struct {
	// Limiter has a token for each message; one that is Keyed gets the stream's key.
	Limiter *fleet.Limiter
	// Wait lets a message wait for its token, and with it its stream, in the fleet's queue.
	// Without it, a message for which there is none ends the stream with
	// RESOURCE_EXHAUSTED.
	Wait bool
}

// admit takes a token for one message of a stream.
func (m Messages) admit(ctx context.Context, key string) error {
	if m.Limiter == nil {
		return nil
	}
	if m.Wait {
		return m.Limiter.Wait(ctx, key)
	}
	said, err := m.Limiter.Allow(ctx, key)
	if err != nil || said.Allowed {
		return err
	}
	return &domain.RateLimitedError{
		Name: m.Limiter.Policy().Name, Key: key, Degraded: said.Degraded, Band: said.Band, RetryAfter: said.RetryAfter,
	}
}
