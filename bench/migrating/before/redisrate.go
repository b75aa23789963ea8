package before

import (
	"context"
	"fmt"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

type Tenants struct {
	limiter *redis_rate.Limiter
}

func NewTenants(client *redis.Client) *Tenants {
	return &Tenants{redis_rate.NewLimiter(client)}
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
