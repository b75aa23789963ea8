// Package shop says what its calls need where it makes them, as older code does.
package shop

import (
	"context"

	"github.com/holdfast-go/holdfast/compat"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// A Receipt is what a charge comes to.
type Receipt struct{ ID string }

// A Client charges.
type Client struct {
	orch    *orchestrator.Orchestrator
	retries int
	charge  func(context.Context, int64) (Receipt, error)
}

// NewClient makes one.
func NewClient(orch *orchestrator.Orchestrator, charge func(context.Context, int64) (Receipt, error)) *Client {
	return &Client{orch: compat.New(orch), retries: 2, charge: charge}
}

// Charge tries again.
func (c *Client) Charge(ctx context.Context, cents int64) (Receipt, error) {
	return compat.Retry[Receipt](ctx, c.orch, 3, func(ctx context.Context) (Receipt, error) {
		return c.charge(ctx, cents) // the call itself
	})
}

// ChargeCarefully has everything around it.
func (c *Client) ChargeCarefully(ctx context.Context, cents int64) (Receipt, error) {
	return compat.Retry(ctx, c.orch, c.retries, func(ctx context.Context) (Receipt, error) {
		return compat.CircuitBreaker(ctx, c.orch, "payments", func(ctx context.Context) (Receipt, error) {
			return compat.RateLimited(ctx, c.orch, "payments", 100, 10, func(ctx context.Context) (Receipt, error) {
				// The innermost call.
				return c.charge(ctx, cents)
			})
		})
	})
}

// Ping has a breaker, and an old client of its own.
func Ping(ctx context.Context, orch *orchestrator.Orchestrator, fn func(context.Context) (bool, error)) (bool, error) {
	c := compat.New(orch)
	ok, err := compat.CircuitBreaker[bool](ctx, c, "ping", fn)
	if err != nil {
		return false, err
	}
	return ok, nil
}
