package after

import (
	"context"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type Messages struct {
	limit *fleet.Limiter
}

func NewMessages(orch *orchestrator.Orchestrator) (*Messages, error) {
	limit, err := orch.Limiter(hold.RateLimit{
		Name:  "messages",
		Limit: hold.PerSecond(100).WithBurst(20),
	})
	return &Messages{limit}, err
}

func (m *Messages) TrySend(ctx context.Context, send func() error) (bool, error) {
	decision, err := m.limit.Allow(ctx, "")
	if err != nil || !decision.Allowed {
		return false, err
	}
	return true, send()
}

func (m *Messages) Send(ctx context.Context, send func() error) error {
	if err := m.limit.Wait(ctx, ""); err != nil {
		return err
	}
	return send()
}
