package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/orchestrator"
	redisstore "github.com/holdfast-go/holdfast/store/redis"
)

// The parts of a member. All buckets are full again within a second, and so all
// their keys are gone soon after the load has stopped.

func guarded() hold.Policy {
	return hold.Combine(
		hold.Retry{MaxAttempts: 2, Backoff: hold.Fixed(2 * time.Millisecond)},
		quick("dependency", hold.ShareQuorum),
		hold.RateLimit{Name: "dependency", Limit: hold.PerSecond(5000).WithBurst(500)},
		hold.Timeout{Duration: 20 * time.Millisecond},
	)
}

func carried() hold.Policy {
	return hold.Combine(
		quick("carried", hold.ShareLocal),
		hold.RateLimit{Name: "carried", Limit: hold.PerSecond(500).WithBurst(100), Outage: hold.OutageOpen},
	)
}

func tenants() hold.RateLimit {
	return hold.RateLimit{Name: "tenants", Limit: hold.PerSecond(20).WithBurst(4), Keyed: true}
}

func open() hold.RateLimit {
	return hold.RateLimit{Name: "open", Limit: hold.PerSecond(20).WithBurst(4), Keyed: true, Outage: hold.OutageOpen}
}

func strict() hold.RateLimit {
	return hold.RateLimit{Name: "strict", Limit: hold.PerSecond(100).WithBurst(20), Outage: hold.OutageClosed}
}

// quick is a breaker that trips, probes and closes several times in a cycle.
func quick(name string, sharing hold.Sharing) hold.CircuitBreaker {
	return hold.CircuitBreaker{
		Name: name, Sharing: sharing, Window: 2 * time.Second,
		RecoveryTimeout: 100 * time.Millisecond, MaxRecoveryTimeout: 200 * time.Millisecond, ProbeLease: 500 * time.Millisecond,
	}
}

// A member is one replica, and what it calls.
type member struct {
	*orchestrator.Orchestrator

	world   *world
	guard   *orchestrator.Guard
	tenants *fleet.Limiter
	open    *fleet.Limiter
	strict  *fleet.Limiter
	any     *fleet.Breaker
}

// join makes a member. leave ends it.
func join(w *world, client redis.UniversalClient) (*member, error) {
	o, err := orchestrator.New(redisstore.New(client, "soak", redisstore.Options{}).Stores(), orchestrator.Config{
		Fleet: fleet.Config{OnEvent: func(hold.Event) { w.events.Add(1) }},
	})
	if err != nil {
		return nil, err
	}
	m := &member{Orchestrator: o, world: w}
	errs := make([]error, 5)
	m.guard, errs[0] = o.Guard("dependency", guarded())
	m.tenants, errs[1] = o.Limiter(tenants())
	m.open, errs[2] = o.Limiter(open())
	m.strict, errs[3] = o.Limiter(strict())
	m.any, errs[4] = o.Breaker(quick("any", hold.ShareAny))
	return m, errors.Join(errs...)
}

func (m *member) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return m.Close(ctx)
}

// call makes one call of some kind. What comes of it is declared, and tested
// elsewhere: here it only has to leave nothing behind.
func (m *member) call(ctx context.Context) {
	m.world.calls.Add(1)
	switch rand.IntN(7) {
	case 0:
		_ = orchestrator.Run(ctx, m.guard, m.world.depend)
	case 1:
		_, _ = orchestrator.ExecuteWithPolicy(ctx, m.Orchestrator, carried(), func(ctx context.Context) (int, error) {
			return 0, m.world.depend(ctx)
		})
	case 2:
		_, _ = m.tenants.Allow(ctx, m.world.key())
	case 3:
		_, _ = m.open.AllowN(ctx, m.world.key(), 1+rand.Int64N(3))
	case 4:
		_, _ = m.strict.Allow(ctx, "")
	case 5:
		permit, err := m.any.Acquire(ctx)
		if err == nil && rand.IntN(100) > 0 { // one in a hundred is never heard of again
			permit.Report(hold.Classify(m.world.depend(ctx)))
		}
	default:
		m.impatient(ctx)
	}
}

// impatient is a caller who leaves while the store is being asked.
func (m *member) impatient(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(int(time.Millisecond))))
	defer cancel()
	_, _ = m.tenants.Allow(ctx, m.world.key())
	_ = orchestrator.Run(ctx, m.guard, m.world.depend)
}
