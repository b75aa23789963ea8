package start

import (
	"context"
	"fmt"

	redis_rate "github.com/holdfast-go/holdfast/compat/ratelimit"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type Tenants struct {
	limiter *redis_rate.Limiter
}

func NewTenants(orch *orchestrator.Orchestrator) *Tenants {
	return &Tenants{redis_rate.NewLimiter(orch)}
}

func (t *Tenants) Admit(ctx context.Context, tenant string) error {
	res, err := t.limiter.Allow(ctx, tenant, redis_rate.PerSecond(10))
	if err != nil {
		return err
	}
	if res.Allowed == 0 {
		return fmt.Errorf("come back in %v", res.RetryAfter)
	}
	return nil
}
