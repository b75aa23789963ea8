package after

import (
	"context"
	"fmt"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type Tenants struct {
	limit *fleet.Limiter
}

func NewTenants(orch *orchestrator.Orchestrator) (*Tenants, error) {
	limit, err := orch.Limiter(hold.RateLimit{
		Name:  "tenants",
		Keyed: true,
		Limit: hold.PerSecond(10),
	})
	return &Tenants{limit}, err
}

func (t *Tenants) Admit(ctx context.Context, tenant string) error {
	decision, err := t.limit.Allow(ctx, tenant)
	if err != nil {
		return err
	}
	if !decision.Allowed {
		return fmt.Errorf("come back in %v", decision.RetryAfter)
	}
	return nil
}
