package redsynclock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	redsynclock "github.com/holdfast-go/holdfast/contrib/redsync"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/fleet"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// Two replicas on a server: one call runs, its lock is extended beyond its lease, and when
// it is lost the call learns so.
func TestExclusiveOnAServer(t *testing.T) {
	onBoth(t, func(t *testing.T, client *redis.Client) {
		namespace := newFleet()
		guards := make([]*orchestrator.Guard, 2)
		for i := range guards {
			stores := port.Stores{Locks: redsynclock.New(client, namespace, redsynclock.Options{})}
			leaktest.Check(t)
			orch, err := orchestrator.New(stores, orchestrator.Config{Fleet: fleet.Config{StoreTimeout: 5 * time.Second}})
			must(t, err)
			t.Cleanup(func() { must(t, orch.Close(context.WithoutCancel(t.Context()))) })
			guards[i], err = orch.Guard("x", hold.Exclusive{Lease: time.Second})
			must(t, err)
		}
		var first uint64
		err := orchestrator.Run(t.Context(), guards[0], func(ctx context.Context) error {
			first, _ = orchestrator.Fence(ctx)
			for began := time.Now(); time.Since(began) < 1500*time.Millisecond; { // a lease and a half
				err := orchestrator.Run(ctx, guards[1], func(context.Context) error { return nil })
				if !errors.Is(err, hold.ErrNotExclusive) {
					t.Fatalf("while it runs: %v; want that it is held", err)
				}
			}
			must(t, ctx.Err())
			must(t, client.Del(ctx, namespace+":{lx}").Err()) // as a failover may
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, hold.ErrLockLost) {
			t.Errorf("the call whose lock was lost: %v", err)
		}
		must(t, orchestrator.Run(t.Context(), guards[1], func(ctx context.Context) error {
			if second, _ := orchestrator.Fence(ctx); second <= first {
				t.Errorf("the token %d comes after %d", second, first)
			}
			return nil
		}))
	})
}
