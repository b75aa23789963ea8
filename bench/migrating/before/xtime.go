package before

import (
	"context"

	"golang.org/x/time/rate"
)

type Messages struct {
	limit *rate.Limiter
}

func NewMessages() *Messages {
	return &Messages{rate.NewLimiter(100, 20)}
}

func (m *Messages) TrySend(_ context.Context, send func() error) (bool, error) {
	if !m.limit.Allow() {
		return false, nil
	}
	return true, send()
}

func (m *Messages) Send(ctx context.Context, send func() error) error {
	if err := m.limit.Wait(ctx); err != nil {
		return err
	}
	return send()
}
