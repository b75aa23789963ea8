package orchestrator_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// TestCase30CountsAddUp: many callers through one guard; every call is counted
// once, and the limit is exact.
func TestCase30CountsAddUp(t *testing.T) {
	const callers, calls, burst = 16, 200, 1000
	synctest.Test(t, func(t *testing.T) {
		o := newOrchestrator(t, orchestrator.Config{})
		g := newGuard(t, o, "g", hold.Combine(
			hold.Timeout{Duration: time.Minute},
			hold.CircuitBreaker{FailureRatio: 1, MinCalls: 1 << 30, Window: time.Minute},
			hold.RateLimit{Limit: hold.Per(1, time.Hour).WithBurst(burst)},
		))
		var ran, failed, refused atomic.Int64
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				for i := range calls {
					err := orchestrator.Run(t.Context(), g, func(context.Context) error {
						ran.Add(1)
						if (caller+i)%3 == 0 {
							failed.Add(1)
							return errBackend
						}
						return nil
					})
					if errors.Is(err, hold.ErrRateLimited) {
						refused.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if ran.Load() != burst || refused.Load() != callers*calls-burst {
			t.Errorf("%d ran and %d were refused; want %d and %d", ran.Load(), refused.Load(), burst, callers*calls-burst)
		}
		wantClosed(t, o, "g", burst, failed.Load())
	})
}
